/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket server: messages in each form, control frames between them, mistakes, and both ends
 * of the closing handshake.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/ws/ws-case.h"

/* Messages. */

static void test_messages(void **state)
{
	(void)state;
	say(TEXT, "<a/>");
	assert_string_equal(told(), "text <a/>\n");
	say(FIN | FRAME_BINARY, "xyz");
	assert_string_equal(told(), "binary xyz\n");
	say(TEXT, "");
	assert_string_equal(told(), "text \n");
	assert_string_equal(heard(), "");
	assert_int_equal(one.n_held, 0);
}

/* Control frames may stand between the fragments of a message, and are answered before its end. */
static void test_fragments(void **state)
{
	(void)state;
	say(FRAME_TEXT, "one ");
	say(PING, "p1");
	assert_string_equal(heard(), "pong p1");
	say(FRAME_CONTINUATION, "");
	say(FIN | FRAME_PONG, "unasked");
	assert_string_equal(told(), "");
	say(FIN | FRAME_CONTINUATION, "two");
	assert_string_equal(told(), "text one two\n");
	assert_string_equal(heard(), "");
}

/* All that came in one packet is handled at once, in its order; so is what comes byte by byte. */
static void test_pieces(void **state)
{
	struct buffer bytes = BUFFER_INIT;

	(void)state;
	case_add(&bytes, TEXT, SV("a"));
	case_add(&bytes, PING, SV("p"));
	case_add(&bytes, TEXT, SV("b"));
	say_bytes(buffer_sv(&bytes));
	assert_string_equal(told(), "text a\ntext b\n");
	assert_string_equal(heard(), "pong p");
	for (size_t i = 0; i < bytes.n; i++) {
		say_bytes((struct sv){buffer_sv(&bytes).data + i, 1});
	}
	assert_string_equal(told(), "text a\ntext b\n");
	assert_string_equal(heard(), "pong p");
	/* A part of a header is all that is held for the client. */
	say_bytes(sv_first(buffer_sv(&bytes), 3));
	assert_in_range(ws_held(one.connection), 1, 256);
	buffer_deinit(&bytes);
}

