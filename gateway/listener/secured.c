/* SPDX-License-Identifier: MIT */
#include "gateway/listener/secured.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "gateway/http/date.h"

enum {
	/* RFC 8446, 5.1: the type of a record that belongs to a handshake. */
	RECORD_HANDSHAKE = 22,
};

struct shaking {
	LIST_ENTRY(shaking) in_secured;
	struct secured *secured;
	struct wire *wire;
	bool has_begun;
};

struct secured {
	struct secured_options options;
	LIST_HEAD(, shaking) shaking;
};

int secured_new(const struct secured_options *options, struct secured **ret_secured)
{
	struct secured *secured = calloc(1, sizeof(*secured));

	if (!secured) {
		return -ENOMEM;
	}
	secured->options = *options;
	*ret_secured = secured;
	return 0;
}

static struct wire *forget(struct shaking *shaking)
{
	struct wire *wire = shaking->wire;

	LIST_REMOVE(shaking, in_secured);
	free(shaking);
	return wire;
}

static void fail(struct shaking *shaking, const char *reason)
{
	const struct secured_options *options = &shaking->secured->options;
	struct wire *wire = forget(shaking);

	options->failed(options->userdata, wire, reason);
	if (wire_ssl(wire)) {
		/* The alert that says why is still on its way: a reset would overtake it. */
		wire_linger(wire);
	} else {
		wire_close(wire);
	}
}

static void answer_clear_text(struct shaking *shaking)
{
	static char status[] = "HTTP/1.1 400 Bad Request\r\n";
	static char rest[] = "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 50\r\n"
			     "Connection: close\r\n"
			     "\r\n"
			     "This port speaks HTTPS: write https:// or wss://.\n";
	const struct secured_options *options = &shaking->secured->options;
	struct sv date = http_date_line(options->date, time(NULL));
	const struct iovec parts[] = {
		{status, sizeof(status) - 1},
		{(char *)date.data, date.n},
		{rest, sizeof(rest) - 1},
	};
	struct wire *wire = forget(shaking);

	options->failed(options->userdata, wire, "HTTP without TLS");
	if (wire_send(wire, parts, ARRAY_LENGTH(parts)) < 0) {
		wire_close(wire);
	} else {
		wire_linger(wire);
	}
}

/* Looks at the first byte. Returns whether it begins a handshake; otherwise, whether one may still
 * come or not has been dealt with. */
static bool has_begun(struct shaking *shaking)
{
	struct sv bytes;
	enum wire_result result;

	if (shaking->has_begun) {
		return true;
	}
	result = wire_peek(shaking->wire, 1, &bytes);
	if (result == WIRE_AGAIN) {
		return false;
	}
	if (result != WIRE_OK) {
		fail(shaking, "the client closed the connection before the handshake");
		return false;
	}
	shaking->has_begun = bytes.data[0] == RECORD_HANDSHAKE;
	if (shaking->has_begun) {
		return true;
	}
	/* The method of a request. */
	if (bytes.data[0] >= 'A' && bytes.data[0] <= 'Z') {
		answer_clear_text(shaking);
	} else {
		fail(shaking, "neither TLS nor HTTP");
	}
	return false;
}

static void on_ready(void *user)
{
	struct shaking *shaking = user;
	const struct secured_options *options = &shaking->secured->options;
	const char *reason;
	struct wire *wire;

	if (!has_begun(shaking)) {
		return;
	}
	switch (wire_handshake(shaking->wire, &reason)) {
	case WIRE_OK:
		wire = forget(shaking);
		wire_leave(wire);
		options->done(options->userdata, wire);
		break;
	case WIRE_AGAIN:
		break;
	default:
		fail(shaking, reason);
		break;
	}
}

static void on_late(void *user)
{
	fail(user, "no complete handshake in time");
}

static const struct wire_callbacks callbacks = {.ready = on_ready, .late = on_late};

int secured_adopt(struct secured *secured, struct wire *wire, unsigned timeout_s)
{
	struct shaking *shaking = malloc(sizeof(*shaking));

	if (!shaking) {
		return -ENOMEM;
	}
	*shaking = (struct shaking){.secured = secured, .wire = wire};
	wire_set_user(wire, &callbacks, shaking);
	int r = wire_join(wire, secured->options.hub);

	if (r < 0) {
		free(shaking);
		return r;
	}
	LIST_INSERT_HEAD(&secured->shaking, shaking, in_secured);
	wire_set_deadline(wire, timeout_s);
	return 0;
}

bool secured_is_busy(const struct secured *secured)
{
	return !LIST_EMPTY(&secured->shaking);
}

struct secured *secured_free(struct secured *secured)
{
	struct shaking *shaking;

	if (!secured) {
		return NULL;
	}
	while ((shaking = LIST_FIRST(&secured->shaking))) {
		forget(shaking);
	}
	free(secured);
	return NULL;
}
