/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A session's stream to its XMPP server. An opening (opening.h) finds a server and brings its
 * stream up to the features; from then on the link passes on what the session sends and what the
 * server sends. It connects the stream engine (stream.h) to the network for as long as the session
 * lives.
 *
 * A link has one owner, its session. Callbacks run from the loop, never from a call into the link;
 * in a callback every function of this header may be called. After link_close() or link_drop() the
 * owner forgets the link: nothing calls back any more, and the memory goes at a later turn of the
 * loop.
 */
#include "gateway/xmpp/link-env.h"

struct link;

struct link_callbacks {
	/* The server's header of the stream that is the client's; link_stream() has id, from and
	 * lang. Features follow at once, or never (RFC 6120, 4.7.5: a server without version). */
	void (*header)(void *userdata);
	/* @kind is FEATURES, ELEMENT or ERROR: stream_event_write(link_stream()) gives the bytes,
	 * during this call only. */
	void (*element)(void *userdata, enum stream_event_kind kind);
	/* Everything that arrived together has been reported: time to send what was gathered. */
	void (*flush)(void *userdata);
	/* The server reads again after link_is_congested(). */
	void (*drained)(void *userdata);
	/* What link_held() returns may have changed, because the server has sent something or was
	 * left for another one. */
	void (*held)(void *userdata);
	/* The link cannot be used any more: STREAM_ERROR (`element` ran before), STREAM_CLOSED, ...
	 * The owner drops or closes it. */
	void (*over)(void *userdata, const struct failure *failure);
};

struct link_options {
	const struct domain_rule *rule; /* of env->config, which the link keeps; NULL: none */
	const struct link_callbacks *callbacks; /* borrowed for the link's life */
	void *userdata;
};

/* Starts to connect to the server of @target->to, a domain in ASCII form, as opening_new() says.
 * @env is borrowed for the link's life, @target and @options for the call. Returns 0 or -ENOMEM. */
_must_check_ int link_new(struct link_env *env, const struct stream_target *target,
			  const struct link_options *options, struct link **ret_link);

/* The session has ended as its client or its server wished: writes what waits and </stream:stream>,
 * then closes the connection. Before that, the link reads the server's unread stanzas and returns
 * them to their senders (returning.h), unless the server manages the stream or the client has not
 * logged in. Takes NULL; returns NULL. */
struct link *link_close(struct link *link);

/* The client is gone or is not served any more, and has not closed its stream. If the server
 * manages the stream (XEP-0198), writes what waits and closes the connection without
 * </stream:stream>, so that the server keeps the session for a client that resumes it. Nobody can
 * resume any other stream: it ends as in link_close(). Either way the connection ends in order (TLS
 * close_notify, FIN), because a reset would take from the server what it has not read yet. NULL is
 * fine; returns NULL. */
struct link *link_drop(struct link *link);

enum link_result {
	LINK_OK,
	LINK_E_EARLY,   /* the features have not arrived: the stream is not the client's yet */
	LINK_E_STALLED, /* too many bytes wait for a server that does not read: more than an owner
			 * that heeds link_is_congested() writes */
};

/* Sends elements to the server at the end of this iteration of the loop, together with what else is
 * written until then. When the link is over they are dropped. link_is_congested() takes them into
 * account from the next iteration on. Returns LINK_OK, LINK_E_* or -ENOMEM. */
_must_check_ int link_gather(struct link *link, struct sv elements);

/* Returns @stanzas, which the owner could not deliver, to their senders (bounce.h), unless the
 * server manages the stream (XEP-0198) or the client has not logged in. To be called ahead of
 * link_close() or link_drop(), which return what follows. The owner had room for them, so that
 * nothing is refused because much waits for the server. Returns 0 or -ENOMEM: they are lost, and
 * the stream will end without </stream:stream>, so that the server does not take them for
 * delivered. */
_must_check_ int link_return(struct link *link, struct sv stanzas);

/* Whether link_return() would do anything. If not, there is no reason to keep the link until it is
 * known what could not be delivered. */
bool link_can_return(const struct link *link);

/* link_return() for the element that `element` is telling of. */
_must_check_ int link_return_event(struct link *link);

/* Call it with what the client sends, before link_gather(). Returns 0 if @elements
 * try no login, else how many tries are open now (login.h). */
unsigned link_sent(struct link *link, struct sv elements);

/* The client wants a restart: a new header on the same connection, or, where it has not logged in
 * since the last one, its `header` and features again (stream.h). The server gets as much time to
 * answer as for the first header. Returns 0 or -ENOMEM. */
_must_check_ int link_restart(struct link *link, const struct stream_target *target);

/* Whether the server does not keep up with what was written: take no more from the client until
 * `drained`. */
bool link_is_congested(const struct link *link);

/* Whether so much waits for the server that the rest of the room is needed for what the client may
 * have sent already: give the client no occasion to send more. A link that is full is congested:
 * `drained` tells when to go on. */
bool link_is_full(const struct link *link);

/* Stops and starts reading from the server. */
void link_pause(struct link *link, bool is_paused);

/* When the link ends, what waits for a server that does not keep up is thrown away, because its
 * memory is needed. Otherwise the server gets LINK_CLOSE_TIMEOUT_MS to read it. */
void link_discard_waiting(struct link *link);

/* For its facts, and for the bytes of its events. */
struct stream *link_stream(struct link *link);

/* The server's address. Returns 0, or a negative errno when no server is connected. */
_must_check_ int link_address(const struct link *link, struct address *ret_address);

/* The TLS version in use ("TLSv1.3"), or "none". Static. */
const char *link_tls_version(const struct link *link);

/* The name of the TLS cipher in use ("TLS_AES_256_GCM_SHA384"); "" without TLS. Static. */
const char *link_tls_cipher(const struct link *link);

/* Bytes of memory that the link holds for its session: what the server has sent incompletely, and
 * what waits for the server. */
size_t link_held(const struct link *link);

/* For outbox_init() and keepalive_init(). Links enter the keepalive by themselves, once their
 * client has logged in. */
void link_write_gathered(struct link *link, struct sv bytes);
void link_keep_alive(struct keepalive_member *member);
