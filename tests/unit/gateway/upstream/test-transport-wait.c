/* SPDX-License-Identifier: MIT */
/* Transports that have to wait for each other: connections that are made at the same time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/upstream/transport-state.h"
#include "tests/unit/clock.h"
#include "tests/unit/loopback.h"

enum {
	N_TRANSPORTS = 3,
	PATIENCE_MS = 20000,
	BUSY_MS = 20, /* longer than a time-out of 1 */
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transports[N_TRANSPORTS];
	struct address address; /* of the server */
	int listener;
	unsigned n_connected, n_failed;
	struct failure failure; /* the last one */
} one;

static void on_connected(void *userdata)
{
	(void)userdata;
	one.n_connected++;
	clock_pass_us(TURN_ALONE_US);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	one.failure = *failure;
	one.n_failed++;
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected,
	.failed = on_failed,
};

static int setup(void **state)
{
	struct address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};

	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(uv_loop_init(&one.loop), 0);
	turn_init(&one.turn, &one.loop);
	one.listener = loopback_listen(&address.any, N_TRANSPORTS);
	one.address = address;
	const struct transport_way way = {
		.address = &address, .timeout_ms = PATIENCE_MS, .turn = &one.turn};

	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		assert_int_equal(transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL,
					       &one.transports[i]),
				 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		transport_free(one.transports[i]);
	}
	turn_close(&one.turn);
	close(one.listener);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
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
	struct transport *transport = one.transports[0];

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
		one.transports[i] = transport_free(one.transports[i]);
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
	close(one.listener);
	one.listener = -1;
	/* All are reset before the loop looks: otherwise some are connected first. */
	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		loopback_wait(one.transports[i]->channel.fd, 0);
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
