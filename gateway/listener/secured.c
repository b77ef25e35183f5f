/* SPDX-License-Identifier: MIT */
#include "gateway/listener/secured.h"

#include "gateway/http/date.h"

/* What a wire that waits has sent: nothing, or the first byte of a handshake. */
enum { NOTHING, BEGUN };

enum {
	/* RFC 8446, 5.1: the type of a record that belongs to a handshake. */
	RECORD_HANDSHAKE = 22,
};

static struct secured *owner_of(const struct waiting *waiting)
{
	return CONTAINER_OF(waiting->room, struct secured, room);
}

static void fail(struct waiting *waiting, const char *reason)
{
	const struct secured_options *options = &owner_of(waiting)->options;
	struct wire *wire = waiting_leave(waiting);

	options->failed(options->userdata, wire, reason);
	if (wire_ssl(wire)) {
		/* The alert that says why is still on its way: a reset would overtake it. */
		wire_linger(wire);
	} else {
		wire_close(wire);
	}
}

static void answer_clear_text(struct waiting *waiting)
{
	static char status[] = "HTTP/1.1 400 Bad Request\r\n";
	static char rest[] = "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 50\r\n"
			     "Connection: close\r\n"
			     "\r\n"
			     "This port speaks HTTPS: write https:// or wss://.\n";
	const struct secured_options *options = &owner_of(waiting)->options;
	struct sv date = http_date_line(options->date, time(NULL));
	const struct iovec parts[] = {
		{status, sizeof(status) - 1},
		{(char *)date.data, date.n},
		{rest, sizeof(rest) - 1},
	};
	struct wire *wire = waiting_leave(waiting);

	options->failed(options->userdata, wire, "HTTP without TLS");
	if (wire_send(wire, parts, ARRAY_LENGTH(parts)) < 0) {
		wire_close(wire);
	} else {
		wire_linger(wire);
	}
}

/* Looks at the first byte. Returns whether it begins a handshake; otherwise, whether one may still
 * come or not has been dealt with. */
static bool has_begun(struct waiting *waiting)
{
	struct sv bytes;
	enum wire_result result;

	if (waiting->state == BEGUN) {
		return true;
	}
	result = wire_peek(waiting->wire, 1, &bytes);
	if (result == WIRE_AGAIN) {
		return false;
	}
	if (result != WIRE_OK) {
		fail(waiting, "the client closed the connection before the handshake");
		return false;
	}
	if (bytes.data[0] == RECORD_HANDSHAKE) {
		waiting->state = BEGUN;
		return true;
	}
	/* The method of a request. */
	if (bytes.data[0] >= 'A' && bytes.data[0] <= 'Z') {
		answer_clear_text(waiting);
	} else {
		fail(waiting, "neither TLS nor HTTP");
	}
	return false;
}

static void on_ready(void *user)
{
	struct waiting *waiting = user;
	const struct secured_options *options = &owner_of(waiting)->options;
	const char *reason;
	struct wire *wire;

	if (!has_begun(waiting)) {
		return;
	}
	switch (wire_handshake(waiting->wire, &reason)) {
	case WIRE_OK:
		wire = waiting_leave(waiting);
		wire_leave(wire);
		options->done(options->userdata, wire);
		break;
	case WIRE_AGAIN:
		break;
	default:
		fail(waiting, reason);
		break;
	}
}

static void on_late(void *user)
{
	fail(user, "no complete handshake in time");
}

static const struct wire_callbacks callbacks = {.ready = on_ready, .late = on_late};

void secured_init(struct secured *secured, const struct secured_options *options)
{
	*secured = (struct secured){
		.options = *options,
		.room = {.hub = options->hub, .callbacks = &callbacks},
	};
}

int secured_adopt(struct secured *secured, struct wire *wire, unsigned timeout_s)
{
	return waiting_enter(&secured->room, wire, NOTHING, timeout_s);
}

bool secured_is_busy(const struct secured *secured)
{
	return !LIST_EMPTY(&secured->room.all);
}

void secured_deinit(struct secured *secured)
{
	waiting_room_deinit(&secured->room);
}
