/* SPDX-License-Identifier: MIT */
/* What a stream tells of what the server sends: features, prefixes, limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/isolation.h"
#include "tests/unit/gateway/xmpp/stream-case.h"

static void test_features_filtered(void **state)
{
#define REST_A "<sm xmlns='urn:xmpp:sm:3'/>\n  "
#define REST_B "<x:y xmlns:x='z' a = \"1\">&lt;</x:y>" SASL
	(void)state;
	check((struct script){.tls = OFF,
			      .phases = {SERVER
					 "<stream:features >" REST_A STARTTLS REST_B COMPRESSION
					 "<!-- -->"}},
	      BEGIN "failed stream-malformed: restricted XML\n");
	check((struct script){.tls = OFF,
			      .phases = {SERVER
					 "<stream:features >" STARTTLS REST_A COMPRESSION REST_B
					 "</stream:features >"}},
	      BEGIN "features 1 <stream:features" DECLARED " >" REST_A REST_B
		    "</stream:features >\n");
	check((struct script){.tls = OFF,
			      .phases = {SERVER "<stream:features>" REST_B COMPRESSION STARTTLS
						"</stream:features>"}},
	      BEGIN "features 1 <stream:features" DECLARED ">" REST_B "</stream:features>\n");
	/* What has only the name, or only the namespace, or stands deeper, is another thing. */
#define NOT_HIDDEN                                             \
	"<starttls xmlns='x'/><compression xmlns='x'/><other " \
	"xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><deep xmlns='y'>" STARTTLS COMPRESSION "</deep>"
	check((struct script){.tls = OFF,
			      .phases = {SERVER "<stream:features>" NOT_HIDDEN
						"</stream:features>"}},
	      BEGIN "features 1 <stream:features" DECLARED ">" NOT_HIDDEN "</stream:features>\n");
	/* With a prefix it is the same thing. */
	check((struct script){.tls = OFF,
			      .phases = {SERVER
					 "<stream:features "
					 "xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'><t:starttls/>"
					 "</stream:features>"}},
	      BEGIN "features 1 <stream:features" DECLARED
		    " xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'></stream:features>\n");
}

static void test_prefixes(void **state)
{
	(void)state;
	/* Another prefix becomes "stream", in both tags and nowhere else. */
	check((struct script){.tls = OFF,
			      .phases = {ODD("xmlns='jabber:client'") "<x:features><a>x:features</"
								      "a></x:features>"
								      "<message/><x:error/>"}},
	      ANONYMOUS "features 1 <stream:features" DECLARED
			" xmlns:x='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
			"<a>x:features</a></stream:features>\n"
			"element 0 <message xmlns='jabber:client'/>\nerror 1 <stream:error" DECLARED
			" xmlns:x='http://etherx.jabber.org/streams'/> stream-error\n");
	/* The streams namespace as the default one. */
	check((struct script){.tls = OFF,
			      .phases = {"<stream xmlns='http://etherx.jabber.org/streams' "
					 "xmlns:c='jabber:client' "
					 "version='1.0'><features><c:x/><y/></"
					 "features><c:message><c:body/></c:message>"}},
	      ANONYMOUS "features 1 <stream:features" DECLARED
			" xmlns='http://etherx.jabber.org/streams' "
			"xmlns:c='jabber:client'><c:x/><y/></stream:features>\n"
			"element 0 <c:message xmlns:c='jabber:client'><c:body/></c:message>\n");
	check(
		(struct script){
			.tls = OFF,
			.phases = {"<stream xmlns='http://etherx.jabber.org/streams' version='1.0'>"
				   "<features xmlns='http://etherx.jabber.org/streams'/>"}},
		ANONYMOUS "features 1 <stream:features" DECLARED
			  " xmlns='http://etherx.jabber.org/streams'/>\n");
}

/* Where "stream" is already something in the element, it may not be declared twice. */
static void test_prefix_taken(void **state)
{
	(void)state;
	check((struct script){.tls = OFF,
			      .phases = {ODD("xmlns:stream='http://etherx.jabber.org/"
					     "streams'") "<x:features><stream:a/></"
							 "x:features>"}},
	      ANONYMOUS
	      "features 1 <stream:features xmlns:x='http://etherx.jabber.org/streams'" DECLARED
	      "><stream:a/></stream:features>\n");
	check(
		(struct script){
			.tls = OFF,
			.phases = {ODD(
				"xmlns:stream='other'") "<x:features><stream:a/></x:features>"}},
		ANONYMOUS "features 1 <x:features xmlns:x='http://etherx.jabber.org/streams' "
			  "xmlns:stream='other'>"
			  "<stream:a/></x:features>\n");
	check((struct script){.tls = OFF, .phases = {ODD("") "<x:features xmlns:stream='other'/>"}},
	      ANONYMOUS "features 1 <x:features xmlns:x='http://etherx.jabber.org/streams' "
			"xmlns:stream='other'/>\n");
	/* The last "<" is the end tag, also behind CDATA. */
	check((struct script){.tls = OFF,
			      .phases = {ODD(
				      "") "<x:features><![CDATA[</x:features>]]></x:features >"}},
	      ANONYMOUS "features 1 <stream:features" DECLARED
			" xmlns:x='http://etherx.jabber.org/streams'>"
			"<![CDATA[</x:features>]]></stream:features>\n");
}

