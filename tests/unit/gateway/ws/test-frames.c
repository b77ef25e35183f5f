/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/ws/frames-case.h"

/* The cases of RFC 6455, group by group, each fed whole, byte by byte and cut at random. */

static void run_plain(struct pieces *pieces, struct buffer *log, void *userdata)
{
	(void)userdata;
	case_run(false, pieces, log);
}

static void run_coded(struct pieces *pieces, struct buffer *log, void *userdata)
{
	(void)userdata;
	case_run(true, pieces, log);
}

struct row {
	struct case_frame frames[CASE_FRAMES_MAX]; /* up to the first without a first byte */
	const char *expected;
};

/* A frame without FIN, RSV and with opcode 0 has first byte 0. */
#define CONTINUATION 0x100

static void check(const struct row *rows, size_t n_rows, pieces_run *run)
{
	for (size_t i = 0; i < n_rows; i++) {
		struct buffer bytes = BUFFER_INIT;

		for (size_t k = 0; k < CASE_FRAMES_MAX && rows[i].frames[k].first; k++) {
			case_add(&bytes, rows[i].frames[k].first & 0xff, rows[i].frames[k].payload);
		}
		pieces_check(buffer_sv(&bytes), run, NULL, rows[i].expected);
		buffer_deinit(&bytes);
	}
}

#define CHECK(rows) check(rows, ARRAY_LENGTH(rows), run_plain)
#define TEXT (FIN | FRAME_TEXT)
#define PING (FIN | FRAME_PING)
#define PONG (FIN | FRAME_PONG)
#define CLOSE (FIN | FRAME_CLOSE)
#define END (FIN | CONTINUATION)
#define S(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

static void test_messages(void **state)
{
	static const struct row rows[] = {
		{{{TEXT, S("hello")}}, "text hello\n"},
		{{{TEXT, S("")}}, "text \n"},
		{{{FIN | FRAME_BINARY, S("\xff")}}, "binary \xff\n"},
		{{{TEXT, S("a")}, {TEXT, S("b")}, {TEXT, S("")}, {TEXT, S("d")}},
		 "text a\ntext b\ntext \ntext d\n"},
		/* Fragmentation (5.4). */
		{{{FRAME_TEXT, S("ab")}, {CONTINUATION, S("cd")}, {END, S("ef")}}, "text abcdef\n"},
		{{{FRAME_TEXT, S("")}, {CONTINUATION, S("")}, {END, S("")}}, "text \n"},
		{{{FRAME_TEXT, S("a")}, {END, S("")}, {TEXT, S("b")}}, "text a\ntext b\n"},
		{{{FRAME_BINARY, S("a")}, {END, S("b")}}, "binary ab\n"},
		{{{FRAME_TEXT, S("a")},
		  {PING, S("x")},
		  {CONTINUATION, S("b")},
		  {PONG, S("y")},
		  {END, S("c")}},
		 "ping x\npong y\ntext abc\n"},
		/* Incomplete. */
		{{{FRAME_TEXT, S("a")}}, ""},
		{{{FRAME_TEXT, S("a")}, {CONTINUATION, S("b")}}, ""},
	};

	(void)state;
	CHECK(rows);
}

static void test_fragmentation_mistakes(void **state)
{
	static const struct row rows[] = {
		{{{END, S("a")}}, "bad 1002\n"},
		{{{CONTINUATION, S("a")}}, "bad 1002\n"},
		{{{END, S("")}}, "bad 1002\n"},
		{{{TEXT, S("a")}, {END, S("b")}}, "text a\nbad 1002\n"},
		{{{FRAME_TEXT, S("a")}, {END, S("b")}, {END, S("c")}}, "text ab\nbad 1002\n"},
		{{{FRAME_TEXT, S("a")}, {TEXT, S("b")}}, "bad 1002\n"},
		{{{FRAME_TEXT, S("a")}, {FRAME_TEXT, S("b")}}, "bad 1002\n"},
		{{{FRAME_TEXT, S("a")}, {FIN | FRAME_BINARY, S("b")}}, "bad 1002\n"},
		{{{FRAME_TEXT, S("")}, {TEXT, S("")}}, "bad 1002\n"},
		/* Nothing after the mistake. */
		{{{END, S("a")}, {TEXT, S("b")}, {PING, S("c")}, {CLOSE, S("")}}, "bad 1002\n"},
	};

	(void)state;
	CHECK(rows);
}

