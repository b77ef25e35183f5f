/* SPDX-License-Identifier: MIT */
/* The handshake of TLS: what it holds, how much time it has, and how it fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/transport-tls-case.h"

/* The server has answered, but not all. */
static void begin_flight(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	secure(PATIENCE_MS);
	while (BIO_pending(SSL_get_wbio(tls.server)) == 0 && uv_now(&one.loop) < end) {
		(void)SSL_do_handshake(tls.server);
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
}

/* A part of the server's flight counts as held memory if the rest is late, until that has come. */
static void test_held_in_handshake(void **state)
{
	uint64_t start = uv_now(&one.loop);

	(void)state;
	begin_flight();
	run_for(TRANSPORT_FLIGHT_MS / 4);
	assert_true(tls.n_held == 0 || uv_now(&one.loop) - start >= TRANSPORT_FLIGHT_MS);
	run_until_held(TRANSPORT_MESSAGE_HELD);
	assert_int_equal(transport_held(one.transport), TRANSPORT_MESSAGE_HELD);
	write_all();
	shake();
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(transport_held(one.transport), 0);
	assert_int_equal(one.n_failed, 0);
}

/* The same of one that begins late. */
static void test_held_late_in_handshake(void **state)
{
	(void)state;
	secure(PATIENCE_MS);
	run_for(TRANSPORT_FLIGHT_MS * 5 / 4);
	assert_int_equal(transport_held(one.transport), 0);
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
	run_until_held(TRANSPORT_MESSAGE_HELD);
}

/* The time for the whole handshake stays the same. */
static void test_slow_handshake_is_late(void **state)
{
	uint64_t start = uv_now(&one.loop);

	(void)state;
	secure(TRANSPORT_FLIGHT_MS + MESSAGE_MS);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_true(uv_now(&one.loop) - start >= TRANSPORT_FLIGHT_MS + MESSAGE_MS - 1);
}

/* Writes more than the kernel takes, in clear, and begins the handshake behind it. */
static void secure_behind_text(void)
{
	static const char text[N_CLEAR];

	assert_int_equal(transport_write(one.transport, text, sizeof(text)), 0);
	assert_true(transport_waiting(one.transport) > 0);
	secure(2 * PATIENCE_MS);
}

static void test_clear_text_first(void **state)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	size_t n = 0;

	(void)state;
	secure_behind_text();
	while (n < N_CLEAR && uv_now(&one.loop) < end) {
		char bytes[N_LONG_TEXT];
		size_t n_most = N_CLEAR - n < sizeof(bytes) ? N_CLEAR - n : sizeof(bytes);
		ssize_t r = recv(one.fd, bytes, n_most, MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, r > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
	assert_int_equal(n, N_CLEAR);
	shake();
	assert_int_equal(one.n_failed, 0);
}

/* A handshake fails at once when nothing can be written: before it, in clear, or within it. */
static void test_broken_clear_text(void **state)
{
	(void)state;
	secure_behind_text();
	assert_int_equal(shutdown(one.transport->channel.fd, SHUT_WR), 0);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
}

static void test_broken_handshake(void **state)
{
	(void)state;
	secure(2 * PATIENCE_MS);
	run_for(MESSAGE_MS / 10);
	transport_set_broken(one.transport, "it is broken");
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CONNECTED(test_held_in_handshake),
		TEST_CONNECTED(test_held_late_in_handshake),
		TEST_CONNECTED(test_slow_handshake_is_late),
		TEST_CONNECTED(test_clear_text_first),
		TEST_CONNECTED(test_broken_clear_text),
		TEST_CONNECTED(test_broken_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
