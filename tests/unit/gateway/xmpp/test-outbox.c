/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/xmpp/outbox.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/pieces.h"

enum {
	N_LINKS = 3,
	N_STEPS = 20000,
};

/* A outbox does not look into a link, so any address will do. */
static char links[N_LINKS];
static struct buffer written[N_LINKS];
static uv_loop_t loop;
static struct outbox outbox;

static struct link *link_of(size_t i)
{
	return (struct link *)&links[i];
}

static void on_write(struct link *link, struct sv bytes)
{
	size_t i = (size_t)((char *)link - links);

	assert_in_range(i, 0, N_LINKS - 1);
	assert_int_equal(buffer_append_sv(&written[i], bytes), 0);
}

static int setup(void **state)
{
	(void)state;
	int r = uv_loop_init(&loop);

	outbox_init(&outbox, &loop, on_write);
	return r;
}

static int teardown(void **state)
{
	(void)state;
	outbox_close(&outbox);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < N_LINKS; i++) {
		buffer_deinit(&written[i]);
	}
	return uv_loop_close(&loop);
}

static void check_written(size_t i, const char *expected)
{
	if (!sv_eq(buffer_sv(&written[i]), sv_from(expected))) {
		fail_msg("link %zu was written '%.*s', expected '%s'", i,
			 SV_ARGS(buffer_sv(&written[i])), expected);
	}
	buffer_clear(&written[i]);
}

static void on_timer(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

/* A turn of the loop, which takes none when there is nothing to wait for. */
static void turn(void)
{
	uv_timer_t timer;

	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_timer, 0, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void flush_all(void)
{
	for (size_t i = 0; i < N_LINKS; i++) {
		outbox_flush(&outbox, link_of(i));
	}
}

/* What links have waiting goes out at the end of the turn. */
static void test_turns(void **state)
{
	(void)state;
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("a")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("b")), 0);
	assert_int_equal(outbox_waiting(&outbox, link_of(0)), 2);
	assert_int_equal(outbox_waiting(&outbox, link_of(1)), 0);
	check_written(0, "");
	assert_int_equal(outbox_add(&outbox, link_of(1), SV("c")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("d")), 0);
	assert_int_equal(outbox_waiting(&outbox, link_of(0)), 3);
	check_written(0, "");
	turn();
	check_written(0, "abd");
	check_written(1, "c");
	assert_int_equal(outbox_waiting(&outbox, link_of(0)), 0);
	assert_int_equal(outbox_waiting(&outbox, link_of(1)), 0);
}

/* The next turn uses the memory of the one before, in which nothing of it is left. */
static void test_memory_stays(void **state)
{
	(void)state;
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("secret")), 0);
	turn();
	check_written(0, "secret");
	assert_int_equal(outbox.bytes.data[0], '\0');
	failmalloc_arm(1, true);
	int r = outbox_add(&outbox, link_of(0), SV("more"));

	assert_int_equal(failmalloc_disarm(), 0);
	assert_int_equal(r, 0);
	turn();
	check_written(0, "more");
}

/* A link that must write something else first gets its own bytes only. */
static void test_one_of_several(void **state)
{
	(void)state;
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("a")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(1), SV("b")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("c")), 0);
	outbox_flush(&outbox, link_of(0));
	check_written(0, "ac");
	check_written(1, "");
	assert_int_equal(outbox_waiting(&outbox, link_of(0)), 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("d")), 0);
	turn();
	check_written(0, "d");
	check_written(1, "b");
}

static void test_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < OUTBOX_PARTS_MAX; i++) {
		assert_int_equal(outbox_add(&outbox, link_of(i % 2), SV("p")), 0);
	}
	assert_int_equal(outbox_add(&outbox, link_of((OUTBOX_PARTS_MAX - 1) % 2), SV("p")), 0);
	assert_int_equal(written[0].n + written[1].n, 0);
	assert_int_equal(outbox_add(&outbox, link_of(2), SV("q")), 0);
	assert_int_equal(written[0].n + written[1].n, OUTBOX_PARTS_MAX + 1);
	check_written(2, "");
	buffer_clear(&written[0]);
	buffer_clear(&written[1]);
	turn();
	check_written(2, "q");
}

