/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the parts of load.h share:
 *
 * load-send.c   writes requests, frames and stanzas
 * load-take.c   finds the messages in what arrives
 * load-login.c  opens a session, step by step
 * load.c        drives all sessions, and measures
 */
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

struct connection {
	struct session *session;
	struct flow flow;
	bool busy; /* a request is under way */
};

struct session {
	struct load *load;
	struct connection connections[2];
	bool upgraded, logging_in, ready;
	uint64_t rid, sent_ns;
	uint32_t number; /* of the stanza that was sent last */
	char sid[64];
};

struct load {
	enum load_kind kind;
	uint16_t port;
	int epoll;
	bool sending;
	size_t n_sessions, n_ready, n_under_way;
	uint64_t n_round_trips;
	struct session **held; /* a ring, the session that has waited longest first */
	size_t first_held, n_held;
	size_t n_sessions_max;
	struct session *sessions;
	char *text; /* of each stanza */
	struct bytes scratch;
	uint32_t *latencies; /* of the last load_run(), microseconds */
	size_t n_latencies, n_latencies_max;
};

void connection_open(struct session *session, struct connection *connection);

/* @attributes are those of a request that opens the session. */
void send_request(struct session *session, const char *attributes, const char *payload);
void send_frame(struct session *session, const char *text);

/* Sends the next stanza of the session. */
void send_stanza(struct session *session);

/* Returns the stanza with @n bytes of text; the caller frees it. */
char *stanza_new(size_t n);

/* Returns the length of the first message in @all and the message; 0: it is incomplete. */
size_t take_message(const struct session *session, struct text all, struct text *ret_message);

/* What is looked for stands near the beginning. */
char *find_text(struct text text, const char *needle);

/* Connects @session and sends its first request. Then login_step() for each message that arrives.
 * Return whether the session is ready. */
bool login_start(struct session *session);
bool login_step(struct session *session, struct text text);
