/* SPDX-License-Identifier: MIT */
/* The sessions of an endpoint share its parsers and the buffer that messages are written into.
 * Whatever happens to one session, the next one behaves as on an endpoint of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/corpus.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/ws/ws-session-case.h"

static char elsewhere[] = "wss://a.example/?b&c";

/* A step is what the client sends ("> text", or ">- text" for a fragment that is not the last) or
 * what the server sends ("< text"). */
static const char *const scripts[][12] = {
	{"> " OPEN, "< " SERVER "<stream:features/>", ">- <message xmlns='jabber:client'><bo",
	 "> dy>x</body></message>", "< <message><body>secret</body></message><pre", "< sence/>",
	 "> " CLOSE},
	{"> " OPEN, "< " SERVER "<stream:features/>",
	 "> <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
	 "< <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "> " OPEN,
	 "< " SERVER "<stream:features/>",
	 "< <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
	{"> " OPEN, "< " SERVER "<stream:features/><![CDATA["},
	{"> " OPEN, "< " SERVER "<stream:features/></stream:stream>"},
	{"> " OPEN, "< <html>"},
	{"> " OPEN, "< " SERVER "<stream:features/>", "> <iq xmlns='jabber:client'/><![CDATA["},
	{"> " OPEN, ">- <message xmlns='jab"},
	{"> <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='no host'/>"},
	{"> <![CDATA["},
	{"> <message xmlns='jabber:client'/>"},
	{"> " CLOSE},
	{">- <"},
};

/* A session from its opening to the end of its script, and of the connection. */
static void play(struct stage *stage, const char *const *steps)
{
	struct ws_client client = {.address.any.sa_family = AF_INET};
	struct ws_session *session;

	script_reset();
	if (ws_session_new(&stage->endpoint, NULL, &client, &session) < 0) {
		return;
	}
	for (; *steps; steps++) {
		bool final = (*steps)[1] != '-';
		const char *text = *steps + (final ? 2 : 3);

		if ((*steps)[0] == '<') {
			server_says(text);
		} else {
			ws_session_on_piece(session, text, strlen(text), final, true);
		}
	}
	ws_session_on_closed(session, SV_EMPTY);
	assert_null(fake_link);
	assert_int_equal(budget_clients(budget), 0);
}

/* What a session says on an endpoint of its own. */
static const char *expected_of(const char *const *steps)
{
	static char text[SCRIPT_MAX];
	struct xml_pool *pool;
	struct stage own;

	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&own, pool);
	play(&own, steps);
	memcpy(text, script.text, script.n + 1);
	stage_deinit(&own);
	return text;
}

static void check(struct stage *stage, const char *const *steps)
{
	const char *expected = expected_of(steps);

	play(stage, steps);
	if (strcmp(script.text, expected) != 0) {
		fail_msg("got\n%s\nexpected\n%s", script.text, expected);
	}
}

/* The scripts do what they are meant to do. */
static void test_words(void **state)
{
	(void)state;
	assert_string_equal(
		expected_of(scripts[0]),
		"link <?xml version='1.0'?><stream:stream xmlns='jabber:client' "
		"xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>\n"
		"to client <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0' "
		"from='example.org' "
		"id='s'/>\n"
		"to client <stream:features xmlns:stream='http://etherx.jabber.org/streams'/>\n"
		"to server <message xmlns='jabber:client'><body>x</body></message>\n"
		"to client <message xmlns='jabber:client'><body>secret</body></message>\n"
		"to client <presence xmlns='jabber:client'/>\n"
		"close \n"
		"to client <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\n"
		"end 1000\n");
}

/* A server that ends its stream before it has said anything leaves its client a reason. */
static void test_ends_without_a_word(void **state)
{
	static const char *const steps[] = {
		"> " OPEN,
		"< <stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='s'>",
		"< </stream:stream>", NULL};
	const char *said = expected_of(steps);

	(void)state;
	assert_non_null(strstr(said, "to client <open "));
	assert_non_null(strstr(said, "<remote-connection-failed "));
	assert_non_null(strstr(said, "the server closed the stream"));
	assert_non_null(strstr(said, "\nend 1000 the server closed the stream\n"));
}

