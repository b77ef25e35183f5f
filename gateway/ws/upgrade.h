/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Checks WebSocket handshakes (RFC 6455, 4.2). The same headers decide whether the request came
 * first on its connection or through the HTTP server. For an accepted handshake a new request is
 * written for libwebsockets, in which only the key is the client's.
 *
 * Views are borrowed for the call; the data of an absent header is NULL.
 */
#include "common/buffer.h"
#include "common/sv.h"

struct upgrade {
	struct sv connection, upgrade, version, key, protocol;
	bool origin_allowed;
};

enum upgrade_result {
	UPGRADE_OK,
	UPGRADE_E_NO_WEBSOCKET, /* asks for another protocol, or is incomplete: 400 */
	UPGRADE_E_VERSION,      /* not version 13: 426 */
	UPGRADE_E_PROTOCOL,     /* does not offer the subprotocol "xmpp" (RFC 7395, 3.1): 400 */
	UPGRADE_E_ORIGIN,       /* sent by a page that may not use the gateway: 403 */
};

enum {
	UPGRADE_KEY_LENGTH = 24,
};

enum upgrade_result upgrade_check(const struct upgrade *upgrade);

/* The text and the status of the response that refuses a handshake. Not for UPGRADE_E_ORIGIN, which
 * site_refuse_origin() answers. */
const char *upgrade_sentence(enum upgrade_result result);
unsigned upgrade_status(enum upgrade_result result);

/* Appends a request for @path with @key, equivalent to the accepted one. Returns 0 or -ENOMEM. */
_must_check_ int upgrade_write(const char *path, struct sv key, struct buffer *buffer);
