/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

/* What a request wants, by the first of these that fits. */
enum wish {
	WISH_TERMINATE,
	WISH_PAUSE,
	WISH_RESTART, /* XEP-0206 */
	WISH_STREAM,  /* one more */
	WISH_CARRY,   /* payloads to the server */
	WISH_NOTHING, /* but an answer */
};

static enum wish wish_of(const struct bosh_session *session, const struct bosh_body *body)
{
	if (bosh_body_is_terminate(body)) {
		return WISH_TERMINATE;
	}
	if (body->pause.set) {
		return WISH_PAUSE;
	}
	if (body->restart) {
		return WISH_RESTART;
	}
	if (body->n_payloads) {
		return WISH_CARRY;
	}
	/* "Adding Streams To A Session": a client that was not offered it is not taken at its word. */
	return body->to.n && session->offers_streams ? WISH_STREAM : WISH_NOTHING;
}

/* Whether the request before @body is an empty one that the client waits for. */
static bool is_behind_empty(const struct bosh_session *session, const struct bosh_body *body)
{
	const struct bosh_slot *before = bosh_slots_last(&session->slots);

	return before && before->rid + 1 == body->rid && before->empty && before->exchange &&
	       !before->stale;
}

/*
 * "Overactivity" and "Polling Sessions": three rules.
 *
 * More requests under way than `requests`: too many, unless the last one pauses or terminates.
 *
 * As many as `requests`, the last one empty, within `polling` of the one before. The letter of the
 * specification says no more, and would have an empty request behind one with payloads end the session.
 * Libraries send just that: a stanza, and then a request for the server to answer to. With it the stanza's
 * request is answered, nothing is repeated faster than the client has something to say, and ending the
 * session would protect nothing. What has to be stopped are empty requests that push each other out: the
 * second one brings the answer to the first, upon which the client may send a third, as fast as the network
 * carries them. So the last two have to be empty, both of them.
 *
 * In a session that polls, two empty ones within `polling`, the first of which was told nothing.
 *
 * A client that has lost its connections sends more than it would otherwise. Requests that it does not
 * wait for any more count for none of the rules.
 */
static enum bosh_rule judge_activity(const struct bosh_session *session, const struct bosh_body *body,
				     bool empty, struct mono received)
{
	size_t n_max = session->creation.requests;
	/* Those that came out of order came at their own times. */
	int64_t apart_ms = llabs(mono_diff_ms(received, session->received));
	bool soon = apart_ms < (int64_t)session->limits->polling_s * 1000;
	size_t n = bosh_slots_n_under_way(&session->slots);

	if (bosh_body_is_extra(body)) {
		return BOSH_RULE_NONE;
	}
	if (n >= n_max) {
		return BOSH_RULE_TOO_MANY_REQUESTS;
	}
	if (!empty || !soon) {
		return BOSH_RULE_NONE;
	}
	if (session->creation.hold == 0) {
		return session->last_empty ? BOSH_RULE_POLLING_TOO_OFTEN : BOSH_RULE_NONE;
	}
	return n + 1 == n_max && is_behind_empty(session, body) ? BOSH_RULE_POLLING_TOO_OFTEN
								: BOSH_RULE_NONE;
}

/* Makes room for the slot of a request. There are as many as requests may be under way, and one for a request that
 * pauses or terminates. Those that the client does not wait for any more make room; their answers are
 * kept for a repeat. */
static int make_room(struct bosh_session *session, const struct bosh_body *body, struct mono now,
		     struct bosh_actions *actions)
{
	size_t n_max = session->slots.n_max - (bosh_body_is_extra(body) ? 0 : 1);
	int r = 0;

	while (r == 0 && session->slots.n >= n_max) {
		r = bosh_session_answer_empty(session, now, actions);
	}
	return r;
}

static int write_texts(const struct bosh_body *body, struct buffer *texts)
{
	const struct sv all[] = {body->to, body->from, body->lang, body->xmpp_version, body->route};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(all); i++) {
		r = buffer_append_sv(texts, all[i]);
		if (r == 0) {
			r = buffer_append(texts, "", 1);
		}
	}
	return r;
}

/* XEP-0206, "Authentication and Resource Binding": payloads of a restart request are ignored. One that names no stream is for the
 * first: the others may be bound already, and would be torn down. */
