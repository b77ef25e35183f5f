/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* XEP-0206, "recipient-unavailable": @stream gets back what is in @payloads. */
static int push_bounce(struct bosh_session *session, const struct bosh_stream *stream, struct sv payloads,
		       struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_BOUNCE, .stream = bosh_stream_index(session, stream)};

	if (payloads.n == 0) {
		return 0;
	}
	int r = buffer_append_sv(&action.payloads, payloads);

	return r < 0 ? r : bosh_actions_push(actions, action);
}

/* Undelivered is what is pending. Of a client that has vanished also what it has not acknowledged; or, if it never does, what it was
 * answered after its last request: with that in hand it would have sent another. */
static int push_bounces(struct bosh_session *session, struct bosh_stream *stream, bool vanished,
			struct bosh_actions *actions)
{
	unsigned index = bosh_stream_index(session, stream);
	int r = 0;

	for (size_t i = 0; r == 0 && vanished && i < session->replies.n; i++) {
		const struct bosh_reply *reply = &session->replies.items[i];

		if (reply->stream == index && (session->acks || !reply->followed)) {
			r = push_bounce(session, stream, reply->payloads, actions);
		}
	}
	return r < 0 ? r : push_bounce(session, stream, buffer_sv(&stream->pending), actions);
}

int bosh_stream_say_goodbye(struct bosh_session *session, struct bosh_stream *stream, bool vanished,
			    struct bosh_actions *actions)
{
	int r = 0;

	if (stream->state != BOSH_STREAM_OPEN) {
		return 0;
	}
	bosh_stream_set_state(stream, BOSH_STREAM_CLOSED);
	if (!stream->managed) {
		r = push_bounces(session, stream, vanished, actions);
	}
	return r < 0 ? r : bosh_actions_push_kind(actions, BOSH_ACTION_CLOSE, bosh_stream_index(session, stream));
}

int bosh_session_abandon(struct bosh_session *session, enum bosh_condition condition,
			 enum bosh_rule rule, bool vanished, struct bosh_actions *actions)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < session->early.n_places; i++) {
		struct bosh_early_request *request = &session->early.items[i];

		r = bosh_actions_push_refusal(actions, request->exchange, condition, rule,
					      session->legacy);
		if (r == 0) {
			bosh_early_request_clear(request);
		}
	}
	/* A managed stream can be resumed: END drops it without a word. */
	for (unsigned i = 0; r == 0 && i < session->n_stream_places; i++) {
		if (!session->streams[i].managed) {
			r = bosh_stream_say_goodbye(session, &session->streams[i], vanished, actions);
		}
	}
	bosh_session_set_state(session, BOSH_SESSION_ENDED);
	return r < 0 ? r
		     : bosh_actions_push(actions, (struct bosh_action){.kind = BOSH_ACTION_END,
								       .rule = rule});
}

int bosh_session_finish(struct bosh_session *session, struct bosh_answer *answer,
			struct bosh_stream *stream, struct mono now, struct bosh_actions *actions)
{
	bool told = false;
	int r = 0;

	bosh_session_set_state(session, BOSH_SESSION_ENDING);
	while (r == 0 && session->slots.n) {
		if (!told && bosh_slots_first(&session->slots)->exchange) {
			if (stream) {
				answer->payloads = buffer_sv(&stream->pending);
			}
			r = bosh_session_answer(session, answer, stream, now, actions);
			told = true;
		} else {
			r = bosh_session_answer_empty(session, now, actions);
		}
	}
	return r < 0 ? r
		     : bosh_session_abandon(session, BOSH_CONDITION_OTHER_REQUEST, BOSH_RULE_NONE,
					    false, actions);
}

int bosh_session_refuse(struct bosh_session *session, uint64_t exchange, enum bosh_rule rule,
			struct bosh_actions *actions)
{
	int r = bosh_actions_push_refusal(actions, exchange, bosh_rule_condition(rule), rule,
					  session->legacy);

	for (size_t i = 0; r == 0 && i < session->slots.n; i++) {
		r = bosh_actions_push_refusal(actions, session->slots.items[i].exchange,
					      BOSH_CONDITION_OTHER_REQUEST, rule, session->legacy);
	}
	if (r < 0) {
		return r;
	}
	bosh_slots_clear(&session->slots);
	return bosh_session_abandon(session, BOSH_CONDITION_OTHER_REQUEST, rule, false, actions);
}

int bosh_session_shut(struct bosh_session *session, const struct failure *failure, struct mono now,
		      struct bosh_actions *actions)
{
	struct bosh_answer answer = {0};
	/* What several streams have to tell cannot stand in the one answer; it is bounced. */
	struct bosh_stream *stream = session->n_opened > 1 ? NULL : &session->streams[0];

	if (session->state == BOSH_SESSION_ENDED) {
		return 0;
	}
	bosh_answer_set_failure(&answer, failure);
	return bosh_session_finish(session, &answer, stream, now, actions);
}
