/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* Answers the oldest request with what @stream has to tell: payloads, or how it failed while others go on. */
static int answer_stream(struct bosh_session *session, struct bosh_stream *stream, struct mono now,
			 struct bosh_actions *actions)
{
	struct bosh_answer answer = {.payloads = buffer_sv(&stream->pending)};
	char name[BOSH_STREAM_NAME_LENGTH + 1];
	bool failed = stream->failure;
	struct failure failure;

	memcpy(name, stream->name, sizeof(name));
	if (session->n_opened > 1) {
		answer.stream = name;
	}
	if (failed) {
		failure = *stream->failure;
		bosh_answer_set_failure(&answer, &failure);
	}
	int r = bosh_session_answer(session, &answer, stream, now, actions);

	if (failed) {
		bosh_stream_close(session, stream);
	}
	return r;
}

/* Answers the request that asked for one more stream with its name, or with that it is one too many. */
static int answer_opener(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	struct bosh_stream *stream = slot->kind == BOSH_SLOT_OPENER ? &session->streams[slot->stream] : NULL;
	struct bosh_answer answer = {.opens = true};
	char name[BOSH_STREAM_NAME_LENGTH + 1];

	if (stream) {
		memcpy(name, stream->name, sizeof(name));
	} else {
		int r = bosh_stream_make_name(session, name);

		if (r < 0) {
			return r;
		}
		answer.type = "terminate";
		answer.condition = bosh_condition_name(BOSH_CONDITION_POLICY_VIOLATION);
		answer.text = "too many streams in this session";
	}
	answer.stream = name;
	return bosh_session_answer(session, &answer, stream, now, actions);
}

/* The servers wait for acknowledgements, which only come with a request; and a client that holds one has nothing to send. Once: what
 * comes then acknowledges, or never will. */
static bool is_ack_wanted(struct bosh_session *session)
{
	if (!session->throttled || session->asked || !session->acks ||
	    session->replies.n_bytes <= session->limits->n_pending_max / 2) {
		return false;
	}
	session->asked = true;
	return true;
}

/* More requests than may be held; or, while a server does not read, more than may be under way. */
static bool is_too_many(const struct bosh_session *session, struct mono now)
{
	size_t n_max = session->creation.hold;

	if (bosh_streams_are_congested(session)) {
		n_max = session->creation.requests;
	} else if (!mono_reached(session->linger, now) && !mono_is_never(session->linger)) {
		n_max++;
	}
	return session->slots.n > n_max;
}

/* Stops the servers when nobody takes what they send, and lets them go on well before nothing is left. */
static int regulate(struct bosh_session *session, struct bosh_actions *actions)
{
	size_t n_max = session->limits->n_pending_max;
	size_t n = bosh_streams_n_pending(session) + (session->acks ? session->replies.n_bytes : 0);
	bool throttled = session->throttled ? n > n_max / 2 : n > n_max;
	int r = 0;

	session->throttled = throttled;
	session->asked = session->asked && throttled;
	for (unsigned i = 0; r == 0 && i < session->n_stream_places; i++) {
		struct bosh_stream *stream = &session->streams[i];

		if (bosh_stream_is_used(stream) && stream->throttled != throttled) {
			stream->throttled = throttled;
			r = bosh_actions_push_kind(actions, throttled ? BOSH_ACTION_PAUSE : BOSH_ACTION_RESUME, i);
		}
	}
	return r;
}

/* Answers the oldest request if it need not wait. Returns 1 when it may. */
static int answer_next(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	struct bosh_stream *due = bosh_stream_due(session);

	if (bosh_slot_is_opener(slot)) {
		return answer_opener(session, now, actions);
	}
	if (due && slot->exchange) {
		return answer_stream(session, due, now, actions);
	}
	/* Of a request whose client is gone it will ask again, and find it empty; the payload goes to one who listens. The creation
	 * answer waits for features only as long as some may come. */
	if ((due && bosh_slots_are_attended(&session->slots)) || bosh_slots_have_opener(&session->slots) || session->replies.missing ||
	    is_ack_wanted(session) || is_too_many(session, now) || !session->created) {
		return bosh_session_answer_empty(session, now, actions);
	}
	return 1;
}

/* Answers the first request that somebody waits for with what is pending of @stream. */
static int tell_last_payloads(struct bosh_session *session, struct bosh_stream *stream, struct mono now,
			      struct bosh_actions *actions)
{
	struct bosh_answer answer = {.payloads = buffer_sv(&stream->pending), .stream = stream->name};

	return bosh_slots_first(&session->slots)->exchange ? bosh_session_answer(session, &answer, stream, now, actions)
					  : bosh_session_answer_empty(session, now, actions);
}

int bosh_session_release(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	struct bosh_stream *failed;
	int r = 0;

	if (!session->created && session->creation.wait_s && session->n_open &&
	    !session->streams[0].features_seen && !session->streams[0].failure) {
		return regulate(session, actions);
	}
	while (r == 0 && session->slots.n) {
		failed = bosh_stream_last_failed(session);
		if (failed && failed->pending.n && session->n_opened > 1 && bosh_slots_are_attended(&session->slots)) {
			/* "Transmitting Payloads": under its name, which an end of all cannot have. */
			r = tell_last_payloads(session, failed, now, actions);
			continue;
		}
		if (failed && bosh_slots_are_attended(&session->slots)) {
			struct bosh_answer answer = {0};
			struct failure failure = *failed->failure;

			bosh_answer_set_failure(&answer, &failure);
			return bosh_session_finish(session, &answer, failed, now, actions);
		}
		r = answer_next(session, now, actions);
	}
	if (session->slots.n <= session->creation.hold) {
		session->linger = MONO_NEVER;
	}
	return r < 0 ? r : regulate(session, actions);
}
