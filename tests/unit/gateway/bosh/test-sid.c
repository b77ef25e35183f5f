/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/bosh/sid.h"

static void test_sid(void **state)
{
	char sid[SID_LENGTH + 1];
	struct sid_owner owner;

	(void)state;
	for (unsigned i = 0; i < 4096; i += 63) {
		assert_int_equal(sid_make((struct sid_owner){i % 64, i}, sid), 0);
		assert_int_equal(strlen(sid), SID_LENGTH);
		assert_true(sid_owner(sv_from(sid), &owner));
		assert_int_equal(owner.generation, i % 64);
		assert_int_equal(owner.worker, i);
	}
	assert_false(sid_owner(sv_first(sv_from(sid), SID_LENGTH - 1), &owner));
	sid[0] = '!';
	assert_false(sid_owner(sv_from(sid), &owner));
	assert_false(sid_owner(SV_EMPTY, &owner));
}

static void test_find(void **state)
{
	static const struct {
		const char *body, *sid;
		bool is_decided;
	} rows[] = {
		{"", "", false},
		{"<body rid='1'", "", false},
		{"<body rid='1' sid=", "", false},
		{"<body rid='1' sid='ab", "", false},
		{"<body rid='1' sid='ab'", "ab", true},
		{"<body sid=\"a'b\" rid='1'>", "a'b", true},
		{"<body rid='1'>", "", true},
		{"<body sid=a", "", true},
		{"<body rid='1'/>", "", true},
	};
	char body[SID_FIND_MAX];
	struct sv sid;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(sid_find(sv_from(rows[i].body), &sid), rows[i].is_decided);
		assert_true(sv_eq(sid, sv_from(rows[i].sid)));
	}
	memset(body, 'x', sizeof(body));
	assert_false(sid_find((struct sv){body, SID_FIND_MAX - 1}, &sid));
	assert_true(sid_find((struct sv){body, SID_FIND_MAX}, &sid));
	assert_int_equal(sid.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sid),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
