/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session-state.h"

/* "In-Order Message Forwarding": those whose predecessors have come now. */
static int process_early(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	struct bosh_early_request due;
	int r = 0;

	while (r == 0 && session->state != BOSH_SESSION_ENDED && bosh_early_take(&session->early, session->next_rid, &due)) {
		r = bosh_session_process(session, due.exchange, due.body, due.received,
					 due.n_repeats, now, actions);
		if (r < 0) {
			/* The session cannot answer it any more, and the caller does not know it. */
			session->failed_exchange = due.exchange;
		}
		bosh_early_request_clear(&due);
	}
	return r;
}

/* "Recoverable Binding Conditions": the old request is told to be repeated, which it was. */
static int answer_displaced(uint64_t exchange, struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_ANSWER, .status = 200, .exchange = exchange};
	struct sv payloads;

	if (!exchange) {
		return 0;
	}
	int r = bosh_answer_write(&(struct bosh_answer){.type = "error"}, &action.blob, &payloads);

	return r < 0 ? r : bosh_actions_push(actions, action);
}

/* "Broken Connections": counts one more repeat. Returns what it breaks: the limit, or the key sequence (what
 * is repeated is repeated exactly). */
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

/* The request of @slot came again, and waits in its place. */
static int repeat_held(struct bosh_session *session, struct bosh_slot *slot, uint64_t exchange,
		       const struct bosh_body *body, struct mono now, struct bosh_actions *actions)
{
	enum bosh_rule rule = judge_repeat(session, body, &slot->key, &slot->n_repeats);

	if (rule) {
		return bosh_session_refuse(session, exchange, rule, actions);
	}
	int r = answer_displaced(slot->exchange, actions);

	if (r < 0) {
		return r;
	}
	slot->exchange = exchange;
	slot->stale = false;
	return bosh_session_release(session, now, actions);
}

static int repeat_answered(struct bosh_session *session, uint64_t exchange, const struct bosh_body *body,
			   struct mono now, struct bosh_actions *actions)
{
	struct bosh_reply *reply = bosh_reply_cache_find(&session->replies, body->rid);
	enum bosh_rule rule = reply ? judge_repeat(session, body, &reply->key, &reply->n_repeats)
				    : BOSH_RULE_RESPONSE_DROPPED;

	return rule ? bosh_session_refuse(session, exchange, rule, actions)
		    : bosh_session_replay(session, exchange, reply, now, actions);
}

/* A rid that came before. */
static int repeat(struct bosh_session *session, uint64_t exchange, const struct bosh_body *body,
		  struct mono now, struct bosh_actions *actions)
{
	struct bosh_slot *slot = bosh_slots_find(&session->slots, body->rid);

	return slot ? repeat_held(session, slot, exchange, body, now, actions)
		    : repeat_answered(session, exchange, body, now, actions);
}

/* The request of @early came again before its turn. */
static int repeat_early(struct bosh_session *session, struct bosh_early_request *early, uint64_t exchange,
			const struct bosh_body *body, struct bosh_actions *actions)
{
	struct bosh_key key;

	(void)bosh_key_read(early->body->key, &key);
	enum bosh_rule rule = judge_repeat(session, body, &key, &early->n_repeats);

	if (rule) {
		return bosh_session_refuse(session, exchange, rule, actions);
	}
	int r = answer_displaced(early->exchange, actions);

	if (r == 0) {
		early->exchange = exchange;
	}
	return r;
}

int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
			 struct mono now, struct bosh_actions *actions)
{
	uint64_t n_window = session->creation.requests + (bosh_body_is_extra(body) ? 1 : 0);

	bosh_streams_settle(session);
	if (body->rid < session->next_rid) {
		return repeat(session, exchange, body, now, actions);
	}
	if (body->rid - session->next_rid >= n_window) {
		return bosh_session_refuse(session, exchange, BOSH_RULE_RID_WINDOW, actions);
	}
	if (body->rid == session->next_rid) {
		int r = bosh_session_process(session, exchange, body, now, 0, now, actions);

		return r < 0 ? r : process_early(session, now, actions);
	}
	struct bosh_early_request *early = bosh_early_find(&session->early, body->rid);

	return early ? repeat_early(session, early, exchange, body, actions)
		     : bosh_early_put(&session->early, exchange, body, now);
}

void bosh_session_moved(struct bosh_session *session)
{
	bosh_slots_set_stale(&session->slots);
	/* Nor is it known whether the last answer arrived. */
	session->last_empty = false;
}

void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now)
{
	bool attended = bosh_slots_are_attended(&session->slots);

	bosh_slots_forget(&session->slots, exchange);
	bosh_early_forget(&session->early, exchange);
	if (attended && !bosh_slots_are_attended(&session->slots)) {
		session->idle_since = now;
	}
}
