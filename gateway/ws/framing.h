/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The XMPP framing of WebSocket messages (RFC 7395), as an engine: it turns pieces of messages into
 * events, and writes the framing elements and stream errors that the gateway sends. It uses no
 * sockets and no clock.
 *
 * message  one WebSocket message; it holds one element, or only white space, which is ignored. It
 *          has at most framing.n_message_max bytes, which its owner may change at any time
 * open     <open/>: the client's stream header; sent again after SASL, to restart the stream
 * element  any other element; it goes to the server unchanged
 *
 * Use: call framing_feed() with each piece, then framing_next() until it returns
 * FRAMING_EVENT_NONE. An event, and what it points to, is valid until the next call.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/xml.h"
#include "gateway/failure.h"

enum {
	/* Bytes of each attribute of <open/>. They are kept with the session and copied into every
	 * stream header; legitimate ones are short. */
	FRAMING_ATTRIBUTE_MAX = 2048,
};

enum framing_event_kind {
	FRAMING_EVENT_NONE,
	FRAMING_EVENT_OPEN,    /* sets to, from, lang, version */
	FRAMING_EVENT_RESTART, /* sets the same */
	FRAMING_EVENT_ELEMENT, /* sets element, to be sent to the server */
	FRAMING_EVENT_CLOSE,   /* <close/>; no event follows */
	/* Sets condition, a stream error (RFC 6120, 4.9.3), reason and fault. No event follows. */
	FRAMING_EVENT_BAD,
};

/* For the status of the close frame (RFC 6455, 7.4.1). */
enum framing_fault {
	FRAMING_FAULT_CONTENT,
	FRAMING_FAULT_BINARY,
	FRAMING_FAULT_SIZE,
};

struct framing_event {
	enum framing_event_kind kind;
	struct sv to, from, lang, version;
	struct sv element;
	const char *condition;
	const char *reason; /* which rule the client broke, in words; static */
	enum framing_fault fault;
};

struct framing {
	struct xml_scan_options options; /* a copy: a reload replaces the worker's */
	struct xml_scan scan;
	struct buffer element;      /* of the current message, unless it stands in the last piece */
	struct framing_event event; /* reported at the end of the message */
	struct buffer text;         /* what `event` points into */
	size_t n_message_max;
	size_t n_message;  /* of the current message, so far */
	uint8_t n_doctype; /* how much of "<!D" it begins with; NO_DOCTYPE: something else */
	bool is_opened, is_over;
	bool event_is_due; /* `event` is to be reported */
};

/* Scan options for messages whose element has at most @n_max bytes. */
struct xml_scan_options framing_options(size_t n_max);

/* @pool is borrowed until framing_deinit(), @options is copied. @framing must not be moved.
 * n_message_max is set to the limit of an element. */
void framing_init(struct framing *framing, struct xml_pool *pool,
		  const struct xml_scan_options *options);
void framing_deinit(struct framing *framing);

/* Processes a piece of a message, borrowed until framing_next() returns NONE; @is_final: the last
 * one. @is_text: not a binary message, which RFC 7395 (3.2) does not allow. Returns 0 or
 * -ENOMEM. */
_must_check_ int framing_feed(struct framing *framing, const char *data, size_t n, bool is_final,
			      bool is_text);

/* Returns the event of the message, once it has been received completely. */
void framing_next(struct framing *framing, struct framing_event *ret_event);

/* The event for a message that grew too large before it came here. */
struct framing_event framing_too_large(void);

/* Bytes of memory that are held for an incomplete message. Valid after FRAMING_EVENT_NONE. */
size_t framing_held(const struct framing *framing);

/* These append what the gateway sends. Texts from peers are escaped; attributes that are NULL or
 * empty, and the text when it is NULL, are left out. Return 0 or -ENOMEM. */
_must_check_ int framing_write_open(struct buffer *buffer, const char *from, const char *id,
				    const char *lang);
_must_check_ int framing_write_close(struct buffer *buffer, const char *see_other_uri);
_must_check_ int framing_write_error(struct buffer *buffer, const char *condition, const char *text,
				     const char *detail);
