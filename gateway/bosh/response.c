/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

bool bosh_session_is_attended(const struct bosh_session *session)
{
	for (size_t i = 0; i < session->n_slots; i++) {
		if (session->slots[i].exchange) {
			return true;
		}
	}
	return false;
}

static void keep(struct bosh_session *session, uint64_t rid, struct blob *blob)
{
	struct bosh_kept *kept = &session->kept[session->next_kept];

	blob_unref(kept->blob);
	*kept = (struct bosh_kept){.rid = rid, .blob = blob_ref(blob)};
	session->next_kept = (session->next_kept + 1) % session->creation.requests;
}

/* What stands in one answer only has been said. */
static void forget_said(struct bosh_session *session, bool has_payloads)
{
	session->created = true;
	free(session->from);
	free(session->authid);
	session->from = NULL;
	session->authid = NULL;
	if (has_payloads) {
		buffer_deinit(&session->pending);
		session->pending_stream = false;
	}
}

int bosh_session_answer(struct bosh_session *session, struct bosh_answer *answer, struct mono now,
			struct bosh_actions *actions)
{
	struct bosh_slot slot = session->slots[0];
	struct blob *blob;

	answer->creation = session->created ? NULL : &session->creation;
	answer->from = session->from;
	answer->authid = session->authid;
	answer->uses_stream = !session->created || (answer->payloads.n && session->pending_stream);
	int r = bosh_answer_write(answer, &blob);

	if (r < 0) {
		return r;
	}
	forget_said(session, answer->payloads.n > 0);
	session->n_slots--;
	memmove(session->slots, session->slots + 1, session->n_slots * sizeof(*session->slots));
	keep(session, slot.rid, blob);
	if (!slot.exchange) {
		/* Nobody heard it: no sign of life that inactivity would count from. */
		blob_unref(blob);
		return 0;
	}
	if (!bosh_session_is_attended(session)) {
		session->idle_since = now;
	}
	return bosh_actions_push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
							       .status = 200,
							       .exchange = slot.exchange,
							       .blob = blob});
}

int bosh_session_answer_empty(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return bosh_session_answer(session, &(struct bosh_answer){0}, now, actions);
}

static int answer_pending(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	return bosh_session_answer(session, &(struct bosh_answer){.payloads = buffer_sv(&session->pending)},
				   now, actions);
}

int bosh_session_replay(struct bosh_session *session, uint64_t exchange, uint64_t rid, struct mono now,
			struct bosh_actions *actions)
{
	for (size_t i = 0; i < session->n_places; i++) {
		struct bosh_kept *kept = &session->kept[i];

		if (!kept->blob || kept->rid != rid) {
			continue;
		}
		if (!bosh_session_is_attended(session)) {
			session->idle_since = now;
		}
		return bosh_actions_push(actions, (struct bosh_action){.kind = BOSH_ACTION_ANSWER,
								       .status = 200,
								       .exchange = exchange,
								       .blob = blob_ref(kept->blob)});
	}
	return 1;
}

/* More requests than may be held; or, while the server does not read, more than may be under way. */
static bool is_too_many(const struct bosh_session *session)
{
	size_t n_max = session->congested ? session->creation.requests : session->creation.hold;

	return session->n_slots > n_max;
}

/* Stops the server when nobody takes what it sends, and lets it go on well before nothing is left. */
static int regulate(struct bosh_session *session, struct bosh_actions *actions)
{
	size_t n_max = session->limits->n_pending_max;

	if (!session->paused && session->pending.n > n_max) {
		session->paused = true;
		return bosh_actions_push_kind(actions, BOSH_ACTION_PAUSE);
	}
	if (session->paused && session->pending.n <= n_max / 2) {
		session->paused = false;
		return bosh_actions_push_kind(actions, BOSH_ACTION_RESUME);
	}
	return 0;
}

int bosh_session_release(struct bosh_session *session, struct mono now, struct bosh_actions *actions)
{
	int r = 0;

	if (!session->created && !session->features_seen && session->creation.wait_s) {
		return regulate(session, actions);
	}
	while (r == 0 && session->n_slots) {
		if (session->pending.n && session->slots[0].exchange) {
			r = answer_pending(session, now, actions);
		} else if (session->pending.n && bosh_session_is_attended(session)) {
			/* Its client will ask for it again, and find it empty; the payload goes to one who listens. */
			r = bosh_session_answer_empty(session, now, actions);
		} else if (is_too_many(session) || !session->created) {
			/* The creation answer waits for features only as long as some may come. */
			r = bosh_session_answer_empty(session, now, actions);
		} else {
			break;
		}
	}
	return r < 0 ? r : regulate(session, actions);
}
