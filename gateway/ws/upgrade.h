/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Checks and answers WebSocket handshakes (RFC 6455, 4.2). Of what a client has written, only the
 * hash of its key is in the answer.
 *
 * Views are borrowed for the call; the data of an absent header is NULL. Headers that come in
 * several lines are to be joined with commas (RFC 9110, 5.3), the version and the key, too, which
 * are then refused.
 */
#include "common/buffer.h"
#include "common/sv.h"

struct upgrade {
	struct sv connection, upgrade, version, key, protocol, extensions;
	bool origin_is_allowed;
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

/* Whether one of the @extensions that the client offers is permessage-deflate with parameters that
 * the gateway takes (RFC 7692, 7.1): no context is kept from one message to the next on either
 * side, and the gateway's window has its full size, because one compressor serves all
 * connections. */
bool upgrade_offers_deflate(struct sv extensions);

/* Appends the answer to an accepted handshake with @key: status 101. @may_code: messages may be
 * compressed. @date: the Date header (http/date.h). Returns 0 or -ENOMEM. */
_must_check_ int upgrade_write(struct sv key, bool may_code, struct sv date, struct buffer *buffer);