static void test_isolation(void **state)
{
	struct xml_pool *pool;
	struct stage used;

	(void)state;
	assert_int_equal(corpus_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&used, pool);
	for (size_t i = 0; i < ARRAY_LENGTH(scripts) * ARRAY_LENGTH(scripts); i++) {
		play(&used, scripts[i / ARRAY_LENGTH(scripts)]);
		check(&used, scripts[i % ARRAY_LENGTH(scripts)]);
	}
	stage_deinit(&used);
}

static void test_without_memory(void **state)
{
	struct xml_pool *pool;
	struct stage used;

	(void)state;
	assert_int_equal(corpus_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&used, pool);
	for (size_t i = 0; i < ARRAY_LENGTH(scripts) * 2; i++) {
		size_t n_failed = 1;

		for (size_t n = 1; n_failed; n++) {
			/* Otherwise the buffer would have its room from the session before. */
			buffer_deinit(&used.endpoint.scratch);
			failmalloc_arm(n, i % 2);
			play(&used, scripts[i / 2]);
			n_failed = failmalloc_disarm();
			check(&used, scripts[(i + n) % ARRAY_LENGTH(scripts)]);
		}
	}
	stage_deinit(&used);
	assert_int_equal(census_sessions(census), 0);
}

/* Sends a message of white space and tells whether the session goes on. */
static bool takes(struct ws_session *session, size_t n)
{
	char message[N_ELEMENT_MAX + 1];

	memset(message, ' ', n);
	ws_session_on_piece(session, message, n, true, true);
	return !session->is_over;
}

/* Before the login a message may be shorter than after it. */
static void test_message_limits(void **state)
{
	static const struct {
		bool logs_in;
		size_t n_max;
	} rows[] = {{false, N_LOGIN_MAX}, {true, N_ELEMENT_MAX}};
	struct ws_client client = {.address.any.sa_family = AF_INET};
	struct ws_session *session;
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		script_reset();
		assert_int_equal(ws_session_new(&stage.endpoint, NULL, &client, &session), 0);
		assert_true(takes(session, N_LOGIN_MAX));
		ws_session_on_piece(session, OPEN, strlen(OPEN), true, true);
		server_says(SERVER "<stream:features/>");
		if (rows[i].logs_in) {
			assert_true(takes(session, N_LOGIN_MAX));
			server_says("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
		}
		assert_true(takes(session, rows[i].n_max));
		assert_false(takes(session, rows[i].n_max + 1));
		assert_non_null(strstr(script.text, "<policy-violation"));
		assert_non_null(strstr(script.text, "\nend 1009 the message is larger"));
		ws_session_on_closed(session, SV_EMPTY);
	}
	stage_deinit(&stage);
}

/* Without TLS, and with it. */
static void test_see_other_uri(void **state)
{
	struct ws_client client = {.address.any.sa_family = AF_INET};
	struct ws_session *session;
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	config.websocket_see_other_uri = elsewhere;
	for (int i = 0; i < 2; i++) {
		client.is_secure = i;
		script_reset();
		assert_int_equal(ws_session_new(&stage.endpoint, NULL, &client, &session), 0);
		ws_session_on_piece(session, OPEN, strlen(OPEN), true, true);
		assert_int_equal(session->is_over, !client.is_secure);
		assert_int_equal(!fake_link, !client.is_secure);
		ws_session_on_closed(session, SV_EMPTY);
		if (!client.is_secure) {
			assert_string_equal(
				script.text,
				"to client <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				"version='1.0' id='bbbbbbbbbbbbbbbbbbbbbb'/>\n"
				"to client <close xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				"see-other-uri='wss://a.example/?b&amp;c'/>\n"
				"end 1000 sessions are opened elsewhere\n");
		}
	}
	config.websocket_see_other_uri = nowhere;
	stage_deinit(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),          cmocka_unit_test(test_ends_without_a_word),
		cmocka_unit_test(test_isolation),      cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_message_limits), cmocka_unit_test(test_see_other_uri),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