static int push_restart(struct bosh_session *session, const struct bosh_body *body, struct bosh_actions *actions)
{
	const struct bosh_stream *stream = bosh_stream_named(session, body);
	struct bosh_action action = {.kind = BOSH_ACTION_RESTART};
	int r = write_texts(body, &action.payloads);

	while (!stream && !bosh_stream_is_used(&session->streams[action.stream])) {
		action.stream++;
		/* Without any stream the session would be over. */
		assert(action.stream < session->n_stream_places);
	}
	if (stream) {
		action.stream = bosh_stream_index(session, stream);
	}
	if (r < 0) {
		buffer_deinit(&action.payloads);
		return r;
	}
	/* What comes next is for the new stream, and waits for its features. */
	session->streams[action.stream].ready = false;
	return bosh_actions_push(actions, action);
}

/* One that is too many is named, too, and told to be over: the session goes on. */
static int open_stream(struct bosh_session *session, const struct bosh_body *body, struct bosh_slot *slot,
		       struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_OPEN};

	if (!bosh_stream_has_place(session)) {
		slot->kind = BOSH_SLOT_OPENER_REFUSED;
		return 0;
	}
	int r = bosh_stream_open(session, &slot->stream);

	if (r == 0) {
		slot->kind = BOSH_SLOT_OPENER;
		action.stream = slot->stream;
		r = write_texts(body, &action.payloads);
	}
	if (r < 0) {
		buffer_deinit(&action.payloads);
		return r;
	}
	return bosh_actions_push(actions, action);
}

/* "Closing a Stream": one of several. The oldest request is told. */
static int close_stream(struct bosh_session *session, struct bosh_stream *stream, struct mono now,
			struct bosh_actions *actions)
{
	char name[BOSH_STREAM_NAME_LENGTH + 1];
	struct bosh_answer answer = {.type = "terminate", .stream = name};
	int r = bosh_stream_say_goodbye(session, stream, false, actions);

	memcpy(name, stream->name, sizeof(name));
	bosh_stream_close(session, stream);
	while (r == 0 && session->slots.n && !bosh_slots_first(&session->slots)->exchange) {
		r = bosh_session_answer_empty(session, now, actions);
	}
	if (r == 0 && session->slots.n) {
		r = bosh_session_answer(session, &answer, NULL, now, actions);
	}
	return r < 0 ? r : bosh_session_release(session, now, actions);
}

static int terminate(struct bosh_session *session, struct bosh_body *body, struct mono now,
		     struct bosh_actions *actions)
{
	struct bosh_stream *stream = bosh_stream_named(session, body);
	int r = bosh_payloads_push(session, body, actions);

	if (r == 0 && stream && session->n_open > 1) {
		return close_stream(session, stream, now, actions);
	}
	struct bosh_answer answer = {.type = "terminate"};

	/* What several streams have to tell cannot stand in the one answer; it is bounced. */
	stream = session->n_opened > 1 ? NULL : &session->streams[0];
	if (stream && r == 0) {
		bosh_stream_set_state(stream, BOSH_STREAM_CLOSED);
		r = bosh_actions_push_kind(actions, BOSH_ACTION_CLOSE, 0);
	}
	for (unsigned i = 0; r == 0 && i < session->n_stream_places; i++) {
		r = bosh_stream_say_goodbye(session, &session->streams[i], false, actions);
	}
	return r < 0 ? r : bosh_session_finish(session, &answer, stream, now, actions);
}

/* "Inactivity": all requests are answered at once, this one without payloads. */
static int pause(struct bosh_session *session, struct bosh_body *body, struct mono now,
		 struct bosh_actions *actions)
{
	int r = bosh_payloads_push(session, body, actions);

	while (r == 0 && session->slots.n) {
		r = bosh_session_answer_empty(session, now, actions);
	}
	/* A pause of nothing would be an end. */
	session->pause_s = body->pause.value ? (unsigned)body->pause.value : 1;
	session->idle_since = now;
	return r < 0 ? r : bosh_session_release(session, now, actions);
}

static int carry_out(struct bosh_session *session, enum wish wish, struct bosh_body *body,
		     struct bosh_slot *slot, struct mono now, struct bosh_actions *actions)
{
	int r = 0;

	switch (wish) {
	case WISH_TERMINATE:
		return terminate(session, body, now, actions);
	case WISH_PAUSE:
		slot->kind = BOSH_SLOT_EXTRA;
		return pause(session, body, now, actions);
	case WISH_RESTART:
		r = push_restart(session, body, actions);
		break;
	case WISH_STREAM:
		r = open_stream(session, body, slot, actions);
		break;
	case WISH_CARRY:
		r = bosh_payloads_push(session, body, actions);
		break;
	case WISH_NOTHING:
		break;
	}
	return r < 0 ? r : bosh_session_release(session, now, actions);
}

