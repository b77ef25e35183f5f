/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The way from a domain to a stream that is the client's: searches for a server (dialer.h), brings
 * its stream up to the features (attempt.h), follows redirections, and tries other servers of the
 * domain when the TLS or the stream of one fails (servers.h). Ends with `done` or `failed`.
 *
 * the client's  a stream whose features have arrived, or that will have none
 *
 * An opening belongs to whoever made it, until `done` or `failed` runs; then it is gone. Callbacks
 * run from the loop, never from a call into the opening.
 */
#include "gateway/xmpp/link-env.h"

struct opening;

struct opening_callbacks {
	/* What the transport tells from `done` or `failed` on. */
	struct transport_callbacks transport;
	/* A server has sent something, or was left for another one. What the stream and
	 * opening_held() hold may have changed. */
	void (*received)(void *userdata);
	/* The stream is the client's. @transport is the callee's. The event @kind of the stream is
	 * due: FEATURES, or HEADER when the server has no features (RFC 6120, 4.7.5); the caller of
	 * opening_new() handles it, and then all that stream_next() still has. */
	void (*done)(void *userdata, struct transport *transport, enum stream_event_kind kind);
	/* No server can be used. @transport is NULL or, after the server itself ended the stream
	 * (STREAM_ERROR, STREAM_CLOSED), the callee's, for a farewell. After STREAM_ERROR the event
	 * ERROR of the stream is due. */
	void (*failed)(void *userdata, struct transport *transport, const struct failure *failure);
};

/* Starts. @task is copied. Its stream was initialised with stream_init() and gets the header from
 * @target, which is borrowed for the call, with the domain in the form that it has in addresses
 * (RFC 6120, 4.7.2; RFC 7622, 3.2). If @target->route is set, it is dialled instead of what DNS
 * says of the domain; the policies for addresses and ports hold for it, too. @target->client goes
 * into the PROXY header where the rule wants one. What @task points to is borrowed for the life of
 * the opening, its domain and rule also for that of the transport. Returns 0 or -ENOMEM. */
_must_check_ int opening_new(const struct opening_task *task, const struct stream_target *target,
			     const struct opening_callbacks *callbacks, void *userdata,
			     struct opening **ret_opening);

/* Bytes of memory that the connection to a server takes (transport_held()). */
size_t opening_held(const struct opening *opening);

/* Gives up: closes what has been opened, in order. No callback runs afterwards; the memory is freed
 * in a later iteration of the loop. Returns NULL; takes NULL. */
struct opening *opening_free(struct opening *opening);
