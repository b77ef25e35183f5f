/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

static int push_payloads(struct bosh_body *body, struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_SEND, .payloads = body->payloads};

	if (body->n_payloads == 0) {
		return 0;
	}
	body->payloads = BUFFER_INIT;
	return bosh_actions_push(actions, action);
}

/* XEP-0206, "Authentication and Resource Binding": payloads of a restart request are ignored. */
static int push_restart(const struct bosh_body *body, struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_RESTART};
	const struct sv texts[] = {body->to, body->from, body->lang, body->xmpp_version};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int r = buffer_append_sv(&action.payloads, texts[i]);

		if (r == 0) {
			r = buffer_append(&action.payloads, "", 1);
		}
		if (r < 0) {
			buffer_deinit(&action.payloads);
			return r;
		}
	}
	return bosh_actions_push(actions, action);
}

static bool is_terminate(const struct bosh_body *body)
{
	return sv_eq(body->type, SV("terminate"));
}

static int process_terminate(struct bosh_session *session, struct bosh_body *body, struct mono now,
			     struct bosh_actions *actions)
{
	int r = push_payloads(body, actions);

	if (r == 0) {
		r = bosh_actions_push_kind(actions, BOSH_ACTION_CLOSE);
	}
	return r < 0 ? r
		     : bosh_session_finish(session, &(struct bosh_answer){.type = "terminate"}, now, actions);
}

/* "Polling Sessions": two empty requests in a row, sooner than was allowed, and the first of them was told nothing. */
static bool polls_too_often(struct bosh_session *session, const struct bosh_body *body, struct mono now)
{
	bool empty = body->n_payloads == 0 && !body->restart && !body->pause.set && !is_terminate(body);
	struct mono allowed = mono_add_s(session->polled, session->limits->polling_s);
	bool too_often = empty && session->polled_empty && !mono_reached(allowed, now);

	session->polled = now;
	session->polled_empty = empty && session->pending.n == 0 && session->creation.hold == 0;
	return too_often;
}

/* The request whose turn it is. */
static int process(struct bosh_session *session, uint64_t exchange, struct bosh_body *body, struct mono now,
		   struct bosh_actions *actions)
{
	int r;

	/* "Overactivity": more requests under way than were allowed. */
	if ((session->n_slots >= session->creation.requests && !is_terminate(body)) ||
	    polls_too_often(session, body, now)) {
		return bosh_session_refuse(session, exchange, BOSH_CONDITION_POLICY_VIOLATION, actions);
	}
	session->next_rid = body->rid + 1;
	session->slots[session->n_slots++] =
		(struct bosh_slot){.rid = body->rid, .exchange = exchange, .received = now};
	if (session->failure) {
		return bosh_session_finish_failed(session, session->failure, now, actions);
	}
	if (is_terminate(body)) {
		return process_terminate(session, body, now, actions);
	}
	r = body->restart ? push_restart(body, actions) : push_payloads(body, actions);
	return r < 0 ? r : bosh_session_release(session, now, actions);
}

void bosh_early_clear(struct bosh_early *early)
{
	if (early->body) {
		bosh_body_deinit(early->body);
		free(early->body);
	}
	*early = (struct bosh_early){0};
}

static struct bosh_early *early_find(struct bosh_session *session, uint64_t rid)
{
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->early[i].body && session->early[i].rid == rid) {
			return &session->early[i];
		}
	}
	return NULL;
}

/* "In-Order Message Forwarding": those whose predecessors have come now. */
static int process_early(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	struct bosh_early *early;
	int r = 0;

	while (r == 0 && !session->ended && (early = early_find(session, session->next_rid))) {
		struct bosh_early due = *early;

		*early = (struct bosh_early){0};
		r = process(session, due.exchange, due.body, now, actions);
		bosh_early_clear(&due);
	}
	return r;
}

/* Keeps a request until its predecessor comes. The window has as many rids as there are places. */
static int put_early(struct bosh_session *session, uint64_t exchange, struct bosh_body *body)
{
	for (size_t i = 0; i < session->n_places; i++) {
		struct bosh_early *early = &session->early[i];

		if (early->body) {
			continue;
		}
		early->body = malloc(sizeof(*early->body));
		if (!early->body) {
			return -ENOMEM;
		}
		*early->body = *body;
		body->payloads = BUFFER_INIT;
		body->text = BUFFER_INIT;
		early->rid = body->rid;
		early->exchange = exchange;
		return 0;
	}
	return -ENOMEM;
}

/* "Recoverable Binding Conditions": the old request is told to be repeated, which it was. */
static int answer_displaced(uint64_t exchange, struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_ANSWER, .status = 200, .exchange = exchange};

	if (!exchange) {
		return 0;
	}
	int r = bosh_answer_write(&(struct bosh_answer){.type = "error"}, &action.blob);

	return r < 0 ? r : bosh_actions_push(actions, action);
}

/* The request of @slot came again, and waits in its place. */
static int repeat_held(struct bosh_session *session, struct bosh_slot *slot, uint64_t exchange,
		       struct mono now, struct bosh_actions *actions)
{
	uint64_t displaced = slot->exchange;

	if (++slot->n_repeats > BOSH_REPEATS_MAX) {
		return bosh_session_refuse(session, exchange, BOSH_CONDITION_POLICY_VIOLATION, actions);
	}
	slot->exchange = exchange;
	int r = answer_displaced(displaced, actions);

	if (r == 0 && session->failure) {
		return bosh_session_finish_failed(session, session->failure, now, actions);
	}
	return r < 0 ? r : bosh_session_release(session, now, actions);
}

/* "Broken Connections": a rid that came before. */
static int repeat(struct bosh_session *session, uint64_t exchange, uint64_t rid, struct mono now,
		  struct bosh_actions *actions)
{
	for (size_t i = 0; i < session->n_slots; i++) {
		if (session->slots[i].rid == rid) {
			return repeat_held(session, &session->slots[i], exchange, now, actions);
		}
	}
	int r = bosh_session_replay(session, exchange, rid, now, actions);

	return r <= 0 ? r : bosh_session_refuse(session, exchange, BOSH_CONDITION_ITEM_NOT_FOUND, actions);
}

int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
			 struct mono now, struct bosh_actions *actions)
{
	/* "Overactivity": one more than `requests` may come to say goodbye. */
	uint64_t n_window = session->creation.requests + (is_terminate(body) ? 1 : 0);

	if (body->rid < session->next_rid) {
		return repeat(session, exchange, body->rid, now, actions);
	}
	if (body->rid - session->next_rid >= n_window) {
		return bosh_session_refuse(session, exchange, BOSH_CONDITION_ITEM_NOT_FOUND, actions);
	}
	if (body->rid == session->next_rid) {
		int r = process(session, exchange, body, now, actions);

		return r < 0 ? r : process_early(session, now, actions);
	}
	struct bosh_early *early = early_find(session, body->rid);

	if (early) {
		uint64_t displaced = early->exchange;

		early->exchange = exchange;
		return answer_displaced(displaced, actions);
	}
	return put_early(session, exchange, body);
}

void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now)
{
	bool attended = bosh_session_is_attended(session);

	for (size_t i = 0; i < session->n_slots; i++) {
		if (session->slots[i].exchange == exchange) {
			session->slots[i].exchange = 0;
		}
	}
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->early[i].body && session->early[i].exchange == exchange) {
			bosh_early_clear(&session->early[i]);
		}
	}
	if (attended && !bosh_session_is_attended(session)) {
		session->idle_since = now;
	}
}
