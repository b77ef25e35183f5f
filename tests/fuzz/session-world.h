/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of the model of what is around a BOSH session (session-model.h). From the top down; a
 * file calls only those below it:
 *
 * session-model.c    a run from its beginning to its end
 * session-client.c   the client: what it sends, and what it makes of the answers
 * session-servers.c  what the servers do
 * session-network.c  the client's connections, and the actions of the session
 * session-books.c    the books: what was sent, and what has reached whom
 * session-world.c    choices, time, and the story that is told when something does not hold
 *
 * stream  a stream as client and servers see it. They are numbered from 0 in the order in which the
 *         client asks for them; the number stands in `to`
 * entry   the number that the session has for a stream
 * turn    the turn of a request has come when it and all before it have come
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "gateway/bosh/session.h"
#include "tests/fuzz/session-model.h"

enum {
	FIRST_RID = 100,
	REQUESTS_MAX = 1500,
	EXCHANGES_MAX = 6000,
	EVENTS_MAX = 2000,
	STANZAS_MAX = 3000, /* in each direction */
	STREAMS_MAX = 200,
	NAME_LENGTH = 32,
	KEYS_MAX = 10,
	KEY_SIZE = 41,
	/* Connections of one request that break. Were they more, the session could end while the
	 * client still tries. */
	BROKEN_MAX = 3,
	LATENCY_MAX_MS = 2000,
	/* Until the client notices that a connection has broken. */
	NOTICE_MAX_MS = 2500,
	/* So that the pending stanzas are not copied into an answer. */
	PADDING_MAX = 20000,
	INACTIVITY_S = 30,
	POLLING_S = 2,
	MAXPAUSE_S = 60,
	/* It may take the client so long to come back over its network. */
	COMEBACK_S = 22,
};

enum event_kind {
	EVENT_ARRIVES,  /* a request arrives at the gateway */
	EVENT_BREAKS,   /* the gateway learns that a connection is gone */
	EVENT_NOTICED,  /* the client learns it */
	EVENT_RESPONDS, /* an answer arrives at the client */
	EVENT_ACTS,     /* the client may send something */
	EVENT_FEATURES, /* the features of a stream come */
	EVENT_SPEAKS,   /* some server sends stanzas */
	EVENT_EASES,    /* the server of a stream keeps up again */
	EVENT_FAILS,    /* the link of a stream is over */
	EVENT_ENDS,     /* the session, in the way that was chosen */
};

struct event {
	struct mono at;
	uint64_t order; /* of those at the same time */
	enum event_kind kind;
	uint64_t number; /* of the exchange, or the stream */
};

/* An HTTP request, as the gateway gets it. */
struct exchange {
	uint64_t rid;
	struct mono arrived;
	bool has_arrived, is_gone, is_answered;
	char *text; /* the answer */
};

/* A request of the client's. */
struct request {
	char *text;
	char *answer; /* what the gateway answered first */
	struct mono answered;
	char *response;    /* what has arrived of it and was not processed yet */
	uint64_t exchange; /* the one that the client waits for */
	uint64_t latest;   /* the one that arrived last */
	unsigned n_broken;
	unsigned asks_for; /* this stream; 0: none */
	bool is_empty, is_pause;
	bool has_response; /* the client has the answer */
	bool has_come;     /* the gateway has it, or its turn has come */
};

/* A stanza of the client's. */
struct up {
	uint64_t rid;
	bool is_for_all;
	unsigned n_due;
	unsigned due[BOSH_STREAMS_MAX]; /* the streams that it still has to reach */
};

/* A stanza of a server's. */
struct down {
	unsigned stream;
	size_t before; /* the one before it of the same stream; 0: none */
	bool is_answered, is_received, is_returned;
};

enum stream_state {
	STREAM_ASKED, /* or refused */
	STREAM_OPEN,
	STREAM_FAILED,
	STREAM_CLOSED,
};

struct stream {
	enum stream_state state;
	unsigned entry;
	bool is_ready, is_stopped, is_managed;
	enum bosh_congestion congestion;
	size_t last_up;                                 /* the last stanza that reached it */
	size_t last_down, last_answered, last_received; /* and of those that it sent */
	/* As the client knows it. */
	char name[NAME_LENGTH + 1];
	bool is_open, has_features, is_closing;
};

/* Why the session may end. */
enum reason {
	REASON_NONE,
	REASON_CLIENT, /* it has closed a stream, or asked for the end */
	REASON_SHUT,
	REASON_VANISHED, /* the client has */
};

struct client {
	bool uses_acks, uses_keys, uses_streams, is_legacy;
	bool is_created, is_over, is_leaving, has_vanished, is_away;
	bool is_forgotten;                 /* it repeated a request, and the session was over */
	unsigned hold, n_requests, wait_s; /* as negotiated */
	uint64_t next_rid, next_response;
	struct mono back_at;
	struct mono responded; /* when the latest answer came */
	unsigned n_asked;      /* streams that it has asked for, or created the session with */
	char keys[KEYS_MAX][KEY_SIZE];
	unsigned n_keys; /* those that are left */
};

