/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/sv.h"
#include "gateway/upstream/dns/srv.h"

/* A generator with a fixed sequence (xorshift32). */
static uint32_t draw_seeded(void *userdata, uint32_t max)
{
	uint32_t *state = userdata;

	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return (uint32_t)(((uint64_t)*state * ((uint64_t)max + 1)) >> 32);
}

struct script {
	uint32_t reply; /* limited to the range asked for */
	uint32_t asked[8];
	size_t n_asked;
};

static uint32_t draw_scripted(void *userdata, uint32_t max)
{
	struct script *script = userdata;

	script->asked[script->n_asked++] = max;
	return script->reply < max ? script->reply : max;
}

/* @text: "host priority weight port", as often as there are targets. */
static struct srv_set set_of(const char *text)
{
	struct sv rest = sv_from(text);
	struct srv_set set = {0};
	struct sv host;

	while (rest.n && sv_split(&rest, ' ', &host)) {
		char name[SRV_HOST_MAX + 1];
		uint64_t numbers[3];
		struct sv number;

		for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
			assert_true(sv_split(&rest, ' ', &number));
			assert_int_equal(sv_to_u64(number, UINT16_MAX, &numbers[i]), 0);
		}
		snprintf(name, sizeof(name), "%.*s", (int)host.n, host.data);
		srv_set_add(&set, strcmp(name, ".") ? name : "", (uint16_t)numbers[0],
			    (uint16_t)numbers[1], (uint16_t)numbers[2]);
	}
	return set;
}

static void assert_hosts(const struct srv_set *set, const char *hosts)
{
	char text[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < set->n_targets; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
				      set->targets[i].host);
	}
	assert_string_equal(text, hosts);
}

static void test_priority(void **state)
{
	struct srv_set set = set_of("c 30 0 1 a 10 5 2 d 65535 9 3 b 20 65535 4 z 0 0 5");
	uint32_t seed = 1;

	(void)state;
	srv_order(set.targets, set.n_targets, draw_seeded, &seed);
	assert_hosts(&set, "z a b c d");
	/* The record is moved as a whole. */
	assert_int_equal(set.targets[2].priority, 20);
	assert_int_equal(set.targets[2].weight, 65535);
	assert_int_equal(set.targets[2].port, 4);
}

static void test_empty_and_one(void **state)
{
	struct srv_set set = {0};
	struct script script = {0};

	(void)state;
	srv_order(set.targets, 0, draw_scripted, &script);
	set = set_of("a 1 1 1");
	srv_order(set.targets, set.n_targets, draw_scripted, &script);
	assert_hosts(&set, "a");
	assert_int_equal(script.n_asked, 0);
}

/* The draw ranges from 0 to the sum and selects the first target whose running sum reaches it. */
static void test_running_sum(void **state)
{
	static const struct {
		uint32_t reply;
		const char *hosts;
	} cases[] = {
		{0, "a b c"}, {1, "a b c"}, {2, "b c a"}, {3, "b c a"}, {4, "c b a"}, {6, "c b a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct srv_set set = set_of("a 0 1 1 b 0 2 1 c 0 3 1");
		struct script script = {.reply = cases[i].reply};

		srv_order(set.targets, set.n_targets, draw_scripted, &script);
		assert_hosts(&set, cases[i].hosts);
		assert_int_equal(script.n_asked, 2);
		assert_int_equal(script.asked[0], 6);
		assert_int_equal(script.asked[1], 6 - set.targets[0].weight);
	}
}

static void test_sum_has_no_overflow(void **state)
{
	struct srv_set set = {0};
	struct script script = {.reply = UINT32_MAX};

	(void)state;
	for (int i = 0; i < 8; i++) {
		srv_set_add(&set, "a", 0, 65535, (uint16_t)(1 + i));
	}
	srv_order(set.targets, set.n_targets, draw_scripted, &script);
	assert_int_equal(script.asked[0], 8 * 65535);
}

static void test_weight_distribution(void **state)
{
	enum { DRAWS = 1000 };
	unsigned n_first[3] = {0};
	unsigned n_second_of_a = 0;
	uint32_t seed = 20260131;

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		struct srv_set set = set_of("a 5 60 1 b 5 30 1 c 5 10 1");

		srv_order(set.targets, set.n_targets, draw_seeded, &seed);
		n_first[set.targets[0].host[0] - 'a']++;
		n_second_of_a += set.targets[0].host[0] == 'a' && set.targets[1].host[0] == 'b';
	}
	/* Four standard deviations are 62, 58 and 38. */
	assert_in_range(n_first[0], 600 - 62, 600 + 62);
	assert_in_range(n_first[1], 300 - 58, 300 + 58);
	assert_in_range(n_first[2], 100 - 38, 100 + 38);
	/* The second is drawn among the rest: 30 to 10. */
	assert_in_range(n_second_of_a * 100 / n_first[0], 75 - 8, 75 + 8);
}

