/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/gateway/bosh/body-case.h"

#define assert_sv(view, expected)                                            \
	do {                                                                 \
		if (!sv_eq(view, sv_from(expected))) {                       \
			fail_msg("got '%.*s', expected '%s'", (int)(view).n, \
				 (view).n ? (view).data : "", expected);     \
		}                                                            \
	} while (0)

static void test_creation(void **state)
{
	struct bosh_body body;

	(void)state;
	assert_int_equal(
		read_text("<?xml version='1.0'?>\n<body content='text/xml; charset=utf-8' "
			  "from='user@example.com' "
			  "hold='1' rid='1573741820' to='example.com' "
			  "route='xmpp:example.com:9999' ver='1.6' "
			  "wait='60' ack='1' xml:lang='en' xmpp:version='1.0' "
			  "newkey='ee9d80e206e7496c89fc34c85bd3998b3cf2b741' key='bb' stream='cc' "
			  "unknown='dd' xmlns='http://jabber.org/protocol/httpbind' "
			  "xmlns:xmpp='urn:xmpp:xbosh'/>\n",
			  &body),
		BOSH_BODY_OK);
	assert_true(body.has_rid);
	assert_int_equal(body.rid, 1573741820);
	assert_true(body.has_ver);
	assert_int_equal(body.ver_major, 1);
	assert_int_equal(body.ver_minor, 6);
	assert_true(body.wait.is_set && body.hold.is_set && body.ack.is_set);
	assert_int_equal(body.wait.value, 60);
	assert_int_equal(body.hold.value, 1);
	assert_int_equal(body.ack.value, 1);
	assert_false(body.pause.is_set);
	assert_false(body.wants_restart);
	assert_sv(body.to, "example.com");
	assert_sv(body.from, "user@example.com");
	assert_sv(body.route, "xmpp:example.com:9999");
	assert_sv(body.content, "text/xml; charset=utf-8");
	assert_sv(body.lang, "en");
	assert_sv(body.xmpp_version, "1.0");
	assert_sv(body.newkey, "ee9d80e206e7496c89fc34c85bd3998b3cf2b741");
	assert_sv(body.key, "bb");
	assert_sv(body.stream, "cc");
	assert_null(body.sid.data);
	assert_null(body.type.data);
	assert_null(body.condition.data);
	assert_int_equal(body.n_payloads, 0);
	assert_int_equal(body.payloads.n, 0);
	bosh_body_deinit(&body);
	bosh_body_deinit(&body);
}

static void test_absent_and_empty(void **state)
{
	struct bosh_body body;

	(void)state;
	assert_int_equal(read_text("<body" NS "/>", &body), BOSH_BODY_OK);
	assert_false(body.has_rid || body.has_ver || body.wait.is_set || body.hold.is_set ||
		     body.wants_restart);
	assert_null(body.to.data);
	bosh_body_deinit(&body);

	/* White space around it, and a CR at its end. */
	check_result("<body" NS "/>\r\n \t\r", BOSH_BODY_OK);
	check_result("\n<body" NS "/>\r\n \t\r", BOSH_BODY_OK);
	check_result("<body" NS "></body>\n", BOSH_BODY_OK);

	assert_int_equal(read_text("<body" NS " to='' sid=''/>", &body), BOSH_BODY_OK);
	assert_non_null(body.to.data);
	assert_int_equal(body.to.n, 0);
	assert_non_null(body.sid.data);
	bosh_body_deinit(&body);

	/* Decoded once. */
	assert_int_equal(read_text("<body" NS
				   " from='&lt;&amp;lt;&#x41;' type='terminate' condition='x'/>",
				   &body),
			 BOSH_BODY_OK);
	assert_sv(body.from, "<&lt;A");
	assert_sv(body.type, "terminate");
	assert_sv(body.condition, "x");
	bosh_body_deinit(&body);
}