/* How bad the network is, and how busy all are. */
struct pace {
	unsigned latency_ms, notice_ms, acts_ms, speaks_ms; /* at most */
	unsigned percent_broken;
	unsigned padding; /* of a stanza from a server, at most */
};

struct world {
	struct choices choices;
	const char *label;
	struct buffer story;
	struct mono now;
	struct event events[EVENTS_MAX];
	size_t n_events;
	uint64_t n_ordered;
	bool is_settled; /* the choices are used up: everything goes well */
	struct pace pace;

	struct bosh_limits limits;
	struct bosh_session *session;
	struct bosh_actions actions;
	bool has_ended;
	bool is_told; /* some request was answered with the end of the session */
	enum reason reason;
	struct bosh_last_answer last;
	uint64_t turn;      /* the rid whose turn comes next */
	struct mono turned; /* when it became that */
	unsigned n_opened;

	struct client client;
	struct request requests[REQUESTS_MAX];
	struct exchange exchanges[EXCHANGES_MAX];
	size_t n_exchanges;
	struct stream streams[STREAMS_MAX];
	unsigned of_entry[BOSH_STREAMS_MAX]; /* the stream */
	struct up ups[STANZAS_MAX];
	size_t n_ups, first_due; /* all before it have reached their streams */
	struct down downs[STANZAS_MAX];
	size_t n_downs;
};

/* session-world.c */

/* A number below @n; 0 when the choices are used up. */
unsigned choose(struct world *world, unsigned n);
/* False when they are used up. */
bool choose_likely(struct world *world, unsigned percent);
/* Less than @max, most often much less: milliseconds, say. */
int64_t choose_small(struct world *world, unsigned max);

/* Has an event happen in @ms. */
void world_plan(struct world *world, int64_t ms, enum event_kind kind, uint64_t number);
/* Takes the next event. */
struct event world_next(struct world *world);
struct mono world_next_at(const struct world *world);

/* Adds a line to the story. */
__attribute__((format(printf, 2, 3))) void world_tell(struct world *world, const char *format, ...);
/* Something does not hold. */
__attribute__((format(printf, 2, 3), noreturn)) void world_fail(struct world *world,
								const char *format, ...);
#define WORLD_CHECK(world, condition)                        \
	do {                                                 \
		if (!(condition)) {                          \
			world_fail(world, "%s", #condition); \
		}                                            \
	} while (0)

/* The value of the attribute @name in the start tag of @text; NULL data if there is none. */
struct sv attribute_of(const char *text, const char *name);
/* The same as a number; 0 if there is none. */
uint64_t number_of(struct world *world, const char *text, const char *name);
/* Takes the next marker "<LETTER n='NUMBER'" of *text. */
bool take_marker(const char **text, char letter, size_t *ret_number);

/* session-books.c */

/* Enters an action about a stream. */
void books_take(struct world *world, const struct bosh_action *action);
/* Enters what @text carries, the first answer to @request. */
void books_answer(struct world *world, const struct request *request, const char *text);
/* Enters what the client has received with @text. */
void books_receive(struct world *world, const char *text);
/* Enters a stanza that the client sends in the request @rid, for @stream or, if it is -1, for all.
 * Returns its number. */
size_t books_send(struct world *world, uint64_t rid, int stream);
/* All stanzas of requests whose turn has come have reached the streams that are ready. */
void books_check(struct world *world);
/* Nothing that servers sent was lost. @is_over: the session is. */
void books_check_all(struct world *world, bool is_over);
bool books_have_open(const struct world *world);

/* session-network.c */

static inline struct request *request_of(struct world *world, uint64_t rid)
{
	return &world->requests[rid - FIRST_RID];
}

/* Carries out the actions of a call of the session that returned @r. */
void network_done(struct world *world, int r);
/* The client sends the request @rid, for the first time or again. */
void network_send(struct world *world, uint64_t rid);
/* The first request, which creates the session. */
void network_create(struct world *world);
void network_arrive(struct world *world, uint64_t exchange);
void network_break(struct world *world, uint64_t exchange);
/* What must hold at any time. */
void network_check(struct world *world);

/* session-servers.c */

void servers_give_features(struct world *world, unsigned stream);
/* Some server sends something, or does not keep up for a while. */
void servers_speak(struct world *world);
void servers_ease(struct world *world, unsigned stream);
void servers_fail(struct world *world, unsigned stream);

/* session-client.c */

void client_begin(struct world *world);
void client_act(struct world *world);
/* False: it may not make a request now. */
bool client_terminate(struct world *world);
/* The client notices that the connection of @exchange is gone. */
void client_notice(struct world *world, uint64_t exchange);
/* The answer to @exchange arrives. */
void client_take(struct world *world, uint64_t exchange);
