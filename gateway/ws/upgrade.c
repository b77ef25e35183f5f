/* SPDX-License-Identifier: MIT */
#include "gateway/ws/upgrade.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

enum {
	/* 20 bytes in base64, and a NUL. */
	UPGRADE_ACCEPT_SIZE = 29,
};

/* Whether @key is 16 bytes in base64. Nothing else may be copied into the request of
 * upgrade_write(). */
static bool is_key(struct sv key)
{
	if (key.n != UPGRADE_KEY_LENGTH || !sv_eq(sv_skip(key, UPGRADE_KEY_LENGTH - 2), SV("=="))) {
		return false;
	}
	for (size_t i = 0; i < UPGRADE_KEY_LENGTH - 2; i++) {
		char c = key.data[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '+' || c == '/')) {
			return false;
		}
	}
	return true;
}

/* Unlike other tokens, the names of subprotocols are case-sensitive. */
static bool offers_xmpp(struct sv protocols)
{
	struct sv item;

	while (sv_split(&protocols, ',', &item)) {
		if (sv_eq(item, SV("xmpp"))) {
			return true;
		}
	}
	return false;
}

enum upgrade_result upgrade_check(const struct upgrade *upgrade)
{
	if (!sv_has_token(upgrade->upgrade, SV("websocket")) ||
	    !sv_has_token(upgrade->connection, SV("upgrade")) || !is_key(upgrade->key)) {
		return UPGRADE_E_NO_WEBSOCKET;
	}
	if (!sv_eq(upgrade->version, SV("13"))) {
		return UPGRADE_E_VERSION;
	}
	if (!upgrade->origin_allowed) {
		return UPGRADE_E_ORIGIN;
	}
	return offers_xmpp(upgrade->protocol) ? UPGRADE_OK : UPGRADE_E_PROTOCOL;
}

const char *upgrade_sentence(enum upgrade_result result)
{
	switch (result) {
	case UPGRADE_E_VERSION:
		return "Only version 13 of the WebSocket protocol is spoken here.\n";
	case UPGRADE_E_PROTOCOL:
		return "The WebSocket must offer the subprotocol \"xmpp\" (RFC 7395).\n";
	default:
		return "This is no WebSocket handshake.\n";
	}
}

unsigned upgrade_status(enum upgrade_result result)
{
	switch (result) {
	case UPGRADE_OK:
		return 101;
	case UPGRADE_E_VERSION:
		return 426;
	default:
		return 400;
	}
}

int upgrade_write(struct sv key, struct buffer *buffer)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[UPGRADE_KEY_LENGTH + sizeof(guid)];
	unsigned char digest[SHA_DIGEST_LENGTH];
	unsigned char accept[UPGRADE_ACCEPT_SIZE];

	/* upgrade_check() has seen the length. */
	memcpy(text, key.data, UPGRADE_KEY_LENGTH);
	memcpy(text + UPGRADE_KEY_LENGTH, guid, sizeof(guid));
	if (!SHA1((const unsigned char *)text, sizeof(text) - 1, digest)) {
		return -ENOMEM;
	}
	EVP_EncodeBlock(accept, digest, SHA_DIGEST_LENGTH);
	return buffer_printf(buffer,
			     "HTTP/1.1 101 Switching Protocols\r\n"
			     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			     "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
			     (const char *)accept);
}
