/* SPDX-License-Identifier: MIT */
#include "gateway/listener/proxied.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

struct waiting {
	LIST_ENTRY(waiting) in_proxied;
	struct proxied *proxied;
	struct wire *wire;
};

struct proxied {
	struct proxied_options options;
	LIST_HEAD(, waiting) waiting;
};

int proxied_new(const struct proxied_options *options, struct proxied **ret_proxied)
{
	struct proxied *proxied = calloc(1, sizeof(*proxied));

	if (!proxied) {
		return -ENOMEM;
	}
	proxied->options = *options;
	*ret_proxied = proxied;
	return 0;
}

static void forget(struct waiting *waiting)
{
	LIST_REMOVE(waiting, in_proxied);
	free(waiting);
}

static void fail(struct waiting *waiting, const char *reason)
{
	const struct proxied_options *options = &waiting->proxied->options;
	struct wire *wire = waiting->wire;

	forget(waiting);
	options->failed(options->userdata, wire, reason);
	wire_close(wire);
}

static void finish(struct waiting *waiting, const struct proxy_in *header)
{
	const struct proxied_options *options = &waiting->proxied->options;
	struct wire *wire = waiting->wire;
	const struct address proxy = *wire_peer(wire);

	forget(waiting);
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

int proxied_adopt(struct proxied *proxied, struct wire *wire, unsigned timeout_s)
{
	struct waiting *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		return -ENOMEM;
	}
	*waiting = (struct waiting){.proxied = proxied, .wire = wire};
	wire_set_user(wire, &callbacks, waiting);
	int r = wire_join(wire, proxied->options.hub);

	if (r < 0) {
		free(waiting);
		return r;
	}
	LIST_INSERT_HEAD(&proxied->waiting, waiting, in_proxied);
	wire_set_deadline(wire, timeout_s);
	return 0;
}

struct proxied *proxied_free(struct proxied *proxied)
{
	struct waiting *waiting;

	if (!proxied) {
		return NULL;
	}
	while ((waiting = LIST_FIRST(&proxied->waiting))) {
		forget(waiting);
	}
	free(proxied);
	return NULL;
}
