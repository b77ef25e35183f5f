/* SPDX-License-Identifier: MIT */
/*
 * The reader on a real loop: requests that are answered at once, later, in another order, and
 * never; clients that go away; connections that pause; and each allocation failing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <limits.h>
#include <unistd.h>

#define ZLIB_CONST
#include <zlib.h>

#include "gateway/http/coder.h"
#include "gateway/http/date.h"
#include "gateway/http/reader.h"
#include "gateway/wire/state.h"
#include "tests/unit/failmalloc.h"

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

static struct address on_client(void *userdata, const struct http_exchange *exchange)
{
	(void)userdata;
	return *http_exchange_peer(exchange);
}

static void answer(struct http_exchange *exchange, unsigned status)
{
	http_exchange_answer(exchange, &(struct http_answer){.status = status});
}

static void on_cut(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	one.n_cut++;
	answer(exchange, 503);
}

static bool on_prepare(void *userdata, struct http_exchange *exchange, size_t n_portion)
{
	(void)userdata;
	assert_int_equal(n_portion, WIRE_PORTION);
	assert_in_range(http_exchange_body(exchange).n, n_portion + 1, LARGE);
	one.n_prepared++;
	return !one.is_unprepared;
}

/* Requests for /held are held, others are answered at once. */
static void on_request(void *userdata, struct http_exchange *exchange)
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

static void on_gone(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	(void)exchange;
	one.n_gone++;
}

static void on_done(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	for (unsigned i = 0; i < one.n_held; i++) {
		one.held[i] = one.held[i] == exchange ? NULL : one.held[i];
	}
	one.n_done++;
}

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	one.n_closed++;
}

static enum http_first on_first(void *userdata, struct wire *wire, const struct http_head *head,
				struct sv bytes, bool is_free)
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

static bool asks_always(void *userdata)
{
	(void)userdata;
	return one.asks;
}

static bool passes(void *userdata)
{
	(void)userdata;
	return one.passes;
}

static void on_alien(void *userdata, struct wire *wire, enum http_alien alien)
{
	(void)userdata;
	(void)alien;
	wire_close(wire);
}

static void on_malformed(void *userdata, struct http_exchange *exchange, enum http_fault fault)
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
static int open_reader(void)
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

static void close_reader(void)
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
static int connect_client(void)
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

