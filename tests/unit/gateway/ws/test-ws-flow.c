/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket server: sessions that pause, clients that do not read, compressed messages, time,
 * and each allocation failing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/coder.h"
#include "gateway/http/coding.h"
#include "gateway/ws/server-state.h"
#include "tests/unit/gateway/ws/ws-case.h"

/* Sessions that pause. */

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

/* Compressed messages. */

/* In two fragments, of which only the first says that the message is compressed. Leaves out the
 * last @n_cut bytes. */
static void say_coded(struct sv plain, size_t n_cut)
{
	struct buffer coded = BUFFER_INIT;
	struct coder *coder;

	assert_int_equal(coder_new(&coder), 0);
	assert_int_equal(coder_encode_message(coder, plain, &coded), 0);
	coder_free(coder);
	say_sv(FRAME_TEXT | RSV1, sv_first(buffer_sv(&coded), 3));
	say_sv(FIN | FRAME_CONTINUATION,
	       sv_first(sv_skip(buffer_sv(&coded), 3), coded.n - 3 - n_cut));
	buffer_deinit(&coded);
}

static void test_coded(void **state)
{
	static char text[MESSAGE_MAX + 1];

	(void)state;
	say_coded(SV("<message/>"), 0);
	assert_string_equal(told(), "text <message/>\n");
	assert_int_equal(one.n_held, 1);
	assert_int_equal(ws_held(one.connection), 0);
	/* n, and n + 1. */
	memset(text, 'x', sizeof(text));
	say_coded((struct sv){text, MESSAGE_MAX}, 0);
	assert_string_equal(told(), "text of 4096\n");
	say_coded((struct sv){text, MESSAGE_MAX + 1}, 0);
	assert_string_equal(told(), "too large\n");
	assert_string_equal(heard(), "close 1009 ");
}

static void test_coded_badly(void **state)
{
	(void)state;
	say_coded(SV("<message/>"), 2);
	assert_string_equal(told(), "failed\nclosed\nreleased\n");
	assert_string_equal(heard(), "close 1007 the message cannot be decompressed");
}

static void test_coded_not_utf8(void **state)
{
	(void)state;
	say_coded(SV("<message>\xff</message>"), 0);
	assert_string_equal(told(), "failed\nclosed\nreleased\n");
	assert_string_equal(heard(), "close 1007 the text is not UTF-8");
}

/* Compressed, n bytes are gathered, n + 1 are not, whatever they would become. */
static void test_coded_large(void **state)
{
	static char noise[MESSAGE_MAX + 1];

	(void)state;
	memset(noise, 0x55, sizeof(noise));
	say_sv(FRAME_TEXT | RSV1, (struct sv){noise, MESSAGE_MAX});
	assert_string_equal(told(), "");
	assert_in_range(ws_held(one.connection), MESSAGE_MAX, 2 * MESSAGE_MAX);
	say_sv(FRAME_CONTINUATION, SV("x"));
	assert_string_equal(told(), "too large\n");
}

#define TWO_LARGE "text of 131072\ntext of 131072\n"
#define THREE_LARGE TWO_LARGE "text of 131072\n"

/* At once: three messages of which the third, expanded, is more than a portion with those before
 * it, and then what @first and @payload say. */
static void say_coded_portions(unsigned first, struct sv payload)
{
	static char text[CODING_TEXT_MAX];
	struct buffer coded = BUFFER_INIT, bytes = BUFFER_INIT;
	struct coder *coder;

	one.message_max = sizeof(text);
	memset(text, 'x', sizeof(text));
	assert_int_equal(coder_new(&coder), 0);
	assert_int_equal(coder_encode_message(coder, (struct sv){text, sizeof(text)}, &coded), 0);
	coder_free(coder);
	for (int i = 0; i < 3; i++) {
		case_add(&bytes, TEXT | RSV1, buffer_sv(&coded));
	}
	case_add(&bytes, first, payload);
	say_bytes(buffer_sv(&bytes));
	buffer_deinit(&bytes);
	buffer_deinit(&coded);
}

static void test_coded_portions(void **state)
{
	(void)state;
	say_coded_portions(TEXT, SV("next"));
	assert_string_equal(told(), THREE_LARGE "text next\n");
	assert_int_equal(ws_held(one.connection), 0);
	/* The session was told that one was kept, and that it was not any more. */
	assert_int_equal(one.n_held, 2);
}

static void test_coded_portions_close(void **state)
{
	(void)state;
	say_coded_portions(CLOSE, SV_EMPTY);
	expect_end(THREE_LARGE "closed\nreleased\n", "close 1000 ");
}

/* The session pauses ahead of the third message. Its client is not read until it goes on, so it is
 * not sent pings either. */
static void test_coded_portions_paused(void **state)
{
	(void)state;
	one.pauses_when_held = true;
	say_coded_portions(PING, SV("p"));
	assert_string_equal(told(), TWO_LARGE);
	assert_string_equal(heard(), "pong p");
	assert_in_range(ws_held(one.connection), CODING_TEXT_MAX, 3 * CODING_TEXT_MAX);
	say(PING, "not read");
	pass(3 * INTERVAL_S);
	assert_string_equal(told(), "");
	assert_string_equal(heard(), "");
	one.pauses_when_held = false;
	ws_pause(one.connection, false);
	turn();
	assert_string_equal(told(), "text of 131072\n");
	assert_string_equal(heard(), "pong not read");
}

/* Likewise; the client has gone, and the session never goes on. */
static void test_coded_portions_for_ever(void **state)
{
	(void)state;
	one.pauses_when_held = true;
	say_coded_portions(TEXT, SV("last"));
	close(one.theirs);
	one.theirs = -1;
	turn();
	pass(TIMEOUT_S);
	assert_string_equal(told(), TWO_LARGE);
	pass(1);
	assert_string_equal(told(), "closed\nreleased\n");
}

static void test_sent_coded(void **state)
{
	static char text[2048];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(ws_send(one.connection, (struct sv){text, 1024}, (struct sv){text, 1024}),
			 0);
	assert_int_equal(ws_send(one.connection, SV("sho"), SV("rt")), 0);
	turn();
	hear();
	const unsigned char *head = (const unsigned char *)buffer_sv(&one.heard).data;

	assert_int_equal(head[0], TEXT | RSV1);
	assert_in_range(head[1], 1, 100);
	buffer_consume(&one.heard, 2 + (size_t)head[1]);
	assert_string_equal(heard(), "text short");
}

/* What cannot be compressed for want of memory goes as it is. */
static void test_sent_without_memory(void **state)
{
	static char text[2048];

	(void)state;
	memset(text, 'x', sizeof(text));
	failmalloc_arm(1, false);
	int r = ws_send(one.connection, (struct sv){text, 1024}, (struct sv){text, 1024});

	assert_int_equal(failmalloc_disarm(), 1);
	assert_int_equal(r, 0);
	turn();
	assert_string_equal(heard(), "text of 2048");
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
		cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_again_without_pings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_closed_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_deaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_congested, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_queue_that_is_read_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_coded, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_badly, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_not_utf8, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_large, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_portions, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_portions_close, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_portions_paused, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_coded_portions_for_ever, setup_coded,
						teardown),
		cmocka_unit_test_setup_teardown(test_sent_coded, setup_coded, teardown),
		cmocka_unit_test_setup_teardown(test_sent_without_memory, setup_coded, teardown),
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
