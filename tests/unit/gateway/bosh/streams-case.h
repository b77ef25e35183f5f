/* SPDX-License-Identifier: MIT */
#pragma once
/* Two streams in one BOSH session. For one source file of a program, after cmocka.h. */
#include "tests/unit/gateway/bosh/bosh-case.h"

static char names[4][40];

/* Replaces the names of streams in the log by S0, S1 ...: in the order in which they came. */
static inline void shorten(void)
{
	static const char mark[] = " stream='";
	struct buffer out = BUFFER_INIT;
	const char *text = one.log.data ? one.log.data + one.log.offset : "";
	size_t n = one.log.n;

	for (size_t i = 0; i < n;) {
		if (n - i > sizeof(mark) + 32 && memcmp(text + i, mark, sizeof(mark) - 1) == 0) {
			unsigned which = 0;

			i += sizeof(mark) - 1;
			while (names[which][0] && memcmp(names[which], text + i, 32) != 0) {
				which++;
			}
			memcpy(names[which], text + i, 32);
			assert_int_equal(buffer_printf(&out, "%sS%u", mark, which), 0);
			i += 32;
		} else {
			assert_int_equal(buffer_append(&out, text + i++, 1), 0);
		}
	}
	buffer_deinit(&one.log);
	one.log = out;
}

#undef EXPECT
#define EXPECT(expected) (shorten(), expect(expected, __LINE__))

static inline void begin_streams(void)
{
	memset(names, 0, sizeof(names));
	one.limits.n_streams_max = 3;
	create(" ver='1.6' hold='1'");
	server(FEATURES);
	shorten();
	buffer_clear(&one.log);
	assert_true(names[0][0]);
}

/* Attributes that name stream @which. */
static inline const char *of(unsigned which, const char *more)
{
	static char text[200];

	snprintf(text, sizeof(text), " stream='%s'%s", names[which], more);
	return text;
}

static inline void server_of(unsigned stream, const char *text)
{
	struct buffer *pending = bosh_session_pending(one.session, stream, false, false);

	assert_int_equal(buffer_append_sv(pending, sv_from(text)), 0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
}

static inline void fail_of(unsigned stream, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	done(bosh_session_fail(one.session, stream, &failure, one.now, &one.actions));
}

/* Two streams; the next exchange is 3, the next rid 102. */
static inline void begin_two(void)
{
	begin_streams();
	request_with(101, " to='b.org' xml:lang='en'", "");
	EXPECT("open 1 b.org||en|||\n2: <body " HTTPBIND
	       " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' stream='S1'/>\n");
}

/* The second stream can be used. */
static inline void open_second(void)
{
	begin_two();
	(void)bosh_session_pending(one.session, 1, false, true);
}
