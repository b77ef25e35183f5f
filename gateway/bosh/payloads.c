/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "gateway/bosh/session-state.h"

struct bosh_stream *bosh_stream_named(struct bosh_session *session, const struct bosh_body *body)
{
	return session->n_opened > 1 && body->stream.data ? bosh_stream_find(session, body->stream) : NULL;
}

static bool is_any_ready(const struct bosh_session *session)
{
	for (unsigned i = 0; i < session->n_stream_places; i++) {
		if (session->streams[i].open && session->streams[i].features_seen) {
			return true;
		}
	}
	return false;
}

/* An action with @payloads for each stream that @body is for. */
static int push_to_streams(struct bosh_session *session, const struct bosh_body *body,
			   enum bosh_action_kind kind, const struct buffer *payloads,
			   struct bosh_actions *actions)
{
	const struct bosh_stream *only = bosh_stream_named(session, body);
	bool any_ready = is_any_ready(session);

	for (unsigned i = 0; i < session->n_stream_places; i++) {
		const struct bosh_stream *stream = &session->streams[i];
		struct bosh_action action = {.kind = kind, .stream = i};

		/* "Over all open streams": one whose features have not come is not open yet; where none is, each says so itself. */
		if (!stream->open || (only ? only != stream : any_ready && !stream->features_seen)) {
			continue;
		}
		int r = buffer_append_sv(&action.payloads, buffer_sv(payloads));

		r = r < 0 ? r : bosh_actions_push(actions, action);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

int bosh_payloads_push(struct bosh_session *session, struct bosh_body *body,
		       struct bosh_actions *actions)
{
	struct bosh_action action = {.kind = BOSH_ACTION_SEND, .payloads = body->payloads};

	if (body->n_payloads == 0) {
		return 0;
	}
	if (session->n_opened > 1) {
		return push_to_streams(session, body, BOSH_ACTION_SEND, &body->payloads, actions);
	}
	body->payloads = BUFFER_INIT;
	return bosh_actions_push(actions, action);
}
