/* SPDX-License-Identifier: MIT */
/* A server that names another host (RFC 6120, 4.9.3.19). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/xmpp/stream-case.h"

#define ERROR(children) "<stream:error>" children "</stream:error></stream:stream>"
#define TO(text) \
	"<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" text "</see-other-host>"

static void log_redirect(const struct stream *stream, struct buffer *log)
{
	struct redirect redirect;

	if (stream_event_redirect(stream, &redirect)) {
		LOG(log, "to %s:%u", redirect.host[0] ? redirect.host : "an address",
		    redirect.port);
	} else {
		LOG(log, "no");
	}
}

/* Logs where the first error leads, and what the server is told on the next connection. */
static void run_redirect(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct script *script = userdata;
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	struct stream stream;
	struct sv piece;

	stream_init(&stream, pool, &options, script->tls);
	assert_int_equal(stream_open(&stream, &juliet, script->secure), 0);
	buffer_consume(&stream.out, stream.out.n);
	pieces->rest = sv_from(script->phases[0]);
	while (kind != STREAM_EVENT_ERROR && pieces_next(pieces, &piece)) {
		assert_int_equal(stream_feed(&stream, piece.data, piece.n), 0);
		do {
			assert_int_equal(stream_next(&stream, &kind), 0);
			assert_int_not_equal(kind, STREAM_EVENT_FAILED);
		} while (kind != STREAM_EVENT_NONE && kind != STREAM_EVENT_ERROR);
	}
	assert_int_equal(kind, STREAM_EVENT_ERROR);
	log_redirect(&stream, log);
	stream_rewind(&stream);
	assert_int_equal(stream.state, STREAM_STATE_IDLE);
	assert_null(stream.id);
	assert_int_equal(stream.out.n, 0);
	assert_int_equal(stream_next(&stream, &kind), 0);
	assert_int_equal(kind, STREAM_EVENT_NONE);
	assert_int_equal(
		stream_open(&stream, &(struct stream_target){.to = SV_EMPTY}, script->secure), 0);
	LOG(log, " %.*s", SV_ARGS(buffer_sv(&stream.out)));
	stream_deinit(&stream);
}

static void leads(const char *server, const char *where)
{
	char expected[512];

	for (int secure = 0; secure <= 1; secure++) {
		struct script script = {
			.tls = DOMAIN_TLS_OPPORTUNISTIC, .secure = secure, .phases = {server}};

		snprintf(expected, sizeof(expected), "%s %s", where,
			 secure ? OPEN_SECURE : OPEN_PLAIN);
		pieces_check(SV(""), run_redirect, &script, expected);
	}
}

static void test_read(void **state)
{
	(void)state;
	leads(SERVER ERROR(TO("b.example.org")), "to b.example.org:0");
	leads(SERVER ERROR(TO("\n  b.example.org:9222\n")), "to b.example.org:9222");
	leads(SERVER ERROR(TO("[2001:db8::1]:9222")), "to an address:9222");
	leads(SERVER ERROR("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>gone</text>" TO(
		      "192.0.2.1")),
	      "to an address:0");
	leads(SERVER
	      "<stream:error xmlns:e='urn:ietf:params:xml:ns:xmpp-streams'><e:see-other-host a='>' "
	      " b=\"'>\" >b.example</e:see-other-host >"
	      "</stream:error>",
	      "to b.example:0");
}

static void test_not_read(void **state)
{
	(void)state;
	leads(SERVER ERROR("<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"), "no");
	leads(SERVER ERROR(""), "no");
	leads(SERVER ERROR("<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"), "no");
	leads(SERVER ERROR(TO("")), "no");
	leads(SERVER ERROR("<see-other-host xmlns='urn:other'>b.example.org</see-other-host>"),
	      "no");
	leads(SERVER ERROR("<see-other-host>b.example.org</see-other-host>"), "no");
	leads(SERVER ERROR("<x xmlns='urn:x'>" TO("b.example.org") "</x>"), "no");
	leads(SERVER ERROR(TO("b.example.org<x/>")), "no");
	leads(SERVER ERROR(TO("<x>b.example.org</x>")), "no");
	leads(SERVER ERROR(TO("<![CDATA[b.example.org]]>")), "no");
	leads(SERVER ERROR(TO("b.example.org<![CDATA[.evil.example]]>")), "no");
	leads(SERVER ERROR(TO("b&#46;example.org")), "no");
	leads(SERVER ERROR(TO("b.example.org:0")), "no");
	/* The first one counts. */
	leads(SERVER ERROR(TO("-") TO("b.example.org")), "no");
}

