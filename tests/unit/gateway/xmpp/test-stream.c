/* SPDX-License-Identifier: MIT */
/* How a stream is opened, secured, restarted and closed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/xmpp/stream-case.h"

/* The header alone, as @target and the way of TLS make it. */
static void check_header(const struct stream_target *target, enum domain_tls tls, bool secure,
			 const char *expected)
{
	struct stream stream;

	stream_init(&stream, pool, &options, tls);
	assert_int_equal(stream.state, STREAM_STATE_IDLE);
	assert_int_equal(stream_open(&stream, target, secure), 0);
	assert_int_equal(stream.state, STREAM_STATE_HEADER);
	if (!sv_eq(buffer_sv(&stream.out), sv_from(expected))) {
		fail_msg("got\n%.*s\nexpected\n%s", SV_ARGS(buffer_sv(&stream.out)), expected);
	}
	stream_deinit(&stream);
	stream_deinit(&stream);
}

static void test_header(void **state)
{
	const struct stream_target full = {.to = SV("example.org"),
					   .from = SV("a'b<&>\"@example.org"),
					   .lang = SV("de'"),
					   .version = SV("1.1")};

	(void)state;
	/* RFC 6120, 4.7.1: `from` is private until TLS is on, or none will come. */
	check_header(&juliet, DOMAIN_TLS_REQUIRED, false, OPEN_PLAIN);
	check_header(&juliet, DOMAIN_TLS_OPPORTUNISTIC, false, OPEN_PLAIN);
	check_header(&juliet, DOMAIN_TLS_DIRECT, true, OPEN_SECURE);
	check_header(&juliet, DOMAIN_TLS_OFF, false, OPEN_SECURE);
	check_header(&(struct stream_target){.to = SV("example.org")}, DOMAIN_TLS_OFF, false,
		     OPEN_PLAIN);
	check_header(&full, DOMAIN_TLS_OFF, false,
		     OPEN " from='a&apos;b&lt;&amp;&gt;&quot;@example.org' xml:lang='de&apos;' "
			  "version='1.1'>");
}

