/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "common/watch.h"
#include "gateway/upstream/transport-state.h"

enum {
	/* A time-out is put off by this while the transport waits for its turn. */
	WAITING_MS = 1000,
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_unwatched(struct timeout *timer);

void transport_update_poll(struct transport *transport)
{
	if (transport->is_in_turn || transport->n_reports == TRANSPORT_REPORTS_MAX ||
	    transport->state == TRANSPORT_CLOSED || transport_is_in_helper(transport)) {
		return;
	}
	int events = transport_wanted_events(transport);

	if (events == transport->events) {
		return;
	}
	transport->events = events;
	if (!events) {
		(void)uv_poll_stop(&transport->poll);
		return;
	}
	int r = watch_start(&transport->poll, events, on_poll);

	if (r < 0) {
		transport->connect_error = -r;
		transport_set_broken(transport, channel_error(-r));
		timeout_plan(&transport->timer, on_unwatched, 0);
	}
}

static bool may_read(const struct transport *transport)
{
	return transport->state == TRANSPORT_OPEN && !transport->is_paused && !transport->has_ended;
}

/* From the timer itself, wait for a millisecond: libuv would run a timer of 0 in the same pass, and
 * one stream could occupy the loop. */
void transport_plan_turn(struct transport *transport)
{
	if (may_read(transport)) {
		timeout_plan(&transport->timer, transport_on_timer, transport->is_in_timer ? 1 : 0);
	}
}

static uint64_t now_of(const struct transport *transport)
{
	return uv_now(transport->timer.uv.loop);
}

static void on_message_timeout(struct timeout *timer)
{
	struct transport *transport = CONTAINER_OF(timer, struct transport, timer);

	transport->message_is_late = true;
	transport_on_timer(timer);
}

void transport_forget_message(struct transport *transport)
{
	transport->message_deadline = 0;
	transport->message_is_late = false;
	if (transport->timer.callback == on_message_timeout) {
		/* Its time is not that of the next message. */
		timeout_stop(&transport->timer);
	}
}

void transport_watch_message(struct transport *transport)
{
	uint64_t now = now_of(transport);

	if (!may_read(transport) || !channel_is_in_message(&transport->channel)) {
		transport_forget_message(transport);
		return;
	}
	if (!transport->message_deadline) {
		transport->message_deadline = now + transport->message_timeout_ms;
	}
	/* A planned turn comes sooner, and calls this function again. */
	if (!timeout_is_set(&transport->timer)) {
		timeout_start(&transport->timer, on_message_timeout,
			      (int64_t)transport->message_deadline - (int64_t)now);
	}
}

static void tell_held(struct transport *transport)
{
	if (transport->callbacks->held) {
		transport->callbacks->held(transport->userdata);
	}
}

/* A write may have completed the message, too. */
static void tell_message(struct transport *transport)
{
	if (transport->state == TRANSPORT_OPEN && transport_take_change(transport)) {
		tell_held(transport);
	}
}

static void note_message(struct transport *transport)
{
	transport_watch_message(transport);
	/* What stands in the socket was read first. */
	if (transport->message_is_late) {
		transport_fail_lost(transport, "a TLS message did not arrive completely in time");
	}
	tell_message(transport);
}

static void read_in(struct transport *transport)
{
	size_t n_read, n_most;

	transport->channel.is_pressed =
		transport->turn && turn_is_pressed(transport->turn, &transport->item);
	char *place = transport_place(transport, &n_most);
	enum channel_result result = channel_read(&transport->channel, place, n_most, &n_read);

	if (n_read) {
		transport->callbacks->data(transport->userdata, place, n_read);
		if (transport->state != TRANSPORT_OPEN) {
			return;
		}
	}
	switch (result) {
	case CHANNEL_OK:
		if (transport->broken || channel_has_pending(&transport->channel)) {
			transport_plan_turn(transport);
		}
		break;
	case CHANNEL_AGAIN:
		if (transport->broken) {
			transport_fail_lost(transport, transport->broken);
		}
		break;
	case CHANNEL_ENDED:
		if (transport->broken) {
			transport_fail_lost(transport, transport->broken);
		} else {
			transport->has_ended = true;
			transport->callbacks->ended(transport->userdata);
		}
		break;
	case CHANNEL_BROKEN:
		if (channel_is_flooded(&transport->channel)) {
			transport_fail_flooded(transport);
		} else {
			transport_fail_lost(transport, transport->broken
							       ? transport->broken
							       : transport->channel.error);
		}
		break;
	}
	note_message(transport);
}

static void turn_open(struct transport *transport, int events)
{
	const struct channel *channel = &transport->channel;
	int for_writing = channel->write_wants_read ? UV_READABLE : UV_WRITABLE;
	int for_reading = UV_READABLE | (channel->read_wants_write ? UV_WRITABLE : 0);

	if (transport->out.n && (events & for_writing)) {
		transport_flush(transport, transport->out.n);
		if (transport->broken) {
			transport_plan_turn(transport);
		} else if (transport->is_congested && transport->out.n <= TRANSPORT_LOW_WATER) {
			transport->is_congested = false;
			if (!transport->has_ended) {
				transport->callbacks->drained(transport->userdata);
			}
		}
		transport_watch_message(transport);
		tell_message(transport);
	}
	if (may_read(transport) && (events & for_reading)) {
		read_in(transport);
	}
}

static void start_timer(struct transport *transport, int64_t timeout_ms)
{
	timeout_start(&transport->timer, transport_on_timer, timeout_ms);
}

static void become_open(struct transport *transport)
{
	timeout_stop(&transport->timer);
	transport->state = TRANSPORT_OPEN;
	transport->callbacks->connected(transport->userdata);
}

static void turn_tunnel(struct transport *transport)
{
	bool had_asked = tunnel_has_asked(transport->tunnel);
	struct failure failure;

	switch (transport_tunnel(transport, &failure)) {
	case TUNNEL_MORE:
		if (!had_asked && tunnel_has_asked(transport->tunnel)) {
			start_timer(transport, transport->tunnel_timeout_ms);
		}
		break;
	case TUNNEL_OPEN:
		transport_end_tunnel(transport);
		become_open(transport);
		break;
	case TUNNEL_FAILED:
		transport_fail(transport, &failure);
		break;
	}
}

static void turn_connecting(struct transport *transport)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(transport->channel.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
		error = errno;
	}
	if (error) {
		transport_fail_connect(transport, error);
		return;
	}
	if (!transport->tunnel) {
		become_open(transport);
		return;
	}
	transport->state = TRANSPORT_TUNNEL;
	/* What it has to say before it is asked for the server takes no longer than to connect. */
	start_timer(transport, tunnel_has_asked(transport->tunnel) ? transport->tunnel_timeout_ms
								   : transport->timeout_ms);
	transport->callbacks->tunnelling(transport->userdata);
	if (transport->state == TRANSPORT_TUNNEL) {
		turn_tunnel(transport);
	}
}

