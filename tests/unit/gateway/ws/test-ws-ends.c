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

#include <sys/syscall.h>

#include "gateway/ws/server-state.h"
#include "tests/unit/gateway/ws/ws-case.h"

enum {
	N_TEXT = 150,
	/* With the header. */
	N_FRAME = N_TEXT + 4,
	/* Of messages that are compressed, and do not become much shorter. */
	N_NOISE = 1500,
	/* Of messages that are sent at once. */
	N_LONG = WIRE_LATER_MAX + 1,
	PARTS_MAX = 8,
};

/* Bytes that the kernel still takes. */
static size_t room = SIZE_MAX;

/* Takes the place of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec parts[PARTS_MAX];
	struct msghdr less = {.msg_iov = parts, .msg_iovlen = message->msg_iovlen};
	size_t n_left = room;

	assert_in_range(message->msg_iovlen, 1, PARTS_MAX);
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		parts[i] = message->msg_iov[i];
		parts[i].iov_len = parts[i].iov_len < n_left ? parts[i].iov_len : n_left;
		n_left -= parts[i].iov_len;
	}
	if (room == 0) {
		errno = EAGAIN;
		return -1;
	}
	ssize_t n = syscall(SYS_sendmsg, fd, &less, flags);

	room -= room < SIZE_MAX && n > 0 ? (size_t)n : 0;
	return n;
}

/* The kernel takes @n bytes more. */
static void make_room(size_t n)
{
	room = n;
	wire_wake(one.connection->wire);
	turn();
}

/* Messages begin with their number. */
static void send_text(unsigned i, size_t n)
{
	static char text[N_LONG + 1];
	unsigned random = i * 2654435761u + 1;

	int n_number = snprintf(text, sizeof(text), "<%u:", i);

	for (size_t at = (size_t)n_number; at < n; at++) {
		random = random * 1103515245u + 12345u;
		text[at] = (char)('!' + (random >> 16) % 27);
	}
	text[n - 1] = '>';
	assert_int_equal(ws_send(one.connection, (struct sv){text, n}, SV_EMPTY), 0);
}

/* Until the queue is full. Returns how many. */
static unsigned fill(size_t n)
{
	unsigned i = 0;

	for (; !ws_is_congested(one.connection); i++) {
		send_text(i, n);
		turn();
	}
	return i;
}

/* Counts the messages in @text by their numbers, each of which must follow the one before. */
static unsigned count(const char *text, const char *mark, unsigned *first)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, mark)); at++) {
		unsigned i = (unsigned)strtoul(at + strlen(mark), NULL, 10);

		if (n == 0) {
			*first = i;
		}
		assert_int_equal(i, *first + n);
		n++;
	}
	return n;
}

static char log_text[4 * WS_HIGH_WATER];

static const char *told_all(void)
{
	snprintf(log_text, sizeof(log_text), "%.*s", SV_ARGS(buffer_sv(&one.log)));
	buffer_clear(&one.log);
	return log_text;
}

/* Reads all that comes. The messages are the first ones; returns how many. */
static unsigned receive(const char *last)
{
	unsigned n = 0, first = 0;
	const char *frames, *end = "";
	char before[64] = "";

	while (*(frames = heard())) {
		unsigned n_more = count(frames, "text <", &first);

		assert_int_equal(n_more ? first : n, n);
		n += n_more;
		end = strstr(frames, "close");
		snprintf(before, sizeof(before), "%s", end ? end : "");
	}
	assert_string_equal(before, last);
	return n;
}

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
		cmocka_unit_test_setup_teardown(test_return_unsent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_unsent_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_unsent_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_too_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_congested_by_what_is_saved, setup_coded,
						teardown),
		cmocka_unit_test_setup_teardown(test_message_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