static void turn(void)
{
	for (int i = 0; i < TURNS; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

/* The time in which a request must be complete passes. */
static void pass_timeout(void)
{
	for (unsigned i = 0; i <= TIMEOUT_S; i++) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

static void say(const char *text)
{
	(void)!send(one.theirs, text, strlen(text), MSG_NOSIGNAL);
	turn();
}

/* The statuses of the answers that have come, as text. */
static const char *heard(void)
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

static int setup(void **state)
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

static int teardown(void **state)
{
	(void)state;
	close_reader();
	assert_int_equal(one.n_closed, 1);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	return 0;
}

static void test_at_once(void **state)
{
	(void)state;
	say(HEAD("/x", "5") "hello");
	assert_string_equal(heard(), "200");
	assert_string_equal(one.body, "hello");
	say(HEAD("/x", "5") "hello" HEAD("/y", "0"));
	assert_string_equal(heard(), "200 200");
	assert_int_equal(one.n_done, 3);
	assert_string_equal(one.body, "");
	assert_false(http_reader_is_busy(one.reader));
	/* In pieces. */
	say("POST /x HTTP/1.1\r\nHo");
	assert_true(http_reader_is_busy(one.reader));
	say("st: a\r\nContent-Length: 6\r\n\r\nab");
	say("cd");
	say("efPOST");
	assert_string_equal(heard(), "200");
	assert_string_equal(one.body, "abcdef");
}

/* A body that has come with its head is passed on where it is. The exchange is all it takes. */
static void test_at_hand(void **state)
{
	(void)state;
	say(HEAD("/x", "5") "hello"); /* the first answer takes memory that is kept */
	failmalloc_arm(2, true);
	say(HEAD("/x", "5") "world");
	assert_int_equal(failmalloc_disarm(), 0);
	assert_string_equal(heard(), "200 200");
	assert_string_equal(one.body, "world");
	/* More of it has to be kept until the rest comes. */
	failmalloc_arm(2, true);
	say(HEAD("/x", "6") "world");
	assert_int_equal(failmalloc_disarm(), 1);
}

/* A coded one is not, although it has come as a whole. */
static void test_coded_at_hand(void **state)
{
	static const char *const names[] = {[CODING_IDENTITY] = "identity",
					    [CODING_GZIP] = "gzip",
					    [CODING_DEFLATE] = "deflate"};
	struct http_limits limits = {.n_body_max = 16384, .timeout_s = TIMEOUT_S};
	char head[200];

	(void)state;
	assert_int_equal(coder_new(&limits.coder), 0);
	http_reader_reload(one.reader, &limits);
	for (enum coding coding = CODING_IDENTITY; coding <= CODING_DEFLATE; coding++) {
		struct buffer request = BUFFER_INIT;
		struct blob *body;

		assert_int_equal(coding ? coder_encode(limits.coder, coding, SV("hello"), &body)
					: blob_new(5, &body),
				 0);
		if (!coding) {
			memcpy(body->data, "hello", 5);
		}
		(void)snprintf(head, sizeof(head),
			       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\n"
			       "Content-Length: %zu\r\n\r\n",
			       names[coding], body->n);
		assert_int_equal(buffer_append_sv(&request, sv_from(head)), 0);
		assert_int_equal(buffer_append_sv(&request, blob_sv(body)), 0);
		one.body[0] = '\0';
		(void)!send(one.theirs, buffer_sv(&request).data, request.n, MSG_NOSIGNAL);
		turn();
		assert_string_equal(one.body, "hello");
		assert_string_equal(heard(), "200");
		blob_unref(body);
		buffer_deinit(&request);
	}
	limits.coder = coder_free(limits.coder);
	http_reader_reload(one.reader, &limits);
}

/* The answers go out in the order of the requests. */
static void test_order(void **state)
{
	(void)state;
	say(HEAD("/held", "1") "1" HEAD("/held", "1") "2" HEAD("/x", "0"));
	assert_int_equal(one.n_held, 2);
	answer(one.held[1], 201);
	turn();
	assert_string_equal(heard(), "");
	assert_int_equal(one.n_done, 0);
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 201 200");
	assert_int_equal(one.n_done, 3);
	assert_int_equal(one.n_gone, 0);
}

/* No more than HTTP_PIPELINE_MAX are read ahead. */
static void test_bound(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_PIPELINE_MAX + 1; i++) {
		say(HEAD("/held", "0"));
	}
	assert_int_equal(one.n_held, HTTP_PIPELINE_MAX);
	answer(one.held[0], 200);
	turn();
	assert_int_equal(one.n_held, HTTP_PIPELINE_MAX + 1);
}

#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#define EXPECTING(n) \
	"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " n "\r\n\r\n"

/* Chunks in one piece, byte by byte, and with another request behind them. */
static void test_chunked(void **state)
{
	static const char request[] = CHUNKED("/x") "2;e\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n";

	(void)state;
	say(request);
	assert_string_equal(one.body, "hello");
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		const char byte[] = {request[i], '\0'};

		one.body[0] = '\0';
		say(byte);
	}
	assert_string_equal(one.body, "hello");
	assert_string_equal(heard(), "200 200");
	say(CHUNKED("/held") "1\r\na\r\n0\r\n\r\n" HEAD("/x", "1") "b");
	assert_string_equal(one.body, "b");
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 200");
}

/* Nothing behind it is read. Its answer waits for its turn. */
static void test_bad_chunk(void **state)
{
	(void)state;
	say(HEAD("/held", "0") CHUNKED("/x") "1\r\nxy\r\n" HEAD("/held", "0"));
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_CHUNK);
	assert_string_equal(heard(), "");
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 400");
	assert_int_equal(one.n_held, 1);
}

