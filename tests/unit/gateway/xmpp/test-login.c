/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>

#include "tests/unit/gateway/xmpp/stream-case.h"

#define SASL_NS "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define SASL2_NS "xmlns='urn:xmpp:sasl:2'"
#define FAILURE(condition) "<failure " SASL_NS ">" condition "</failure>"
#define LEGACY_SET                                             \
	"<iq type='set' id='a'><query xmlns='jabber:iq:auth'>" \
	"<username>u</username><password>p</password></query></iq>"

/* What the client sends counts as @n_tries by @mechanism. */
static void check_sent(const char *elements, size_t n_tries, const char *mechanism)
{
	struct login login = {0};

	assert_int_equal(login_sent(&login, sv_from(elements)), n_tries);
	assert_int_equal(login.n_open, n_tries);
	assert_string_equal(login.mechanism, mechanism);
}

static void test_sent(void **state)
{
	(void)state;
	check_sent("<auth " SASL_NS " mechanism='PLAIN'>AGEAYg==</auth>", 1, "PLAIN");
	check_sent("<auth mechanism=\"SCRAM-SHA-1-PLUS\" " SASL_NS "/>", 1, "SCRAM-SHA-1-PLUS");
	check_sent("<authenticate " SASL2_NS
		   " mechanism = 'X_1'><initial-response/></authenticate>",
		   1, "X_1");
	check_sent("<auth\n\tmechanism='PLAIN'\n" SASL_NS "/>", 1, "PLAIN");
	check_sent(LEGACY_SET, 1, "jabber:iq:auth");
	check_sent(
		"<iq type='get'><query xmlns='jabber:iq:auth'><username>u</username></query></iq>",
		0, "");
	check_sent("<response " SASL_NS ">AA==</response>", 0, "");
	check_sent("<abort " SASL_NS "/>", 0, "");
	check_sent("<iq type='get'><query xmlns='jabber:iq:register'/></iq>", 0, "");
	check_sent("<authority/><passwords/>auth <x a='auth'/>", 0, "");
	check_sent("", 0, "");
	check_sent("<", 0, "");
	check_sent("<auth", 0, "");
}

/* However it is written, a login is a login. */
static void test_disguised(void **state)
{
	(void)state;
	check_sent("<s:auth xmlns:s='urn:ietf:params:xml:ns:xmpp-&#115;asl' mechanism='PLAIN'>x"
		   "</s:auth >",
		   1, "PLAIN");
	check_sent("<a></a>:auth </a:b><c:auth />", 2, "");
	check_sent("<auth mechanism='PL&#65;IN' " SASL_NS "/>", 1, "");
	check_sent("<auth mechanism='A23456789012345678901' " SASL_NS "/>", 1, "");
	check_sent("<auth mechanism='A2345678901234567890' " SASL_NS "/>", 1,
		   "A2345678901234567890");
	check_sent("<auth mechanism=PLAIN/>", 1, "");
	check_sent("<auth mechanism", 1, "");
	check_sent("<auth mechanism=", 1, "");
	check_sent("<auth mechanism='", 1, "");
	check_sent("<auth mechanism='PLAIN\nevent=x'/>", 1, "");
}

/* The mechanism is that of the login, and read to the end of the bytes at most. */
static void test_where_the_mechanism_is(void **state)
{
	struct sv text = SV("<auth mechanism='PLAIN'/>");
	struct login login = {0};

	(void)state;
	check_sent("<x mechanism='X'/><auth mechanism='PLAIN' " SASL_NS "/>", 1, "PLAIN");
	assert_int_equal(login_sent(&login, sv_first(text, text.n - 3)), 1);
	assert_string_equal(login.mechanism, "");
	assert_int_equal(login_sent(&login, sv_first(text, text.n - 2)), 1);
	assert_string_equal(login.mechanism, "PLAIN");
}

