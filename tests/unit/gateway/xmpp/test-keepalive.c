/* SPDX-License-Identifier: MIT */
/* Who is sent a space, and when. The loop is there for its clock, and never run: the tests say what
 * time it is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/macro.h"
#include "gateway/xmpp/keepalive.h"

enum {
	INTERVAL_S = 100,
	HALF_MS = INTERVAL_S * 1000 / 2,
	N_MANY = KEEPALIVE_TURN_MAX + 1,
};

struct client {
	struct keepalive_member member;
	unsigned n_sent;
	struct client *to_leave; /* in `send` */
};

static struct {
	uv_loop_t loop;
	struct keepalive keepalive;
	struct client clients[N_MANY];
	struct mono start;
} one;

static void on_send(struct keepalive_member *member)
{
	struct client *client = CONTAINER_OF(member, struct client, member);

	client->n_sent++;
	client->member.has_written = true; /* as whoever writes it does */
	if (client->to_leave) {
		keepalive_leave(&one.keepalive, &client->to_leave->member);
	}
}

static void set_up_with(unsigned interval_s)
{
	memset(&one, 0, sizeof(one));
	assert_int_equal(uv_loop_init(&one.loop), 0);
	keepalive_init(&one.keepalive, &one.loop, interval_s, on_send);
	one.start = (struct mono){(int64_t)uv_now(&one.loop)};
}

static int set_up(void **state)
{
	(void)state;
	set_up_with(INTERVAL_S);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MANY; i++) {
		keepalive_leave(&one.keepalive, &one.clients[i].member);
	}
	assert_false(uv_is_active((uv_handle_t *)&one.keepalive.timer));
	keepalive_close(&one.keepalive);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
}

static void enter(size_t i)
{
	keepalive_enter(&one.keepalive, &one.clients[i].member);
}

static bool look_at(int64_t ms)
{
	return keepalive_look(&one.keepalive, mono_add_ms(one.start, ms));
}

/* After the first look a quiet member is sent one each interval. */
static void test_quiet(void **state)
{
	(void)state;
	enter(0);
	assert_true(uv_is_active((uv_handle_t *)&one.keepalive.timer));
	look_at(HALF_MS - 1);
	assert_int_equal(one.clients[0].n_sent, 0);
	for (unsigned i = 1; i <= 5; i++) {
		look_at((2 * (int64_t)i - 1) * HALF_MS);
		assert_int_equal(one.clients[0].n_sent, i);
		look_at(2 * (int64_t)i * HALF_MS);
		assert_int_equal(one.clients[0].n_sent, i);
	}
}

static void test_busy(void **state)
{
	(void)state;
	enter(0);
	for (int64_t i = 1; i <= 10; i++) {
		one.clients[0].member.has_written = true;
		look_at(i * HALF_MS);
	}
	assert_int_equal(one.clients[0].n_sent, 0);
	/* Whatever was written since the last look, the interval is kept. */
	look_at(11 * HALF_MS);
	assert_int_equal(one.clients[0].n_sent, 1);
}

static void test_ticks(void **state)
{
	unsigned n_before = 0;
	int64_t last = 0;

	(void)state;
	enter(0);
	for (int64_t ms = KEEPALIVE_TICK_MS; ms < 1000 * 1000; ms += KEEPALIVE_TICK_MS) {
		look_at(ms);
		if (one.clients[0].n_sent > n_before) {
			n_before = one.clients[0].n_sent;
			assert_true(ms - last <= INTERVAL_S * 1000 + KEEPALIVE_TICK_MS);
			last = ms;
		}
	}
	assert_in_range(n_before, 9, 10);
}

static void test_none(void **state)
{
	(void)state;
	tear_down(state);
	set_up_with(0);
	enter(0);
	assert_false(one.clients[0].member.is_entered);
	assert_false(uv_is_active((uv_handle_t *)&one.keepalive.timer));
	look_at(HALF_MS * 100);
	assert_int_equal(one.clients[0].n_sent, 0);
}

static void test_enter_and_leave(void **state)
{
	(void)state;
	enter(0);
	enter(0);
	enter(1);
	keepalive_leave(&one.keepalive, &one.clients[0].member);
	keepalive_leave(&one.keepalive, &one.clients[0].member);
	look_at(HALF_MS);
	assert_int_equal(one.clients[0].n_sent, 0);
	assert_int_equal(one.clients[1].n_sent, 1);
	assert_true(uv_is_active((uv_handle_t *)&one.keepalive.timer));
	keepalive_leave(&one.keepalive, &one.clients[1].member);
	assert_false(uv_is_active((uv_handle_t *)&one.keepalive.timer));
}

/* A connection that breaks while it is written to takes its session away; the others are
 * reached. */
static void test_leave_in_send(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		enter(i);
	}
	one.clients[0].to_leave = &one.clients[0];
	one.clients[1].to_leave = &one.clients[2];
	look_at(HALF_MS);
	assert_int_equal(one.clients[0].n_sent, 1);
	assert_int_equal(one.clients[1].n_sent, 1);
	assert_int_equal(one.clients[2].n_sent, 0);
	assert_int_equal(one.clients[3].n_sent, 1);
	look_at(2 * HALF_MS);
	look_at(3 * HALF_MS);
	assert_int_equal(one.clients[0].n_sent, 1);
	assert_int_equal(one.clients[1].n_sent, 2);
}

/* Those who are due together get their turn after each other. */
static void test_many(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MANY; i++) {
		enter(i);
	}
	assert_true(look_at(HALF_MS));
	assert_int_equal(one.clients[N_MANY - 2].n_sent, 1);
	assert_int_equal(one.clients[N_MANY - 1].n_sent, 0);
	assert_false(look_at(HALF_MS));
	assert_int_equal(one.clients[N_MANY - 1].n_sent, 1);
	assert_int_equal(one.clients[0].n_sent, 1);
	keepalive_leave(&one.keepalive, &one.clients[0].member);
	assert_false(look_at(2 * HALF_MS));
	assert_false(look_at(3 * HALF_MS));
	assert_int_equal(one.clients[N_MANY - 1].n_sent, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_quiet),
		TEST(test_busy),
		TEST(test_ticks),
		TEST(test_none),
		TEST(test_enter_and_leave),
		TEST(test_leave_in_send),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