/* What was refused while an earlier request is held is not refused again when its time is over. */
static void test_late_after_refusal(void **state)
{
	static const char *const refused[] = {CHUNKED("/x") "1\r\nxy\r\n",
					      "GET / HTTP/1.1\r\nHost: a\r\nBad header\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		one.n_malformed = one.n_held = 0;
		if (i > 0) {
			close(one.theirs);
			turn();
			one.n_closed = 0;
			assert_int_equal(connect_client(), 0);
		}
		say(HEAD("/held", "0"));
		/* In two pieces, so that the head is kept. */
		char first[24] = "";

		memcpy(first, refused[i], 20);
		say(first);
		say(refused[i] + 20);
		assert_int_equal(one.n_malformed, 1);
		pass_timeout();
		assert_int_equal(one.n_malformed, 1);
		answer(one.held[0], 200);
		turn();
		assert_string_equal(heard(), "200 400");
	}
}

/* Without a refusal it is late, also one that wants to be the last. */
static void test_late(void **state)
{
	(void)state;
	say(HEAD("/held", "0") "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			       "Content-Length: 5\r\n\r\nhe");
	pass_timeout();
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_LATE);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 408");
}

/* Answers the oldest request with more than the socket takes and more than may wait. */
static void answer_at_length(void)
{
	struct blob *body;

	assert_int_equal(blob_new(1 << 20, &body), 0);
	memset(body->data, 'x', body->n);
	http_exchange_answer(
		one.held[0],
		&(struct http_answer){.status = 200, .content_type = "a/b", .body = body});
	turn();
}

