/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The owner of a BOSH session whose client may do anything: it carries out the actions of the
 * session, and checks them.
 *
 * Each exchange is answered once, none after the end; the answers to one rid are the same. What a
 * client sends goes to a server once and in order, and before its request is answered, unless the
 * server is not ready yet. What a server sends stands in the answers to one rid only, once and in
 * order; when the session ends, it has been answered or returned. A request with a wrong key has no
 * effect but the end of the session. The session always ends.
 */
#include "gateway/bosh/session.h"

enum {
	FIRST_RID = 100,
	STEPS_MAX = 250,
	/* Each step makes at most one of them; and the one that creates the session. */
	EXCHANGES_MAX = STEPS_MAX + 2,
	STANZAS_MAX = STEPS_MAX + 2,
	/* A client may also send rids that are so much lower than the first. */
	BEFORE_MAX = 4,
	/* A step makes a rid at most four higher. */
	RIDS_MAX = BEFORE_MAX + 4 * STEPS_MAX + 8,
	PENDING_MAX = 400,
	NAMES_MAX = 4,
	NAME_LENGTH = 32,
	/* Of waiting payloads, replies, early requests and their buffers. */
	HELD_MAX = 256 * 1024,
	/* Calls of the timer until a session without requests ends. */
	EXPIRIES_MAX = 64,
};

enum exchange_state {
	EXCHANGE_UNUSED,
	EXCHANGE_OPEN,
	EXCHANGE_GONE,
	EXCHANGE_ANSWERED,
};

/* What a server has sent. */
struct stanza {
	unsigned stream;
	size_t before; /* the one before it from the same server; 0: none */
	uint64_t rid;  /* in whose answers it stands; 0: none */
	bool returned;
	bool excused; /* its link is over, or the server keeps it itself */
};

/* What the requests of a rid carry. */
enum cargo {
	CARGO_UNKNOWN, /* they differ, or are for one stream of which nothing is known here */
	CARGO_NONE,
	CARGO_FOR_ALL, /* a stanza for all streams */
};

/* The requests of a rid. */
struct asked {
	uint64_t first, latest; /* their exchanges */
	enum cargo cargo;
	unsigned sent,
		due;  /* bits of streams: the stanza went there; it has to, when it is ready */
	char *answer; /* the first that did not end the session */
};

/* A stream. Times are numbers of exchanges. */
struct way {
	bool is_open, is_ready, is_managed, is_read;
	uint64_t opened, had_features; /* when; UINT64_MAX: never */
	uint64_t last_sent;            /* the rid of the last payload that was sent */
	size_t last_said;              /* the last stanza that its server sent */
};

struct owner {
	struct bosh_limits limits;
	struct bosh_session *session;
	struct bosh_actions actions;
	struct mono now;
	enum exchange_state exchanges[EXCHANGES_MAX];
	uint64_t rids[EXCHANGES_MAX];      /* by exchange */
	bool has_wrong_key[EXCHANGES_MAX]; /* by exchange */
	struct asked asked[RIDS_MAX];      /* by rid */
	uint64_t n_exchanges, highest_rid;
	struct stanza stanzas[STANZAS_MAX];
	size_t n_stanzas;
	struct way ways[BOSH_STREAMS_MAX];
	unsigned n_opened;
	char names[NAMES_MAX][NAME_LENGTH + 1];
	size_t n_names;
	bool uses_keys;
	bool ended;
};

static inline struct asked *owner_asked(struct owner *owner, uint64_t rid)
{
	return &owner->asked[rid + BEFORE_MAX - FIRST_RID];
}

/* Enters a new exchange. @is_wrong: it shows another key than it should. */
void owner_enter(struct owner *owner, uint64_t rid, enum cargo cargo, bool is_wrong);
/* A stream is open. */
void owner_open(struct owner *owner, unsigned stream);
/* The features of @stream have come, and were given to the session. */
void owner_check_ready(struct owner *owner, unsigned stream);

/* Carries out the actions of a call that returned @r. */
void owner_done(struct owner *owner, int r);
/* Nobody can return anything to the server of @stream. */
void owner_excuse(struct owner *owner, unsigned stream);
/* The link of @stream is over. */
void owner_fail(struct owner *owner, unsigned stream);
/* The session has ended. */
void owner_check_end(struct owner *owner);
