/* SPDX-License-Identifier: MIT */
/* What becomes of a transport in a turn, or when the time of its state is over: while it connects,
 * talks with a proxy and shakes hands, and while it has to wait. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/gateway/upstream/transport-turn-case.h"

enum {
	CONNECT_MS = 3000,
	TUNNEL_MS = 7000,
	N_CLEAR = 50,
	/* By so much the clocks of the kernel and of the loop may differ. */
	SLACK_MS = 1000,
};

/* In @state, whose time is not over yet. */
static void enter(enum transport_state state)
{
	one.transport->state = state;
	timeout_start(&one.transport->timer, transport_on_timer, PATIENCE_MS);
}

static void assert_time(int64_t ms)
{
	assert_true(is_timed());
	assert_in_range(uv_timer_get_due_in(&one.transport->timer.uv), ms - SLACK_MS,
			ms + SLACK_MS);
}

/* What the test's transport_tunnel() returns and does. It replaces the program's. */
static struct {
	enum tunnel_result result;
	bool asks;
	unsigned n_turns;
} proxy;

enum tunnel_result transport_tunnel(struct transport *transport, struct failure *ret_failure)
{
	if (proxy.asks) {
		transport->tunnel->socks.state = SOCKS_REPLY;
	}
	proxy.n_turns++;
	failure_set(ret_failure, FAILURE_PROXY_REFUSED, "no way");
	return proxy.result;
}

static void enter_with_proxy(enum egress_kind kind)
{
	struct transport *transport = one.transport;

	memset(&proxy, 0, sizeof(proxy));
	proxy.result = TUNNEL_MORE;
	enter(TRANSPORT_CONNECTING);
	transport->timeout_ms = CONNECT_MS;
	transport->tunnel_timeout_ms = TUNNEL_MS;
	transport->tunnel = calloc(1, sizeof(*transport->tunnel));
	assert_non_null(transport->tunnel);
	transport->tunnel->kind = kind;
}

static void test_connected(void **state)
{
	(void)state;
	enter(TRANSPORT_CONNECTING);
	turn(UV_WRITABLE);
	assert_int_equal(one.n_connected, 1);
	assert_int_equal(one.transport->state, TRANSPORT_OPEN);
	assert_false(timeout_is_set(&one.transport->timer));
	assert_int_equal(fake.n_reads + one.n_tunnelling + one.n_failed, 0);
}

static void test_not_connected(void **state)
{
	(void)state;
	enter(TRANSPORT_CONNECTING);
	fake.socket_error = ECONNREFUSED;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_connected, 0);
	assert_failed(FAILURE_CONNECT_REFUSED, NULL);
}

static void test_unknown_error(void **state)
{
	(void)state;
	enter(TRANSPORT_CONNECTING);
	fake.socket_errno = ENOBUFS;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_connected, 0);
	assert_failed(FAILURE_INTERNAL, "No buffer space available");
}

/* The time to connect counts until the proxy is asked for the server, and then the longer one. */
static void test_tunnel_of_socks(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	enter_with_proxy(EGRESS_SOCKS5);
	turn(UV_WRITABLE);
	assert_int_equal(one.n_tunnelling, 1);
	assert_int_equal(transport->state, TRANSPORT_TUNNEL);
	assert_int_equal(proxy.n_turns, 1);
	assert_time(CONNECT_MS);
	proxy.asks = true;
	turn(UV_READABLE);
	assert_time(TUNNEL_MS);
	/* Once. */
	timeout_stop(&transport->timer);
	turn(UV_READABLE);
	assert_false(timeout_is_set(&transport->timer));
	enter(TRANSPORT_TUNNEL);
	assert_int_equal(one.n_connected, 0);
	proxy.result = TUNNEL_OPEN;
	turn(UV_READABLE);
	assert_int_equal(one.n_connected, 1);
	assert_int_equal(transport->state, TRANSPORT_OPEN);
	assert_null(transport->tunnel);
	assert_false(timeout_is_set(&transport->timer));
	/* The bytes behind the proxy's answer are read in the next turn. */
	assert_int_equal(fake.n_reads, 0);
}

