/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/bosh/bosh-case.h"

/* What a session leaves for clients that repeat the request that it ended with. */

static struct bosh_last_answer last;

static void take_last(void)
{
	assert_true(one.ended);
	last = bosh_session_take_last(one.session);
	assert_null(bosh_session_take_last(one.session).blob);
}

static int clear(void **state)
{
	bosh_last_answer_deinit(&last);
	return teardown(state);
}

static void assert_last(unsigned status, const char *text)
{
	assert_non_null(last.blob);
	assert_int_equal(last.status, status);
	if (!sv_eq(blob_sv(last.blob), sv_from(text))) {
		fail_msg("%.*s", SV_ARGS(blob_sv(last.blob)));
	}
}

/* The last answer is for the @n requests from @first on that have come, and, where nobody was told
 * of the end, for two that could have come next. */
static void assert_is_for(uint64_t first, uint64_t n)
{
	assert_true(last.n_expected == 0 || last.n_expected == 2);
	n += last.n_expected;
	for (uint64_t rid = first - 1; rid <= first + n; rid++) {
		bool expected = rid >= first && rid < first + n;

		if (bosh_last_answer_is_for(&last, rid, SV_EMPTY) != expected) {
			fail_msg("rid %d", (int)rid);
		}
	}
}

static void test_failure(void **state)
{
	(void)state;
	begin();
	request(101);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_last(200, TERMINATE("remote-stream-error"));
	assert_int_equal(last.n_expected, 0);
	assert_is_for(100, 2);
}

/* Nobody hears of the end before the next request. */
static void test_failure_told_later(void **state)
{
	(void)state;
	begin();
	request(101);
	gone(2);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	assert_false(one.ended);
	request(102);
	take_last();
	assert_last(200, TERMINATE("remote-stream-error"));
	assert_is_for(100, 3);
}

/* The connections of all requests have broken, so nobody could be told. */
static void test_shut_without_connections(void **state)
{
	struct failure failure;

	(void)state;
	begin();
	request(101);
	gone(2);
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	take_last();
	assert_last(200, TERMINATE_WITH("system-shutdown", "the gateway is being shut down"));
	assert_is_for(100, 2);
}

/* A request that came before its predecessor is told, so nobody else has to be. */
static void test_shut_with_an_early_request(void **state)
{
	struct failure failure;

	(void)state;
	begin();
	request(101);
	gone(2);
	request(103);
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	take_last();
	assert_int_equal(last.n_expected, 0);
}

/* The answer to 101 went nowhere when 102 came, and the session ended before it was repeated. */
static void test_answered_to_nobody(void **state)
{
	(void)state;
	begin();
	request(101);
	gone(2);
	request_with(102, "", "<m/>");
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_last(200, TERMINATE("remote-stream-error"));
	assert_is_for(100, 3);
}

static void assert_answer(uint64_t rid, const char *key, const char *text)
{
	unsigned status;
	struct blob *blob = bosh_last_answer_get(&last, rid, sv_from(key), &status);

	assert_int_equal(status, 200);
	if (!sv_eq(blob_sv(blob), sv_from(text))) {
		fail_msg("%.*s", SV_ARGS(blob_sv(blob)));
	}
	blob_unref(blob);
}

/* An answer may be lost although the client has made another request. What it carried is not. */
static void test_answered_before(void **state)
{
	(void)state;
	begin();
	request(101);
	server("<m/>");
	request(102);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_is_for(100, 3);
	assert_answer(101, "", BODY("<m/>"));
	assert_answer(102, "", TERMINATE("remote-stream-error"));
	assert_int_equal(bosh_last_answer_size(&last),
			 last.blob->n + last.asked[0].reply->n + last.asked[1].reply->n);
	bosh_last_answer_drop_replies(&last);
	assert_int_equal(bosh_last_answer_size(&last), last.blob->n);
	assert_answer(101, "", TERMINATE("remote-stream-error"));
}

/* Nor does one that carried nothing stand before it. */
static void test_empty_before(void **state)
{
	(void)state;
	create(" ver='1.6' ack='1' hold='2' wait='60' to='example.org'");
	server(FEATURES);
	request_with(101, " ack='100'", "");
	request_with(102, " ack='100'", "");
	gone(2);
	request_with(103, " ack='100'", "<n/>");
	server("<m/>");
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_answer(101, "", "<body " HTTPBIND " ack='103'/>");
	assert_answer(102, "", "<body " HTTPBIND " ack='103'><m/></body>");
	assert_answer(103, "", TERMINATE("remote-stream-error"));
}

/* An answer that carried nothing is lost, and the client makes another request: one that reads its
 * answers in order repeats the first one before it reads why the session has ended. */
