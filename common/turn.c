/* SPDX-License-Identifier: MIT */
#include "common/turn.h"

#include "common/thread-time.h"

enum {
	NS_PER_US = 1000,
	NS_PER_SECOND = 1000 * 1000 * 1000,
	HALVINGS_MAX = 31,
};

static uint32_t second_of(const struct turn *turn)
{
	return (uint32_t)(turn->now_ns / NS_PER_SECOND);
}

static uint32_t spent_us(const struct turn *turn, const struct turn_spent *spent)
{
	uint32_t n = second_of(turn) - spent->second;

	return n > HALVINGS_MAX ? 0 : spent->us >> n;
}

static void spend(const struct turn *turn, struct turn_spent *spent, uint32_t us)
{
	uint32_t before = spent_us(turn, spent);

	*spent = (struct turn_spent){before > UINT32_MAX - us ? UINT32_MAX : before + us,
				     second_of(turn)};
}

static bool is_heavy(const struct turn *turn, const struct turn_item *item)
{
	return spent_us(turn, &item->spent) >= TURN_ITEM_US;
}

static bool is_crowded(const struct turn *turn, const struct turn_item *item)
{
	return spent_us(turn, &turn->crowds[item->crowd]) >= TURN_CROWD_US;
}

static bool is_light(const struct turn *turn, const struct turn_item *item)
{
	return !is_heavy(turn, item) && !is_crowded(turn, item);
}

uint32_t turn_spent_us(const struct turn *turn, const struct turn_item *item)
{
	return spent_us(turn, &turn->crowds[item->crowd]);
}

bool turn_is_watched(const struct turn *turn, const struct turn_item *item)
{
	for (size_t i = 0; i < TURN_LIGHTS; i++) {
		const struct turn_light *light = &turn->lights[i];

		if (light->crowd != item->crowd &&
		    second_of(turn) - light->second <= TURN_ALONE_S) {
			return true;
		}
	}
	return false;
}

static void note_light(struct turn *turn, const struct turn_item *item)
{
	if (item->crowd == TURN_NO_CROWD) {
		return;
	}
	if (turn->lights[0].crowd != item->crowd) {
		turn->lights[1] = turn->lights[0];
	}
	turn->lights[0] = (struct turn_light){second_of(turn), item->crowd};
}

bool turn_is_pressed(const struct turn *turn, const struct turn_item *item)
{
	return turn_is_watched(turn, item) && !is_light(turn, item);
}

/* Returns the thread time since it was read the last time. */
static uint64_t look(struct turn *turn)
{
	uint64_t before_ns = turn->thread_ns;

	turn->looked_ns = turn->now_ns;
	turn->thread_ns = thread_time_ns();
	/* Less than before it is where another thread has made the turn. */
	return turn->thread_ns > before_ns ? turn->thread_ns - before_ns : 0;
}

/* Reads the clock. Of the time since @since_ns, returns what the thread may have run. */
static uint64_t advance(struct turn *turn, uint64_t since_ns)
{
	turn->now_ns = uv_hrtime();
	uint64_t ns = turn->now_ns - since_ns;

	if (turn->now_ns - turn->looked_ns < (uint64_t)TURN_LOOK_US * NS_PER_US) {
		return ns;
	}
	uint64_t ran_ns = look(turn);

	return ns < ran_ns ? ns : ran_ns;
}

void turn_begin(struct turn *turn)
{
	advance(turn, turn->now_ns);
}

