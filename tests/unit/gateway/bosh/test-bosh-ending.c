/* SPDX-License-Identifier: MIT */
/* A BOSH session's server side, its failures and its limits. The table of rules is in
 * test-bosh-session.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

#define FAILED(condition, text)                                     \
	"<body " HTTPBIND " type='terminate' condition='" condition \
	"'><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" text "</text></body>"
#define LOST FAILED("remote-connection-failed", "the connection to the server broke")
#define ERROR                   \
	"<stream:error " STREAM \
	"><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"

static void test_failure(void **state)
{
	(void)state;
	begin();
	request(101);
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	EXPECT("2: " LOST "\nend\n");
}

static void test_failure_detail(void **state)
{
	(void)state;
	begin();
	request(101);
	fail_link(FAILURE_CERTIFICATE_NAME, "it names <a&'b>");
	EXPECT("2: " FAILED("remote-connection-failed",
			    "the server&apos;s certificate is for another name: it names "
			    "&lt;a&amp;&apos;b&gt;") "\nend\n");
}

/* Before the features: the creation answer describes the session and says why it failed. */
static void test_failure_at_creation(void **state)
{
	(void)state;
	create(" ver='1.6'");
	fail_link(FAILURE_DNS_NO_NAME, NULL);
	EXPECT("1: " CREATION " type='terminate' condition='host-unknown'>"
	       "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>there is no such domain in the "
	       "DNS</text></body>\nend\n");
}

static void test_failure_with_pending(void **state)
{
	(void)state;
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	buffer_clear(&one.log);
	request(101);
	request(102);
	request(104);
	assert_int_equal(buffer_append_sv(bosh_session_pending(one.session, 0, false, false),
					  SV("<message/>")),
			 0);
	fail_link(FAILURE_STREAM_CLOSED, NULL);
	EXPECT("2: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed'><message/>"
	       "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the server closed the "
	       "stream</text></body>\n"
	       "3: " EMPTY "\n4: " TERMINATE("other-request") "\nend\n");
}

static void test_failure_kept(void **state)
{
	(void)state;
	begin();
	server("<message/>");
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	/* The first one counts. */
	fail_link(FAILURE_STREAM_CLOSED, NULL);
	EXPECT("");
	/* A repeat gets the same answer. */
	request(100);
	EXPECT("2: " CREATION ">" FEATURES "</body>\n");
	request_with(101, "", "<iq/>");
	EXPECT("3: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed'><message/>"
	       "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the connection to the server "
	       "broke</text></body>\nend\n");
}

static void test_failure_kept_for_repeat(void **state)
{
	(void)state;
	begin();
	request(101);
	gone(2);
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	EXPECT("");
	request(101);
	EXPECT("3: " LOST "\nend\n");
}

static void test_failure_kept_for_nobody(void **state)
{
	(void)state;
	begin();
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	at_ms(29999);
	EXPECT("");
	at_ms(30000);
	EXPECT(END(INACTIVITY));
}

/* A request without a connection gets no reason. The first that has one gets it. */
static void test_failure_and_gone(void **state)
{
	(void)state;
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	buffer_clear(&one.log);
	request(101);
	request(102);
	gone(2);
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	EXPECT("3: " LOST "\nend\n");
}

/* A session does nothing between its end and being freed. */
static void test_after_the_end(void **state)
{
	(void)state;
	begin();
	request_with(101, " type='terminate'", "");
	EXPECT("close\n2: " GOODBYE "\nend\n");
	server("<message/>");
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	congest(true);
	assert_int_equal(buffer_append(bosh_session_pending(one.session, 0, false, false),
				       (char[N_PENDING_MAX]){0}, N_PENDING_MAX),
			 0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("");
}

static void test_stream_error(void **state)
{
	(void)state;
	begin();
	request(101);
	/* As the link reports it: the element, then the end, with or without a flush between
	 * them. */
	assert_int_equal(buffer_append_sv(bosh_session_pending(one.session, 0, false, false),
					  SV("<message/>")),
			 0);
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, true, false), SV(ERROR)), 0);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	EXPECT("2: <body " HTTPBIND " " STREAM
	       " type='terminate' condition='remote-stream-error'><message/>" ERROR
	       "</body>\nend\n");
}

