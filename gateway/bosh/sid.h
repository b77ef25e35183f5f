/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Session identifiers (XEP-0124, "Session Creation Response"). They are opaque to the client. The
 * first characters encode the worker that has the session; the rest is random.
 */
#include <stdbool.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	SID_WORKER_LENGTH = 2,  /* base64: up to 4096 workers */
	SID_RANDOM_LENGTH = 22, /* 132 random bits */
	SID_LENGTH = SID_WORKER_LENGTH + SID_RANDOM_LENGTH,
	/* How much of it may be logged: three of the 22 random characters. */
	SID_LOG_LENGTH = SID_WORKER_LENGTH + 3,
};

/* Makes a new sid for a session of @worker. Returns 0 or a negative errno. */
_must_check_ int sid_make(unsigned worker, char ret_sid[static SID_LENGTH + 1]);

/* Sets *ret_worker to the worker that @sid encodes. Returns false if @sid is not one of this
 * gateway. */
bool sid_worker(struct sv sid, unsigned n_workers, unsigned *ret_worker);
