/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The WebSocket handshake (RFC 6455, 4.2) as far as the gateway judges it: by whichever way the request came, these headers
 * decide. What is accepted is written anew, with nothing of the client's but the key, for libwebsockets.
 *
 * Views are borrowed for the call; a header that is absent has data NULL.
 */
#include "common/buffer.h"
#include "common/sv.h"

struct upgrade {
	struct sv connection, upgrade, version, key, protocol;
	bool origin_allowed;
};

enum upgrade_result {
	UPGRADE_OK,
	UPGRADE_E_NO_WEBSOCKET, /* asks for another protocol, or not in full: 400 */
	UPGRADE_E_VERSION,      /* not version 13: 426 */
	UPGRADE_E_PROTOCOL,     /* does not offer the subprotocol "xmpp" (RFC 7395, 3.1): 400 */
	UPGRADE_E_ORIGIN,       /* from a page that may not use the gateway: site_refuse_origin() */
};

enum {
	UPGRADE_KEY_LENGTH = 24,
};

enum upgrade_result upgrade_check(const struct upgrade *upgrade);

/* In words, for the answer; of UPGRADE_E_ORIGIN http/site.h has them. */
const char *upgrade_sentence(enum upgrade_result result);
unsigned upgrade_status(enum upgrade_result result);

/* Appends a request for @path with @key that means what the accepted one meant. Returns 0 or -ENOMEM. */
_must_check_ int upgrade_write(const char *path, struct sv key, struct buffer *buffer);
