/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/wire/state.h"

/* The user. */

void wire_set_user(struct wire *wire, const struct wire_callbacks *callbacks, void *user)
{
	wire->callbacks = callbacks;
	wire->user = user;
}

const struct address *wire_peer(const struct wire *wire)
{
	return &wire->peer;
}

void wire_set_peer(struct wire *wire, const struct address *peer)
{
	assert(!wire->hub);
	wire->peer = *peer;
}

bool wire_is_secure(const struct wire *wire)
{
	return wire->is_secure;
}

void wire_set_silent(struct wire *wire)
{
	wire->is_silent = true;
}

bool wire_is_silent(const struct wire *wire)
{
	return wire->is_silent;
}

void wire_set_secure(struct wire *wire)
{
	wire->is_secure = true;
}

unsigned wire_idle(const struct wire *wire)
{
	return wire->idle_s;
}

void wire_set_idle(struct wire *wire, unsigned seconds)
{
	wire->idle_s = (uint16_t)seconds;
}

uint32_t wire_note(const struct wire *wire)
{
	return wire->note;
}

void wire_set_note(struct wire *wire, uint32_t note)
{
	wire->note = note;
}

bool wire_is_hung_up(const struct wire *wire)
{
	return wire->is_hung_up;
}

/* Closing. */

void wire_bury(struct wire *wire)
{
	struct wire_hub *hub = wire->hub;

	wire_deadline_forget(wire);
	wire_forget_ahead(wire);
	due_queue_remove(&hub->due, &wire->due);
	due_queue_remove(&hub->overdue, &wire->overdue);
	wire_skip_turn(wire);
	LIST_REMOVE(wire, in_hub);
	LIST_INSERT_HEAD(&hub->dead, wire, in_hub);
	wire->fd = -1;
	wire->user = NULL;
	buffer_deinit(&wire->out);
	wire->n_out_sent = 0;
	wire->tail = blob_unref(wire->tail);
	wire_release_charge(wire);
	wire->tls = wire_tls_free(wire->tls);
}

struct wire *wire_close(struct wire *wire)
{
	if (!wire) {
		return NULL;
	}
	struct wire_hub *hub = wire->hub;

	if (hub) {
		/* Where a duplicate of the descriptor is open, closing this one does not do it: the
		 * epoll would go on to report events of a wire that is freed. */
		epoll_ctl(hub->epoll_fd, EPOLL_CTL_DEL, wire->fd, NULL);
	}
	close(wire->fd);
	if (!hub) {
		buffer_deinit(&wire->ahead);
		wire_tls_free(wire->tls);
		free(wire);
		return NULL;
	}
	if (wire_tls_is_flooded(wire) && hub->options.flooded) {
		hub->options.flooded(hub->options.userdata, &wire->peer);
	}
	wire_bury(wire);
	if (!wire->is_silent) {
		hub->options.closed(hub->options.userdata, &wire->peer);
	}
	return NULL;
}

/* Sending. */

static struct sv tail_of(const struct wire *wire)
{
	return wire->tail ? sv_skip(blob_sv(wire->tail), wire->n_tail_sent) : SV_EMPTY;
}

/* What waits, without the tail. */
static struct sv unsent_of(const struct wire *wire)
{
	return sv_skip(buffer_sv(&wire->out), wire->n_out_sent);
}

size_t wire_waiting(const struct wire *wire)
{
	return unsent_of(wire).n + tail_of(wire).n;
}

struct sv wire_queue(const struct wire *wire)
{
	return buffer_sv(&wire->out);
}

size_t wire_held(const struct wire *wire)
{
	return wire->out.size;
}

size_t wire_committed(const struct wire *wire)
{
	return wire->n_out_sent + (wire->tls ? wire->tls->n_committed : 0);
}

void wire_withdraw(struct wire *wire, size_t n)
{
	assert(n >= wire_committed(wire));
	buffer_truncate(&wire->out, n);
	wire_want_write(wire, wire->wants_write && wire_waiting(wire));
}

static bool keeps_queue(const struct wire *wire)
{
	return wire->user && wire->callbacks->spent;
}

/* Nothing more is sent, and what waits is lost. What has arrived can still be read. */
static void stop_sending(struct wire *wire)
{
	if (!keeps_queue(wire)) {
		buffer_deinit(&wire->out);
		wire->n_out_sent = 0;
	}
	wire->tail = blob_unref(wire->tail);
	wire->is_hung_up = true;
	wire->is_broken = true;
	wire_wake(wire);
}

/* The connection is broken for sending. */
static void give_up(struct wire *wire)
{
	stop_sending(wire);
	wire_release_charge(wire);
}

static size_t transmit_tls(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	bool is_broken;
	size_t n = wire_tls_transmit(wire, parts, n_parts, &is_broken);

	if (is_broken) {
		give_up(wire);
	}
	return n;
}

