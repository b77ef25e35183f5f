/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/writer.h"
#include "gateway/bosh/session-state.h"

/* What a request wants: the first of these that fits. */
enum wish {
	WISH_TERMINATE,
	WISH_PAUSE,
	WISH_RESTART, /* XEP-0206 */
	WISH_STREAM,  /* one more */
	WISH_SEND,    /* payloads to the server */
	WISH_NOTHING, /* but an answer */
};

static enum wish wish_of(const struct bosh_session *session, const struct bosh_body *body)
{
	if (bosh_body_is_terminate(body)) {
		return WISH_TERMINATE;
	}
	if (body->pause.is_set) {
		return WISH_PAUSE;
	}
	if (body->wants_restart) {
		return WISH_RESTART;
	}
	if (body->n_payloads) {
		return WISH_SEND;
	}
	/* "Adding Streams To A Session": only a client that was offered streams can mean that. */
	return body->to.n && session->offers_streams ? WISH_STREAM : WISH_NOTHING;
}

/* Whether the request before @body is an empty one that the client waits for. */
static bool is_behind_empty(const struct bosh_session *session, const struct bosh_body *body)
{
	const struct bosh_slot *before = bosh_slots_last(&session->slots);

	return before && before->rid + 1 == body->rid && before->is_empty && before->exchange &&
	       !before->is_stale;
}

/*
 * "Overactivity" and "Polling Sessions". A request breaks one of three rules if
 *
 * - there are more requests under way than `requests`, unless the last one pauses or terminates;
 *
 * - there are as many as `requests`, and the last two are empty and came within `polling` of each
 *   other. The specification asks only for the last one to be empty, and would so end a session
 *   for an empty request behind one with payloads. Libraries send just that: a stanza, and then a
 *   request for the server to answer. That does no harm, since it happens no more often than the
 *   client has something to say. What has to be stopped are empty requests that push each other
 *   out: the second one causes the answer to the first, upon which the client may send a third, as
 *   fast as the network carries them;
 *
 * - the session polls, and two empty requests came within `polling` of each other, the first of
 *   which got an empty answer.
 *
 * Some libraries break the second rule by mistake, when an answer, a timer and a stanza of their
 * own cross each other (stanza.io 10, gloox). That happens once for a stanza, not again and again.
 * So each request that carries something excuses one empty request, for as long as `polling`.
 *
 * A client that has lost its connections sends more than it would otherwise. Requests that it does
 * not wait for any more do not count for any of the rules. That a connection has broken may become
 * known shortly after the request that the client sends instead on another one. So the verdict on
 * the second rule waits for that moment.
 */
static enum bosh_rule judge_activity(const struct bosh_session *session,
				     const struct bosh_body *body, bool is_empty,
				     struct mono received)
{
	size_t n_max = session->creation.requests;
	/* Requests that came out of order may have come in reverse. */
	int64_t apart_ms = llabs(mono_diff_ms(received, session->received));
	bool is_soon = apart_ms < (int64_t)session->limits->polling_s * 1000;
	size_t n = bosh_slots_n_under_way(&session->slots);

	if (bosh_body_is_extra(body)) {
		return BOSH_RULE_NONE;
	}
	if (n >= n_max) {
		return BOSH_RULE_TOO_MANY_REQUESTS;
	}
	if (!is_empty || !is_soon) {
		return BOSH_RULE_NONE;
	}
	if (session->creation.hold == 0) {
		return session->last_was_empty ? BOSH_RULE_POLLING_TOO_OFTEN : BOSH_RULE_NONE;
	}
	return n + 1 == n_max && is_behind_empty(session, body) ? BOSH_RULE_POLLING_TOO_OFTEN
								: BOSH_RULE_NONE;
}

/* Whether what the client has sent lately excuses one empty request more than allowed. */
static bool is_excused(const struct bosh_session *session, struct mono received)
{
	int64_t ago_ms = mono_diff_ms(received, session->carried);

	return session->n_excused && ago_ms < (int64_t)session->limits->polling_s * 1000;
}

