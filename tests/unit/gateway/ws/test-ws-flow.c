/* SPDX-License-Identifier: MIT */
/* The WebSocket server: clients that do not read, time, and each allocation failing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/ws/server-state.h"
#include "tests/unit/gateway/ws/ws-case.h"

/* Clients that do not read. */

static void test_congested(void **state)
{
	static char text[1024];
	size_t n = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	while (!ws_is_congested(one.connection)) {
		assert_int_equal(ws_send(one.connection, (struct sv){text, sizeof(text)}, SV_EMPTY),
				 0);
		turn();
		n++;
	}
	assert_in_range(ws_held(one.connection), WS_HIGH_WATER + 1,
			2 * (WS_HIGH_WATER + 2 * sizeof(text)));
	/* Of the pings that come meanwhile the last one is answered. */
	say(PING, "first");
	say(PING, "last");
	assert_string_equal(told(), "");
	size_t n_texts = 0, n_pongs = 0;

	for (const char *frames = heard(); *frames; frames = heard()) {
		for (const char *at = frames; (at = strstr(at, "text of 1024")); at++) {
			n_texts++;
		}
		n_pongs += strstr(frames, "pong") != NULL;
		assert_null(strstr(frames, "pong first"));
	}
	assert_int_equal(n_texts, n);
	assert_int_equal(n_pongs, 1);
	assert_string_equal(told(), "drained\n");
	assert_false(ws_is_congested(one.connection));
}

/* What has been read of a long queue leaves its memory, which counts until all of it is read. */
static void test_a_queue_that_is_read_in_part(void **state)
{
	enum { N = 128, LEFT = 512 * 1024 };
	static char text[16 * 1024];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < N; i++) {
		assert_int_equal(ws_send(one.connection, (struct sv){text, sizeof(text)}, SV_EMPTY),
				 0);
	}
	turn();
	assert_true(ws_is_congested(one.connection));
	while (wire_waiting(one.connection->wire) > LEFT) {
		(void)!recv(one.theirs, text, sizeof(text), 0);
		turn();
	}
	assert_true(wire_waiting(one.connection->wire) > 0);
	assert_in_range(ws_held(one.connection), N / 2 * sizeof(text), 2 * N * sizeof(text));
}

/* Time. */

/* A client that is silent for an interval is sent a ping, and is dropped if it stays silent. */
static void test_silence(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		pass(INTERVAL_S);
		assert_string_equal(heard(), "");
		pass(1);
		assert_string_equal(heard(), "ping ");
		if (i == 0) {
			say(FIN | FRAME_PONG, "");
		}
	}
	pass(INTERVAL_S);
	assert_string_equal(told(), "");
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
	assert_true(is_cut());
	/* At once: nobody is there to read what was sent. */
	assert_int_equal(one.n_closed_wires, 1);
}

/* A client that is not read is not sent pings, because its pong would not be read either. Once it
 * is, it has an interval again. */
static void test_silence_of_stopped(void **state)
{
	static char text[WS_HELD_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	ws_pause(one.connection, true);
	say_sv(TEXT, (struct sv){text, sizeof(text)});
	say(PING, "not read");
	pass(3 * INTERVAL_S);
	assert_string_equal(heard(), "");
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(), "text of 16384\n");
	assert_string_equal(heard(), "pong not read");
	pass(INTERVAL_S + 2);
	assert_string_equal(told(), "");
	assert_string_equal(heard(), "ping ");
}

/* One that sends something is not sent pings. */
static void test_lively(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * INTERVAL_S; i++) {
		pass(1);
		say(TEXT, "a");
	}
	assert_string_equal(heard(), "");
}

/* A byte of the client does not put the session's deadline off. There are no pings before it. */
static void test_deadline(void **state)
{
	(void)state;
	ws_set_deadline(one.connection, 2 * INTERVAL_S);
	for (int i = 0; i < 2 * INTERVAL_S; i++) {
		pass(1);
		say(FIN | FRAME_PONG, "");
	}
	assert_string_equal(told(), "");
	pass(1);
	assert_string_equal(told(), "late\n");
	assert_string_equal(heard(), "");
	/* From then on there are pings again. */
	say(FIN | FRAME_PONG, "");
	pass(INTERVAL_S + 1);
	assert_string_equal(heard(), "ping ");
}

/* The server stops: no closing handshake. */
static void test_stop(void **state)
{
	(void)state;
	ws_server_stop(one.server);
	assert_string_equal(told(), "closed\nreleased\n");
	assert_true(is_cut());
}

/* Memory. */

/* Opens a connection, exchanges messages of all kinds and ends it, with or without memory. Returns
 * -ENOMEM if the session was told so or the connection could not be made. */
static int use(void *userdata)
{
	static char text[2048];

	(void)userdata;
	one.theirs = -1;
	if (open_server() < 0 || adopt(true, SV_EMPTY) < 0) {
		close_server();
		return -ENOMEM;
	}
	bool was_open = one.connection;

	if (was_open) {
		static const unsigned char frames[] = {
			/* a ping in two pieces, a message of two fragments */
			0x89,
			0x82,
			0,
			0,
			0,
			0,
			'p',
			'q',
			0x01,
			0x81,
			0,
			0,
			0,
			0,
			'a',
			0x80,
			0x81,
			0,
			0,
			0,
			0,
			'b',
			/* the compressed text "x" */
			0xc1,
			0x83,
			0,
			0,
			0,
			0,
			0xaa,
			0x00,
			0x00,
		};

		ws_pause(one.connection, true);
		(void)!send(one.theirs, frames, 7, MSG_NOSIGNAL);
		turn();
		(void)!send(one.theirs, frames + 7, sizeof(frames) - 7, MSG_NOSIGNAL);
		turn();
	}
	if (one.connection) {
		ws_pause(one.connection, false);
		(void)!ws_send(one.connection, (struct sv){text, 1024}, (struct sv){text, 1024});
		turn();
	}
	close_server();
	return 0;
}

static void test_memory(void **state)
{
	(void)state;
	close_server();
	one.is_silent = true;
	failmalloc_each(use, NULL, 8);
	/* Each connection that was adopted is gone. */
	assert_null(one.connection);
	one.n_closed_wires = 1;
}

/* A client is told that its connection ends because no memory is left for what it sent. */
static void test_memory_told(void **state)
{
	static const char frame[] = {(char)TEXT, (char)0x81, 0, 0, 0, 0, 'x'};

	(void)state;
	ws_pause(one.connection, true);
	(void)!send(one.theirs, frame, sizeof(frame), MSG_NOSIGNAL);
	one.is_silent = true;
	failmalloc_arm(1, false);
	turn();
	assert_int_equal(failmalloc_disarm(), 1);
	assert_null(one.connection);
	assert_string_equal(heard(), "close 1011 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_congested, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_queue_that_is_read_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_of_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lively, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_memory_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
