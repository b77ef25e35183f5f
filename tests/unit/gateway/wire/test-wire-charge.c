/* SPDX-License-Identifier: MIT */
/* What of the work for a wire counts for its turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/clock.h"
#include "tests/unit/gateway/wire/wire-case.h"

/* What is sent when the kernel takes more is charged to the wire: megabytes take milliseconds. */
static void test_room_is_charged(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char *zeros = calloc(1, LONG);

	(void)state;
	assert_non_null(zeros);
	one.hub->options.turn = &one.turn;
	one.send_us = 10;
	join(0, true);
	assert_int_equal(wire_send(client->wire, &(struct iovec){zeros, LONG}, 1), 0);
	assert_true(wire_waiting(client->wire) > 0);
	assert_int_equal(client->wire->turn.spent.us, 0);
	while (wire_waiting(client->wire)) {
		while (recv(one.theirs[0], zeros, LONG, MSG_DONTWAIT) > 0) {
		}
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_true(client->n_written > 0);
	assert_int_equal(client->n_ready, 0);
	assert_true(client->wire->turn.spent.us >= one.send_us);
	free(zeros);
}

/* A wire that is woken is not charged with the time in which the loop slept. */
static void test_woken_is_light(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	turn_begin(&one.turn);
	clock_pass_us(PAUSE_US);
	wire_wake(client->wire);
	turn_until(&client->n_ready, 1);
	assert_int_equal(client->wire->turn.spent.us, 0);
}

/* What is sent at the end of the iteration is charged to the wire, and those that have had their
 * share wait for each other. */
static void test_later_is_charged(void **state)
{
	struct client *clients = one.clients;
	char text[WIRE_SMALL + 1] = {0};
	struct iovec part = {text, sizeof(text)};

	(void)state;
	one.hub->options.turn = &one.turn;
	one.send_us = TURN_ALONE_US;
	for (unsigned i = 0; i < 2; i++) {
		join(i, true);
		assert_int_equal(wire_send_later(clients[i].wire, &part, 1), 0);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(clients[i].n_written, 1);
		assert_int_equal(clients[i].wire->turn.spent.us, one.send_us);
		clients[i].wire->turn.spent = (struct turn_spent){TURN_ITEM_US, clock_second()};
		assert_int_equal(wire_send_later(clients[i].wire, &part, 1), 0);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_written + clients[1].n_written, 3);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_written + clients[1].n_written, 4);
}

/* What is small does not wait, and is charged with a fixed time. */
static void test_small_is_charged(void **state)
{
	struct client *client = &one.clients[0];
	char text[WIRE_SMALL] = {0};
	struct iovec part = {text, sizeof(text)};

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	client->wire->turn.spent = (struct turn_spent){TURN_ITEM_US, clock_second()};
	assert_int_equal(wire_send_later(client->wire, &part, 1), 0);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_written, 1);
	assert_int_equal(client->wire->turn.spent.us, TURN_ITEM_US + WIRE_SMALL_US);
	assert_int_equal(one.turn.crowds[client->wire->turn.crowd].us, WIRE_SMALL_US);
}

/* Deadlines that pass in the same second are charged to the wires, and share the iterations of the
 * loop. */
static void test_late_is_charged(void **state)
{
	struct client *clients = one.clients;

	(void)state;
	one.hub->options.turn = &one.turn;
	for (unsigned i = 0; i < 2; i++) {
		join(i, true);
		clients[i].late_us = DUE_US;
		wire_set_deadline(clients[i].wire, 1);
	}
	wire_deadline_tick(one.hub);
	wire_deadline_tick(one.hub);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_late + clients[1].n_late, 1);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(clients[i].n_late, 1);
		assert_int_equal(clients[i].wire->turn.spent.us, DUE_US);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_room_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_woken_is_light, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_is_charged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