static void test_control_frames(void **state)
{
	static char payload[126];
	static char expected[150];
	const struct row most[] = {{{{PING, {payload, 125}}}, expected}};
	const struct row too_long[] = {
		{{{PING, {payload, 126}}}, "bad 1002\n"},
		{{{PONG, {payload, 126}}}, "bad 1002\n"},
		{{{CLOSE, {payload, 126}}}, "bad 1002\n"},
	};
	static const struct row rows[] = {
		{{{PING, S("")}}, "ping \n"},
		{{{PONG, S("")}}, "pong \n"},
		{{{PONG, S("unasked")}}, "pong unasked\n"},
		{{{PING, S("1")}, {PING, S("2")}, {PING, S("3")}}, "ping 1\nping 2\nping 3\n"},
		/* Fragmented control frames (5.5). */
		{{{FRAME_PING, S("a")}}, "bad 1002\n"},
		{{{FRAME_PONG, S("a")}}, "bad 1002\n"},
		{{{FRAME_CLOSE, S("")}}, "bad 1002\n"},
		{{{FRAME_PING, S("a")}, {END, S("b")}}, "bad 1002\n"},
	};

	(void)state;
	memset(payload, 'p', sizeof(payload));
	(void)snprintf(expected, sizeof(expected), "ping %.125s\n", payload);
	CHECK(most);
	CHECK(too_long);
	CHECK(rows);
}

/* 5.2: reserved bits and opcodes, on each kind of frame. */
static void test_reserved(void **state)
{
	static const unsigned bits[] = {
		RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3};
	static const unsigned opcodes[] = {FRAME_TEXT, FRAME_BINARY, FRAME_CLOSE, FRAME_PING,
					   FRAME_PONG};
	static const unsigned undefined[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bits); i++) {
		for (size_t k = 0; k < ARRAY_LENGTH(opcodes); k++) {
			const struct row row[] = {
				{{{TEXT, S("a")}, {FIN | bits[i] | opcodes[k], S("")}},
				 "text a\nbad 1002\n"}};

			CHECK(row);
		}
		const struct row row[] = {
			{{{FRAME_TEXT, S("a")}, {FIN | bits[i], S("b")}}, "bad 1002\n"}};

		CHECK(row);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(undefined); i++) {
		const struct row row[] = {
			{{{FIN | undefined[i], S("")}}, "bad 1002\n"},
			{{{FIN | undefined[i], S("x")}}, "bad 1002\n"},
			{{{undefined[i], S("x")}}, "bad 1002\n"},
			{{{FRAME_TEXT, S("a")}, {FIN | undefined[i], S("x")}, {END, S("b")}},
			 "bad 1002\n"},
		};

		CHECK(row);
	}
}

/* RFC 7692, 6: only the first frame of a message has RSV1, and only if it was negotiated. */
static void test_coded(void **state)
{
	static const struct row rows[] = {
		{{{RSV1 | TEXT, S("\xff")}}, "coded text \xff\n"},
		{{{RSV1 | FRAME_TEXT, S("\xff")}, {END, S("\xc0")}, {TEXT, S("a")}},
		 "coded text \xff\xc0\ntext a\n"},
		{{{RSV1 | FIN | FRAME_BINARY, S("a")}}, "coded binary a\n"},
		{{{RSV1 | FRAME_TEXT, S("a")}, {RSV1 | END, S("b")}}, "bad 1002\n"},
		{{{RSV1 | PING, S("a")}}, "bad 1002\n"},
		{{{RSV1 | CLOSE, S("")}}, "bad 1002\n"},
		{{{RSV2 | TEXT, S("a")}}, "bad 1002\n"},
		{{{RSV1 | RSV3 | TEXT, S("a")}}, "bad 1002\n"},
		{{{TEXT, S("\xff")}}, "bad 1007\n"},
	};

	(void)state;
	check(rows, ARRAY_LENGTH(rows), run_coded);
}

