/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The owner of a BOSH session whose client may do anything: it carries out the actions of the
 * session, and checks them.
 *
 * Each exchange is answered once, and none after the end. What a client sends goes to a server once
 * and in order. What a server sends stands in the answers to one rid only, in order; when the
 * session ends, it has been answered or returned. The session always ends.
 */
#include "gateway/bosh/session.h"

enum {
	FIRST_RID = 100,
	STEPS_MAX = 250,
	/* Each step makes at most one of them; and the one that creates the session. */
	EXCHANGES_MAX = STEPS_MAX + 2,
	STANZAS_MAX = STEPS_MAX + 2,
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
	uint64_t rid; /* in whose answers it stands; 0: none */
	bool returned;
	bool excused; /* its link is over, or the server keeps it itself */
};

struct owner {
	struct bosh_limits limits;
	struct bosh_session *session;
	struct bosh_actions actions;
	struct mono now;
	enum exchange_state exchanges[EXCHANGES_MAX];
	uint64_t rids[EXCHANGES_MAX]; /* by exchange */
	uint64_t n_exchanges, highest_rid;
	struct stanza stanzas[STANZAS_MAX];
	size_t n_stanzas;
	bool is_open[BOSH_STREAMS_MAX], is_managed[BOSH_STREAMS_MAX], is_read[BOSH_STREAMS_MAX];
	uint64_t last_sent[BOSH_STREAMS_MAX];     /* the rid of the last payload that was sent */
	uint64_t last_answered[BOSH_STREAMS_MAX]; /* the last stanza that was answered */
	char names[NAMES_MAX][NAME_LENGTH + 1];
	size_t n_names;
	bool ended;
};

/* Carries out the actions of a call that returned @r. */
void owner_done(struct owner *owner, int r);
/* Nobody can return anything to the server of @stream. */
void owner_excuse(struct owner *owner, unsigned stream);
/* The session has ended. */
void owner_check_end(struct owner *owner);
