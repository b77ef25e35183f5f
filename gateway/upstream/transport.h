/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A byte stream to a server: TCP, with TLS from transport_secure() on. Runs on the worker's loop,
 * but for the long steps of a TLS handshake, which a helper takes. Holds nothing but the socket and
 * the bytes that could not be written yet.
 *
 * tunnel      a proxy is asked for a connection to the server, before anything else is sent
 * high water  so many bytes wait to be written that transport_is_congested() returns true. The
 *             owner then stops taking data from its client until `drained`.
 *
 * Callbacks run from the loop, never from a call into the transport. (If transport_write() finds
 * the connection broken, `failed` runs at the next turn.) A callback may call any function,
 * including transport_free(); the memory is freed at a later turn.
 */
#include <stdbool.h>
#include <uv.h>

#include "common/address.h"
#include "common/helper.h"
#include "gateway/failure.h"
#include "gateway/upstream/tls/tls.h"
#include "gateway/upstream/tunnel.h"

struct transport;

enum {
	/* Bounds the memory for a server that does not read. */
	TRANSPORT_HIGH_WATER = 256 * 1024,
	TRANSPORT_LOW_WATER = 32 * 1024,
	/* Bytes read at once, so that sessions share the loop fairly: usually, while there are
	 * other clients, and from a server that takes more than its share (common/turn.h). wire.h
	 * has the reasons for these. */
	TRANSPORT_READ_SIZE = 288 * 1024,
	TRANSPORT_READ_WATCHED = 8 * 1024,
	TRANSPORT_READ_SMALL = 2 * 1024,
	/* What transport_held() counts for a TLS message that has arrived in part. OpenSSL takes
	 * all its memory when the first four bytes tell its length: up to 131,338 bytes for a
	 * ticket, 102,400 for a key of TLS 1.2, and a third more. Nothing tells how much it is. */
	TRANSPORT_MESSAGE_HELD = 176 * 1024,
};

/* How to get to a server. */
struct transport_way {
	const struct address *address; /* to connect to: the server's, or the proxy's */
	/* of this machine, to connect from; borrowed until `connected`. NULL: the system chooses */
	const struct address *source;
	const struct egress *egress; /* the proxy; borrowed until `connected`. NULL: none */
	struct tunnel_server server; /* that the proxy is asked for; borrowed likewise */
	int64_t timeout_ms;          /* to connect, and for the proxy's first words */
	int64_t tunnel_timeout_ms;   /* for the proxy to connect to the server */
	struct turn *turn;           /* when it may read; outlives the transport. NULL: at once */
	/* takes the steps of TLS handshakes; outlives the transport; only with a turn. NULL: they
	 * are taken in the loop */
	struct helper *helper;
};

struct transport_callbacks {
	/* The proxy is connected, and is asked for the server. Not called without a proxy. */
	void (*tunnelling)(void *userdata);
	void (*connected)(void *userdata);
	/* The handshake is complete. Bytes received before it have been discarded (STARTTLS
	 * injection). */
	void (*secured)(void *userdata);
	/* Where to read what comes next, up to *ret_n_room bytes, so that it need not be copied;
	 * NULL: anywhere. The member may be NULL, too. What is read there is told by `data` at
	 * once. */
	char *(*room)(void *userdata, size_t *ret_n_room);
	/* @data is borrowed for the call: all transports of the worker share the buffer. */
	void (*data)(void *userdata, const char *data, size_t n);
	/* What transport_held() returns has changed, because a TLS message has arrived in part, or
	 * is complete now. The member may be NULL. */
	void (*held)(void *userdata);
	/* The transport was congested, and no more than the low water waits now. */
	void (*drained)(void *userdata);
	/* The peer ended the stream properly (FIN, close_notify). It is the last callback about
	 * reading. */
	void (*ended)(void *userdata);
	/* The connection is dead: SOURCE_ADDRESS, PROXY_*, CONNECT_*, TLS_*, CERTIFICATE_*,
	 * CONNECTION_LOST, INTERNAL. No callback follows. */
	void (*failed)(void *userdata, const struct failure *failure);
};

