/* SPDX-License-Identifier: MIT */
/* The WebSocket server: compressed messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/coder.h"
#include "gateway/http/coding.h"
#include "tests/unit/gateway/ws/ws-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
