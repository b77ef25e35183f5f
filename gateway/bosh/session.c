/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/session.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/answer.h"

struct slot {
	uint64_t rid;
	uint64_t exchange; /* 0: its connection broke */
	struct mono received;
	unsigned n_repeats;
};

struct early {
	uint64_t rid;
	uint64_t exchange;
	struct bosh_body *body; /* NULL: the place is free */
};

struct kept {
	uint64_t rid;
	struct blob *blob; /* NULL: the place is free */
};

struct bosh_session {
	const struct bosh_limits *limits;
	struct bosh_creation creation;
	char sid[BOSH_SID_MAX + 1];
	bool created;       /* the creation answer has been given */
	bool features_seen; /* it has no longer to wait for them */
	bool legacy;
	bool congested, paused, ended;
	bool pending_stream; /* pending uses the prefix "stream" */
	uint64_t next_rid;
	struct mono idle_since; /* since when no request could be answered */
	struct buffer pending;
	char *from, *authid;     /* of the server, until they are said */
	struct failure *failure; /* the link is over and nobody was there to be told */
	size_t n_places;         /* of the three lists: `requests`, and one more for a terminate */
	struct slot *slots;      /* oldest first */
	size_t n_slots;
	struct early *early;
	struct kept *kept;       /* a ring */
	size_t next_kept;
};

/* Actions. */

static void action_deinit(struct bosh_action *action)
{
	blob_unref(action->blob);
	buffer_deinit(&action->payloads);
}

void bosh_actions_deinit(struct bosh_actions *actions)
{
	for (size_t i = 0; i < actions->n; i++) {
		action_deinit(&actions->items[i]);
	}
	free(actions->items);
	*actions = (struct bosh_actions){0};
}

/* Takes what @action owns, also on failure. */
static int push(struct bosh_actions *actions, struct bosh_action action)
{
	if (actions->n == actions->size) {
		size_t size = actions->size ? actions->size * 2 : 8;
		struct bosh_action *items = reallocarray(actions->items, size, sizeof(*items));

		if (!items) {
			action_deinit(&action);
			return -ENOMEM;
		}
		actions->items = items;
		actions->size = size;
	}
	actions->items[actions->n++] = action;
	return 0;
}

static int push_kind(struct bosh_actions *actions, enum bosh_action_kind kind)
{
	return push(actions, (struct bosh_action){.kind = kind});
}

static int push_end(struct bosh_session *session, struct bosh_actions *actions)
{
	session->ended = true;
	return push_kind(actions, BOSH_ACTION_END);
}

/* Making and freeing. */

static unsigned clamp(struct bosh_number number, unsigned max, unsigned absent)
{
	if (!number.set) {
		return absent < max ? absent : max;
	}
	return number.value < max ? (unsigned)number.value : max;
}

static void negotiate(struct bosh_session *session, const struct bosh_body *body)
{
	const struct bosh_limits *limits = session->limits;
	struct bosh_creation *creation = &session->creation;

	creation->sid = session->sid;
	creation->wait_s = clamp(body->wait, limits->wait_s, limits->wait_s);
	creation->hold = clamp(body->hold, limits->hold, 1);
	creation->requests = creation->hold + 1;
	creation->polling_s = limits->polling_s;
	creation->inactivity_s = limits->inactivity_s;
	if (creation->wait_s == 0 || creation->hold == 0) {
		/* "Polling Sessions": a higher inactivity, and by more than the polling interval. */
		creation->hold = 0;
		creation->requests = 1;
		creation->inactivity_s = 2 * limits->inactivity_s + limits->polling_s;
	}
	creation->has_ver = body->has_ver;
	creation->ver_major = BOSH_VER_MAJOR;
	creation->ver_minor = BOSH_VER_MINOR;
	if (body->ver_major < BOSH_VER_MAJOR ||
	    (body->ver_major == BOSH_VER_MAJOR && body->ver_minor < BOSH_VER_MINOR)) {
		creation->ver_major = body->ver_major;
		creation->ver_minor = body->ver_minor;
	}
}

