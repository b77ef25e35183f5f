/* SPDX-License-Identifier: MIT */
/* Answers that wait because their clients do not read: how much that may be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/wire/wire-case.h"

static bool bounds_all(void *userdata, const struct address *peer)
{
	assert_ptr_equal(userdata, &one);
	assert_true(address_is_same_host(peer, &one.peer));
	return true;
}

static void send_long(unsigned i)
{
	struct blob *body;

	join(i, true);
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	assert_int_equal(wire_send_blob(one.clients[i].wire, NULL, 0, body), 0);
	assert_true(wire_waiting(one.clients[i].wire) > 0);
}

/* Two answers that wait are one too many at a byte below what they hold: the older connection
 * breaks. */
static void test_unread_answers_are_bounded(void **state)
{
	/* With the rest of the queue, in whole steps. */
	enum { HELD = LONG + BUDGET_STEP };
	struct budget_limits limits = {2 * HELD, 2 * HELD, BUDGET_LARGEST};
	struct budget *budget;
	struct sv bytes;

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_all;
	send_long(0);
	send_long(1);
	budget_evict(budget, 0);
	assert_int_equal(budget_bytes(budget), 2 * HELD);
	assert_true(wire_waiting(one.clients[0].wire) > 0);
	wire_close(one.clients[1].wire);
	close(one.theirs[1]);
	assert_int_equal(budget_bytes(budget), HELD);
	limits.n_client = limits.n_total = 2 * HELD - 1;
	budget_set_limits(budget, &limits);
	send_long(1);
	budget_evict(budget, 0);
	assert_int_equal(budget_bytes(budget), HELD);
	assert_int_equal(wire_waiting(one.clients[0].wire), 0);
	assert_true(wire_waiting(one.clients[1].wire) > 0);
	turn_until(&one.clients[0].n_ready, 1);
	assert_int_equal(wire_peek(one.clients[0].wire, 1, &bytes), WIRE_BROKEN);
	/* Who reads is charged with nothing. */
	while (wire_waiting(one.clients[1].wire)) {
		char some[64 * 1024];

		(void)!recv(one.theirs[1], some, sizeof(some), MSG_DONTWAIT);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
}

static bool bounds_none(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	return false;
}

/* What a proxy has not read yet is that of many clients. */
static void test_unread_answers_of_a_proxy(void **state)
{
	const struct budget_limits limits = {2 * LONG, 2 * LONG, BUDGET_LARGEST};
	struct budget *budget;

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_none;
	send_long(0);
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
}

/* The answer could not be counted, for lack of memory for the allocation @n: the caller is told. It
 * goes with the wire. */
static void check_unread_without_memory(size_t n)
{
	const struct budget_limits limits = {2 * LONG, 2 * LONG, BUDGET_LARGEST};
	struct budget *budget;
	struct blob *body;

	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_all;
	join(0, true);
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	failmalloc_arm(n, true);
	assert_int_equal(wire_send_blob(one.clients[0].wire, NULL, 0, body), -ENOMEM);
	failmalloc_disarm();
	assert_true(wire_waiting(one.clients[0].wire) > 0);
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
	one.clients[0].wire = wire_close(one.clients[0].wire);
	close(one.theirs[0]);
}

static void test_unread_answer_without_memory(void **state)
{
	(void)state;
	check_unread_without_memory(1);
	check_unread_without_memory(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unread_answers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_answers_of_a_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_answer_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
