/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The client's side of an XMPP stream to a server (RFC 6120), as an engine: bytes in, events and bytes out; no socket, no
 * clock. It opens the stream, takes STARTTLS on itself, and from the features on it only carries.
 *
 * header     <stream:stream ...>, ours or the server's
 * features   <stream:features/>: told to the client without starttls and compression (XEP-0138), else untouched
 * element    whatever else the server sends at the top level: stanzas, SASL, stream management
 * restart    a new header on the same connection, after SASL (RFC 6120, 4.3.3)
 * repetition the header and the features that the client has been told already, as events once more
 *
 * A client may ask for a restart only after <success/>. Some ask for one before they log in, to see the
 * features (node-xmpp-client), and a server takes a second header in the same stream for the end of it. So
 * without a <success/> since the last header nothing goes out, and the client gets the repetition. Once it
 * has logged in and gone on from there, the features are no longer kept: it is then told empty ones, which
 * say that there is nothing left to negotiate (RFC 6120, 4.3.5). SASL2 restarts nothing (XEP-0388).
 *
 * Use: stream_open(), write out what stream.out has; stream_feed() with what arrives, then stream_next() until it says
 * STREAM_EVENT_NONE, then write stream.out again. Events and what they point to are valid until NONE.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/xml.h"
#include "gateway/failure.h"
#include "policy/domain.h"
#include "policy/redirect.h"

enum {
	/* The server's stream id, name and language go into answers and logs; a longer one is as if it were not there. */
	STREAM_ID_MAX = 256,
	/* Features that are kept for a repetition. A server that sends an element as large as it may, to clients
	 * that never log in, must not fill our memory with it. Beyond this the repetition has empty ones. */
	STREAM_FEATURES_MAX = 16 * 1024,
};

enum stream_event_kind {
	STREAM_EVENT_NONE,
	STREAM_EVENT_HEADER,   /* the server's header: id, from and lang are known */
	STREAM_EVENT_SECURE,   /* start the handshake now, throw away unread bytes, then stream_secured() */
	STREAM_EVENT_FEATURES, /* write with stream_event_write() */
	STREAM_EVENT_ELEMENT,  /* likewise */
	STREAM_EVENT_ERROR,    /* the server's <stream:error/>, likewise; the stream is over */
	STREAM_EVENT_CLOSED,   /* the server's </stream:stream> */
	STREAM_EVENT_FAILED,   /* stream.failure says why; the stream is over */
};

enum stream_state {
	STREAM_STATE_IDLE,
	STREAM_STATE_HEADER,    /* our header is out, the server's awaited */
	STREAM_STATE_FEATURES,
	STREAM_STATE_PROCEED,   /* <starttls/> is out */
	STREAM_STATE_HANDSHAKE,
	STREAM_STATE_OPEN,      /* the client's business */
	STREAM_STATE_OVER,
};

struct redirect;

struct stream_target {
	struct sv to;      /* the domain, checked by policy/domain.h */
	struct sv from;    /* the client's own address, may be empty; escaped here */
	struct sv lang;    /* xml:lang, may be empty; escaped here */
	struct sv version; /* may be empty: "1.0" */
	/* No part of the stream, for link.h: */
	const struct address *client; /* where the client is, or NULL */
	const struct redirect *route; /* where the client says that the server is, and may say so; or NULL */
};

