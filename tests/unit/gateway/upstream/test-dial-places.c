/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/dial-places.h"
#include "tests/unit/failmalloc.h"

enum {
	N = DIAL_PLACES_MAX,
	CROWD = 7,
	OTHER = 8,
};

struct search {
	struct dial_place place;
	bool is_granted;
};

static void on_granted(struct dial_place *place)
{
	CONTAINER_OF(place, struct search, place)->is_granted = true;
}

static void take(struct dial_places *places, struct search *search, uint32_t crowd)
{
	*search = (struct search){.place.granted = on_granted};
	assert_int_equal(dial_places_take(places, &search->place, crowd), 0);
}

static void test_the_bound(void **state)
{
	struct dial_places places = {0};
	struct search all[N], next, last, other;

	(void)state;
	/* n */
	for (int i = 0; i < N; i++) {
		take(&places, &all[i], CROWD);
		assert_false(all[i].place.is_waiting);
	}
	/* n + 1, and one more */
	take(&places, &next, CROWD);
	take(&places, &last, CROWD);
	assert_true(next.place.is_waiting);
	assert_true(last.place.is_waiting);
	/* Others do not wait. */
	take(&places, &other, OTHER);
	assert_false(other.place.is_waiting);
	dial_places_leave(&places, &other.place);
	assert_false(next.is_granted);
	dial_places_leave(&places, &all[3].place);
	dial_places_leave(&places, &all[3].place);
	assert_true(next.is_granted);
	assert_false(next.place.is_waiting);
	assert_false(last.is_granted);
	/* What gives up waiting takes nobody's place. */
	dial_places_leave(&places, &last.place);
	take(&places, &last, CROWD);
	assert_true(last.place.is_waiting);
	dial_places_leave(&places, &next.place);
	assert_true(last.is_granted);
	dial_places_leave(&places, &last.place);
	take(&places, &last, CROWD);
	assert_false(last.place.is_waiting);
	dial_places_leave(&places, &last.place);
	for (int i = 0; i < N; i++) {
		dial_places_leave(&places, &all[i].place);
	}
	assert_null(places.crowds);
}

static int scenario(void *userdata)
{
	struct dial_places places = {0};
	struct dial_place place = {0};
	int r = dial_places_take(&places, &place, CROWD);

	(void)userdata;
	dial_places_leave(&places, &place);
	assert_null(places.crowds);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_bound),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