/* "Transmitting Payloads": whether @body names a stream that is not there. On an empty body the attribute says nothing. */
static bool is_for_nobody(struct bosh_session *session, const struct bosh_body *body, enum wish wish)
{
	bool speaks = body->n_payloads || wish == WISH_TERMINATE || wish == WISH_RESTART;

	return speaks && session->n_opened > 1 && body->stream.data && !bosh_stream_named(session, body);
}

/* What rule a request breaks whose turn it is. */
static enum bosh_rule judge(struct bosh_session *session, const struct bosh_body *body, enum wish wish,
			    bool empty, struct mono received)
{
	if (!bosh_key_follows(body->key, &session->key)) {
		return BOSH_RULE_KEY_MISMATCH;
	}
	enum bosh_rule rule = judge_activity(session, body, empty, received);

	if (rule) {
		return rule;
	}
	if (body->pause.set && session->creation.maxpause_s == 0) {
		return BOSH_RULE_PAUSE_NOT_OFFERED;
	}
	if (body->pause.set && body->pause.value > session->creation.maxpause_s) {
		return BOSH_RULE_PAUSE_TOO_LONG;
	}
	if (is_for_nobody(session, body, wish)) {
		return BOSH_RULE_STREAM_UNKNOWN;
	}
	return wish == WISH_CARRY || wish == WISH_PAUSE ? bosh_payloads_judge(session, body)
							: BOSH_RULE_NONE;
}

/* "Use of Keys", "Switching to Another Key Sequence". */
static void take_keys(struct bosh_session *session, const struct bosh_body *body, struct bosh_slot *slot)
{
	(void)bosh_key_read(body->key, &slot->key);
	if (body->newkey.n) {
		(void)bosh_key_read(body->newkey, &session->key);
	} else if (session->key.set) {
		session->key = slot->key;
	}
}

/* "Response Acknowledgements": without the attribute the client has all answers to the requests before this one. */
static void take_ack(struct bosh_session *session, const struct bosh_body *body, struct mono now)
{
	if (session->acks) {
		bosh_reply_cache_acknowledge(&session->replies, body->ack.set && body->ack.value < body->rid ? body->ack.value
											       : body->rid - 1,
				      now);
	}
}

/* "Transmitting Payloads": what is for a stream that has just been closed, which the client perhaps did not know,
 * is ignored. Returns what is left of @wish. */
static enum wish ignore_closed(struct bosh_session *session, struct bosh_body *body, enum wish wish)
{
	if (!is_for_nobody(session, body, wish) || !session->last_closed[0] ||
	    !sv_eq(body->stream, sv_from(session->last_closed))) {
		return wish;
	}
	body->n_payloads = 0;
	return wish == WISH_PAUSE ? WISH_PAUSE : WISH_NOTHING;
}

int bosh_session_process(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
			 struct mono received, unsigned n_repeats, struct mono now,
			 struct bosh_actions *actions)
{
	enum wish wish = wish_of(session, body);
	bool empty = wish == WISH_NOTHING;
	int r = 0;

	wish = ignore_closed(session, body, wish);
	if (session->slots.n > session->creation.hold && !mono_is_never(session->linger)) {
		/* The client would have had its answer, had we not waited: not to be held against it. */
		session->linger = MONO_NEVER;
		r = bosh_session_release(session, now, actions);
	}
	enum bosh_rule rule = judge(session, body, wish, empty, received);

	if (r < 0 || rule) {
		return r < 0 ? r : bosh_session_refuse(session, exchange, rule, actions);
	}
	const struct bosh_slot new_slot = {
		.rid = body->rid,
		.exchange = exchange,
		.received = received,
		.n_repeats = n_repeats,
		.empty = empty,
	};

	r = make_room(session, body, now, actions);
	if (r < 0) {
		return r;
	}
	struct bosh_slot *slot = bosh_slots_push(&session->slots, &new_slot);

	session->next_rid = body->rid + 1;
	session->received = received;
	session->pause_s = 0;
	take_keys(session, body, slot);
	bosh_reply_cache_follow(&session->replies);
	take_ack(session, body, now);
	if (bosh_stream_last_failed(session)) {
		return bosh_session_release(session, now, actions);
	}
	if (wish != WISH_NOTHING && session->limits->linger_ms && session->creation.hold) {
		session->linger = mono_add_ms(now, session->limits->linger_ms);
	}
	return carry_out(session, wish, body, slot, now, actions);
}
