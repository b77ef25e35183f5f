/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/watch.h"
#include "gateway/wire/state.h"
#include "policy/client.h"

enum {
	EVENTS = 64,
	SECOND_MS = 1000,
};

/* Events. */

static void tell_written(struct wire *wire)
{
	if (wire->user && wire->callbacks->written) {
		wire->callbacks->written(wire->user);
	}
}

/* Whether `late` waits for what the client has sent meanwhile. */
static bool may_be_put_off(const struct wire *wire)
{
	return wire->hub->tick - wire->late_since < WIRE_LATE_MAX;
}

/* The callbacks may close the wire, whose `user` is then NULL. `ready` may give it to another
 * thread, so nothing may follow that. */
static void on_turn(struct turn_item *item)
{
	struct wire *wire = CONTAINER_OF(item, struct wire, turn);
	bool has_room = wire->has_room, is_ready = wire->is_ready, is_over = wire->is_over;

	wire->has_room = wire->is_ready = wire->is_over = false;
	if (wire->tls && !wire_is_lent(wire)) {
		wire->tls->controls.n_records = 0;
	}
	if (has_room && wire_flush(wire)) {
		tell_written(wire);
	}
	is_over = is_over && wire->is_late;
	if (is_over && is_ready && wire->user && !may_be_put_off(wire)) {
		/* If `late` keeps it, it is read later. */
		wire_wake(wire);
		is_ready = false;
	}
	if (is_ready && wire->user) {
		if (is_over) {
			/* `ready` may set a new deadline. */
			due_queue_add(&wire->hub->overdue, &wire->overdue);
		}
		wire->callbacks->ready(wire->user);
	} else if (is_over && wire->user) {
		wire->is_late = false;
		wire->callbacks->late(wire->user);
	}
}

/* Nothing may follow, as above. */
static void take_turn(struct wire *wire)
{
	struct turn *turn = wire->hub->options.turn;

	if (turn) {
		turn_add(turn, &wire->turn);
	} else {
		on_turn(&wire->turn);
	}
}

/* As an event: all that is done for a client is charged to it. */
static void take_turn_later(struct wire *wire)
{
	if (wire->hub->options.turn) {
		/* It is not to be charged with what came before: the loop may have slept. */
		turn_begin(wire->hub->options.turn);
	}
	take_turn(wire);
}

static void flush_small(struct wire *wire)
{
	bool is_written = wire_flush(wire);

	if (wire->hub->options.turn) {
		turn_charge(wire->hub->options.turn, &wire->turn, WIRE_SMALL_US);
	}
	if (is_written) {
		tell_written(wire);
	}
}

static void on_due(struct due_item *item)
{
	struct wire *wire = CONTAINER_OF(item, struct wire, due);

	if (!wire->wakes && wire_waiting(wire) <= WIRE_SMALL) {
		flush_small(wire);
		return;
	}
	wire->is_ready = wire->is_ready || wire->wakes;
	wire->has_room = true;
	wire->wakes = false;
	take_turn_later(wire);
}

static void on_overdue(struct due_item *item)
{
	struct wire *wire = CONTAINER_OF(item, struct wire, overdue);
	bool may_become_ready = wire->is_late && wire_hub_is_behind(wire->hub);

	if ((wire->is_ready || wire->wakes || may_become_ready) &&
	    (!wire->is_late || may_be_put_off(wire))) {
		/* After `ready`, which may set a new deadline. */
		due_queue_add(&wire->hub->overdue, &wire->overdue);
	} else if (wire->is_late) {
		wire->is_over = true;
		take_turn_later(wire);
	}
}

static void on_event(struct wire *wire, uint32_t events)
{
	if (wire->fd < 0) {
		return;
	}
	wire->is_ready = wire->is_ready || events & ~(uint32_t)EPOLLOUT;
	wire->has_room = wire->has_room || events & EPOLLOUT;

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		wire->is_hung_up = true;
	}
	if (wire->tls) {
		wire->is_ready = wire->is_ready || wire->tls->wants_write;
		wire->tls->is_drained = false;
		wire->tls->wants_write = false;
	}
	take_turn(wire);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct wire_hub *hub = CONTAINER_OF(poll, struct wire_hub, poll);
	struct epoll_event ready[EVENTS];
	int n = epoll_wait(hub->epoll_fd, ready, EVENTS, 0);

	(void)status;
	(void)events;
	hub->is_behind = n == EVENTS;
	if (hub->options.turn) {
		turn_begin(hub->options.turn);
	}
	for (int i = 0; i < n; i++) {
		on_event(ready[i].data.ptr, ready[i].events);
	}
}

static void on_tick(uv_timer_t *timer)
{
	wire_deadline_tick(CONTAINER_OF(timer, struct wire_hub, timer));
}

static void free_pumps(struct wire_pumps *pumps)
{
	struct wire_pump *pump;

	while ((pump = LIST_FIRST(pumps))) {
		LIST_REMOVE(pump, in_hub);
		free(pump);
	}
}

/* Frees the wires that were closed in this iteration of the loop, and their pumps. */
static void reap(struct wire_hub *hub)
{
	struct wire *wire;

	while ((wire = LIST_FIRST(&hub->dead))) {
		LIST_REMOVE(wire, in_hub);
		free(wire);
	}
	free_pumps(&hub->dead_pumps);
}

static void on_reap(uv_check_t *check)
{
	reap(CONTAINER_OF(check, struct wire_hub, reap));
}

