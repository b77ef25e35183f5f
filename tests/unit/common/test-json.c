/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "common/json.h"
#include "tests/unit/failmalloc.h"

static const struct {
	const char *text;
	const char *json;
} rows[] = {
	{"", "\"\""},
	{"plain 1.2:3/[x]{y}", "\"plain 1.2:3/[x]{y}\""},
	{"say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""},
	{"a\nb\r\t\x1b[31m\x7f", "\"a\\u000ab\\u000d\\u0009\\u001b[31m\\u007f\""},
	{"b\xc3\xbc", "\"b\\u00fc\""},
	{"\xc2\x85\xe2\x80\xa8\xe2\x80\xae", "\"\\u0085\\u2028\\u202e\""},
	{"\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\""},
	{"\xf4\x8f\xbf\xbf", "\"\\udbff\\udfff\""},
	/* Not UTF-8: a lone continuation, a sequence that is cut, one that is too long for its
	 * value, a surrogate, and a value beyond Unicode. */
	{"\x9b", "\"\\ufffd\""},
	{"\xc3", "\"\\ufffd\""},
	{"\xe2\x80", "\"\\ufffd\\ufffd\""},
	{"\xc3(", "\"\\ufffd(\""},
	{"\xc0\xaf", "\"\\ufffd\\ufffd\""},
	{"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},
	{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
	{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
	{"\xff\xfe", "\"\\ufffd\\ufffd\""},
};

static void test_strings(void **state)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct writer writer = writer_begin(&buffer);

		json_string(&writer, sv_from(rows[i].text));
		assert_int_equal(writer_end(&writer), 0);
		assert_true(sv_eq(buffer_sv(&buffer), sv_from(rows[i].json)));
		buffer_clear(&buffer);
	}
	struct writer writer = writer_begin(&buffer);

	json_string(&writer, SV("a\0b"));
	assert_int_equal(writer_end(&writer), 0);
	assert_true(sv_eq(buffer_sv(&buffer), SV("\"a\\u0000b\"")));
}

static void test_members(void **state)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	struct writer writer = writer_begin(&buffer);

	(void)state;
	json_open_object(&writer, NULL);
	json_member_string(&writer, "a", SV("x"));
	json_member_number(&writer, "b", INT64_MIN);
	json_open_array(&writer, "c");
	for (int i = 0; i < 2; i++) {
		json_open_object(&writer, NULL);
		json_member_bool(&writer, "d", i == 0);
		json_close_object(&writer);
	}
	json_close_array(&writer);
	json_member_null(&writer, "e");
	json_member_real(&writer, "f", 0.0025);
	json_close_object(&writer);
	assert_int_equal(writer_end(&writer), 0);
	assert_true(sv_eq(buffer_sv(&buffer),
			  SV("{\"a\":\"x\",\"b\":-9223372036854775808,\"c\":[{\"d\":true},"
			     "{\"d\":false}],\"e\":null,\"f\":0.0025}")));
}

/* Elements that are collected one by one stand in an array of a document later. */
static void test_elements(void **state)
{
	_cleanup_(buffer_deinit) struct buffer elements = BUFFER_INIT;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct writer writer = json_begin_element(&elements);

		json_open_object(&writer, NULL);
		json_member_number(&writer, "i", i);
		json_close_object(&writer);
		assert_int_equal(writer_end(&writer), 0);
	}
	assert_true(sv_eq(buffer_sv(&elements), SV("{\"i\":0},{\"i\":1},{\"i\":2}")));
}

static void test_out_of_memory(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	struct writer writer = writer_begin(&buffer);

	(void)state;
	failmalloc_arm(1, false);
	json_member_string(&writer, "key", SV("value"));
	assert_int_equal(failmalloc_disarm(), 1);
	assert_int_equal(writer_end(&writer), -ENOMEM);
	assert_int_equal(buffer.n, 0);
	buffer_deinit(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
