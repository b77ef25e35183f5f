/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Brings the stream of one connected server to where the client can use it: PROXY header, TLS,
 * stream header, features. Private to opening.c, which decides what happens when that fails.
 *
 * usable  the features have arrived, or the server has none (RFC 6120, 4.7.5)
 */
#include "gateway/xmpp/handshake.h"

struct attempt_callbacks {
	/* The server is usable. The event @kind of the stream is due: FEATURES or HEADER. */
	void (*usable)(void *userdata, enum stream_event_kind kind);
	/* The server sent a stream error: the event ERROR of the stream is due. */
	void (*refused)(void *userdata);
	/* The server has sent something that is no event yet, so the stream and attempt_held() may
	 * hold more than before. */
	void (*received)(void *userdata);
	/* The server cannot be used. */
	void (*failed)(void *userdata, const struct failure *failure);
};

struct attempt {
	const struct opening_task *task;
	const struct attempt_callbacks *callbacks;
	void *userdata;
	bool has_client;
	struct address client; /* for the PROXY header, and for its crowd */

	struct transport *transport; /* owned; NULL: no server is connected */
	struct address address;      /* of the server */
	bool is_configured;          /* the rule names the server */
	bool is_direct;              /* TLS comes before the stream */
	struct handshake handshake;
};

/* @client is copied and may be NULL: unknown. All other pointers are borrowed for the attempt's
 * life. */
void attempt_init(struct attempt *attempt, const struct opening_task *task,
		  const struct address *client, const struct attempt_callbacks *callbacks,
		  void *userdata);

/* On whose behalf the DNS is asked: the client's crowd, or nobody's if it is exempt from limits. */
uint32_t attempt_dns_crowd(const struct attempt *attempt);

/* Bytes of memory that the server's connection takes (transport_held()). */
size_t attempt_held(const struct attempt *attempt);

/* Starts with a server that was just connected; @transport is the attempt's, also on failure.
 * @is_redirected: the server was named by another one, or by the client. Callbacks may run within
 * this call. */
void attempt_start(struct attempt *attempt, struct transport *transport,
		   const struct dial_result *result, bool is_redirected);

/* Drops the server; the next one starts anew. May run twice. */
void attempt_leave(struct attempt *attempt);

/* Closes the stream, if a server is connected, and then the connection in order. */
void attempt_close(struct attempt *attempt);

/* Gives the transport to the caller; it reports to @callbacks from now on. Returns NULL if no
 * server is connected. */
struct transport *attempt_take_transport(struct attempt *attempt,
					 const struct transport_callbacks *callbacks,
					 void *userdata);
