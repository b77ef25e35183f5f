/* SPDX-License-Identifier: MIT */
/*
 * xmpp/stream.h. The first byte decides how TLS is used; the rest is what the server says, in
 * phases that end with a zero, between which the client's side takes its turn. A phase that begins
 * with one of enum turn has the client do that first. Whole or cut, with a used pool or a new one,
 * the events are the same.
 *
 * argument  of a turn: what follows it, up to ARGUMENT_END
 *
 * covers: gateway/xmpp/stream.c gateway/xmpp/stream-write.c gateway/xmpp/stream-redirect.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/gateway/xmpp/stream-case.h"

enum turn {
	TURN_RESTART = 1,
	TURN_RETARGET, /* a restart with another language, the argument */
	TURN_SENT,     /* the client sends the argument */
	TURN_CLOSE,
	TURN_REWIND, /* another connection takes the place of this one */
	TURN_COUNT,
	ARGUMENT_END = '\n',
};

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

static void take_turn(struct stream *stream, const struct setting *setting, struct sv *phase,
		      struct buffer *log)
{
	struct stream_target target = {0};
	struct sv argument;

	if (phase->n == 0 || (unsigned char)phase->data[0] >= TURN_COUNT) {
		return;
	}
	switch ((enum turn)fuzz_byte(phase)) {
	case TURN_RESTART:
		assert_int_equal(stream_restart(stream, &target), 0);
		break;
	case TURN_RETARGET:
		target.lang = fuzz_part(phase, ARGUMENT_END);
		assert_int_equal(stream_restart(stream, &target), 0);
		break;
	case TURN_SENT:
		argument = fuzz_part(phase, ARGUMENT_END);
		FUZZ_CHECK(stream_sent(stream, argument) <= argument.n);
		break;
	case TURN_CLOSE:
		assert_int_equal(stream_close(stream), 0);
		break;
	case TURN_REWIND:
		/* Not once the stream is the client's (attempt.h). */
		if (!stream->is_in_use) {
			stream_rewind(stream);
			assert_int_equal(stream_open(stream, &target, setting->is_secure), 0);
		}
		break;
	default:
		break;
	}
	log_out(stream, log);
}

/* The pieces only say how the phases are cut. */
static void run_input(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setting *setting = userdata;
	struct sv input = setting->input;
	struct stream stream;

	stream_init(&stream, setting->pool, &options, setting->tls);
	assert_int_equal(stream_open(&stream, &juliet, setting->is_secure), 0);
	while (input.n) {
		struct pieces phase = *pieces;

		phase.rest = fuzz_part(&input, '\0');
		take_turn(&stream, setting, &phase.rest, log);
		run_phase(&stream, &phase, log);
		FUZZ_CHECK(stream_held(&stream) <= XML_MEMORY_BASE + XML_ROOT_MAX * 6 +
							   4 * N_ELEMENT_MAX +
							   2 * STREAM_FEATURES_MAX);
		pieces_end(&phase);
	}
	forget_which(log);
	LOG(log, "state %d, secure %d, logged in %d, managed %d", (int)stream.state,
	    stream.is_secure, stream.is_logged_in, stream.is_managed);
	/* The client gets nothing before there is TLS, where it is required. */
	FUZZ_CHECK(setting->tls != DOMAIN_TLS_REQUIRED || stream.is_secure || !stream.is_logged_in);
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