bool bosh_turn_doubts(const struct bosh_turn *turn, const struct bosh_body *body,
		      struct mono received)
{
	const struct bosh_session *session = turn->session;
	bool is_empty = wish_of(session, body) == WISH_NOTHING;

	return session->creation.hold && !is_excused(session, received) &&
	       judge_activity(session, body, is_empty, received) == BOSH_RULE_POLLING_TOO_OFTEN;
}

/* A request has carried something. */
static void note_carried(struct bosh_session *session, struct mono received)
{
	session->carried = received;
	if (session->n_excused < BOSH_POLLS_EXCUSED_MAX) {
		session->n_excused++;
	}
}

/* Makes room for the slot of a request. There are as many as requests may be under way, and one for
 * a request that pauses or terminates. Those that the client does not wait for any more make room;
 * their answers are kept for a repeat. */
static void make_room(struct bosh_turn *turn, const struct bosh_body *body)
{
	const struct bosh_slots *slots = &turn->session->slots;
	size_t n_max = slots->n_max - (bosh_body_is_extra(body) ? 0 : 1);

	while (slots->n >= n_max && !bosh_turn_failed(turn)) {
		bosh_turn_answer_empty(turn);
	}
}

/* Five strings, each with its NUL, as session.h promises. */
static int write_texts(const struct bosh_body *body, struct buffer *texts)
{
	const struct sv all[] = {body->to, body->from, body->lang, body->xmpp_version, body->route};
	struct writer writer = writer_begin(texts);

	for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
		writer_put(&writer, all[i]);
		writer_put(&writer, (struct sv){"", 1});
	}
	return writer_end(&writer);
}

static void push_texts(struct bosh_turn *turn, enum bosh_action_kind kind, unsigned stream,
		       const struct bosh_body *body)
{
	struct bosh_action action = {.kind = kind, .stream = stream};

	bosh_actions_fail(turn->actions, write_texts(body, &action.payloads));
	bosh_actions_push(turn->actions, action);
}

/* XEP-0206, "Authentication and Resource Binding": payloads of a restart request are ignored. One
 * that names no stream is for the first, because the others may be bound already, and would be torn
 * down. */
static void restart(struct bosh_turn *turn, const struct bosh_body *body)
{
	struct bosh_session *session = turn->session;
	struct bosh_stream *stream = bosh_stream_named(session, body);

	for (unsigned i = 0; !stream; i++) {
		/* Without any stream the session would be over. */
		assert(i < session->n_streams);
		if (bosh_stream_is_used(&session->streams[i])) {
			stream = &session->streams[i];
		}
	}
	if (stream->state != BOSH_STREAM_OPEN) {
		/* Its link is over, which the client has not been told yet. */
		return;
	}
	/* What comes next is for the new stream, and waits for its features. */
	stream->is_ready = false;
	push_texts(turn, BOSH_ACTION_RESTART, bosh_stream_index(session, stream), body);
}

/* One that is too many gets a name, too, and is reported as over: the session goes on. */
static void open_stream(struct bosh_turn *turn, const struct bosh_body *body,
			struct bosh_slot *slot)
{
	if (!bosh_stream_may_open(turn->session)) {
		slot->kind = BOSH_SLOT_OPENER_REFUSED;
		return;
	}
	int r = bosh_stream_open(turn->session, &slot->stream);

	if (r < 0) {
		bosh_actions_fail(turn->actions, r);
		return;
	}
	slot->kind = BOSH_SLOT_OPENER;
	push_texts(turn, BOSH_ACTION_OPEN, slot->stream, body);
}

/* "Closing a Stream": one of several. The oldest request that can be answered is told so. */
static void close_stream(struct bosh_turn *turn, struct bosh_stream *stream)
{
	struct bosh_session *session = turn->session;
	char name[BOSH_STREAM_NAME_LENGTH + 1];
	struct bosh_answer answer = {.type = "terminate", .stream = name};

	bosh_turn_close_stream(turn, stream, false);
	memcpy(name, stream->name, sizeof(name));
	bosh_stream_remove(session, stream);
	while (session->slots.n && !bosh_slots_first(&session->slots)->exchange &&
	       !bosh_turn_failed(turn)) {
		bosh_turn_answer_empty(turn);
	}
	if (session->slots.n) {
		bosh_turn_answer(turn, &answer, NULL);
	}
	bosh_turn_release(turn);
}

