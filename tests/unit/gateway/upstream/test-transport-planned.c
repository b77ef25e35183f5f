/* SPDX-License-Identifier: MIT */
/* When a transport is read: what its poll, its timer and the turns of its thread bring about. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/transport-socket-case.h"

/* The server sends four bytes. They are in the transport's socket then. */
static void send_text(void)
{
	assert_int_equal(send(one.fd, "text", 4, 0), 4);
	loopback_wait_bytes(one.transport->channel.fd, 4);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_poll_changes_behind_the_turn), TEST(test_planned_turns),
		TEST(test_no_turn_is_planned),           TEST(test_timer_waits_for_turn),
		TEST(test_waits_as_its_client),          TEST(test_told_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
