/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "policy/budget.h"
#include "tests/unit/failmalloc.h"

enum {
	S = BUDGET_STEP,
	N_OWNERS = 3,
};

/* An object that holds bytes. */
struct object {
	struct budget_charge charge;
	unsigned n_evicted;
};

static unsigned n_woken[N_OWNERS];
static struct object *evicted[64];
static size_t n_evicted;

static void on_evict(struct budget_charge *charge)
{
	struct object *object = CONTAINER_OF(charge, struct object, charge);

	object->n_evicted++;
	evicted[n_evicted++] = object;
}

static void on_wake(void *userdata)
{
	(*(unsigned *)userdata)++;
}

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

static struct object object_of(unsigned owner)
{
	return (struct object){.charge = BUDGET_CHARGE_INIT(owner, on_evict)};
}

static struct budget *made(size_t n_client, size_t n_total)
{
	const struct budget_limits limits = {.n_client = n_client, .n_total = n_total};
	struct budget *budget;

	assert_int_equal(budget_new(&limits, N_OWNERS, &budget), 0);
	for (unsigned i = 0; i < N_OWNERS; i++) {
		n_woken[i] = 0;
		budget_set_wake(budget, i, on_wake, &n_woken[i]);
	}
	n_evicted = 0;
	return budget;
}

static void evict_all(struct budget *budget)
{
	for (unsigned i = 0; i < N_OWNERS; i++) {
		budget_evict(budget, i);
	}
}

static void hold(struct budget *budget, struct object *object, const char *client, size_t n)
{
	struct address address = at(client);

	assert_int_equal(budget_hold(budget, &object->charge, &address, n), 0);
}

static void test_steps(void **state)
{
	struct budget *budget = made(10 * S, 10 * S);
	struct object object = object_of(0);
	struct {
		size_t n, expected;
	} rows[] = {
		{0, 0}, {1, 0}, {S, 0}, {S + 1, 2 * S}, {2 * S, 2 * S}, {2 * S + 1, 3 * S}, {5, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		hold(budget, &object, "192.0.2.1", rows[i].n);
		assert_int_equal(budget_bytes(budget), rows[i].expected);
		assert_int_equal(budget_clients(budget), rows[i].expected ? 1 : 0);
	}
	hold(budget, &object, "192.0.2.1", 3 * S);
	budget_release(budget, &object.charge);
	budget_release(budget, &object.charge);
	assert_int_equal(budget_bytes(budget), 0);
	assert_int_equal(n_woken[0], 0);
	assert_null(budget_free(budget));
}

static void test_the_limit_of_a_client(void **state)
{
	struct budget *budget = made(6 * S, 100 * S);
	struct object a[] = {object_of(0), object_of(1), object_of(2)};
	struct object other = object_of(2);

	(void)state;
	hold(budget, &other, "192.0.2.9", 4 * S);
	for (size_t i = 0; i < 3; i++) {
		hold(budget, &a[i], "192.0.2.1", 2 * S);
	}
	/* n */
	evict_all(budget);
	assert_int_equal(n_evicted, 0);
	/* n + 1: the oldest goes, not the one that grows, and nobody else's. */
	hold(budget, &a[2], "192.0.2.1", 2 * S + 1);
	assert_int_equal(n_woken[0], 1);
	assert_int_equal(n_woken[1] + n_woken[2], 0);
	/* It does not count from now on, though its owner has not come yet. */
	assert_int_equal(budget_bytes(budget), 9 * S);
	hold(budget, &a[0], "192.0.2.1", 5 * S);
	assert_int_equal(budget_bytes(budget), 9 * S);
	/* Only its owner evicts it. */
	budget_evict(budget, 1);
	budget_evict(budget, 2);
	assert_int_equal(n_evicted, 0);
	budget_evict(budget, 0);
	budget_evict(budget, 0);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &a[0]);
	/* Once it is evicted it is like new. */
	hold(budget, &a[0], "192.0.2.1", 2 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 2);
	assert_ptr_equal(evicted[1], &a[1]);
	assert_int_equal(other.n_evicted, 0);
	budget_release(budget, &a[0].charge);
	budget_release(budget, &a[2].charge);
	budget_release(budget, &other.charge);
	assert_int_equal(budget_clients(budget), 0);
	budget_free(budget);
}