static void test_weight_zero(void **state)
{
	enum { DRAWS = 1000 };
	unsigned n_zero_first = 0;
	uint32_t seed = 7;
	struct srv_set zeros = set_of("a 1 0 1 b 1 0 1 c 1 0 1");

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		struct srv_set set = set_of("heavy 1 99 1 zero 1 0 1");

		srv_order(set.targets, set.n_targets, draw_seeded, &seed);
		n_zero_first += set.targets[0].host[0] == 'z';
		assert_int_equal(set.n_targets, 2);
	}
	/* Only 0 of 0..99 selects it: a small chance, but not none (RFC 2782). */
	assert_in_range(n_zero_first, 1, 30);
	srv_order(zeros.targets, zeros.n_targets, draw_seeded, &seed);
	assert_hosts(&zeros, "a b c");
}

static void test_groups_are_apart(void **state)
{
	uint32_t seed = 99;

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct srv_set set = set_of("b1 2 1 1 a1 1 1 1 b2 2 60000 1 a2 1 60000 1 c 3 0 1");

		srv_order(set.targets, set.n_targets, draw_seeded, &seed);
		assert_int_equal(set.targets[0].host[0], 'a');
		assert_int_equal(set.targets[1].host[0], 'a');
		assert_int_equal(set.targets[2].host[0], 'b');
		assert_int_equal(set.targets[3].host[0], 'b');
		assert_string_not_equal(set.targets[0].host, set.targets[1].host);
		assert_string_not_equal(set.targets[2].host, set.targets[3].host);
		assert_int_equal(set.targets[4].host[0], 'c');
	}
}

static void test_not_offered(void **state)
{
	struct srv_set set = set_of(". 0 0 0");

	(void)state;
	assert_int_equal(set.n_targets, 1);
	assert_true(srv_offers_nothing(set.targets, set.n_targets));
	assert_false(srv_offers_nothing(set.targets, 0));
	set = set_of(". 0 0 0 a 1 1 1");
	assert_int_equal(set.n_targets, 2);
	assert_false(srv_offers_nothing(set.targets, set.n_targets));
	set = set_of(". 0 0 0 . 1 0 0");
	assert_int_equal(set.n_targets, 1);
	assert_true(srv_offers_nothing(set.targets, set.n_targets));
	set = (struct srv_set){0};
	srv_set_add(&set, ".", 0, 0, 0);
	assert_true(srv_offers_nothing(set.targets, set.n_targets));
}

static void test_host(void **state)
{
	struct srv_set set = {0};
	char longest[SRV_HOST_MAX + 2];

	(void)state;
	srv_set_add(&set, "xmpp-1_a.Example.ORG", 1, 2, 3);
	srv_set_add(&set, "final.dot.example.", 1, 2, 3);
	assert_hosts(&set, "xmpp-1_a.Example.ORG final.dot.example");
	srv_set_add(&set, "a b", 1, 2, 3);
	srv_set_add(&set, "a\\.b", 1, 2, 3);
	srv_set_add(&set, "a\nb", 1, 2, 3);
	srv_set_add(&set, "\xc3\xa4", 1, 2, 3);
	srv_set_add(&set, "a:b", 1, 2, 3);
	srv_set_add(&set, "[::1]", 1, 2, 3);
	srv_set_add(&set, "no-port.example", 1, 2, 0);
	assert_int_equal(set.n_targets, 2);
	memset(longest, 'a', sizeof(longest));
	longest[SRV_HOST_MAX + 1] = '\0';
	srv_set_add(&set, longest, 1, 2, 3);
	assert_int_equal(set.n_targets, 2);
	longest[SRV_HOST_MAX] = '\0';
	srv_set_add(&set, longest, 1, 2, 3);
	assert_int_equal(set.n_targets, 3);
	assert_string_equal(set.targets[2].host, longest);
	/* Some zones have an address in place of a name. */
	set.n_targets = 0;
	srv_set_add(&set, "192.0.2.1", 1, 2, 3);
	srv_set_add(&set, "2001:db8::1", 1, 2, 3);
	assert_hosts(&set, "192.0.2.1 2001:db8::1");
}

static void test_same_target_twice(void **state)
{
	struct srv_set set =
		set_of("a.example 5 7 1 A.Example. 3 8 1 a.example 4 9 1 a.example 5 7 2");

	(void)state;
	assert_hosts(&set, "A.Example a.example");
	assert_int_equal(set.targets[0].priority, 3);
	assert_int_equal(set.targets[0].weight, 8);
	assert_int_equal(set.targets[1].port, 2);
}

