/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

static unsigned clamp(struct bosh_number number, unsigned max, unsigned absent)
{
	if (!number.set) {
		return absent < max ? absent : max;
	}
	return number.value < max ? (unsigned)number.value : max;
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
	if (creation->wait_s == 0 || creation->hold == 0) {
		/* "Polling Sessions": either says that no request may wait. A higher inactivity, and by more than the
		 * polling interval. */
		creation->wait_s = 0;
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
		(struct bosh_slot){.rid = body->rid, .exchange = exchange, .received = now};
	*ret_session = session;
	return 0;
}

struct bosh_session *bosh_session_free(struct bosh_session *session)
{
	if (!session) {
		return NULL;
	}
	for (size_t i = 0; i < session->n_places; i++) {
		if (session->early) {
			bosh_early_clear(&session->early[i]);
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

const char *bosh_session_sid(const struct bosh_session *session)
{
	return session->sid;
}

/* The server's side. */

int bosh_session_header(struct bosh_session *session, const char *id, const char *from)
{
	if (session->features_seen) {
		/* Said once: after a restart the client knows them. */
		return 0;
	}
	char *new_id = id ? strdup(id) : NULL;
	char *new_from = from ? strdup(from) : NULL;

	if ((id && !new_id) || (from && !new_from)) {
		free(new_id);
		free(new_from);
		return -ENOMEM;
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
	return session->ended ? 0 : bosh_session_release(session, now, actions);
}

int bosh_session_congest(struct bosh_session *session, bool congested, struct mono now,
			 struct bosh_actions *actions)
{
	session->congested = congested;
	return session->ended ? 0 : bosh_session_release(session, now, actions);
}

/* Time. */

static struct mono wait_end(const struct bosh_session *session)
{
	return session->n_slots ? mono_add_s(session->slots[0].received, session->creation.wait_s) : MONO_NEVER;
}

/* "Inactivity". Without the creation answer nobody knows the sid: none can come back. */
static struct mono inactivity_end(const struct bosh_session *session)
{
	if (bosh_session_is_attended(session)) {
		return MONO_NEVER;
	}
	return mono_add_s(session->idle_since, session->created ? session->creation.inactivity_s : 0);
}

struct mono bosh_session_deadline(const struct bosh_session *session)
{
	return mono_earlier(wait_end(session), inactivity_end(session));
}

int bosh_session_expire(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	int r = 0;

	/* First, for an answer that nobody hears would make the sid seem known. */
	if (mono_reached(inactivity_end(session), now)) {
		return bosh_session_abandon(session, BOSH_CONDITION_ITEM_NOT_FOUND, actions);
	}
	while (r == 0 && mono_reached(wait_end(session), now)) {
		r = bosh_session_answer_empty(session, now, actions);
	}
	return r;
}
