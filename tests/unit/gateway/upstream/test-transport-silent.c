/* SPDX-License-Identifier: MIT */
/* A server that goes silent, or reads nothing: when the kernel gives it up. To make it silent, a
 * socket filter drops all packets that arrive, so that nothing is acknowledged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/skip.h"
#include "tests/unit/gateway/upstream/transport-socket-case.h"

static int option_of(int level, int name)
{
	int value;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(one.transport->channel.fd, level, name, &value, &size), 0);
	return value;
}

/* Some kernels lack socket filters or deny them to ordinary users. */
static void silence_server(void)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &nothing};

	if (setsockopt(one.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0) {
		SKIP_BECAUSE("SO_ATTACH_FILTER: %s", strerror(errno));
	}
}

static void assert_timed_out(void)
{
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
	assert_string_equal(one.failure.detail, "Connection timed out");
	assert_int_equal(one.n_ended, 0);
	run_for(TURNS_MS);
	assert_int_equal(one.n_failed, 1);
}

static void test_options(void **state)
{
	(void)state;
	int idle_s = option_of(IPPROTO_TCP, TCP_KEEPIDLE);
	int all_s = idle_s +
		    option_of(IPPROTO_TCP, TCP_KEEPINTVL) * option_of(IPPROTO_TCP, TCP_KEEPCNT);

	assert_int_not_equal(option_of(IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_not_equal(option_of(SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_in_range(idle_s, 30, 240);
	assert_in_range(all_s, idle_s + 30, 300);
	/* A lost probe must not end the connection: see transport.c. */
	assert_int_equal(option_of(IPPROTO_TCP, TCP_USER_TIMEOUT), all_s * 1000);
}

static void test_silent_with_data(void **state)
{
	(void)state;
	uint64_t start = uv_hrtime();

	silence_server();
	set_option(IPPROTO_TCP, TCP_USER_TIMEOUT, SHORT_MS);
	write_bytes(1);
	run_until(&one.n_failed);
	/* It waited for the time-out. */
	assert_true(uv_hrtime() - start >= SHORT_MS * 1000000ULL);
	assert_timed_out();
}

/* The kernel's keepalive takes two seconds at least. */
static void test_silent_and_idle(void **state)
{
	(void)state;
	silence_server();
	set_option(IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_option(IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_option(IPPROTO_TCP, TCP_KEEPCNT, 1);
	set_option(IPPROTO_TCP, TCP_USER_TIMEOUT, 2000);
	run_until(&one.n_failed);
	assert_timed_out();
}

/* The peer acknowledges but keeps its window shut. */
static void test_not_reading(void **state)
{
	(void)state;
	fill_kernel();
	/* Not before: the kernel may give up while it is being filled. */
	set_option(IPPROTO_TCP, TCP_USER_TIMEOUT, SHORT_MS);
	run_until(&one.n_failed);
	assert_timed_out();
}

/* Runs the loop until the kernel has given up the connection, before the transport reports it. */
static void run_until_given_up(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	struct tcp_info info;

	do {
		socklen_t size = sizeof(info);

		uv_run(&one.loop, UV_RUN_ONCE);
		assert_int_equal(
			getsockopt(one.transport->channel.fd, IPPROTO_TCP, TCP_INFO, &info, &size),
			0);
	} while (info.tcpi_state != TCP_CLOSE && uv_now(&one.loop) < end);
	assert_int_equal(info.tcpi_state, TCP_CLOSE);
}

/* While the owner has paused it, a broken connection is not reported: what the server sent before
 * comes first. */
static void test_silent_while_paused(void **state)
{
	(void)state;
	assert_int_equal(send(one.fd, "farewell", 8, 0), 8);
	loopback_wait_bytes(one.transport->channel.fd, 8);
	transport_pause(one.transport, true);
	silence_server();
	set_option(IPPROTO_TCP, TCP_USER_TIMEOUT, SHORT_MS);
	write_bytes(1);
	run_until_given_up();
	run_for(TURNS_MS);
	assert_int_equal(one.n_failed, 0);
	assert_int_equal(one.n_received, 0);
	transport_pause(one.transport, false);
	run_until(&one.n_failed);
	assert_int_equal(one.n_received, 8);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_options),         TEST(test_silent_with_data),
		TEST(test_not_reading),     TEST(test_silent_while_paused),
		TEST(test_silent_and_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
