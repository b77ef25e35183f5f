/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Session identifiers (XEP-0124, "Session Creation Response"): opaque to the client; to the gateway the first characters name the
 * worker that has the session, the rest are random bits.
 */
#include <stdbool.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	SID_WORKER_LENGTH = 2,  /* base64: up to 4096 workers */
	SID_RANDOM_LENGTH = 22, /* 132 random bits */
	SID_LENGTH = SID_WORKER_LENGTH + SID_RANDOM_LENGTH,
	/* What a log may show of it: three random characters of twenty-two. */
	SID_LOG_LENGTH = SID_WORKER_LENGTH + 3,
};

/* Returns 0 or a negative errno. */
_must_check_ int sid_make(unsigned worker, char ret_sid[static SID_LENGTH + 1]);

/* The worker that @sid names. False when it is no sid of ours. */
bool sid_worker(struct sv sid, unsigned n_workers, unsigned *ret_worker);
