/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Ends of connections to clients that do not read. A message is either received, or the session
 * gets it back, or the kernel has it. For one source file of a program, after cmocka.h.
 */
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
static inline void make_room(size_t n)
{
	room = n;
	wire_wake(one.connection->wire);
	turn();
}

/* Messages begin with their number. */
static inline void send_text(unsigned i, size_t n)
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
static inline unsigned fill(size_t n)
{
	unsigned i = 0;

	for (; !ws_is_congested(one.connection); i++) {
		send_text(i, n);
		turn();
	}
	return i;
}

/* Counts the messages in @text by their numbers, each of which must follow the one before. */
static inline unsigned count(const char *text, const char *mark, unsigned *first)
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

static inline const char *told_all(void)
{
	snprintf(log_text, sizeof(log_text), "%.*s", SV_ARGS(buffer_sv(&one.log)));
	buffer_clear(&one.log);
	return log_text;
}

/* Reads all that comes. The messages are the first ones; returns how many. */
static inline unsigned receive(const char *last)
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