/* Lengths and masks (5.1 to 5.3), with the bytes of the header given. */
static void test_headers(void **state)
{
	static const struct {
		struct sv bytes;
		const char *expected;
	} rows[] = {
		/* Not masked. */
		{S("\x81\x01"
		   "a"),
		 "bad 1002\n"},
		{S("\x81\x00"), "bad 1002\n"},
		{S("\x89\x00"), "bad 1002\n"},
		{S("\x88\x02\x03\xe8"), "bad 1002\n"},
		{S("\x81\x81\0\0\0\0a\x81\x01"
		   "b"),
		 "text a\nbad 1002\n"},
		/* The mask is removed, also one of zeros. */
		{S("\x81\x85\0\0\0\0hello"), "text hello\n"},
		{S("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "text Hello\n"},
		/* Not the shortest form. */
		{S("\x81\xfe\x00\x00\0\0\0\0"), "bad 1002\n"},
		{S("\x81\xfe\x00\x7d\0\0\0\0a"), "bad 1002\n"},
		{S("\x81\xff\0\0\0\0\0\0\x00\x05\0\0\0\0hello"), "bad 1002\n"},
		{S("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0a"), "bad 1002\n"},
		{S("\x89\xfe\x00\x02\0\0\0\0ab"), "bad 1002\n"},
		/* The top bit. */
		{S("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0a"), "bad 1002\n"},
		{S("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0a"), "bad 1002\n"},
		/* Nobody sends so much, but it is allowed: the caller sets the limit. */
		{S("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0a"), ""},
		/* Half a header. */
		{S("\x81"), ""},
		{S("\x81\xff\x7f\xff"), ""},
		{S("\x81\x81\0\0\0"), ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		pieces_check(rows[i].bytes, run_plain, NULL, rows[i].expected);
	}
}

/* The lengths at which the form changes, and those around the usual sizes of buffers. */
static void test_lengths(void **state)
{
	static const size_t lengths[] = {124,  125,   126,   127,   128,   4081,  4082,  4083,
					 4088, 4089,  4090,  4095,  4096,  4097,  4102,  8192,
					 8193, 32767, 32768, 65534, 65535, 65536, 65537, 131072};
	char *text = malloc(131072);

	(void)state;
	memset(text, 't', 131072);
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		struct buffer bytes = BUFFER_INIT, log = BUFFER_INIT;
		struct pieces pieces = {.way = PIECES_WHOLE};

		case_add(&bytes, TEXT, (struct sv){text, lengths[i]});
		case_add(&bytes, PING, SV("p"));
		case_add(&bytes, TEXT, SV("behind"));
		pieces.rest = buffer_sv(&bytes);
		case_run(false, &pieces, &log);
		pieces_end(&pieces);
		assert_int_equal(log.n, 5 + lengths[i] + 1 + 7 + 12);
		assert_true(sv_eq(sv_skip(buffer_sv(&log), 5 + lengths[i]),
				  SV("\nping p\ntext behind\n")));
		buffer_deinit(&bytes);
		buffer_deinit(&log);
	}
	free(text);
}

/* 8.1: whole and byte by byte, over fragments, and as soon as it is seen. */
static void test_text(void **state)
{
	static const struct row rows[] = {
		{{{TEXT, S("\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80")}},
		 "text \xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80\n"},
		{{{FRAME_TEXT, S("\xf0\x9f")}, {PING, S("\xff")}, {END, S("\x98\x80")}},
		 "ping \xff\ntext \xf0\x9f\x98\x80\n"},
		{{{FRAME_TEXT, S("\xe6")},
		  {CONTINUATION, S("")},
		  {CONTINUATION, S("\xbc")},
		  {END, S("\xa2")}},
		 "text \xe6\xbc\xa2\n"},
		{{{TEXT, S("\xc3")}}, "bad 1007\n"},
		{{{FRAME_TEXT, S("\xc3")}, {END, S("")}}, "bad 1007\n"},
		{{{FRAME_TEXT, S("\xc3")}, {END, S("a")}}, "bad 1007\n"},
		{{{FRAME_TEXT, S("a")}, {CONTINUATION, S("\xff")}}, "bad 1007\n"},
		/* The message is incomplete, and already wrong. */
		{{{FRAME_TEXT, S("\xed\xa0")}}, "bad 1007\n"},
		{{{FRAME_TEXT, S("\xf4\x90")}}, "bad 1007\n"},
		{{{FRAME_TEXT, S("\xc0")}}, "bad 1007\n"},
		/* A message ends where it ends: the next one does not complete its character. */
		{{{TEXT, S("a")}, {TEXT, S("\xc3")}, {TEXT, S("\xa4")}}, "text a\nbad 1007\n"},
		{{{FIN | FRAME_BINARY, S("\xc3")}, {TEXT, S("\xc3\xa4")}},
		 "binary \xc3\ntext \xc3\xa4\n"},
	};
	/* Seen before the frame is complete. */
	static const struct sv incomplete = S("\x81\xfe\x10\x00\0\0\0\0abc\xff");

	(void)state;
	CHECK(rows);
	pieces_check(incomplete, run_plain, NULL, "bad 1007\n");
}

static void test_close(void **state)
{
	static char reason[125];
	static char expected[150];
	const struct row longest[] = {{{{CLOSE, {reason, 125}}}, expected}};
	static const struct row rows[] = {
		{{{CLOSE, S("")}}, "close 1005 \n"},
		{{{CLOSE, S("\x03\xe8")}}, "close 1000 \n"},
		{{{CLOSE, S("\x03\xe8"
			    "bye \xc3\xa4")}},
		 "close 1000 bye \xc3\xa4\n"},
		{{{CLOSE, S("\x03")}}, "bad 1002\n"},
		{{{CLOSE, S("\x03\xe8\xc3")}}, "bad 1007\n"},
		{{{CLOSE, S("\x03\xe8"
			    "a\xff")}},
		 "bad 1007\n"},
		{{{CLOSE, S("\x03\xe8\xed\xa0\x80")}}, "bad 1007\n"},
		/* Within a message, and nothing after it. */
		{{{FRAME_TEXT, S("a")}, {CLOSE, S("\x03\xe8")}, {END, S("b")}}, "close 1000 \n"},
		{{{CLOSE, S("")}, {TEXT, S("a")}, {PING, S("b")}, {CLOSE, S("\x03")}, {3, S("x")}},
		 "close 1005 \n"},
	};

	(void)state;
	memset(reason, 'r', sizeof(reason));
	memcpy(reason, "\x03\xe8", 2);
	(void)snprintf(expected, sizeof(expected), "close 1000 %.123s\n", reason + 2);
	CHECK(longest);
	CHECK(rows);
}

/* 7.4: every status there is. */
static void test_statuses(void **state)
{
	(void)state;
	for (unsigned status = 0; status <= 65535; status++) {
		bool is_good = (status >= 1000 && status <= 1003) ||
			       (status >= 1007 && status <= 1014) ||
			       (status >= 3000 && status <= 4999);
		char payload[] = {(char)(status >> 8), (char)status};
		struct buffer bytes = BUFFER_INIT, log = BUFFER_INIT;
		struct pieces pieces = {.way = PIECES_WHOLE};
		char expected[20];

		case_add(&bytes, CLOSE, (struct sv){payload, 2});
		pieces.rest = buffer_sv(&bytes);
		case_run(false, &pieces, &log);
		pieces_end(&pieces);
		(void)snprintf(expected, sizeof(expected), is_good ? "close %u \n" : "bad 1002\n",
			       status);
		if (!sv_eq(buffer_sv(&log), sv_from(expected))) {
			fail_msg("status %u", status);
		}
		buffer_deinit(&bytes);
		buffer_deinit(&log);
	}
}

/* Only of a header and of a control frame anything is held. */
static void test_held(void **state)
{
	struct buffer bytes = BUFFER_INIT, message = BUFFER_INIT, log = BUFFER_INIT;
	struct frames frames;
	const size_t n_head = 2 + 4;

	(void)state;
	frames_init(&frames, false);
	assert_int_equal(frames_held(&frames), 0);
	case_add(&bytes, FRAME_TEXT, SV("abc"));
	case_add(&bytes, PING, SV("de"));
	for (size_t i = 0; i < bytes.n; i++) {
		bool is_rest = i == 0 || (i >= n_head && i <= n_head + 3) || i == 2 * n_head + 3;

		assert_int_equal(frames_held(&frames) == 0, is_rest);
		assert_int_equal(case_feed(&frames, sv_first(sv_skip(buffer_sv(&bytes), i), 1),
					   &message, &log),
				 0);
	}
	assert_int_equal(frames_held(&frames), 0);
	assert_true(sv_eq(buffer_sv(&log), SV("ping de\n")));
	/* Left within a header. */
	assert_int_equal(case_feed(&frames, sv_first(buffer_sv(&bytes), 1), &message, &log), 0);
	frames_deinit(&frames);
	assert_int_equal(frames_held(&frames), 0);
	buffer_deinit(&bytes);
	buffer_deinit(&message);
	buffer_deinit(&log);
}

static int scenario(void *userdata)
{
	struct buffer *bytes = userdata;
	struct frames frames;
	struct frames_event event;
	int r = 0;

	frames_init(&frames, false);
	for (size_t at = 0; r == 0 && at < bytes->n; at += 5) {
		struct sv piece = sv_first(sv_skip(buffer_sv(bytes), at), 5);
		char copy[5];

		memcpy(copy, piece.data, piece.n);
		frames_feed(&frames, copy, piece.n);
		do {
			r = frames_next(&frames, &event);
		} while (r == 0 && event.kind != FRAMES_EVENT_NONE);
	}
	if (r < 0) {
		/* No event follows. */
		char end[] = "\x81\x80\0\0\0";

		frames_feed(&frames, end, sizeof(end));
		assert_int_equal(frames_next(&frames, &event), 0);
		assert_int_equal(event.kind, FRAMES_EVENT_NONE);
	}
	frames_deinit(&frames);
	return r;
}

static void test_without_memory(void **state)
{
	struct buffer bytes = BUFFER_INIT;

	(void)state;
	case_add(&bytes, TEXT, SV("hello"));
	case_add(&bytes, PING, SV("x"));
	failmalloc_each(scenario, &bytes, 2);
	buffer_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_fragmentation_mistakes),
		cmocka_unit_test(test_control_frames),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_coded),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
