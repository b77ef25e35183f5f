/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLS with one server: looks up its TLSA records (DANE, RFC 7673) while STARTTLS is negotiated,
 * then starts the handshake. The transport's callbacks tell how that ends.
 */
#include "gateway/xmpp/link-env.h"

struct handshake {
	const struct opening_task *task;
	struct transport *transport;  /* while the handshake waits for the records; else NULL */
	uint64_t started_ns;          /* by uv_hrtime() */
	bool is_direct;               /* TLS comes before the stream */
	struct resolver_query *query; /* for TLSA records; NULL: none is under way */
	struct tlsa_set *tlsa;        /* owned; NULL: no records */
	char host[SRV_HOST_MAX + 1];  /* whose records these are */
	/* The server must not be used, because of @failure. */
	void (*failed)(void *userdata, const struct failure *failure);
	void *userdata;
};

/* All pointers are borrowed for the handshake's life. */
void handshake_init(struct handshake *handshake, const struct opening_task *task,
		    void (*failed)(void *userdata, const struct failure *failure), void *userdata);

/* Forgets the server. May run twice. */
void handshake_deinit(struct handshake *handshake);

/* Looks up the TLSA records of @host and @port, where signed DNS led there, on behalf of @crowd.
 * `failed` runs from the loop, never from this call. Returns as resolver_ask_tlsa(). */
_must_check_ int handshake_look_up(struct handshake *handshake, uint32_t crowd, const char *host,
				   uint16_t port);

/* Starts TLS on @transport, which is borrowed until handshake_deinit(): now, or when the records
 * are there. @is_direct: TLS comes before the stream. Returns 0 or a negative errno. */
_must_check_ int handshake_start(struct handshake *handshake, struct transport *transport,
				 bool is_direct);
