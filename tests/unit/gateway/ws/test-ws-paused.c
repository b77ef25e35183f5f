/* SPDX-License-Identifier: MIT */
/* The WebSocket server: sessions that pause. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/ws/server-state.h"
#include "tests/unit/gateway/ws/ws-case.h"

/* Whether the session was told that the connection holds more, or less, since the last call. */
static bool was_told_held(void)
{
	bool was = one.n_held;

	one.n_held = 0;
	return was;
}

static void test_paused(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "a");
	assert_true(was_told_held());
	say(PING, "p");
	assert_string_equal(heard(), "pong p");
	say(FRAME_TEXT, "b");
	assert_true(was_told_held());
	assert_string_equal(told(), "");
	assert_in_range(ws_held(one.connection), 2, 1024);
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(), "text a\n");
	assert_true(was_told_held());
	say(FIN | FRAME_CONTINUATION, "c");
	assert_string_equal(told(), "text bc\n");
	assert_false(was_told_held());
	assert_int_equal(ws_held(one.connection), 0);
}

/* A paused session's client is read up to WS_HELD_MAX, and then no more until the session goes
 * on. */
static void test_paused_bound(void **state)
{
	struct buffer text = BUFFER_INIT;
	size_t n;

	(void)state;
	ws_pause(one.connection, true);
	for (n = 0; n < WS_HELD_MAX; n++) {
		assert_int_equal(buffer_append(&text, "x", 1), 0);
	}
	/* Less than the bound by what stands before a piece. */
	say_sv(TEXT, sv_first(buffer_sv(&text), WS_HELD_MAX - 64));
	say(PING, "read");
	assert_string_equal(heard(), "pong read");
	say_sv(TEXT, sv_first(buffer_sv(&text), 64));
	say(PING, "not read");
	assert_string_equal(heard(), "");
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(),
			    "text of 16320\ntext "
			    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
	assert_string_equal(heard(), "pong not read");
	buffer_deinit(&text);
}

/* What a client sent before it closed reaches the session when it goes on. */
static void test_paused_close(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "last");
	say(CLOSE, "");
	assert_string_equal(told(), "");
	assert_string_equal(heard(), "");
	ws_pause(one.connection, false);
	turn();
	expect_end("text last\nclosed\nreleased\n", "close 1000 ");
}

/* The client has gone meanwhile, and the session never goes on. */
static void test_paused_for_ever(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "last");
	close(one.theirs);
	one.theirs = -1;
	turn();
	pass(TIMEOUT_S);
	assert_string_equal(told(), "");
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
}

/* Likewise; the session goes on for a moment and takes a message. For what is read then, the time
 * begins anew. */
static void gone_while_paused(unsigned interval_s)
{
	char text[WS_HELD_MAX];

	memset(text, 'x', sizeof(text));
	ws_server_set_ping_interval(one.server, interval_s);
	ws_pause(one.connection, true);
	say_sv(TEXT, (struct sv){text, sizeof(text)});
	say(TEXT, "not read yet");
	close(one.theirs);
	one.theirs = -1;
	pass(TIMEOUT_S);
	assert_string_equal(told(), "");
	one.pauses = true;
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(), "text of 16384\n");
	pass(TIMEOUT_S);
	assert_string_equal(told(), "");
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
}

static void test_paused_again(void **state)
{
	(void)state;
	gone_while_paused(INTERVAL_S);
}

static void test_paused_again_without_pings(void **state)
{
	(void)state;
	gone_while_paused(0);
}

/* Likewise; the connection broke, so nobody waits for what the session would do with it. */
static void test_paused_broken(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "last");
	assert_int_equal(ws_send(one.connection, SV("not read"), SV_EMPTY), 0);
	turn();
	/* With bytes that were not read, it is reset. */
	close(one.theirs);
	one.theirs = -1;
	turn();
	assert_string_equal(told(), "closed\nreleased\n");
	assert_int_equal(one.n_closed_wires, 1);
}

/* Likewise; it has sent its close frame, and more than that. */
static void test_paused_closed_for_ever(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "last");
	say(CLOSE, "");
	for (int i = 0; i < TIMEOUT_S; i++) {
		pass(1);
		say(TEXT, "more");
		assert_string_equal(told(), "");
	}
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
}

/* A session that closes its connection gets nothing more of what was held. */
static void test_paused_deaf(void **state)
{
	(void)state;
	ws_pause(one.connection, true);
	say(TEXT, "held");
	ws_close(one.connection, WS_CLOSE_GOING_AWAY, SV_EMPTY);
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(), "");
	assert_string_equal(heard(), "close 1001 ");
	assert_int_equal(ws_held(one.connection), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_again_without_pings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_closed_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_deaf, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
