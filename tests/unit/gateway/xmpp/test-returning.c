/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/xmpp/returning.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/xmpp/stream-case.h"

#define STANZAS "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define RETURNED(id)                                                             \
	"<message xmlns='jabber:client' to='a' id='" id "' type='error'><error " \
	"xmlns='jabber:client' type='wait'><recipient-unavailable " STANZAS "/></error></message>"
#define MESSAGE(id) "<message from='a' id='" id "'/>"

static const struct mono start = {1000};

struct end {
	struct stream stream;
	struct returning returning;
	struct buffer answers;
};

static int take(struct end *end, const char *text, struct mono now)
{
	return returning_take(&end->returning, sv_from(text), now, &end->answers);
}

/* A stream that is open, of which @rest has been fed and not looked at. */
static void begin(struct end *end, const char *rest)
{
	enum stream_event_kind kind;
	char text[1000];

	*end = (struct end){.answers = BUFFER_INIT};
	stream_init(&end->stream, pool, &options, DOMAIN_TLS_OFF);
	assert_int_equal(stream_open(&end->stream, &juliet, true), 0);
	(void)snprintf(text, sizeof(text), SERVER "<stream:features/>%s", rest);
	assert_int_equal(stream_feed(&end->stream, text, strlen(text)), 0);
	assert_int_equal(stream_next(&end->stream, &kind), 0);
	assert_int_equal(stream_next(&end->stream, &kind), 0);
	assert_int_equal(kind, STREAM_EVENT_FEATURES);
	returning_init(&end->returning, &end->stream, start);
	assert_int_equal(take(end, "", start), RETURNING_MORE);
}

static void assert_answers(struct end *end, const char *expected)
{
	assert_int_equal(end->answers.n, strlen(expected));
	assert_memory_equal(buffer_sv(&end->answers).data, expected, end->answers.n);
}

static void finish(struct end *end)
{
	buffer_deinit(&end->answers);
	stream_deinit(&end->stream);
}

static void test_stanzas(void **state)
{
	struct end end;

	(void)state;
	begin(&end, MESSAGE("1") "<message fr");
	assert_answers(&end, RETURNED("1"));
	assert_int_equal(take(&end, "om='a' id='2'/><presence/> <mess", start), RETURNING_MORE);
	assert_int_equal(take(&end, "age from='a' id='3'/>", start), RETURNING_MORE);
	assert_answers(&end, RETURNED("1") RETURNED("2") RETURNED("3"));
	finish(&end);
}

/* What ends the reading; what came before is returned, what comes after it is not. */
static void test_over(void **state)
{
	static const char *const ends[] = {
		"</stream:stream>",
		"<stream:error/>",
		"<![CDATA[",
		"<enabled xmlns='urn:xmpp:sm:3'/>" MESSAGE("2"),
	};
	struct end end;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		char text[500];

		begin(&end, "");
		(void)snprintf(text, sizeof(text), "%s%s", MESSAGE("1"), ends[i]);
		assert_int_equal(take(&end, text, start), RETURNING_OVER);
		assert_answers(&end, RETURNED("1"));
		finish(&end);
	}
}

static void test_time(void **state)
{
	struct mono now = start;
	struct end end;

	(void)state;
	begin(&end, "");
	assert_int_equal(returning_deadline(&end.returning).ms, start.ms + RETURNING_QUIET_MS);
	/* Each byte puts the end off, but not for ever. */
	for (now = start; now.ms < start.ms + RETURNING_MS; now.ms += RETURNING_QUIET_MS) {
		int64_t quiet_end = now.ms + RETURNING_QUIET_MS;
		int64_t last = start.ms + RETURNING_MS;

		assert_int_equal(take(&end, " ", now), RETURNING_MORE);
		assert_int_equal(returning_deadline(&end.returning).ms,
				 quiet_end < last ? quiet_end : last);
	}
	finish(&end);
	/* While the server does not read, only all of its time counts. */
	begin(&end, "");
	returning_hold(&end.returning, true, start);
	assert_int_equal(returning_deadline(&end.returning).ms, start.ms + RETURNING_MS);
	returning_note_unread(&end.returning, start);
	assert_int_equal(returning_deadline(&end.returning).ms, start.ms + RETURNING_MS);
	now = mono_add_ms(start, 3 * RETURNING_QUIET_MS);
	returning_hold(&end.returning, false, now);
	assert_int_equal(returning_deadline(&end.returning).ms, now.ms + RETURNING_QUIET_MS);
	now = mono_add_ms(now, RETURNING_QUIET_MS);
	returning_note_unread(&end.returning, now);
	assert_int_equal(returning_deadline(&end.returning).ms, now.ms + RETURNING_QUIET_MS);
	finish(&end);
}

/* RETURNING_BYTES_MAX are read, and of one more those before it. */
static void test_bytes(void **state)
{
	static char white[1024 * 1024];
	const struct sv portion = {white, sizeof(white)};
	struct end end;

	(void)state;
	memset(white, ' ', sizeof(white));
	begin(&end, "");
	for (size_t n = sizeof(white); n < RETURNING_BYTES_MAX; n += sizeof(white)) {
		assert_int_equal(returning_take(&end.returning, portion, start, &end.answers),
				 RETURNING_MORE);
	}
	const struct sv rest = {white, sizeof(white) - strlen(MESSAGE("1"))};

	assert_int_equal(returning_take(&end.returning, rest, start, &end.answers), RETURNING_MORE);
	assert_int_equal(take(&end, MESSAGE("1"), start), RETURNING_MORE);
	assert_answers(&end, RETURNED("1"));
	assert_int_equal(take(&end, MESSAGE("2"), start), RETURNING_OVER);
	assert_answers(&end, RETURNED("1"));
	finish(&end);
}

static void test_without_memory(void **state)
{
	struct end end;
	size_t n_failed = 1;

	(void)state;
	for (size_t n = 1; n_failed; n++) {
		begin(&end, "");
		failmalloc_arm(n, false);
		int r = take(&end, MESSAGE("1"), start);

		n_failed = failmalloc_disarm();
		assert_int_equal(r, n_failed ? -ENOMEM : RETURNING_MORE);
		finish(&end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stanzas),        cmocka_unit_test(test_over),
		cmocka_unit_test(test_time),           cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
