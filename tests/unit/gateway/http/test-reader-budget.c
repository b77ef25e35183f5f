/* SPDX-License-Identifier: MIT */
/* What requests and answers hold, and large requests that their owner prepares. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <limits.h>

#define ZLIB_CONST
#include <zlib.h>

#include "gateway/http/coder.h"
#include "tests/unit/gateway/http/reader-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_early_answers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_that_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_that_nobody_waits_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_refused_body_is_free, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared_and_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_is_charged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
