/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What is around a reader of requests (gateway/http/reader.h): clients on sockets, and the owner,
 * who answers.
 *
 * stream  all bytes that the client means to send
 * truth   the requests that the stream has, read in one piece. The n-th request that the reader
 *         passes on must be the n-th of them, wherever the stream was cut
 * record  one request that the reader has passed on or refused
 * plan    what happens, and when: a byte for each step
 * flags   letters in the path of a request. They decide how it is answered, so that this does not
 *         depend on when it arrives
 */
#include "common/turn.h"
#include "gateway/http/coder.h"
#include "gateway/http/date.h"
#include "gateway/http/reader-state.h"
#include "gateway/wire/state.h"

enum {
	CLIENTS = 2,
	TRUTH_MAX = 32,
	STREAM_MAX = 900 * 1024, /* with a little more, less than a lingering wire discards */
	TIMEOUT_S = 3,
	BODY_SMALL = 10000, /* the least that can be configured */
	ROOMY = 4 * 1024 * 1024,
	LARGE_ANSWER = 96 * 1024, /* more than may wait */
};

/* reader-truth.c */

struct truth_request {
	size_t start, end; /* in the stream; end: SIZE_MAX if it is incomplete */
	const char *bytes; /* of the head */
	struct http_head head;
	struct buffer body; /* without chunks; coded as it was sent */
	enum http_fault fault;
};

struct truth {
	struct truth_request requests[TRUTH_MAX];
	size_t n;
};

void truth_init(struct truth *truth, struct sv stream);
void truth_deinit(struct truth *truth);

/* Whether the path of @request has the flag @flag. */
bool truth_has_flag(const struct truth_request *request, char flag);

/* The world. */

struct record {
	struct http_exchange *exchange;    /* NULL: it has ended */
	const struct truth_request *truth; /* NULL: its head is incomplete */
	unsigned status;                   /* of the answer; 0: none yet */
	size_t n_body;                     /* of the answer */
	bool ends_reading;                 /* the request is the last one of its connection */
	bool closes;                       /* the answer, or the request, ends the connection */
	bool is_prepared, is_passed, is_gone, is_detached;
};

/* One connection. */
struct client {
	struct world *world;
	struct address peer;
	struct buffer text;
	struct sv stream; /* in `text` */
	struct truth truth;
	struct record records[TRUTH_MAX];
	size_t n_records;
	int fd;               /* -1: closed */
	size_t n_due, n_sent; /* of the stream: what is to be sent, and what was */
	struct buffer heard;  /* what it has read */
	bool has_heard_end;
	bool is_mute;       /* it has closed its side */
	bool is_last;       /* the request that was asked about is the last one */
	bool is_over;       /* no further request has to be passed on */
	bool is_lossy;      /* answers may be lost */
	unsigned ticked_at; /* when the last request was passed on */
	unsigned n_pauses;
	size_t n_told; /* the requests before this one that were told to go on, if they had to be */
	unsigned n_closed; /* how often the connection was closed */
};

struct world {
	uv_loop_t *loop;
	struct turn turn;
	struct wire_hub *hub;
	struct http_reader *reader;
	struct budget *budget, *unread;
	struct coder *coder;
	struct http_date date;
	struct http_limits limits;
	size_t n_body_least, n_body_most; /* of the limits so far */
	struct client clients[CLIENTS];
	enum http_first first; /* what the callback answers */
	bool passes, asks_always, is_passed_on, has_small_sockets, is_watched, is_pressed;
	bool is_woken;    /* a budget has victims */
	bool is_squeezed; /* world_squeeze() is due */
	unsigned n_ticks;
	bool is_at_end; /* the plan is carried out: everything is answered */
};

/* reader-world.c */

/* @settings: letters; @text: what the clients send (fuzz-reader.c). */
void world_open(struct world *world, struct sv settings, struct sv text);
/* Runs until nothing more happens by itself, which must come soon. */
void world_settle(struct world *world);
void world_tick(struct world *world, unsigned n_seconds);
/* Others hold so much that the budget wants everything back. */
void world_squeeze(struct world *world);
/* The connections that pause are judged again. */
void world_end_pause(void);
/* Closes the reader, if it is open, and all else. Nothing may be left. */
void world_close(struct world *world);

/* reader-owner.c */

extern const struct http_reader_callbacks owner_callbacks;
void owner_set_options(struct world *world, struct http_options *options);
/* Answers the @n-th request of those that are held, if there are so many. Returns whether. */
bool owner_answer_held(struct client *client, size_t n);

/* reader-front.c */

struct client *front_find_client(struct world *world, const struct address *peer);
/* @wire has not lost a byte from @at on. */
void front_check_unread(const struct client *client, struct wire *wire, size_t at);
/* Connections that may go to another process go there. */
void front_give_idle(struct world *world);
/* What must be true between any two steps. */
void front_check(const struct world *world);
/* Callbacks of the reader. */
enum http_first front_first(void *userdata, struct wire *wire, const struct http_head *head,
			    struct sv bytes, bool is_free);
void front_alien(void *userdata, struct wire *wire, enum http_alien alien);
/* Callbacks of the hub. The second one: the budget has dropped an answer that @peer does not
 * read. */
void front_closed(void *userdata, const struct address *peer);
void front_dropped(void *userdata, const struct address *peer, bool is_for_all);

/* reader-client.c */

/* Sends what is due, as far as the socket takes it. */
void client_send(struct client *client);
/* Reads up to @n bytes. Returns whether there were any. */
bool client_read(struct client *client, size_t n);
/* Closes both sides. */
void client_hang_up(struct client *client);
/* What the client has read must be the answers, in order, each once. */
void client_check(const struct client *client);
