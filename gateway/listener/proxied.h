/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Accepted connections whose peer is a proxy that says, by a PROXY header (proxy-in.h), for whom it
 * connects. Waits for the header, takes it off the wire, and gives the wire the client as its peer:
 * everything that follows reads, counts and logs that address. Used for listeners with
 * proxy_protocol; the caller has checked that the peer is one of their proxies.
 */
#include "gateway/listener/proxy-in.h"
#include "gateway/listener/waiting.h"

struct proxied_options {
	struct wire_hub *hub; /* borrowed; where wires are while they wait */
	/* The header of @wire has been taken. @wire belongs to the callee and to no hub. Its peer
	 * is the client if @header has one; @proxy is who it was before. */
	void (*done)(void *userdata, struct wire *wire, const struct address *proxy,
		     const struct proxy_in *header);
	/* @wire has sent no header, because of @reason (static). It is closed after this call. */
	void (*failed)(void *userdata, const struct wire *wire, const char *reason);
	void *userdata;
};

struct proxied {
	struct proxied_options options;
	struct waiting_room room;
};

/* @options is copied. */
void proxied_init(struct proxied *proxied, const struct proxied_options *options);

/* Takes @wire, which belongs to no hub, and waits for its header for @timeout_s. Returns 0 or a
 * negative errno; the wire is then as before. */
_must_check_ int proxied_adopt(struct proxied *proxied, struct wire *wire, unsigned timeout_s);

/* Call it after wire_hub_close(), which closes the wires that wait. */
void proxied_deinit(struct proxied *proxied);
