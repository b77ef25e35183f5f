/* SPDX-License-Identifier: MIT */
/* The clear text of a wire, for a library that wants a descriptor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/gateway/wire/wire-tls-case.h"

/* The clear text for a library that wants a descriptor. */
static void test_pump(void **state)
{
	static char bytes[LONG], received[64 * 1024];
	size_t n_sent = 0, n_received = 0, n_answered = 0;
	char text[8];

	(void)state;
	shake(TLS1_3_VERSION);
	say("head");
	turn_until(&one.n_ready, 1);
	assert_peek(100, "head");
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	turn();
	assert_int_equal(recv(fd, text, sizeof(text), 0), 4);
	/* Both directions at a time, with more than fits. */
	for (int i = 0; i < TURNS_MAX && (n_received < LONG || n_answered < LONG); i++) {
		int n = n_sent < LONG ? SSL_write(one.client, bytes, LONG / 64) : 0;

		n_sent += n > 0 ? (size_t)n : 0;
		(void)!send(fd, bytes, n_answered < LONG ? LONG / 64 : 0, MSG_NOSIGNAL);
		turn();
		ssize_t r = recv(fd, received, sizeof(received), 0);

		n_received += r > 0 ? (size_t)r : 0;
		n = SSL_read(one.client, received, sizeof(received));
		n_answered += n > 0 ? (size_t)n : 0;
	}
	assert_true(n_received >= LONG && n_answered >= LONG);
	/* The end of one side is passed on, and with the other one it is over. */
	SSL_shutdown(one.client);
	for (int i = 0; i < TURNS_MAX && recv(fd, received, sizeof(received), 0) != 0; i++) {
		turn();
	}
	assert_int_equal(recv(fd, text, 1, 0), 0);
	close(fd);
	turn();
	assert_false(LIST_EMPTY(&one.hub->wires)); /* it lingers */
	assert_int_equal(one.n_closed, 0);
	close(one.theirs);
	one.theirs = -1;
	for (int i = 0; i < TURNS_MAX && !LIST_EMPTY(&one.hub->wires); i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	/* Only now, not when who has the descriptor closes it: the client's connection has its seat
	 * until it ends. */
	assert_int_equal(one.n_closed, 1);
}

static void test_pump_of_a_client_that_is_gone(void **state)
{
	char text[8];

	(void)state;
	shake(TLS1_3_VERSION);
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	close(one.theirs);
	one.theirs = -1;
	for (int i = 0; i < TURNS_MAX && recv(fd, text, 1, 0) != 0; i++) {
		turn();
	}
	assert_int_equal(recv(fd, text, 1, 0), 0);
	close(fd);
	turn();
}

/* A client that sends no more may still read, until its connection breaks. */
static void test_pump_of_a_client_that_goes_later(void **state)
{
	char text[8];
	ssize_t n = -1;

	(void)state;
	shake(TLS1_3_VERSION);
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	shutdown(one.theirs, SHUT_WR);
	for (int i = 0; i < TURNS_MAX && recv(fd, text, 1, 0) != 0; i++) {
		turn();
	}
	assert_int_equal(send(fd, "yes", 3, MSG_NOSIGNAL), 3);
	for (int i = 0; i < TURNS_MAX && n < 0; i++) {
		turn();
		n = SSL_read(one.client, text, sizeof(text));
	}
	assert_int_equal(n, 3);
	assert_int_equal(one.n_closed, 0);
	close(one.theirs);
	one.theirs = -1;
	turn_until(&one.n_closed, 1);
	assert_int_equal(send(fd, "no", 2, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	close(fd);
	turn();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pump),
		TEST(test_pump_of_a_client_that_is_gone),
		TEST(test_pump_of_a_client_that_goes_later),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