/* Wires. */

int wire_new(int fd, const struct address *peer, struct wire **ret_wire)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	if (!wire) {
		return -ENOMEM;
	}
	wire->fd = fd;
	wire->peer = *peer;
	*ret_wire = wire;
	return 0;
}

int wire_new_again(int fd, const struct wire_peer *peer, struct wire **ret_wire)
{
	int r = wire_new(fd, &peer->address, ret_wire);

	if (r == 0) {
		(*ret_wire)->is_secure = peer->is_secure;
		(*ret_wire)->idle_s = (uint16_t)peer->idle_s;
	}
	return r;
}

struct wire_peer wire_describe(const struct wire *wire)
{
	return (struct wire_peer){
		.address = wire->peer, .is_secure = wire->is_secure, .idle_s = wire->idle_s};
}

/* That of the client (common/turn.h). */
static uint32_t crowd_of(const struct wire *wire)
{
	const struct turn *turn = wire->hub->options.turn;

	return turn ? client_hash(client_key(&wire->peer), &turn->secret) : TURN_NO_CROWD;
}

int wire_join(struct wire *wire, struct wire_hub *hub)
{
	struct epoll_event event = {.events = WIRE_EVENTS | EPOLLET, .data.ptr = wire};

	if (epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, wire->fd, &event) < 0) {
		return -errno;
	}
	wire->hub = hub;
	wire->wants_write = false;
	turn_item_init(&wire->turn, crowd_of(wire), on_turn);
	LIST_INSERT_HEAD(&hub->wires, wire, in_hub);
	wire_set_deadline(wire, wire->deadline);
	if (wire->ahead.n || wire->lacks_bytes || wire_tls_has_bytes(wire)) {
		wire_wake(wire);
	}
	return 0;
}

void wire_leave(struct wire *wire)
{
	assert(wire_waiting(wire) == 0);
	/* It is of this hub's owner. */
	wire_release_charge(wire);
	wire_settle(wire);
	epoll_ctl(wire->hub->epoll_fd, EPOLL_CTL_DEL, wire->fd, NULL);
	wire->deadline = wire_deadline_left(wire);
	wire_deadline_forget(wire);
	due_queue_remove(&wire->hub->due, &wire->due);
	due_queue_remove(&wire->hub->overdue, &wire->overdue);
	wire_skip_turn(wire);
	wire->wakes = false; /* nor is it in the queue any more */
	LIST_REMOVE(wire, in_hub);
	wire->hub = NULL;
}

/* Creating and ending the hub. */

static void on_unwatched(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_poll_t *)handle, struct wire_hub, poll));
}

/* On failure it closes the descriptor and frees @hub, now or when its handle has been closed. */
static int watch(struct wire_hub *hub)
{
	int r = uv_poll_init(hub->options.loop, &hub->poll, hub->epoll_fd);

	if (r < 0) {
		close(hub->epoll_fd);
		free(hub);
		return r;
	}
	r = watch_start(&hub->poll, UV_READABLE, on_poll);
	if (r < 0) {
		close(hub->epoll_fd);
		uv_close((uv_handle_t *)&hub->poll, on_unwatched);
	}
	return r;
}

int wire_hub_new(const struct wire_hub_options *options, struct wire_hub **ret_hub)
{
	struct wire_hub *hub = calloc(1, sizeof(*hub));

	if (!hub) {
		return -ENOMEM;
	}
	hub->options = *options;
	hub->tick = 1;
	hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hub->epoll_fd < 0) {
		int r = -errno;

		free(hub);
		return r;
	}
	int r = watch(hub);

	if (r < 0) {
		return r;
	}
	uv_timer_init(options->loop, &hub->timer);
	uv_check_init(options->loop, &hub->reap);
	due_queue_init(&hub->due, options->loop, 0, on_due);
	due_queue_init(&hub->overdue, options->loop, DUE_US, on_overdue);
	unsigned second = options->second_ms ? options->second_ms : SECOND_MS;

	uv_timer_start(&hub->timer, on_tick, second, second);
	uv_check_start(&hub->reap, on_reap);
	*ret_hub = hub;
	return 0;
}

bool wire_hub_has_events(const struct wire_hub *hub)
{
	return poll(&(struct pollfd){.fd = hub->epoll_fd, .events = POLLIN}, 1, 0) > 0;
}

bool wire_hub_is_behind(struct wire_hub *hub)
{
	/* The kernel is asked only where it may have more. */
	hub->is_behind = hub->is_behind && wire_hub_has_events(hub);
	return hub->is_behind;
}

uint32_t wire_hub_seconds(const struct wire_hub *hub)
{
	return hub->tick;
}

void wire_hub_close(struct wire_hub *hub)
{
	struct wire *wire;

	if (!hub) {
		return;
	}
	while ((wire = LIST_FIRST(&hub->wires))) {
		wire_close(wire);
	}
	due_queue_close(&hub->due);
	due_queue_close(&hub->overdue);
	uv_close((uv_handle_t *)&hub->poll, NULL);
	uv_close((uv_handle_t *)&hub->timer, NULL);
	uv_close((uv_handle_t *)&hub->reap, NULL);
}

struct wire_hub *wire_hub_free(struct wire_hub *hub)
{
	if (!hub) {
		return NULL;
	}
	reap(hub);
	free_pumps(&hub->pumps);
	close(hub->epoll_fd);
	free(hub);
	return NULL;
}