static void test_starttls(void **state)
{
	(void)state;
	check((struct script){.phases = {SERVER "\n<stream:features>" STARTTLS SASL
						"</stream:features>",
					 PROCEED, SERVER,
					 "<stream:features>" SASL "</stream:features>"}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED "secure\n> " OPEN_SECURE "\n" HEADER
	      "features 1 <stream:features" DECLARED ">" SASL "</stream:features>\n");
	/* Not the first of the features. */
	check((struct script){.phases = {SERVER "<stream:features>" SASL STARTTLS
						"</stream:features>",
					 PROCEED}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED "secure\n> " OPEN_SECURE "\n");
	/* TLS asked for where it is only wished for. */
	check((struct script){.tls = DOMAIN_TLS_OPPORTUNISTIC,
			      .phases = {SERVER "<stream:features>" STARTTLS "</stream:features>",
					 PROCEED}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED "secure\n> " OPEN_SECURE "\n");
	/* Refused, or answered with something else. */
	check((struct script){.phases = {SERVER "<stream:features>" STARTTLS "</stream:features>",
					 "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
					 SERVER}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED
	      "failed tls-not-offered: the server offered TLS and then refused it\n");
	check((struct script){.phases = {SERVER "<stream:features>" STARTTLS "</stream:features>",
					 "<proceed xmlns='jabber:client'/>"}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED "failed stream-malformed: no answer to STARTTLS\n");
	check((struct script){.phases = {SERVER "<stream:features>" STARTTLS "</stream:features>",
					 "<stream:error><policy-violation "
					 "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
					 "</stream:error>"}},
	      "> " OPEN_PLAIN "\n" HEADER ASKED "error 1 <stream:error" DECLARED
	      "><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	      " stream-error: policy-violation\n");
}

static void test_tls_not_offered(void **state)
{
	(void)state;
	check((struct script){.phases = {SERVER "<stream:features>" SASL
						"</stream:features>" SUCCESS}},
	      "> " OPEN_PLAIN "\n" HEADER "failed tls-not-offered\n");
	check((struct script){.tls = DOMAIN_TLS_OPPORTUNISTIC,
			      .phases = {SERVER "<stream:features/>"}},
	      "> " OPEN_PLAIN "\n" HEADER "features 1 <stream:features" DECLARED "/>\n");
	/* An attacker may take it out of the features, or give a header without features. */
	check((struct script){.phases = {"<stream:stream xmlns='jabber:client'" DECLARED
					 " id='s1'>"}},
	      "> " OPEN_PLAIN "\nfailed tls-not-offered\n");
	/* Off, direct, and after TLS: it is not asked for, and not shown to the client. */
	check((struct script){.tls = DOMAIN_TLS_OFF,
			      .phases = {SERVER "<stream:features>" STARTTLS SASL
						"</stream:features>"}},
	      "> " OPEN_SECURE "\n" HEADER "features 1 <stream:features" DECLARED ">" SASL
	      "</stream:features>\n");
	check((struct script){.tls = DOMAIN_TLS_DIRECT,
			      .secure = true,
			      .phases = {SERVER "<stream:features>" STARTTLS "</stream:features>"}},
	      "> " OPEN_SECURE "\n" HEADER "features 1 <stream:features" DECLARED
	      "></stream:features>\n");
	/* Only the features decide about TLS, and only the first. */
	check((struct script){.tls = DOMAIN_TLS_OPPORTUNISTIC,
			      .phases = {SERVER "<stream:features/><stream:features>" STARTTLS
						"</stream:features>"}},
	      "> " OPEN_PLAIN "\n" HEADER "features 1 <stream:features" DECLARED "/>\n"
	      "features 1 <stream:features" DECLARED "></stream:features>\n");
	check((struct script){.tls = DOMAIN_TLS_OPPORTUNISTIC,
			      .phases = {"<stream:stream xmlns='jabber:client'" DECLARED ">"
					 "<stream:features>" STARTTLS "</stream:features>"}},
	      "> " OPEN_PLAIN "\nheader - - -\nfeatures 1 <stream:features" DECLARED
	      "></stream:features>\n");
	/* A stream that became the client's without features stays in clear, also when a restart
	 * brings some. */
	check((struct script){.tls = DOMAIN_TLS_OPPORTUNISTIC,
			      .phases = {"<stream:stream xmlns='jabber:client'" DECLARED
					 ">" SUCCESS,
					 SERVER "<stream:features>" STARTTLS "</stream:features>"}},
	      "> " OPEN_PLAIN "\nheader - - -\nelement 0 " SUCCESS "\n> " OPEN_SECURE "\n" HEADER
	      "features 1 <stream:features" DECLARED "></stream:features>\n");
}

/* What stands behind <proceed/> came in clear: it must not be taken for what came inside TLS. */
static void test_injection(void **state)
{
	static const char *const injected[] = {
		"<evil/>", SERVER "<stream:features/>", "</stream:stream>", "<!-- -->",
		"<",       "<stream:error/>",           "garbage"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(injected); i++) {
		char phase[1000];

		snprintf(phase, sizeof(phase), "%s%s", PROCEED, injected[i]);
		check((struct script){.phases = {SERVER "<stream:features>" STARTTLS
							"</stream:features>",
						 phase, SERVER, "<stream:features/>"}},
		      "> " OPEN_PLAIN "\n" HEADER ASKED "secure\n> " OPEN_SECURE "\n" HEADER
		      "features 1 <stream:features" DECLARED "/>\n");
	}
	/* Nor may it come before. */
	check((struct script){.phases = {SERVER "<stream:features>" STARTTLS
						"</stream:features><evil/>" PROCEED}},
	      "> " OPEN_PLAIN "\n" HEADER "failed stream-malformed: no answer to STARTTLS\n" ASKED);
}

static void test_restart(void **state)
{
	(void)state;
	check((struct script){.tls = OFF,
			      .phases = {SERVER "<stream:features>" SASL "</stream:features>",
					 SUCCESS,
					 "<?xml version='1.0'?><a:stream "
					 "xmlns:a='http://etherx.jabber.org/streams' "
					 "xmlns='jabber:client' id='s2' version='1.0'>",
					 "<a:features/><message/>"}},
	      BEGIN "features 1 <stream:features" DECLARED ">" SASL "</stream:features>\n"
		    "element 0 " SUCCESS "\n> " OPEN_SECURE
		    "\nheader s2 - -\nfeatures 1 <stream:features" DECLARED
		    " xmlns:a='http://etherx.jabber.org/streams'/>\nelement 0 <message "
		    "xmlns='jabber:client'/>\n");
}

static void test_restart_target(void **state)
{
	struct stream stream;
	enum stream_event_kind kind;
	const struct stream_target changed = {.from = SV("romeo@example.org"), .lang = SV("it")};

	(void)state;
	stream_init(&stream, pool, &options, DOMAIN_TLS_OPPORTUNISTIC);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	buffer_consume(&stream.out, stream.out.n);
	/* Not before the features. */
	assert_int_equal(stream_restart(&stream, &changed), 0);
	assert_int_equal(stream.out.n, 0);
	assert_int_equal(stream_feed(&stream, SERVER "<stream:features/>" SUCCESS,
				     strlen(SERVER "<stream:features/>" SUCCESS)),
			 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_NONE);
	assert_int_equal(stream.state, STREAM_STATE_OPEN);
	/* There will be no TLS: the address may go out. What is not said anew stays. */
	assert_int_equal(stream_restart(&stream, &changed), 0);
	assert_true(sv_eq(buffer_sv(&stream.out),
			  SV(OPEN " from='romeo@example.org' xml:lang='it' version='1.0'>")));
	assert_null(stream.id);
	stream_deinit(&stream);
}

static void test_errors(void **state)
{
	static const struct {
		const char *phase, *expected;
	} rows[] = {
		{"<x/>", "failed stream-malformed: the root is no <stream:stream>\n"},
		{"<stream xmlns='jabber:client'>",
		 "failed stream-malformed: the root is no <stream:stream>\n"},
		{"<x:streams xmlns:x='http://etherx.jabber.org/streams'>",
		 "failed stream-malformed: the root is no <stream:stream>\n"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "failed stream-malformed: not well-formed\n"},
		{SERVER "<message/>", HEADER "failed stream-malformed: no features\n"},
		{SERVER "<stream:features/><a></b>",
		 HEADER "features 1 <stream:features" DECLARED
			"/>\nfailed stream-malformed: not well-formed\n"},
		{SERVER "<stream:features/>x",
		 HEADER "features 1 <stream:features" DECLARED
			"/>\nfailed stream-malformed: not well-formed\n"},
		{SERVER "<stream:features/><![CDATA[",
		 HEADER "features 1 <stream:features" DECLARED "/>\n"
			"failed stream-malformed: not well-formed\n"},
		{SERVER "<stream:features/>\n<![CDATA[]]><a/>",
		 HEADER "features 1 <stream:features" DECLARED "/>\n"
			"failed stream-malformed: not well-formed\n"},
		{SERVER "<![CDATA[ ]]>", HEADER "failed stream-malformed: not well-formed\n"},
		{"<![CDATA[", "failed stream-malformed: not well-formed\n"},
		{SERVER "<stream:features/><a><!-- --></a>",
		 HEADER "features 1 <stream:features" DECLARED
			"/>\nfailed stream-malformed: restricted XML\n"},
		{SERVER "<stream:features/></stream:stream><a/>",
		 HEADER "features 1 <stream:features" DECLARED "/>\nclosed stream-closed\n"},
		{SERVER "</stream:stream>", HEADER "closed stream-closed\n"},
		{SERVER
		 "<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</text>"
		 "<host-unknown "
		 "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
		 HEADER
		 "error 1 <stream:error" DECLARED
		 "><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</text>"
		 "<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error> "
		 "stream-error: host-unknown\n"},
		{SERVER "<stream:error/>",
		 HEADER "error 1 <stream:error" DECLARED "/> stream-error\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer expected = BUFFER_INIT;

		LOG(&expected, "> %s\n%s", OPEN_SECURE, rows[i].expected);
		assert_int_equal(buffer_append(&expected, "", 1), 0);
		check((struct script){.tls = OFF, .phases = {rows[i].phase, "<late/>"}},
		      buffer_sv(&expected).data);
		buffer_deinit(&expected);
	}
}

static void test_close(void **state)
{
	struct stream stream;
	enum stream_event_kind kind;

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_close(&stream), 0);
	assert_int_equal(stream.out.n, 0);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_close(&stream), 0);
	assert_int_equal(stream_close(&stream), 0);
	assert_true(sv_eq(buffer_sv(&stream.out), SV("</stream:stream>")));
	/* What the server still sends is told. */
	static const char last[] = SERVER "<stream:features/><message/></stream:stream>";
	static const enum stream_event_kind expected[] = {
		STREAM_EVENT_HEADER, STREAM_EVENT_FEATURES, STREAM_EVENT_ELEMENT,
		STREAM_EVENT_CLOSED, STREAM_EVENT_NONE};

	assert_int_equal(stream_feed(&stream, last, sizeof(last) - 1), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_equal(kind, expected[i]);
	}
	/* Said once. */
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_close(&stream), 0);
	assert_int_equal(stream_restart(&stream, &juliet), 0);
	assert_int_equal(stream.out.n, 0);
	stream_deinit(&stream);

	/* In answer to the server's. */
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_feed(&stream, last, sizeof(last) - 1), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_CLOSED);
	assert_int_equal(stream_close(&stream), 0);
	assert_true(sv_eq(buffer_sv(&stream.out), SV("</stream:stream>")));
	stream_deinit(&stream);
}

/* After our farewell nobody can restart the stream. */
static void test_close_then_restart(void **state)
{
	struct stream stream;
	enum stream_event_kind kind;
	static const char text[] = SERVER "<stream:features/>" SUCCESS;

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_feed(&stream, text, sizeof(text) - 1), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_NONE);
	assert_int_equal(stream_close(&stream), 0);
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_restart(&stream, &juliet), 0);
	assert_int_equal(stream.out.n, 0);
	stream_deinit(&stream);
}

/* XEP-0198: by what the server says, not by what was asked for. */
static void test_managed(void **state)
{
	static const struct {
		const char *element;
		bool managed;
	} rows[] = {
		{"<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>", true},
		{"<enabled xmlns='urn:xmpp:sm:2'/><message/>", true},
		{"<s:resumed xmlns:s='urn:xmpp:sm:3' h='0' previd='x'/><r xmlns='urn:xmpp:sm:3'/>",
		 true},
		{"<success xmlns='urn:xmpp:sasl:2'><bound><enabled xmlns='urn:xmpp:sm:3'/></bound>"
		 "</success>",
		 true},
		{"<failed xmlns='urn:xmpp:sm:3'/>", false},
		{"<r xmlns='urn:xmpp:sm:3'/><enabled xmlns='urn:x'/>", false},
		{"<message><enabled xmlns='urn:xmpp:sm:3'/></message>", false},
		{"<success xmlns='urn:xmpp:sasl:2'><failed xmlns='urn:xmpp:sm:3'/></success>",
		 false},
	};
	static const char begin[] = SERVER "<stream:features/>";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *const texts[] = {begin, rows[i].element};
		enum stream_event_kind kind;
		struct stream stream;

		stream_init(&stream, pool, &options, OFF);
		assert_int_equal(stream_open(&stream, &juliet, false), 0);
		for (size_t j = 0; j < ARRAY_LENGTH(texts); j++) {
			assert_false(stream.is_managed);
			assert_int_equal(stream_feed(&stream, texts[j], strlen(texts[j])), 0);
			do {
				assert_int_equal(stream_next(&stream, &kind), 0);
			} while (kind != STREAM_EVENT_NONE);
		}
		assert_int_equal(stream.is_managed, rows[i].managed);
		stream_deinit(&stream);
	}
}

static void test_held(void **state)
{
	static const char half[] = SERVER "<stream:features><x xmlns='urn:x'>";
	char text[500];
	enum stream_event_kind kind;
	struct stream stream;

	(void)state;
	memset(text, 'x', sizeof(text));
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_held(&stream), 0);
	assert_int_equal(stream_feed(&stream, half, strlen(half)), 0);
	while (stream_next(&stream, &kind) == 0 && kind != STREAM_EVENT_NONE) {
	}
	assert_int_equal(stream_feed(&stream, text, sizeof(text)), 0);
	while (stream_next(&stream, &kind) == 0 && kind != STREAM_EVENT_NONE) {
	}
	assert_true(stream_held(&stream) > sizeof(text));
	stream_deinit(&stream);
	assert_int_equal(stream_held(&stream), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_tls_not_offered),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_target),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_then_restart),
		cmocka_unit_test(test_managed),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
