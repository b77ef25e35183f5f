/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The TLS handshake of connections to a listener with TLS, between accepting them and reading their
 * first request. No TLS object is made for a connection before its first byte, which must begin a
 * handshake. A client that speaks HTTP there without TLS gets an answer that says so.
 */
#include "gateway/listener/waiting.h"

struct http_date;
struct secured_options {
	struct wire_hub *hub;   /* borrowed; where wires are while they wait */
	struct http_date *date; /* borrowed; for the answer to HTTP without TLS */
	/* The handshake of @wire is complete. @wire belongs to the callee and to no hub. */
	void (*done)(void *userdata, struct wire *wire);
	/* There is no TLS with @wire, because of @reason (static). It is closed after this call. */
	void (*failed)(void *userdata, const struct wire *wire, const char *reason);
	void *userdata;
};

struct secured {
	struct secured_options options;
	struct waiting_room room;
};

/* @options is copied. */
void secured_init(struct secured *secured, const struct secured_options *options);

/* Takes @wire, which expects TLS and belongs to no hub, and gives it @timeout_s for the handshake.
 * Returns 0 or a negative errno; the wire is then as before. */
_must_check_ int secured_adopt(struct secured *secured, struct wire *wire, unsigned timeout_s);

/* Whether a handshake is under way. */
bool secured_is_busy(const struct secured *secured);

/* Call it after wire_hub_close(), which closes the wires that wait. */
void secured_deinit(struct secured *secured);
