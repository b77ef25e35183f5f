/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Decides who is served next when there is more work than a thread can do at once: those who have
 * needed little time go first. Without it, an attacker who sends input that is expensive to parse,
 * over hundreds of connections, would make everybody else wait for all of them in each iteration of
 * the loop.
 *
 * item    something that has work now and then: a connection. Embedded in its object
 * crowd   items that belong together: the connections of one client address, and the streams of
 *         the servers that it uses. Several addresses may share a crowd; then they only wait for
 *         each other
 * spent   the time that an item, or a crowd, has needed lately. It is halved each second. The time
 *         in which the thread did not run, because others had the processor or the process was
 *         stopped, is nobody's (TURN_LOOK_US)
 * light   an item that has spent less than TURN_ITEM_US, of a crowd that has spent less than
 *         TURN_CROWD_US. It runs at once, in the order of events
 * crowded an item that has spent little itself, in a crowd that has spent too much
 * heavy   an item that has spent more. Crowded and heavy items wait for the end of the iteration,
 *         where they share TURN_US, the crowded ones first, but a heavy one after so many of them
 *         (TURN_AHEAD_MAX). What is left waits for the next iteration, in its place
 *
 * One loop, one thread. A turn with items keeps the loop from blocking in its poll.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/hash.h"
#include "common/macro.h"

enum {
	/* What is spent evenly counts for two seconds: 500 stanzas a second of an ordinary size. */
	TURN_ITEM_US = 10000,
	/* An office of a thousand such users behind one address, or a proxy, would exceed that. Its
	 * light items then come after those of others, and before its heavy ones. */
	TURN_CROWD_US = 50000,
	/* How long crowded and heavy items may hold up light ones, plus the time of the last of
	 * them. A round trip of a light item may wait for that twice. */
	TURN_US = 50,
	/* The same while no light item of another crowd has run for TURN_ALONE_S. Enough for one of
	 * each of some hundred sessions: what is left is looked at again in the next iteration. */
	TURN_ALONE_US = 10000,
	TURN_ALONE_S = 1,
	/* Crowded items that run while a heavy one waits. Without a bound, one address with enough
	 * connections that are never heavy could make the busy users of all other addresses wait
	 * for ever. */
	TURN_AHEAD_MAX = 8,
	/* The clock tells what a turn has needed, and runs on while the thread does not. Thread
	 * time does not, but to read it costs a system call. So it is read only if that was so long
	 * ago, at most 2,000 times a second, and bounds what is charged then. An item is charged
	 * with at most so much of what others have needed, and pauses that are shorter count. */
	TURN_LOOK_US = 500,
	TURN_LIGHTS = 2,
	TURN_CROWDS = 1024,
	TURN_NO_CROWD = TURN_CROWDS, /* an item that is in none */
};

struct turn_spent {
	uint32_t us;
	uint32_t second; /* in which it was so much */
};

/* A crowd of which a light item has run. */
struct turn_light {
	uint32_t second; /* in which the last one ran */
	uint16_t crowd;
};

struct turn_item {
	TAILQ_ENTRY(turn_item) in_queue; /* zero when it is in no queue */
	struct turn_spent spent;
	uint16_t crowd;
	bool is_heavy; /* in which of the queues it is */
	void (*run)(struct turn_item *item);
};

TAILQ_HEAD(turn_items, turn_item);

struct turn {
	/* For the hash that puts clients into crowds. Set by the owner, so that nobody can choose
	 * his crowd. */
	struct hash_secret secret;
	struct turn_items crowded, heavy;
	size_t n_items;
	unsigned n_ahead; /* crowded items that have run while a heavy one waits */
	struct turn_spent crowds[TURN_CROWDS + 1]; /* the last stays empty */
	struct turn_light lights[TURN_LIGHTS];     /* of two crowds, the latest one first */
	uint64_t now_ns;               /* when the last item ended, or the batch began */
	uint64_t looked_ns, thread_ns; /* when thread time was read, and what it was */
	struct turn_item *current;     /* whose turn it is; NULL also once it has been removed */
	bool is_running;               /* an item's `run` */
	uv_check_t check;
	uv_idle_t idle; /* active while there are items */
};

void turn_init(struct turn *turn, uv_loop_t *loop);

/* Runs no more items. The memory of the turn must stay valid until the next iteration of the
 * loop. */
void turn_close(struct turn *turn);

/* @run carries out what @item has to do. @crowd is any number that those of its crowd share, or
 * TURN_NO_CROWD. */
void turn_item_init(struct turn_item *item, uint32_t crowd, void (*run)(struct turn_item *item));

/* @item is one of @crowd from its next turn on. */
void turn_item_set_crowd(struct turn_item *item, uint32_t crowd);

/* @item has something to do: it is run now if it is light, or later. Does nothing if it waits
 * already. While an item runs, no other one is run: @item waits. */
void turn_add(struct turn *turn, struct turn_item *item);

/* The same, but @item waits like a crowded one also if it is light: for what takes long for
 * everybody, and what many may have to do at the same time, like TLS handshakes. */
void turn_add_last(struct turn *turn, struct turn_item *item);

/* Charges @item and its crowd with @us for what was done outside of its turn: something small, for
 * which the queue and the clock would cost too much. */
void turn_charge(struct turn *turn, struct turn_item *item, uint32_t us);

/* Whether @item waits for its turn. */
static inline bool turn_waits(const struct turn_item *item)
{
	return item->in_queue.tqe_prev != NULL;
}

/* The microseconds that the crowd of @item has spent; 0 if it is in none. */
uint32_t turn_spent_us(const struct turn *turn, const struct turn_item *item);

/* Whether any item waits. */
static inline bool turn_is_busy(const struct turn *turn)
{
	return turn->n_items > 0;
}

/* Whether there are light items of another crowd than that of @item. Those without a crowd are not
 * counted. */
bool turn_is_watched(const struct turn *turn, const struct turn_item *item);

/* Whether @item should do its work in small portions: it is watched, and not light. */
bool turn_is_pressed(const struct turn *turn, const struct turn_item *item);

/* @item goes away, or has nothing to do any more. It may be the one that runs; then its memory is
 * not touched again. */
void turn_remove(struct turn *turn, struct turn_item *item);

/* A batch of events begins: the time before it is charged to no item. */
void turn_begin(struct turn *turn);

/* Charges @crowd with the time since turn_begin(): for what was done for it without an item of its
 * own, such as what another worker has received for it. */
void turn_end(struct turn *turn, uint32_t crowd);
