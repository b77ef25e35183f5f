/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/policy-request.h"

static void test_judge(void **state)
{
	const struct sv request = {"<policy-file-request/>\0more", 27};

	(void)state;
	assert_int_equal(policy_request_judge(SV_EMPTY), POLICY_REQUEST_MORE);
	for (size_t n = 1; n <= request.n; n++) {
		enum policy_request expected = n < POLICY_REQUEST_LENGTH - 1 ? POLICY_REQUEST_MORE
					     : n == POLICY_REQUEST_LENGTH - 1
						     ? POLICY_REQUEST_BARE
						     : POLICY_REQUEST_WHOLE;

		assert_int_equal(policy_request_judge(sv_first(request, n)), expected);
	}
	assert_int_equal(policy_request_judge(SV("<policy-file-request/>\n")),
			 POLICY_REQUEST_OTHER);
	assert_int_equal(policy_request_judge(SV("<policy-file-request />")), POLICY_REQUEST_OTHER);
	assert_int_equal(policy_request_judge(SV("<Policy")), POLICY_REQUEST_OTHER);
	assert_int_equal(policy_request_judge(SV("GET / HTTP/1.1\r\n")), POLICY_REQUEST_OTHER);
	assert_int_equal(policy_request_judge(SV("\0")), POLICY_REQUEST_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_judge)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
