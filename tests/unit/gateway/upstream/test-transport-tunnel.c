/* SPDX-License-Identifier: MIT */
/* A transport that asks a proxy for the server. The test is the proxy. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/upstream/transport-state.h"
#include "tests/unit/loopback.h"

enum {
	PATIENCE_MS = 20000,
	TUNNEL_MS = 3 * PATIENCE_MS,
	PAUSE_MS = 20,
};

static struct {
	uv_loop_t loop;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transport;
	int listener, proxy;
	bool must_free; /* the owner, when it hears of the proxy */
	unsigned n_tunnelling, n_connected, n_failed;
	size_t n_received;
	struct failure failure;
} one;

static void on_tunnelling(void *userdata)
{
	(void)userdata;
	one.n_tunnelling++;
	if (one.must_free) {
		one.transport = transport_free(one.transport);
	}
}

static void on_connected(void *userdata)
{
	(void)userdata;
	one.n_connected++;
}

static void on_data(void *userdata, const char *data, size_t n)
{
	(void)userdata;
	assert_memory_equal(data, "hello", n);
	one.n_received += n;
}

static void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	one.failure = *failure;
	one.n_failed++;
}

static const struct transport_callbacks callbacks = {
	.tunnelling = on_tunnelling,
	.connected = on_connected,
	.data = on_data,
	.failed = on_failed,
};

static void run_until(const unsigned *n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*n == 0 && one.n_failed == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*n, 1);
}

static void open_transport(enum egress_kind kind)
{
	static struct egress egress;
	struct address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	const struct transport_way way = {.address = &address,
					  .egress = &egress,
					  .server = {.host = "xmpp.example", .port = 5222},
					  .timeout_ms = PATIENCE_MS,
					  .tunnel_timeout_ms = TUNNEL_MS};

	egress = (struct egress){.kind = kind};
	one.listener = loopback_listen(&address.any, 1);
	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL, &one.transport),
		0);
	one.proxy = accept(one.listener, NULL, NULL);
	assert_true(one.proxy >= 0);
	run_until(&one.n_tunnelling);
}

static int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	return uv_loop_init(&one.loop);
}

static int teardown(void **state)
{
	(void)state;
	transport_free(one.transport);
	close(one.listener);
	close(one.proxy);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
}

/* The gateway has sent @expected to the proxy, or more. */
static void assert_sent(const char *expected, size_t n)
{
	struct pollfd in = {.fd = one.proxy, .events = POLLIN};
	char text[1024];

	assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
	ssize_t r = recv(one.proxy, text, sizeof(text), MSG_DONTWAIT);

	assert_true(r >= (ssize_t)n);
	assert_memory_equal(text, expected, n);
}

static void say(const char *bytes, size_t n)
{
	assert_int_equal(send(one.proxy, bytes, n, 0), n);
}

/* When the time is over, as the loop counts. */
static uint64_t deadline(void)
{
	return uv_now(&one.loop) + uv_timer_get_due_in(&one.transport->timer.uv);
}

/* The proxy is asked in the same turn, and what the server says comes right behind the answer. */
static void test_http(void **state)
{
	(void)state;
	open_transport(EGRESS_HTTP);
	assert_sent("CONNECT xmpp.example:5222 ", 26);
	assert_true(uv_timer_get_due_in(&one.transport->timer.uv) > PATIENCE_MS);
	say("HTTP/1.1 200 OK\r\n\r\nhello", 24);
	run_until(&one.n_connected);
	assert_false(timeout_is_set(&one.transport->timer));
	assert_null(one.transport->tunnel);
	while (one.n_received < 5 && one.n_failed == 0) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_failed, 0);
}

/* Its time begins when it is asked for the server, and parts of its answer do not prolong it. */
static void test_time_of_socks(void **state)
{
	(void)state;
	open_transport(EGRESS_SOCKS5);
	assert_sent("\5\1\0", 3);
	assert_in_range(uv_timer_get_due_in(&one.transport->timer.uv), 1, PATIENCE_MS);
	say("\5\0", 2);
	uv_run(&one.loop, UV_RUN_ONCE);
	assert_sent("\5\1\0\3\14xmpp.example", 17);
	assert_true(uv_timer_get_due_in(&one.transport->timer.uv) > PATIENCE_MS);
	uint64_t end = deadline();

	uv_sleep(PAUSE_MS);
	say("\5\0\0", 3);
	uv_run(&one.loop, UV_RUN_ONCE);
	assert_int_equal(deadline(), end);
	assert_int_equal(one.n_connected, 0);
	say("\1\0\0\0\0\0\0", 7);
	run_until(&one.n_connected);
	assert_int_equal(one.n_failed, 0);
}

static void assert_failed(enum failure_kind kind)
{
	run_until(&one.n_failed);
	assert_int_equal(one.failure.kind, kind);
	assert_int_equal(one.n_connected, 0);
	assert_false(uv_is_active((uv_handle_t *)&one.transport->poll));
	assert_false(timeout_is_set(&one.transport->timer));
}

static void test_refused(void **state)
{
	(void)state;
	open_transport(EGRESS_HTTP);
	say("HTTP/1.1 403 Forbidden\r\n\r\n", 26);
	assert_failed(FAILURE_PROXY_REFUSED);
}

/* The proxy may be the reason, or the server. */
static void test_late_proxy(void **state)
{
	(void)state;
	open_transport(EGRESS_SOCKS5);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_PROXY_FAILED);
}

static void test_late_server(void **state)
{
	(void)state;
	open_transport(EGRESS_HTTP);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECT_TIMEOUT);
}

static void test_freed(void **state)
{
	(void)state;
	one.must_free = true;
	open_transport(EGRESS_HTTP);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	/* It was not asked. */
	assert_int_equal(recv(one.proxy, &(char){0}, 1, 0), 0);
	assert_int_equal(one.n_failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http),       TEST(test_time_of_socks), TEST(test_refused),
		TEST(test_late_proxy), TEST(test_late_server),   TEST(test_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