static size_t read_all(void)
{
	static char bytes[1 << 16];
	size_t n_all = 0;
	ssize_t n;

	while ((n = recv(one.theirs, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		n_all += (size_t)n;
		turn();
	}
	return n_all;
}

/* Nor is one that is not read, because the client has to read an answer first. That it has to do
 * within the time that a connection may be idle. */
static void test_late_while_stalled(void **state)
{
	(void)state;
	http_reader_reload(one.reader, &(struct http_limits){.n_body_max = 16384, .timeout_s = 5});
	for (int i = 0; i < 2; i++) {
		say(HEAD("/held", "0") "POST /x HTTP/1.1\r\nHo");
		one.held[0] = one.held[one.n_held - 1];
		answer_at_length();
		say("st: a\r\nContent-Length: 0\r\n\r\n");
		for (unsigned j = 0; j < (i ? HTTP_IDLE_S + 1 : HTTP_IDLE_S - 1); j++) {
			if (i && j % 10 == 0) {
				/* What it sends renews nothing. */
				say("G");
			}
			wire_deadline_tick(one.hub);
			turn();
		}
		assert_int_equal(one.n_malformed, 0);
		assert_int_equal(one.n_closed, i);
		assert_true(i || read_all() > 1 << 20);
		assert_int_equal(one.n_done, 2 + i);
	}
}

/* Reads until the wire has sent more of what waits, but not all. */
static void read_some(void)
{
	static char bytes[1 << 16];

	for (int i = 0; i < 8; i++) {
		assert_true(recv(one.theirs, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
		turn();
	}
}

static void tick(unsigned n_seconds)
{
	for (unsigned i = 0; i < n_seconds; i++) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

/* A client that reads a long answer slowly is not idle. */
static void test_reads_slowly(void **state)
{
	(void)state;
	say(HEAD("/held", "0"));
	answer_at_length();
	for (int i = 0; i < 2; i++) {
		tick(HTTP_IDLE_S - 1);
		read_some();
	}
	tick(HTTP_IDLE_S - 1);
	assert_int_equal(one.n_closed, 0);
	assert_true(read_all() > 0);
}

/* But to read renews no time in which its next request has to be complete. */
static void test_late_while_reading(void **state)
{
	(void)state;
	http_reader_reload(one.reader, &(struct http_limits){.n_body_max = 16384, .timeout_s = 5});
	say(HEAD("/held", "0"));
	answer(one.held[0], 200);
	say(HEAD("/held", "0") "POST /x HTTP/1.1\r\nHo");
	one.held[0] = one.held[1];
	answer_at_length();
	tick(3);
	assert_int_equal(one.n_malformed, 0);
	read_some();
	tick(3);
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_LATE);
	assert_true(read_all() > 0);
}

/* A body that was refused gives its memory back at once, and is no victim of the budget. */
static void test_refused_body_is_free(void **state)
{
	char chunk[8192 + 32];

	(void)state;
	say(HEAD("/held", "0") CHUNKED("/x"));
	snprintf(chunk, sizeof(chunk), "2000\r\n%08192d\r\n", 7);
	say(chunk);
	assert_int_not_equal(budget_bytes(one.budget), 0);
	say("zz\r\n");
	assert_int_equal(one.fault, HTTP_FAULT_CHUNK);
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* One that the budget has taken is answered, and not refused again. */
static void test_late_after_cut(void **state)
{
	struct budget_charge charge = BUDGET_CHARGE_INIT(0, NULL);
	char chunk[8192 + 32];

	(void)state;
	say(HEAD("/held", "0") CHUNKED("/x"));
	snprintf(chunk, sizeof(chunk), "2000\r\n%08192d\r\n", 7);
	say(chunk);
	assert_int_equal(budget_hold(one.budget, &charge, &one.peer, (1 << 20) - 4096), 0);
	budget_evict(one.budget, 0);
	assert_int_equal(one.n_cut, 1);
	pass_timeout();
	assert_int_equal(one.n_malformed, 0);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 503");
	budget_release(one.budget, &charge);
}

static bool bounds_all(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	return true;
}

static void answer_long(struct http_exchange *exchange, size_t n)
{
	struct blob *body;

	assert_int_equal(blob_new(n, &body), 0);
	memset(body->data, 'x', n);
	http_exchange_answer(exchange, &(struct http_answer){.status = 200, .body = body});
}

/* Answers that wait for one before them are held like those that are not read: a client that has a
 * request held could have seven large ones on each of its connections. */
static void test_early_answers_are_bounded(void **state)
{
	enum {
		STEP = BUDGET_STEP,
		LONG = 128 * 1024, /* with the head, one step more */
		HELD = 2 * (LONG + STEP),
	};
	struct budget_limits limits = {HELD, HELD, BUDGET_LARGEST};

	(void)state;
	one.hub->options.unread = one.budget;
	one.hub->options.is_bounded = bounds_all;
	budget_set_limits(one.budget, &limits);
	say(HEAD("/held", "0") HEAD("/held", "0") HEAD("/held", "0") HEAD("/held", "0"));
	answer_long(one.held[1], LONG);
	assert_in_range(budget_bytes(one.budget), LONG, LONG + STEP);
	answer_long(one.held[2], LONG);
	budget_evict(one.budget, 0);
	turn();
	assert_in_range(budget_bytes(one.budget), 2 * LONG, HELD);
	assert_int_equal(one.n_gone, 0);
	answer_long(one.held[3], 2 * STEP);
	budget_evict(one.budget, 0);
	turn();
	/* The connection has ended, with all that was kept. */
	assert_int_equal(one.n_gone, 1);
	assert_int_equal(one.n_done, 4);
	assert_int_equal(one.n_closed, 1);
	assert_int_equal(budget_bytes(one.budget), 0);
	assert_string_equal(heard(), "");
}

/* When their turn has come they are charged as what is not read, and then as nothing. */
static void test_early_answers_that_are_read(void **state)
{
	enum { LONG = 1 << 19 };
	char some[4096];
	size_t n = 0;

	(void)state;
	one.hub->options.unread = one.budget;
	one.hub->options.is_bounded = bounds_all;
	say(HEAD("/held", "0") HEAD("/held", "0"));
	answer_long(one.held[1], LONG);
	assert_in_range(budget_bytes(one.budget), LONG, LONG + BUDGET_STEP);
	answer(one.held[0], 204);
	assert_in_range(budget_bytes(one.budget), LONG, LONG + BUDGET_STEP);
	for (ssize_t r = 1; r > 0;) {
		r = recv(one.theirs, some, sizeof(some), MSG_DONTWAIT);
		n += r > 0 ? (size_t)r : 0;
		turn();
	}
	assert_true(n > LONG);
	assert_int_equal(budget_bytes(one.budget), 0);
	assert_int_equal(one.n_done, 2);
}

/* Those that the client has given up are freed, though it still reads what was sent before. */
static void test_early_answers_that_nobody_waits_for(void **state)
{
	enum {
		STEP = BUDGET_STEP,
		SENT = 1 << 21, /* more than the kernel takes */
		EARLY = 1 << 19,
	};
	struct budget_limits limits = {2 * SENT, 2 * SENT, BUDGET_LARGEST};

	(void)state;
	one.hub->options.unread = one.budget;
	one.hub->options.is_bounded = bounds_all;
	budget_set_limits(one.budget, &limits);
	say(HEAD("/held", "0") HEAD("/held", "0") HEAD("/held", "0"));
	answer_long(one.held[2], EARLY);
	answer_long(one.held[0], SENT);
	assert_in_range(budget_bytes(one.budget), SENT + EARLY, SENT + EARLY + 2 * STEP);
	assert_int_equal(shutdown(one.theirs, SHUT_WR), 0);
	turn();
	assert_int_equal(one.n_gone, 1);
	assert_int_equal(one.n_closed, 0);
	assert_in_range(budget_bytes(one.budget), SENT, SENT + 2 * STEP);
}

/* A request whose body has LARGE bytes, which are coded if @coder is not NULL, behind @before. */
static void say_large(const char *before, struct coder *coder)
{
	const struct http_limits limits = {
		.n_body_max = LARGE, .timeout_s = TIMEOUT_S, .coder = coder};
	static char body[LARGE], coded[LARGE];
	char head[200];
	uLongf n = sizeof(coded);

	http_reader_reload(one.reader, &limits);
	memset(body, 'x', sizeof(body));
	assert_int_equal(compress2((Bytef *)coded, &n, (const Bytef *)body, sizeof(body), 9), Z_OK);
	struct sv rest = coder ? (struct sv){coded, n} : (struct sv){body, sizeof(body)};

	(void)snprintf(head, sizeof(head),
		       "%sPOST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\n"
		       "Content-Length: %zu\r\n\r\n",
		       before, coder ? "deflate" : "identity", rest.n);
	say(head);
	while (rest.n) {
		ssize_t n_sent = send(one.theirs, rest.data, rest.n, MSG_NOSIGNAL);

		rest = sv_skip(rest, n_sent > 0 ? (size_t)n_sent : 0);
		turn();
	}
}

/* The owner takes its time with a large request: the client's has not passed. */
static void test_prepared(void **state)
{
	(void)state;
	one.is_unprepared = true;
	say_large("", NULL);
	assert_in_range(one.n_prepared, 2, UINT_MAX);
	pass_timeout();
	assert_int_equal(one.n_malformed, 0);
	assert_int_equal(one.n_done, 0);
	assert_string_equal(heard(), "");
	one.is_unprepared = false;
	turn();
	assert_string_equal(heard(), "200");
	assert_int_equal(one.n_done, 1);
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* The owner hears that a request is over of which it has read a part. */
static void test_prepared_end(void **state)
{
	(void)state;
	one.is_unprepared = true;
	say_large("", NULL);
	close_reader();
	one.theirs = -1;
	assert_int_equal(one.n_done, 1);
	assert_int_equal(open_reader(), 0);
}

/* What a coded body becomes is charged while it waits. */
static void test_prepared_is_charged(void **state)
{
	struct coder *coder;

	(void)state;
	assert_int_equal(coder_new(&coder), 0);
	one.is_unprepared = true;
	say_large("", coder);
	assert_in_range(budget_bytes(one.budget), LARGE, 2 * LARGE);
	one.is_unprepared = false;
	turn();
	assert_string_equal(heard(), "200");
	assert_int_equal(budget_bytes(one.budget), 0);
	http_reader_reload(one.reader, &(struct http_limits){.n_body_max = LARGE});
	coder_free(coder);
}

/* If the budget takes it meanwhile, the owner hears so at once, not with the answer. */
static void test_prepared_and_cut(void **state)
{
	struct budget_charge charge = BUDGET_CHARGE_INIT(0, NULL);

	(void)state;
	one.is_unprepared = true;
	say_large(HEAD("/held", "0"), NULL);
	assert_int_equal(budget_hold(one.budget, &charge, &one.peer, (1 << 20) - 4096), 0);
	budget_evict(one.budget, 0);
	assert_int_equal(one.n_cut, 1);
	assert_int_equal(one.n_done, 1);
	unsigned n_prepared = one.n_prepared;

	turn();
	assert_int_equal(one.n_prepared, n_prepared);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 503");
	assert_int_equal(one.n_done, 2);
	budget_release(one.budget, &charge);
}

/* The head of a request whose body has not come is charged, too. */
static void test_head_is_charged(void **state)
{
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text),
		 "POST /x HTTP/1.1\r\nHost: a\r\nCookie: %06000d\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 7);
	say(text);
	assert_int_not_equal(budget_bytes(one.budget), 0);
	say("0\r\n\r\n");
	assert_string_equal(heard(), "200");
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* A request that is refused for its announced length is not kept as one with half a head. */
static void test_hopeless_behind_held(void **state)
{
	(void)state;
	say(HEAD("/held", "0"));
	one.asks = true;
	one.first = HTTP_FIRST_MORE;
	say(HEAD("/x", "999999999"));
	pass_timeout();
	assert_int_equal(one.n_malformed, 0);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 200");
}

/* One byte more than may be, and what is discarded of such a body. */
static void test_chunked_bound(void **state)
{
	char chunk[16384 + 32];

	(void)state;
	for (size_t above = 0; above <= 1; above++) {
		snprintf(chunk, sizeof(chunk), "%s%zx\r\n%0*d\r\n0\r\n\r\n", "", 16384 + above,
			 (int)(16384 + above), 7);
		say(CHUNKED("/x"));
		say(chunk);
		assert_string_equal(heard(), "200");
	}
	say(CHUNKED("/held"));
	for (size_t i = 0; i < HTTP_DISCARD_MAX / 16384 + 2 && one.n_held == 0; i++) {
		snprintf(chunk, sizeof(chunk), "4000\r\n%016384d\r\n", 7);
		say(chunk);
	}
	assert_int_equal(one.n_held, 1);
	assert_true(http_exchange_body_too_large(one.held[0]));
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200");
}

/* RFC 9110, 10.1.1: the client is told to send its body once those before it are answered, and not
 * if it does so by itself or the body is too large. */
static void test_continue(void **state)
{
	(void)state;
	say(HEAD("/held", "0") EXPECTING("1"));
	assert_string_equal(heard(), "");
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 100");
	say("x");
	assert_string_equal(heard(), "200");
	say(EXPECTING("1") "x");
	assert_string_equal(heard(), "200");
	say(EXPECTING("16384"));
	assert_string_equal(heard(), "100");
}

static void test_continue_bound(void **state)
{
	(void)state;
	say(EXPECTING("16385"));
	assert_string_equal(heard(), "200");
	say(HEAD("/held", "0"));
	assert_int_equal(one.n_held, 0);
	assert_false(http_reader_is_busy(one.reader));
}

static void test_escapes(void **state)
{
	(void)state;
	say(HEAD("/%68el%64", "0"));
	assert_int_equal(one.n_held, 1);
	say(HEAD("/held%00", "1"));
	say("y");
	assert_string_equal(one.body, "y");
	assert_int_equal(one.n_held, 1);
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 200");
}

/* The client goes while requests are held: each is gone once, and answers to them are dropped. */
static void test_gone(void **state)
{
	(void)state;
	say(HEAD("/held", "0") HEAD("/held", "0"));
	answer(one.held[1], 200);
	shutdown(one.theirs, SHUT_WR);
	turn();
	assert_int_equal(one.n_gone, 1);
	assert_int_equal(one.n_done, 2);
	assert_string_equal(heard(), "");
}

/* What speaks no HTTP is given away, once. */
static void test_alien(void **state)
{
	(void)state;
	say("SSH-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(one.n_closed, 1);
	assert_false(http_reader_is_busy(one.reader));
}

/* A fault behind a held request is told in its turn, and ends the connection. */
static void test_fault(void **state)
{
	(void)state;
	say(HEAD("/held", "0") "GET / HTTP/1.1\r\n\r\n" HEAD("/x", "0"));
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_HOST);
	assert_string_equal(heard(), "");
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 400");
	assert_int_equal(one.n_done, 1);
}

/* A body of n bytes is whole, of n + 1 its beginning. */
static void test_body_bound(void **state)
{
	static char text[64 * 1024];
	size_t n;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		n = (size_t)snprintf(text, sizeof(text), HEAD("/held", "%zu"), 16384 + extra);
		memset(text + n, 'x', 16384 + extra);
		text[n + 16384 + extra] = '\0';
		say(text);
		assert_int_equal(http_exchange_body_too_large(one.held[extra]), extra);
		answer(one.held[extra], 200);
	}
}

/* A body that is not read to its end is refused at once, although the first request would wait for
 * more of it. */
static void test_hopeless(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_MORE;
	/* The exchange is all that it takes: its head is not kept for more. */
	failmalloc_arm(2, true);
	say(HEAD("/held", "999999999"));
	assert_int_equal(failmalloc_disarm(), 0);
	say("x");
	assert_int_equal(one.n_gone, 0);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200");
}

static void end_pause(void)
{
	uv_timer_t *pause = one.pause;

	assert_non_null(pause);
	one.pause = NULL;
	one.on_pause_end(pause);
	turn();
}

/* While nobody takes the connection it is asked once a pause, whatever else arrives. */
static void test_pause(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "5") "he");
	say("l");
	say("lo" HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	assert_true(http_reader_is_busy(one.reader));
	end_pause();
	assert_int_equal(one.n_asked, 2);
	assert_string_equal(heard(), "");
	one.first = HTTP_FIRST_KEEP;
	end_pause();
	assert_string_equal(heard(), "200 200");
	assert_string_equal(one.body, "");
	assert_null(one.pause);
	assert_false(http_reader_is_busy(one.reader));
}

/* After n pauses it still waits, after one more it is refused. */
static void test_pauses_bound(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "0"));
	for (int i = 1; i < HTTP_PAUSES_MAX; i++) {
		end_pause();
	}
	assert_int_equal(one.n_malformed, 0);
	end_pause();
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_NOT_TAKEN);
	assert_string_equal(heard(), "503");
	assert_null(one.pause);
}

/* Only the first request is asked, unless each is to be. */
static void test_asks_always(void **state)
{
	(void)state;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	one.asks = true;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 3);
}

