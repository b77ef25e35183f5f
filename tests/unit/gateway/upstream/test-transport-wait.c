/* SPDX-License-Identifier: MIT */
/* Transports that have to wait for each other: connections that are made at the same time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/unit/clock.h"
#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	N_TRANSPORTS = 3,
	BUSY_MS = 20, /* longer than a time-out of 1 */
};

static struct transport *transports[N_TRANSPORTS];

static void on_connected_late(void *userdata)
{
	on_connected(userdata);
	clock_pass_us(TURN_ALONE_US);
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected_late,
	.failed = on_failed,
};

static int setup(void **state)
{
	(void)state;
	open_loop();
	listen_for(N_TRANSPORTS);
	const struct transport_way way = {
		.address = &one.address, .timeout_ms = PATIENCE_MS, .turn = &one.turn};

	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		assert_int_equal(transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL,
					       &transports[i]),
				 0);
	}
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		transports[i] = transport_free(transports[i]);
	}
	return close_all(state);
}

/* One that takes long is one an iteration. */
static void test_one_after_the_other(void **state)
{
	unsigned n = 0;

	(void)state;
	while (n < N_TRANSPORTS && one.n_failed == 0) {
		uv_run(&one.loop, UV_RUN_ONCE);
		assert_in_range(one.n_connected, n, n + 1);
		n = one.n_connected;
	}
	assert_int_equal(n, N_TRANSPORTS);
	assert_int_equal(one.n_failed, 0);
}

/* No time-out while it is the thread that is late, not the server. */
static void test_no_timeout_meanwhile(void **state)
{
	struct transport *transport = transports[0];

	(void)state;
	turn_add_last(&one.turn, &transport->item);
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_failed, 0);
	assert_true(uv_timer_get_due_in(&transport->timer.uv) > 0);
	turn_remove(&one.turn, &transport->item);
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_failed, 1);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
}

/* The thread was busy with something else until the time had passed. Meanwhile the server has taken
 * the connection: that counts. */
static void test_late_thread(void **state)
{
	const struct transport_way way = {.address = &one.address, .timeout_ms = 1};
	struct transport *transport;

	(void)state;
	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		transports[i] = transport_free(transports[i]);
	}
	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL, &transport), 0);
	uv_sleep(BUSY_MS);
	loopback_wait(transport->channel.fd, POLLOUT);
	while (one.n_failed + one.n_connected == 0) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_failed, 0);
	assert_int_equal(one.n_connected, 1);
	transport_free(transport);
}

/* The connections that can be accepted, which listen(2) bounds. */
static unsigned n_acceptable(void)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(one.listener, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	return info.tcpi_unacked;
}

/* A server that ends resets the connections that it has not accepted: nothing listens there, as if
 * it had ended before. */
static void test_server_ends(void **state)
{
	(void)state;
	while (n_acceptable() < N_TRANSPORTS) {
		uv_sleep(LOOPBACK_STEP_MS);
	}
	close_fd(&one.listener);
	/* All are reset before the loop looks: otherwise some are connected first. */
	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		loopback_wait(transports[i]->channel.fd, 0);
	}
	while (one.n_failed + one.n_connected < N_TRANSPORTS) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_failed, N_TRANSPORTS);
	assert_int_equal(one.failure.kind, FAILURE_CONNECT_REFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_the_other),
		TEST(test_no_timeout_meanwhile),
		TEST(test_late_thread),
		TEST(test_server_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