/* Returns how many bytes the kernel, or OpenSSL, has taken. */
static size_t transmit(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	if (wire_ssl(wire)) {
		return transmit_tls(wire, parts, n_parts);
	}
	ssize_t n = wire_transmit(wire, parts, n_parts);

	if (n < 0 && errno != EAGAIN) {
		give_up(wire);
	}
	return n > 0 ? (size_t)n : 0;
}

static struct iovec part_of(struct sv view)
{
	return (struct iovec){(char *)view.data, view.n};
}

static void drop_sent(struct wire *wire, size_t n_sent)
{
	size_t n_unsent = unsent_of(wire).n;
	size_t n_out = n_sent < n_unsent ? n_sent : n_unsent;

	wire->n_out_sent += n_out;
	size_t n_spent = keeps_queue(wire)
			       ? wire->callbacks->spent(wire->user, buffer_sv(&wire->out),
							wire->n_out_sent)
			       : wire->n_out_sent;

	assert(n_spent == wire->n_out_sent || n_unsent > n_out);
	buffer_consume(&wire->out, n_spent);
	wire->n_out_sent -= n_spent;
	wire->n_tail_sent += n_sent - n_out;
	if (wire->tail && tail_of(wire).n == 0) {
		wire->tail = blob_unref(wire->tail);
	}
	if (wire_waiting(wire) == 0) {
		wire_charge_sent(wire);
	}
}

bool wire_flush(struct wire *wire)
{
	const struct iovec parts[] = {part_of(unsent_of(wire)), part_of(tail_of(wire))};

	if (wire->is_broken || wire_waiting(wire) == 0) {
		return false;
	}
	size_t n = transmit(wire, parts, ARRAY_LENGTH(parts));

	if (wire->is_broken) {
		return false;
	}
	drop_sent(wire, n);
	wire_want_write(wire, wire_waiting(wire) > 0);
	return n > 0;
}

static size_t length_of(const struct iovec *parts, size_t n_parts)
{
	size_t n = 0;

	for (size_t i = 0; i < n_parts; i++) {
		n += parts[i].iov_len;
	}
	return n;
}

static int reserve(struct buffer *out, size_t n)
{
	return buffer_reserve(out, n + WIRE_SPARE) == 0 ? 0 : buffer_reserve(out, n);
}

/* Queues @parts, of which up to @n_sent bytes are sent; a tail is copied ahead of them. Returns 0,
 * or -ENOMEM: nothing changed. */
static int queue(struct wire *wire, const struct iovec *parts, size_t n_parts, size_t n_sent)
{
	struct sv tail = tail_of(wire);
	size_t n = length_of(parts, n_parts);

	n_sent = n_sent < n ? n_sent : n;
	size_t n_dropped = keeps_queue(wire) ? 0 : n_sent;
	int r = reserve(&wire->out, tail.n + n - n_dropped);

	if (r < 0) {
		return r;
	}
	wire->n_out_sent += n_sent - n_dropped;
	(void)!buffer_append_sv(&wire->out, tail);
	wire->tail = blob_unref(wire->tail);
	for (size_t i = 0; i < n_parts; i++) {
		struct sv part =
			sv_skip((struct sv){parts[i].iov_base, parts[i].iov_len}, n_dropped);

		n_dropped -= parts[i].iov_len - part.n;
		(void)!buffer_append_sv(&wire->out, part);
	}
	return 0;
}

int wire_send(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	size_t n = 0;

	if (!wire->is_broken && wire_waiting(wire) == 0) {
		n = transmit(wire, parts, n_parts);
	}
	if ((wire->is_broken && !keeps_queue(wire)) || n == length_of(parts, n_parts)) {
		return 0;
	}
	wire_want_write(wire, true);
	return queue(wire, parts, n_parts, n);
}

/* The budget wants the memory back, so the client loses the answer that it has not read. The kernel
 * ends the connection for sending, too: another process may get the connection with the next
 * request, and the client would take that answer for the rest of the lost one. This
 * function must not free the charge: the budget is still using it. */
static void on_evict(struct budget_charge *charge)
{
	struct wire *wire = CONTAINER_OF(charge, struct wire_unread, charge)->wire;
	const struct wire_hub_options *options = &wire->hub->options;

	stop_sending(wire);
	shutdown(wire->fd, SHUT_WR);
	if (options->dropped) {
		options->dropped(options->userdata, &wire->unread->payer, charge->is_for_all);
	}
}

/* The bytes of memory that the queue takes. */
static size_t memory_of_queue(const struct wire *wire)
{
	return wire_waiting(wire) ? wire->out.size + (wire->tail ? wire->tail->n : 0) : 0;
}

