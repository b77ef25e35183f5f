/* SPDX-License-Identifier: MIT */
/* When a transport has its turn, what the poll may tell meanwhile, and what it does with errors
 * that the poll tells. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/clock.h"
#include "tests/unit/gateway/upstream/transport-turn-case.h"

/* The item has taken much, or nothing. */
static void set_weight(bool is_heavy)
{
	one.transport->turn = &one.turn;
	one.transport->item.spent =
		(struct turn_spent){is_heavy ? 1000 * TURN_ITEM_US : 0, clock_second()};
}

static void report(int events)
{
	fake.on_poll(&one.transport->poll, 0, events);
}

/* As libuv does it. */
static void report_error(void)
{
	uv_poll_stop(&one.transport->poll);
	fake.on_poll(&one.transport->poll, UV_EIO, 0);
}

static bool waits(void)
{
	return turn_waits(&one.transport->item);
}

static void test_without_turn(void **state)
{
	(void)state;
	report(UV_READABLE);
	assert_int_equal(fake.n_reads, 1);
	assert_false(waits());
}

static void test_light(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(false);
	report(UV_READABLE);
	assert_int_equal(fake.n_reads, 1);
	assert_false(waits());
	assert_int_equal(transport->n_reports, 0);
	assert_int_equal(transport->events_due, 0);
	report(UV_WRITABLE);
	assert_int_equal(fake.n_reads, 1);
	transport_on_timer(&transport->timer);
	assert_int_equal(fake.n_reads, 2);
	assert_false(transport->is_in_timer);
}

/* The time before its event is not the server's. */
static void test_spent(void **state)
{
	(void)state;
	set_weight(false);
	clock_pass_us(2 * TURN_ITEM_US);
	report(UV_READABLE);
	assert_int_equal(fake.n_reads, 1);
	assert_int_equal(one.transport->item.spent.us, 0);
}

/* All that the poll has told is due in the turn. After some reports it tells no more until then. */
static void test_heavy(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(true);
	report(UV_WRITABLE);
	assert_true(waits());
	assert_int_equal(transport->n_reports, 1);
	report(UV_READABLE);
	assert_int_equal(transport->events_due, UV_READABLE | UV_WRITABLE);
	assert_int_equal(fake.n_reads, 0);
	while (transport->n_reports < TRANSPORT_REPORTS_MAX - 1) {
		report(UV_WRITABLE);
	}
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
	report(UV_WRITABLE);
	assert_int_equal(transport->n_reports, TRANSPORT_REPORTS_MAX);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	assert_int_equal(transport->events, 0);
	turn_remove(&one.turn, &transport->item);
	transport_on_turn(&transport->item);
	assert_int_equal(fake.n_reads, 1);
	assert_int_equal(transport->events_due, 0);
	assert_int_equal(transport->n_reports, 0);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
}

static void test_heavy_timer(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(true);
	transport_on_timer(&transport->timer);
	assert_true(waits());
	assert_int_equal(fake.n_reads, 0);
	assert_int_equal(transport->events_due, UV_READABLE);
	assert_int_equal(transport->n_reports, 0);
	assert_false(transport->is_in_timer);
	/* Again, while it waits: an open one has no time that could be over. */
	transport_on_timer(&transport->timer);
	assert_false(timeout_is_set(&transport->timer));
}

/* A step of a handshake waits like a crowded item, however little it has taken. */
static void test_handshake(void **state)
{
	(void)state;
	set_weight(false);
	one.transport->state = TRANSPORT_HANDSHAKE;
	fake.shaken = CHANNEL_AGAIN;
	report(UV_READABLE);
	assert_true(waits());
	assert_int_equal(fake.n_shakes, 0);
	assert_int_equal(one.transport->n_reports, 1);
	/* The time that it waits is not the server's. */
	transport_on_timer(&one.transport->timer);
	assert_true(is_timed());
	assert_false(one.transport->is_slow);
	assert_int_equal(one.n_failed, 0);
}

/* While the helper has the channel, what is told is kept for the turn that follows. */
static void test_in_helper(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(false);
	transport->state = TRANSPORT_HANDSHAKE;
	lend();
	for (int i = 0; i < TRANSPORT_REPORTS_MAX; i++) {
		assert_true(uv_is_active((uv_handle_t *)&transport->poll));
		report(UV_READABLE);
	}
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	assert_false(waits());
	assert_int_equal(transport->events_due, UV_READABLE);
	assert_int_equal(fake.n_shakes, 0);
}

/* Who has no owner waits for nobody. */
static void test_finishing(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(true);
	transport->state = TRANSPORT_FINISHING;
	transport->out.n = 0;
	assert_int_equal(buffer_append(&transport->out, "text", 4), 0);
	fake.n_taken = 1;
	report(UV_WRITABLE);
	assert_false(waits());
	assert_int_equal(fake.n_writes, 1);
	/* Nor has it a turn that it asked for before. */
	transport_on_turn(&transport->item);
	assert_int_equal(fake.n_writes, 1);
}