/* Starts to connect on @way, which is borrowed for the call. @callbacks is borrowed for the life of
 * the transport, @read_buffer (TRANSPORT_READ_SIZE bytes, shared by all transports of the worker)
 * until the loop has ended. Sets TCP_NODELAY and keepalive. Returns 0, or a negative errno when
 * there is no socket (-EMFILE, -EAFNOSUPPORT) or no memory. Errors of bind(2) and connect(2) are
 * reported by `failed`. */
_must_check_ int transport_new(uv_loop_t *loop, char *read_buffer, const struct transport_way *way,
			       const struct transport_callbacks *callbacks, void *userdata,
			       struct transport **ret_transport);

/* The local address of the connection. Returns 0 or a negative errno. */
_must_check_ int transport_local_address(const struct transport *transport,
					 struct address *ret_address);

/* Likewise that of the server. Behind a proxy that was asked for a name, nobody here knows it:
 * -EADDRNOTAVAIL. */
_must_check_ int transport_peer_address(const struct transport *transport,
					struct address *ret_address);

/* Whether a connection that `connected` has not told of yet may be there: an answer to it has
 * arrived and was not read. */
bool transport_is_answered(const struct transport *transport);

/* Replaces the callbacks: the dialer hands a connected transport over to its new owner. */
void transport_hand_over(struct transport *transport, const struct transport_callbacks *callbacks,
			 void *userdata);

/* Charges the time that the server takes to @crowd (common/turn.h), from the next turn on: to the
 * client for whom it is. Until then it is nobody's. */
void transport_set_crowd(struct transport *transport, uint32_t crowd);

/* Closes the connection at once and drops what is not written yet. No callback runs afterwards.
 * Returns NULL; takes NULL. */
struct transport *transport_free(struct transport *transport);

/* Writes what is waiting, then close_notify and FIN, waits for the peer's FIN, then frees itself.
 * (Without waiting, the kernel would answer the peer's last bytes with a reset, which discards
 * ours.) Gives up after @timeout_ms. No callback runs afterwards, and the owner must forget the
 * transport. */
void transport_finish(struct transport *transport, int64_t timeout_ms);

/* To be called right before the last write, if transport_finish() follows at once: then both go out
 * in one packet. */
void transport_will_finish(struct transport *transport);

/* Starts the TLS handshake, for at most @timeout_ms, and takes ownership of @ssl, also on failure.
 * Received bytes that were not delivered yet are discarded; bytes waiting to be written go out in
 * clear first. Returns 0 or -ENOMEM. */
_must_check_ int transport_secure(struct transport *transport, SSL *ssl, int64_t timeout_ms);

/* Writes @data; what the kernel does not take now is copied. Returns 0 or -ENOMEM; after -ENOMEM
 * the stream has a gap and must be given up. A broken connection is reported by `failed`, not here,
 * once everything that the peer sent before (often a stream error) has been read; if the transport
 * is paused, not before it continues. */
_must_check_ int transport_write(struct transport *transport, const char *data, size_t n);

/* The number of bytes that wait to be written. */
size_t transport_waiting(const struct transport *transport);

/* Bytes of memory that they take, which may be many more than are left of them; and a TLS message
 * that has arrived in part, also if it is one of a handshake that takes long. */
size_t transport_held(const struct transport *transport);

/* Set from transport_secure() on, NULL before. Borrowed. */
SSL *transport_tls(const struct transport *transport);

bool transport_is_congested(const struct transport *transport);

/* Whether the server may have sent something that was not read: reading is paused, or bytes have
 * arrived that did not have their turn yet. */
bool transport_has_unread(const struct transport *transport);

/* Stops or resumes reading: back-pressure on the server. */
void transport_pause(struct transport *transport, bool is_paused);
