/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The client's side of an XMPP stream to a server (RFC 6120), as an engine: bytes in, events and
 * bytes out; no socket, no clock. It opens the stream and negotiates STARTTLS by itself; from the
 * features on it passes on what the server sends.
 *
 * header      <stream:stream ...>, ours or the server's
 * features    <stream:features/>; the client gets them without starttls and compression (XEP-0138),
 *             otherwise unchanged
 * element     anything else at the top level: stanzas, SASL, stream management
 * restart     a new header on the same connection, after SASL (RFC 6120, 4.3.3)
 * repetition  the header and the features that the client got before, as events once more
 *
 * A client may ask for a restart only after <success/>. Some do so before they log in, to see the
 * features (node-xmpp-client), but a server takes a second header as the end of the stream. So
 * without a <success/> since our last header nothing is sent, and the client gets the repetition.
 * After the login the features are no longer kept: the repetition then has empty ones, which say
 * that there is nothing left to negotiate (RFC 6120, 4.3.5). SASL2 needs no restart (XEP-0388).
 *
 * Use: stream_open(), then send what stream.out holds; stream_feed() with what arrives, then
 * stream_next() until it returns STREAM_EVENT_NONE, then send stream.out again. An event, and what
 * it points to, is valid until the next call.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/xml.h"
#include "gateway/failure.h"
#include "gateway/xmpp/login.h"
#include "policy/domain-rules.h"
#include "policy/redirect.h"

enum {
	/* Bytes of the server's stream id, name and language, which go into answers and logs. A
	 * longer one is ignored. */
	STREAM_ID_MAX = 256,
	/* Bytes of features that are kept for a repetition. A server that sends huge ones to
	 * clients that never log in must not fill our memory. Larger ones are repeated as empty. */
	STREAM_FEATURES_MAX = 16 * 1024,
};

enum stream_event_kind {
	STREAM_EVENT_NONE,
	/* The server's header: id, from and lang are known. */
	STREAM_EVENT_HEADER,
	/* Start the TLS handshake now, discard bytes that were not read yet, then call
	 * stream_secured(). */
	STREAM_EVENT_SECURE,
	/* stream_event_write() gives the bytes of these three. After ERROR the stream is over. */
	STREAM_EVENT_FEATURES,
	STREAM_EVENT_ELEMENT,
	STREAM_EVENT_ERROR,
	/* The server's </stream:stream>. */
	STREAM_EVENT_CLOSED,
	/* stream.failure says why; the stream is over. */
	STREAM_EVENT_FAILED,
};

enum stream_state {
	STREAM_STATE_IDLE,
	STREAM_STATE_HEADER,    /* our header was sent; the server's is expected */
	STREAM_STATE_FEATURES,  /* the features are expected */
	STREAM_STATE_PROCEED,   /* <starttls/> was sent */
	STREAM_STATE_HANDSHAKE, /* TLS */
	STREAM_STATE_OPEN,      /* the client uses the stream */
	STREAM_STATE_OVER,
};

struct stream_target {
	struct sv to;      /* the domain, checked by policy/domain.h */
	struct sv from;    /* the client's own address, may be empty; escaped here */
	struct sv lang;    /* xml:lang, may be empty; escaped here */
	struct sv version; /* may be empty: "1.0" */
	/* Not for the stream, but for link.h: */
	const struct address *client; /* the client's network address, or NULL */
	const struct redirect *route; /* an allowed `route` of the client, or NULL */
};

struct stream {
	enum stream_state state;
	struct xml_pool *pool;
	struct xml_scan_options options; /* a copy: a reload replaces those of the worker */
	struct xml_scan scan;
	struct buffer out; /* bytes for the server; the owner sends and consumes them */
	struct failure failure;
	enum domain_tls tls;
	bool is_secure;      /* TLS is on */
	bool is_closing;     /* our </stream:stream> was written */
	bool is_in_use;      /* the stream is the client's: TLS is no longer negotiated */
	bool has_offered;    /* the client has got features */
	bool error_is_early; /* the server's error came before the stream was the client's */
	bool is_managed;     /* the server has sent <enabled/> or <resumed/> (XEP-0198) */
	bool has_succeeded;  /* SASL's <success/> came after our last header: a restart is due */
	bool is_logged_in; /* <success/> has come, of SASL or SASL2, or what XEP-0078 has instead */
	bool features_are_due;        /* SASL2: features follow without a restart */
	bool is_repeating;            /* the last event is a repetition */
	bool has_input;               /* fed, and not looked at to its end */
	enum stream_event_kind again; /* the next event of a repetition; NONE: there is none */
	struct buffer features;       /* as the client got them; kept until it has logged in */
	int feed_result; /* of the last feed; reported after the items before the mistake */
	char *to, *client, *client_lang, *version; /* of our header; NULL: left out */
	char *id, *from, *lang;                    /* of the server's header; likewise */
	struct xml_item item;                      /* of the last event */
	struct login login;
	enum login_result login_result; /* what the last event says about the login */
	struct sv login_condition;      /* with LOGIN_FAILED and LOGIN_UNTRIED: why */
};

