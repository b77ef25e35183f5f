/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A stream under test: what the server says goes in in pieces, what the stream tells and says comes
 * out as a log, one line an event; lines that begin with ">" are for the server. Included after
 * cmocka.h.
 */
#include <errno.h>
#include <stdio.h>

#include "common/xml-parser.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"
#include "tests/unit/corpus.h"

enum {
	N_ELEMENT_MAX = 1000,
	N_PHASES_MAX = 8,
};

#define OPEN                                                         \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams' "           \
	"to='example.org'"
#define OPEN_PLAIN OPEN " version='1.0'>"
#define OPEN_SECURE OPEN " from='juliet@example.org' version='1.0'>"
#define SERVER                                                       \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams' "           \
	"id='s1' from='example.org' version='1.0' xml:lang='en'>"
#define HEADER "header s1 example.org en\n"
#define DECLARED " xmlns:stream='http://etherx.jabber.org/streams'"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
#define PROCEED "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define COMPRESSION     \
	"<compression " \
	"xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
#define SASL           \
	"<mechanisms " \
	"xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
#define ASKED "> <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n"

/* What the server sends: between two phases the client's side takes its turn. */
struct script {
	enum domain_tls tls;
	bool secure; /* TLS before the first byte */
	const char *phases[N_PHASES_MAX];
};

static struct xml_pool *pool;
static struct xml_scan_options options;

static inline int setup(void **state)
{
	(void)state;
	options = stream_options(N_ELEMENT_MAX);
	return corpus_pool_new(namespaces, NS_COUNT, &pool);
}

static inline int teardown(void **state)
{
	(void)state;
	pool = xml_pool_free(pool);
	return 0;
}

static const struct stream_target juliet = {
	.to = {"example.org", 11},
	.from = {"juliet@example.org", 18},
};

/* The ways to get an element give the same bytes. */
static inline void check_ways(struct stream *stream, struct sv text)
{
	static struct buffer taken; /* the event points into it until the next one */
	struct buffer split = BUFFER_INIT;
	struct sv rest;

	assert_int_equal(stream_event_split(stream, &split, &rest), 0);
	assert_int_equal(buffer_append_sv(&split, rest), 0);
	assert_true(sv_eq(buffer_sv(&split), text));
	buffer_deinit(&split);
	buffer_deinit(&taken);
	assert_int_equal(stream_event_take(stream, &taken), 0);
	assert_true(sv_eq(buffer_sv(&taken), text));
}

static inline void log_event(struct stream *stream, enum stream_event_kind kind, struct buffer *log)
{
	static const char *const names[] = {
		[STREAM_EVENT_SECURE] = "secure",   [STREAM_EVENT_FEATURES] = "features",
		[STREAM_EVENT_ELEMENT] = "element", [STREAM_EVENT_ERROR] = "error",
		[STREAM_EVENT_CLOSED] = "closed",   [STREAM_EVENT_FAILED] = "failed",
	};
	struct buffer text = BUFFER_INIT;
	struct redirect redirect;

	if (kind == STREAM_EVENT_HEADER) {
		LOG(log, "header %s %s %s\n", stream->id ? stream->id : "-",
		    stream->from ? stream->from : "-", stream->lang ? stream->lang : "-");
		return;
	}
	LOG(log, "%s", names[kind]);
	if (kind == STREAM_EVENT_FEATURES || kind == STREAM_EVENT_ELEMENT ||
	    kind == STREAM_EVENT_ERROR) {
		assert_int_equal(stream_event_write(stream, &text), 0);
		LOG(log, " %d %.*s", stream_event_is_stream(stream), SV_ARGS(buffer_sv(&text)));
		check_ways(stream, buffer_sv(&text));
		buffer_deinit(&text);
	}
	if (kind == STREAM_EVENT_ERROR || kind == STREAM_EVENT_FAILED ||
	    kind == STREAM_EVENT_CLOSED) {
		LOG(log, " %s", failure_name(stream->failure.kind));
		LOG(log, stream->failure.detail[0] ? ": %s" : "%s", stream->failure.detail);
		assert_int_equal(stream->state, STREAM_STATE_OVER);
	}
	if (kind == STREAM_EVENT_ERROR && stream_event_redirect(stream, &redirect)) {
		assert_true(redirect.host[0] || redirect.address.any.sa_family);
	}
	LOG(log, "\n");
}

static inline void log_out(struct stream *stream, struct buffer *log)
{
	if (stream->out.n) {
		LOG(log, "> %.*s\n", SV_ARGS(buffer_sv(&stream->out)));
	}
	buffer_consume(&stream->out, stream->out.n);
}

/* Whether the scan holds the beginning of a token. Then @ret_piece is empty, and what follows it is
 * to be told at once. */
static inline bool is_held(const struct stream *stream, struct sv *ret_piece)
{
	*ret_piece = SV_EMPTY;
	return stream->state != STREAM_STATE_OVER && stream->scan.parser &&
	       stream->scan.parser->held.n > 0;
}

static inline void run_phase(struct stream *stream, struct pieces *pieces, struct buffer *log)
{
	enum stream_event_kind kind;
	struct sv piece;
	bool success = false;

	while (pieces_next(pieces, &piece) || is_held(stream, &piece)) {
		bool is_end = piece.n == 0;

		assert_int_equal(stream_feed(stream, piece.data, piece.n), 0);
		if (is_end) {
			stream->feed_result = xml_scan_flush(&stream->scan);
		}
		for (;;) {
			assert_int_equal(stream_next(stream, &kind), 0);
			if (kind == STREAM_EVENT_NONE) {
				break;
			}
			log_event(stream, kind, log);
			success = success ||
				  (kind == STREAM_EVENT_ELEMENT && stream->item.ns == NS_SASL &&
				   sv_eq(stream->item.name, SV("success")));
		}
	}
	log_out(stream, log);
	if (success) {
		assert_int_equal(stream_restart(stream, &(struct stream_target){0}), 0);
	}
	if (stream->state == STREAM_STATE_HANDSHAKE) {
		assert_int_equal(stream_secured(stream), 0);
	}
	log_out(stream, log);
}

static inline void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct script *script = userdata;
	struct stream stream;

	stream_init(&stream, pool, &options, script->tls);
	assert_int_equal(stream_open(&stream, &juliet, script->secure), 0);
	log_out(&stream, log);
	for (size_t i = 0; i < N_PHASES_MAX && script->phases[i]; i++) {
		struct pieces phase = *pieces;

		phase.rest = sv_from(script->phases[i]);
		run_phase(&stream, &phase, log);
		pieces_end(&phase);
	}
	stream_deinit(&stream);
}

static inline void check(struct script script, const char *expected)
{
	pieces_check(SV(""), run, &script, expected);
}

#define OFF DOMAIN_TLS_OFF
#define BEGIN "> " OPEN_SECURE "\n" HEADER
#define ODD(declarations) \
	"<x:stream xmlns:x='http://etherx.jabber.org/streams' version='1.0' " declarations ">"
#define ANONYMOUS "> " OPEN_SECURE "\nheader - - -\n"