static void terminate(struct bosh_turn *turn, struct bosh_body *body)
{
	struct bosh_session *session = turn->session;
	struct bosh_stream *stream = bosh_stream_named(session, body);
	struct bosh_answer answer = {.type = "terminate"};

	bosh_payloads_push(turn, body);
	if (stream && session->n_used > 1) {
		close_stream(turn, stream);
		return;
	}
	/* What several streams have to tell does not fit into one answer: it is returned. */
	stream = session->n_opened > 1 ? NULL : &session->streams[0];
	if (stream) {
		bosh_stream_set_state(stream, BOSH_STREAM_CLOSED);
		bosh_actions_push_kind(turn->actions, BOSH_ACTION_CLOSE, 0);
	}
	for (unsigned i = 0; i < session->n_streams; i++) {
		bosh_turn_close_stream(turn, &session->streams[i], false);
	}
	bosh_turn_finish(turn, &answer, stream);
}

/* "Inactivity": all requests are answered at once, this one without payloads, also when the last
 * stream has failed. A client that goes to another page does not read the answer: it is told when
 * it comes back. */
static void pause(struct bosh_turn *turn, struct bosh_body *body)
{
	if (!bosh_stream_last_failed(turn->session)) {
		bosh_payloads_push(turn, body);
	}
	bosh_turn_answer_all_empty(turn);
	/* A pause of no seconds would be an end. */
	turn->session->pause_s = body->pause.value ? (unsigned)body->pause.value : 1;
	turn->session->idle_since = turn->now;
	bosh_turn_release(turn);
}

static void carry_out(struct bosh_turn *turn, enum wish wish, struct bosh_body *body,
		      struct bosh_slot *slot)
{
	switch (wish) {
	case WISH_TERMINATE:
		terminate(turn, body);
		return;
	case WISH_PAUSE:
		pause(turn, body);
		return;
	case WISH_RESTART:
		restart(turn, body);
		break;
	case WISH_STREAM:
		open_stream(turn, body, slot);
		break;
	case WISH_SEND:
		bosh_payloads_push(turn, body);
		break;
	case WISH_NOTHING:
		break;
	}
	bosh_turn_release(turn);
}

/* "Transmitting Payloads": whether @body names a stream that does not exist. On an empty body the
 * attribute says nothing. */
static bool names_unknown_stream(struct bosh_session *session, const struct bosh_body *body,
				 enum wish wish)
{
	bool speaks = body->n_payloads || wish == WISH_TERMINATE || wish == WISH_RESTART;

	return speaks && session->n_opened > 1 && body->stream.data &&
	       !bosh_stream_named(session, body);
}

/* Which rule the request breaks whose turn it is. */
static enum bosh_rule judge(struct bosh_session *session, const struct bosh_body *body,
			    enum wish wish, bool is_empty, struct mono received)
{
	if (!bosh_key_follows(body->key, &session->key)) {
		return BOSH_RULE_KEY_MISMATCH;
	}
	enum bosh_rule rule = judge_activity(session, body, is_empty, received);

	if (rule == BOSH_RULE_POLLING_TOO_OFTEN && session->creation.hold &&
	    is_excused(session, received)) {
		session->n_excused--;
		rule = BOSH_RULE_NONE;
	}
	if (rule) {
		return rule;
	}
	if (body->pause.is_set && session->creation.maxpause_s == 0) {
		return BOSH_RULE_PAUSE_NOT_OFFERED;
	}
	if (body->pause.is_set && body->pause.value > session->creation.maxpause_s) {
		return BOSH_RULE_PAUSE_TOO_LONG;
	}
	if (names_unknown_stream(session, body, wish)) {
		return BOSH_RULE_STREAM_UNKNOWN;
	}
	return wish == WISH_SEND || wish == WISH_PAUSE ? bosh_payloads_judge(session, body)
						       : BOSH_RULE_NONE;
}

