/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The reader of HTTP on a real loop, with a client at the other end of a pair of sockets. For one
 * source file of a program, after cmocka.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http/date.h"
#include "gateway/http/reader.h"
#include "gateway/wire/state.h"

#define HEAD(path, n) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"

enum {
	TURNS = 20,
	TIMEOUT_S = 100,
	HELD_MAX = 2 * HTTP_PIPELINE_MAX,
	LARGE = WIRE_PORTION + 1, /* a body that has to be prepared */
};

static struct {
	uv_loop_t loop;
	struct wire_hub *hub;
	struct http_reader *reader;
	struct budget *budget;
	struct address peer;
	int theirs;
	struct http_exchange *held[HELD_MAX];
	unsigned n_held, n_cut, n_gone, n_done, n_malformed, n_given, n_closed, n_asked;
	enum http_fault fault;
	enum http_first first; /* what on_first() returns; 0: HTTP_FIRST_KEEP */
	bool passes, asks;
	unsigned n_prepared; /* calls of on_prepare() */
	bool is_unprepared;  /* what on_prepare() returns is false */
	char body[64];
	struct http_date date;
	uv_timer_t *pause; /* what the reader has set; NULL: nothing */
	uv_timer_cb on_pause_end;
} one;

/* Replaces that of libuv: the pauses of the reader end when end_pause() says so. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
	if (timeout == HTTP_PAUSE_MS && !repeat) {
		one.pause = timer;
		one.on_pause_end = callback;
	}
	return 0;
}

static inline struct address on_client(void *userdata, const struct http_exchange *exchange)
{
	(void)userdata;
	return *http_exchange_peer(exchange);
}

static inline void answer(struct http_exchange *exchange, unsigned status)
{
	http_exchange_answer(exchange, &(struct http_answer){.status = status});
}

static inline void on_cut(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	one.n_cut++;
	answer(exchange, 503);
}

static inline bool on_prepare(void *userdata, struct http_exchange *exchange, size_t n_portion)
{
	(void)userdata;
	assert_int_equal(n_portion, WIRE_PORTION);
	assert_in_range(http_exchange_body(exchange).n, n_portion + 1, LARGE);
	one.n_prepared++;
	return !one.is_unprepared;
}

/* Requests for /held are held, others are answered at once. */
static inline void on_request(void *userdata, struct http_exchange *exchange)
{
	struct sv body = http_exchange_body(exchange);

	(void)userdata;
	memcpy(one.body, body.data ? body.data : "", body.n < 63 ? body.n : 63);
	one.body[body.n < 63 ? body.n : 63] = '\0';
	if (http_path_eq(http_exchange_path(exchange), SV("/held"))) {
		one.held[one.n_held++] = exchange;
	} else {
		answer(exchange, 200);
	}
}

static inline void on_gone(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	(void)exchange;
	one.n_gone++;
}

static inline void on_done(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	for (unsigned i = 0; i < one.n_held; i++) {
		one.held[i] = one.held[i] == exchange ? NULL : one.held[i];
	}
	one.n_done++;
}

static inline void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	one.n_closed++;
}

static inline enum http_first on_first(void *userdata, struct wire *wire,
				       const struct http_head *head, struct sv bytes, bool is_free)
{
	(void)userdata;
	(void)head;
	(void)bytes;
	(void)is_free;
	one.n_asked++;
	if (one.first == HTTP_FIRST_TAKEN) {
		wire_close(wire);
	}
	return one.first;
}

static inline bool asks_always(void *userdata)
{
	(void)userdata;
	return one.asks;
}

static inline bool passes(void *userdata)
{
	(void)userdata;
	return one.passes;
}

static inline void on_alien(void *userdata, struct wire *wire, enum http_alien alien)
{
	(void)userdata;
	(void)alien;
	wire_close(wire);
}

static inline void on_malformed(void *userdata, struct http_exchange *exchange,
				enum http_fault fault)
{
	(void)userdata;
	one.n_malformed++;
	one.fault = fault;
	answer(exchange, http_fault_status(fault));
}

static const struct http_reader_callbacks callbacks = {
	.first = on_first,
	.asks_always = asks_always,
	.alien = on_alien,
	.malformed = on_malformed,
};

/* Returns 0 or -ENOMEM. */
static inline int open_reader(void)
{
	const struct wire_hub_options hub = {.loop = &one.loop, .closed = on_closed};
	const struct budget_limits limits = {.n_client = 1 << 20, .n_total = 1 << 20};
	int r = wire_hub_new(&hub, &one.hub);

	if (r == 0) {
		r = budget_new(&limits, 1, &one.budget);
	}
	const struct http_options options = {
		.loop = &one.loop,
		.hub = one.hub,
		.date = &one.date,
		.limits = {.n_body_max = 16384, .timeout_s = TIMEOUT_S},
		.budget = one.budget,
		.client = on_client,
		.cut = on_cut,
		.prepare = on_prepare,
		.request = on_request,
		.gone = on_gone,
		.done = on_done,
		.passes = passes,
		.closed = on_closed,
	};

	return r < 0 ? r : http_reader_new(&options, &callbacks, &one.reader);
}

static inline void close_reader(void)
{
	one.reader = http_reader_free(one.reader);
	wire_hub_close(one.hub);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	one.budget = budget_free(one.budget);
	if (one.theirs >= 0) {
		close(one.theirs);
	}
}

/* A connection on a socket of the kernel that works without the network. */
static inline int connect_client(void)
{
	struct wire *wire;
	int fds[2];
	int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ? -errno : 0;

	if (r == 0) {
		one.theirs = fds[1];
		r = wire_new(fds[0], &one.peer, &wire);
		if (r < 0) {
			close(fds[0]);
		}
	}
	if (r == 0) {
		r = http_reader_adopt(one.reader, wire, true);
		if (r < 0) {
			wire_close(wire);
		}
	}
	return r;
}

static inline void turn(void)
{
	for (int i = 0; i < TURNS; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

/* The time in which a request must be complete passes. */
static inline void pass_timeout(void)
{
	for (unsigned i = 0; i <= TIMEOUT_S; i++) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

static inline void say(const char *text)
{
	(void)!send(one.theirs, text, strlen(text), MSG_NOSIGNAL);
	turn();
}

/* The statuses of the answers that have come, as text. */
static inline const char *heard(void)
{
	static char statuses[256];
	char bytes[8192];
	ssize_t n = recv(one.theirs, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
	size_t at = 0;

	bytes[n > 0 ? n : 0] = '\0';
	for (char *line = strstr(bytes, "HTTP/1.1 "); line; line = strstr(line + 1, "HTTP/1.1 ")) {
		memcpy(statuses + at, line + 9, 4);
		at += 4;
	}
	statuses[at ? at - 1 : 0] = '\0';
	return statuses;
}

static inline int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.theirs = -1;
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(open_reader(), 0);
	assert_int_equal(connect_client(), 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	close_reader();
	assert_int_equal(one.n_closed, 1);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	return 0;
}

#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#define EXPECTING(n) \
	"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " n "\r\n\r\n"
