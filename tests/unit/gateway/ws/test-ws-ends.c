/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket server: the ends of connections to clients that do not read, and the end without
 * memory. A message is either received, or the session gets it back, or the kernel has it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/ws/ws-ends-case.h"

/* The client vanishes, and the messages of the queue come back, each once and in order. What the
 * kernel has is not known to be lost. */
static void test_reset(void **state)
{
	unsigned n = fill(N_TEXT), first = 0;

	(void)state;
	close(one.theirs);
	one.theirs = -1;
	turn();
	const char *log = told_all();
	unsigned n_unsent = count(log, "<", &first);

	assert_int_equal(first + n_unsent, n);
	assert_in_range(n_unsent * N_FRAME, WS_HIGH_WATER + 1, WS_HIGH_WATER + 2 * N_FRAME);
	assert_string_equal(strrchr(log, '>'), ">\nclosed\nreleased\n");
}

/* Whatever is sent of three messages, those come back of which a byte is missing. */
static void test_sent_in_part(void **state)
{
	static const size_t sent[] = {0, 1, N_FRAME - 1, N_FRAME, N_FRAME + 1, 3 * N_FRAME - 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sent); i++) {
		unsigned first = 0;

		if (i) {
			one.n_closed_wires = 0;
			open_one();
		}
		room = 0;
		for (unsigned j = 0; j < 3; j++) {
			send_text(j, N_TEXT);
		}
		turn();
		/* In two steps. */
		make_room(sent[i] / 2);
		make_room(sent[i] - sent[i] / 2);
		room = SIZE_MAX;
		close(one.theirs);
		one.theirs = -1;
		ws_server_stop(one.server);
		assert_int_equal(count(told_all(), "<", &first), 3 - sent[i] / N_FRAME);
		assert_int_equal(first, sent[i] / N_FRAME);
		turn();
	}
}

/* The same for a message that is so long that it is sent at once. */
static void test_long_in_part(void **state)
{
	unsigned first = 1;

	(void)state;
	room = N_LONG / 2;
	send_text(0, N_LONG);
	assert_int_equal(room, 0);
	send_text(1, N_LONG);
	ws_server_stop(one.server);
	room = SIZE_MAX;
	assert_int_equal(count(told_all(), "<", &first), 2);
	assert_int_equal(first, 0);
}

/* The answer to the handshake is no message. */
static void test_nothing_sent(void **state)
{
	unsigned first = 1;

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		one.n_closed_wires = 0;
		room = n;
		assert_int_equal(adopt(false, SV_EMPTY), 0);
		send_text(0, N_TEXT);
		turn();
		room = SIZE_MAX;
		ws_server_stop(one.server);
		assert_int_equal(count(told_all(), "<", &first), 1);
		assert_int_equal(first, 0);
		close(one.theirs);
		one.theirs = -1;
		turn();
	}
}

/* The client has sent its close frame: it gets what has begun and our close frame, and nothing
 * between them. */
static void closes(size_t n_text)
{
	unsigned n = fill(n_text), first = 0;

	say(CLOSE, "\x03\xe8");
	const char *log = told_all();

	assert_string_equal(strrchr(log, '>'), ">\nclosed\n");
	unsigned n_unsent = count(log, "<", &first);

	assert_true(n_unsent > 0);
	assert_int_equal(first + n_unsent, n);
	if (n_text == N_TEXT) {
		assert_int_equal(receive("close 1000 "), first);
	}
	hear();
	turn();
	assert_string_equal(told_all(), "released\n");
	assert_true(is_cut());
}

static void test_close(void **state)
{
	(void)state;
	closes(N_TEXT);
}

/* Those that come back are as they were before they were compressed. */
static void test_close_coded(void **state)
{
	(void)state;
	closes(N_NOISE);
}

/* The client ends its side without a close frame, and may read on: what comes back does not reach
 * it. */
static void test_half_closed(void **state)
{
	unsigned n = fill(N_TEXT), first = 0;

	(void)state;
	shutdown(one.theirs, SHUT_WR);
	turn();
	const char *log = told_all();
	unsigned n_unsent = count(log, "<", &first);

	assert_int_equal(first + n_unsent, n);
	assert_string_equal(strrchr(log, '>'), ">\nclosed\nreleased\n");
	assert_int_equal(receive(""), first);
	assert_true(is_cut());
}

/* Nothing comes back that stands behind or before our own close frame: the client still gets it. */
static void test_closed_before(void **state)
{
	unsigned n = fill(N_TEXT);

	(void)state;
	ws_close(one.connection, WS_CLOSE_NORMAL, SV_EMPTY);
	say(CLOSE, "\x03\xe8");
	assert_string_equal(told_all(), "closed\n");
	assert_int_equal(receive("close 1000 "), n);
	assert_string_equal(told_all(), "released\n");
}

/* Memory. */

/* Without memory for a message nothing of it is sent, and the close frame finds its place: behind
 * what waits, or, if nothing does, at once. */
static void test_message_without_memory(void **state)
{
	static char text[WS_HIGH_WATER];
	static const size_t lengths[] = {N_TEXT, WIRE_LATER_MAX, N_LONG, sizeof(text)};

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(lengths); i++) {
		bool is_queued = i % 2;

		if (i) {
			one.n_closed_wires = 0;
			open_one();
		}
		/* Together with it, nothing fits into what is allocated. */
		if (is_queued) {
			assert_int_equal(ws_send(one.connection, (struct sv){text, 240}, SV_EMPTY),
					 0);
		}
		failmalloc_arm(1, true);
		int r = ws_send(one.connection, (struct sv){text, lengths[i / 2]}, SV_EMPTY);

		ws_close(one.connection, WS_CLOSE_INTERNAL,
			 SV("a reason for which there is no room"
			    ", because it is too long"));
		assert_true(failmalloc_disarm() > 0);
		assert_int_equal(r, -ENOMEM);
		turn();
		const char *frames = heard();

		assert_int_equal(strncmp(frames, "text of 240 ", 12) == 0, is_queued);
		assert_string_equal(strstr(frames, "close"), "close 1011 ");
		say(CLOSE, "\x03\xf3");
		expect_end("closed\nreleased\n", "");
		close(one.theirs);
		one.theirs = -1;
		turn();
	}
}

/* A pong, or a ping, for which there is no memory. */
static void test_control_without_memory(void **state)
{
	static const char ping[] = {(char)PING, (char)0x81, 0, 0, 0, 0, 'p'};

	(void)state;
	one.is_silent = true;
	(void)!send(one.theirs, ping, sizeof(ping), MSG_NOSIGNAL);
	failmalloc_arm(1, true);
	turn();
	failmalloc_disarm();
	assert_string_equal(heard(), "close 1011 ");
	assert_true(is_cut());
	close(one.theirs);
	turn();
	one.n_closed_wires = 0;
	open_one();
	pass(INTERVAL_S);
	failmalloc_arm(1, true);
	pass(1);
	failmalloc_disarm();
	assert_string_equal(heard(), "close 1011 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_sent, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_coded, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_message_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
