/* SPDX-License-Identifier: MIT */
/* What an open transport makes of each result of its channel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/transport-turn-case.h"

enum {
	N_WAITING = 100,
};

static void let_wait(size_t n)
{
	static const char bytes[TRANSPORT_LOW_WATER + 1];

	while (one.transport->out.n < n) {
		size_t n_more = n - one.transport->out.n;

		assert_int_equal(buffer_append(&one.transport->out, bytes,
					       n_more < sizeof(bytes) ? n_more : sizeof(bytes)),
				 0);
	}
}

static void test_read(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	fake.n_read = 5;
	turn(UV_READABLE);
	assert_int_equal(one.n_data, 1);
	assert_false(timeout_is_set(&transport->timer));
	fake.has_pending = true;
	turn(UV_READABLE);
	assert_true(is_planned());
	assert_int_equal(one.n_held + one.n_ended + one.n_failed, 0);
	fake.has_pending = false;
	fake.read = CHANNEL_AGAIN;
	fake.n_read = 0;
	timeout_stop(&transport->timer);
	turn(UV_READABLE);
	assert_int_equal(fake.n_reads, 3);
	assert_int_equal(one.n_data, 2);
	assert_false(timeout_is_set(&transport->timer));
	assert_int_equal(one.n_held + one.n_ended + one.n_failed, 0);
}

/* A transport is read when its socket is readable, or when its reading waited to write, and not
 * while it is paused, has ended or has failed. */
static void test_not_read(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	turn(UV_WRITABLE);
	assert_int_equal(fake.n_reads, 0);
	transport->channel.read_wants_write = true;
	turn(UV_WRITABLE);
	assert_int_equal(fake.n_reads, 1);
	turn(UV_READABLE);
	assert_int_equal(fake.n_reads, 2);
	transport->is_paused = true;
	turn(UV_READABLE);
	transport_on_timer(&transport->timer);
	transport->is_paused = false;
	transport->has_ended = true;
	turn(UV_READABLE);
	transport_on_timer(&transport->timer);
	assert_int_equal(fake.n_reads, 2);
	transport->has_ended = false;
	transport->state = TRANSPORT_FAILED;
	turn(UV_READABLE);
	transport_on_timer(&transport->timer);
	assert_int_equal(fake.n_reads, 2);
	/* Nor is a turn planned. */
	transport_plan_turn(transport);
	assert_false(timeout_is_set(&transport->timer));
}

static void test_ended(void **state)
{
	(void)state;
	fake.read = CHANNEL_ENDED;
	turn(UV_READABLE);
	assert_int_equal(one.n_ended, 1);
	assert_true(one.transport->has_ended);
	assert_int_equal(one.n_failed, 0);
	assert_false(uv_is_active((uv_handle_t *)&one.transport->poll));
}

/* Nothing can be written: it is read on until there is no more. */
static void read_broken(enum channel_result result)
{
	one.transport->broken = "broken before";
	fake.read = CHANNEL_OK;
	turn(UV_READABLE);
	assert_true(is_planned());
	fake.read = result;
	one.transport->channel.error = "broken now";
	turn(UV_READABLE);
	assert_int_equal(one.n_ended, 0);
	assert_failed(FAILURE_CONNECTION_LOST, "broken before");
	assert_false(timeout_is_set(&one.transport->timer));
}

static void test_broken_and_again(void **state)
{
	(void)state;
	read_broken(CHANNEL_AGAIN);
}

static void test_broken_and_ended(void **state)
{
	(void)state;
	read_broken(CHANNEL_ENDED);
}

static void test_broken_twice(void **state)
{
	(void)state;
	read_broken(CHANNEL_BROKEN);
}

static void test_broken(void **state)
{
	(void)state;
	fake.read = CHANNEL_BROKEN;
	one.transport->channel.error = "broken now";
	turn(UV_READABLE);
	assert_failed(FAILURE_CONNECTION_LOST, "broken now");
}

/* A callback frees the transport. */
static void test_freed_by_data(void **state)
{
	(void)state;
	fake.frees = true;
	fake.n_read = 1;
	fake.read = CHANNEL_ENDED;
	turn(UV_READABLE);
	assert_int_equal(one.n_data, 1);
	assert_int_equal(one.n_ended, 0);
	assert_null(one.transport);
}

