/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Judges the head of an HTTP/1 request: the request line and the headers, up to the empty line. An
 * engine, strict to RFC 9112: what other programs might read in another way is refused, because a
 * proxy and the gateway that disagree about a request can be made to disagree about where the next
 * one begins (request smuggling, CWE-444).
 *
 * fault      why a head is refused; one list with the status and the sentence of the answer. LATE,
 *            CHUNK and NOT_TAKEN are the reader's
 * alien      a connection that does not speak HTTP: TLS, an XMPP stream, SSH ...
 * path       the target without scheme, authority and query, as the client wrote it. Compare it by
 *            http_path_eq()
 * known      a header that the gateway uses; its first value is found while the head is read
 *
 * The head is fed as it arrives, always from its first byte on; bytes that were looked at once are
 * not looked at again. Nothing is allocated, and no pointer is kept: all positions are offsets, so
 * the bytes may stand elsewhere each time.
 *
 * Refused (the section of RFC 9112 in parentheses): methods and header names that are no tokens
 * (3.1, 5.1), white space before the colon (5.1), folded lines (5.2), lines that end without CR
 * (2.2), a CR elsewhere, NUL and other control bytes (5.5), several Content-Length, one that is no
 * number, a list of them (6.3), Content-Length beside Transfer-Encoding (6.1), Transfer-Encoding in
 * HTTP/1.0 (6.1), transfer codings other than chunked once and last (6.1, 6.3), no Host in
 * HTTP/1.1, two of them, or one that is no host (3.2), targets with bytes that no URI has or in a
 * form that the method does not take (3.2), other versions than 1.x (2.3), and expectations other
 * than 100-continue (RFC 9110, 10.1.1).
 *
 * Stricter than the RFC: empty items and parameters of Transfer-Encoding, and a Content-Length that
 * is repeated with the same value. A proxy that does not understand them finds another end.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/sv.h"
#include "gateway/http/target.h"

enum {
	/* The largest head in bytes. A browser with 8 KB of cookies behind proxies that add headers
	 * must pass; a client that sends more only wants the memory of whoever gathers it. */
	HTTP_HEAD_MAX = 16 * 1024,
	/* The longest target. RFC 9112, 3, recommends at least 8000 bytes for the request line. */
	HTTP_TARGET_MAX = 8 * 1024,
	/* Header lines: each is compared with the names that mean something here. */
	HTTP_LINES_MAX = 128,
	/* The longest method; IANA's longest has 17 bytes. A longer one is another protocol, or one
	 * that is not implemented (RFC 9112, 3). */
	HTTP_METHOD_MAX = 24,
	/* Empty lines before the request, which old clients send after a body (RFC 9112, 2.2). */
	HTTP_EMPTY_LINES_MAX = 2,
};

/* id, status, name in the log, sentence for the client. Status 0: no answer, for it is no HTTP. */
#define HTTP_FAULTS(X)                                                                             \
	X(ALIEN, 0, "not-http", "")                                                                \
	X(METHOD, 400, "bad-method", "The method of this request is malformed.\n")                 \
	X(METHOD_TOO_LONG, 501, "method-too-long", "This method is not known here.\n")             \
	X(TARGET, 400, "bad-target", "The target of this request is malformed.\n")                 \
	X(TARGET_TOO_LONG, 414, "target-too-long", "The target of this request is too long.\n")    \
	X(VERSION, 505, "bad-version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.\n")            \
	X(REQUEST_LINE, 400, "bad-request-line", "The first line of this request is malformed.\n") \
	X(LINE_END, 400, "bad-line-end", "A line of this request does not end with CR LF.\n")      \
	X(CONTROL, 400, "control-byte", "A header of this request has a control character.\n")     \
	X(FOLDED, 400, "folded-header", "A header of this request is folded.\n")                   \
	X(NAME, 400, "bad-header-name", "A header of this request has a malformed name.\n")        \
	X(HOST, 400, "bad-host", "This request needs exactly one valid Host header.\n")            \
	X(LENGTH, 400, "ambiguous-length", "Where this request ends is not clear.\n")              \
	X(CODING, 501, "unknown-transfer-coding", "This transfer coding is not spoken here.\n")    \
	X(CHUNK, 400, "bad-chunk", "A chunk of this request is malformed.\n")                      \
	X(EXPECTATION, 417, "unknown-expectation", "This expectation cannot be met here.\n")       \
	X(TOO_LARGE, 431, "head-too-large",                                                        \
	  "The headers of this request are larger than 16 KB; "                                    \
	  "cookies of this host may be the cause.\n")                                              \
	X(NOT_TAKEN, 503, "not-taken",                                                             \
	  "The process that serves this session does not respond. Try again.\n")                   \
	X(LATE, 408, "too-slow", "This request took too long to arrive.\n")                        \
	X(TOO_MANY, 431, "too-many-headers", "This request has more than 128 headers.\n")

