/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The XMPP framing of a WebSocket (RFC 7395), as an engine: pieces of messages in, events out, and the texts that a
 * gateway answers with. No socket, no clock.
 *
 * message  what the client sent between two ends of message; it has one element, or nothing but white space (ignored)
 * open     <open/>: the client's stream header; again after SASL: a restart
 * element  anything else: what goes to the server, as it came
 *
 * Use: framing_feed() with each piece, then framing_next() until it says FRAMING_EVENT_NONE. Events and what they point to are valid
 * until the next call.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/xml.h"
#include "gateway/failure.h"

enum {
	/* The attributes of <open/> are kept with the session and go into each stream header; none of them needs to be long. */
	FRAMING_ATTRIBUTE_MAX = 2048,
};

enum framing_event_kind {
	FRAMING_EVENT_NONE,
	FRAMING_EVENT_OPEN,    /* event.to, from, lang, version */
	FRAMING_EVENT_RESTART, /* likewise */
	FRAMING_EVENT_ELEMENT, /* event.element: for the server */
	FRAMING_EVENT_CLOSE,   /* <close/>: nothing follows */
	/* event.condition: a stream error (RFC 6120, 4.9.3); event.reason. Nothing follows. */
	FRAMING_EVENT_BAD,
};

struct framing_event {
	enum framing_event_kind kind;
	struct sv to, from, lang, version;
	struct sv element;
	const char *condition;
	const char *reason; /* which rule the client has broken, in words; never freed */
};

struct framing {
	struct xml_scan scan;
	struct buffer element; /* of the message under way, until its end */
	struct framing_event event; /* due at the end of the message */
	struct buffer text;    /* what event points into */
	bool opened, over;
	bool due;              /* event is to be told */
};

/* The scan options for messages whose element has up to @n_max bytes. */
struct xml_scan_options framing_options(size_t n_max);

/* @pool and @options are borrowed for the framing's life. Returns 0 or -ENOMEM. */
_must_check_ int framing_init(struct framing *framing, struct xml_pool *pool,
			      const struct xml_scan_options *options);
void framing_deinit(struct framing *framing);

/* A piece of a message; @final: its last. @text: not a binary message, which RFC 7395 (3.2) does not allow. Returns 0 or
 * -ENOMEM. */
_must_check_ int framing_feed(struct framing *framing, const char *data, size_t n, bool final, bool text);

/* Tells what the message meant, once its end came. */
void framing_next(struct framing *framing, struct framing_event *ret_event);

/* Append what the gateway says: texts of peers are escaped. Empty and NULL texts are left out. */
_must_check_ int framing_write_open(struct buffer *buffer, const char *from, const char *id, const char *lang);
_must_check_ int framing_write_close(struct buffer *buffer);
_must_check_ int framing_write_error(struct buffer *buffer, const char *condition, const char *text,
				     const char *detail);
