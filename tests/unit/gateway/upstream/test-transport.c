/* SPDX-License-Identifier: MIT */
/*
 * What a transport needs from the kernel and other tests do not cover: timers, a peer that goes
 * silent, one that does not read, one that closes its half.
 *
 * Uses real sockets on loopback; the test has the other end. A socket filter makes the peer silent:
 * it drops all that arrives, so nothing is acknowledged. Time-outs of the transport are shortened
 * where a test has to wait for them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/macro.h"
#include "tests/unit/gateway/upstream/skip.h"
#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	/* Enough turns of the loop for anything to happen. */
	TURNS_MS = 10 * STEP_MS,
	SHORT_MS = 100,
	SOCKET_BUFFER = 16 * 1024,
};

static int set_up(void **state)
{
	(void)state;
	open_loop();
	listen_for(1);
	/* With an explicit size the kernel's buffers do not grow: see fill_kernel(). */
	assert_int_equal(
		setsockopt(one.listener, SOL_SOCKET, SO_RCVBUF, &(int){SOCKET_BUFFER}, sizeof(int)),
		0);
	open_transport((struct transport_way){0}, &counting);
	run_until(&one.n_connected);
	return 0;
}

static int tear_down(void **state)
{
	assert_int_equal(one.n_secured, 0);
	return close_all(state);
}

static int option_of(int level, int name)
{
	int value;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(one.transport->channel.fd, level, name, &value, &size), 0);
	return value;
}