/* "Use of Keys", "Switching to Another Key Sequence". */
static void take_keys(struct bosh_session *session, const struct bosh_body *body,
		      struct bosh_slot *slot)
{
	(void)bosh_key_read(body->key, &slot->key);
	if (body->newkey.n) {
		(void)bosh_key_read(body->newkey, &session->key);
	} else if (session->key.is_set) {
		session->key = slot->key;
	}
}

/* "Response Acknowledgements": without the attribute the client has the answers to all requests
 * before this one. */
static void take_ack(struct bosh_session *session, const struct bosh_body *body, struct mono now)
{
	uint64_t last = body->rid - 1;

	if (body->ack.is_set && body->ack.value < last) {
		last = body->ack.value;
	}
	if (session->uses_acks) {
		bosh_reply_cache_acknowledge(&session->replies, last, now);
	}
}

/* "Transmitting Payloads": the client may not know yet that a stream was closed, or that several
 * were, so what it sends there is ignored. Returns what is left of @wish. */
static enum wish ignore_closed(struct bosh_session *session, struct bosh_body *body, enum wish wish)
{
	if (!names_unknown_stream(session, body, wish) ||
	    !bosh_stream_was_closed(session, body->stream)) {
		return wish;
	}
	body->n_payloads = 0;
	return wish == WISH_PAUSE ? WISH_PAUSE : WISH_NOTHING;
}

/* Takes what every request says about the session. */
static void take_session(struct bosh_turn *turn, const struct bosh_arrival *arrival,
			 struct bosh_slot *slot)
{
	struct bosh_session *session = turn->session;

	session->next_rid = arrival->body->rid + 1;
	session->received = arrival->received;
	session->pause_s = 0;
	if (!slot->is_empty) {
		note_carried(session, arrival->received);
	}
	take_keys(session, arrival->body, slot);
	bosh_reply_cache_follow(&session->replies);
	take_ack(session, arrival->body, turn->now);
}

/* Whether @wish is granted although the last stream has failed: a pause, and the end of the session
 * where the failure could not be told at once, because payloads need an answer of their own. */
static bool is_for_failed(const struct bosh_session *session, enum wish wish)
{
	return wish == WISH_PAUSE || (wish == WISH_TERMINATE && session->n_opened > 1);
}

/* The request breaks no rule. */
static void accept(struct bosh_turn *turn, const struct bosh_arrival *arrival, enum wish wish,
		   bool is_empty)
{
	struct bosh_session *session = turn->session;

	make_room(turn, arrival->body);
	if (bosh_turn_failed(turn)) {
		return;
	}
	const struct bosh_slot new_slot = {
		.rid = arrival->body->rid,
		.exchange = arrival->exchange,
		.received = arrival->received,
		.n_repeats = arrival->n_repeats,
		.is_empty = is_empty,
		.kind = bosh_body_is_extra(arrival->body) ? BOSH_SLOT_EXTRA : BOSH_SLOT_PLAIN,
	};
	struct bosh_slot *slot = bosh_slots_push(&session->slots, &new_slot);

	take_session(turn, arrival, slot);
	if (bosh_stream_last_failed(session) && !is_for_failed(session, wish)) {
		bosh_turn_release(turn);
		return;
	}
	if (wish != WISH_NOTHING && session->limits->linger_ms && session->creation.hold) {
		session->linger = mono_add_ms(turn->now, session->limits->linger_ms);
	}
	carry_out(turn, wish, arrival->body, slot);
}

void bosh_turn_process(struct bosh_turn *turn, struct bosh_arrival *arrival)
{
	struct bosh_session *session = turn->session;
	enum wish wish = wish_of(session, arrival->body);
	bool is_empty = wish == WISH_NOTHING;

	wish = ignore_closed(session, arrival->body, wish);
	if (session->slots.n > session->creation.hold && !mono_is_never(session->linger)) {
		/* Had we not waited, the client would have its answer: this is not overactivity. */
		session->linger = MONO_NEVER;
		bosh_turn_release(turn);
	}
	enum bosh_rule rule = judge(session, arrival->body, wish, is_empty, arrival->received);

	if (rule) {
		bosh_turn_refuse(turn, arrival->exchange, arrival->body, rule);
	} else {
		accept(turn, arrival, wish, is_empty);
	}
}