struct stream {
	enum stream_state state;
	struct xml_pool *pool;
	const struct xml_scan_options *options;
	struct xml_scan scan;
	struct buffer out;     /* bytes for the server: written and consumed by the owner */
	struct failure failure;
	enum domain_tls tls;
	bool secure;           /* TLS is on */
	bool closing;          /* our </stream:stream> is out */
	bool offered;          /* features have been told to the client: TLS is no longer an affair of ours */
	bool early;            /* the server's error came before the stream was the client's */
	bool managed;          /* the server has sent <enabled/> or <resumed/> (XEP-0198) */
	bool succeeded;        /* <success/> of SASL has come since our last header: a restart is due */
	bool logged_in;        /* <success/> has come, of SASL or SASL2 */
	bool features_due;     /* after SASL2: they follow without a restart */
	bool repeating;        /* the last event is a repetition */
	enum stream_event_kind again; /* the repetition that is the next event; NONE: there is none */
	struct buffer features;       /* the latest, as the client has been told them; until it has logged in */
	int feed_result;       /* what the scan said of the last bytes: told behind the items before them */
	char *to, *client, *client_lang, *version; /* of our header; NULL for what it does not say */
	char *id, *from, *lang; /* of the server's header; likewise */
	struct xml_item item;  /* of the last event */
};

/* @options (limits for what the server sends; stream_options_init()) and @pool are borrowed for the stream's life. */
void stream_init(struct stream *stream, struct xml_pool *pool, const struct xml_scan_options *options,
		 enum domain_tls tls);
void stream_deinit(struct stream *stream);

/* The scan options that a stream needs, with @n_element_max for the largest element. */
struct xml_scan_options stream_options(size_t n_element_max);

/* Sets what our header says; empty fields of @target stay as they were. Returns 0 or -ENOMEM. */
_must_check_ int stream_set_target(struct stream *stream, const struct stream_target *target);

/* Opens the stream: our header into stream.out. @secure: the connection is encrypted already. The client's own address
 * goes out only over TLS, or where none will come (RFC 6120, 4.7.1). Empty fields of @target stay as they were before
 * stream_rewind(). Returns 0 or -ENOMEM. */
_must_check_ int stream_open(struct stream *stream, const struct stream_target *target, bool secure);

/* The connection is gone, and another one takes its place (see-other-host): all that the server said is forgotten.
 * stream_open() with an empty target opens the stream there, for the same domain and client. */
void stream_rewind(struct stream *stream);

/* TLS is on; a new header goes out. Returns 0 or -ENOMEM. */
_must_check_ int stream_secured(struct stream *stream);

/* The client wants a restart. After <success/> what the server sent so far is history, and a new header goes
 * out; else stream_next() has a repetition: HEADER, and FEATURES if there have been any. Empty fields of
 * @target stay as they were. Nothing happens in a state other than STREAM_STATE_OPEN. Returns 0 or
 * -ENOMEM. */
_must_check_ int stream_restart(struct stream *stream, const struct stream_target *target);

/* Whether stream_next() has a repetition. */
bool stream_repeats(const struct stream *stream);

/* Puts </stream:stream> into stream.out, once, when a stream has been opened: also in answer to the server's. */
_must_check_ int stream_close(struct stream *stream);

/* Feeds what the server sent; borrowed until stream_next() says NONE. Returns 0 or -ENOMEM: then the stream is over. */
_must_check_ int stream_feed(struct stream *stream, const char *data, size_t n);

/* The next event. Returns 0 with *ret_kind, or -ENOMEM: then the stream is over. */
_must_check_ int stream_next(struct stream *stream, enum stream_event_kind *ret_kind);

/* Appends the element of the last FEATURES, ELEMENT or ERROR event, completed: it carries all its namespaces, and what is of
 * the streams namespace has the prefix "stream", whatever the server wrote; unless its own tag or what is in it makes something
 * else of that prefix. Returns 0 or -ENOMEM. */
_must_check_ int stream_event_write(const struct stream *stream, struct buffer *buffer);

/* Whether the last event, an ERROR, says that another host is to be asked, and the stream may go there: it has not become the
 * client's yet. What is not read as a place to go (redirect.h) is an error like any other. */
bool stream_event_redirect(const struct stream *stream, struct redirect *ret_redirect);

/* Whether the last event is a repetition. */
bool stream_event_is_repeated(const struct stream *stream);

/* Whether the last event's element is of the streams namespace (and so uses the prefix "stream"). */
bool stream_event_is_stream(const struct stream *stream);