static void test_freed_by_message(void **state)
{
	(void)state;
	fake.frees = true;
	fake.is_in_message = true;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 1);
	assert_null(one.transport);
}

/* The poll is changed when the turn is over, and only if something has changed. */
static void test_poll_in_turn(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	turn(UV_READABLE);
	assert_int_equal(transport->events, UV_READABLE);
	fake.n_watches = 0;
	fake.n_read = 1;
	fake.pauses = true;
	turn(UV_READABLE);
	assert_true(transport->is_paused);
	assert_false(transport->is_in_turn);
	assert_int_equal(transport->events, 0);
	assert_false(uv_is_active((uv_handle_t *)&transport->poll));
	assert_int_equal(fake.n_watches, 0);
	fake.pauses = false;
	transport_pause(transport, false);
	transport_update_poll(transport);
	assert_int_equal(fake.n_watches, 1);
	assert_int_equal(transport->events, UV_READABLE);
	assert_true(uv_is_active((uv_handle_t *)&transport->poll));
}

static void test_poll_left_alone(void **state)
{
	struct transport_step step = {.job = {.state = JOB_RUNNING}};
	struct transport *transport = one.transport;

	(void)state;
	fake.n_watches = 0;
	transport->events = 0;
	transport->is_in_turn = true;
	transport_update_poll(transport);
	transport->is_in_turn = false;
	transport->n_reports = TRANSPORT_REPORTS_MAX;
	transport_update_poll(transport);
	transport->n_reports = 0;
	transport->step = &step;
	transport_update_poll(transport);
	assert_int_equal(fake.n_watches, 0);
	step.job.state = JOB_IDLE;
	transport->n_reports = TRANSPORT_REPORTS_MAX - 1;
	transport_update_poll(transport);
	assert_int_equal(fake.n_watches, 1);
	transport->step = NULL;
}

static void test_written(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	let_wait(N_WAITING);
	fake.n_taken = 1;
	turn(UV_READABLE);
	assert_int_equal(fake.n_writes, 0);
	turn(UV_WRITABLE);
	assert_int_equal(fake.n_writes, 1);
	assert_int_equal(transport->out.n, N_WAITING - 1);
	assert_int_equal(transport->events, UV_READABLE | UV_WRITABLE);
	transport->channel.write_wants_read = true;
	turn(UV_WRITABLE);
	assert_int_equal(fake.n_writes, 1);
	turn(UV_READABLE);
	assert_int_equal(fake.n_writes, 2);
	fake.n_taken = N_WAITING;
	turn(UV_READABLE);
	assert_int_equal(transport->out.n, 0);
	assert_false(timeout_is_set(&transport->timer));
	assert_int_equal(one.n_drained + one.n_failed + one.n_held, 0);
	turn(UV_READABLE | UV_WRITABLE);
	assert_int_equal(fake.n_writes, 3);
}

static void test_drained(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	let_wait(TRANSPORT_LOW_WATER + 2);
	transport->is_congested = true;
	fake.n_taken = 1;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_drained, 0);
	assert_true(transport->is_congested);
	turn(UV_WRITABLE);
	assert_int_equal(transport->out.n, TRANSPORT_LOW_WATER);
	assert_int_equal(one.n_drained, 1);
	assert_false(transport->is_congested);
	turn(UV_WRITABLE);
	assert_int_equal(one.n_drained, 1);
	/* Who was told of the end is told of nothing else. */
	transport->is_congested = true;
	transport->has_ended = true;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_drained, 1);
	assert_false(transport->is_congested);
}

static void test_broken_write(void **state)
{
	(void)state;
	let_wait(N_WAITING);
	one.transport->is_congested = true;
	fake.written = CHANNEL_BROKEN;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_drained + one.n_failed, 0);
	assert_int_equal(one.transport->out.n, 0);
	assert_true(is_planned());
	fake.read = CHANNEL_AGAIN;
	transport_on_timer(&one.transport->timer);
	assert_failed(FAILURE_CONNECTION_LOST, "no writing");
}

