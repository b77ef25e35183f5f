/* SPDX-License-Identifier: MIT */
#include "gateway/ws/upgrade.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "common/ascii.h"

enum {
	/* 20 bytes in base64, and a NUL. */
	UPGRADE_ACCEPT_SIZE = 29,
};

/* Whether @key is 16 bytes in base64, as upgrade_write() expects. */
static bool is_key(struct sv key)
{
	if (key.n != UPGRADE_KEY_LENGTH || !sv_eq(sv_skip(key, UPGRADE_KEY_LENGTH - 2), SV("=="))) {
		return false;
	}
	for (size_t i = 0; i < UPGRADE_KEY_LENGTH - 2; i++) {
		char c = key.data[i];

		if (!ascii_is_alphanumeric(c) && c != '+' && c != '/') {
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
	if (!upgrade->origin_is_allowed) {
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

/* RFC 7692, 7.1.2.2: 8 to 15, perhaps in quotes. */
static bool is_window_bits(struct sv value)
{
	uint64_t bits;

	if (value.n > 2 && value.data[0] == '"' && value.data[value.n - 1] == '"') {
		value = sv_skip(sv_first(value, value.n - 1), 1);
	}
	return value.n && value.data[0] != '0' && sv_to_u64(value, 15, &bits) == 0 && bits >= 8;
}

/* Whether the parameters of an offer are ones that the gateway takes, each at most once. A client
 * that asks for a smaller server_max_window_bits is not compressed for. */
static bool takes_parameters(struct sv parameters)
{
	enum { SERVER_TAKEOVER, CLIENT_TAKEOVER, CLIENT_BITS, N };
	static const char *const names[N] = {"server_no_context_takeover",
					     "client_no_context_takeover",
					     "client_max_window_bits"};
	unsigned seen = 0;
	struct sv item;

	while (sv_split(&parameters, ';', &item)) {
		size_t n_name = sv_find(item, '=');
		struct sv name = sv_trim(sv_first(item, n_name));
		struct sv value = sv_trim(sv_skip(item, n_name + 1));
		unsigned i = 0;

		while (i < N && !sv_eq_nocase(name, sv_from(names[i]))) {
			i++;
		}
		bool is_good = n_name == item.n || (i == CLIENT_BITS && is_window_bits(value));

		if (i == N || seen & 1u << i || !is_good) {
			return false;
		}
		seen |= 1u << i;
	}
	return true;
}

bool upgrade_offers_deflate(struct sv extensions)
{
	struct sv offer;

	while (sv_split(&extensions, ',', &offer)) {
		size_t n_name = sv_find(offer, ';');
		struct sv parameters = sv_skip(offer, n_name + 1);

		if (sv_eq_nocase(sv_trim(sv_first(offer, n_name)), SV("permessage-deflate")) &&
		    (n_name == offer.n || takes_parameters(parameters))) {
			return true;
		}
	}
	return false;
}

int upgrade_write(struct sv key, bool may_code, struct sv date, struct buffer *buffer)
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
			     "HTTP/1.1 101 Switching Protocols\r\n%.*s"
			     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			     "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: xmpp\r\n%s\r\n",
			     (int)date.n, date.data, (const char *)accept,
			     may_code ? "Sec-WebSocket-Extensions: permessage-deflate; "
					"server_no_context_takeover; client_no_context_takeover\r\n"
				      : "");
}
