/* SPDX-License-Identifier: MIT */
/* The key sequence of a BOSH session. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bosh/key.h"
#include "tests/unit/gateway/bosh/bosh-case.h"

/* K(1) is the SHA-1 of "seed", K(n + 1) that of K(n), as sha1sum(1) says; L the same of "other". */
#define K1 "92713d4709377111cf31f2a71986c411bd6cb5b0"
#define K2 "c62acc6f8c0c715ca7c1c81bec6fea819c9c3c62"
#define K3 "e51fd1b46928409a0fdbd44bdae28d2d7741813b"
#define K4 "ee9d80e206e7496c89fc34c85bd3998b3cf2b741"
#define L1 "d0941e68da8f38151ff86a61fc59f7c5cf9fcaa2"
#define L2 "4d829478b5db370c05b913314bc241a8625db9b0"

#define KEY(key) " key='" key "'"
#define WRONG BROKE(KEY_MISMATCH) "\nclose\n" END(KEY_MISMATCH)

static void begin_keyed(void)
{
	create(" ver='1.6' hold='1' newkey='" K4 "'");
	server(FEATURES);
	buffer_clear(&one.log);
}

static void carries(uint64_t rid, const char *attributes)
{
	request_with(rid, attributes, "<a/>");
}

static void test_key_read(void **state)
{
	struct bosh_key key;

	(void)state;
	assert_true(bosh_key_read(SV(K1), &key));
	assert_true(key.is_set);
	assert_int_equal(key.bytes[0], 0x92);
	assert_int_equal(key.bytes[19], 0xb0);
	assert_true(bosh_key_read(SV("92713D4709377111CF31F2A71986C411BD6CB5B0"), &key));
	assert_int_equal(key.bytes[2], 0x3d);
	assert_false(bosh_key_read(SV(""), &key));
	assert_false(bosh_key_read(SV("92713d4709377111cf31f2a71986c411bd6cb5b"), &key));
	assert_false(bosh_key_read(SV(K1 "0"), &key));
	assert_false(bosh_key_read(SV("g2713d4709377111cf31f2a71986c411bd6cb5b0"), &key));
	assert_false(bosh_key_read(SV("92713d4709377111cf31f2a71986c411bd6cb5b/"), &key));
	assert_false(key.is_set);
}

static void test_key_sequence(void **state)
{
	(void)state;
	begin_keyed();
	carries(101, KEY(K3));
	carries(102, KEY(K2));
	carries(103, KEY(K1));
	EXPECT("send <a/>\nsend <a/>\n2: " EMPTY "\nsend <a/>\n3: " EMPTY "\n");
}

static void test_key_wrong(void **state)
{
	static const char *const rows[] = {
		"",
		KEY(""),
		KEY("x"),
		KEY(K4),
		KEY(K2),
		KEY(L1),
		/* A sequence cannot be left by beginning another. */
		" newkey='" L2 "'",
		/* The case of what is hashed matters. */
		KEY("E51FD1B46928409A0FDBD44BDAE28D2D7741813B"),
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin_keyed();
		carries(101, rows[i]);
		EXPECT("2: " WRONG);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* The case of what the hash is compared with does not. */
static void test_key_case(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' newkey='EE9D80E206E7496C89FC34C85BD3998B3CF2B741'");
	server(FEATURES);
	buffer_clear(&one.log);
	carries(101, KEY(K3));
	EXPECT("send <a/>\n");
}

static void test_key_switch(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' newkey='" K2 "'");
	server(FEATURES);
	buffer_clear(&one.log);
	carries(101, KEY(K1) " newkey='" L2 "'");
	EXPECT("send <a/>\n");
	carries(102, KEY(L1));
	EXPECT("send <a/>\n2: " EMPTY "\n");
}

/* A sequence may begin later. Keys without one mean nothing. */
static void test_key_late(void **state)
{
	(void)state;
	begin();
	carries(101, KEY("x"));
	carries(102, " newkey='" K2 "'");
	carries(103, KEY(K1));
	EXPECT("send <a/>\nsend <a/>\n2: " EMPTY "\nsend <a/>\n3: " EMPTY "\n");
	carries(104, "");
	EXPECT("5: " BROKE(KEY_MISMATCH) "\n4: " OTHER(KEY_MISMATCH) "\nclose\n" END(KEY_MISMATCH));
}

/* Early requests are checked when their turn has come. */
static void test_key_out_of_order(void **state)
{
	(void)state;
	begin_keyed();
	carries(102, KEY(K2));
	carries(101, KEY(K3));
	EXPECT("send <a/>\nsend <a/>\n3: " EMPTY "\n");
}

/* A repeat has to show the same key: knowing the sid is not enough to get an answer, or to displace
 * a request. */
static void test_key_repeated(void **state)
{
	static const char *const wrong[] = {"", KEY(K2), KEY(K4)};

	(void)state;
	begin_keyed();
	carries(101, KEY(K3));
	carries(101, KEY(K3));
	EXPECT("send <a/>\n2: " DISPLACED "\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	carries(101, KEY(K3));
	EXPECT("4: " BODY("<iq/>") "\n");
	carries(101, KEY(K2));
	EXPECT("5: " WRONG);
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		begin_keyed();
		carries(101, KEY(K3));
		buffer_clear(&one.log);
		carries(101, wrong[i]);
		EXPECT("3: " BROKE(KEY_MISMATCH) "\n2: " OTHER(KEY_MISMATCH) "\nclose\n" END(
			KEY_MISMATCH));
	}
}

/* The same for a repeat of an early request. */
static void test_key_repeated_early(void **state)
{
	(void)state;
	begin_keyed();
	carries(102, KEY(K2));
	carries(102, KEY(K2));
	EXPECT("2: " DISPLACED "\n");
	carries(102, "");
	EXPECT("4: " BROKE(KEY_MISMATCH) "\n3: " OTHER(KEY_MISMATCH) "\nclose\n" END(KEY_MISMATCH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_read),
		TEST(test_key_sequence),
		TEST(test_key_wrong),
		TEST(test_key_case),
		TEST(test_key_switch),
		TEST(test_key_late),
		TEST(test_key_out_of_order),
		TEST(test_key_repeated),
		TEST(test_key_repeated_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
