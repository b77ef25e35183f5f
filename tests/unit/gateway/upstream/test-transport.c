/* SPDX-License-Identifier: MIT */
/* What a transport reads and writes: congestion, pauses, the room of its owner. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gateway/upstream/transport-socket-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_congestion),
		TEST(test_pause),
		TEST(test_room),
		TEST(test_broken_in_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
