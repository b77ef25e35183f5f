/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* What became of the oldest request. */
enum outcome {
	OUTCOME_ANSWERED,
	OUTCOME_WAITS, /* nothing calls for an answer yet */
	OUTCOME_ENDED, /* it was answered with the end of the session */
};

/* Answers the oldest request with what @stream has to tell: payloads, or how it failed while others
 * go on. */
static void answer_stream(struct bosh_turn *turn, struct bosh_stream *stream)
{
	struct bosh_answer answer = {.payloads = buffer_sv(&stream->pending)};
	bool has_failed = stream->state == BOSH_STREAM_FAILED;

	if (turn->session->n_opened > 1) {
		answer.stream = stream->name;
	}
	if (has_failed) {
		bosh_answer_set_failure(&answer, stream->failure);
	}
	bosh_turn_answer(turn, &answer, stream);
	/* Until an answer has told the client how the stream ended, another one may have to. */
	if (has_failed && !bosh_turn_failed(turn)) {
		bosh_stream_remove(turn->session, stream);
	}
}

/* Answers the request that asked for one more stream with its name, or says that it is one too
 * many. */
static void answer_opener(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	char name[BOSH_STREAM_NAME_LENGTH + 1];
	struct bosh_answer answer = {.opens = true, .stream = name};
	struct bosh_stream *stream = NULL;

	if (slot->kind == BOSH_SLOT_OPENER) {
		stream = &session->streams[slot->stream];
		answer.stream = stream->name;
	} else {
		int r = bosh_stream_make_name(session, name);

		if (r < 0) {
			bosh_actions_fail(turn->actions, r);
			return;
		}
		answer.type = "terminate";
		answer.condition = bosh_condition_name(BOSH_CONDITION_POLICY_VIOLATION);
		answer.text = "too many streams in this session";
	}
	bosh_turn_answer(turn, &answer, stream);
}

/* Whether a request is to be answered only so that the client makes another one, which acknowledges
 * what it has got: the servers are not read until it does, and a client whose request is held has
 * nothing to send. Once is enough: if the client acknowledges at all, it does so in its next
 * request. */
static bool is_ack_wanted(const struct bosh_session *session)
{
	return session->is_throttled && !session->has_requested_ack && session->uses_acks &&
	       session->replies.n_bytes > session->limits->n_pending_max / 2;
}

/* More requests than may be held; or, while a server does not read, more than may be under way. */
static bool is_too_many(const struct bosh_session *session, struct mono now)
{
	size_t n_max = session->creation.hold;

	if (bosh_streams_congestion(session) != BOSH_CONGESTION_NONE) {
		n_max = session->creation.requests;
	} else if (!mono_reached(session->linger, now) && !mono_is_never(session->linger)) {
		n_max++;
	}
	return session->slots.n > n_max;
}

/* Stops reading from the servers when the client does not take what they send, and starts again
 * well before nothing is left to deliver. */
static void regulate(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;
	size_t n_max = session->limits->n_pending_max;
	size_t n = bosh_streams_n_pending(session) +
		   (session->uses_acks ? session->replies.n_bytes : 0);
	bool is_throttled = session->is_throttled ? n > n_max / 2 : n > n_max;

	session->is_throttled = is_throttled;
	session->has_requested_ack = session->has_requested_ack && is_throttled;
	for (unsigned i = 0; i < session->n_streams; i++) {
		struct bosh_stream *stream = &session->streams[i];

		if (stream->state == BOSH_STREAM_OPEN && stream->is_throttled != is_throttled) {
			stream->is_throttled = is_throttled;
			bosh_actions_push_kind(turn->actions,
					       is_throttled ? BOSH_ACTION_STOP_READING
							    : BOSH_ACTION_RESUME_READING,
					       i);
		}
	}
}

/* Whether payloads of @due wait, too. A server that does not read until its own payloads are read
 * waits with them, at most until the request's time is over. */
static bool is_held_back(const struct bosh_session *session, const struct bosh_stream *due)
{
	return due->state == BOSH_STREAM_OPEN &&
	       bosh_streams_congestion(session) == BOSH_CONGESTION_FULL;
}

/* Answers the oldest request if it need not wait, while the session goes on. */
static enum outcome answer_next(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	struct bosh_stream *due = bosh_stream_due(session);

	if (due && is_held_back(session, due)) {
		due = NULL;
	}
	if (bosh_slot_is_opener(slot)) {
		answer_opener(turn);
		return OUTCOME_ANSWERED;
	}
	if (due && slot->exchange) {
		answer_stream(turn, due);
		return OUTCOME_ANSWERED;
	}
	/* When the connection of the oldest request is gone, an empty answer is kept for its
	 * repeat, and the payloads go to a request that can be answered. */
	bool has_to_tell = (due && bosh_slots_are_attended(&session->slots)) ||
			   bosh_slots_have_opener(&session->slots) || session->replies.missing;

	if (!has_to_tell && is_ack_wanted(session)) {
		session->has_requested_ack = true;
		has_to_tell = true;
	}
	/* The creation answer waits for features only as long as some may come. */
	if (has_to_tell || is_too_many(session, turn->now) || !session->is_created) {
		bosh_turn_answer_empty(turn);
		return OUTCOME_ANSWERED;
	}
	return OUTCOME_WAITS;
}

void bosh_turn_answer_late(struct bosh_turn *turn)
{
	const struct bosh_slot *slot = bosh_slots_first(&turn->session->slots);
	struct bosh_stream *due = bosh_stream_due(turn->session);

	if (due && slot->exchange && !bosh_slot_is_opener(slot)) {
		answer_stream(turn, due);
	} else {
		bosh_turn_answer_empty(turn);
	}
	regulate(turn);
}

/* The last stream has failed, and some request can be answered: ends the session with that. */
static enum outcome answer_failed(struct bosh_turn *turn, struct bosh_stream *failed)
{
	struct bosh_session *session = turn->session;
	struct bosh_answer answer = {.payloads = buffer_sv(&failed->pending),
				     .stream = failed->name};

	/* "Transmitting Payloads": where there were several streams, payloads stand under the name
	 * of theirs, and the end of the session has no name. So they get an answer of their own. */
	if (failed->pending.n && session->n_opened > 1) {
		if (bosh_slots_first(&session->slots)->exchange) {
			bosh_turn_answer(turn, &answer, failed);
		} else {
			bosh_turn_answer_empty(turn);
		}
		return OUTCOME_ANSWERED;
	}
	answer = (struct bosh_answer){0};
	bosh_answer_set_failure(&answer, failed->failure);
	bosh_turn_finish(turn, &answer, failed);
	return OUTCOME_ENDED;
}

/* Whether the creation answer waits for the features of the first stream. */
static bool is_creation_waiting(const struct bosh_session *session)
{
	return !session->is_created && session->creation.wait_s && session->n_used &&
	       !session->streams[0].has_features && !session->streams[0].failure;
}

void bosh_turn_release(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;
	enum outcome outcome = OUTCOME_ANSWERED;

	if (is_creation_waiting(session)) {
		regulate(turn);
		return;
	}
	while (outcome == OUTCOME_ANSWERED && session->slots.n && !bosh_turn_failed(turn)) {
		struct bosh_stream *failed = bosh_stream_last_failed(session);

		outcome = failed && bosh_slots_are_attended(&session->slots)
				? answer_failed(turn, failed)
				: answer_next(turn);
	}
	if (outcome == OUTCOME_ENDED) {
		return;
	}
	if (session->slots.n <= session->creation.hold) {
		session->linger = MONO_NEVER;
	}
	regulate(turn);
}
