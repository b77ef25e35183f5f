/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sets the log (common/log.h) up as the configuration says. A change of `log_to` or `log_format`
 * takes effect after a restart, one of the levels at once.
 */
#include "gateway/config/config.h"

/* Sets the levels of all areas. Thread-safe. */
void log_setup_levels(const struct config *config);

/* Sets the levels and starts the writer. The texts of @config are borrowed until log_stop().
 * Returns 0 or a negative errno. */
_must_check_ int log_setup_start(const struct config *config);