static void test_empty_and_followed(void **state)
{
	(void)state;
	create(" ver='1.6' ack='1' hold='1' wait='60' to='example.org'");
	server(FEATURES);
	request_with(101, " ack='100'", "");
	gone(2);
	request_with(102, " ack='100'", "");
	gone(3);
	request_with(103, " ack='100'", "");
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	for (uint64_t rid = 101; rid <= 103; rid++) {
		assert_true(bosh_last_answer_is_for(&last, rid, SV_EMPTY));
	}
	assert_answer(101, "",
		      "<body " HTTPBIND
		      " ack='103' type='terminate' condition='remote-stream-error'/>");
	assert_answer(103, "", TERMINATE("remote-stream-error"));
}

/* The same where more requests are open than usual: none is left out. */
static void test_empty_and_followed_by_many(void **state)
{
	(void)state;
	one.limits.hold = 4;
	create(" ver='1.6' ack='1' hold='4' wait='60' to='example.org'");
	server(FEATURES);
	for (uint64_t i = 0; i < 5; i++) {
		request_with(101 + i, " ack='100'", "");
		gone(2 + i);
	}
	request_with(106, " ack='100'", "");
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_int_equal(last.n_open_max, 6);
	for (uint64_t rid = 101; rid <= 106; rid++) {
		assert_true(bosh_last_answer_is_for(&last, rid, SV_EMPTY));
	}
}

/* The owner ends the session while the answer is on its way. */
static void test_shut_behind_answer(void **state)
{
	struct failure failure;

	(void)state;
	begin();
	request(101);
	server("<m/>");
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	take_last();
	assert_last(200, TERMINATE_WITH("system-shutdown", "the gateway is being shut down"));
	assert_int_equal(last.n_expected, 2);
	assert_is_for(100, 2);
	assert_answer(101, "", BODY("<m/>"));
}

/* What is returned to the server is not given to the client as well. */
static void test_shut_absent(void **state)
{
	struct failure failure;

	(void)state;
	begin();
	request(101);
	server("<m/>");
	at_ms(BOSH_ABSENT_MS);
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	take_last();
	assert_is_for(100, 2);
	assert_answer(101, "", TERMINATE_WITH("system-shutdown", "the gateway is being shut down"));
}