static void test_tunnel_of_http(void **state)
{
	(void)state;
	enter_with_proxy(EGRESS_HTTP);
	turn(UV_WRITABLE);
	assert_time(TUNNEL_MS);
	timeout_stop(&one.transport->timer);
	turn(UV_READABLE);
	assert_false(timeout_is_set(&one.transport->timer));
	assert_int_equal(proxy.n_turns, 2);
	proxy.result = TUNNEL_FAILED;
	turn(UV_READABLE);
	assert_int_equal(one.n_connected, 0);
	assert_failed(FAILURE_PROXY_REFUSED, "no way");
}

static void test_freed_by_tunnelling(void **state)
{
	(void)state;
	enter_with_proxy(EGRESS_HTTP);
	fake.frees = true;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_tunnelling, 1);
	assert_int_equal(proxy.n_turns, 0);
}

static void test_late_proxy(void **state)
{
	(void)state;
	enter_with_proxy(EGRESS_HTTP);
	turn(UV_WRITABLE);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECT_TIMEOUT, NULL);
}

static void test_secured(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_AGAIN;
	turn(UV_READABLE);
	assert_int_equal(fake.n_shakes, 1);
	assert_int_equal(transport->state, TRANSPORT_HANDSHAKE);
	assert_false(transport->has_begun);
	assert_true(is_timed());
	fake.shaken = CHANNEL_OK;
	turn(UV_READABLE);
	assert_int_equal(one.n_secured, 1);
	assert_int_equal(fake.n_pushes, 1);
	assert_int_equal(transport->state, TRANSPORT_OPEN);
	assert_false(timeout_is_set(&transport->timer));
	assert_int_equal(one.n_held + one.n_failed + fake.n_reads, 0);
}

/* What came with the end of the handshake is read. */
static void test_secured_with_more(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.has_pending = true;
	turn(UV_READABLE);
	assert_true(is_planned());
}

/* The helper has completed it. Its memory goes with the handshake. */
static void test_secured_by_helper(void **state)
{
	struct transport_step *last = calloc(1, sizeof(*last));

	(void)state;
	assert_non_null(last);
	*last = (struct transport_step){.has_result = true, .result = CHANNEL_OK};
	enter(TRANSPORT_HANDSHAKE);
	one.transport->step = last;
	turn(UV_READABLE);
	assert_int_equal(one.n_secured, 1);
	assert_int_equal(fake.n_shakes, 0);
	assert_null(one.transport->step);
}

/* Nothing can be written any more, but what the server has sent is read first. */
static void test_secured_and_broken(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	one.transport->broken = "broken before";
	turn(UV_READABLE);
	assert_int_equal(one.n_secured, 1);
	assert_int_equal(one.n_failed, 0);
	fake.read = CHANNEL_AGAIN;
	turn(UV_READABLE);
	assert_failed(FAILURE_CONNECTION_LOST, "broken before");
}

static void test_freed_by_secured(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.frees = true;
	turn(UV_READABLE);
	assert_int_equal(one.n_secured, 1);
	assert_int_equal(fake.n_pushes, 0);
}

static void test_no_tls(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_BROKEN;
	turn(UV_READABLE);
	assert_failed(FAILURE_TLS_HANDSHAKE, "no TLS");
}

static void test_broken_handshake(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_AGAIN;
	one.transport->broken = "broken before";
	turn(UV_READABLE);
	assert_failed(FAILURE_CONNECTION_LOST, "broken before");
}

/* A part of the server's flight counts as held memory if the rest is late. */
static void test_begun_and_slow(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_AGAIN;
	transport->channel.n_received = transport->channel.n_answered = 7;
	turn(UV_READABLE);
	transport_on_timer(&transport->timer);
	assert_true(transport->is_slow);
	assert_time(MESSAGE_MS - TRANSPORT_FLIGHT_MS);
	assert_int_equal(one.n_held, 0);
	transport->channel.n_received = 8;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 1);
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 1);
	transport->channel.n_answered = 8;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 2);
	transport_on_timer(&transport->timer);
	assert_failed(FAILURE_TLS_HANDSHAKE, "it took too long");
}

static void begin_slowly(void)
{
	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_AGAIN;
	one.transport->channel.n_received = 1;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 0);
	transport_on_timer(&one.transport->timer);
	assert_int_equal(one.n_held, 1);
	fake.shaken = CHANNEL_OK;
}