static struct dns_reply *reply_of(enum resolver_result result, const char *text, bool authentic)
{
	struct srv_set set = set_of(text);
	struct dns_reply *reply;

	assert_int_equal(dns_reply_new(DNS_KIND_SRV, result, 0, set.targets, set.n_targets, &reply),
			 0);
	reply->is_authentic = authentic;
	return reply;
}

static void test_merge_mixes(void **state)
{
	_cleanup_(dns_reply_unrefp) struct dns_reply *starttls =
		reply_of(RESOLVER_OK, "a 20 1 5222 b 10 2 5222 . 0 0 0", false);
	_cleanup_(dns_reply_unrefp) struct dns_reply *direct =
		reply_of(RESOLVER_OK, "a 15 3 5223 b 30 4 5222", true);
	uint32_t seed = 5;
	struct srv_set set;

	(void)state;
	assert_int_equal(srv_merge(starttls, direct, &set), RESOLVER_OK);
	srv_order(set.targets, set.n_targets, draw_seeded, &seed);
	assert_hosts(&set, "b a a b");
	for (size_t i = 0; i < set.n_targets; i++) {
		assert_int_equal(set.targets[i].is_direct, i & 1);
		assert_int_equal(set.targets[i].is_authentic, i & 1);
	}
	assert_int_equal(set.targets[1].port, 5223);
	assert_int_equal(set.targets[1].weight, 3);
}

/* One priority over both services: the weights of one count against those of the other. */
static void test_merge_weights(void **state)
{
	enum { DRAWS = 1000 };
	_cleanup_(dns_reply_unrefp) struct dns_reply *starttls =
		reply_of(RESOLVER_OK, "a 5 20 1 b 5 10 1", false);
	_cleanup_(dns_reply_unrefp) struct dns_reply *direct =
		reply_of(RESOLVER_OK, "a 5 60 2 b 5 10 2", false);
	unsigned n_direct = 0;
	unsigned n_a = 0;
	uint32_t seed = 368;

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		struct srv_set set;

		assert_int_equal(srv_merge(starttls, direct, &set), RESOLVER_OK);
		srv_order(set.targets, set.n_targets, draw_seeded, &seed);
		n_direct += set.targets[0].is_direct;
		n_a += set.targets[0].host[0] == 'a';
	}
	/* Four standard deviations are 58 and 51. */
	assert_in_range(n_direct, 700 - 58, 700 + 58);
	assert_in_range(n_a, 800 - 51, 800 + 51);
}

