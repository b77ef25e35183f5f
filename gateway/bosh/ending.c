/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* XEP-0206, "recipient-unavailable": returns @payloads to the server of @stream. */
static void push_bounce(struct bosh_turn *turn, unsigned stream, struct sv payloads)
{
	struct bosh_action action = {.kind = BOSH_ACTION_BOUNCE, .stream = stream};

	if (payloads.n == 0) {
		return;
	}
	bosh_actions_fail(turn->actions, buffer_append_sv(&action.payloads, payloads));
	bosh_actions_push(turn->actions, action);
}

/* Returns what was not delivered: what is pending. When the client has vanished, also what it has
 * not acknowledged or, if it never acknowledges, what it was answered after its last request: if it
 * had got that, it would have sent another request. */
static void push_bounces(struct bosh_turn *turn, const struct bosh_stream *stream,
			 bool has_vanished)
{
	const struct bosh_session *session = turn->session;
	unsigned index = bosh_stream_index(session, stream);

	for (size_t i = 0; has_vanished && i < session->replies.n; i++) {
		const struct bosh_reply *reply = &session->replies.items[i];

		if (reply->stream == index && (session->uses_acks || !reply->is_followed)) {
			push_bounce(turn, index, reply->payloads);
		}
	}
	push_bounce(turn, index, buffer_sv(&stream->pending));
}

void bosh_turn_close_stream(struct bosh_turn *turn, struct bosh_stream *stream, bool has_vanished)
{
	if (stream->state != BOSH_STREAM_OPEN) {
		return;
	}
	bosh_stream_set_state(stream, BOSH_STREAM_CLOSED);
	if (!stream->is_managed) {
		push_bounces(turn, stream, has_vanished);
	}
	bosh_actions_push_kind(turn->actions, BOSH_ACTION_CLOSE,
			       bosh_stream_index(turn->session, stream));
}

void bosh_turn_abandon(struct bosh_turn *turn, enum bosh_condition condition, enum bosh_rule rule,
		       bool has_vanished)
{
	struct bosh_session *session = turn->session;

	for (size_t i = 0; i < session->early.size; i++) {
		struct bosh_arrival *arrival = &session->early.items[i];

		bosh_actions_push_refusal(turn->actions, arrival->exchange, condition, rule,
					  session->is_legacy);
		if (!bosh_turn_failed(turn)) {
			bosh_arrival_clear(arrival);
		}
	}
	/* A managed stream can be resumed, so END drops its link without closing the stream. */
	for (unsigned i = 0; i < session->n_streams; i++) {
		if (!session->streams[i].is_managed) {
			bosh_turn_close_stream(turn, &session->streams[i], has_vanished);
		}
	}
	bosh_session_set_state(session, BOSH_SESSION_ENDED);
	bosh_actions_push(turn->actions,
			  (struct bosh_action){.kind = BOSH_ACTION_END, .rule = rule});
}

/* Nobody could be told of the end: those who come next will be. */
static void note_expected(struct bosh_session *session)
{
	session->last.expected_rid = session->next_rid;
	session->last.n_expected = session->creation.requests;
	session->last.expected_key = session->key;
}

/* No request can be answered but those that came before their predecessors. The answer is kept for
 * the others, too: their connections have broken, and they may be repeated. */
static void answer_early(struct bosh_turn *turn, const struct bosh_answer *answer)
{
	struct bosh_early *early = &turn->session->early;
	bool is_told = false;
	struct sv payloads;
	struct blob *blob;

	int r = bosh_answer_write(answer, &blob, &payloads);

	if (r < 0) {
		bosh_actions_fail(turn->actions, r);
		return;
	}
	for (size_t i = 0; i < early->size; i++) {
		struct bosh_arrival *arrival = &early->items[i];

		if (arrival->exchange) {
			bosh_actions_push_answer(turn->actions, arrival->exchange, blob);
			is_told = true;
		}
		if (!bosh_turn_failed(turn)) {
			bosh_arrival_clear(arrival);
		}
	}
	bosh_last_answer_set(&turn->session->last, 200, blob, 0);
	blob_unref(blob);
	if (!is_told) {
		note_expected(turn->session);
	}
}

/* How many of the replies, from the oldest on, a repeat gets again: up to the last one that carries
 * something. What came with none of them gets lost if the client is told of the end instead. */
static size_t n_given_again(const struct bosh_session *session)
{
	size_t n = session->replies.n;

	while (n > 0 && session->replies.items[n - 1].payloads.n == 0 && session->n_opened == 1) {
		n--;
	}
	return n;
}

/* Notes the requests whose answers may be lost: those that are not answered yet, and those whose
 * replies are kept. Also an answer that carried nothing and was followed: a client that reads its
 * answers in order repeats that request before it reads why the session has ended. @has_vanished:
 * what the replies carried is returned instead. */
