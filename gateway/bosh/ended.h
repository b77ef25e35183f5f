/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Remembers BOSH sessions that are over, for as long as their clients may not have heard of it
 * (last-answer.h).
 *
 * Their number and their bytes are bounded, and the oldest are dropped, so that nobody can fill our
 * memory by ending sessions. Much of one session (stanzas that waited for the client when it ended,
 * or stand in replies that may be lost) is kept only as long as it takes no place of another;
 * without place for the replies, how the session ended is kept.
 *
 * Their time is that in which the process runs, in whole seconds: clients that came while it stood
 * still can ask when it goes on.
 */
#include "common/address.h"
#include "common/mono.h"
#include "gateway/bosh/last-answer.h"
#include "gateway/bosh/sid.h"

enum {
	/* Of one worker. When a server goes down, all its sessions end at once. */
	BOSH_ENDED_MAX = 4096,
	/* Bytes of all answers, and of those of one session for which older ones are dropped. An
	 * attacker's large answers must not displace those of many. */
	BOSH_ENDED_BYTES_MAX = 2 * 1024 * 1024,
	BOSH_ENDED_SMALL_MAX = 16 * 1024,
	/* Sessions of which replies are kept, while there are so many. Each reply was made in the
	 * session's time, and keeps a page of memory from going back: where thousands end, it is
	 * too much for the few whose last reply was lost. */
	BOSH_ENDED_REPLIES_MAX = 128,
};

/* A session that is over. */
struct bosh_ended {
	struct bosh_last_answer last;
	const char *content_type; /* static */
	struct address client;    /* the one that created the session */
	bool is_secure;           /* it was created over TLS */
};

/* Such sessions, by their sids. */
struct bosh_ended_table;

/* @keep_s: how long a session is remembered. Returns 0 or -ENOMEM. */
_must_check_ int bosh_ended_table_new(unsigned keep_s, struct bosh_ended_table **ret_table);
struct bosh_ended_table *bosh_ended_table_free(struct bosh_ended_table *table);

/* For sessions that end from now on. */
void bosh_ended_table_set_keep(struct bosh_ended_table *table, unsigned keep_s);

/* Keeps a copy of @ended, the session @sid, and takes what its `last` owns. Without memory nothing
 * is kept. */
void bosh_ended_table_put(struct bosh_ended_table *table, const char sid[static SID_LENGTH],
			  const struct bosh_ended *ended, struct mono now);

/* The session @sid, if its last answer is for the request @rid with @key; else NULL. Valid until
 * the next call. */
const struct bosh_ended *bosh_ended_table_find(struct bosh_ended_table *table, struct sv sid,
					       uint64_t rid, struct sv key, struct mono now);