static void test_restart(void **state)
{
	static const struct {
		const char *attributes;
		bool wants_restart;
	} rows[] = {
		{" xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", true},
		{" xmlns:x='urn:xmpp:xbosh' x:restart='1'", true},
		{" xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='false'", false},
		{" xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='0'", false},
		{" xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart=''", false},
		{" xmlns:xmpp='other' xmpp:restart='true'", false},
		{" restart='true'", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bosh_body body;
		char text[300];

		snprintf(text, sizeof(text), "<body" NS " rid='1'%s/>", rows[i].attributes);
		assert_int_equal(read_text(text, &body), BOSH_BODY_OK);
		assert_int_equal(body.wants_restart, rows[i].wants_restart);
		bosh_body_deinit(&body);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *value;
		int result;
		uint64_t number;
	} rows[] = {
		{"1", BOSH_BODY_OK, 1},
		{"007", BOSH_BODY_OK, 7},
		{"9007199254740991", BOSH_BODY_OK, BOSH_RID_MAX},
		{"9007199254740992", BOSH_BODY_E_BAD_REQUEST, 0},
		{"18446744073709551617", BOSH_BODY_E_BAD_REQUEST, 0},
		{"", BOSH_BODY_E_BAD_REQUEST, 0},
		{"-1", BOSH_BODY_E_BAD_REQUEST, 0},
		{"+1", BOSH_BODY_E_BAD_REQUEST, 0},
		{" 1", BOSH_BODY_E_BAD_REQUEST, 0},
		{"1 ", BOSH_BODY_E_BAD_REQUEST, 0},
		{"1.5", BOSH_BODY_E_BAD_REQUEST, 0},
		{"1e3", BOSH_BODY_E_BAD_REQUEST, 0},
		{"0x10", BOSH_BODY_E_BAD_REQUEST, 0},
		{"\xd9\xa1", BOSH_BODY_E_BAD_REQUEST, 0},
	};
	static const char *const names[] = {"rid", "wait", "hold", "ack", "pause"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows) * ARRAY_LENGTH(names); i++) {
		size_t row = i / ARRAY_LENGTH(names), name = i % ARRAY_LENGTH(names);
		struct bosh_body body;
		char text[300];

		snprintf(text, sizeof(text), "<body" NS " %s='%s'/>", names[name], rows[row].value);
		int r = read_text(text, &body);

		if (r != rows[row].result) {
			fail_msg("%s gave %d", text, r);
		}
		const struct bosh_number numbers[] = {
			{body.has_rid, body.rid}, body.wait, body.hold, body.ack, body.pause};

		if (r == BOSH_BODY_OK) {
			for (size_t other = 0; other < ARRAY_LENGTH(numbers); other++) {
				assert_int_equal(numbers[other].is_set, other == name);
			}
			assert_int_equal(numbers[name].value, rows[row].number);
		}
		bosh_body_deinit(&body);
	}
	/* Zero is allowed as wait and hold, but not as rid. */
	check_result("<body" NS " wait='0' hold='0' ack='0' pause='0'/>", BOSH_BODY_OK);
	check_result("<body" NS " rid='0'/>", BOSH_BODY_E_BAD_REQUEST);
}

