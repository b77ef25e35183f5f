/* SPDX-License-Identifier: MIT */
/*
 * common/turn.h, with a clock that the input moves. Its first byte says who shares a crowd; then,
 * two bytes for each, items are added and removed, time passes, and the loop goes round.
 *
 * Who is light runs at once, who is pressed does not, and who waits runs once; heavy items keep
 * their order, and a heavy one waits for at most TURN_AHEAD_MAX others. Each round has progress,
 * and ends soon after its share.
 *
 * covers: common/turn.c
 */
#include "tests/fuzz/fuzz.h"

#include "common/thread-time.h"
#include "common/turn.h"

enum {
	N_ITEMS = 6,
	STEPS_MAX = 300,
	QUEUE_MAX = STEPS_MAX + N_ITEMS,
	TAKES_MAX_US = 255 * 64,
};

struct user {
	struct turn_item item;
	uint32_t takes_us;
	bool leaves; /* in its turn */
};

static struct {
	struct turn turn;
	struct user users[N_ITEMS];
	const struct turn_item *heavy[QUEUE_MAX]; /* in the order in which they began to wait */
	size_t n_heavy;
	uint64_t now_ns, round_ns;
	unsigned n_runs, n_ahead;
	bool in_round, is_running;
} one;

/* Replaces that of libuv, which does not use it itself. */
uint64_t uv_hrtime(void)
{
	return one.now_ns;
}

/* The thread always runs. */
uint64_t thread_time_ns(void)
{
	return one.now_ns;
}

static void forget_heavy(const struct turn_item *item, bool is_first)
{
	for (size_t i = 0; i < one.n_heavy; i++) {
		if (one.heavy[i] == item) {
			FUZZ_CHECK(!is_first || i == 0);
			memmove(&one.heavy[i], &one.heavy[i + 1],
				(--one.n_heavy - i) * sizeof(one.heavy[0]));
			return;
		}
	}
	FUZZ_CHECK(!is_first);
}

static void on_run(struct turn_item *item)
{
	struct user *user = CONTAINER_OF(item, struct user, item);

	FUZZ_CHECK(!one.is_running && !turn_waits(item));
	one.is_running = true;
	if (one.in_round) {
		FUZZ_CHECK(one.now_ns - one.round_ns < (uint64_t)TURN_ALONE_US * 1000);
		if (item->is_heavy) {
			forget_heavy(item, true);
			one.n_ahead = 0;
		} else {
			one.n_ahead += one.n_heavy > 0;
			FUZZ_CHECK(one.n_ahead <= TURN_AHEAD_MAX);
		}
	}
	one.n_runs++;
	one.now_ns += (uint64_t)user->takes_us * 1000;
	if (user->leaves) {
		user->leaves = false;
		turn_remove(&one.turn, item);
	}
	one.is_running = false;
}

static void add(struct user *user)
{
	bool waited = turn_waits(&user->item);
	unsigned n_runs = one.n_runs;

	turn_begin(&one.turn);
	bool is_pressed = turn_is_pressed(&one.turn, &user->item);

	turn_add(&one.turn, &user->item);
	FUZZ_CHECK(!is_pressed || turn_waits(&user->item));
	FUZZ_CHECK(one.n_runs == n_runs + !turn_waits(&user->item));
	if (!waited && turn_waits(&user->item) && user->item.is_heavy) {
		one.n_ahead = one.n_heavy ? one.n_ahead : 0;
		one.heavy[one.n_heavy++] = &user->item;
	}
}

static void go_round(uv_loop_t *loop)
{
	size_t n_items = one.turn.n_items;
	unsigned n_runs = one.n_runs;

	one.in_round = true;
	one.round_ns = one.now_ns;
	uv_run(loop, UV_RUN_NOWAIT);
	one.in_round = false;
	FUZZ_CHECK(one.n_runs - n_runs == n_items - one.turn.n_items);
	FUZZ_CHECK(n_items == 0 || one.n_runs > n_runs);
	FUZZ_CHECK(uv_is_active((uv_handle_t *)&one.turn.idle) == (one.turn.n_items > 0));
}

static void step(uv_loop_t *loop, struct sv *input)
{
	unsigned what = fuzz_byte(input), much = fuzz_byte(input);
	struct user *user = &one.users[(what >> 3) % N_ITEMS];

	switch (what & 7) {
	case 0:
		go_round(loop);
		break;
	case 1:
		one.now_ns += (uint64_t)much * 50 * 1000 * 1000;
		break;
	case 2:
		turn_remove(&one.turn, &user->item);
		forget_heavy(&user->item, false);
		FUZZ_CHECK(!turn_waits(&user->item));
		break;
	default:
		user->takes_us = much * 64;
		user->leaves = (what & 7) == 3;
		add(user);
		break;
	}
}

void fuzz_one(struct sv input)
{
	unsigned crowds = fuzz_byte(&input);
	uv_loop_t loop;

	memset(&one, 0, sizeof(one));
	/* What was never light is long ago. */
	one.now_ns = UINT64_C(100) * 1000 * 1000 * 1000;
	assert_int_equal(uv_loop_init(&loop), 0);
	turn_init(&one.turn, &loop);
	for (uint32_t i = 0; i < N_ITEMS; i++) {
		turn_item_init(&one.users[i].item,
			       crowds >> i & 1 ? 7
			       : i             ? i
					       : TURN_NO_CROWD,
			       on_run);
	}
	for (unsigned n = 0; n < STEPS_MAX && input.n; n++) {
		step(&loop, &input);
	}
	/* Nobody is forgotten. */
	for (size_t n = one.turn.n_items; n > 0; n--) {
		go_round(&loop);
	}
	FUZZ_CHECK(one.turn.n_items == 0 && one.n_heavy == 0);
	turn_close(&one.turn);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}