static void test_many_at_once(void **state)
{
	struct login login = {0};

	(void)state;
	for (int i = 0; i < 2 * UCHAR_MAX; i++) {
		assert_int_equal(login_sent(&login, SV("<auth mechanism='PLAIN'/><auth/>")), 2);
	}
	assert_int_equal(login.n_open, UCHAR_MAX);
}

/* What @server says after the client has sent @client. */
struct case_ {
	const char *client;
	const char *server;
	enum login_result result; /* of the last element */
	const char *condition;
};

static void check_case(const struct case_ *one)
{
	static const char *const begin =
		SERVER "<stream:features><x xmlns='urn:x'/></stream:features>";
	enum login_result result = LOGIN_NONE;
	enum stream_event_kind kind;
	struct stream stream;
	struct sv condition = SV_EMPTY;

	stream_init(&stream, pool, &options, DOMAIN_TLS_OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_feed(&stream, begin, strlen(begin)), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_equal(stream.login_result, LOGIN_NONE);
	} while (kind != STREAM_EVENT_NONE);
	stream_sent(&stream, sv_from(one->client));
	assert_int_equal(stream_feed(&stream, one->server, strlen(one->server)), 0);
	for (;;) {
		assert_int_equal(stream_next(&stream, &kind), 0);
		if (kind == STREAM_EVENT_NONE) {
			break;
		}
		assert_int_equal(kind, STREAM_EVENT_ELEMENT);
		result = stream.login_result;
		condition = stream.login_condition;
		if (result != LOGIN_NONE) {
			assert_true(sv_eq(condition, sv_from(one->condition)));
		}
	}
	assert_int_equal(result, one->result);
	assert_int_equal(stream.is_logged_in, one->result == LOGIN_SUCCEEDED);
	stream_deinit(&stream);
}

