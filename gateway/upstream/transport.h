/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A byte stream to a server: TCP, and TLS over it when it is told. On the worker's loop, with nothing but the socket
 * and what could not be written yet.
 *
 * high water  bytes waiting to be written above which transport_is_congested() says yes; the owner then takes no
 *             more from its client until `drained`
 *
 * Callbacks run from the loop, never from a call into the transport (transport_write included: what it finds broken it tells at
 * the next turn). In a callback every function may be called, transport_free() too; memory goes at a later turn.
 */
#include <stdbool.h>
#include <uv.h>

#include "common/address.h"
#include "gateway/failure.h"
#include "gateway/upstream/tls/tls.h"

struct transport;

enum {
	TRANSPORT_HIGH_WATER = 256 * 1024, /* a server that does not read must not fill our memory */
	TRANSPORT_LOW_WATER = 32 * 1024,
	TRANSPORT_READ_SIZE = 64 * 1024,   /* one turn's reading: fair among sessions */
};

struct transport_callbacks {
	void (*connected)(void *userdata);
	/* The handshake is done; what was read before it has been thrown away (STARTTLS injection). */
	void (*secured)(void *userdata);
	/* @data is borrowed for the call: a buffer that all transports of the worker share. */
	void (*data)(void *userdata, const char *data, size_t n);
	/* Output fell below the low water after having been congested. */
	void (*drained)(void *userdata);
	/* The peer ended the stream in order (FIN, close_notify). Nothing comes after it. */
	void (*ended)(void *userdata);
	/* The transport is dead: CONNECT_*, TLS_*, CERTIFICATE_*, CONNECTION_LOST, INTERNAL. Nothing comes after it. */
	void (*failed)(void *userdata, const struct failure *failure);
};

/* Starts to connect to @address, for at most @timeout_ms. @callbacks is borrowed for the transport's life.
 * @read_buffer (TRANSPORT_READ_SIZE bytes) is the worker's, shared by all its transports and borrowed until the loop has ended.
 * TCP_NODELAY is set, keepalive too. Returns 0 or a negative errno when there is no socket for it (-EMFILE, -EAFNOSUPPORT);
 * what connect(2) says is told through `failed`. */
_must_check_ int transport_new(uv_loop_t *loop, char *read_buffer, const struct address *address,
			       int64_t timeout_ms, const struct transport_callbacks *callbacks,
			       void *userdata, struct transport **ret_transport);

/* Our end of the connection. Returns 0 or a negative errno. */
_must_check_ int transport_local_address(const struct transport *transport, struct address *ret_address);

/* From now on the transport tells @callbacks: the dialer gives what it has connected to its new owner. */
void transport_hand_over(struct transport *transport, const struct transport_callbacks *callbacks,
			 void *userdata);

/* Ends it at once: what is not written yet is lost. No callback runs afterwards. Returns NULL; takes NULL. */
struct transport *transport_free(struct transport *transport);

/* Writes what is still waiting, then close_notify and FIN, waits for the peer's FIN (closing before would let the
 * kernel answer its last bytes with a reset, which takes ours away), then frees itself; gives up after @timeout_ms. No
 * callback runs afterwards: the owner forgets the transport. */
void transport_finish(struct transport *transport, int64_t timeout_ms);

/* Starts the handshake on @ssl, which the transport owns from now on, also on failure. Bytes of the peer that have
 * been read and not handed out are thrown away, and bytes waiting to be written go out in clear before. Bounded by @timeout_ms.
 * Returns 0 or -ENOMEM. */
_must_check_ int transport_secure(struct transport *transport, SSL *ssl, int64_t timeout_ms);

/* Queues @data (copied only as far as the kernel does not take it now). Returns 0, or -ENOMEM, after which the stream has
 * a hole and must be given up. A broken connection is told through `failed`, not here, and after what the
 * peer had sent before (its stream error, mostly) has been read; while the transport is paused that waits. */
_must_check_ int transport_write(struct transport *transport, const char *data, size_t n);

/* Bytes that wait to be written. */
size_t transport_waiting(const struct transport *transport);

/* From transport_secure() on; before NULL. Borrowed. */
SSL *transport_tls(const struct transport *transport);

bool transport_is_congested(const struct transport *transport);

/* Stops and starts reading: backpressure towards the server. */
void transport_pause(struct transport *transport, bool pause);