/* An error of the poll is no reason to wait, nor to forget what the server has sent before. */
static void test_poll_failed(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	set_weight(true);
	fake.socket_error = EPIPE;
	fake.n_read = 1;
	report_error();
	assert_false(waits());
	assert_int_equal(one.n_data, 1);
	assert_int_equal(one.n_failed, 0);
	assert_string_equal(transport->broken, "Broken pipe");
	fake.n_read = 0;
	fake.read = CHANNEL_AGAIN;
	report_error();
	assert_failed(FAILURE_CONNECTION_LOST, "Broken pipe");
}

/* The poll that the callback of a timer changes is changed behind it. */
static void test_timer_is_a_turn(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	fake.n_read = 1;
	fake.pauses = true;
	transport_on_timer(&transport->timer);
	assert_int_equal(one.n_data, 1);
	assert_false(transport->is_in_turn);
	assert_false(transport->is_in_timer);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
}

/* A turn that the timer's turn plans comes in the next iteration. */
static void test_timer_plans(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	fake.has_pending = true;
	transport_on_timer(&transport->timer);
	assert_true(is_planned());
	assert_int_equal(uv_timer_get_due_in(&transport->timer.uv), 1);
	turn(UV_READABLE);
	assert_int_equal(uv_timer_get_due_in(&transport->timer.uv), 0);
}

/* A server that sends nothing but TLS messages is told apart from one that is gone. */
static void test_flooded(void **state)
{
	(void)state;
	fake.read = CHANNEL_BROKEN;
	one.transport->channel.error = "too much";
	one.transport->channel.controls.are_too_many = true;
	turn(UV_READABLE);
	assert_failed(FAILURE_TLS_FLOOD, NULL);
}

/* OpenSSL gets little at a time where others wait. */
static void test_pressed(void **state)
{
	(void)state;
	set_weight(true);
	one.turn.lights[0] = (struct turn_light){clock_second(), 8};
	transport_set_crowd(one.transport, 7);
	turn(UV_READABLE);
	assert_true(one.transport->channel.is_pressed);
	set_weight(false);
	turn(UV_READABLE);
	assert_false(one.transport->channel.is_pressed);
	one.transport->turn = NULL;
	turn(UV_READABLE);
	assert_false(one.transport->channel.is_pressed);
	assert_int_equal(fake.n_reads, 3);
}

/* The kernel does not watch the socket. */
static void refuse_watch(enum transport_state state)
{
	struct transport *transport = one.transport;

	transport->state = state;
	transport->events = 0;
	fake.watch_error = -ENOMEM;
	transport_update_poll(transport);
	assert_int_equal(fake.n_watches, 1);
	assert_true(is_planned());
	assert_int_equal(uv_timer_get_due_in(&transport->timer.uv), 0);
	transport->timer.callback(&transport->timer);
}

static void test_unwatched_open(void **state)
{
	(void)state;
	refuse_watch(TRANSPORT_OPEN);
	assert_failed(FAILURE_CONNECTION_LOST, "Cannot allocate memory");
	one.transport->timer.callback(&one.transport->timer);
	assert_int_equal(one.n_failed, 1);
}

static void test_unwatched_connecting(void **state)
{
	(void)state;
	refuse_watch(TRANSPORT_CONNECTING);
	assert_failed(FAILURE_INTERNAL, "Cannot allocate memory");
}

static void test_unwatched_finishing(void **state)
{
	(void)state;
	refuse_watch(TRANSPORT_FINISHING);
	assert_int_equal(one.transport->state, TRANSPORT_CLOSED);
	assert_int_equal(one.n_failed, 0);
	one.transport = NULL;
}

/* The turn after the helper's step tries again. */
static void test_unwatched_in_helper(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	transport->state = TRANSPORT_HANDSHAKE;
	transport->events = 0;
	fake.watch_error = -ENOMEM;
	transport_update_poll(transport);
	lend();
	transport->timer.callback(&transport->timer);
	assert_int_equal(one.n_failed, 0);
	take_back();
	transport->timer.callback(&transport->timer);
	assert_failed(FAILURE_CONNECTION_LOST, "Cannot allocate memory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_turn),
		TEST(test_light),
		TEST(test_spent),
		TEST(test_heavy),
		TEST(test_heavy_timer),
		TEST(test_handshake),
		TEST(test_in_helper),
		TEST(test_finishing),
		TEST(test_poll_failed),
		TEST(test_timer_is_a_turn),
		TEST(test_timer_plans),
		TEST(test_flooded),
		TEST(test_pressed),
		TEST(test_unwatched_open),
		TEST(test_unwatched_connecting),
		TEST(test_unwatched_finishing),
		TEST(test_unwatched_in_helper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
