/* SPDX-License-Identifier: MIT */
#include "gateway/listener/proxied.h"

static struct proxied *owner_of(const struct waiting *waiting)
{
	return CONTAINER_OF(waiting->room, struct proxied, room);
}

static void fail(struct waiting *waiting, const char *reason)
{
	const struct proxied_options *options = &owner_of(waiting)->options;
	struct wire *wire = waiting_leave(waiting);

	options->failed(options->userdata, wire, reason);
	wire_close(wire);
}

static void finish(struct waiting *waiting, const struct proxy_in *header)
{
	const struct proxied_options *options = &owner_of(waiting)->options;
	struct wire *wire = waiting_leave(waiting);
	const struct address proxy = *wire_peer(wire);

	wire_take(wire, header->n);
	wire_leave(wire);
	if (header->has_client) {
		wire_set_peer(wire, &header->client);
	}
	options->done(options->userdata, wire, &proxy, header);
}

static void on_ready(void *user)
{
	struct waiting *waiting = user;
	struct proxy_in header;
	struct sv bytes;

	switch (wire_peek(waiting->wire, PROXY_IN_MAX, &bytes)) {
	case WIRE_OK:
		break;
	case WIRE_AGAIN:
		return;
	default:
		fail(waiting, "the connection ended before a PROXY header");
		return;
	}
	switch (proxy_in_parse(bytes, &header)) {
	case PROXY_IN_OK:
		finish(waiting, &header);
		break;
	case PROXY_IN_MORE:
		/* No further event will come for a peer that has closed its side. */
		if (wire_is_hung_up(waiting->wire)) {
			fail(waiting, "the connection ended within a PROXY header");
		}
		break;
	case PROXY_IN_E_BAD:
		fail(waiting, "no PROXY header");
		break;
	}
}

static void on_late(void *user)
{
	fail(user, "no PROXY header in time");
}

static const struct wire_callbacks callbacks = {.ready = on_ready, .late = on_late};

void proxied_init(struct proxied *proxied, const struct proxied_options *options)
{
	*proxied = (struct proxied){
		.options = *options,
		.room = {.hub = options->hub, .callbacks = &callbacks},
	};
}

int proxied_adopt(struct proxied *proxied, struct wire *wire, unsigned timeout_s)
{
	return waiting_enter(&proxied->room, wire, 0, timeout_s);
}

void proxied_deinit(struct proxied *proxied)
{
	waiting_room_deinit(&proxied->room);
}