static void test_freed_by_drained(void **state)
{
	(void)state;
	let_wait(N_WAITING);
	one.transport->is_congested = true;
	fake.n_taken = N_WAITING;
	fake.frees = true;
	fake.is_in_message = true;
	turn(UV_WRITABLE | UV_READABLE);
	assert_int_equal(one.n_drained, 1);
	assert_int_equal(one.n_held + fake.n_reads, 0);
	assert_null(one.transport);
}

/* A write of a turn begins a message, or completes it. */
static void test_message_of_write(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	let_wait(N_WAITING);
	fake.n_taken = 1;
	fake.is_in_message = true;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_held, 1);
	assert_true(is_timed());
	uint64_t deadline = transport->message_deadline;

	assert_int_equal(deadline, uv_now(&one.loop) + MESSAGE_MS);
	assert_in_range(uv_timer_get_due_in(&transport->timer.uv), MESSAGE_MS - 1, 2 * MESSAGE_MS);
	turn(UV_WRITABLE);
	assert_int_equal(one.n_held, 1);
	fake.is_in_message = false;
	turn(UV_WRITABLE);
	assert_int_equal(one.n_held, 2);
	assert_false(timeout_is_set(&transport->timer));
	assert_int_equal(transport->message_deadline, 0);
	assert_int_equal(fake.n_reads + one.n_failed, 0);
}

/* A planned turn stays planned, and the message gets its time then. */
static void test_message_and_plan(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	transport_plan_turn(transport);
	fake.is_in_message = true;
	transport_watch_message(transport);
	assert_true(is_planned());
	assert_true(transport->message_deadline > 0);
	fake.is_in_message = false;
	transport_watch_message(transport);
	assert_true(is_planned());
	assert_int_equal(transport->message_deadline, 0);
}

static void begin_message(void)
{
	fake.is_in_message = true;
	fake.read = CHANNEL_AGAIN;
	turn(UV_READABLE);
	assert_true(is_timed());
	assert_int_equal(one.n_held, 1);
}

/* The time of a message is over: what has arrived is read first. */
static void end_message_time(void)
{
	one.transport->timer.is_set = false;
	one.transport->timer.callback(&one.transport->timer);
}

static void test_message_too_late(void **state)
{
	(void)state;
	begin_message();
	end_message_time();
	assert_int_equal(fake.n_reads, 2);
	assert_failed(FAILURE_CONNECTION_LOST, "a TLS message did not arrive completely in time");
	/* Nobody is told what is not held any more. */
	assert_int_equal(one.n_held, 1);
}

static void test_message_at_last(void **state)
{
	(void)state;
	begin_message();
	fake.is_in_message = false;
	end_message_time();
	assert_int_equal(one.n_failed, 0);
	assert_int_equal(one.n_held, 2);
	assert_false(one.transport->message_is_late);
	/* The next one has its own time. */
	fake.is_in_message = true;
	turn(UV_READABLE);
	assert_int_equal(one.n_failed, 0);
	assert_true(is_timed());
}

static void test_no_message_while_paused(void **state)
{
	struct transport *transport = one.transport;

	(void)state;
	begin_message();
	transport->is_paused = true;
	transport_watch_message(transport);
	assert_false(timeout_is_set(&transport->timer));
	assert_int_equal(transport->message_deadline, 0);
}

/* The owner of a link of the dialer does not ask to be told. */
static void test_nobody_is_told(void **state)
{
	static const struct transport_callbacks without = {.data = on_data};

	(void)state;
	transport_hand_over(one.transport, &without, NULL);
	fake.is_in_message = true;
	turn(UV_READABLE);
	assert_int_equal(one.n_held, 0);
	assert_true(one.transport->message_counts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read),
		TEST(test_not_read),
		TEST(test_ended),
		TEST(test_broken),
		TEST(test_broken_and_again),
		TEST(test_broken_and_ended),
		TEST(test_broken_twice),
		TEST(test_freed_by_data),
		TEST(test_freed_by_message),
		TEST(test_poll_in_turn),
		TEST(test_poll_left_alone),
		TEST(test_written),
		TEST(test_drained),
		TEST(test_broken_write),
		TEST(test_freed_by_drained),
		TEST(test_message_of_write),
		TEST(test_message_and_plan),
		TEST(test_message_too_late),
		TEST(test_message_at_last),
		TEST(test_no_message_while_paused),
		TEST(test_nobody_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