enum http_fault {
	HTTP_FAULT_NONE,
#define X(id, status, name, sentence) HTTP_FAULT_##id,
	HTTP_FAULTS(X)
#undef X
};

const char *http_fault_name(enum http_fault fault);
unsigned http_fault_status(enum http_fault fault);
const char *http_fault_sentence(enum http_fault fault);

/* id, what it is called in the log. */
#define HTTP_ALIENS(X)                                           \
	X(UNKNOWN, "unknown protocol")                           \
	X(TLS, "TLS on a plain port")                            \
	X(XMPP, "XMPP stream")                                   \
	X(SSH, "SSH")                                            \
	X(HTTP2, "HTTP/2 without TLS")                           \
	X(PROXY, "PROXY header on a listener that expects none") \
	X(POLICY, "policy file request")

enum http_alien {
#define X(id, name) HTTP_ALIEN_##id,
	HTTP_ALIENS(X)
#undef X
};

const char *http_alien_name(enum http_alien alien);

#define HTTP_KNOWN(X)                                 \
	X(HOST, "Host")                               \
	X(CONNECTION, "Connection")                   \
	X(CONTENT_LENGTH, "Content-Length")           \
	X(TRANSFER_ENCODING, "Transfer-Encoding")     \
	X(CONTENT_ENCODING, "Content-Encoding")       \
	X(ACCEPT_ENCODING, "Accept-Encoding")         \
	X(EXPECT, "Expect")                           \
	X(ORIGIN, "Origin")                           \
	X(UPGRADE, "Upgrade")                         \
	X(FORWARDED_FOR, "X-Forwarded-For")           \
	X(FORWARDED_PROTO, "X-Forwarded-Proto")       \
	X(WEBSOCKET_KEY, "Sec-WebSocket-Key")         \
	X(WEBSOCKET_VERSION, "Sec-WebSocket-Version") \
	X(WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol")

enum http_known {
#define X(id, name) HTTP_KNOWN_##id,
	HTTP_KNOWN(X)
#undef X
		HTTP_KNOWN_COUNT
};

/* A part of the head, by its position. */
struct http_span {
	uint16_t at, n;
};

/* Zero-initialize it before the first byte. The members are valid after HTTP_HEAD_DONE. */
struct http_head {
	struct http_span method, path, authority; /* authority: of an absolute-form target */
	struct http_span known[HTTP_KNOWN_COUNT]; /* the first value; see n_known */
	uint8_t n_known[HTTP_KNOWN_COUNT];        /* in how many lines */
	uint64_t n_body;                          /* of Content-Length; 0 without one */
	uint16_t n;                               /* the bytes of the head */
	uint8_t minor;                            /* HTTP/1.minor, at most 1 */
	bool has_length, is_chunked;
	bool expects_continue; /* the body comes after a 100 (Continue) */
	bool closes;           /* the client wants one answer and then the end */
	bool is_escaped;       /* the path has percent signs */
	enum http_fault fault; /* after HTTP_HEAD_FAULT */
	enum http_alien alien; /* after HTTP_FAULT_ALIEN */

	/* private to the engine */
	uint16_t n_searched, line, fields;
	uint8_t n_lines, n_empty;
	bool has_request_line;
	bool is_coded;    /* Transfer-Encoding has something else than chunked */
	bool is_miscoded; /* it is malformed, or chunked is not its last item */
};

enum http_head_result {
	HTTP_HEAD_MORE,
	HTTP_HEAD_DONE,
	HTTP_HEAD_FAULT, /* head->fault says why; no more may be fed */
};

/* Continues with @bytes: all of the head that has arrived, from its first byte on, and perhaps more
 * behind it. No byte that was fed before may change. */
enum http_head_result http_head_feed(struct http_head *head, struct sv bytes);

static inline struct sv http_span_sv(struct http_span span, const char *bytes)
{
	return (struct sv){bytes + span.at, span.n};
}

/* The first value of a header; data is NULL if there is none. @bytes: the head, wherever it is
 * now. */
struct sv http_head_value(const struct http_head *head, const char *bytes, enum http_known known);

/* Goes through the values of the header @name, in the order of their lines; of a head that is not
 * done, through those that have been read. *@cursor is 0 at first. Returns false at the end. */
bool http_head_next(const struct http_head *head, const char *bytes, struct sv name,
		    uint16_t *cursor, struct sv *ret_value);