int bosh_session_new(const struct bosh_limits *limits, const char *sid, const struct bosh_body *body,
		     uint64_t exchange, struct mono now, struct bosh_session **ret_session)
{
	struct bosh_session *session = calloc(1, sizeof(*session));

	if (!session) {
		return -ENOMEM;
	}
	session->limits = limits;
	memcpy(session->sid, sid, strnlen(sid, BOSH_SID_MAX));
	session->legacy = !body->has_ver;
	session->next_rid = body->rid + 1;
	session->idle_since = now;
	negotiate(session, body);
	session->n_places = session->creation.requests + 1;
	session->slots = calloc(session->n_places, sizeof(*session->slots));
	session->early = calloc(session->n_places, sizeof(*session->early));
	session->kept = calloc(session->n_places, sizeof(*session->kept));
	if (!session->slots || !session->early || !session->kept) {
		bosh_session_free(session);
		return -ENOMEM;
	}
	session->slots[session->n_slots++] =
		(struct slot){.rid = body->rid, .exchange = exchange, .received = now};
	*ret_session = session;
	return 0;
}

static void early_free(struct early *early)
{
	if (early->body) {
		bosh_body_deinit(early->body);
		free(early->body);
	}
	*early = (struct early){0};
}

struct bosh_session *bosh_session_free(struct bosh_session *session)
{
	if (!session) {
		return NULL;
	}
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->early) {
			early_free(&session->early[i]);
		}
		if (session->kept) {
			blob_unref(session->kept[i].blob);
		}
	}
	free(session->slots);
	free(session->early);
	free(session->kept);
	free(session->from);
	free(session->authid);
	free(session->failure);
	buffer_deinit(&session->pending);
	free(session);
	return NULL;
}

/* Answering. */

static bool is_attended(const struct bosh_session *session)
{
	for (size_t i = 0; i < session->n_slots; i++) {
		if (session->slots[i].exchange) {
			return true;
		}
	}
	return false;
}

static void keep_answer(struct bosh_session *session, uint64_t rid, struct blob *blob)
{
	struct kept *kept = &session->kept[session->next_kept];

	blob_unref(kept->blob);
	*kept = (struct kept){.rid = rid, .blob = blob_ref(blob)};
	session->next_kept = (session->next_kept + 1) % session->creation.requests;
}

static void said(struct bosh_session *session)
{
	session->created = true;
	free(session->from);
	free(session->authid);
	session->from = NULL;
	session->authid = NULL;
}

/* Answers the oldest slot. @answer says what is special about it; creation, names and payloads are put in here. */
static int answer_oldest(struct bosh_session *session, struct bosh_answer *answer, struct mono now,
			 struct bosh_actions *actions)
{
	struct slot slot = session->slots[0];
	struct blob *blob;

	answer->creation = session->created ? NULL : &session->creation;
	answer->from = session->from;
	answer->authid = session->authid;
	answer->uses_stream = !session->created || (answer->payloads.n && session->pending_stream);
	int r = bosh_answer_write(answer, &blob);

	if (r < 0) {
		return r;
	}
	said(session);
	session->n_slots--;
	memmove(session->slots, session->slots + 1, session->n_slots * sizeof(*session->slots));
	if (answer->payloads.n) {
		buffer_deinit(&session->pending);
		session->pending_stream = false;
	}
	keep_answer(session, slot.rid, blob);
	if (!is_attended(session)) {
		session->idle_since = now;
	}
	if (!slot.exchange) {
		blob_unref(blob);
		return 0;
	}
	return push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
						  .status = 200,
						  .exchange = slot.exchange,
						  .blob = blob});
}

static int answer_empty(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return answer_oldest(session, &(struct bosh_answer){0}, now, actions);
}