/* @pool is borrowed for the stream's life, @options (see stream_options()) is copied. @stream must
 * not be moved. */
void stream_init(struct stream *stream, struct xml_pool *pool,
		 const struct xml_scan_options *options, enum domain_tls tls);
/* May run twice. */
void stream_deinit(struct stream *stream);

/* Returns the scan options for a stream whose largest element has @n_element_max bytes. */
struct xml_scan_options stream_options(size_t n_element_max);

/* Sets what our header says; empty fields of @target stay as they were. Returns 0 or -ENOMEM. */
_must_check_ int stream_set_target(struct stream *stream, const struct stream_target *target);

/* Sets the target and writes our header. @is_secure: the connection is encrypted already. The
 * client's own address is sent only over TLS, or where there will be none (RFC 6120, 4.7.1).
 * Returns 0 or -ENOMEM. */
_must_check_ int stream_open(struct stream *stream, const struct stream_target *target,
			     bool is_secure);

/* Forgets everything that the server said, because another connection takes its place.
 * stream_open() with an empty target then opens the stream for the same domain and client. */
void stream_rewind(struct stream *stream);

/* TLS is on: writes a new header. Returns 0 or -ENOMEM. */
_must_check_ int stream_secured(struct stream *stream);

/* The client wants a restart. After <success/> this forgets what the server said and writes a new
 * header; otherwise stream_next() returns a repetition: HEADER, and FEATURES if there were any.
 * Empty fields of @target stay as they were. Does nothing in another state than STREAM_STATE_OPEN.
 * Returns 0 or -ENOMEM. */
_must_check_ int stream_restart(struct stream *stream, const struct stream_target *target);

/* Whether stream_next() has a repetition. */
bool stream_repeats(const struct stream *stream);

/* The client sends @elements, which the stream looks at (login.h) until the login is done. Returns
 * the number of logins that they try. */
size_t stream_sent(struct stream *stream, struct sv elements);

/* Writes </stream:stream> once, if the stream has been opened; also in answer to the server's.
 * Returns 0 or -ENOMEM. */
_must_check_ int stream_close(struct stream *stream);

/* Where what the server sends next is best read: xml_scan_room(). */
char *stream_room(struct stream *stream, size_t *ret_n_room);

/* Feeds what the server sent; borrowed until stream_next() returns NONE. Returns 0 or -ENOMEM,
 * after which the stream is over. */
_must_check_ int stream_feed(struct stream *stream, const char *data, size_t n);

/* Bytes of memory that the stream holds of what the server sent. To be asked after NONE. */
size_t stream_held(const struct stream *stream);

/* Gets the next event. Returns 0 with *ret_kind, or -ENOMEM, after which the stream is over. */
_must_check_ int stream_next(struct stream *stream, enum stream_event_kind *ret_kind);

/* Appends the element of the last FEATURES, ELEMENT or ERROR event, completed: it declares all its
 * namespaces, and an element of the streams namespace has the prefix "stream" whatever the server
 * wrote, unless the element uses that prefix for something else. Returns 0 or -ENOMEM. */
_must_check_ int stream_event_write(const struct stream *stream, struct buffer *buffer);

/* The same for an empty @buffer, without a copy if the stream has gathered the element. The event
 * then points into @buffer. */
_must_check_ int stream_event_take(struct stream *stream, struct buffer *buffer);

/* The same in two parts: appends the first one, which may be empty; the other one is valid as long
 * as the event. Returns 0 or -ENOMEM. */
_must_check_ int stream_event_split(const struct stream *stream, struct buffer *buffer,
				    struct sv *ret_rest);

/* Whether the last event, an ERROR, names another host to go to, and the stream may go there
 * because it is not the client's yet. A host that cannot be read (redirect.h) does not count. */
bool stream_event_redirect(const struct stream *stream, struct redirect *ret_redirect);

/* Whether the last event is a repetition. */
bool stream_event_is_repeated(const struct stream *stream);

/* Whether the last event's element is of the streams namespace, and so uses the prefix "stream". */
bool stream_event_is_stream(const struct stream *stream);
