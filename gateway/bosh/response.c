/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

/* Forgets what has to stand in one answer only, and now stands in @answer. */
static void forget_said(struct bosh_session *session, const struct bosh_answer *answer,
			struct bosh_stream *stream, bool was_heard)
{
	session->is_created = session->is_created || was_heard;
	if (answer->report) {
		bosh_reply_cache_set_reported(&session->replies);
	}
	if (!stream) {
		return;
	}
	free(stream->from);
	free(stream->authid);
	stream->from = NULL;
	stream->authid = NULL;
	session->last_answered = bosh_stream_index(session, stream);
	if (answer->payloads.n) {
		buffer_deinit(&stream->pending);
		stream->pending_uses_stream = false;
	}
}

/* "Request Acknowledgements": an answer acknowledges the highest rid up to which all requests have
 * come. That its own has come goes without saying. */
static void acknowledge(const struct bosh_session *session, const struct bosh_slot *slot,
			struct bosh_answer *answer)
{
	uint64_t highest;

	if (!session->uses_acks) {
		return;
	}
	highest = bosh_early_highest(&session->early, session->next_rid);
	if (!session->is_created || highest != slot->rid) {
		answer->ack = highest;
	}
}

/* Adds what an answer says about the session, whatever it is for. */
static void complete(const struct bosh_session *session, const struct bosh_slot *slot,
		     const struct bosh_stream *stream, struct bosh_answer *answer)
{
	if (!session->is_created) {
		answer->creation = &session->creation;
		/* "Discovery". "Error Conditions": with the name, an error would be the stream's
		 * only, and the session would go on. */
		answer->stream =
			session->offers_streams && !answer->type ? session->streams[0].name : NULL;
	}
	if (stream) {
		answer->from = stream->from;
		answer->authid = stream->authid;
	}
	answer->uses_stream =
		!session->is_created || (answer->payloads.n && stream->pending_uses_stream);
	acknowledge(session, slot, answer);
	if (session->replies.missing && slot->exchange) {
		answer->report = session->replies.missing;
		answer->report_ms = session->replies.missing_ms;
	}
}

/* Keeps the answer for a repeat. */
static void keep(struct bosh_turn *turn, struct blob *blob, const struct bosh_stream *stream,
		 struct sv payloads)
{
	struct bosh_session *session = turn->session;
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	const struct bosh_reply reply = {
		.rid = slot->rid,
		.blob = blob,
		.answered = turn->now,
		.n_repeats = slot->n_repeats,
		.key = slot->key,
		.is_extra = slot->kind == BOSH_SLOT_EXTRA,
		.stream = payloads.n ? bosh_stream_index(session, stream) : 0,
		.payloads = payloads,
	};

	bosh_actions_fail(turn->actions, bosh_reply_cache_put(&session->replies, &reply));
}

/* Keeps the answer that says how the session ended, for whoever was not answered. They are several,
 * so it says which rid is the highest even if that is the one that is answered now. */
static void keep_last(struct bosh_session *session, const struct bosh_answer *answer,
		      struct blob *blob)
{
	struct bosh_answer kept = *answer;
	struct blob *kept_blob;
	struct sv payloads;

	/* The first to be answered is told the reason, the others get empty bodies. */
	if (session->last.blob) {
		return;
	}
	kept.ack = session->uses_acks ? bosh_early_highest(&session->early, session->next_rid) : 0;
	if (kept.ack == answer->ack || bosh_answer_write(&kept, &kept_blob, &payloads) < 0) {
		bosh_last_answer_set(&session->last, 200, blob, answer->ack);
		return;
	}
	bosh_last_answer_set(&session->last, 200, kept_blob, kept.ack);
	blob_unref(kept_blob);
}

/* Whether the session keeps its answers for repeats. */
static bool keeps(const struct bosh_session *session)
{
	return session->state == BOSH_SESSION_LIVE;
}

/* Gets the memory for give(). The answer is written after that, as the last thing that may fail: it
 * takes what is pending, which must neither get lost nor be returned to the server as well. */
static void reserve(struct bosh_turn *turn, const struct bosh_slot *slot)
{
	bosh_actions_reserve(turn->actions);
	if (keeps(turn->session) && !bosh_turn_failed(turn)) {
		bosh_actions_fail(turn->actions,
				  bosh_reply_cache_reserve(&turn->session->replies,
							   slot->kind == BOSH_SLOT_EXTRA));
	}
}

/* Pushes the answer. */
static void give(struct bosh_turn *turn, const struct bosh_answer *answer, struct blob *blob,
		 const struct bosh_stream *stream)
{
	struct bosh_session *session = turn->session;
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);

	if (keeps(session)) {
		keep(turn, blob, stream, answer->payloads);
	}
	if (!slot->exchange) {
		return;
	}
	bosh_actions_push_answer(turn->actions, slot->exchange, blob);
	if (session->state == BOSH_SESSION_ENDING) {
		keep_last(session, answer, blob);
	}
}

/* Makes the payloads of @answer those in the blob. Returns 0 or -ENOMEM. */
static int write_answer(struct bosh_answer *answer, struct bosh_stream *stream,
			struct blob **ret_blob)
{
	struct buffer *pending = answer->payloads.n ? &stream->pending : NULL;
	struct sv payloads;
	int r = bosh_answer_write_taking(answer, pending, ret_blob, &payloads);

	if (r == 0) {
		answer->payloads = payloads;
	}
	return r;
}

void bosh_turn_answer(struct bosh_turn *turn, struct bosh_answer *answer,
		      struct bosh_stream *stream)
{
	struct bosh_session *session = turn->session;

	assert(session->slots.n > 0);
	struct bosh_slot slot = *bosh_slots_first(&session->slots);
	struct blob *blob;

	if (!stream && session->n_opened == 1) {
		stream = &session->streams[0];
	}
	complete(session, &slot, stream, answer);
	reserve(turn, &slot);
	if (!bosh_turn_failed(turn)) {
		bosh_actions_fail(turn->actions, write_answer(answer, stream, &blob));
	}
	if (bosh_turn_failed(turn)) {
		/* The slot stays: its exchange is still to be answered. */
		return;
	}
	give(turn, answer, blob, stream);
	blob_unref(blob);
	session->last_was_empty = slot.is_empty && answer->payloads.n == 0;
	forget_said(session, answer, stream, slot.exchange);
	bosh_slots_pop(&session->slots);
	/* An answer that nobody receives is no sign of life, so inactivity does not start anew. */
	if (slot.exchange && !bosh_slots_are_attended(&session->slots)) {
		session->idle_since = turn->now;
	}
}

void bosh_turn_answer_empty(struct bosh_turn *turn)
{
	bosh_turn_answer(turn, &(struct bosh_answer){0}, NULL);
}

void bosh_turn_answer_all_empty(struct bosh_turn *turn)
{
	while (turn->session->slots.n && !bosh_turn_failed(turn)) {
		bosh_turn_answer_empty(turn);
	}
}

void bosh_turn_replay(struct bosh_turn *turn, uint64_t exchange, const struct bosh_reply *reply)
{
	if (!bosh_slots_are_attended(&turn->session->slots)) {
		turn->session->idle_since = turn->now;
	}
	bosh_actions_push_answer(turn->actions, exchange, reply->blob);
}