static void note_asked(struct bosh_session *session, bool has_vanished)
{
	size_t n_again = n_given_again(session);
	struct bosh_key key;

	/* One more than may be held, to pause or to terminate. */
	session->last.n_open_max = session->creation.requests + 1;
	for (size_t i = 0; i < session->replies.n; i++) {
		const struct bosh_reply *reply = &session->replies.items[i];
		struct blob *blob = i < n_again && !has_vanished ? reply->blob : NULL;

		if (!reply->is_followed) {
			bosh_last_answer_add(&session->last, reply->rid, &reply->key, blob);
		} else {
			bosh_last_answer_add_followed(&session->last, reply->rid, &reply->key,
						      blob);
		}
	}
	for (size_t i = 0; i < session->slots.n; i++) {
		const struct bosh_slot *slot = &session->slots.items[i];

		bosh_last_answer_add(&session->last, slot->rid, &slot->key, NULL);
	}
	for (size_t i = 0; i < session->early.size; i++) {
		const struct bosh_arrival *arrival = &session->early.items[i];

		if (arrival->body) {
			(void)bosh_key_read(arrival->body->key, &key);
			bosh_last_answer_add(&session->last, arrival->rid, &key, NULL);
		}
	}
}

/* Whether the client has probably vanished. One that polls, or has paused, is away in between. */
static bool is_absent(const struct bosh_session *session, struct mono now)
{
	bool is_expected = session->creation.hold && !session->pause_s;
	struct mono heard = bosh_early_latest(&session->early, session->idle_since);

	return is_expected && !bosh_slots_are_attended(&session->slots) &&
	       mono_diff_ms(now, heard) >= BOSH_ABSENT_MS;
}

void bosh_turn_finish(struct bosh_turn *turn, struct bosh_answer *answer,
		      struct bosh_stream *stream)
{
	struct bosh_session *session = turn->session;
	bool has_vanished = is_absent(session, turn->now);

	bosh_session_set_state(session, BOSH_SESSION_ENDING);
	note_asked(session, has_vanished);
	if (bosh_slots_are_attended(&session->slots)) {
		while (!bosh_slots_first(&session->slots)->exchange && !bosh_turn_failed(turn)) {
			bosh_turn_answer_empty(turn);
		}
		if (stream) {
			answer->payloads = buffer_sv(&stream->pending);
		}
		bosh_turn_answer(turn, answer, stream);
	} else {
		answer_early(turn, answer);
	}
	bosh_turn_answer_all_empty(turn);
	bosh_turn_abandon(turn, BOSH_CONDITION_OTHER_REQUEST, BOSH_RULE_NONE, has_vanished);
}

/* Notes the refusal of @body, which is the latest action. */
static void note_refusal(struct bosh_turn *turn, const struct bosh_body *body)
{
	struct bosh_last_answer *last = &turn->session->last;
	const struct bosh_action *action = &turn->actions->items[turn->actions->n - 1];
	struct bosh_key key;

	note_asked(turn->session, false);
	if (body->has_rid) {
		(void)bosh_key_read(body->key, &key);
		bosh_last_answer_add(last, body->rid, &key, NULL);
	}
	bosh_last_answer_set(last, action->status, action->blob, 0);
}

void bosh_turn_refuse(struct bosh_turn *turn, uint64_t exchange, const struct bosh_body *body,
		      enum bosh_rule rule)
{
	struct bosh_session *session = turn->session;

	bosh_actions_push_refusal(turn->actions, exchange, bosh_rule_condition(rule), rule,
				  session->is_legacy);
	if (!bosh_turn_failed(turn)) {
		note_refusal(turn, body);
	}
	for (size_t i = 0; i < session->slots.n; i++) {
		bosh_actions_push_refusal(turn->actions, session->slots.items[i].exchange,
					  BOSH_CONDITION_OTHER_REQUEST, rule, session->is_legacy);
	}
	if (!bosh_turn_failed(turn)) {
		bosh_slots_clear(&session->slots);
	}
	bosh_turn_abandon(turn, BOSH_CONDITION_OTHER_REQUEST, rule, false);
}

int bosh_session_refuse(struct bosh_session *session, uint64_t exchange,
			const struct bosh_body *body, enum bosh_rule rule,
			struct bosh_actions *actions)
{
	/* Nothing that happens here depends on the time. */
	struct bosh_turn turn = {.session = session, .actions = actions};

	bosh_turn_refuse(&turn, exchange, body, rule);
	return bosh_actions_end(actions);
}

int bosh_session_shut(struct bosh_session *session, const struct failure *failure, struct mono now,
		      struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};
	struct bosh_answer answer = {0};
	/* What several streams have to tell does not fit into one answer: it is returned. */
	struct bosh_stream *stream = session->n_opened > 1 ? NULL : &session->streams[0];

	if (session->state == BOSH_SESSION_ENDED) {
		return 0;
	}
	bosh_answer_set_failure(&answer, failure);
	bosh_turn_finish(&turn, &answer, stream);
	return bosh_actions_end(actions);
}
