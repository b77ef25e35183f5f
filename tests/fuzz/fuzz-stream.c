/* SPDX-License-Identifier: MIT */
/*
 * xmpp/stream.h. The first byte decides how TLS is used; the rest is what the server says, in
 * phases that end with a zero, between which the client's side takes its turn. Whole or cut, with a
 * used pool or a new one, the events are the same.
 *
 * covers: gateway/xmpp/stream.c gateway/xmpp/stream-write.c gateway/xmpp/stream-redirect.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/gateway/xmpp/stream-case.h"

static struct xml_pool *used_pool;

struct setting {
	struct xml_pool *pool;
	enum domain_tls tls;
	bool is_secure;
	struct sv input;
};

/* Of two mistakes in an element, one of which is its size, the cuts decide which is seen first.
 * Both end the stream, and are the last that is reported. */
static void forget_which(struct buffer *log)
{
	static const char *const reports[] = {"failed stream-too-large", "failed stream-malformed"};

	for (size_t i = 0; i < ARRAY_LENGTH(reports); i++) {
		size_t at = sv_find_sv(buffer_sv(log), sv_from(reports[i]));

		if (at < log->n) {
			buffer_truncate(log, at);
			LOG(log, "failed\n");
		}
	}
}

/* The pieces only say how the phases are cut. */
static void run_input(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setting *setting = userdata;
	struct sv input = setting->input;
	struct stream stream;

	stream_init(&stream, setting->pool, &options, setting->tls);
	assert_int_equal(stream_open(&stream, &juliet, setting->is_secure), 0);
	while (input.n && stream.state != STREAM_STATE_OVER) {
		struct pieces phase = *pieces;

		phase.rest = fuzz_part(&input, '\0');
		run_phase(&stream, &phase, log);
		FUZZ_CHECK(stream_held(&stream) <= XML_MEMORY_BASE + XML_ROOT_MAX * 6 +
							   4 * N_ELEMENT_MAX +
							   2 * STREAM_FEATURES_MAX);
		pieces_end(&phase);
	}
	forget_which(log);
	LOG(log, "state %d, secure %d, logged in %d, managed %d", (int)stream.state, stream.secure,
	    stream.logged_in, stream.managed);
	/* The client gets nothing before there is TLS, where it is required. */
	FUZZ_CHECK(setting->tls != DOMAIN_TLS_REQUIRED || stream.secure || !stream.logged_in);
	stream_deinit(&stream);
}

void fuzz_one(struct sv input)
{
	unsigned decision = fuzz_byte(&input);
	struct setting setting = {
		.tls = (enum domain_tls)(decision & 3),
		.is_secure = (decision & 3) == DOMAIN_TLS_DIRECT,
		.input = input,
	};
	struct buffer with_used = BUFFER_INIT, with_fresh = BUFFER_INIT;

	options = stream_options(N_ELEMENT_MAX);
	if (!used_pool) {
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &used_pool), 0);
	}
	setting.pool = used_pool;
	fuzz_run(input, PIECES_WHOLE, run_input, &setting, &with_used);
	fuzz_check_cuts(input, run_input, &setting);
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &setting.pool), 0);
	fuzz_run(input, PIECES_WHOLE, run_input, &setting, &with_fresh);
	xml_pool_free(setting.pool);
	FUZZ_CHECK(sv_eq(buffer_sv(&with_used), buffer_sv(&with_fresh)));
	buffer_deinit(&with_used);
	buffer_deinit(&with_fresh);
}
