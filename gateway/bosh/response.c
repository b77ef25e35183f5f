/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

/* What stands in one answer only has been said. */
static void forget_said(struct bosh_session *session, const struct bosh_answer *answer,
			struct bosh_stream *stream, bool heard)
{
	session->created = session->created || heard;
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
	session->last_told = bosh_stream_index(session, stream);
	if (answer->payloads.n) {
		buffer_deinit(&stream->pending);
		stream->pending_stream = false;
	}
}

/* What an answer says of the session, beside what it is for. */
static void complete(struct bosh_session *session, const struct bosh_slot *slot, const struct bosh_stream *stream,
		     struct bosh_answer *answer)
{
	if (!session->created) {
		answer->creation = &session->creation;
		/* "Discovery". */
		answer->stream = session->offers_streams ? session->streams[0].name : NULL;
	}
	if (stream) {
		answer->from = stream->from;
		answer->authid = stream->authid;
	}
	answer->uses_stream = !session->created || (answer->payloads.n && stream->pending_stream);
	/* "Request Acknowledgements": of the highest rid behind which none is missing; this one's own goes without saying. */
	uint64_t highest = session->acks ? bosh_early_highest(&session->early, session->next_rid) : 0;

	if (session->acks && (!session->created || highest != slot->rid)) {
		answer->ack = highest;
	}
	if (session->replies.missing && slot->exchange) {
		answer->report = session->replies.missing;
		answer->report_ms = session->replies.missing_ms;
	}
}

/* What of an answer is told and kept. While it fails the slot stays, so that nobody is forgotten. */
static int give(struct bosh_session *session, struct blob *blob, const struct bosh_stream *stream,
		struct sv payloads, struct mono now, struct bosh_actions *actions)
{
	const struct bosh_slot *slot = bosh_slots_first(&session->slots);
	int r = 0;

	if (slot->exchange) {
		r = bosh_actions_push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
								    .status = 200,
								    .exchange = slot->exchange,
								    .blob = blob_ref(blob)});
	}
	if (r == 0 && session->state == BOSH_SESSION_LIVE) {
		r = bosh_reply_cache_put(
			&session->replies,
			&(struct bosh_reply){
				.rid = slot->rid,
				.blob = blob,
				.answered = now,
				.n_repeats = slot->n_repeats,
				.key = slot->key,
				.extra = slot->kind == BOSH_SLOT_EXTRA,
				.stream = payloads.n ? bosh_stream_index(session, stream) : 0,
				.payloads = payloads,
			});
	}
	return r;
}

int bosh_session_answer(struct bosh_session *session, struct bosh_answer *answer, struct bosh_stream *stream,
			struct mono now, struct bosh_actions *actions)
{
	struct bosh_slot slot = *bosh_slots_first(&session->slots);
	struct sv payloads;
	struct blob *blob;

	if (!stream && session->n_opened == 1) {
		stream = &session->streams[0];
	}
	complete(session, &slot, stream, answer);
	int r = bosh_answer_write(answer, &blob, &payloads);

	if (r < 0) {
		return r;
	}
	r = give(session, blob, stream, payloads, now, actions);
	blob_unref(blob);
	if (r < 0) {
		return r;
	}
	session->last_empty = slot.empty && answer->payloads.n == 0;
	forget_said(session, answer, stream, slot.exchange);
	bosh_slots_pop(&session->slots);
	/* What nobody heard is no sign of life that inactivity would count from. */
	if (slot.exchange && !bosh_slots_are_attended(&session->slots)) {
		session->idle_since = now;
	}
	return 0;
}

int bosh_session_answer_empty(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return bosh_session_answer(session, &(struct bosh_answer){0}, NULL, now, actions);
}

int bosh_session_replay(struct bosh_session *session, uint64_t exchange, const struct bosh_reply *reply,
			struct mono now, struct bosh_actions *actions)
{
	if (!bosh_slots_are_attended(&session->slots)) {
		session->idle_since = now;
	}
	return bosh_actions_push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
							       .status = 200,
							       .exchange = exchange,
							       .blob = blob_ref(reply->blob)});
}