/* A link that is gone leaves nothing to the next, and takes nothing of another with it. */
static void test_dropped(void **state)
{
	(void)state;
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("gone")), 0);
	outbox_drop(&outbox, link_of(0));
	assert_int_equal(outbox_add(&outbox, link_of(1), SV("kept")), 0);
	outbox_drop(&outbox, link_of(0));
	outbox_flush(&outbox, link_of(0));
	check_written(1, "");
	outbox_flush(&outbox, link_of(1));
	check_written(0, "");
	check_written(1, "kept");
}

static void test_much(void **state)
{
	static char much[OUTBOX_ONE_MAX + 1];
	const struct sv most = {much, OUTBOX_ONE_MAX};

	(void)state;
	memset(much, 'x', sizeof(much));
	for (size_t i = 1; i < OUTBOX_MAX / OUTBOX_ONE_MAX; i++) {
		assert_int_equal(outbox_add(&outbox, link_of(0), most), 0);
	}
	assert_int_equal(outbox_add(&outbox, link_of(0), sv_first(most, most.n - 1)), 0);
	assert_int_equal(written[0].n, 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("y")), 0);
	assert_int_equal(written[0].n, OUTBOX_MAX);
	assert_int_equal(outbox.n_parts, 0);
	buffer_clear(&written[0]);
	/* The memory is kept, and there is never more. */
	for (size_t i = 0; i < 100; i++) {
		size_t n = OUTBOX_ONE_MAX - i % 7;

		assert_int_equal(outbox_add(&outbox, link_of(i % N_LINKS), sv_first(most, n)), 0);
		assert_in_range(outbox.bytes.size, OUTBOX_MAX, 2 * OUTBOX_MAX);
	}
	flush_all();
	assert_non_null(outbox.bytes.data);
	assert_in_range(outbox.bytes.size, OUTBOX_MAX, 2 * OUTBOX_MAX);
	for (size_t i = 0; i < N_LINKS; i++) {
		buffer_clear(&written[i]);
	}
}

/* A large one is sent at once, behind what the link has sent before. */
static void test_large(void **state)
{
	static char much[OUTBOX_ONE_MAX + 1];
	const struct sv large = {much, sizeof(much)};

	(void)state;
	memset(much, 'x', sizeof(much));
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("a")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(1), SV("b")), 0);
	assert_int_equal(outbox_add(&outbox, link_of(0), large), 0);
	assert_int_equal(written[0].n, 1 + sizeof(much));
	assert_int_equal(buffer_sv(&written[0]).data[0], 'a');
	buffer_clear(&written[0]);
	check_written(1, "");
	assert_int_equal(outbox_add(&outbox, link_of(0), SV("c")), 0);
	flush_all();
	check_written(0, "c");
	check_written(1, "b");
}

/* A link whose stanza finds no memory fails and is dropped. Nothing of what the others sent is lost
 * or reaches another link. Each link sends a letter of its own. */
static void test_isolation(void **state)
{
	char letters[N_LINKS][100];
	size_t n_added[N_LINKS] = {0}, n_failed = 0;
	struct pieces random = {.random = 1};

	(void)state;
	for (size_t i = 0; i < N_LINKS; i++) {
		memset(letters[i], 'a' + (int)i, sizeof(letters[i]));
		assert_int_equal(buffer_reserve(&written[i], N_STEPS * sizeof(letters[i])), 0);
	}
	for (size_t step = 0; step < N_STEPS; step++) {
		size_t i = pieces_random(&random, N_LINKS);
		size_t n = 1 + pieces_random(&random, sizeof(letters[i]));

		if (pieces_random(&random, 10) == 0) {
			/* So that the next one has to ask for memory. */
			flush_all();
			buffer_deinit(&outbox.bytes);
		}
		failmalloc_arm(1 + pieces_random(&random, 4), false);
		int r = outbox_add(&outbox, link_of(i), (struct sv){letters[i], n});

		if (failmalloc_disarm()) {
			assert_int_equal(r, -ENOMEM);
			n_added[i] -= outbox_waiting(&outbox, link_of(i));
			outbox_drop(&outbox, link_of(i));
			n_failed++;
		} else {
			assert_int_equal(r, 0);
			n_added[i] += n;
		}
	}
	assert_true(n_failed > N_STEPS / 100);
	flush_all();
	for (size_t i = 0; i < N_LINKS; i++) {
		assert_int_equal(written[i].n, n_added[i]);
		for (size_t at = 0; at < written[i].n; at++) {
			assert_int_equal(written[i].data[at], letters[i][0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_several, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_isolation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
