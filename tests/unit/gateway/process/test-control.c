/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/process/control.h"

/* How many calls fail without memory from now on. */
static unsigned n_refused;

static bool is_refused(int error)
{
	errno = error;
	return n_refused && n_refused--;
}

/* Take the places of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return is_refused(ENOBUFS) ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return is_refused(ENOMEM) ? -1 : syscall(SYS_recvmsg, fd, message, flags);
}

/* An order that was lost would leave the gateway running; a report, the supervisor waiting. */
static void test_without_memory(void **state)
{
	const struct control_message sent = {.kind = CONTROL_DRAIN};
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	int pair[2];
	size_t n_fds;

	(void)state;
	assert_int_equal(control_pair(pair), 0);
	n_refused = 3;
	assert_int_equal(control_send_patiently(pair[0], &sent, NULL, 0), 0);
	assert_int_equal(n_refused, 0);
	n_refused = 3;
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), CONTROL_RECEIVED);
	assert_int_equal(message.kind, CONTROL_DRAIN);
	n_refused = 1;
	assert_int_equal(control_send(pair[0], &sent, NULL, 0), -ENOBUFS);
	/* It does not wait for ever. */
	n_refused = UINT_MAX;
	assert_int_equal(control_send_patiently(pair[0], &sent, NULL, 0), -ENOBUFS);
	n_refused = 0;
	close(pair[0]);
	close(pair[1]);
}

static void test_message_with_descriptors(void **state)
{
	const struct control_message sent = {.kind = CONTROL_SOCKETS, .n = 7, .generation = 63};
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	int pair[2], pipes[2];
	size_t n_fds;
	char byte;

	(void)state;
	assert_int_equal(control_pair(pair), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(control_send(pair[0], &sent, pipes, 2), 0);
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), CONTROL_RECEIVED);
	assert_memory_equal(&message, &sent, sizeof(sent));
	assert_int_equal(n_fds, 2);
	assert_int_equal(fds[2], -1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	/* They are the same pipe. */
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	for (size_t i = 0; i < 2; i++) {
		close(fds[i]);
		close(pipes[i]);
	}
	close(pair[0]);
	close(pair[1]);
}

static void test_most_descriptors(void **state)
{
	const struct control_message sent = {.kind = CONTROL_SOCKETS};
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	int pair[2];
	size_t n_fds;

	(void)state;
	assert_int_equal(control_pair(pair), 0);
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++) {
		fds[i] = pair[0];
	}
	assert_int_equal(control_send(pair[0], &sent, fds, CONTROL_FDS_MAX), 0);
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), CONTROL_RECEIVED);
	assert_int_equal(n_fds, CONTROL_FDS_MAX);
	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
	close(pair[0]);
	close(pair[1]);
}

static void test_the_end(void **state)
{
	struct control_message message = {.kind = CONTROL_READY};
	int fds[CONTROL_FDS_MAX];
	int pair[2];
	size_t n_fds;

	(void)state;
	assert_int_equal(control_pair(pair), 0);
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), CONTROL_EMPTY);
	close(pair[0]);
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), CONTROL_CLOSED);
	assert_int_equal(control_send(pair[1], &message, NULL, 0), -EPIPE);
	close(pair[1]);
}

/* Of another version of the program, say. Its descriptors are not kept. */
static void test_a_strange_message(void **state)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	int pair[2];
	size_t n_fds;

	(void)state;
	assert_int_equal(control_pair(pair), 0);
	assert_int_equal(send(pair[0], "strange", 7, 0), 7);
	assert_int_equal(control_receive(pair[1], &message, fds, &n_fds), -EPROTO);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_message_with_descriptors),
		cmocka_unit_test(test_most_descriptors),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_a_strange_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