static void test_limits(void **state)
{
	char phase[3000], expected[3000], text[STREAM_ID_MAX + 2];

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		/* "<m></m>" has 7 bytes. */
		snprintf(phase, sizeof(phase), "%s<stream:features/><m>%0*d</m>", SERVER,
			 (int)(N_ELEMENT_MAX - 7 + more), 0);
		snprintf(expected, sizeof(expected), "%sfeatures 1 <stream:features%s/>\n", BEGIN,
			 DECLARED);
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
			 more ? "failed stream-too-large\n"
			      : "element 0 <m xmlns='jabber:client'>%0*d</m>\n",
			 N_ELEMENT_MAX - 7, 0);
		check((struct script){.tls = OFF, .phases = {phase}}, expected);

		/* An id is whole, or none. */
		memset(text, 'x', sizeof(text));
		text[STREAM_ID_MAX + more] = '\0';
		snprintf(phase, sizeof(phase),
			 "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='%s' "
			 "from='%s'>",
			 text, text);
		snprintf(expected, sizeof(expected), "> %s\nheader %s %s -\n", OPEN_SECURE,
			 more ? "-" : text, more ? "-" : text);
		check((struct script){.tls = OFF, .phases = {phase}}, expected);
	}
}

static int feed_all(struct stream *stream, const char *text, struct buffer *elements)
{
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	int r = 0;

	for (struct sv rest = sv_from(text); r == 0 && rest.n; rest = sv_skip(rest, 11)) {
		r = stream_feed(stream, rest.data, rest.n < 11 ? rest.n : 11);
		do {
			r = r < 0 ? r : stream_next(stream, &kind);
			if (r == 0 &&
			    (kind == STREAM_EVENT_FEATURES || kind == STREAM_EVENT_ELEMENT)) {
				r = stream_event_write(stream, elements);
			}
			if (r == 0 && kind == STREAM_EVENT_FAILED) {
				return 1;
			}
		} while (r == 0 && kind != STREAM_EVENT_NONE);
	}
	if (r < 0 && stream->state != STREAM_STATE_OVER && kind == STREAM_EVENT_NONE) {
		return 2;
	}
	return r;
}

static int scenario(void *userdata)
{
	static const char expected[] =
		"<stream:features" DECLARED
		" xmlns:x='http://etherx.jabber.org/streams'></stream:features>";
	struct xml_pool *own_pool;
	struct stream stream;
	struct buffer elements = BUFFER_INIT;
	int r = xml_pool_new(namespaces, NS_COUNT, &own_pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	stream_init(&stream, own_pool, &options, DOMAIN_TLS_REQUIRED);
	r = stream_open(&stream,
			&(struct stream_target){.to = SV("example.org"),
						.from = SV("a@b"),
						.lang = SV("de"),
						.version = SV("1.0")},
			false);
	if (r == 0) {
		r = feed_all(&stream,
			     SERVER "<stream:features>" STARTTLS "</stream:features>" PROCEED,
			     &elements);
	}
	if (r == 0) {
		r = stream_secured(&stream);
	}
	if (r == 0) {
		r = feed_all(&stream,
			     ODD("id='i' from='f' xml:lang='l'") "<x:features>" STARTTLS
								 "</x:features>",
			     &elements);
	}
	if (r == 0 && !sv_eq(buffer_sv(&elements), sv_from(expected))) {
		r = 3;
	}
	if (r == 0) {
		/* First too early, and then as it should be. */
		r = stream_restart(&stream, &(struct stream_target){.lang = SV("en")});
	}
	buffer_clear(&elements);
	if (r == 0) {
		r = feed_all(&stream, SUCCESS, &elements);
	}
	if (r == 0 && sv_find_sv(buffer_sv(&elements), sv_from(expected)) != 0) {
		r = 4;
	}
	if (r == 0) {
		r = stream_restart(&stream, &(struct stream_target){.from = SV("c@d")});
	}
	if (r == 0) {
		r = stream_close(&stream);
	}
	buffer_deinit(&elements);
	stream_deinit(&stream);
	xml_pool_free(own_pool);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 40);
}

/* The text alone, after the server's header, and after the features of an open stream. */
static void run_streams(struct xml_pool *over, struct pieces *pieces, struct buffer *log)
{
	static const char *const before[] = {"", SERVER, SERVER "<stream:features/>"};
	struct stream stream;

	for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
		struct pieces first = {.rest = sv_from(before[i]), .way = PIECES_WHOLE},
			      then = *pieces;

		stream_init(&stream, over, &options, OFF);
		assert_int_equal(stream_open(&stream, &juliet, false), 0);
		run_phase(&stream, &first, log);
		run_phase(&stream, &then, log);
		pieces_end(&then);
		stream_deinit(&stream);
	}
}

static void test_isolation(void **state)
{
	const struct isolation isolation = {
		.namespaces = namespaces, .n_namespaces = NS_COUNT, .run = run_streams};

	(void)state;
	isolation_check(&isolation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features_filtered), cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefix_taken),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_without_memory),    cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