static void test_received(void **state)
{
	static const char plain[] = "<auth mechanism='PLAIN'/>";
	static const struct case_ cases[] = {
		{plain, FAILURE("<not-authorized/>"), LOGIN_FAILED, "not-authorized"},
		{plain, FAILURE("<text>no</text><account-disabled/>"), LOGIN_FAILED,
		 "account-disabled"},
		{plain, FAILURE("<made-up/>"), LOGIN_FAILED, "made-up"},
		{plain, FAILURE(""), LOGIN_FAILED, ""},
		{"", FAILURE("<not-authorized/>"), LOGIN_FAILED, "not-authorized"},
		{plain, FAILURE("<aborted/>"), LOGIN_UNTRIED, "aborted"},
		{plain, FAILURE("<invalid-mechanism/>"), LOGIN_UNTRIED, "invalid-mechanism"},
		{plain, FAILURE("<temporary-auth-failure/>"), LOGIN_UNTRIED,
		 "temporary-auth-failure"},
		{plain,
		 "<failure " SASL2_NS "><not-authorized " SASL_NS "/><text>no</text></failure>",
		 LOGIN_FAILED, "not-authorized"},
		{plain, "<challenge " SASL_NS "/>", LOGIN_NONE, ""},
		{plain, "<continue " SASL2_NS "/>", LOGIN_NONE, ""},
		{plain, "<success " SASL_NS "/>", LOGIN_SUCCEEDED, ""},
		{plain, "<success " SASL2_NS "/>", LOGIN_SUCCEEDED, ""},
		{plain, "<failure xmlns='urn:x'><not-authorized/></failure>", LOGIN_NONE, ""},
		{plain, "<failure/>", LOGIN_NONE, ""},
		{LEGACY_SET, "<iq type='result' id='a'/>", LOGIN_SUCCEEDED, ""},
		{LEGACY_SET, "<iq id=\"a\" type=\"result\"></iq>", LOGIN_SUCCEEDED, ""},
		{LEGACY_SET, "<iq type='result'><query xmlns='jabber:iq:auth'/></iq>", LOGIN_NONE,
		 ""},
		{LEGACY_SET,
		 "<iq type='error'><error code='401'><not-authorized "
		 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
		 LOGIN_FAILED, "not-authorized"},
		{LEGACY_SET, "<iq type='error'><error code='409'><conflict/></error></iq>",
		 LOGIN_UNTRIED, "conflict"},
		{"", "<iq type='error'><error><not-authorized/></error></iq>", LOGIN_NONE, ""},
		{"", "<iq type='result'/>", LOGIN_NONE, ""},
		/* A registration has a password, too, and is no login. */
		{"<iq type='set'><query xmlns='jabber:iq:register'><password>p</password></query>"
		 "</iq>",
		 "<iq type='result'/>", LOGIN_NONE, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		check_case(&cases[i]);
	}
}

static struct stream *open_stream(struct stream *stream)
{
	enum stream_event_kind kind;

	stream_init(stream, pool, &options, DOMAIN_TLS_OFF);
	assert_int_equal(stream_open(stream, &juliet, false), 0);
	assert_int_equal(stream_feed(stream, SERVER, strlen(SERVER)), 0);
	assert_int_equal(stream_next(stream, &kind), 0);
	assert_int_equal(stream_feed(stream, "<stream:features/>", 18), 0);
	assert_int_equal(stream_next(stream, &kind), 0);
	return stream;
}

static enum login_result hear(struct stream *stream, const char *text)
{
	enum stream_event_kind kind;

	assert_int_equal(stream_feed(stream, text, strlen(text)), 0);
	assert_int_equal(stream_next(stream, &kind), 0);
	assert_int_equal(kind, STREAM_EVENT_ELEMENT);
	return stream->login_result;
}

static void test_open_tries(void **state)
{
	struct stream stream;

	(void)state;
	open_stream(&stream);
	assert_int_equal(stream_sent(&stream, SV("<auth/>")), 1);
	assert_int_equal(stream_sent(&stream, SV("<auth/>")), 1);
	assert_int_equal(stream.login.n_open, 2);
	assert_int_equal(hear(&stream, FAILURE("<aborted/>")), LOGIN_UNTRIED);
	assert_int_equal(hear(&stream, FAILURE("<not-authorized/>")), LOGIN_FAILED);
	assert_int_equal(stream.login.n_open, 0);
	assert_int_equal(hear(&stream, FAILURE("<not-authorized/>")), LOGIN_FAILED);
	assert_int_equal(stream.login.n_open, 0);
	stream_deinit(&stream);
}

/* After SASL's success nothing is looked at any more: the elements are the users'. */
static void test_after_login(void **state)
{
	struct stream stream;

	(void)state;
	open_stream(&stream);
	assert_int_equal(stream_sent(&stream, SV("<auth/>")), 1);
	assert_int_equal(hear(&stream, "<success " SASL_NS "/>"), LOGIN_SUCCEEDED);
	assert_int_equal(stream_sent(&stream, SV("<auth/>")), 0);
	assert_int_equal(hear(&stream, FAILURE("<not-authorized/>")), LOGIN_NONE);
	stream_deinit(&stream);
}

/* An empty result may answer something else than the login, so guesses still count after it. */
static void test_after_legacy_login(void **state)
{
	struct stream stream;

	(void)state;
	open_stream(&stream);
	assert_int_equal(stream_sent(&stream, SV(LEGACY_SET LEGACY_SET)), 2);
	assert_int_equal(hear(&stream, "<iq type='result'/>"), LOGIN_SUCCEEDED);
	assert_true(stream.is_logged_in);
	assert_int_equal(hear(&stream, "<iq type='error'><not-authorized/></iq>"), LOGIN_FAILED);
	assert_int_equal(stream_sent(&stream, SV(LEGACY_SET)), 1);
	stream_deinit(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_disguised),
		cmocka_unit_test(test_where_the_mechanism_is),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_open_tries),
		cmocka_unit_test(test_after_login),
		cmocka_unit_test(test_after_legacy_login),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