static void test_the_limit_of_all(void **state)
{
	struct budget *budget = made(6 * S, 12 * S);
	struct object a = object_of(0), b = object_of(1), c = object_of(2), d = object_of(0);

	(void)state;
	hold(budget, &a, "192.0.2.1", 4 * S);
	hold(budget, &b, "192.0.2.2", 4 * S);
	hold(budget, &c, "192.0.2.3", 4 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 0);
	hold(budget, &d, "192.0.2.4", 2 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &a);
	assert_int_equal(budget_bytes(budget), 10 * S);
	/* More than one, if that is what it takes. */
	hold(budget, &d, "192.0.2.4", 6 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 2);
	assert_ptr_equal(evicted[1], &b);
	budget_release(budget, &c.charge);
	budget_release(budget, &d.charge);
	assert_int_equal(budget_bytes(budget), 0);
	budget_free(budget);
}

/* What is oldest is decided by when it began to hold, not by when it last grew. */
static void test_the_oldest_goes(void **state)
{
	struct budget *budget = made(8 * S, 100 * S);
	struct object slow = object_of(0), quick = object_of(0), late = object_of(0);

	(void)state;
	hold(budget, &slow, "192.0.2.1", 2 * S);
	hold(budget, &quick, "192.0.2.1", 2 * S);
	for (size_t n = 2; n <= 4; n++) {
		hold(budget, &slow, "192.0.2.1", n * S);
	}
	/* The next message of the same object begins anew. */
	hold(budget, &quick, "192.0.2.1", 0);
	hold(budget, &late, "192.0.2.1", 2 * S);
	hold(budget, &quick, "192.0.2.1", 4 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &slow);
	/* The one that grows may itself be the oldest. */
	hold(budget, &late, "192.0.2.1", 5 * S);
	evict_all(budget);
	assert_ptr_equal(evicted[1], &late);
	/* And the only one. */
	hold(budget, &quick, "192.0.2.1", 9 * S);
	evict_all(budget);
	assert_ptr_equal(evicted[2], &quick);
	assert_int_equal(budget_clients(budget), 0);
	budget_free(budget);
}

static struct budget *made_for_largest(size_t n_client, size_t n_total)
{
	const struct budget_limits limits = {
		.n_client = n_client, .n_total = n_total, .order = BUDGET_LARGEST};
	struct budget *budget = made(n_client, n_total);

	budget_set_limits(budget, &limits);
	return budget;
}

/* Who holds little stays, however old it is, and however the others grow. */
static void test_the_largest_of_a_client_goes(void **state)
{
	struct budget *budget = made_for_largest(12 * S, 100 * S);
	struct object old = object_of(0), large = object_of(1), third = object_of(2);
	struct object other = object_of(0);

	(void)state;
	hold(budget, &old, "192.0.2.1", 2 * S);
	hold(budget, &large, "192.0.2.1", 6 * S);
	hold(budget, &third, "192.0.2.1", 4 * S);
	hold(budget, &other, "192.0.2.2", 12 * S);
	/* n */
	evict_all(budget);
	assert_int_equal(n_evicted, 0);
	/* n + 1 */
	hold(budget, &old, "192.0.2.1", 2 * S + 1);
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &large);
	assert_int_equal(budget_bytes(budget), 19 * S);
	/* Of the same size, the oldest. */
	hold(budget, &large, "192.0.2.1", 5 * S);
	hold(budget, &third, "192.0.2.1", 5 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 2);
	assert_ptr_equal(evicted[1], &third);
	budget_release(budget, &old.charge);
	budget_release(budget, &large.charge);
	budget_release(budget, &other.charge);
	assert_int_equal(budget_clients(budget), 0);
	budget_free(budget);
}

/* The client that holds most has to give, not whoever has the largest of all. */
static void test_the_largest_client_gives(void **state)
{
	struct budget *budget = made_for_largest(20 * S, 24 * S);
	struct object alone = object_of(0), many[] = {object_of(0), object_of(1), object_of(2)};
	const char *crowd = "192.0.2.2";

	(void)state;
	hold(budget, &alone, "192.0.2.1", 8 * S);
	hold(budget, &many[0], crowd, 5 * S);
	hold(budget, &many[1], crowd, 6 * S);
	hold(budget, &many[2], crowd, 5 * S);
	/* n */
	evict_all(budget);
	assert_int_equal(n_evicted, 0);
	/* n + 1 */
	hold(budget, &alone, "192.0.2.1", 8 * S + 1);
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &many[1]);
	budget_release(budget, &alone.charge);
	budget_release(budget, &many[0].charge);
	budget_release(budget, &many[2].charge);
	assert_int_equal(budget_bytes(budget), 0);
	budget_free(budget);
}

