/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The monotonic clock, for code that is not an engine (mono.h). All loops have the same one, but
 * the time of a loop stands still while it handles the events of an iteration.
 */
#include <uv.h>

#include "common/mono.h"

static inline struct mono clock_now(void)
{
	return (struct mono){(int64_t)(uv_hrtime() / 1000000)};
}

static inline struct mono clock_of_loop(const uv_loop_t *loop)
{
	return (struct mono){(int64_t)uv_now(loop)};
}