static void test_slow_and_secured(void **state)
{
	(void)state;
	begin_slowly();
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 2);
	assert_int_equal(one.n_secured, 1);
}

static void test_freed_by_held(void **state)
{
	(void)state;
	begin_slowly();
	fake.frees = true;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 2);
	assert_int_equal(one.n_secured, 0);
}

/* A shorter time is one, whatever has begun. */
static void test_short_handshake(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	one.transport->message_timeout_ms = TRANSPORT_FLIGHT_MS + 1;
	transport_on_timer(&one.transport->timer);
	assert_int_equal(one.n_failed, 0);
	one.transport->is_slow = false;
	one.transport->message_timeout_ms = TRANSPORT_FLIGHT_MS;
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_TLS_HANDSHAKE, "it took too long");
}

static void let_wait_in_clear(void)
{
	static const char bytes[2 * N_CLEAR];

	enter(TRANSPORT_HANDSHAKE);
	fake.shaken = CHANNEL_AGAIN;
	assert_int_equal(buffer_append(&one.transport->out, bytes, sizeof(bytes)), 0);
	one.transport->n_clear = N_CLEAR;
}

static void test_clear_text_first(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	let_wait_in_clear();
	fake.n_taken = 20;
	turn(UV_WRITABLE);
	assert_int_equal(transport->n_clear, N_CLEAR - 20);
	assert_int_equal(fake.n_shakes, 0);
	fake.n_taken = 2 * N_CLEAR;
	turn(UV_WRITABLE);
	assert_int_equal(transport->n_clear, 0);
	assert_int_equal(transport->out.n, N_CLEAR);
	assert_int_equal(fake.n_shakes, 1);
	/* What was written since is for TLS. */
	turn(UV_READABLE);
	assert_int_equal(transport->out.n, N_CLEAR);
	assert_int_equal(fake.n_writes, 2);
}

static void test_broken_clear_text(void **state)
{
	(void)state;
	let_wait_in_clear();
	fake.written = CHANNEL_BROKEN;
	turn(UV_WRITABLE);
	assert_int_equal(fake.n_shakes, 0);
	assert_failed(FAILURE_CONNECTION_LOST, "no writing");
}

static void test_not_in_helper(void **state)
{
	(void)state;
	enter(TRANSPORT_HANDSHAKE);
	lend();
	turn(UV_READABLE);
	assert_int_equal(fake.n_shakes, 0);
	/* Nor is its time over then. */
	transport_on_timer(&one.transport->timer);
	assert_time(1000);
	assert_false(one.transport->is_slow);
	take_back();
	transport_on_timer(&one.transport->timer);
	assert_true(one.transport->is_slow);
}

static void test_late_to_connect(void **state)
{
	(void)state;
	enter(TRANSPORT_CONNECTING);
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECT_TIMEOUT, NULL);
}

static void test_connect_failed_at_once(void **state)
{
	(void)state;
	enter(TRANSPORT_CONNECTING);
	one.transport->connect_error = ECONNREFUSED;
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECT_REFUSED, NULL);
}

static void test_late_to_finish(void **state)
{
	(void)state;
	enter(TRANSPORT_FINISHING);
	transport_on_timer(&one.transport->timer);
	assert_int_equal(one.transport->state, TRANSPORT_CLOSED);
	assert_int_equal(one.n_failed, 0);
	one.transport = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connected),
		TEST(test_not_connected),
		TEST(test_unknown_error),
		TEST(test_tunnel_of_socks),
		TEST(test_tunnel_of_http),
		TEST(test_freed_by_tunnelling),
		TEST(test_late_proxy),
		TEST(test_secured),
		TEST(test_secured_with_more),
		TEST(test_secured_by_helper),
		TEST(test_secured_and_broken),
		TEST(test_freed_by_secured),
		TEST(test_no_tls),
		TEST(test_broken_handshake),
		TEST(test_begun_and_slow),
		TEST(test_slow_and_secured),
		TEST(test_freed_by_held),
		TEST(test_short_handshake),
		TEST(test_clear_text_first),
		TEST(test_broken_clear_text),
		TEST(test_not_in_helper),
		TEST(test_late_to_connect),
		TEST(test_connect_failed_at_once),
		TEST(test_late_to_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