static void set_option(int level, int name, int value)
{
	assert_int_equal(setsockopt(one.transport->channel.fd, level, name, &value, sizeof(value)),
			 0);
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

/* Reads until *@count is not 0. */
static size_t drain_server_until(const unsigned *count)
{
	static char data[65536];
	size_t n = 0;
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*count == 0 && uv_now(&one.loop) < end) {
		ssize_t r = recv(one.fd, data, sizeof(data), MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, r > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
	assert_int_not_equal(*count, 0);
	return n;
}

/* The server sends four bytes. They are in the transport's socket then. */
static void send_text(void)
{
	assert_int_equal(send(one.fd, "text", 4, 0), 4);
	loopback_wait_bytes(one.transport->channel.fd, 4);
}

/* Writes @n bytes. */
static void write_bytes(size_t n)
{
	char *data = calloc(1, n);

	assert_non_null(data);
	memset(data, 'x', n);
	assert_int_equal(transport_write(one.transport, data, n), 0);
	free(data);
}

/* What the kernel has not sent, or of which it has not heard that it has arrived. */
static int n_in_kernel(unsigned long which)
{
	int n;

	assert_int_equal(ioctl(one.transport->channel.fd, which, &n), 0);
	return n;
}

/* The kernel takes more: it has room, or will when what is on its way has arrived. */
static bool kernel_takes_more(void)
{
	struct pollfd out = {.fd = one.transport->channel.fd, .events = POLLOUT};

	return n_in_kernel(SIOCOUTQ) > n_in_kernel(SIOCOUTQNSD) || poll(&out, 1, 0) > 0;
}

/* Writes until the kernel takes no more, so that further bytes wait in the transport. Returns the
 * number of bytes. */
static size_t fill_kernel(void)
{
	size_t n = 0;
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	set_option(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	while (one.transport->out.n == 0) {
		write_bytes(4096);
		n += 4096;
		while (one.transport->out.n && kernel_takes_more() && uv_now(&one.loop) < end) {
			uv_run(&one.loop, UV_RUN_ONCE);
		}
	}
	assert_false(kernel_takes_more());
	return n;
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

static void test_congestion(void **state)
{
	(void)state;
	size_t n = fill_kernel();
	size_t n_more = TRANSPORT_HIGH_WATER - one.transport->out.n;

	write_bytes(n_more);
	assert_int_equal(one.transport->out.n, TRANSPORT_HIGH_WATER);
	assert_false(transport_is_congested(one.transport));
	write_bytes(1);
	assert_true(transport_is_congested(one.transport));
	assert_int_equal(one.n_drained, 0);
	size_t n_read = drain_server_until(&one.n_drained);

	assert_false(transport_is_congested(one.transport));
	assert_in_range(transport_waiting(one.transport), 1, TRANSPORT_LOW_WATER);
	/* The memory of all that has waited goes with the last of it. */
	assert_true(transport_held(one.transport) > TRANSPORT_HIGH_WATER);
	/* Nothing is lost: the rest arrives as well. */
	while (n_read < n + n_more + 1) {
		char data[4096];
		ssize_t r = recv(one.fd, data, sizeof(data), MSG_DONTWAIT);

		n_read += r > 0 ? (size_t)r : 0;
		run_for(r > 0 ? 0 : 1);
	}
	assert_int_equal(n_read, n + n_more + 1);
	assert_int_equal(recv(one.fd, &(char){0}, 1, MSG_DONTWAIT), -1);
	assert_int_equal(one.n_drained, 1);
	assert_int_equal(one.n_failed, 0);
}

static void test_pause(void **state)
{
	(void)state;
	transport_pause(one.transport, true);
	assert_int_equal(send(one.fd, "12345", 5, 0), 5);
	loopback_wait_bytes(one.transport->channel.fd, 5);
	run_for(TURNS_MS);
	assert_int_equal(one.n_received, 0);
	transport_pause(one.transport, false);
	shutdown(one.fd, SHUT_WR);
	run_until(&one.n_ended);
	assert_int_equal(one.n_received, 5);
}

/* Reading is paused in a callback, and goes on in it, without any change of what the poll waits for
 * until the turn is over. */
static void on_data_in_turn(void *userdata, const char *data, size_t n)
{
	on_data(userdata, data, n);
	transport_pause(one.transport, true);
	assert_true(uv_is_active((uv_handle_t *)&one.transport->poll));
}

static void test_poll_changes_behind_the_turn(void **state)
{
	static const struct transport_callbacks pausing = {.data = on_data_in_turn};
	struct transport *transport = one.transport;

	(void)state;
	transport_hand_over(transport, &pausing, NULL);
	send_text();
	run_until_received(4);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	transport_pause(transport, false);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
	/* The timer's turn is one as well. */
	send_text();
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_received, 8);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	transport_pause(transport, false);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
}

/* TLS has more: a turn follows. */
static void on_data_with_more(void *userdata, const char *data, size_t n)
{
	on_data(userdata, data, n);
	transport_plan_turn(one.transport);
}

static uint64_t planned_ms(void)
{
	assert_true(uv_is_active((uv_handle_t *)&one.transport->timer.uv));
	return uv_timer_get_due_in(&one.transport->timer.uv);
}

/* A turn that is planned comes at once, but one that a planned turn plans lets the loop go on. */
static void test_planned_turns(void **state)
{
	static const struct transport_callbacks with_more = {.data = on_data_with_more};
	struct transport *transport = one.transport;

	(void)state;
	transport_hand_over(transport, &with_more, NULL);
	send_text();
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_received, 4);
	assert_int_equal(planned_ms(), 1);
	timeout_stop(&transport->timer);
	transport_plan_turn(transport);
	assert_int_equal(planned_ms(), 0);
	send_text();
	timeout_stop(&transport->timer);
	run_until_received(8);
	timeout_stop(&transport->timer);
	transport_plan_turn(transport);
	assert_int_equal(planned_ms(), 0);
}

/* No turn is planned where nothing may be read: while reading is paused, and after the end. */
static void test_no_turn_is_planned(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	transport_pause(transport, true);
	transport_plan_turn(transport);
	assert_false(uv_is_active((uv_handle_t *)&transport->timer.uv));
	transport_pause(transport, false);
	shutdown(one.fd, SHUT_WR);
	run_until(&one.n_ended);
	transport_plan_turn(transport);
	assert_false(uv_is_active((uv_handle_t *)&transport->timer.uv));
}

/* A write that fails in a turn is reported, although the server sends nothing. */
static void test_broken_in_a_turn(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	fill_kernel();
	assert_int_equal(shutdown(transport->channel.fd, SHUT_WR), 0);
	run_until(&one.n_failed);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
	assert_string_equal(one.failure.detail, "Broken pipe");
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
}

/* What is read without an event of the socket, because TLS has it already, waits for its turn as
 * well. */
static void test_timer_waits_for_turn(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	transport->turn = &one.turn;
	transport->item.spent = (struct turn_spent){1000 * TURN_ITEM_US,
						    (uint32_t)(uv_hrtime() / 1000 / 1000 / 1000)};
	assert_int_equal(send(one.fd, "text", 4, 0), 4);
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_received, 0);
	assert_true(turn_waits(&transport->item));
	/* It is not the timer's turn any more. */
	transport_plan_turn(transport);
	assert_int_equal(planned_ms(), 0);
	timeout_stop(&transport->timer);
	run_until_received(4);
}

/* A server waits as its client does, however little it has sent itself. */
static void test_waits_as_its_client(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	transport->turn = &one.turn;
	one.turn.crowds[7] = (struct turn_spent){1000 * TURN_CROWD_US,
						 (uint32_t)(uv_hrtime() / 1000 / 1000 / 1000)};
	send_text();
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_received, 4);
	transport_set_crowd(transport, 7);
	assert_int_equal(send(one.fd, "more", 4, 0), 4);
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_received, 4);
	assert_true(turn_waits(&transport->item));
	run_until_received(8);
}