static int answer_pending(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return answer_oldest(session, &(struct bosh_answer){.payloads = buffer_sv(&session->pending)}, now,
			     actions);
}

static int answer_exchange(uint64_t exchange, enum bosh_condition condition, bool legacy,
			   struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_ANSWER, .exchange = exchange};

	if (!exchange) {
		return 0;
	}
	int r = bosh_refusal(condition, NULL, legacy, &action.status, &action.blob);

	return r < 0 ? r : push(actions, action);
}

/* More requests than may be held; or, while the server does not read, more than may be under way. */
static bool is_too_many(const struct bosh_session *session)
{
	size_t n_max = session->congested ? session->creation.requests : session->creation.hold;

	return session->n_slots > n_max;
}

/* Answers what need not wait: payloads for whoever holds a request, and the oldest when too many are held. */
static int release(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	int r = 0;

	if (!session->created && !session->features_seen && session->creation.wait_s) {
		return 0;
	}
	while (r == 0 && session->n_slots) {
		if (session->pending.n && session->slots[0].exchange) {
			r = answer_pending(session, now, actions);
		} else if (session->pending.n && is_attended(session)) {
			/* Its client will ask for it again, and find it empty; the payload goes to one who listens. */
			r = answer_empty(session, now, actions);
		} else if (is_too_many(session)) {
			r = answer_empty(session, now, actions);
		} else {
			break;
		}
	}
	if (r < 0 || session->ended) {
		return r;
	}
	if (!session->paused && session->pending.n > session->limits->n_pending_max) {
		session->paused = true;
		return push_kind(actions, BOSH_ACTION_PAUSE);
	}
	if (session->paused && session->pending.n <= session->limits->n_pending_max / 2) {
		session->paused = false;
		return push_kind(actions, BOSH_ACTION_RESUME);
	}
	return 0;
}

/* Ending. */

/* Ends the session: the oldest request that somebody waits for is told @answer, the others get empty bodies ("Terminating the
 * BOSH Session"). */
static int finish(struct bosh_session *session, struct bosh_answer *answer, struct mono now,
		  struct bosh_actions *actions)
{
	bool told = false;
	int r = 0;

	while (r == 0 && session->n_slots) {
		if (!told && session->slots[0].exchange) {
			answer->payloads = buffer_sv(&session->pending);
			r = answer_oldest(session, answer, now, actions);
			told = true;
		} else {
			r = answer_empty(session, now, actions);
		}
	}
	for (size_t i = 0; r == 0 && i < session->n_places; i++) {
		if (session->early[i].body) {
			r = answer_exchange(session->early[i].exchange, BOSH_CONDITION_OTHER_REQUEST,
					    session->legacy, actions);
			early_free(&session->early[i]);
		}
	}
	return r < 0 ? r : push_end(session, actions);
}

static int finish_failed(struct bosh_session *session, const struct failure *failure, struct mono now,
			 struct bosh_actions *actions)
{
	struct bosh_answer answer = {
		.type = "terminate",
		.condition = failure_bosh_condition(failure->kind),
	};

	if (failure->kind != FAILURE_STREAM_ERROR) {
		answer.text = failure_sentence(failure->kind);
		answer.detail = failure->detail;
	}
	return finish(session, &answer, now, actions);
}

int bosh_session_refuse(struct bosh_session *session, uint64_t exchange, enum bosh_condition condition,
			struct bosh_actions *actions)
{
	int r = answer_exchange(exchange, condition, session->legacy, actions);

	for (size_t i = 0; r == 0 && i < session->n_slots; i++) {
		r = answer_exchange(session->slots[i].exchange, BOSH_CONDITION_OTHER_REQUEST, session->legacy,
				    actions);
	}
	session->n_slots = 0;
	for (size_t i = 0; r == 0 && i < session->n_places; i++) {
		if (session->early[i].body) {
			r = answer_exchange(session->early[i].exchange, BOSH_CONDITION_OTHER_REQUEST,
					    session->legacy, actions);
			early_free(&session->early[i]);
		}
	}
	return r < 0 ? r : push_end(session, actions);
}

