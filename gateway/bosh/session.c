/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

static unsigned clamp(struct bosh_number number, unsigned max, unsigned absent)
{
	if (!number.is_set) {
		return absent < max ? absent : max;
	}
	return number.value < max ? (unsigned)number.value : max;
}

/* "Session Creation Response": the lower of the two. */
static void negotiate_ver(struct bosh_creation *creation, const struct bosh_body *body)
{
	creation->has_ver = body->has_ver;
	creation->ver_major = BOSH_VER_MAJOR;
	creation->ver_minor = BOSH_VER_MINOR;
	if (body->ver_major < BOSH_VER_MAJOR ||
	    (body->ver_major == BOSH_VER_MAJOR && body->ver_minor < BOSH_VER_MINOR)) {
		creation->ver_major = body->ver_major;
		creation->ver_minor = body->ver_minor;
	}
}

/* "Initiating a BOSH Session". */
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
	creation->maxpause_s = limits->maxpause_s;
	creation->accepts_codings = limits->accepts_codings;
	if (creation->wait_s == 0 || creation->hold == 0) {
		/* "Polling Sessions": in either case no request may wait. `inactivity` has to be
		 * higher then, by more than the polling interval. */
		creation->wait_s = 0;
		creation->hold = 0;
		creation->requests = 1;
		creation->inactivity_s = 2 * limits->inactivity_s + limits->polling_s;
	}
	negotiate_ver(creation, body);
	/* Streams are younger than `ver`: a client that does not send it does not know them. */
	session->offers_streams = limits->n_streams_max > 1 && body->has_ver;
	session->uses_acks = body->ack.is_set && body->ack.value == 1;
	(void)bosh_key_read(body->newkey, &session->key);
}

static int make_lists(struct bosh_session *session)
{
	unsigned stream;

	/* "Overactivity": one more than `requests` may come to pause or say goodbye. */
	size_t n_max = session->creation.requests + 1;
	int r = bosh_slots_init(&session->slots, n_max);

	bosh_early_init(&session->early, n_max);
	/* Until they are acknowledged replies are limited by not reading from the servers, too.
	 * Without acknowledgements the oldest have to go. */
	bosh_reply_cache_init(&session->replies,
			      session->uses_acks ? BOSH_REPLIES_MAX : session->creation.requests);
	return r < 0 ? r : bosh_stream_open(session, &stream);
}

int bosh_session_new(const struct bosh_limits *limits, const char *sid,
		     const struct bosh_body *body, uint64_t exchange, struct mono now,
		     struct bosh_session **ret_session)
{
	struct bosh_session *session = calloc(1, sizeof(*session));

	if (!session) {
		return -ENOMEM;
	}
	session->limits = limits;
	memcpy(session->sid, sid, strnlen(sid, BOSH_SID_MAX));
	session->is_legacy = !body->has_ver;
	session->next_rid = body->rid + 1;
	session->idle_since = now;
	session->received = now;
	session->linger = MONO_NEVER;
	session->verdict = MONO_NEVER;
	negotiate(session, body);
	if (make_lists(session) < 0) {
		bosh_session_free(session);
		return -ENOMEM;
	}
	const struct bosh_slot slot = {.rid = body->rid, .exchange = exchange, .received = now};

	bosh_slots_push(&session->slots, &slot);
	*ret_session = session;
	return 0;
}

struct bosh_session *bosh_session_free(struct bosh_session *session)
{
	if (!session) {
		return NULL;
	}
	bosh_early_deinit(&session->early);
	for (unsigned i = 0; i < session->n_streams; i++) {
		bosh_stream_remove(session, &session->streams[i]);
	}
	bosh_reply_cache_deinit(&session->replies);
	bosh_last_answer_deinit(&session->last);
	free(session->streams);
	free(session->reused);
	bosh_slots_deinit(&session->slots);
	free(session);
	return NULL;
}

size_t bosh_session_held(const struct bosh_session *session)
{
	return bosh_early_held(&session->early) + bosh_streams_held(session) +
	       session->replies.n_bytes;
}

uint64_t bosh_session_take_exchange(struct bosh_session *session)
{
	uint64_t exchange = bosh_slots_take_exchange(&session->slots);

	if (!exchange) {
		exchange = bosh_early_take_exchange(&session->early);
	}
	if (!exchange) {
		exchange = session->failed_exchange;
		session->failed_exchange = 0;
	}
	return exchange;
}

struct bosh_last_answer bosh_session_take_last(struct bosh_session *session)
{
	struct bosh_last_answer last = session->last;

	session->last = (struct bosh_last_answer){0};
	return last;
}

