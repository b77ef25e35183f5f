/* SPDX-License-Identifier: MIT */
/* What becomes of a WebSocket session that has ended while something waits for its client. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/ws/ws-session-case.h"

/* What the client was not sent goes back: all that its WebSocket had, once, and, without memory for
 * a message, that one. */

static struct ws_session *open_session(struct stage *stage)
{
	struct ws_client client = {.address.any.sa_family = AF_INET};
	struct ws_session *session;

	assert_int_equal(ws_session_new(&stage->endpoint, NULL, &client, &session), 0);
	ws_session_on_piece(session, OPEN, strlen(OPEN), true, true);
	server_says(SERVER "<stream:features/>");
	script_reset();
	return session;
}

static void test_unsent(void **state)
{
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	ws_session_on_closed(open_session(&stage), SV("<a/><b/>"));
	assert_string_equal(script.text, "return <a/><b/>\ndrop \n");
	/* The client has closed its stream before. */
	struct ws_session *session = open_session(&stage);

	ws_session_on_piece(session, CLOSE, strlen(CLOSE), true, true);
	script_reset();
	ws_session_on_closed(session, SV("<a/>"));
	assert_string_equal(script.text, "");
	stage_deinit(&stage);
}

static void test_unsent_without_memory(void **state)
{
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	struct ws_session *session = open_session(&stage);

	ws_refuses = true;
	server_says("<message/><presence/>");
	ws_refuses = false;
	assert_string_equal(script.text,
			    "return <message xmlns='jabber:client'/>\ndrop \nend 1011\n");
	ws_session_on_closed(session, SV_EMPTY);
	stage_deinit(&stage);
}

static struct ws_session *log_in(struct stage *stage)
{
	struct ws_session *session = open_session(stage);

	server_says("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
	ws_session_on_piece(session, OPEN, strlen(OPEN), true, true);
	server_says(SERVER "<stream:features/>");
	script_reset();
	return session;
}

/* The session ends while something waits for the client: the link stays until that is sent, or goes
 * back. */
static void test_end_with_unsent(void **state)
{
	static const struct {
		const char *step, *unsent, *expected;
	} rows[] = {
		{"> " CLOSE, "<a/>", "return <a/>\nclose \n"},
		{"> " CLOSE, "", "close \n"},
		{"> <a xmlns='jabber:client'>]]>", "<a/>", "return <a/>\ndrop \n"},
		{"shut", "<a/>", "return <a/>\ndrop \n"},
		{"< </stream:stream>", "<a/>", "return <a/>\nclose \n"},
	};
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	ws_waits = true;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
		const char *step = rows[i / 2].step;
		struct ws_session *session = log_in(&stage);

		if (step[0] == '<') {
			server_says(step + 2);
		} else if (step[0] == '>') {
			ws_session_on_piece(session, step + 2, strlen(step + 2), true, true);
		} else {
			ws_session_shut(session);
		}
		assert_true(session->is_over);
		assert_non_null(strstr(script.text, "return unsent \n"));
		assert_non_null(strstr(script.text, "\nend "));
		assert_non_null(session->link);
		script_reset();
		if (i % 2) {
			ws_session_on_emptied(session);
			assert_null(session->link);
			assert_string_equal(script.text, strstr(rows[i / 2].expected, "drop")
								 ? "drop \n"
								 : "close \n");
			script_reset();
		}
		ws_session_on_closed(session, sv_from(rows[i / 2].unsent));
		assert_string_equal(script.text, i % 2 ? "" : rows[i / 2].expected);
	}
	ws_waits = false;
	stage_deinit(&stage);
}

/* What the server still says goes back; when it has gone, nothing can. */
static void test_server_says_after_end(void **state)
{
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	ws_waits = true;
	struct ws_session *session = log_in(&stage);

	ws_session_on_piece(session, CLOSE, strlen(CLOSE), true, true);
	script_reset();
	server_says("<message/>");
	assert_string_equal(script.text, "return <message xmlns='jabber:client'/>\n");
	script_reset();
	server_says("<![CDATA[");
	assert_string_equal(script.text, "close \n");
	ws_session_on_closed(session, SV("<a/>"));
	assert_string_equal(script.text, "close \n");
	/* Nothing goes back to a server that manages the stream: it ends at once. */
	session = log_in(&stage);
	server_says("<enabled xmlns='urn:xmpp:sm:3'/>");
	script_reset();
	ws_session_on_piece(session, CLOSE, strlen(CLOSE), true, true);
	assert_int_equal(strncmp(script.text, "close \n", 7), 0);
	ws_session_on_closed(session, SV("<a/>"));
	ws_waits = false;
	stage_deinit(&stage);
}

/* The session ends for want of memory, and then, in the same read, the server closes its stream. It
 * still takes back what waits (RFC 6120, 4.4). */
static void test_server_closes_after_end(void **state)
{
	struct xml_pool *pool;
	struct stage stage;

	(void)state;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&stage, pool);
	for (int i = 0; i < 2; i++) {
		struct ws_session *session = log_in(&stage);

		ws_waits = ws_refuses = true;
		server_says("<message/></stream:stream>");
		ws_waits = ws_refuses = false;
		assert_string_equal(script.text, "return <message xmlns='jabber:client'/>\n"
						 "return unsent \nend 1011\n");
		assert_non_null(session->link);
		script_reset();
		if (i) {
			/* The client reads all of it. */
			ws_session_on_emptied(session);
			assert_string_equal(script.text, "drop \n");
			script_reset();
		}
		ws_session_on_closed(session, i ? SV_EMPTY : SV("<a/>"));
		assert_string_equal(script.text, i ? "" : "return <a/>\ndrop \n");
	}
	stage_deinit(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsent),
		cmocka_unit_test(test_unsent_without_memory),
		cmocka_unit_test(test_end_with_unsent),
		cmocka_unit_test(test_server_says_after_end),
		cmocka_unit_test(test_server_closes_after_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
