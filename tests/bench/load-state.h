/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the parts of load.h share:
 *
 * load-pool.c   chooses the connection for a request
 * load-send.c   writes requests, frames and stanzas
 * load-take.c   finds the messages in what arrives
 * load-login.c  opens a session, step by step
 * load.c        drives all sessions, and measures
 */
#include <sys/queue.h>

#include "tests/bench/flow.h"
#include "tests/bench/load.h"

enum {
	HEAD_SIZE = 1024, /* of a request, and of that part of a message which is looked at */
	FRAME_LENGTH_16 = 126,
	FRAME_LENGTH_64 = 127,
};

struct text {
	char *data;
	size_t n;
};

enum {
	WORKER_AT = 1, /* where a sid tells the worker (gateway/bosh/sid.h) */
	WORKER_LENGTH = 2,
	ROW_MAX = 16, /* requests in a row that take a connection along (front-owner.c) */
};

struct connection {
	struct session *session; /* that sent the last request */
	struct flow flow;
	uint16_t port;
	bool is_open, busy;         /* busy: a request is under way */
	char worker[WORKER_LENGTH]; /* that serves it; zeros: not known */
	char asked[WORKER_LENGTH];  /* that of the last request's session; zeros: there was none */
	unsigned n_row;             /* requests in a row for sessions of that */
};

enum stage {
	STAGE_UPGRADE, /* of a WebSocket */
	STAGE_OPEN,    /* waits for the features */
	STAGE_LOGIN,
	STAGE_RESTART,
	STAGE_BIND,
	STAGE_READY,
	STAGE_END, /* has asked for the end (load_turn_over()) */
	STAGE_OVER,
};

struct session {
	struct load *load;
	enum stage stage;
	uint16_t port;
	struct connection own[2]; /* LOAD_OWN */
	unsigned n_busy;          /* of its connections */
	uint64_t rid, sent_ns;
	uint32_t number; /* of the stanza that was sent last */
	char sid[64];
	char *text; /* its stanza; NULL: that of all */
	TAILQ_ENTRY(session) ended;
};

TAILQ_HEAD(session_list, session);

struct load {
	struct load_options options;
	int epoll;
	SSL_CTX *tls;
	bool sending, turns_over; /* turns_over: sessions come and go (load_turn_over()) */
	size_t n_sessions, n_ready, n_under_way;
	uint64_t n_round_trips, n_requests, n_moved;
	struct session **held; /* a ring, the session that has waited longest first */
	size_t first_held, n_held;
	struct session *sessions;
	struct session_list ended; /* closed and opened anew at the end of the turn */
	struct connection *pool;
	size_t n_pool, n_pool_max;
	uint32_t chance;
	char *text; /* of each stanza */
	struct bytes scratch;
	uint32_t *latencies; /* of the last run, microseconds */
	size_t n_latencies, n_latencies_max;
};

void connection_open(struct session *session, struct connection *connection);

/* The connection for a request of the session that sends next; busy from now on. And back: its
 * answer has arrived. */
struct connection *connection_take(struct session *session);
void connection_release(struct connection *connection);

/* @attributes are those of a request that opens the session. */
void send_request(struct session *session, const char *attributes, const char *payload);
void send_frame(struct session *session, const char *text);

/* Sends the next stanza of the session. */
void send_stanza(struct session *session);

/* Returns the stanza to @to with @n bytes of text; the caller frees it. */
char *stanza_new(const char *to, size_t n);

/* Returns the length of the first message in @all and the message; 0: it is incomplete. */
size_t take_message(const struct session *session, struct text all, struct text *ret_message);

/* What is looked for stands near the beginning. */
char *find_text(struct text text, const char *needle);

/* Connects @session and sends its first request. Then login_step() for each message that arrives.
 * Return whether the session is ready. */
bool login_start(struct session *session);
bool login_step(struct session *session, struct text text);

/* Asks for the end of the session. */
void login_end(struct session *session);
