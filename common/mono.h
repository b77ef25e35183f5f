/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Monotonic time as a type of its own, so that points in time, seconds and milliseconds cannot be
 * confused. Engines never read a clock: the caller passes the time.
 *
 * now       a point in time, in milliseconds since an arbitrary start
 * deadline  the point in time at which an engine wants to be called again; MONO_NEVER if it waits
 *           for nothing
 */
#include <stdbool.h>
#include <stdint.h>

struct mono {
	int64_t ms;
};

#define MONO_NEVER ((struct mono){INT64_MAX})

static inline struct mono mono_add_ms(struct mono now, int64_t ms)
{
	return (struct mono){now.ms + ms};
}

static inline struct mono mono_add_s(struct mono now, int64_t seconds)
{
	return (struct mono){now.ms + seconds * 1000};
}

static inline int64_t mono_diff_ms(struct mono later, struct mono earlier)
{
	return later.ms - earlier.ms;
}

/* Whether @now is at or after @deadline. */
static inline bool mono_reached(struct mono deadline, struct mono now)
{
	return deadline.ms <= now.ms;
}

static inline struct mono mono_earlier(struct mono a, struct mono b)
{
	return a.ms <= b.ms ? a : b;
}

static inline bool mono_is_never(struct mono m)
{
	return m.ms == INT64_MAX;
}
