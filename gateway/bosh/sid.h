/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Session identifiers (XEP-0124, "Session Creation Response"). They are opaque to the client. The
 * first characters encode which process (process/control.h: its generation) and which worker of it
 * has the session; the rest is random.
 */
#include <stdbool.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	SID_GENERATION_LENGTH = 1, /* base64: 64 generations */
	SID_WORKER_LENGTH = 2,     /* up to 4096 workers */
	SID_OWNER_LENGTH = SID_GENERATION_LENGTH + SID_WORKER_LENGTH,
	SID_RANDOM_LENGTH = 22, /* 132 random bits */
	SID_LENGTH = SID_OWNER_LENGTH + SID_RANDOM_LENGTH,
	/* How much of it may be logged: three of the 22 random characters. */
	SID_LOG_LENGTH = SID_OWNER_LENGTH + 3,
	/* How much of a body is searched for it: a client that does not send it at once must not
	 * have the same bytes looked at again and again. */
	SID_FIND_MAX = 2048,
};

struct sid_owner {
	unsigned generation; /* below 64 */
	unsigned worker;     /* below 4096 */
};

/* Makes a new sid for a session of @owner. Returns 0 or a negative errno. */
_must_check_ int sid_make(struct sid_owner owner, char ret_sid[static SID_LENGTH + 1]);

/* Sets *ret_owner to what @sid encodes. The owner need not exist any more. Returns false if @sid is
 * not one of this gateway. */
bool sid_owner(struct sv sid, struct sid_owner *ret_owner);

/* Finds the sid in a body that need not be complete, without parsing it: the first attribute of
 * that name. If it is in a payload, the request takes a detour over another worker and is still
 * answered. Returns false if more of the body may tell; *ret_sid is empty if there is none. */
bool sid_find(struct sv body, struct sv *ret_sid);