static void handshake_done(struct transport *transport)
{
	timeout_stop(&transport->timer);
	transport_end_steps(transport);
	transport->state = TRANSPORT_OPEN;
	if (transport_is_held_up(transport)) {
		tell_held(transport);
		if (transport->state != TRANSPORT_OPEN) {
			return;
		}
	}
	transport->callbacks->secured(transport->userdata);
	if (transport->state != TRANSPORT_OPEN) {
		return;
	}
	channel_push(&transport->channel);
	if (channel_has_pending(&transport->channel)) {
		transport_plan_turn(transport);
	}
}

/* The handshake needs more bytes from the server. If some have arrived since this side last wrote,
 * the server has sent a part of its messages. */
static void note_begun(struct transport *transport)
{
	const struct channel *channel = &transport->channel;
	bool was_held_up = transport_is_held_up(transport);

	transport->has_begun = channel->n_received > channel->n_answered;
	if (transport_is_held_up(transport) != was_held_up) {
		tell_held(transport);
	}
}

static void note_slow(struct transport *transport, int64_t rest_ms)
{
	transport->is_slow = true;
	start_timer(transport, rest_ms);
	if (transport_is_held_up(transport)) {
		tell_held(transport);
	}
}

static void on_handshake_timer(struct transport *transport)
{
	int64_t rest_ms = (int64_t)transport->message_timeout_ms - TRANSPORT_FLIGHT_MS;
	struct failure failure;

	if (rest_ms > 0 && !transport->is_slow) {
		note_slow(transport, rest_ms);
		return;
	}
	failure_set(&failure, FAILURE_TLS_HANDSHAKE, "it took too long");
	transport_fail(transport, &failure);
}

static void turn_handshake(struct transport *transport)
{
	enum channel_result result;

	if (transport_is_in_helper(transport)) {
		return;
	}
	if (transport->n_clear) {
		size_t n_out = transport->out.n;

		assert(transport->n_clear <= n_out);
		transport_flush(transport, transport->n_clear);
		if (transport->broken) {
			transport_fail_lost(transport, transport->broken);
			return;
		}
		transport->n_clear -= n_out - transport->out.n;
		if (transport->n_clear) {
			return;
		}
	}
	if (!transport_take_step(transport, &result)) {
		return;
	}
	switch (result) {
	case CHANNEL_OK:
		handshake_done(transport);
		break;
	case CHANNEL_AGAIN:
		if (transport->broken) {
			transport_fail_lost(transport, transport->broken);
		} else {
			note_begun(transport);
		}
		break;
	default:
		transport_fail_handshake(transport);
		break;
	}
}