int bosh_session_fail(struct bosh_session *session, const struct failure *failure, struct mono now,
		      struct bosh_actions *actions)
{
	if (session->ended || session->failure) {
		return 0;
	}
	if (is_attended(session)) {
		return finish_failed(session, failure, now, actions);
	}
	session->failure = malloc(sizeof(*session->failure));
	if (!session->failure) {
		return -ENOMEM;
	}
	*session->failure = *failure;
	return 0;
}

/* Requests. */

static int push_payloads(struct bosh_body *body, struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_SEND, .payloads = body->payloads};

	if (body->n_payloads == 0) {
		return 0;
	}
	body->payloads = BUFFER_INIT;
	return push(actions, action);
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
	return push(actions, action);
}

static int process_terminate(struct bosh_session *session, struct bosh_body *body, struct mono now,
			     struct bosh_actions *actions)
{
	int r = push_payloads(body, actions);

	if (r == 0) {
		r = push_kind(actions, BOSH_ACTION_CLOSE);
	}
	return r < 0 ? r : finish(session, &(struct bosh_answer){.type = "terminate"}, now, actions);
}

/* The request whose turn it is. */
static int process(struct bosh_session *session, uint64_t exchange, struct bosh_body *body, struct mono now,
		   struct bosh_actions *actions)
{
	bool terminate = sv_eq(body->type, SV("terminate"));
	int r;

	if (session->n_slots >= session->creation.requests && !terminate) {
		/* "Overactivity": more requests under way than were allowed. */
		return bosh_session_refuse(session, exchange, BOSH_CONDITION_POLICY_VIOLATION, actions);
	}
	session->next_rid = body->rid + 1;
	session->slots[session->n_slots++] =
		(struct slot){.rid = body->rid, .exchange = exchange, .received = now};
	if (session->failure) {
		return finish_failed(session, session->failure, now, actions);
	}
	if (terminate) {
		return process_terminate(session, body, now, actions);
	}
	r = body->restart ? push_restart(body, actions) : push_payloads(body, actions);
	return r < 0 ? r : release(session, now, actions);
}

static struct early *early_find(struct bosh_session *session, uint64_t rid)
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
	struct early *early;
	int r = 0;

	while (r == 0 && !session->ended && (early = early_find(session, session->next_rid))) {
		struct early due = *early;

		*early = (struct early){0};
		r = process(session, due.exchange, due.body, now, actions);
		early_free(&due);
	}
	return r;
}

/* Keeps a request until its predecessor comes. The window has as many rids as there are places. */
static int put_early(struct bosh_session *session, uint64_t exchange, struct bosh_body *body)
{
	for (size_t i = 0; i < session->n_places; i++) {
		struct early *early = &session->early[i];

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

	return r < 0 ? r : push(actions, action);
}

static int replay(struct bosh_session *session, uint64_t exchange, struct blob *blob, struct mono now,
		  struct bosh_actions *actions)
{
	if (!is_attended(session)) {
		session->idle_since = now;
	}
	return push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
						  .status = 200,
						  .exchange = exchange,
						  .blob = blob_ref(blob)});
}

/* "Broken Connections": a rid that came before. */
static int repeat(struct bosh_session *session, uint64_t exchange, uint64_t rid, struct mono now,
		  struct bosh_actions *actions)
{
	for (size_t i = 0; i < session->n_slots; i++) {
		struct slot *slot = &session->slots[i];
		uint64_t displaced = slot->exchange;

		if (slot->rid != rid) {
			continue;
		}
		if (++slot->n_repeats > BOSH_REPEATS_MAX) {
			return bosh_session_refuse(session, exchange, BOSH_CONDITION_POLICY_VIOLATION, actions);
		}
		slot->exchange = exchange;
		int r = answer_displaced(displaced, actions);

		if (r == 0 && session->failure) {
			return finish_failed(session, session->failure, now, actions);
		}
		return r < 0 ? r : release(session, now, actions);
	}
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->kept[i].blob && session->kept[i].rid == rid) {
			return replay(session, exchange, session->kept[i].blob, now, actions);
		}
	}
	return bosh_session_refuse(session, exchange, BOSH_CONDITION_ITEM_NOT_FOUND, actions);
}

