/* SPDX-License-Identifier: MIT */
/*
 * When a client sends too many requests, or empty ones too often (XEP-0124, "Overactivity" and
 * "Polling Sessions"), case by case. A case is a text of steps, done in a session whose creation
 * has been answered:
 *
 *     e        an empty request with the next rid
 *     p        one with payloads
 *     r        a request to restart the stream
 *     t, z     one that terminates, one that pauses
 *     E P      the same as e and p, but from another address than the one before it
 *     g        the connection of the latest request breaks
 *     2        the latest request is repeated
 *     s        the server sends something
 *     c        the server does not read any more
 *     +        `polling` passes, but for a millisecond
 *     .        a millisecond passes
 *
 * The last request must break the rule that the row names, and none before it any.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

struct row {
	const char *steps;
	enum bosh_rule rule;
};

#define TOO_MANY BOSH_RULE_TOO_MANY_REQUESTS
#define TOO_OFTEN BOSH_RULE_POLLING_TOO_OFTEN
#define FINE BOSH_RULE_NONE

static uint64_t rid;

static void send_with(const char *attributes, const char *payloads)
{
	request_with(rid, attributes, payloads);
}

static void do_step(char step)
{
	switch (step) {
	case 'E':
	case 'P':
		bosh_session_moved(one.session);
		rid++;
		send_with("", step == 'P' ? "<iq/>" : "");
		break;
	case 'e':
	case 'p':
		rid++;
		send_with("", step == 'p' ? "<iq/>" : "");
		break;
	case 'r':
		rid++;
		send_with(" xmpp:restart='true'", "");
		break;
	case 't':
	case 'z':
		rid++;
		send_with(step == 't' ? " type='terminate'" : " pause='10'", "");
		break;
	case '2':
		send_with("", "");
		break;
	case 'g':
		gone(one.n_exchanges);
		break;
	case 's':
		server("<m/>");
		break;
	case 'c':
		congest(true);
		break;
	case '+':
	case '.':
		at_ms(one.now.ms + (step == '+' ? one.limits.polling_s * 1000 - 1 : 1));
		break;
	default:
		fail_msg("no step %c", step);
	}
}

static void run_rows(const char *creation, const struct row *rows, size_t n)
{
	void *state = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *steps = rows[i].steps;

		one.limits.maxpause_s = 60;
		create(creation);
		at_ms(10000);
		server(FEATURES);
		rid = FIRST_RID;
		for (size_t j = 0; steps[j]; j++) {
			if (one.ended) {
				fail_msg("\"%s\": over after %zu steps", steps, j);
			}
			do_step(steps[j]);
		}
		/* The verdict. */
		if (!one.ended) {
			at_ms(one.now.ms + BOSH_VERDICT_MS);
		}
		if (one.rule != rows[i].rule) {
			fail_msg("\"%s\": %s instead of %s", steps, bosh_rule_name(one.rule),
				 bosh_rule_name(rows[i].rule));
		}
		teardown(&state);
		assert_int_equal(setup(&state), 0);
	}
}

_Static_assert(BOSH_POLLS_EXCUSED_MAX == 8, "the rows at the limit are of that length");

/* hold='1': two requests. */
static void test_hold_of_one(void **state)
{
	static const struct row rows[] = {
		/* Two empty requests within `polling`, and not a millisecond later. */
		{"e", FINE},
		{"ee", TOO_OFTEN},
		{"e+e", TOO_OFTEN},
		{"e+.e", FINE},
		{"e+.e+.e", FINE},
		{"e+.ee", TOO_OFTEN},
		/* One with payloads, and then one to be held: what libraries do. */
		{"pe", FINE},
		{"p.e", FINE},
		{"p+e", FINE},
		{"epe", FINE},
		/* By mistake they send two. It is no way around the rule: one for each, for as long
		 * as `polling`. */
		{"pee", FINE},
		{"psee", FINE},
		{"ree", FINE},
		{"peee", TOO_OFTEN},
		{"peepee", FINE},
		{"peepeee", TOO_OFTEN},
		{"ppeee", FINE},
		{"ppeeee", TOO_OFTEN},
		{"pe+e", FINE},
		{"p.e+e", TOO_OFTEN},
		{"p.+ee", TOO_OFTEN},
		{"pppppppp"
		 "e"
		 "eeeeeeee",
		 FINE},
		{"pppppppp"
		 "e"
		 "eeeeeeeee",
		 TOO_OFTEN},
		{"ppppppppp"
		 "e"
		 "eeeeeeee",
		 FINE},
		{"ppppppppp"
		 "e"
		 "eeeeeeeee",
		 TOO_OFTEN},
		{"pepepepepe", FINE},
		{"re", FINE},
		{"ere", FINE},
		{"pppppppp", FINE},
		{"ep", FINE},
		/* What the server has answered was not sent too early. */
		{"eses", FINE},
		{"eseses", FINE},
		{"pseses", FINE},
		{"esee", TOO_OFTEN},
		/* A connection that broke: the client sends what it would have sent without. */
		{"ege", FINE},
		{"egege", FINE},
		{"eg2e", TOO_OFTEN},
		{"ege.e", TOO_OFTEN},
		{"pge", FINE},
		/* A network that is gone, without anybody having said so. */
		{"eE", FINE},
		{"eEE", FINE},
		{"eEe", TOO_OFTEN},
		{"eP", FINE},
		{"pEe", FINE},
		{"pEee", TOO_OFTEN},
		{"eE2e", TOO_OFTEN},
	};

	(void)state;
	run_rows(" ver='1.6' hold='1'", rows, ARRAY_LENGTH(rows));
}

