/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/log.h"
#include "gateway/ws/endpoint-state.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/corpus.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/fake-link.h"
#include "tests/unit/quiet.h"

/* The sessions of an endpoint share its parsers and the buffer that messages are written into.
 * Whatever happens to one session, the next one behaves as on an endpoint of its own. */

enum {
	N_LOGIN_MAX = 500,
	N_ELEMENT_MAX = 2000,
};

#define OPEN "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>"
#define CLOSE "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
#define SERVER                                                                                  \
	"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " \
	"id='s' "                                                                               \
	"from='example.org' version='1.0'>"

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

static struct census *census;
static struct throttle *throttle;
static struct budget *budget;
static struct metrics_cell metrics;
static struct config config;
static char nowhere[] = "";
static char elsewhere[] = "wss://a.example/?b&c";

static int setup(void **state)
{
	const struct census_limits limits = {.sessions = SIZE_MAX,
					     .sessions_per_client = SIZE_MAX,
					     .connections_per_client = SIZE_MAX};

	const struct budget_limits no_limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	int r = census_new(&limits, &census);

	(void)state;
	config.n_login_message_max = N_LOGIN_MAX;
	config.n_body_max = N_ELEMENT_MAX;
	config.websocket_see_other_uri = nowhere;
	log_errors_only();
	if (r == 0) {
		r = throttle_new(&throttle);
	}
	return r < 0 ? r : budget_new(&no_limits, 1, &budget);
}

static int teardown(void **state)
{
	(void)state;
	budget = budget_free(budget);
	census = census_free(census);
	throttle = throttle_free(throttle);
	return 0;
}

/* The WebSocket below. */

static bool ws_refuses; /* as without memory */

int ws_send(struct ws_connection *connection, struct sv text, struct sv rest)
{
	/* As the real one may. */
	char *copy = ws_refuses ? NULL : malloc(text.n + rest.n + 1);

	(void)connection;
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, text.data, text.n);
	if (rest.n) {
		memcpy(copy + text.n, rest.data, rest.n);
	}
	script_add("to client", (struct sv){copy, text.n + rest.n});
	free(copy);
	return 0;
}

void ws_close(struct ws_connection *connection, enum ws_close_status status, struct sv reason)
{
	char text[200];

	(void)connection;
	(void)snprintf(text, sizeof(text), "%d%s%.*s", status, reason.n ? " " : "",
		       SV_ARGS(reason));
	script_add("end", sv_from(text));
}

void ws_set_deadline(struct ws_connection *connection, unsigned seconds)
{
	(void)connection;
	(void)seconds;
}

static bool ws_waits; /* for a client that does not read */

bool ws_is_waiting(const struct ws_connection *connection)
{
	(void)connection;
	return ws_waits;
}

void ws_return_unsent(struct ws_connection *connection)
{
	(void)connection;
	script_add("return unsent", SV(""));
}

bool ws_is_congested(const struct ws_connection *connection)
{
	(void)connection;
	return false;
}

size_t ws_held(const struct ws_connection *connection)
{
	(void)connection;
	return 0;
}

void ws_cut(struct ws_connection *connection)
{
	(void)connection;
	script_add("cut", SV(""));
}

void ws_pause(struct ws_connection *connection, bool pause)
{
	(void)connection;
	(void)pause;
}

/* An endpoint with what its worker has. */
struct stage {
	struct worker_env env;
	struct ws_endpoint endpoint;
};

static void stage_init(struct stage *stage, struct xml_pool *pool)
{
	*stage = (struct stage){
		.env = {.loop = uv_default_loop(),
			.config = &config,
			.census = census,
			.throttle = throttle,
			.budget = budget,
			.foreign_budget = budget,
			.metrics = &metrics,
			.pool = pool},
		.endpoint = {.scan_options = framing_options(N_ELEMENT_MAX)},
	};
	stage->env.link.pool = pool;
	stage->env.link.scan_options = stream_options(N_ELEMENT_MAX);
	stage->endpoint.env = &stage->env;
	LIST_INIT(&stage->endpoint.sessions);
}

static void stage_deinit(struct stage *stage)
{
	assert_true(LIST_EMPTY(&stage->endpoint.sessions));
	buffer_deinit(&stage->endpoint.scratch);
	xml_pool_free(stage->env.pool);
}

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
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_ends_without_a_word),
		cmocka_unit_test(test_isolation),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_message_limits),
		cmocka_unit_test(test_see_other_uri),
		cmocka_unit_test(test_unsent),
		cmocka_unit_test(test_unsent_without_memory),
		cmocka_unit_test(test_end_with_unsent),
		cmocka_unit_test(test_server_says_after_end),
		cmocka_unit_test(test_server_closes_after_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
