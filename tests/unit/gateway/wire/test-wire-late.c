/* SPDX-License-Identifier: MIT */
/* Deadlines of wires. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/unit/gateway/wire/wire-case.h"

/* A deadline passes once; a new one replaces it; what has arrived meanwhile is told first. */
static void test_deadline(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	join(0, true);
	join(1, true);
	client->reads = true;
	wire_set_deadline(client->wire, 1);
	wire_set_deadline(one.clients[1].wire, 1);
	wire_set_deadline(one.clients[1].wire, WIRE_DEADLINE_MAX);
	/* The second in which it was set does not count. */
	pass(1);
	assert_int_equal(client->n_late, 0);
	pass(1);
	assert_int_equal(client->n_late, 1);
	wire_set_deadline(client->wire, 300);
	wire_set_deadline(client->wire, 1);
	pass(2);
	assert_int_equal(client->n_late, 2);
	wire_set_deadline(client->wire, 1);
	wire_set_deadline(client->wire, 0);
	pass(2);
	assert_int_equal(client->n_late, 2);
	assert_int_equal(one.clients[1].n_late, 0);
}

static void test_seconds(void **state)
{
	uint32_t start = wire_hub_seconds(one.hub);

	(void)state;
	pass(3);
	assert_int_equal(wire_hub_seconds(one.hub), start + 3);
}

/* A deadline that has passed while the wire waits for its turn, with bytes: they are told first,
 * and the deadline unless they bring a new one. */
static void test_late_waits_for_ready(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	client->wire->is_late = true;
	due_queue_add(&one.hub->overdue, &client->wire->overdue);
	client->wire->is_over = true;
	wire_wake(client->wire);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_ready, 1);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_late, 1);
	client->wire->is_late = client->wire->is_over = true;
	wire_set_deadline(client->wire, 300);
	wire_wake(client->wire);
	turn();
	assert_int_equal(client->n_ready, 2);
	assert_int_equal(client->n_late, 1);
}

static void on_renewed(void *user)
{
	struct client *client = user;

	client->n_ready++;
	wire_set_deadline(client->wire, 300);
}

/* After a standstill, so many clients have sent something that the loop looks at them in several
 * iterations. One whose deadline passes in the first of them, and who is looked at in the last, is
 * not late. */
static void test_late_waits_for_all_events(void **state)
{
	enum { N_OTHERS = 2 * 64 };
	static const struct wire_callbacks renewing = {.ready = on_renewed, .late = on_late};
	static struct client others[N_OTHERS];
	struct client *client = &one.clients[0];
	int theirs[N_OTHERS];

	(void)state;
	for (unsigned i = 0; i < N_OTHERS; i++) {
		join(1, false);
		others[i] = one.clients[1];
		wire_set_user(others[i].wire, &callbacks, &others[i]);
		theirs[i] = one.theirs[1];
		say(1, "x");
	}
	one.theirs[1] = -1;
	join(0, false);
	say(0, "x");
	wire_set_user(client->wire, &renewing, client);
	wire_set_deadline(client->wire, 1);
	wire_deadline_tick(one.hub);
	wire_deadline_tick(one.hub);
	turn_until(&client->n_ready, 1);
	for (unsigned i = 0; i < N_OTHERS; i++) {
		assert_int_equal(others[i].n_ready, 1);
		close(theirs[i]);
	}
	turn();
	assert_int_equal(client->n_late, 0);
}

static void on_endless(void *user)
{
	struct client *client = user;

	client->n_ready++;
	wire_wake(client->wire);
}

/* A client that always sends is late, too. */
static void test_late_does_not_wait_for_ever(void **state)
{
	static const struct wire_callbacks endless = {.ready = on_endless, .late = on_late};
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	wire_set_user(client->wire, &endless, client);
	wire_set_deadline(client->wire, 1);
	wire_wake(client->wire);
	/* The deadline passes with the second one. */
	pass(2 + WIRE_LATE_MAX - 1);
	assert_int_equal(client->n_late, 0);
	pass(1);
	assert_int_equal(client->n_late, 1);
	unsigned n_ready = client->n_ready;

	assert_true(n_ready > 1);
	turn();
	assert_true(client->n_ready > n_ready);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_waits_for_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_waits_for_all_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_does_not_wait_for_ever, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