/* hold='2': three requests. */
static void test_hold_of_two(void **state)
{
	static const struct row rows[] = {
		{"ee", FINE},        {"eee", TOO_OFTEN}, {"pee", FINE},     {"peee", TOO_OFTEN},
		{"epe", FINE},       {"ppe", FINE},      {"e+.e+.e", FINE}, {"e+.ee", TOO_OFTEN},
		{"eege", FINE},      {"egee", FINE},     {"eeE", FINE},     {"eEe", FINE},
		{"eEee", TOO_OFTEN},
	};

	(void)state;
	run_rows(" ver='1.6' hold='2'", rows, ARRAY_LENGTH(rows));
}

/* While the server does not read, requests stay under way. */
static void test_too_many(void **state)
{
	static const struct row rows[] = {
		{"cpp", FINE},
		{"cppp", TOO_MANY},
		{"cpp+.p", TOO_MANY},
		{"cppe", TOO_MANY},
		/* One more may pause or terminate. */
		{"cppt", FINE},
		{"cppz", FINE},
		{"cppzpp", FINE},
		/* With a connection that broke there is room for another request, however often it
		 * happens. */
		{"cppgp", FINE},
		{"cpgpp", FINE},
		{"cpgppp", TOO_MANY},
		{"cpgpgpgpgpgpp", FINE},
		/* The older one was answered to make it. */
		{"cppgpp", FINE},
		{"cppgppp", TOO_MANY},
		{"cppgt", FINE},
		/* And so with a network that is gone. */
		{"cppP", FINE},
		{"cppPp", FINE},
		{"cppPpp", TOO_MANY},
		{"cppPP", FINE},
		{"cppE", FINE},
	};

	(void)state;
	run_rows(" ver='1.6' hold='1'", rows, ARRAY_LENGTH(rows));
}

/* "Polling Sessions": hold='0'. What the first `e` gets are the features. */
static void test_polling(void **state)
{
	static const struct row rows[] = {
		{"ee", FINE},
		{"eee", TOO_OFTEN},
		{"ee+e", TOO_OFTEN},
		{"ee+.e", FINE},
		{"eepe", FINE},
		{"epe", FINE},
		{"epee", TOO_OFTEN},
		/* The answer to the first of two is what counts, not what has come since. */
		{"ese", FINE},
		{"esee", FINE},
		{"eseee", TOO_OFTEN},
		{"eese", TOO_OFTEN},
		{"eeE", FINE},
		{"eeEe", TOO_OFTEN},
		{"eet", FINE},
		{"eez", FINE},
	};

	(void)state;
	run_rows(" ver='1.6' hold='0'", rows, ARRAY_LENGTH(rows));
}

/* A gateway that names no polling interval has none. */
static void test_without_interval(void **state)
{
	static const struct row rows[] = {{"eeee", FINE}, {"eEeEe", FINE}};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		one.limits.polling_s = 0;
		run_rows(" ver='1.6' hold='1'", &rows[i], 1);
		one.limits.polling_s = 0;
		run_rows(" ver='1.6' hold='0'", &rows[i], 1);
	}
	(void)state;
}

/* The moment for which a request waits that could be answered is the gateway's own affair. */
static void test_linger(void **state)
{
	static const struct row rows[] = {
		{"pe", FINE},    {"epe", FINE},        {"eppe", FINE},     {"epppppp", FINE},
		{"ep.ep", FINE}, {"epeee", TOO_OFTEN}, {"cppp", TOO_MANY},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		one.limits.linger_ms = 100;
		run_rows(" ver='1.6' hold='1'", &rows[i], 1);
	}
	(void)state;
}

