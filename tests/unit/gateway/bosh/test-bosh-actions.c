/* SPDX-License-Identifier: MIT */
/* The engine's list of actions: it remembers the first error, and then pushes nothing more and
 * leaks nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "gateway/bosh/actions.h"
#include "tests/unit/failmalloc.h"

enum {
	N_MANY = 100,
};

static void push_send(struct bosh_actions *actions, unsigned stream)
{
	struct bosh_action action = {.kind = BOSH_ACTION_SEND, .stream = stream};

	bosh_actions_fail(actions, buffer_append_sv(&action.payloads, SV("<a/>")));
	bosh_actions_push(actions, action);
}

static void test_order(void **state)
{
	struct bosh_actions actions = {0};

	(void)state;
	for (unsigned i = 0; i < N_MANY; i++) {
		push_send(&actions, i);
	}
	assert_int_equal(bosh_actions_end(&actions), 0);
	assert_int_equal(actions.n, N_MANY);
	for (unsigned i = 0; i < N_MANY; i++) {
		assert_int_equal(actions.items[i].stream, i);
	}
	bosh_actions_deinit(&actions);
}

/* The first error counts, and is reported once. */
static void test_error(void **state)
{
	struct bosh_actions actions = {0};

	(void)state;
	push_send(&actions, 1);
	bosh_actions_fail(&actions, 0);
	assert_false(bosh_actions_failed(&actions));
	bosh_actions_fail(&actions, -ENOMEM);
	bosh_actions_fail(&actions, -EIO);
	assert_true(bosh_actions_failed(&actions));
	push_send(&actions, 2);
	bosh_actions_push_kind(&actions, BOSH_ACTION_CLOSE, 2);
	bosh_actions_push_refusal(&actions, 5, BOSH_CONDITION_BAD_REQUEST, BOSH_RULE_NO_RID, false);
	assert_int_equal(actions.n, 1);
	assert_int_equal(bosh_actions_end(&actions), -ENOMEM);
	assert_int_equal(bosh_actions_end(&actions), 0);
	push_send(&actions, 3);
	assert_int_equal(actions.n, 2);
	bosh_actions_deinit(&actions);
}

static void test_refusal(void **state)
{
	struct bosh_actions actions = {0};

	(void)state;
	bosh_actions_push_refusal(&actions, 0, BOSH_CONDITION_BAD_REQUEST, BOSH_RULE_NO_RID, true);
	assert_int_equal(actions.n, 0);
	bosh_actions_push_refusal(&actions, 7, BOSH_CONDITION_BAD_REQUEST, BOSH_RULE_NO_RID, true);
	bosh_actions_push_refusal(&actions, 8, BOSH_CONDITION_BAD_REQUEST, BOSH_RULE_NO_RID, false);
	assert_int_equal(bosh_actions_end(&actions), 0);
	assert_int_equal(actions.n, 2);
	assert_int_equal(actions.items[0].exchange, 7);
	assert_int_equal(actions.items[0].status, 400);
	assert_int_equal(actions.items[1].status, 200);
	bosh_actions_deinit(&actions);
}

static int scenario(void *userdata)
{
	struct bosh_actions actions = {0};

	(void)userdata;
	for (unsigned i = 0; i < 10; i++) {
		push_send(&actions, i);
	}
	bosh_actions_push_refusal(&actions, 1, BOSH_CONDITION_BAD_REQUEST, BOSH_RULE_NO_RID, false);
	int r = bosh_actions_end(&actions);

	bosh_actions_deinit(&actions);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
