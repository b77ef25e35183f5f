/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

struct bosh_stream *bosh_stream_named(struct bosh_session *session, const struct bosh_body *body)
{
	return session->n_opened > 1 && body->stream.data ? bosh_stream_find(session, body->stream)
							  : NULL;
}

static bool is_any_ready(const struct bosh_session *session)
{
	for (unsigned i = 0; i < session->n_streams; i++) {
		if (bosh_stream_is_used(&session->streams[i]) && session->streams[i].has_features) {
			return true;
		}
	}
	return false;
}

/* Whether the payloads of @body are for @stream. Without a name they go "over all open streams":
 * one whose features have not come is not open yet, unless that is so for all of them. */
static bool is_addressed(struct bosh_session *session, const struct bosh_body *body,
			 const struct bosh_stream *stream)
{
	const struct bosh_stream *only = bosh_stream_named(session, body);

	if (stream->state != BOSH_STREAM_OPEN) {
		return false;
	}
	return only ? only == stream : stream->has_features || !is_any_ready(session);
}

enum bosh_rule bosh_payloads_judge(struct bosh_session *session, const struct bosh_body *body)
{
	size_t n = 0;

	if (body->n_payloads == 0) {
		return BOSH_RULE_NONE;
	}
	for (unsigned i = 0; i < session->n_streams; i++) {
		const struct bosh_stream *stream = &session->streams[i];

		n += stream->waiting.n;
		if (!stream->is_ready && is_addressed(session, body, stream)) {
			n += body->payloads.n;
		}
	}
	return n > BOSH_WAITING_MAX ? BOSH_RULE_TOO_MUCH_TOO_EARLY : BOSH_RULE_NONE;
}

/* Sends @payloads, which it takes, to the server of @stream, or lets them wait. */
static void push(struct bosh_turn *turn, struct bosh_stream *stream, struct buffer payloads,
		 size_t n_payloads)
{
	if (stream->is_ready && stream->waiting.n == 0) {
		bosh_actions_push(turn->actions,
				  (struct bosh_action){
					  .kind = BOSH_ACTION_SEND,
					  .n_payloads = n_payloads,
					  .stream = bosh_stream_index(turn->session, stream),
					  .payloads = payloads,
				  });
		return;
	}
	stream->n_waiting += n_payloads;
	if (stream->waiting.n == 0) {
		stream->waiting = payloads;
		return;
	}
	bosh_actions_fail(turn->actions, buffer_append_sv(&stream->waiting, buffer_sv(&payloads)));
	buffer_deinit(&payloads);
}

void bosh_payloads_push(struct bosh_turn *turn, struct bosh_body *body)
{
	struct bosh_session *session = turn->session;

	if (body->n_payloads == 0) {
		return;
	}
	if (session->n_opened == 1) {
		struct buffer payloads = body->payloads;

		body->payloads = BUFFER_INIT;
		push(turn, &session->streams[0], payloads, body->n_payloads);
		return;
	}
	for (unsigned i = 0; i < session->n_streams; i++) {
		struct bosh_stream *stream = &session->streams[i];
		struct buffer payloads = BUFFER_INIT;

		if (!is_addressed(session, body, stream)) {
			continue;
		}
		bosh_actions_fail(turn->actions,
				  buffer_append_sv(&payloads, buffer_sv(&body->payloads)));
		push(turn, stream, payloads, body->n_payloads);
	}
}

void bosh_payloads_release(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;

	for (unsigned i = 0; i < session->n_streams; i++) {
		struct bosh_stream *stream = &session->streams[i];

		if (stream->is_ready && stream->waiting.n) {
			struct buffer payloads = stream->waiting;
			size_t n = stream->n_waiting;

			stream->waiting = BUFFER_INIT;
			stream->n_waiting = 0;
			push(turn, stream, payloads, n);
		}
	}
}