static void test_stream_error_kept(void **state)
{
	(void)state;
	begin();
	server(ERROR);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	EXPECT("");
	request(101);
	EXPECT("2: <body " HTTPBIND " " STREAM
	       " type='terminate' condition='remote-stream-error'>" ERROR "</body>\nend\n");
}

static void test_restart(void **state)
{
	(void)state;
	begin();
	request_with(101,
		     " to='example.org' xml:lang='de' from='a@example.org' xmpp:version='1.0' "
		     "xmpp:restart='true'",
		     "<iq/>");
	EXPECT("restart example.org|a@example.org|de|1.0||\n");
	server(FEATURES);
	EXPECT("2: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
	request_with(102, " xmpp:restart='true'", "");
	EXPECT("restart |||||\n");
}

static void refuse(uint64_t exchange, enum bosh_rule rule)
{
	const struct bosh_body body = {.has_rid = true, .rid = 102};

	done(bosh_session_refuse(one.session, exchange, &body, rule, &one.actions));
}

static void test_refuse(void **state)
{
	(void)state;
	begin();
	request(101);
	request(103);
	refuse(9, BOSH_RULE_NOT_UNDERSTOOD);
	EXPECT("9: " BROKE(NOT_UNDERSTOOD) "\n2: " OTHER(NOT_UNDERSTOOD) "\n3: " OTHER(
		NOT_UNDERSTOOD) "\nclose\n" END(NOT_UNDERSTOOD));
}

/* Every rule has a name, a condition and a sentence, which the client and the owner get. */
static void test_rules(void **state)
{
	static const struct {
		enum bosh_condition condition;
		const char *name;
		const char *legacy_status;
	} conditions[] = {
		{BOSH_CONDITION_BAD_REQUEST, "bad-request", "(400) "},
		{BOSH_CONDITION_POLICY_VIOLATION, "policy-violation", "(403) "},
		{BOSH_CONDITION_ITEM_NOT_FOUND, "item-not-found", "(404) "},
		/* An end that is not the client's fault has the status 200. */
		{BOSH_CONDITION_INTERNAL_SERVER_ERROR, "internal-server-error", ""},
	};
	char expected[1000];

	for (enum bosh_rule rule = BOSH_RULE_NONE + 1; rule < BOSH_RULE_COUNT; rule++) {
		size_t which = 0;

		while (conditions[which].condition != bosh_rule_condition(rule)) {
			assert_true(++which < ARRAY_LENGTH(conditions));
		}
		for (enum bosh_rule other = BOSH_RULE_NONE; other < rule; other++) {
			assert_string_not_equal(bosh_rule_name(other), bosh_rule_name(rule));
			assert_string_not_equal(bosh_rule_sentence(other),
						bosh_rule_sentence(rule));
		}
		for (int legacy = 0; legacy < 2; legacy++) {
			create(legacy ? "" : " ver='1.6'");
			server(FEATURES);
			buffer_clear(&one.log);
			refuse(9, rule);
			snprintf(expected, sizeof(expected),
				 "9: %s<body " HTTPBIND " type='terminate' condition='%s'><text "
				 "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>%s</text></body>\n"
				 "close\nend %s\n",
				 legacy ? conditions[which].legacy_status : "",
				 conditions[which].name, bosh_rule_sentence(rule),
				 bosh_rule_name(rule));
			EXPECT(expected);
			teardown(state);
			assert_int_equal(setup(state), 0);
		}
	}
}

static void test_legacy(void **state)
{
	(void)state;
	create("");
	server(FEATURES);
	buffer_clear(&one.log);
	/* The requests that are not at fault are answered with 200. */
	request(101);
	request(104);
	EXPECT("3: (404) " BROKE(RID_WINDOW) "\n2: " OTHER(RID_WINDOW) "\nclose\n" END(RID_WINDOW));
}

static void test_refusal_without_session(void **state)
{
	static const struct {
		enum bosh_condition condition;
		bool legacy;
		unsigned status;
		const char *name;
	} rows[] = {
		{BOSH_CONDITION_BAD_REQUEST, true, 400, "bad-request"},
		{BOSH_CONDITION_POLICY_VIOLATION, true, 403, "policy-violation"},
		{BOSH_CONDITION_ITEM_NOT_FOUND, true, 404, "item-not-found"},
		{BOSH_CONDITION_IMPROPER_ADDRESSING, true, 200, "improper-addressing"},
		{BOSH_CONDITION_HOST_UNKNOWN, true, 200, "host-unknown"},
		{BOSH_CONDITION_BAD_REQUEST, false, 200, "bad-request"},
		{BOSH_CONDITION_ITEM_NOT_FOUND, false, 200, "item-not-found"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char expected[300];
		struct blob *blob;
		unsigned status;

		assert_int_equal(bosh_refusal(rows[i].condition, i % 2 ? "a<b" : NULL,
					      rows[i].legacy, &status, &blob),
				 0);
		assert_int_equal(status, rows[i].status);
		snprintf(expected, sizeof(expected),
			 "<body " HTTPBIND " type='terminate' condition='%s'%s", rows[i].name,
			 i % 2 ? "><text "
				 "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a&lt;b</text></body>"
			       : "/>");
		assert_true(sv_eq(blob_sv(blob), sv_from(expected)));
		blob_unref(blob);
	}
}

/* Appends @n bytes from the server. */
static void server_sends(size_t n)
{
	char *bytes = malloc(n + 1);

	assert_non_null(bytes);
	memset(bytes, 'x', n);
	bytes[n] = '\0';
	server(bytes);
	free(bytes);
}

static void test_backpressure(void **state)
{
	(void)state;
	begin();
	server_sends(N_PENDING_MAX);
	EXPECT("");
	server_sends(1);
	EXPECT("pause\n");
	/* Said once. */
	server_sends(1);
	EXPECT("");
	request(101);
	struct sv log = buffer_sv(&one.log);

	assert_true(log.n > N_PENDING_MAX);
	assert_true(sv_eq(sv_skip(log, log.n - 7), SV("resume\n")));
	buffer_clear(&one.log);
	server_sends(N_PENDING_MAX + 1);
	EXPECT("pause\n");
}

/* While a request is held nothing stays pending, so no server is throttled. */
static void test_no_backpressure_when_attended(void **state)
{
	(void)state;
	begin();
	request(101);
	server_sends(2 * N_PENDING_MAX);
	assert_true(one.log.n > 2 * N_PENDING_MAX);
	assert_null(memmem(one.log.data, one.log.n, "pause", 5));
}

static void test_congested(void **state)
{
	(void)state;
	begin();
	congest(true);
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	/* hold='1', but the answer that lets the client send more waits. */
	EXPECT("send <a/>\nsend <b/>\n");
	congest(false);
	EXPECT("2: " EMPTY "\n");
	congest(true);
	request_with(103, "", "<c/>");
	EXPECT("send <c/>\n");
	/* Payloads have to be delivered, and `wait` has to be kept. */
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	at_ms(60000);
	EXPECT("4: " EMPTY "\n");
}

/* As much waits for the server as may: payloads wait, too, until it has drained or wait is over. */
static void test_full(void **state)
{
	(void)state;
	begin();
	congest_so_far(BOSH_CONGESTION_FULL);
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	EXPECT("send <a/>\nsend <b/>\n");
	server("<iq/>");
	server("<iq id='2'/>");
	EXPECT("");
	congest_so_far(BOSH_CONGESTION_NONE);
	EXPECT("2: " BODY("<iq/><iq id='2'/>") "\n");
	congest_so_far(BOSH_CONGESTION_FULL);
	server("<iq id='3'/>");
	EXPECT("");
	at_ms(60000);
	EXPECT("3: " BODY("<iq id='3'/>") "\n");
}

static void test_full_at_bound(void **state)
{
	(void)state;
	begin();
	congest_so_far(BOSH_CONGESTION_FULL);
	request(101);
	server_sends(N_PENDING_MAX);
	EXPECT("");
	server_sends(1);
	EXPECT("pause\n");
	/* The answer that takes what is pending lets the server be read again. */
	at_ms(60000);
	assert_true(one.log.n > N_PENDING_MAX);
	assert_non_null(memmem(one.log.data, one.log.n, "resume\n", 7));
}

static void test_see_other_uri(void **state)
{
	struct blob *blob;
	unsigned status;

	(void)state;
	assert_int_equal(bosh_refusal(BOSH_CONDITION_SEE_OTHER_URI, "https://a.org/b?c=d&e", false,
				      &status, &blob),
			 0);
	assert_int_equal(status, 200);
	assert_true(sv_eq(blob_sv(blob),
			  SV("<body " HTTPBIND " type='terminate' condition='see-other-uri'>"
			     "<uri>https://a.org/b?c=d&amp;e</uri></body>")));
	blob_unref(blob);
}

#define SHUT                                                                           \
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the gateway is being shut " \
	"down</text></body>\n"

static void test_shut(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	begin();
	request(101);
	request(103);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'>" SHUT
	       "3: " TERMINATE("other-request") "\nclose\nend\n");
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("");
	/* Without a client, what is pending is returned. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	server("<a/>");
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("bounce <a/>\nclose\nend\n");
	/* With one, it is in the answer that tells the reason. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(101);
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, false, false), SV("<b/>")),
		0);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'><b/>" SHUT
	       "close\nend\n");
	/* A request that waits for its predecessor is told the reason when no other is. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(102);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'>" SHUT
	       "close\nend\n");
}

/* The client has got @attributes, and an answer with a stanza @ms ago. */
static void shut_after(int64_t ms, const char *attributes, const char *expected)
{
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	create(attributes);
	server(FEATURES);
	server("<a/>");
	request(101);
	buffer_clear(&one.log);
	at_ms(ms);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT(expected);
}

/* The last answer is returned if its client has not been heard of for a while. One that polls may
 * have read it. */
static void test_shut_absent(void **state)
{
	(void)state;
	shut_after(BOSH_ABSENT_MS - 1, " ver='1.6'", "close\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6'", "bounce <a/>\nclose\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6' ack='1'", "bounce <a/>\nclose\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6' hold='0'", "close\nend\n");
}

/* Answers may be lost with their connections: who has asked early is known, too. */
static void test_shut_is_known(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	request(102);
	request(103);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	struct bosh_last_answer last = bosh_session_take_last(one.session);

	assert_int_equal(last.n_asked, 3);
	assert_int_equal(last.asked[1].rid, 102);
	assert_int_equal(last.asked[2].rid, 103);
	bosh_last_answer_deinit(&last);
	buffer_clear(&one.log);
}

static void test_bounce(void **state)
{
	(void)state;
	begin();
	request(101);
	server("<a/>");
	server("<b/>");
	EXPECT("2: " BODY("<a/>") "\n");
	at_ms(30000);
	/* So is the last answer: having received it, the client would have sent another request. */
	EXPECT("bounce <a/>\nbounce <b/>\nclose\n" END(INACTIVITY));
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(101);
	server("<a/>");
	request(102);
	buffer_clear(&one.log);
	gone(3);
	at_ms(90000);
	EXPECT("close\n" END(INACTIVITY));
	/* Also when it is the client's fault. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	server("<b/>");
	request(999);
	EXPECT("2: " BROKE(RID_WINDOW) "\nbounce <b/>\nclose\n" END(RID_WINDOW));
}

static void test_managed(void **state)
{
	(void)state;
	begin();
	bosh_session_set_managed(one.session, 0);
	server("<b/>");
	at_ms(30000);
	EXPECT(END(INACTIVITY));
	/* A client that terminates does not want the stream to be resumed. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	bosh_session_set_managed(one.session, 0);
	request_with(101, " type='terminate'", "");
	EXPECT("close\n2: " GOODBYE "\nend\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_failure),
		TEST(test_failure_detail),
		TEST(test_failure_at_creation),
		TEST(test_failure_with_pending),
		TEST(test_failure_kept),
		TEST(test_failure_kept_for_repeat),
		TEST(test_failure_kept_for_nobody),
		TEST(test_failure_and_gone),
		TEST(test_after_the_end),
		TEST(test_stream_error),
		TEST(test_stream_error_kept),
		TEST(test_restart),
		TEST(test_refuse),
		TEST(test_rules),
		TEST(test_legacy),
		cmocka_unit_test(test_refusal_without_session),
		TEST(test_backpressure),
		TEST(test_no_backpressure_when_attended),
		TEST(test_congested),
		TEST(test_full),
		TEST(test_full_at_bound),
		cmocka_unit_test(test_see_other_uri),
		TEST(test_shut),
		TEST(test_shut_absent),
		TEST(test_shut_is_known),
		TEST(test_bounce),
		TEST(test_managed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
