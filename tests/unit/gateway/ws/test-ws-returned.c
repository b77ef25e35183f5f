/* SPDX-License-Identifier: MIT */
/* The WebSocket server: what a session gets back of what it has sent when it ends in order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/ws/ws-ends-case.h"

/* Fills the queue, and the session ends. Returns how many messages there are. */
static unsigned end_session(void)
{
	unsigned n = fill(N_TEXT);

	assert_true(ws_is_waiting(one.connection));
	ws_return_unsent(one.connection);
	ws_close(one.connection, WS_CLOSE_NORMAL, SV_EMPTY);
	turn();
	assert_string_equal(told_all(), "");
	return n;
}

/* What came back of @n messages, and what was received of them, if @is_read. */
static void expect_each_once(unsigned n, const char *end, bool is_read)
{
	const char *log = told_all();
	unsigned first = 0, n_unsent = count(log, "<", &first);

	assert_true(n_unsent > 0);
	assert_int_equal(first + n_unsent, n);
	assert_string_equal(strrchr(log, '>') + 1, end);
	if (is_read) {
		assert_int_equal(receive(""), first);
		assert_true(is_cut());
	}
}

/* A session that wants back what its client does not read has closed the connection: the client
 * reads nothing, or has vanished. */
static void test_return_unsent(void **state)
{
	unsigned n = end_session();

	(void)state;
	pass(TIMEOUT_S);
	assert_string_equal(told_all(), "");
	pass(1);
	expect_each_once(n, "\nclosed\nreleased\n", true);
	close(one.theirs);
	turn();
	one.n_closed_wires = 0;
	open_one();
	n = end_session();
	close(one.theirs);
	one.theirs = -1;
	turn();
	expect_each_once(n, "\nclosed\nreleased\n", false);
}

/* The same for a client that has ended its side, with a close frame or without: until its time is
 * over it may read, and then nothing comes back. */
static void test_return_unsent_half_closed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bool is_clean = i & 1, is_shut = i & 2, is_read = i & 4;

		if (i) {
			one.n_closed_wires = 0;
			open_one();
		}
		unsigned n = end_session();

		if (is_clean) {
			say(CLOSE, "\x03\xe8");
		}
		if (is_shut) {
			shutdown(one.theirs, SHUT_WR);
			turn();
		}
		assert_string_equal(told_all(), "");
		if (is_read) {
			assert_int_equal(receive("close 1000 "), n);
			assert_string_equal(told_all(),
					    is_clean || is_shut
						    ? "drained\nemptied\nclosed\nreleased\n"
						    : "drained\nemptied\n");
		} else {
			pass(TIMEOUT_S + 1);
			expect_each_once(n, "\nclosed\nreleased\n", true);
		}
		close(one.theirs);
		one.theirs = -1;
		turn();
		(void)told_all();
	}
}

/* A client that has ended its side, and then breaks the connection. */
static void test_return_unsent_broken(void **state)
{
	unsigned n = end_session();

	(void)state;
	shutdown(one.theirs, SHUT_WR);
	turn();
	assert_string_equal(told_all(), "");
	close(one.theirs);
	one.theirs = -1;
	turn();
	expect_each_once(n, "\nclosed\nreleased\n", false);
}

/* What has begun is sent whole, and our close frame behind it. */
static void test_close_in_part(void **state)
{
	unsigned first = 0;

	(void)state;
	room = N_FRAME + 1;
	for (unsigned i = 0; i < 3; i++) {
		send_text(i, N_TEXT);
	}
	turn();
	say(CLOSE, "\x03\xe8");
	assert_int_equal(count(told_all(), "<", &first), 1);
	assert_int_equal(first, 2);
	make_room(SIZE_MAX);
	assert_int_equal(receive("close 1000 "), 2);
	assert_string_equal(told_all(), "released\n");
}

/* What is sent on a connection that has broken, and was not told yet, comes back as well. */
static void test_sent_too_late(void **state)
{
	unsigned first = 1;

	(void)state;
	close(one.theirs);
	one.theirs = -1;
	send_text(0, N_LONG);
	assert_true(one.connection->wire->is_broken);
	send_text(1, N_LONG);
	send_text(2, N_TEXT);
	turn();
	assert_int_equal(count(told_all(), "<", &first), 3);
	assert_int_equal(first, 0);
}

/* Few bytes of compressed messages may be many when they are expanded again: these count, as long
 * as one waits. */
static void test_congested_by_what_is_saved(void **state)
{
	static char text[8192];
	unsigned n = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	room = 0;
	for (; !ws_is_congested(one.connection); n++) {
		assert_int_equal(ws_send(one.connection, (struct sv){text, sizeof(text)}, SV_EMPTY),
				 0);
	}
	assert_in_range(n * sizeof(text), WS_HIGH_WATER, WS_HIGH_WATER + sizeof(text));
	size_t n_waiting = wire_waiting(one.connection->wire);

	assert_in_range(n_waiting, n, WS_LOW_WATER);
	make_room(n_waiting - 1);
	assert_string_equal(told(), "");
	assert_true(ws_is_congested(one.connection));
	make_room(SIZE_MAX);
	assert_string_equal(told(), "drained\n");
	assert_false(ws_is_congested(one.connection));
	/* It counts anew. */
	assert_int_equal(ws_send(one.connection, (struct sv){text, sizeof(text)}, SV_EMPTY), 0);
	assert_false(ws_is_congested(one.connection));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_return_unsent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_unsent_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_unsent_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_too_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_congested_by_what_is_saved, setup_coded,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