/* A victim whose rest comes before its owner has heard of it has done no harm. */
static void test_a_victim_is_spared(void **state)
{
	struct budget *budget = made(4 * S, 100 * S);
	struct object a = object_of(0), b = object_of(0);

	(void)state;
	hold(budget, &a, "192.0.2.1", 2 * S);
	hold(budget, &b, "192.0.2.1", 4 * S);
	assert_int_equal(n_woken[0], 1);
	hold(budget, &a, "192.0.2.1", 1);
	evict_all(budget);
	assert_int_equal(n_evicted, 0);
	assert_int_equal(budget_bytes(budget), 4 * S);
	hold(budget, &a, "192.0.2.1", 2 * S);
	/* Now it is younger. */
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &b);
	budget_release(budget, &a.charge);
	budget_free(budget);
}

static void test_a_client_is_a_64(void **state)
{
	struct budget *budget = made(4 * S, 100 * S);
	struct object a = object_of(0), b = object_of(0), c = object_of(0);

	(void)state;
	hold(budget, &a, "2001:db8:1:2::", 3 * S);
	hold(budget, &c, "2001:db8:1:3::", 3 * S);
	hold(budget, &b, "2001:db8:1:2:ffff::1", 3 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 1);
	assert_ptr_equal(evicted[0], &a);
	assert_int_equal(budget_clients(budget), 2);
	budget_release(budget, &b.charge);
	budget_release(budget, &c.charge);
	budget_free(budget);
}

static void test_many_clients(void **state)
{
	enum { N = 2000 };
	static struct object objects[N];
	struct budget *budget = made(10 * S, (size_t)4 * N * S);
	char text[32];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "198.18.%d.%d", i / 256, i % 256);
		objects[i] = object_of(0);
		hold(budget, &objects[i], text, 3 * S);
	}
	assert_int_equal(budget_clients(budget), N);
	assert_int_equal(budget_bytes(budget), 3 * N * S);
	for (int i = 0; i < N; i++) {
		budget_release(budget, &objects[(i * 7) % N].charge);
	}
	assert_int_equal(budget_clients(budget), 0);
	budget_free(budget);
}

/* A reload must not have one change look for all that is over the new limits. */
static void test_lowered_limits(void **state)
{
	enum { MAX = BUDGET_VICTIMS_MAX, LEFT = 2, N = 2 * MAX + LEFT + 1 };
	const struct budget_limits limits = {100 * S, (LEFT * 4 + 3) * S, BUDGET_LARGEST};
	struct budget *budget = made(100 * S, (size_t)5 * N * S);
	struct object objects[N], small = object_of(0);
	char text[32];

	(void)state;
	hold(budget, &small, "192.0.2.1", 2 * S);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "198.18.0.%d", i);
		objects[i] = object_of(0);
		hold(budget, &objects[i], text, 4 * S);
	}
	budget_set_limits(budget, &limits);
	hold(budget, &small, "192.0.2.1", 3 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, MAX);
	/* Also when one shrinks. */
	hold(budget, &small, "192.0.2.1", 2 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 2 * MAX);
	hold(budget, &small, "192.0.2.1", 3 * S);
	evict_all(budget);
	assert_int_equal(n_evicted, 2 * MAX + 1);
	assert_int_equal(budget_bytes(budget), limits.n_total);
	for (int i = 0; i < N; i++) {
		budget_release(budget, &objects[i].charge);
	}
	budget_release(budget, &small.charge);
	assert_int_equal(budget_bytes(budget), 0);
	budget_free(budget);
}

