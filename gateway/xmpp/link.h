/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A session's way to its XMPP server: dial, TLS, stream, in one object. Where a server names
 * another one before its features (see-other-host) the link goes there; where the TLS or the stream
 * of one comes to nothing it tries another one of the domain. A server that is slow keeps its
 * connection until another one is connected. The certificate has to name the domain, or to be what
 * signed DNS says (DANE). The session says what to send; it is told what came. The one place where
 * the stream engine meets the network.
 *
 * A link has one owner, its session. Callbacks run from the loop, never from a call into the link;
 * in a callback every function of this header may be called. After link_close() or link_drop() the
 * owner forgets the link: nothing calls back any more, and the memory goes at a later turn of the
 * loop.
 */
#include <uv.h>

#include "gateway/upstream/dialer.h"
#include "gateway/xmpp/gather.h"
#include "gateway/xmpp/keepalive.h"
#include "gateway/xmpp/stream.h"
#include "policy/census.h"

struct link;

/* Somebody who looks on, as in upstream/observer.h. */
struct link_observer {
	/* A server's header came, also one of a stream that is not the client's yet. */
	void (*header)(void *userdata, const struct stream *stream);
	/* TLS begins: from the first byte on, or because the server has agreed to STARTTLS. */
	void (*handshake)(void *userdata, bool direct);
	/* The handshake is over: done, or @failure says why not. @ssl is borrowed for the call. */
	void (*secured)(void *userdata, SSL *ssl, const struct failure *failure);
	/* The server has said that another one is to be asked. */
	void (*redirected)(void *userdata, const struct redirect *redirect);
	/* The server has had its part of the time: another one of the domain is looked for. If one
	 * is found it takes the place of this one; until then this one may still answer. */
	void (*slow)(void *userdata);
	/* The server will not do, because of @failure: another one of the domain is to be tried. */
	void (*left)(void *userdata, const struct failure *failure);
	void *userdata;
};

/* What all links of a worker share; outlives them. */
struct link_env {
	struct census *census;
	const struct link_observer *observer; /* NULL: nobody */
	struct dialer dialer;
	struct tls_store *tls_store;
	size_t n_waiting_max;                 /* bytes for a server that does not read */
	struct xml_pool *pool;
	struct xml_scan_options scan_options; /* stream_options() */
	int64_t open_timeout_ms;              /* from link_new() to the server's features; one of several servers has a part of it */
	bool trusts_dnssec;                   /* what the resolvers say of signatures (AD=1) is believed: DANE */
	struct keepalive keepalive;           /* with link_keep_alive() */
	struct gather gather;                 /* with link_write_gathered() */
};

enum {
	/* A server that does not take our farewell must not hold the descriptor. */
	LINK_CLOSE_TIMEOUT_MS = 5000,
	/* Servers that name each other must not keep a session on its way (RFC 6120, 4.9.3.19: from 2 to 5). */
	LINK_REDIRECTS_MAX = 2,
	/* Servers of a domain that are connected to for one session, because the TLS or the stream of those before came to nothing:
	 * each costs a handshake. */
	LINK_SERVERS_MAX = 3,
};

struct link_callbacks {
	/* The server's header came, of the stream that is the client's; link_stream() knows id, from and lang. Features follow at once, or
	 * (a server without version, RFC 6120 4.7.5) never. */
	void (*header)(void *userdata);
	/* FEATURES, ELEMENT or ERROR: stream_event_write(link_stream()) gives the bytes, in this call only. */
	void (*element)(void *userdata, enum stream_event_kind kind);
	/* What arrived in one turn has been told: time to send what has been gathered. */
	void (*flush)(void *userdata);
	/* The server reads again after link_is_congested(). */
	void (*drained)(void *userdata);
	/* The link is of no more use: STREAM_ERROR (its element has been told), STREAM_CLOSED, ... The owner drops or closes it. */
	void (*over)(void *userdata, const struct failure *failure);
};

/* Starts to reach @target->to, which is in ascii form; the server is told its unicode form. Where the rule
 * wants it, the server is told first, by the PROXY protocol, that @target->client comes; but only at an address that
 * the rule names. A @target->route is dialled instead of what the DNS says of the domain, and the same policies are asked
 * of it. What the rule refuses (a domain that is gone, or that has as many sessions as it may) is told by
 * `over`, too.
 * @rule may be NULL. @env, @rule and @callbacks are borrowed for the link's life, @target for the call.
 * Returns 0 or -ENOMEM. */
_must_check_ int link_new(struct link_env *env, const struct stream_target *target,
			  const struct domain_rule *rule, const struct link_callbacks *callbacks,
			  void *userdata, struct link **ret_link);

/* The session has ended as its client or its server wished: writes what waits and </stream:stream>,
 * then closes the connection. NULL is fine; returns NULL. */
struct link *link_close(struct link *link);

/* The client is gone or is not served any more, and has not closed its stream. If the server
 * manages the stream (XEP-0198), writes what waits and closes the connection without
 * </stream:stream>, so that the server keeps the session for a client that resumes it. Nobody can
 * resume any other stream: it ends as in link_close(). Either way the connection ends in order (TLS
 * close_notify, FIN), because a reset would take from the server what it has not read yet. NULL is
 * fine; returns NULL. */
struct link *link_drop(struct link *link);

/* Sends elements to the server; before the features nothing may be sent (the stream is not the client's yet): -EPROTO; nor when the server
 * has not read for so long that more waits for it than an owner who heeds link_is_congested() brings: -ENOBUFS.
 * Returns 0, -ENOMEM, -EPROTO, -ENOBUFS. */
_must_check_ int link_write(struct link *link, struct sv elements);

/* The same, but together with what else comes in this turn of the loop: for clients that send their stanzas one by one. */
_must_check_ int link_gather(struct link *link, struct sv elements);

/* The client wants a restart: a new header on the same connection, or, where it has not logged in since the
 * last one, its `header` and features again (stream.h). Returns 0 or -ENOMEM. */
_must_check_ int link_restart(struct link *link, const struct stream_target *target);

/* Whether the server does not keep up with what was written: take no more from the client until `drained`. */
bool link_is_congested(const struct link *link);

/* Stops and starts reading from the server. */
void link_pause(struct link *link, bool pause);

const struct stream *link_stream(const struct link *link);

/* For keepalive_init(). Links enter by themselves, once their client has logged in. */
void link_write_gathered(struct link *link, struct sv bytes);
void link_keep_alive(struct keepalive_member *member);
