/* SPDX-License-Identifier: MIT */
/*
 * Clients that send too many requests, or empty ones too often (XEP-0124, "Overactivity" and
 * "Polling Sessions"). A case is a text of steps in a session whose creation has been answered:
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
 * The last request must break the rule that the row names, and no request before it any rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/bosh-case.h"

struct row {
	const char *steps;
	enum bosh_rule rule;
};

#define TOO_MANY BOSH_RULE_TOO_MANY_REQUESTS
#define TOO_OFTEN BOSH_RULE_POLLING_TOO_OFTEN
#define FINE BOSH_RULE_NONE

/* Why the session ended in the latest call. */
static enum bosh_rule broken;
static uint64_t rid;

/* Reads the actions before they are logged and released. */
static void settle(int r)
{
	for (size_t i = 0; i < one.actions.n; i++) {
		if (one.actions.items[i].kind == BOSH_ACTION_END) {
			broken = one.actions.items[i].rule;
		}
	}
	done(r);
}

static void send_with(const char *attributes, const char *payloads)
{
	struct bosh_body body;

	read_request(rid, attributes, payloads, &body);
	settle(bosh_session_request(one.session, one.n_exchanges, &body, one.now, &one.actions));
	bosh_body_deinit(&body);
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

/* A step ends the session only because of itself, not because of those behind it. */
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
			broken = BOSH_RULE_NONE;
			do_step(steps[j]);
			if (broken && steps[j + 1]) {
				fail_msg("\"%s\": %s after %zu steps", steps,
					 bosh_rule_name(broken), j + 1);
			}
		}
		if (broken != rows[i].rule) {
			fail_msg("\"%s\": %s instead of %s", steps, bosh_rule_name(broken),
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
		/* A request that the server has answered was not sent too early. */
		{"eses", FINE},
		{"eseses", FINE},
		{"pseses", FINE},
		{"esee", TOO_OFTEN},
		/* The connection broke, and the client sends what it would have sent otherwise. */
		{"ege", FINE},
		{"egege", FINE},
		{"eg2e", TOO_OFTEN},
		{"ege.e", TOO_OFTEN},
		{"pge", FINE},
		/* The network changed, and the old connections were not closed. */
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
		/* So there is when the network has changed. */
		{"cppP", FINE},
		{"cppPp", FINE},
		{"cppPpp", TOO_MANY},
		{"cppPP", FINE},
		{"cppE", FINE},
	};

	(void)state;
	run_rows(" ver='1.6' hold='1'", rows, ARRAY_LENGTH(rows));
}

/* "Polling Sessions": hold='0'. The first `e` gets the features. */
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
		/* The answer to the first of the two counts, not what has arrived since. */
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

/* Without a polling interval any number is allowed. */
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

/* That a request lingers is not held against the client. */
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

/* The request that made room is answered, and the answer is kept for a repeat. */
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
		TEST(test_hold_of_one), TEST(test_hold_of_two),      TEST(test_too_many),
		TEST(test_polling),     TEST(test_without_interval), TEST(test_linger),
		TEST(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