static void take_turn(struct transport *transport, int events)
{
	transport->is_in_turn = true;
	switch (transport->state) {
	case TRANSPORT_CONNECTING:
		turn_connecting(transport);
		break;
	case TRANSPORT_TUNNEL:
		turn_tunnel(transport);
		break;
	case TRANSPORT_OPEN:
		turn_open(transport, events);
		break;
	case TRANSPORT_HANDSHAKE:
		turn_handshake(transport);
		break;
	case TRANSPORT_FINISHING:
		transport_turn_finishing(transport);
		break;
	case TRANSPORT_FAILED:
	case TRANSPORT_CLOSED:
		break;
	}
	transport->is_in_turn = false;
	transport_update_poll(transport);
}

void transport_on_turn(struct turn_item *item)
{
	struct transport *transport = CONTAINER_OF(item, struct transport, item);
	int events = transport->events_due;

	transport->events_due = 0;
	transport->n_reports = 0;
	if (transport->state <= TRANSPORT_HANDSHAKE) {
		take_turn(transport, events);
	}
}

static bool is_waiting(const struct transport *transport)
{
	return turn_waits(&transport->item) || transport_is_in_helper(transport);
}

/* Returns false if nobody else is to be considered: the caller goes on at once. */
static bool wait_for_turn(struct transport *transport, int events)
{
	if (transport->state > TRANSPORT_HANDSHAKE || !transport->turn) {
		return false;
	}
	transport->events_due |= events;
	if (transport_is_in_helper(transport)) {
		return true;
	}
	turn_begin(transport->turn);
	if (transport->state == TRANSPORT_OPEN) {
		turn_add(transport->turn, &transport->item);
	} else {
		/* Of a handshake, one step can take a millisecond. A client may open as many
		 * sessions at the same time as it is allowed to have. */
		turn_add_last(transport->turn, &transport->item);
	}
	return true;
}

static void note_report(struct transport *transport)
{
	if (is_waiting(transport) && ++transport->n_reports == TRANSPORT_REPORTS_MAX) {
		transport->events = 0;
		(void)uv_poll_stop(&transport->poll);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct transport *transport = poll->data;

	if (status == 0 && wait_for_turn(transport, events)) {
		note_report(transport);
		return;
	}
	if (status < 0) {
		transport_poll_failed(transport);
		events = UV_READABLE | UV_WRITABLE;
	}
	take_turn(transport, events);
}

/* The kernel does not watch the socket, so no event will come. */
static void on_unwatched(struct timeout *timer)
{
	struct transport *transport = CONTAINER_OF(timer, struct transport, timer);

	if (transport_is_in_helper(transport)) {
		/* The turn after it tries again. */
		return;
	}
	if (transport->state == TRANSPORT_CONNECTING) {
		transport_fail_connect(transport, transport->connect_error);
	} else if (transport->state == TRANSPORT_FINISHING) {
		transport_free(transport);
	} else if (transport->state != TRANSPORT_FAILED && transport->state != TRANSPORT_CLOSED) {
		transport_fail_lost(transport, transport->broken);
	}
}

void transport_on_timer(struct timeout *timer)
{
	struct transport *transport = CONTAINER_OF(timer, struct transport, timer);
	struct failure failure;

	if (transport->state != TRANSPORT_OPEN && is_waiting(transport)) {
		/* What it waited for has come. */
		start_timer(transport, WAITING_MS);
		return;
	}
	transport->is_in_timer = true;
	if (transport->state == TRANSPORT_OPEN && wait_for_turn(transport, UV_READABLE)) {
		transport->is_in_timer = false;
		return;
	}
	transport->is_in_turn = true;
	switch (transport->state) {
	case TRANSPORT_OPEN:
		if (may_read(transport)) {
			read_in(transport);
		}
		break;
	case TRANSPORT_CONNECTING:
		transport_fail_connect(
			transport, transport->connect_error ? transport->connect_error : ETIMEDOUT);
		break;
	case TRANSPORT_TUNNEL:
		transport_tunnel_timeout(transport, &failure);
		transport_fail(transport, &failure);
		break;
	case TRANSPORT_HANDSHAKE:
		on_handshake_timer(transport);
		break;
	case TRANSPORT_FINISHING:
		transport_free(transport);
		break;
	case TRANSPORT_FAILED:
	case TRANSPORT_CLOSED:
		break;
	}
	transport->is_in_turn = false;
	transport->is_in_timer = false;
	transport_update_poll(transport);
}
