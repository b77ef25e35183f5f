/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* Has the early request whose turn it is wait for its verdict, if it needs one. Returns whether it
 * does. */
static bool begin_verdict(struct bosh_turn *turn)
{
	struct bosh_session *session = turn->session;
	struct bosh_arrival *next = bosh_early_find(&session->early, session->next_rid);

	if (!next || !bosh_turn_doubts(turn, next->body, next->received)) {
		return false;
	}
	session->verdict = mono_add_ms(turn->now, BOSH_VERDICT_MS);
	return true;
}

void bosh_turn_process_early(struct bosh_turn *turn, bool is_judged)
{
	struct bosh_session *session = turn->session;
	struct bosh_arrival arrival;

	while (!bosh_turn_failed(turn) && session->state != BOSH_SESSION_ENDED &&
	       (is_judged || !begin_verdict(turn)) &&
	       bosh_early_take(&session->early, session->next_rid, &arrival)) {
		is_judged = false;
		bosh_turn_process(turn, &arrival);
		if (bosh_turn_failed(turn)) {
			/* The session cannot answer it any more, and the caller does not know
			 * it. */
			session->failed_exchange = arrival.exchange;
		}
		bosh_arrival_clear(&arrival);
	}
}

/* "Recoverable Binding Conditions": the repeat takes the place of the request of *exchange, which
 * is told that it should be repeated. */
static void displace(struct bosh_turn *turn, uint64_t *exchange, uint64_t repeat)
{
	struct blob *blob;
	struct sv payloads;

	if (*exchange) {
		int r = bosh_answer_write(&(struct bosh_answer){.type = "error"}, &blob, &payloads);

		if (r < 0) {
			bosh_actions_fail(turn->actions, r);
			return;
		}
		bosh_actions_push_answer(turn->actions, *exchange, blob);
		blob_unref(blob);
	}
	if (!bosh_turn_failed(turn)) {
		*exchange = repeat;
	}
}

/* "Broken Connections": counts one more repeat. Returns the rule that it breaks: there is a limit,
 * and it has to show the same key as before. */
static enum bosh_rule judge_repeat(const struct bosh_session *session, const struct bosh_body *body,
				   const struct bosh_key *key, unsigned *n_repeats)
{
	struct bosh_key shown;

	(void)bosh_key_read(body->key, &shown);
	if (!bosh_key_is_same(&shown, key)) {
		return BOSH_RULE_KEY_MISMATCH;
	}
	return ++*n_repeats > session->limits->n_repeats_max ? BOSH_RULE_TOO_MANY_REPEATS
							     : BOSH_RULE_NONE;
}

/* A repeat of the request of @slot, which is not answered yet. */
static void repeat_held(struct bosh_turn *turn, struct bosh_slot *slot, uint64_t exchange,
			const struct bosh_body *body)
{
	enum bosh_rule rule = judge_repeat(turn->session, body, &slot->key, &slot->n_repeats);

	if (rule) {
		bosh_turn_refuse(turn, exchange, body, rule);
		return;
	}
	displace(turn, &slot->exchange, exchange);
	slot->is_stale = false;
	bosh_turn_release(turn);
}

static void repeat_answered(struct bosh_turn *turn, uint64_t exchange, const struct bosh_body *body)
{
	struct bosh_reply *reply = bosh_reply_cache_find(&turn->session->replies, body->rid);
	enum bosh_rule rule = BOSH_RULE_RESPONSE_DROPPED;

	if (reply) {
		rule = judge_repeat(turn->session, body, &reply->key, &reply->n_repeats);
	}
	if (rule) {
		bosh_turn_refuse(turn, exchange, body, rule);
		return;
	}
	bosh_turn_replay(turn, exchange, reply);
}

/* A repeat of a request whose turn has not come. */
static void repeat_early(struct bosh_turn *turn, struct bosh_arrival *early, uint64_t exchange,
			 const struct bosh_body *body)
{
	struct bosh_key key;

	(void)bosh_key_read(early->body->key, &key);
	enum bosh_rule rule = judge_repeat(turn->session, body, &key, &early->n_repeats);

	if (rule) {
		bosh_turn_refuse(turn, exchange, body, rule);
		return;
	}
	displace(turn, &early->exchange, exchange);
}

/* A rid below the one that is expected next. */
static void take_repeat(struct bosh_turn *turn, uint64_t exchange, const struct bosh_body *body)
{
	struct bosh_slot *slot = bosh_slots_find(&turn->session->slots, body->rid);

	if (slot) {
		repeat_held(turn, slot, exchange, body);
	} else {
		repeat_answered(turn, exchange, body);
	}
}

/* The rid that is expected next. */
static void take_next(struct bosh_turn *turn, uint64_t exchange, struct bosh_body *body)
{
	bosh_turn_process(turn, &(struct bosh_arrival){
					.rid = body->rid,
					.exchange = exchange,
					.received = turn->now,
					.body = body,
				});
	bosh_turn_process_early(turn, false);
}

/* A rid that is new, within the window. */
static void take_new(struct bosh_turn *turn, uint64_t exchange, struct bosh_body *body)
{
	struct bosh_session *session = turn->session;
	struct bosh_arrival *first = bosh_early_find(&session->early, body->rid);
	bool is_next = body->rid == session->next_rid;
	bool is_doubted = is_next && !first && bosh_turn_doubts(turn, body, turn->now);

	if (first) {
		repeat_early(turn, first, exchange, body);
		return;
	}
	if (is_next && !is_doubted) {
		take_next(turn, exchange, body);
		return;
	}
	if (is_doubted) {
		session->verdict = mono_add_ms(turn->now, BOSH_VERDICT_MS);
	}
	bosh_actions_fail(turn->actions,
			  bosh_early_put(&session->early, exchange, body, turn->now));
}

int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
			 struct mono now, struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};
	uint64_t n_window = session->creation.requests + (bosh_body_is_extra(body) ? 1 : 0);

	bosh_streams_settle(session);
	if (body->rid < session->next_rid) {
		take_repeat(&turn, exchange, body);
	} else if (body->rid - session->next_rid >= n_window) {
		bosh_turn_refuse(&turn, exchange, body, BOSH_RULE_RID_WINDOW);
	} else {
		take_new(&turn, exchange, body);
	}
	return bosh_actions_end(actions);
}

void bosh_session_moved(struct bosh_session *session)
{
	bosh_slots_set_stale(&session->slots);
	/* Nor is it known whether the last answer arrived. */
	session->last_was_empty = false;
}

void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now)
{
	bool was_attended = bosh_slots_are_attended(&session->slots);

	bosh_slots_forget(&session->slots, exchange);
	bosh_early_forget(&session->early, exchange);
	if (was_attended && !bosh_slots_are_attended(&session->slots)) {
		session->idle_since = now;
	}
}
