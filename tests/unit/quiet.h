/* SPDX-License-Identifier: MIT */
#pragma once
/* Of what the program logs, a test shows errors only. */
#include "common/log.h"

static inline void log_errors_only(void)
{
	for (int i = 0; i < LOG_AREA_COUNT; i++) {
		log_set_area_level((enum log_area)i, LOG_LEVEL_ERROR);
	}
}