/* What servers do. */

int bosh_session_header(struct bosh_session *session, unsigned stream, const char *id,
			const char *from)
{
	struct bosh_stream *entry = &session->streams[stream];

	if (entry->has_features) {
		/* After a restart the client knows them already. */
		return 0;
	}
	char *new_id = id ? strdup(id) : NULL;
	char *new_from = from ? strdup(from) : NULL;

	if ((id && !new_id) || (from && !new_from)) {
		free(new_id);
		free(new_from);
		return -ENOMEM;
	}
	free(entry->authid);
	free(entry->from);
	entry->authid = new_id;
	entry->from = new_from;
	return 0;
}

struct buffer *bosh_session_pending(struct bosh_session *session, unsigned stream, bool uses_stream,
				    bool is_features)
{
	struct bosh_stream *entry = &session->streams[stream];

	entry->pending_uses_stream = entry->pending_uses_stream || uses_stream;
	entry->has_features = entry->has_features || is_features;
	entry->is_ready = entry->is_ready || is_features;
	return &entry->pending;
}

void bosh_session_set_managed(struct bosh_session *session, unsigned stream)
{
	session->streams[stream].is_managed = true;
}

int bosh_session_flush(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};

	if (session->state == BOSH_SESSION_ENDED) {
		return 0;
	}
	bosh_payloads_release(&turn);
	bosh_turn_release(&turn);
	return bosh_actions_end(actions);
}

int bosh_session_congest(struct bosh_session *session, unsigned stream,
			 enum bosh_congestion congestion, struct mono now,
			 struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};
	struct bosh_stream *entry = &session->streams[stream];

	if (session->state == BOSH_SESSION_ENDED || entry->state != BOSH_STREAM_OPEN) {
		/* The owner would never report that it reads again. */
		return 0;
	}
	entry->congestion = congestion;
	bosh_turn_release(&turn);
	return bosh_actions_end(actions);
}

int bosh_session_fail(struct bosh_session *session, unsigned stream, const struct failure *failure,
		      struct mono now, struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};
	struct bosh_stream *failed = &session->streams[stream];

	if (session->state == BOSH_SESSION_ENDED || failed->state != BOSH_STREAM_OPEN) {
		return 0;
	}
	bosh_actions_fail(actions, bosh_stream_fail(failed, failure));
	bosh_turn_release(&turn);
	return bosh_actions_end(actions);
}

/* Time. */

/* A request that came out of order may have to be answered before those in front of it would. */
static struct mono wait_end(const struct bosh_session *session)
{
	struct mono earliest = bosh_slots_earliest(&session->slots);

	return mono_is_never(earliest) ? earliest : mono_add_s(earliest, session->creation.wait_s);
}

/* "Inactivity": counts from the last answer or from the last early request. Before the creation
 * answer the client does not know the sid, so it cannot come back. */
static struct mono inactivity_end(const struct bosh_session *session)
{
	unsigned allowed_s = session->pause_s ? session->pause_s : session->creation.inactivity_s;
	struct mono since = session->idle_since;

	if (bosh_slots_are_attended(&session->slots)) {
		return MONO_NEVER;
	}
	since = bosh_early_latest(&session->early, since);
	return mono_add_s(since, session->is_created ? allowed_s : 0);
}

struct mono bosh_session_linger_end(const struct bosh_session *session)
{
	return session->linger;
}

struct mono bosh_session_deadline(const struct bosh_session *session)
{
	return mono_earlier(mono_earlier(session->linger, session->verdict),
			    mono_earlier(wait_end(session), inactivity_end(session)));
}

int bosh_session_expire(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	struct bosh_turn turn = {session, now, actions};

	/* First, because an answer that nobody receives would make the sid seem known. */
	if (mono_reached(inactivity_end(session), now)) {
		bosh_turn_abandon(&turn, BOSH_CONDITION_ITEM_NOT_FOUND, BOSH_RULE_INACTIVITY, true);
		return bosh_actions_end(actions);
	}
	if (mono_reached(session->verdict, now)) {
		session->verdict = MONO_NEVER;
		bosh_turn_process_early(&turn, true);
		if (session->state == BOSH_SESSION_ENDED) {
			return bosh_actions_end(actions);
		}
	}
	if (mono_reached(session->linger, now)) {
		session->linger = MONO_NEVER;
		bosh_turn_release(&turn);
	}
	while (mono_reached(wait_end(session), now) && !bosh_turn_failed(&turn)) {
		bosh_turn_answer_late(&turn);
	}
	return bosh_actions_end(actions);
}