/* Once the client knows of the stream, it is the client's to follow. */
static void test_too_late(void **state)
{
	struct script off = {.tls = OFF,
			     .phases = {SERVER "<stream:features/>" ERROR(TO("b.example.org"))}};
	struct script old = {
		.tls = OFF,
		.phases = {"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>" ERROR(
			TO("b.example.org"))},
	};

	(void)state;
	pieces_check(SV(""), run_redirect, &off, "no " OPEN_SECURE);
	pieces_check(SV(""), run_redirect, &old, "no " OPEN_SECURE);
}

/* After SASL, between the new header and the new features, it is the client's stream too. */
static void test_restarted(void **state)
{
	struct stream stream;
	enum stream_event_kind kind;
	static const char *const phases[] = {SERVER "<stream:features/>" SUCCESS,
					     SERVER ERROR(TO("b.example.org"))};

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(stream_feed(&stream, phases[i], strlen(phases[i])), 0);
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_equal(kind, STREAM_EVENT_HEADER);
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_equal(kind, i ? STREAM_EVENT_ERROR : STREAM_EVENT_FEATURES);
		assert_false(stream_event_redirect(&stream, &(struct redirect){.port = 0}));
		if (i == 0) {
			assert_int_equal(stream_next(&stream, &kind), 0);
			assert_int_equal(kind, STREAM_EVENT_ELEMENT);
			assert_int_equal(
				stream_restart(&stream, &(struct stream_target){.to = SV_EMPTY}),
				0);
		}
	}
	stream_deinit(&stream);
}

/* The new connection is as good as the first: TLS is asked for anew. */
static void test_new_connection(void **state)
{
	static const char first[] = SERVER ERROR(TO("b.example.org"));
	static const char second[] = SERVER "<stream:features>" STARTTLS SASL "</stream:features>";
	struct stream stream;
	enum stream_event_kind kind;

	(void)state;
	stream_init(&stream, pool, &options, DOMAIN_TLS_REQUIRED);
	assert_int_equal(stream_open(&stream, &juliet, true), 0);
	assert_int_equal(stream_feed(&stream, first, sizeof(first) - 1), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_ERROR);
	stream_rewind(&stream);
	assert_int_equal(stream_close(&stream), 0);
	assert_int_equal(stream.out.n, 0);
	assert_int_equal(stream_open(&stream, &(struct stream_target){.to = SV_EMPTY}, false), 0);
	assert_true(sv_eq(buffer_sv(&stream.out), SV(OPEN_PLAIN)));
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_feed(&stream, second, sizeof(second) - 1), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind == STREAM_EVENT_HEADER);
	assert_int_equal(kind, STREAM_EVENT_NONE);
	assert_int_equal(stream.state, STREAM_STATE_PROCEED);
	stream_deinit(&stream);
}

/* A stream that was closed can begin anew, and be closed again. */
static void test_rewind_closed(void **state)
{
	struct stream stream;

	(void)state;
	stream_init(&stream, pool, &options, DOMAIN_TLS_REQUIRED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stream_open(&stream, &juliet, true), 0);
		buffer_consume(&stream.out, stream.out.n);
		assert_int_equal(stream_close(&stream), 0);
		assert_true(sv_eq(buffer_sv(&stream.out), SV("</stream:stream>")));
		stream_rewind(&stream);
	}
	stream_deinit(&stream);
}

static int feed(struct stream *stream, const char *text)
{
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	int r = stream_feed(stream, text, strlen(text));

	while (r == 0 && kind != STREAM_EVENT_ERROR) {
		r = stream_next(stream, &kind);
		if (r == 0 && kind == STREAM_EVENT_NONE) {
			return 1;
		}
	}
	return r;
}

static int scenario(void *userdata)
{
	struct xml_pool *own_pool;
	struct stream stream;
	struct redirect redirect;
	int r = xml_pool_new(namespaces, NS_COUNT, &own_pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	stream_init(&stream, own_pool, &options, DOMAIN_TLS_REQUIRED);
	r = stream_open(&stream, &juliet, false);
	if (r == 0) {
		r = feed(&stream, SERVER ERROR(TO("b.example.org:1")));
	}
	if (r == 0) {
		r = stream_event_redirect(&stream, &redirect) && redirect.port == 1 ? 0 : 2;
		stream_rewind(&stream);
	}
	if (r == 0) {
		r = stream_open(&stream, &(struct stream_target){.to = SV_EMPTY}, false);
	}
	stream_deinit(&stream);
	xml_pool_free(own_pool);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),           cmocka_unit_test(test_not_read),
		cmocka_unit_test(test_too_late),       cmocka_unit_test(test_restarted),
		cmocka_unit_test(test_new_connection), cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_rewind_closed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