/* What a charge takes, others give, however many. */
static void test_many_victims_for_one(void **state)
{
	enum { N = 2 * BUDGET_VICTIMS_MAX };
	struct budget *budget = made((size_t)2 * N * S, (size_t)2 * N * S);
	struct object objects[N], large = object_of(0);
	char text[32];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "198.18.0.%d", i);
		objects[i] = object_of(0);
		hold(budget, &objects[i], text, 2 * S);
	}
	hold(budget, &large, "192.0.2.1", (size_t)2 * N * S);
	evict_all(budget);
	assert_int_equal(n_evicted, N);
	assert_int_equal(budget_bytes(budget), 2 * N * S);
	budget_release(budget, &large.charge);
	budget_free(budget);
}

static int scenario(void *userdata)
{
	const struct budget_limits limits = {.n_client = 4 * S, .n_total = 8 * S};
	struct address address = *(struct address *)userdata;
	struct object a = object_of(0), b = object_of(0);
	struct budget *budget;
	int r = budget_new(&limits, N_OWNERS, &budget);

	if (r < 0) {
		return r;
	}
	n_evicted = 0;
	r = budget_hold(budget, &a.charge, &address, 3 * S);
	if (r == 0) {
		/* The client is known: nothing is allocated. */
		r = budget_hold(budget, &b.charge, &address, 3 * S) < 0 ? 1 : 0;
	}
	budget_evict(budget, 0);
	budget_release(budget, &a.charge);
	budget_release(budget, &b.charge);
	r = r == 0 && n_evicted != 1 ? 2 : r;
	budget_free(budget);
	return r;
}

/* The tree's own nodes are the C library's: only the project's allocations fail here. */
static void test_without_memory(void **state)
{
	struct address address = at("192.0.2.1");

	(void)state;
	failmalloc_each(scenario, &address, 2);
}

enum {
	N_ROUNDS = 3000,
	N_EACH = 8,
};

struct thread {
	struct budget *budget;
	unsigned owner;
	unsigned n_evicted;
};

static _Thread_local struct thread *current;

static void count_evicted(struct budget_charge *charge)
{
	assert_int_equal(charge->owner, current->owner);
	assert_int_equal(charge->n_bytes, 0);
	current->n_evicted++;
}

static void *come_and_go(void *argument)
{
	struct thread *thread = argument;
	struct budget_charge charges[N_EACH];
	struct address address = {.v4 = {.sin_family = AF_INET}};

	current = thread;
	for (unsigned i = 0; i < N_EACH; i++) {
		charges[i] = BUDGET_CHARGE_INIT(thread->owner, count_evicted);
	}
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		address.v4.sin_addr.s_addr = i % 5;
		for (unsigned j = 0; j < N_EACH; j++) {
			assert_int_equal(budget_hold(thread->budget, &charges[j], &address,
						     (i * 31 + j * 17) % 7 * S),
					 0);
		}
		budget_evict(thread->budget, thread->owner);
		if (i % 3 == 0) {
			budget_release(thread->budget, &charges[i % N_EACH]);
		}
		/* A charge stays with the client that it began with. */
		for (unsigned j = 0; i % 5 == 4 && j < N_EACH; j++) {
			budget_release(thread->budget, &charges[j]);
		}
	}
	for (unsigned j = 0; j < N_EACH; j++) {
		budget_release(thread->budget, &charges[j]);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct budget *budget = made(15 * S, 40 * S);
	struct thread threads[N_OWNERS];
	pthread_t ids[N_OWNERS];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < N_OWNERS; i++) {
		budget_set_wake(budget, i, NULL, NULL);
		threads[i] = (struct thread){.budget = budget, .owner = i};
		assert_int_equal(pthread_create(&ids[i], NULL, come_and_go, &threads[i]), 0);
	}
	for (unsigned i = 0; i < N_OWNERS; i++) {
		pthread_join(ids[i], NULL);
		n += threads[i].n_evicted;
	}
	assert_true(n > 0);
	assert_int_equal(budget_bytes(budget), 0);
	assert_int_equal(budget_clients(budget), 0);
	budget_free(budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_the_limit_of_a_client),
		cmocka_unit_test(test_the_limit_of_all),
		cmocka_unit_test(test_the_oldest_goes),
		cmocka_unit_test(test_the_largest_of_a_client_goes),
		cmocka_unit_test(test_the_largest_client_gives),
		cmocka_unit_test(test_a_victim_is_spared),
		cmocka_unit_test(test_a_client_is_a_64),
		cmocka_unit_test(test_many_clients),
		cmocka_unit_test(test_lowered_limits),
		cmocka_unit_test(test_many_victims_for_one),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