int wire_send_blob(struct wire *wire, const struct iovec *parts, size_t n_parts, struct blob *body)
{
	struct iovec all[WIRE_PARTS_MAX + 1];
	size_t n_head = length_of(parts, n_parts), n = 0;

	assert(n_parts <= WIRE_PARTS_MAX);
	for (size_t i = 0; i < n_parts; i++) {
		all[i] = parts[i];
	}
	all[n_parts] = part_of(body ? blob_sv(body) : SV_EMPTY);
	if (!wire->is_broken && wire_waiting(wire) == 0) {
		n = transmit(wire, all, n_parts + 1);
	}
	if (wire->is_broken || n == n_head + all[n_parts].iov_len) {
		wire_charge_sent(wire);
		blob_unref(body);
		return 0;
	}
	int r = queue(wire, parts, n_parts, n);

	if (r < 0) {
		blob_unref(body);
		return r;
	}
	wire->tail = body;
	wire->n_tail_sent = n > n_head ? n - n_head : 0;
	wire_want_write(wire, true);
	return wire_charge(wire, memory_of_queue(wire), wire->unread ? wire->unread->n_kept : 0,
			   on_evict);
}

int wire_set_kept(struct wire *wire, size_t n)
{
	return wire->is_broken ? 0 : wire_charge(wire, memory_of_queue(wire), n, on_evict);
}

/* Sends at once. There must be room for what the kernel does not accept: nothing could follow a
 * part of @parts. */
static int send_large(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	int r = reserve(&wire->out, length_of(parts, n_parts));

	if (r == 0) {
		r = wire_send(wire, parts, n_parts);
	}
	if (wire->out.n == 0) {
		buffer_deinit(&wire->out);
	}
	return r;
}

int wire_send_later(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	if (wire->is_broken && !keeps_queue(wire)) {
		return 0;
	}
	if (wire_waiting(wire) == 0 && length_of(parts, n_parts) > WIRE_LATER_MAX) {
		return send_large(wire, parts, n_parts);
	}
	int r = queue(wire, parts, n_parts, 0);

	if (r == 0 && wire->out.n && !wire->wants_write) {
		due_queue_add(&wire->hub->due, &wire->due);
	}
	return r;
}

/* Lingering. */

/* Returns false when the wire is closed. */
static bool linger_on(struct wire *wire)
{
	ssize_t n = 1;

	if (wire->is_broken) {
		wire_close(wire);
		return false;
	}
	if (wire_waiting(wire) == 0 && !wire->has_sent_fin &&
	    (!wire_ssl(wire) || wire_tls_end(wire))) {
		wire->has_sent_fin = true;
		shutdown(wire->fd, SHUT_WR);
	}
	while (n > 0 && wire->n_discarded < WIRE_LINGER_MAX) {
		n = wire_discard(wire, WIRE_LINGER_MAX);
		wire->n_discarded += n > 0 ? (uint32_t)n : 0;
	}
	if (n >= 0 || errno != EAGAIN) {
		/* A client that has closed its side may still read. */
		if (n == 0 && wire_waiting(wire)) {
			return true;
		}
		wire_close(wire);
		return false;
	}
	return true;
}

static void on_lingering(void *user)
{
	linger_on(user);
}

/* As long as the client takes bytes, the deadline is renewed, but not beyond lingers_until. */
static void set_linger_deadline(struct wire *wire)
{
	uint32_t now = wire->hub->tick;
	uint32_t left = wire->lingers_until > now ? wire->lingers_until - now : 1;
	uint32_t seconds = wire_waiting(wire) ? WIRE_DRAIN_S : WIRE_LINGER_S;

	wire_set_deadline(wire, seconds < left ? seconds : left);
}

static void on_lingering_written(void *user)
{
	struct wire *wire = user;

	if (wire->hub->tick >= wire->lingers_until) {
		wire_close(wire);
		return;
	}
	set_linger_deadline(wire);
	linger_on(wire);
}

static void on_lingered(void *user)
{
	wire_close(user);
}

static const struct wire_callbacks lingering = {
	.ready = on_lingering,
	.written = on_lingering_written,
	.late = on_lingered,
};

bool wire_hub_has_last_bytes(const struct wire_hub *hub)
{
	const struct wire *wire;

	LIST_FOREACH(wire, &hub->wires, in_hub) {
		if (wire->callbacks == &lingering && wire_waiting(wire)) {
			return true;
		}
	}
	return false;
}

void wire_linger(struct wire *wire)
{
	wire_set_user(wire, &lingering, wire);
	drop_sent(wire, 0);
	wire_flush(wire);
	wire->lingers_until = wire->hub->tick + WIRE_DRAIN_MAX_S;
	set_linger_deadline(wire);
	linger_on(wire);
}