/* Who has taken the connection is not asked again, and the reader has forgotten it. */
static void test_taken(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_TAKEN;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	assert_int_equal(one.n_done, 0);
	assert_string_equal(heard(), "");
	assert_false(http_reader_is_busy(one.reader));
}

/* Pauses that are over do not count for those that follow. */
static void test_pauses_anew(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "5"));
	one.first = HTTP_FIRST_MORE;
	end_pause();
	one.first = HTTP_FIRST_PAUSE;
	say("h");
	for (int i = 1; i < HTTP_PAUSES_MAX; i++) {
		end_pause();
	}
	assert_int_equal(one.n_malformed, 0);
	end_pause();
	assert_int_equal(one.n_malformed, 1);
}

/* The request is answered, and the connection ends: what follows it is not read. */
static void test_last(void **state)
{
	char bytes[4096];

	(void)state;
	one.first = HTTP_FIRST_LAST;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	ssize_t n = recv(one.theirs, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	bytes[n] = '\0';
	assert_non_null(strstr(bytes, "HTTP/1.1 200"));
	assert_non_null(strstr(bytes, "Connection: close\r\n"));
	assert_null(strstr(bytes + 1, "HTTP/1.1"));
	assert_int_equal(recv(one.theirs, bytes, 1, MSG_DONTWAIT), 0);
}

static bool on_given(void *userdata, struct wire *wire)
{
	(void)userdata;
	one.n_given++;
	wire_close(wire);
	return true;
}

static bool on_not_given(void *userdata, struct wire *wire)
{
	(void)userdata;
	(void)wire;
	one.n_given++;
	return false;
}

/* A request that begins a connection is judged before it is read. Those behind it only while
 * connections may go to another process. */
static void test_give_idle(void **state)
{
	(void)state;
	say(HEAD("/x", "0") "POST ");
	http_reader_give_idle(one.reader, on_given);
	assert_int_equal(one.n_given, 0);
	one.passes = true;
	say("/x HTTP/1.1\r\nHost: a\r\n\r\n");
	say("POST ");
	assert_string_equal(heard(), "200 200");
	http_reader_give_idle(one.reader, on_given);
	assert_int_equal(one.n_given, 1);
}

/* One that nobody takes goes on as before. */
static void test_give_idle_in_vain(void **state)
{
	(void)state;
	one.passes = true;
	say(HEAD("/x", "0"));
	assert_string_equal(heard(), "200");
	http_reader_give_idle(one.reader, on_not_given);
	assert_int_equal(one.n_given, 1);
	say(HEAD("/x", "0"));
	assert_string_equal(heard(), "200");
	assert_int_equal(one.n_closed, 0);
}

/* A client that does not wait any longer is let go before the pause ends. */
static void test_gone_in_pause(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "0"));
	close(one.theirs);
	one.theirs = -1;
	turn();
	assert_int_equal(one.n_closed, 1);
	end_pause();
}