int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
			 struct mono now, struct bosh_actions *actions)
{
	uint64_t n_window = session->creation.requests + (sv_eq(body->type, SV("terminate")) ? 1 : 0);
	struct early *early;
	int r;

	if (body->rid < session->next_rid) {
		return repeat(session, exchange, body->rid, now, actions);
	}
	if (body->rid - session->next_rid >= n_window) {
		return bosh_session_refuse(session, exchange, BOSH_CONDITION_ITEM_NOT_FOUND, actions);
	}
	if (body->rid == session->next_rid) {
		r = process(session, exchange, body, now, actions);
		return r < 0 ? r : process_early(session, now, actions);
	}
	early = early_find(session, body->rid);
	if (early) {
		uint64_t displaced = early->exchange;

		early->exchange = exchange;
		return answer_displaced(displaced, actions);
	}
	return put_early(session, exchange, body);
}

void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now)
{
	bool attended = is_attended(session);

	for (size_t i = 0; i < session->n_slots; i++) {
		if (session->slots[i].exchange == exchange) {
			session->slots[i].exchange = 0;
		}
	}
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->early[i].body && session->early[i].exchange == exchange) {
			early_free(&session->early[i]);
		}
	}
	if (attended && !is_attended(session)) {
		session->idle_since = now;
	}
}

/* The server's side. */

int bosh_session_header(struct bosh_session *session, const char *id, const char *from)
{
	char *new_id = id ? strdup(id) : NULL;
	char *new_from = from ? strdup(from) : NULL;

	if ((id && !new_id) || (from && !new_from)) {
		free(new_id);
		free(new_from);
		return -ENOMEM;
	}
	if (session->features_seen) {
		/* Said once: after a restart the client knows them. */
		free(new_id);
		free(new_from);
		return 0;
	}
	free(session->authid);
	free(session->from);
	session->authid = new_id;
	session->from = new_from;
	return 0;
}

struct buffer *bosh_session_pending(struct bosh_session *session, bool uses_stream, bool is_features)
{
	session->pending_stream = session->pending_stream || uses_stream;
	session->features_seen = session->features_seen || is_features;
	return &session->pending;
}

int bosh_session_flush(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return session->ended ? 0 : release(session, now, actions);
}

int bosh_session_congest(struct bosh_session *session, bool congested, struct mono now,
			 struct bosh_actions *actions)
{
	session->congested = congested;
	return session->ended ? 0 : release(session, now, actions);
}

/* Time. */

struct mono bosh_session_deadline(const struct bosh_session *session)
{
	struct mono deadline = MONO_NEVER;

	if (session->n_slots) {
		deadline = mono_add_s(session->slots[0].received, session->creation.wait_s);
	}
	if (!is_attended(session)) {
		deadline = mono_earlier(deadline,
					mono_add_s(session->idle_since, session->creation.inactivity_s));
	}
	return deadline;
}

int bosh_session_expire(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	int r = 0;

	while (r == 0 && session->n_slots &&
	       mono_reached(mono_add_s(session->slots[0].received, session->creation.wait_s), now)) {
		r = answer_empty(session, now, actions);
	}
	if (r == 0 && !is_attended(session) &&
	    mono_reached(mono_add_s(session->idle_since, session->creation.inactivity_s), now)) {
		r = push_end(session, actions);
	}
	return r;
}

const char *bosh_session_sid(const struct bosh_session *session)
{
	return session->sid;
}