/* More than is read at once. */
static void test_large(void **state)
{
	static char text[WIRE_PORTION + 1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	say_sv(TEXT, (struct sv){text, sizeof(text)});
	assert_string_equal(told(), "text of 295912\n");
}

/* What came with the handshake is read without another event. */
static void test_early(void **state)
{
	struct buffer bytes = BUFFER_INIT;

	(void)state;
	case_add(&bytes, TEXT, SV("early"));
	assert_int_equal(adopt(false, buffer_sv(&bytes)), 0);
	skip_handshake();
	assert_string_equal(told(), "text early\n");
	buffer_deinit(&bytes);
}

static void test_refused(void **state)
{
	(void)state;
	one.refuses = true;
	assert_int_equal(adopt(false, SV_EMPTY), 0);
	turn();
	assert_string_equal(told(), "released\n");
	assert_true(is_cut());
}

/* Mistakes: each is told once, answered by its status, and ends the connection. */

static void test_mistakes(void **state)
{
	static const struct {
		unsigned first;
		const char *payload, *frames;
	} cases[] = {
		{TEXT | RSV1, "x", "close 1002"},
		{TEXT | RSV2, "x", "close 1002"},
		{TEXT | RSV3, "x", "close 1002"},
		{FIN | 3, "x", "close 1002"},
		{FIN | 11, "x", "close 1002"},
		{FIN | FRAME_CONTINUATION, "x", "close 1002"},
		{FRAME_PING, "x", "close 1002"},
		{TEXT, "\xff", "close 1007"},
		{TEXT, "\xed\xa0\x80", "close 1007"},
		{CLOSE, "x", "close 1002"},
		{CLOSE, "\x03\xed", "close 1002"}, /* 1005 */
		{CLOSE, "\x03\xe8\xff", "close 1007"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		one.n_closed_wires = 0;
		open_one();
		struct buffer bytes = BUFFER_INIT;

		case_add(&bytes, cases[i].first, sv_from(cases[i].payload));
		case_add(&bytes, TEXT, SV("not read"));
		say_bytes(buffer_sv(&bytes));
		buffer_deinit(&bytes);
		assert_string_equal(told(), "failed\nclosed\nreleased\n");
		assert_memory_equal(heard(), cases[i].frames, strlen(cases[i].frames));
		assert_true(is_cut());
		close(one.theirs);
		one.theirs = -1;
		turn();
	}
}

/* RFC 6455, 5.1: frames without a mask. */
static void test_unmasked(void **state)
{
	(void)state;
	say_bytes((struct sv){"\x81\x01x", 3});
	assert_string_equal(told(), "failed\nclosed\nreleased\n");
	assert_memory_equal(heard(), "close 1002", 10);
}

/* Closing. */

static void test_closed_by_client(void **state)
{
	static const struct {
		const char *payload, *frames;
	} cases[] = {
		{"", "close 1000 "}, /* no status in, the usual one out */
		{"\x03\xe9gone", "close 1001 "},
		{"\x0f\xa0", "close 4000 "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		one.n_closed_wires = 0;
		open_one();
		say(CLOSE, cases[i].payload);
		expect_end("closed\nreleased\n", cases[i].frames);
		close(one.theirs);
		one.theirs = -1;
	}
}

static void test_closed_by_server(void **state)
{
	(void)state;
	ws_close(one.connection, WS_CLOSE_POLICY, SV("because"));
	ws_close(one.connection, WS_CLOSE_NORMAL, SV("again"));
	assert_int_equal(ws_send(one.connection, SV("late"), SV_EMPTY), 0);
	turn();
	assert_string_equal(heard(), "close 1008 because");
	say(TEXT, "discarded");
	say(PING, "discarded");
	assert_string_equal(told(), "");
	assert_string_equal(heard(), "");
	assert_false(is_cut());
	say(CLOSE, "\x03\xf0");
	expect_end("closed\nreleased\n", "");
}

/* A reason of n bytes is sent whole, of n + 1 it is cut, and no character is. */
static void test_reason(void **state)
{
	char reason[WS_REASON_MAX + 2], frames[WS_REASON_MAX + 32];

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		memset(reason, 'x', sizeof(reason));
		memcpy(reason + WS_REASON_MAX + extra - 2, "ä", 2);
		one.n_closed_wires = 0;
		if (extra) {
			open_one();
		}
		ws_close(one.connection, WS_CLOSE_NORMAL,
			 (struct sv){reason, WS_REASON_MAX + extra});
		turn();
		snprintf(frames, sizeof(frames), "close 1000 %.*s", WS_REASON_MAX - (int)extra,
			 reason);
		assert_string_equal(heard(), frames);
		close(one.theirs);
		one.theirs = -1;
		turn();
		assert_string_equal(told(), "closed\nreleased\n");
	}
}

/* A client that does not answer the close frame is dropped, whatever else it sends. */
static void test_close_without_answer(void **state)
{
	(void)state;
	ws_close(one.connection, WS_CLOSE_NORMAL, SV_EMPTY);
	for (int i = 0; i < TIMEOUT_S; i++) {
		pass(1);
		say(TEXT, "no close frame");
		assert_string_equal(told(), "");
	}
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
	assert_true(is_cut());
}

static void test_vanished(void **state)
{
	(void)state;
	say(FRAME_TEXT, "half a mess");
	close(one.theirs);
	one.theirs = -1;
	turn();
	assert_string_equal(told(), "closed\nreleased\n");
}

/* The client ends its side of the connection without a close frame, but reads on. */
static void test_ended(void **state)
{
	(void)state;
	say(TEXT, "last");
	shutdown(one.theirs, SHUT_WR);
	turn();
	assert_string_equal(told(), "text last\nclosed\nreleased\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_mistakes, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_unmasked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_by_client, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_closed_by_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_without_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