/* The server has closed its half; ours is open. */
static void test_half_closed(void **state)
{
	char data[16];

	(void)state;
	assert_int_equal(send(one.fd, "bye", 3, 0), 3);
	shutdown(one.fd, SHUT_WR);
	run_until(&one.n_ended);
	assert_int_equal(one.n_received, 3);
	write_bytes(5);
	assert_int_equal(recv(one.fd, data, sizeof(data), 0), 5);
	run_for(TURNS_MS);
	assert_int_equal(one.n_ended, 1);
	assert_int_equal(one.n_failed, 0);
}

/* Looks for a handle that is not the test's own. */
static void on_handle(uv_handle_t *handle, void *userdata)
{
	const char *at = (const char *)handle;

	*(bool *)userdata |= at < (const char *)&one || at >= (const char *)(&one + 1);
}

/* The transport has freed itself. */
static void run_until_freed(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	bool busy;

	do {
		uv_run(&one.loop, UV_RUN_ONCE);
		busy = false;
		uv_walk(&one.loop, on_handle, &busy);
	} while (busy && uv_now(&one.loop) < end);
	assert_false(busy);
	assert_int_equal(one.n_ended + one.n_failed + one.n_drained, 0);
}

/* Takes a whole share, and comes before a transport that has taken much. */
static void on_busy(struct turn_item *item)
{
	uint64_t end = uv_hrtime() + (uint64_t)(TURN_ALONE_US + 1) * 1000;

	while (uv_hrtime() < end) {
	}
	item->spent.us = 0; /* it is never heavy */
	turn_add_last(&one.turn, item);
}

