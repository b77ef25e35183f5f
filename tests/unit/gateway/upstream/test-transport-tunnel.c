/* SPDX-License-Identifier: MIT */
/* A transport that asks a proxy for the server. The test is the proxy. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	TUNNEL_MS = 3 * PATIENCE_MS,
	PAUSE_MS = 20,
};

static bool must_free; /* the owner, when it hears of the proxy */

static void on_proxy(void *userdata)
{
	on_tunnelling(userdata);
	if (must_free) {
		one.transport = transport_free(one.transport);
	}
}

static void on_hello(void *userdata, const char *data, size_t n)
{
	assert_memory_equal(data, "hello", n);
	on_data(userdata, data, n);
}

static const struct transport_callbacks callbacks = {
	.tunnelling = on_proxy,
	.connected = on_connected,
	.data = on_hello,
	.failed = on_failed,
};

static void ask_proxy(enum egress_kind kind)
{
	static struct egress egress;
	const struct transport_way way = {.egress = &egress,
					  .server = {.host = "xmpp.example", .port = 5222},
					  .tunnel_timeout_ms = TUNNEL_MS};

	egress = (struct egress){.kind = kind};
	open_transport(way, &callbacks);
	run_until(&one.n_tunnelling);
	assert_int_equal(one.n_tunnelling, 1);
}

static int setup(void **state)
{
	(void)state;
	must_free = false;
	open_loop();
	return 0;
}

/* The gateway has sent @expected to the proxy, or more. */
static void assert_sent(const char *expected, size_t n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	char text[1024];

	while (loopback_unread(one.fd) < n && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	ssize_t r = recv(one.fd, text, sizeof(text), MSG_DONTWAIT);

	assert_true(r >= (ssize_t)n);
	assert_memory_equal(text, expected, n);
}

static void say(const char *bytes, size_t n)
{
	assert_int_equal(send(one.fd, bytes, n, 0), n);
	loopback_wait_bytes(one.transport->channel.fd, n);
}

/* Until all that the proxy has said has been read. */
static void run_until_read(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	int fd = one.transport->channel.fd;

	while (loopback_unread(fd) > 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(loopback_unread(fd), 0);
}

/* The proxy is asked in the same turn, and what the server says comes right behind the answer. */
static void test_http(void **state)
{
	(void)state;
	ask_proxy(EGRESS_HTTP);
	assert_sent("CONNECT xmpp.example:5222 ", 26);
	assert_true(uv_timer_get_due_in(&one.transport->timer.uv) > PATIENCE_MS);
	say("HTTP/1.1 200 OK\r\n\r\nhello", 24);
	run_until(&one.n_connected);
	assert_false(timeout_is_set(&one.transport->timer));
	assert_null(one.transport->tunnel);
	run_until_received(5);
	assert_int_equal(one.n_failed, 0);
}

/* Its time begins when it is asked for the server, and parts of its answer do not prolong it. */
static void test_time_of_socks(void **state)
{
	(void)state;
	ask_proxy(EGRESS_SOCKS5);
	assert_sent("\5\1\0", 3);
	assert_in_range(uv_timer_get_due_in(&one.transport->timer.uv), 1, PATIENCE_MS);
	say("\5\0", 2);
	assert_sent("\5\1\0\3\14xmpp.example", 17);
	assert_true(uv_timer_get_due_in(&one.transport->timer.uv) > PATIENCE_MS);
	uint64_t end = deadline();

	uv_sleep(PAUSE_MS);
	say("\5\0\0", 3);
	run_until_read();
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
	ask_proxy(EGRESS_HTTP);
	say("HTTP/1.1 403 Forbidden\r\n\r\n", 26);
	assert_failed(FAILURE_PROXY_REFUSED);
}

/* The proxy may be the reason, or the server. */
static void test_late_proxy(void **state)
{
	(void)state;
	ask_proxy(EGRESS_SOCKS5);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_PROXY_FAILED);
}

static void test_late_server(void **state)
{
	(void)state;
	ask_proxy(EGRESS_HTTP);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECT_TIMEOUT);
}

static void test_freed(void **state)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	ssize_t r;

	(void)state;
	must_free = true;
	ask_proxy(EGRESS_HTTP);
	do {
		uv_run(&one.loop, UV_RUN_ONCE);
		r = recv(one.fd, &(char){0}, 1, MSG_DONTWAIT);
	} while (r < 0 && uv_now(&one.loop) < end);
	/* It was not asked. */
	assert_int_equal(r, 0);
	assert_int_equal(one.n_failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http),       TEST(test_time_of_socks), TEST(test_refused),
		TEST(test_late_proxy), TEST(test_late_server),   TEST(test_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