static void test_two_held(void **state)
{
	(void)state;
	create(" ver='1.6' hold='2' wait='60' to='example.org'");
	server(FEATURES);
	request(101);
	request(102);
	request(104);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
	assert_last(200, TERMINATE("remote-stream-error"));
	assert_int_equal(last.n_asked, 4);
	assert_true(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
	assert_true(bosh_last_answer_is_for(&last, 102, SV_EMPTY));
	assert_false(bosh_last_answer_is_for(&last, 103, SV_EMPTY));
	assert_true(bosh_last_answer_is_for(&last, 104, SV_EMPTY));
}

static void end_with_two_held(void)
{
	create(" ver='1.6' ack='1' hold='2' wait='60' to='example.org'");
	server(FEATURES);
	request_with(101, " ack='100'", "");
	request_with(102, " ack='100'", "");
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	take_last();
}

/* "Request Acknowledgements": whoever repeats is told the highest rid that has come, but for the
 * request that has it. */
static void test_acks(void **state)
{
	(void)state;
	end_with_two_held();
	assert_int_equal(last.ack, 102);
	assert_answer(101, "",
		      "<body " HTTPBIND
		      " ack='102' type='terminate' condition='remote-stream-error'/>");
	assert_answer(102, "", TERMINATE("remote-stream-error"));
}

/* The answer went to the highest one, and another repeats. */
static void test_acks_of_others(void **state)
{
	(void)state;
	create(" ver='1.6' ack='1' hold='1' wait='60' to='example.org'");
	server(FEATURES);
	request_with(101, " ack='100'", "");
	gone(2);
	fail_link(FAILURE_STREAM_ERROR, "conflict");
	request_with(102, " ack='100'", "");
	take_last();
	assert_answer(101, "",
		      "<body " HTTPBIND
		      " ack='102' type='terminate' condition='remote-stream-error'/>");
	assert_answer(102, "", TERMINATE("remote-stream-error"));
}

/* Without memory there is no other form of it. */
static void test_acks_memory(void **state)
{
	(void)state;
	end_with_two_held();
	failmalloc_arm(1, false);
	unsigned status;
	struct blob *blob = bosh_last_answer_get(&last, 102, SV_EMPTY, &status);

	assert_int_equal(failmalloc_disarm(), 1);
	assert_null(blob);
}

static void test_goodbye(void **state)
{
	(void)state;
	begin();
	request(101);
	request_with(102, " type='terminate'", "");
	take_last();
	assert_last(200, GOODBYE);
	assert_is_for(100, 3);
}

static void test_refusal(void **state)
{
	(void)state;
	begin();
	request(101);
	request(104);
	take_last();
	assert_last(200, BROKE(RID_WINDOW));
	assert_int_equal(last.n_asked, 3);
	assert_true(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
	assert_false(bosh_last_answer_is_for(&last, 102, SV_EMPTY));
	assert_true(bosh_last_answer_is_for(&last, 104, SV_EMPTY));
}

/* Who repeats too often is told that again, too, and does not get the reply once more. */
static void test_refusal_of_repeats(void **state)
{
	(void)state;
	begin();
	request(101);
	server("<m/>");
	for (unsigned i = 0; i <= one.limits.n_repeats_max; i++) {
		assert_false(one.ended);
		request(101);
	}
	take_last();
	assert_answer(101, "", BROKE(TOO_MANY_REPEATS));
}

static void test_legacy_refusal(void **state)
{
	(void)state;
	create(" hold='1' wait='60' to='example.org'");
	server(FEATURES);
	request(104);
	take_last();
	assert_last(404, BROKE(RID_WINDOW));
	assert_true(bosh_last_answer_is_for(&last, 100, SV_EMPTY));
	assert_false(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
	assert_true(bosh_last_answer_is_for(&last, 104, SV_EMPTY));
}

static void test_inactivity(void **state)
{
	(void)state;
	begin();
	at_ms(60000);
	take_last();
	assert_null(last.blob);
	/* Nobody asked. */
	assert_int_equal(last.n_asked, 0);
	assert_false(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
}

#define KEY "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
/* Its hash. */
#define KEY_BEFORE "d292235a37e4c4d618944f8c07707c4e6e11b472"

static void test_keys(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' wait='60' to='example.org' "
	       "newkey='ca32af0d1b6a1f07a1b7bcbb1d1a1e1f1a1b1c1d'");
	server(FEATURES);
	request_with(101, " key='" KEY "'", "");
	take_last();
	assert_last(200, BROKE(KEY_MISMATCH));
	assert_true(bosh_last_answer_is_for(&last, 101, SV(KEY)));
	assert_false(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
}

/* A request that has not come shows the key that comes next. */
static void test_keys_expected(void **state)
{
	struct failure failure;

	(void)state;
	create(" ver='1.6' hold='1' wait='60' to='example.org' newkey='" KEY_BEFORE "'");
	server(FEATURES);
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	take_last();
	assert_true(bosh_last_answer_is_for(&last, 101, SV(KEY)));
	assert_false(bosh_last_answer_is_for(&last, 101, SV(KEY_BEFORE)));
	assert_false(bosh_last_answer_is_for(&last, 101, SV_EMPTY));
	assert_false(bosh_last_answer_is_for(&last, 102, SV(KEY)));
}

/* Whoever repeats with a wrong key ends the session, and is told that again. What the right key was
 * answered is not for him. */
static void test_keys_of_reply(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' wait='60' to='example.org' newkey='" KEY_BEFORE "'");
	server(FEATURES);
	request_with(101, " key='" KEY "'", "");
	server("<m/>");
	request_with(101, " key='" KEY_BEFORE "'", "");
	take_last();
	assert_true(bosh_last_answer_is_for(&last, 101, SV(KEY_BEFORE)));
	assert_answer(101, KEY_BEFORE, BROKE(KEY_MISMATCH));
	assert_true(bosh_last_answer_is_for(&last, 101, SV(KEY)));
	assert_answer(101, KEY, BODY("<m/>"));
}

#define LAST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAST_TEST(test_failure),
		LAST_TEST(test_failure_told_later),
		LAST_TEST(test_acks),
		LAST_TEST(test_acks_of_others),
		LAST_TEST(test_acks_memory),
		LAST_TEST(test_two_held),
		LAST_TEST(test_goodbye),
		LAST_TEST(test_refusal),
		LAST_TEST(test_refusal_of_repeats),
		LAST_TEST(test_legacy_refusal),
		LAST_TEST(test_inactivity),
		LAST_TEST(test_keys),
		LAST_TEST(test_keys_expected),
		LAST_TEST(test_keys_of_reply),
		LAST_TEST(test_shut_without_connections),
		LAST_TEST(test_shut_with_an_early_request),
		LAST_TEST(test_answered_to_nobody),
		LAST_TEST(test_answered_before),
		LAST_TEST(test_empty_before),
		LAST_TEST(test_empty_and_followed),
		LAST_TEST(test_empty_and_followed_by_many),
		LAST_TEST(test_shut_absent),
		LAST_TEST(test_shut_behind_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