/* The server has sent something; runs the loop until the poll has told so often enough. */
static void wait_until_told(struct transport *transport)
{
	transport->item.spent = (struct turn_spent){1000 * TURN_ITEM_US,
						    (uint32_t)(uv_hrtime() / 1000 / 1000 / 1000)};
	send_text();
	for (unsigned i = 0; i < TRANSPORT_REPORTS_MAX; i++) {
		assert_true(uv_is_active((uv_handle_t *)&transport->poll));
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	assert_true(turn_waits(&transport->item));
	transport_update_poll(transport);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
}

/* A transport that waits long is not told in each iteration that it is ready. */
static void test_told_while_it_waits(void **state)
{
	struct transport *transport = one.transport;
	struct turn_item busy;

	(void)state;
	turn_item_init(&busy, 1, on_busy);
	turn_add_last(&one.turn, &busy);
	transport->turn = &one.turn;
	wait_until_told(transport);
	run_until_received(4);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
	assert_int_equal(transport->n_reports, 0);
	wait_until_told(transport);
	transport_finish(transport, PATIENCE_MS);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
	one.transport = NULL;
	close_fd(&one.fd);
	turn_remove(&one.turn, &busy);
	turn_remove(&one.turn, &transport->item);
	run_until_freed();
}

/* A server that reads late gets all our bytes and our FIN; the transport waits for it. */
static void test_finish(void **state)
{
	struct transport *transport = one.transport;
	size_t n = fill_kernel();
	char data[65536];
	ssize_t r;

	(void)state;
	transport_finish(transport, PATIENCE_MS);
	one.transport = NULL;
	do {
		r = recv(one.fd, data, sizeof(data), MSG_DONTWAIT);
		n -= r > 0 ? (size_t)r : 0;
		run_for(r < 0 ? 1 : 0);
	} while (r != 0);
	assert_int_equal(n, 0);
	assert_int_equal(transport->state, TRANSPORT_FINISHING);
	assert_true(uv_is_active((uv_handle_t *)&transport->timer.uv));
	assert_true(uv_timer_get_due_in(&transport->timer.uv) <= PATIENCE_MS);
	close_fd(&one.fd);
	run_until_freed();
}

/* A server that does not close its half is given up after the time-out. */
static void test_finish_without_answer(void **state)
{
	uint64_t start = uv_now(&one.loop);
	char data[16];

	(void)state;
	transport_finish(one.transport, SHORT_MS);
	one.transport = NULL;
	assert_int_equal(recv(one.fd, data, sizeof(data), 0), 0);
	run_until_freed();
	assert_true(uv_now(&one.loop) - start >= SHORT_MS);
}

/* The last words wait in the kernel for the FIN, which is due at once. */
static void test_last_words(void **state)
{
	char data[16];

	(void)state;
	write_bytes(4);
	assert_int_equal(n_in_kernel(SIOCOUTQNSD), 0);
	transport_will_finish(one.transport);
	write_bytes(4);
	assert_int_equal(n_in_kernel(SIOCOUTQNSD), 4);
	transport_finish(one.transport, PATIENCE_MS);
	assert_int_equal(n_in_kernel(SIOCOUTQNSD), 0);
	one.transport = NULL;
	assert_int_equal(recv(one.fd, data, sizeof(data), MSG_WAITALL), 8);
	close_fd(&one.fd);
	run_until_freed();
}

static char room[4];
static char *place;

static char *on_room(void *userdata, size_t *ret_n_room)
{
	(void)userdata;
	*ret_n_room = sizeof(room);
	return place;
}

static void on_data_in_room(void *userdata, const char *data, size_t n)
{
	assert_ptr_equal(data, place ? place : one.read_buffer);
	assert_true(!place || n <= sizeof(room));
	on_data(userdata, data, n);
}

/* The owner may say where to read, and how much. */
static void test_room(void **state)
{
	static const struct transport_callbacks in_room = {
		.room = on_room, .data = on_data_in_room, .ended = on_ended};

	(void)state;
	transport_hand_over(one.transport, &in_room, NULL);
	place = room;
	assert_int_equal(send(one.fd, "abcdefghij", 10, 0), 10);
	run_until_received(10);
	place = NULL;
	assert_int_equal(send(one.fd, "abcdefghij", 10, 0), 10);
	shutdown(one.fd, SHUT_WR);
	run_until(&one.n_ended);
	assert_int_equal(one.n_received, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_options),
		TEST(test_silent_with_data),
		TEST(test_not_reading),
		TEST(test_silent_while_paused),
		TEST(test_congestion),
		TEST(test_pause),
		TEST(test_room),
		TEST(test_poll_changes_behind_the_turn),
		TEST(test_planned_turns),
		TEST(test_no_turn_is_planned),
		TEST(test_broken_in_a_turn),
		TEST(test_timer_waits_for_turn),
		TEST(test_waits_as_its_client),
		TEST(test_told_while_it_waits),
		TEST(test_half_closed),
		TEST(test_finish),
		TEST(test_finish_without_answer),
		TEST(test_last_words),
		TEST(test_silent_and_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