static void test_ver(void **state)
{
	static const struct {
		const char *ver;
		int result;
		unsigned major, minor;
	} rows[] = {
		{"1.6", BOSH_BODY_OK, 1, 6},
		{"1.11", BOSH_BODY_OK, 1, 11},
		{"2.0", BOSH_BODY_OK, 2, 0},
		{"1", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{"1.", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{".6", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{"1.6.1", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{"", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{"1.65536", BOSH_BODY_E_BAD_REQUEST, 0, 0},
		{"a.b", BOSH_BODY_E_BAD_REQUEST, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bosh_body body;
		char text[300];

		snprintf(text, sizeof(text), "<body" NS " ver='%s'/>", rows[i].ver);
		assert_int_equal(read_text(text, &body), rows[i].result);
		/* Even a malformed `ver` tells that this is no legacy client. */
		assert_true(body.has_ver);
		if (rows[i].result == BOSH_BODY_OK) {
			assert_int_equal(body.ver_major, rows[i].major);
			assert_int_equal(body.ver_minor, rows[i].minor);
		}
		bosh_body_deinit(&body);
	}
}

static void test_payloads(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *payloads;
	} rows[] = {
		/* Nothing is added. */
		{BODY("", "<message xmlns='jabber:client' to = \"a\"><body>x</body></message>"), 1,
		 "<message xmlns='jabber:client' to = \"a\"><body>x</body></message>"},
		/* No namespace, the body's, or what is left of it in the stanza: jabber:client, the
		 * stream's own. */
		{BODY("", "<message><body>x</body></message>\n<presence/>"), 2,
		 "<message><body>x</body></message><presence/>"},
		{"<b:body xmlns:b='http://jabber.org/protocol/httpbind'><iq/></b:body>", 1,
		 "<iq/>"},
		{"<b:body xmlns:b='http://jabber.org/protocol/httpbind' "
		 "xmlns='jabber:client'><iq/></b:body>",
		 1, "<iq/>"},
		{BODY(" xmlns:c='jabber:client'", "<c:iq><query/></c:iq>"), 1,
		 "<c:iq xmlns:c='jabber:client'><query/></c:iq>"},
		/* Also where the payload says so itself. */
		{BODY("", "<iq xmlns=''><query xmlns='urn:q'/></iq><iq id='1' xmlns=\"\"/>"), 2,
		 "<iq><query xmlns='urn:q'/></iq><iq id='1'/>"},
		{BODY("", "<iq a=\" xmlns=''\" xmlns = '' b='>'/><iq\n\txmlns\n=\n''\n/>"), 2,
		 "<iq a=\" xmlns=''\" b='>'/><iq\n/>"},
		{BODY("", "<iq a='=' b=\"'\" c = '\"=' xmlns=''>x='y'</iq>"), 1,
		 "<iq a='=' b=\"'\" c = '\"='>x='y'</iq>"},
		{BODY("", "<iq xmlns:a='urn:a' xmlns='' a:xmlns='b'/>"), 1,
		 "<iq xmlns:a='urn:a' a:xmlns='b'/>"},
		{BODY(" xmlns:x='urn:x'", "<iq" NS " x:a='1'><x:q xmlns=''/></iq>"), 1,
		 "<iq xmlns:x='urn:x' x:a='1'><x:q xmlns=''/></iq>"},
		/* Inherited from the body, by prefix and by default. */
		{BODY(" xmlns:x='urn:x' xmlns:y='urn:y'", "<iq><x:query/></iq><iq y:a='1'/><iq/>"),
		 3, "<iq xmlns:x='urn:x'><x:query/></iq><iq xmlns:y='urn:y' y:a='1'/><iq/>"},
		{"<b:body xmlns:b='http://jabber.org/protocol/httpbind' "
		 "xmlns='urn:x'><iq/></b:body>",
		 1, "<iq xmlns='urn:x'/>"},
		{BODY("", "<message><![CDATA[</body>]]><a><![CDATA[]]></a></message>"), 1,
		 "<message><![CDATA[</body>]]><a><![CDATA[]]></a></message>"},
		/* Elements of SASL and stream management. */
		{BODY("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
			  "mechanism='PLAIN'>AGE=</auth>"),
		 1, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>"},
		{BODY("", "<r xmlns='urn:xmpp:sm:3'/>"), 1, "<r xmlns='urn:xmpp:sm:3'/>"},
		{BODY(" type='terminate'", "<presence type='unavailable'/>"), 1,
		 "<presence type='unavailable'/>"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bosh_body body;

		assert_int_equal(read_text(rows[i].text, &body), BOSH_BODY_OK);
		assert_int_equal(body.n_payloads, rows[i].n);
		assert_sv(buffer_sv(&body.payloads), rows[i].payloads);
		bosh_body_deinit(&body);
	}
}

static void test_bad_request(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"x",
		"{\"a\": 1}",
		"<body/>",
		"<body xmlns='jabber:client'/>",
		"<bodies" NS "/>",
		"<body" NS ">",
		"<body" NS "",
		"<body" NS "><message>",
		"<body" NS "></body>x",
		"<body" NS "/><body" NS "/>",
		"<body" NS "/><x/>",
		/* A parser that is used again reads bodies inside an element of our own. */
		"<body" NS "/></x>",
		"<body" NS "/></x><x>",
		"<body" NS "/></x>" BODY("", "<a/>"),
		"</x>",
		"<body" NS "></body>&lt;",
		"<body" NS "></body><![CDATA[x]]>",
		"<body" NS "/><![CDATA[",
		"<body" NS "/><![CDATA[]]>",
		"<body" NS "/>\n<![CDATA[ ]]>",
		BODY("", "<a/>") "<![CDATA[",
		"<?xml version='1.0'?>" BODY("", "<a/>") "<![CDATA[",
		BODY("", "<![CDATA["),
		BODY("", "<![CDATA[]]>"),
		BODY("", "<a/><![CDATA[ ]]>"),
		"<![CDATA[" BODY("", ""),
		"<![CDATA[]]>" BODY("", ""),
		/* Half of a token behind the body, in either kind of document. */
		"<body" NS "/><",
		"<body" NS "/>\r<![CDATA",
		"<body" NS "/>]",
		"<body" NS "/>&#32",
		"<body" NS "/>\xc3",
		"<body" NS "/>\xef\xbb",
		"\n<body" NS "/><",
		"\n<body" NS "/>\n<!",
		"\n<body" NS "/>\xc3",
		/* White space behind the body, but the document has not ended. */
		"<body" NS "/>&#32;",
		"<body" NS "/>&#x9;",
		"\n<body" NS "/>&#32;",
		"<body" NS "></body>\n<!-- -->",
		"<body" NS "></body>\n<?xml version='1.0'?>",
		"<body" NS "></body><!DOCTYPE body>",
		/* A key sequence begins with 40 hexadecimal digits. */
		BODY(" newkey=''", ""),
		BODY(" newkey='aa'", ""),
		BODY(" newkey='ge9d80e206e7496c89fc34c85bd3998b3cf2b741'", ""),
		BODY("", "text"),
		BODY("", "<a/>text"),
		BODY("", "<a></b>"),
		BODY("", "<a b='1' b='2'/>"),
		BODY("", "<p:a/>"),
		BODY("", "<a>\xff</a>"),
		BODY("", "<!-- -->"),
		BODY("", "<?p i?>"),
		BODY("", "<a>&b;</a>"),
		"<!DOCTYPE body>" BODY("", ""),
		"<?xml version='1.0' encoding='ISO-8859-1'?>" BODY("", ""),
		/* Opening the stream, TLS and compression are up to the gateway. */
		BODY(" xmlns:stream='http://etherx.jabber.org/streams'", "<stream:stream/>"),
		BODY("", "<error xmlns='http://etherx.jabber.org/streams'/>"),
		BODY("", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
		BODY("", "<compress xmlns='http://jabber.org/protocol/compress'/>"),
		BODY("", "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"),
		/* The body's namespace has no payloads. */
		BODY("", "<b:x xmlns:b='http://jabber.org/protocol/httpbind'/>"),
		BODY(" xmlns:b='http://jabber.org/protocol/httpbind'", "<b:message/>"),
		"<b:body xmlns:b='http://jabber.org/protocol/httpbind'><iq/><b:iq/></b:body>",
		BODY("", "<message/></body><body" NS ">"),
		BODY("", "<message/></stream:stream>"),
	};
	static const char utf16[] = "<\0b\0o\0d\0y\0/\0>";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		check_result(texts[i], BOSH_BODY_E_BAD_REQUEST);
	}
	struct bosh_body body;

	assert_int_equal(read_bytes((struct sv){utf16, sizeof(utf16)}, &body),
			 BOSH_BODY_E_BAD_REQUEST);
	bosh_body_deinit(&body);
	assert_int_equal(read_bytes((struct sv){"<body" NS ">\0</body>",
						sizeof("<body" NS ">\0</body>") - 1},
				    &body),
			 BOSH_BODY_E_BAD_REQUEST);
	bosh_body_deinit(&body);
}

/* What could be parsed before the error tells how to refuse the request, and of which session it
 * is. */
static void test_partly_understood(void **state)
{
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	(void)state;
	assert_int_equal(read_text("<body" NS " ver='1.6' sid='s' rid='5'><a></b>", &body),
			 BOSH_BODY_E_BAD_REQUEST);
	assert_true(body.has_ver && body.has_rid);
	assert_int_equal(body.rid, 5);
	assert_sv(body.sid, "s");
	bosh_body_deinit(&body);
	assert_int_equal(read_text("<body" NS " wait='x' ver='1.6' sid='s' rid='5'/>", &body),
			 BOSH_BODY_E_BAD_REQUEST);
	assert_true(body.has_ver && body.has_rid);
	assert_sv(body.sid, "s");
	bosh_body_deinit(&body);
	assert_int_equal(read_text("<body" NS " ver='1.6' rid='1'", &body),
			 BOSH_BODY_E_BAD_REQUEST);
	assert_false(body.has_ver || body.has_rid);
	bosh_body_deinit(&body);
	/* An attribute that is too long does not hide the session. */
	assert_int_equal(buffer_printf(&text, "<body" NS " ver='1.6' to='%0*d' sid='s' rid='5'/>",
				       BOSH_ATTRIBUTE_MAX + 1, 0),
			 0);
	assert_int_equal(read_bytes(buffer_sv(&text), &body), BOSH_BODY_E_TOO_COMPLEX);
	assert_sv(body.sid, "s");
	assert_int_equal(body.to.n, 0);
	bosh_body_deinit(&body);
	buffer_deinit(&text);
}

struct taking_case {
	const char *head, *first, *between, *second, *end;
	size_t n_text; /* of the first payload */
	bool is_taken;
};

static void check_taking(const struct taking_case *one)
{
	struct buffer text = BUFFER_INIT, same = BUFFER_INIT;
	struct bosh_body body, copied;

	assert_int_equal(buffer_printf(&text, "%s%s%0*d</m>%s%s%s", one->head, one->first,
				       (int)one->n_text, 0, one->between, one->second, one->end),
			 0);
	assert_int_equal(buffer_append_sv(&same, buffer_sv(&text)), 0);
	const char *memory = text.data;

	assert_int_equal(bosh_body_init(&copied, pool, &options, buffer_sv(&same)), BOSH_BODY_OK);
	assert_int_equal(bosh_body_init_taking(&body, pool, &options, &text), BOSH_BODY_OK);
	assert_int_equal(body.payloads.data == memory, one->is_taken);
	assert_int_equal(text.n == 0, one->is_taken);
	buffer_deinit(&text);
	assert_int_equal(body.n_payloads, copied.n_payloads);
	assert_true(sv_eq(buffer_sv(&body.payloads), buffer_sv(&copied.payloads)));
	assert_sv(body.sid, "s");
	bosh_body_deinit(&body);
	bosh_body_deinit(&copied);
	buffer_deinit(&same);
}

/* Large payloads that go to the server as they stand, one behind the other, take the memory of the
 * body. */
static void test_taking(void **state)
{
	enum {
		N_LARGE = 16 * 1024 - sizeof("<m></m>") + 1,
	};
	static const char head[] = "<body" NS " sid='s' xmlns:x='urn:x'>";
	static const struct taking_case cases[] = {
		{head, "<m>", "", "", "</body>", N_LARGE, true},
		{head, "<m>", "", "", "</body>", N_LARGE - 1, false},
		{head, "<m>", "", "<m xmlns='jabber:client'/>", "</body>", N_LARGE, true},
		{head, "<m>", "\n", "", "</body>", N_LARGE, true},
		{head, "<m>", "\n", "<m/>", "</body>", N_LARGE, false},
		{head, "<m>", "", "<m x:a='b'/>", "</body>", N_LARGE, false},
		{head, "<m x:a='b'>", "", "", "</body>", N_LARGE, false},
		{"<?xml version='1.0'?><body" NS " sid='s'>", "<m>", "", "", "</body>\n", N_LARGE,
		 true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		check_taking(&cases[i]);
	}
}

/* A body whose content coding took more room than the text leaves that room behind. It must not be
 * kept for as long as the payloads wait, which are counted without it. */
static void test_taking_much_memory(void **state)
{
	enum {
		N_PAYLOAD = 18000,
		N_MEMORY = 2 * N_PAYLOAD,
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buffer text = BUFFER_INIT;
		struct bosh_body body;

		assert_int_equal(buffer_printf(&text, "<body" NS "><m>%0*d</m></body>",
					       N_PAYLOAD - (int)strlen("<m></m>"), 0),
				 0);
		/* As if so much had been asked for. */
		text.data = realloc(text.data, N_MEMORY + i);
		text.size = N_MEMORY + i;
		assert_non_null(text.data);
		assert_int_equal(bosh_body_init_taking(&body, pool, &options, &text), BOSH_BODY_OK);
		assert_int_equal(body.payloads.n, N_PAYLOAD);
		assert_int_equal(text.n == 0, i == 0);
		assert_true(body.payloads.size <= N_MEMORY);
		bosh_body_deinit(&body);
		buffer_deinit(&text);
	}
}

/* What is wrong is found as before. */
static void test_taking_what_is_wrong(void **state)
{
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	(void)state;
	assert_int_equal(
		buffer_printf(&text, "<body" NS "><m>%0*d</m></body><", N_BODY_MAX - 1000, 0), 0);
	assert_int_equal(bosh_body_init_taking(&body, pool, &options, &text),
			 BOSH_BODY_E_BAD_REQUEST);
	bosh_body_deinit(&body);
	buffer_deinit(&text);
	assert_int_equal(buffer_printf(&text, "<body" NS "><m>%0*d</m></body>", N_BODY_MAX, 0), 0);
	assert_int_equal(bosh_body_init_taking(&body, pool, &options, &text),
			 BOSH_BODY_E_TOO_LARGE);
	assert_int_equal(body.payloads.n, 0);
	bosh_body_deinit(&body);
	buffer_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_creation),
		cmocka_unit_test(test_absent_and_empty),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_ver),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_bad_request),
		cmocka_unit_test(test_partly_understood),
		cmocka_unit_test(test_taking),
		cmocka_unit_test(test_taking_much_memory),
		cmocka_unit_test(test_taking_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