/* Everything at once, while allocations fail. */
static int scenario(void *userdata)
{
	struct http_exchange **held = one.held;
	int r;

	(void)userdata;
	one.n_held = 0;
	one.theirs = -1;
	r = open_reader();
	if (r == 0) {
		r = connect_client();
	}
	if (r == 0) {
		say(HEAD("/held", "2") "1");
		say("1" HEAD("/held", "1") "2GET /");
		if (one.n_held > 1 && held[1]) {
			answer(held[1], 200);
		}
		if (one.n_held > 1 && held[0]) {
			answer(held[0], 200);
		}
		say(" HTTP/1.1\r\nHost: a\r\n\r\n" CHUNKED("/%78") "1\r\n");
		say("a\r\n0\r\n\r\n" EXPECTING("1"));
		say("bGET / HTTP/1.1\r\nBad\r\n\r\n");
	}
	close_reader();
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	failmalloc_each(scenario, NULL, 8);
	assert_int_equal(uv_loop_close(&one.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_coded_at_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_that_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_that_nobody_waits_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_chunked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_after_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_while_stalled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_slowly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_while_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_body_is_free, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_after_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_and_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hopeless_behind_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chunked_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_continue_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alien, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hopeless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pauses_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pauses_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_always, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_in_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_idle_in_vain, setup, teardown),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
