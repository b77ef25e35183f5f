/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/writer.h"
#include "tests/unit/failmalloc.h"

static void write_example(struct writer *writer)
{
	writer_put(writer, SV("<open"));
	writer_attribute(writer, SV("to"), SV("a'b"));
	writer_attribute(writer, SV("from"), SV_EMPTY);
	writer_printf(writer, " n='%d'>", 7);
	writer_escaped(writer, SV("x<y"));
	writer_put(writer, SV("</open>"));
}

static void test_parts(void **state)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	struct writer writer;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("before ")), 0);
	writer = writer_begin(&buffer);
	write_example(&writer);
	assert_int_equal(writer_end(&writer), 0);
	assert_int_equal(writer_end(&writer), 0);
	struct sv expected = SV("before <open to='a&apos;b' n='7'>x&lt;y</open>");

	assert_true(sv_eq(buffer_sv(&buffer), expected));
}

/* An error removes what was written before it, and nothing is written after it. */
static void test_first_error_stays(void **state)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	struct writer writer;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("before")), 0);
	writer = writer_begin(&buffer);
	writer_put(&writer, SV(" half"));
	writer_fail(&writer, 0);
	assert_int_equal(writer.error, 0);
	writer_fail(&writer, -E2BIG);
	writer_fail(&writer, -EINVAL);
	write_example(&writer);
	assert_int_equal(writer_end(&writer), -E2BIG);
	assert_true(sv_eq(buffer_sv(&buffer), SV("before")));
}

static void test_error_leaves_no_memory(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	struct writer writer = writer_begin(&buffer);

	(void)state;
	writer_put(&writer, SV("half"));
	assert_non_null(buffer.data);
	writer_fail(&writer, -EINVAL);
	assert_int_equal(writer_end(&writer), -EINVAL);
	assert_null(buffer.data);
}

static int write_long(void *userdata)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	struct writer writer = writer_begin(&buffer);

	(void)userdata;
	for (int i = 0; i < 100; i++) {
		write_example(&writer);
	}
	int r = writer_end(&writer);

	return r < 0 && buffer.n ? -EBADMSG : r;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	failmalloc_each(write_long, NULL, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_error_leaves_no_memory),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