/* Returns the time since @since_ns, which ends now. */
static uint32_t end_us(struct turn *turn, uint64_t since_ns)
{
	uint64_t us = advance(turn, since_ns) / NS_PER_US;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* Runs @item, and charges it with the time since the one before. */
static void run(struct turn *turn, struct turn_item *item)
{
	struct turn_spent *crowd = &turn->crowds[item->crowd];
	uint64_t since_ns = turn->now_ns;

	turn->current = item;
	turn->is_running = true;
	item->run(item);
	turn->is_running = false;
	uint32_t us = end_us(turn, since_ns);

	if (crowd != &turn->crowds[TURN_NO_CROWD]) {
		spend(turn, crowd, us);
	}
	if (turn->current) {
		spend(turn, &item->spent, us);
		turn->current = NULL;
	}
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void wait(struct turn *turn, struct turn_item *item)
{
	item->is_heavy = is_heavy(turn, item);
	TAILQ_INSERT_TAIL(item->is_heavy ? &turn->heavy : &turn->crowded, item, in_queue);
	if (turn->n_items++ == 0) {
		uv_idle_start(&turn->idle, on_idle);
	}
}

static void stop_waiting(struct turn *turn, struct turn_item *item)
{
	TAILQ_REMOVE(item->is_heavy ? &turn->heavy : &turn->crowded, item, in_queue);
	item->in_queue.tqe_prev = NULL;
	if (--turn->n_items == 0) {
		uv_idle_stop(&turn->idle);
	}
}

static struct turn_item *first(const struct turn *turn)
{
	struct turn_item *crowded = TAILQ_FIRST(&turn->crowded), *heavy = TAILQ_FIRST(&turn->heavy);

	return crowded && (!heavy || turn->n_ahead < TURN_AHEAD_MAX) ? crowded : heavy;
}

static void note_first(struct turn *turn, const struct turn_item *item)
{
	turn->n_ahead = item->is_heavy || TAILQ_EMPTY(&turn->heavy) ? 0 : turn->n_ahead + 1;
}

/* How long @item and those before it may hold up others. */
static uint64_t share_ns(const struct turn *turn, const struct turn_item *item)
{
	return (uint64_t)(turn_is_watched(turn, item) ? TURN_US : TURN_ALONE_US) * NS_PER_US;
}

static void on_check(uv_check_t *check)
{
	struct turn *turn = CONTAINER_OF(check, struct turn, check);
	struct turn_item *item;

	turn_begin(turn);
	uint64_t begin_ns = turn->now_ns;

	while ((item = first(turn)) && turn->now_ns - begin_ns < share_ns(turn, item)) {
		note_first(turn, item);
		stop_waiting(turn, item);
		run(turn, item);
	}
}

void turn_init(struct turn *turn, uv_loop_t *loop)
{
	*turn = (struct turn){0};
	TAILQ_INIT(&turn->crowded);
	TAILQ_INIT(&turn->heavy);
	turn_begin(turn);
	uv_check_init(loop, &turn->check);
	uv_idle_init(loop, &turn->idle);
	uv_check_start(&turn->check, on_check);
	/* The check handle alone must not keep the loop running. */
	uv_unref((uv_handle_t *)&turn->check);
}

void turn_close(struct turn *turn)
{
	uv_close((uv_handle_t *)&turn->check, NULL);
	uv_close((uv_handle_t *)&turn->idle, NULL);
}

void turn_item_init(struct turn_item *item, uint32_t crowd, void (*run_item)(struct turn_item *))
{
	*item = (struct turn_item){.run = run_item};
	turn_item_set_crowd(item, crowd);
}

void turn_item_set_crowd(struct turn_item *item, uint32_t crowd)
{
	item->crowd = (uint16_t)(crowd == TURN_NO_CROWD ? crowd : crowd % TURN_CROWDS);
}

void turn_add(struct turn *turn, struct turn_item *item)
{
	if (turn_waits(item)) {
		return;
	}
	if (turn->is_running || !is_light(turn, item)) {
		wait(turn, item);
	} else {
		note_light(turn, item);
		run(turn, item);
	}
}

void turn_add_last(struct turn *turn, struct turn_item *item)
{
	if (!turn_waits(item)) {
		wait(turn, item);
	}
}

void turn_charge(struct turn *turn, struct turn_item *item, uint32_t us)
{
	if (item->crowd != TURN_NO_CROWD) {
		spend(turn, &turn->crowds[item->crowd], us);
	}
	spend(turn, &item->spent, us);
}

void turn_end(struct turn *turn, uint32_t crowd)
{
	uint32_t us = end_us(turn, turn->now_ns);

	spend(turn, &turn->crowds[crowd % TURN_CROWDS], us);
}

void turn_remove(struct turn *turn, struct turn_item *item)
{
	if (turn->current == item) {
		turn->current = NULL;
	}
	if (turn_waits(item)) {
		stop_waiting(turn, item);
	}
}
