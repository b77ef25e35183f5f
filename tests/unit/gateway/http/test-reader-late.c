/* SPDX-License-Identifier: MIT */
/* The time in which a request has to be complete, and its answer read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gateway/http/reader-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late_after_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_while_stalled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_slowly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_while_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_after_cut, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