/* The verdict waits for the news that a connection has broken. */
static void test_verdict(void **state)
{
	(void)state;
	begin();
	request(101);
	at_ms(50);
	request(102);
	at_ms(50 + BOSH_VERDICT_MS - 1);
	EXPECT("");
	at_ms(50 + BOSH_VERDICT_MS);
	EXPECT("3: " BROKE(POLLING_TOO_OFTEN) "\n2: " OTHER(POLLING_TOO_OFTEN) "\nclose\n" END(
		POLLING_TOO_OFTEN));
}

static void test_verdict_and_gone(void **state)
{
	(void)state;
	begin();
	request(101);
	request(102);
	/* What comes meanwhile waits, and so does its answer. */
	request_with(103, "", "<a/>");
	request(102);
	EXPECT("3: " DISPLACED "\n");
	gone(2);
	at_ms(BOSH_VERDICT_MS);
	EXPECT("send <a/>\n5: " EMPTY "\n");
	server("<iq/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

/* The request before it came late, over another worker: its turn comes at once with that. */
static void test_verdict_of_early(void **state)
{
	(void)state;
	begin();
	request(102);
	request(101);
	EXPECT("");
	gone(3);
	at_ms(BOSH_VERDICT_MS);
	EXPECT("");
	server("<iq/>");
	EXPECT("2: " BODY("<iq/>") "\n");
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(102);
	request(101);
	at_ms(BOSH_VERDICT_MS);
	EXPECT("2: " BROKE(POLLING_TOO_OFTEN) "\n3: " OTHER(POLLING_TOO_OFTEN) "\nclose\n" END(
		POLLING_TOO_OFTEN));
}

/* What is to be judged has gone itself, or is none too many any more. */
static void test_verdict_without_need(void **state)
{
	(void)state;
	begin();
	request(101);
	request(102);
	gone(3);
	at_ms(1000);
	EXPECT("");
	server("<iq/>");
	EXPECT("2: " BODY("<iq/>") "\n");
	request(102);
	request(103);
	server("<iq/>");
	EXPECT("4: " BODY("<iq/>") "\n");
	at_ms(1000 + BOSH_VERDICT_MS);
	EXPECT("");
	server("<iq/>");
	EXPECT("5: " BODY("<iq/>") "\n");
}

/* The engine judges the request that follows one that it has judged. */
static void test_verdict_of_each(void **state)
{
	(void)state;
	begin();
	request(101);
	request(102);
	request(103);
	gone(2);
	at_ms(BOSH_VERDICT_MS);
	EXPECT("");
	at_ms(2 * BOSH_VERDICT_MS);
	assert_int_equal(one.rule, BOSH_RULE_POLLING_TOO_OFTEN);
}

/* A goodbye that comes meanwhile does not undo it, nor is it forgotten. */
static void test_verdict_and_end(void **state)
{
	struct failure failure;

	(void)state;
	begin();
	request(101);
	request(102);
	request_with(103, " type='terminate'", "");
	EXPECT("");
	at_ms(BOSH_VERDICT_MS);
	EXPECT("3: " BROKE(POLLING_TOO_OFTEN) "\n2: " OTHER(POLLING_TOO_OFTEN) "\n4: " OTHER(
		POLLING_TOO_OFTEN) "\nclose\n" END(POLLING_TOO_OFTEN));
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(101);
	request(102);
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: " TERMINATE_WITH(
		"system-shutdown",
		"the gateway is being shut down") "\n3: " TERMINATE("other-request") "\nclose\nend"
										     "\n");
}

/* What made room is answered, and its answer is kept for a repeat. */
static void test_room(void **state)
{
	(void)state;
	begin();
	congest(true);
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	gone(one.n_exchanges);
	EXPECT("send <a/>\nsend <b/>\n");
	request_with(103, "", "<c/>");
	EXPECT("2: " EMPTY "\nsend <c/>\n");
	/* The one that broke is still there to be repeated. */
	request_with(102, "", "<b/>");
	EXPECT("");
	server("<iq/>");
	EXPECT("5: " BODY("<iq/>") "\n");
	request_with(101, "", "<a/>");
	EXPECT("6: " EMPTY "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hold_of_one),
		TEST(test_hold_of_two),
		TEST(test_too_many),
		TEST(test_polling),
		TEST(test_without_interval),
		TEST(test_linger),
		TEST(test_room),
		TEST(test_verdict),
		TEST(test_verdict_and_gone),
		TEST(test_verdict_of_early),
		TEST(test_verdict_without_need),
		TEST(test_verdict_of_each),
		TEST(test_verdict_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
