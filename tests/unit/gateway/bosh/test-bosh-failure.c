/* SPDX-License-Identifier: MIT */
/* A BOSH session that fails, and requests that are refused. The table of rules is in
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
		TEST(test_refuse),
		TEST(test_rules),
		TEST(test_legacy),
		cmocka_unit_test(test_refusal_without_session),
		cmocka_unit_test(test_see_other_uri),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
