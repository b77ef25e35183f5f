/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/wire/state.h"

enum {
	DISCARD_SIZE = 4096,
};

/* The hub's buffer is going to be used again. Nearly always all that was fetched into it has been
 * taken by then. The rest moves into a buffer of its wire. */
static void settle(struct wire_hub *hub)
{
	struct wire *wire = hub->fetcher;

	hub->fetcher = NULL;
	if (wire && buffer_append_sv(&wire->ahead, hub->fetched) < 0) {
		/* Out of memory: bytes are missing, and those that follow must not be read in their
		 * place. */
		wire->lacks_bytes = true;
		wire->is_hung_up = true;
		wire_wake(wire);
	}
}

void wire_settle(struct wire *wire)
{
	if (wire->hub->fetcher == wire) {
		settle(wire->hub);
	}
}

void wire_forget_ahead(struct wire *wire)
{
	if (wire->hub->fetcher == wire) {
		wire->hub->fetcher = NULL;
	}
	buffer_deinit(&wire->ahead);
}

bool wire_is_whole(const struct wire *wire)
{
	return wire->ahead.n == 0 && !wire->lacks_bytes &&
	       (!wire->hub || wire->hub->fetcher != wire);
}

static enum wire_result result_of(struct wire *wire, ssize_t n)
{
	if (n > 0) {
		return WIRE_OK;
	}
	if (n < 0 && errno == EAGAIN && !wire->is_broken) {
		return WIRE_AGAIN;
	}
	wire->is_hung_up = true;
	return n == 0 ? WIRE_ENDED : WIRE_BROKEN;
}

/* Reads from the connection. */
static enum wire_result receive(struct wire *wire, char *data, size_t size, size_t *ret_n)
{
	if (wire->lacks_bytes) {
		*ret_n = 0;
		return WIRE_BROKEN;
	}
	if (wire_ssl(wire)) {
		return wire_tls_receive(wire, data, size, ret_n);
	}
	ssize_t n = wire_receive(wire, data, size, 0);

	*ret_n = n > 0 ? (size_t)n : 0;
	return result_of(wire, n);
}

enum wire_result wire_read(struct wire *wire, char *data, size_t size, size_t *ret_n_read)
{
	enum wire_result result = WIRE_OK;
	size_t n = 0;

	settle(wire->hub);
	struct sv before = sv_first(buffer_sv(&wire->ahead), size);

	if (before.n) {
		memcpy(data, before.data, before.n);
		buffer_consume(&wire->ahead, before.n);
	}
	if (before.n < size) {
		result = receive(wire, data + before.n, size - before.n, &n);
	}
	*ret_n_read = before.n + n;
	return *ret_n_read ? WIRE_OK : result;
}

enum wire_result wire_fetch(struct wire *wire, size_t n_max, struct sv *ret_bytes)
{
	struct wire_hub *hub = wire->hub;
	enum wire_result result = WIRE_OK;
	size_t n = 0;

	settle(hub);
	n_max = n_max < WIRE_PEEK_MAX ? n_max : WIRE_PEEK_MAX;
	if (wire->ahead.n > n_max) {
		/* The caller may go on using what it has taken, so it gets a copy. */
		memcpy(hub->bytes, buffer_sv(&wire->ahead).data, n_max);
		n = n_max;
	} else {
		result = wire_read(wire, hub->bytes, n_max, &n);
		hub->fetcher = n ? wire : NULL;
		hub->fetched = (struct sv){hub->bytes, n};
	}
	*ret_bytes = (struct sv){hub->bytes, n};
	return result;
}

enum wire_result wire_peek(struct wire *wire, size_t n_max, struct sv *ret_bytes)
{
	char *bytes = wire->hub->bytes;

	settle(wire->hub);
	if (wire_ssl(wire) || wire->ahead.n || wire->lacks_bytes) {
		return wire_fetch(wire, n_max, ret_bytes);
	}
	n_max = n_max < WIRE_PEEK_MAX ? n_max : WIRE_PEEK_MAX;
	ssize_t n = wire_receive(wire, bytes, n_max, MSG_PEEK);

	*ret_bytes = (struct sv){bytes, n > 0 ? (size_t)n : 0};
	return result_of(wire, n);
}

ssize_t wire_discard(struct wire *wire, size_t n)
{
	char room[DISCARD_SIZE];
	ssize_t r = wire->copies ? -1 : wire_receive(wire, NULL, n, MSG_TRUNC);

	if (wire->copies || (r < 0 && errno == EFAULT)) {
		/* Only TCP discards in the kernel. */
		wire->copies = true;
		r = wire_receive(wire, room, n < sizeof(room) ? n : sizeof(room), 0);
	}
	return r;
}

void wire_take(struct wire *wire, size_t n)
{
	struct wire_hub *hub = wire->hub;

	if (hub->fetcher == wire) {
		hub->fetched = sv_skip(hub->fetched, n);
		hub->fetcher = hub->fetched.n ? wire : NULL;
		return;
	}
	if (wire->ahead.n) {
		buffer_consume(&wire->ahead, n);
		return;
	}
	while (n > 0) {
		ssize_t r = wire_discard(wire, n);

		if (r <= 0) {
			wire->is_hung_up = true;
			return;
		}
		n -= (size_t)r;
	}
}