/* What the two services result in: */
static void test_merge_results(void **state)
{
	static const struct {
		enum resolver_result starttls_result;
		const char *starttls;
		enum resolver_result direct_result;
		const char *direct;
		enum resolver_result expected;
		const char *hosts; /* "": nothing but "." */
	} rows[] = {
		{RESOLVER_OK, "s 1 1 1", RESOLVER_OK, "d 2 1 1", RESOLVER_OK, "s d"},
		{RESOLVER_OK, "s 1 1 1", RESOLVER_NO_NAME, "", RESOLVER_OK, "s"},
		{RESOLVER_NO_NAME, "", RESOLVER_OK, "d 1 1 1", RESOLVER_OK, "d"},
		/* One failed: use what the other has. */
		{RESOLVER_OK, "s 1 1 1", RESOLVER_FAILED, "", RESOLVER_OK, "s"},
		{RESOLVER_TIMEOUT, "", RESOLVER_OK, "d 1 1 1", RESOLVER_OK, "d"},
		/* One is not offered, the other may be. */
		{RESOLVER_OK, ". 0 0 0", RESOLVER_OK, "d 1 1 1", RESOLVER_OK, "d"},
		{RESOLVER_OK, "s 1 1 1", RESOLVER_OK, ". 0 0 0", RESOLVER_OK, "s"},
		{RESOLVER_OK, ". 0 0 0", RESOLVER_OK, ". 0 0 0", RESOLVER_OK, ""},
		{RESOLVER_OK, ". 0 0 0", RESOLVER_NO_NAME, "", RESOLVER_OK, ""},
		/* "." concerns only its own service. */
		{RESOLVER_NO_NAME, "", RESOLVER_OK, ". 0 0 0", RESOLVER_NO_NAME, NULL},
		{RESOLVER_NO_NAME, "", RESOLVER_NO_NAME, "", RESOLVER_NO_NAME, NULL},
		/* There may be records. */
		{RESOLVER_NO_NAME, "", RESOLVER_FAILED, "", RESOLVER_FAILED, NULL},
		{RESOLVER_TIMEOUT, "", RESOLVER_NO_NAME, "", RESOLVER_TIMEOUT, NULL},
		{RESOLVER_OK, ". 0 0 0", RESOLVER_TIMEOUT, "", RESOLVER_TIMEOUT, NULL},
		{RESOLVER_FAILED, "", RESOLVER_OK, ". 0 0 0", RESOLVER_FAILED, NULL},
		{RESOLVER_TIMEOUT, "", RESOLVER_FAILED, "", RESOLVER_TIMEOUT, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		_cleanup_(dns_reply_unrefp) struct dns_reply *starttls =
			reply_of(rows[i].starttls_result, rows[i].starttls, false);
		_cleanup_(dns_reply_unrefp) struct dns_reply *direct =
			reply_of(rows[i].direct_result, rows[i].direct, false);
		struct srv_set set;

		assert_int_equal(srv_merge(starttls, direct, &set), rows[i].expected);
		assert_int_equal(set.n_targets > 0, rows[i].expected == RESOLVER_OK);
		if (rows[i].expected == RESOLVER_OK) {
			assert_hosts(&set, rows[i].hosts);
			assert_int_equal(srv_offers_nothing(set.targets, set.n_targets),
					 !rows[i].hosts[0]);
		}
	}
}

static void test_merge_without_an_answer(void **state)
{
	_cleanup_(dns_reply_unrefp) struct dns_reply *reply =
		reply_of(RESOLVER_OK, "a 1 1 1", false);
	struct srv_set set;

	(void)state;
	assert_int_equal(srv_merge(reply, NULL, &set), RESOLVER_OK);
	assert_hosts(&set, "a");
	assert_int_equal(srv_merge(NULL, reply, &set), RESOLVER_OK);
	assert_true(set.targets[0].is_direct);
	assert_int_equal(srv_merge(NULL, NULL, &set), RESOLVER_FAILED);
}

/* Both services share the bound. */
static void test_merge_bound(void **state)
{
	struct srv_set many = {0};
	struct dns_reply *starttls;
	_cleanup_(dns_reply_unrefp) struct dns_reply *direct =
		reply_of(RESOLVER_OK, "best 1 1 1 worst 9 1 1", false);
	struct srv_set set;
	uint32_t seed = 3;

	(void)state;
	for (uint16_t i = 0; i < SRV_TARGETS_MAX; i++) {
		srv_set_add(&many, "a", 5, 0, (uint16_t)(1 + i));
	}
	assert_int_equal(dns_reply_new(DNS_KIND_SRV, RESOLVER_OK, 0, many.targets, many.n_targets,
				       &starttls),
			 0);
	assert_int_equal(srv_merge(starttls, direct, &set), RESOLVER_OK);
	dns_reply_unref(starttls);
	assert_int_equal(set.n_targets, SRV_TARGETS_MAX);
	srv_order(set.targets, set.n_targets, draw_seeded, &seed);
	assert_string_equal(set.targets[0].host, "best");
	assert_string_equal(set.targets[SRV_TARGETS_MAX - 1].host, "a");
}

static void test_bound(void **state)
{
	struct srv_set set = {0};
	uint32_t seed = 3;

	(void)state;
	for (uint16_t i = 0; i < SRV_TARGETS_MAX; i++) {
		srv_set_add(&set, "kept", i < 2 ? 50 : 10, i, (uint16_t)(5222 + i));
	}
	assert_int_equal(set.n_targets, SRV_TARGETS_MAX);
	/* One more, no better than the worst: ignored. */
	srv_set_add(&set, "late", 50, 0, 5222);
	assert_int_equal(set.n_targets, SRV_TARGETS_MAX);
	srv_order(set.targets, set.n_targets, draw_seeded, &seed);
	assert_string_equal(set.targets[SRV_TARGETS_MAX - 1].host, "kept");
	/* One more, better: replaces a worst one. */
	srv_set_add(&set, "first", 1, 0, 5222);
	assert_int_equal(set.n_targets, SRV_TARGETS_MAX);
	srv_order(set.targets, set.n_targets, draw_seeded, &seed);
	assert_string_equal(set.targets[0].host, "first");
	assert_int_equal(set.targets[SRV_TARGETS_MAX - 1].priority, 50);
	assert_int_equal(set.targets[SRV_TARGETS_MAX - 2].priority, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_empty_and_one),
		cmocka_unit_test(test_running_sum),
		cmocka_unit_test(test_sum_has_no_overflow),
		cmocka_unit_test(test_weight_distribution),
		cmocka_unit_test(test_weight_zero),
		cmocka_unit_test(test_groups_are_apart),
		cmocka_unit_test(test_not_offered),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_same_target_twice),
		cmocka_unit_test(test_merge_mixes),
		cmocka_unit_test(test_merge_weights),
		cmocka_unit_test(test_merge_results),
		cmocka_unit_test(test_merge_without_an_answer),
		cmocka_unit_test(test_merge_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
