/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

int bosh_session_abandon(struct bosh_session *session, enum bosh_condition condition,
			 struct bosh_actions *actions)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < session->n_places; i++) {
		struct bosh_early *early = &session->early[i];

		if (early->body) {
			r = bosh_actions_push_refusal(actions, early->exchange, condition, session->legacy);
			bosh_early_clear(early);
		}
	}
	session->ended = true;
	return r < 0 ? r : bosh_actions_push_kind(actions, BOSH_ACTION_END);
}

int bosh_session_finish(struct bosh_session *session, struct bosh_answer *answer, struct mono now,
			struct bosh_actions *actions)
{
	bool told = false;
	int r = 0;

	while (r == 0 && session->n_slots) {
		if (!told && session->slots[0].exchange) {
			answer->payloads = buffer_sv(&session->pending);
			r = bosh_session_answer(session, answer, now, actions);
			told = true;
		} else {
			r = bosh_session_answer_empty(session, now, actions);
		}
	}
	return r < 0 ? r : bosh_session_abandon(session, BOSH_CONDITION_OTHER_REQUEST, actions);
}

int bosh_session_finish_failed(struct bosh_session *session, const struct failure *failure, struct mono now,
			       struct bosh_actions *actions)
{
	struct bosh_answer answer = {
		.type = "terminate",
		.condition = failure_bosh_condition(failure->kind),
	};

	/* The server's own words are pending. */
	if (failure->kind != FAILURE_STREAM_ERROR) {
		answer.text = failure_sentence(failure->kind);
		answer.detail = failure->detail;
	}
	return bosh_session_finish(session, &answer, now, actions);
}

int bosh_session_refuse(struct bosh_session *session, uint64_t exchange, enum bosh_condition condition,
			struct bosh_actions *actions)
{
	int r = bosh_actions_push_refusal(actions, exchange, condition, session->legacy);

	for (size_t i = 0; r == 0 && i < session->n_slots; i++) {
		r = bosh_actions_push_refusal(actions, session->slots[i].exchange,
					      BOSH_CONDITION_OTHER_REQUEST, session->legacy);
	}
	session->n_slots = 0;
	return r < 0 ? r : bosh_session_abandon(session, BOSH_CONDITION_OTHER_REQUEST, actions);
}

int bosh_session_fail(struct bosh_session *session, const struct failure *failure, struct mono now,
		      struct bosh_actions *actions)
{
	if (session->ended || session->failure) {
		return 0;
	}
	if (bosh_session_is_attended(session)) {
		return bosh_session_finish_failed(session, failure, now, actions);
	}
	session->failure = malloc(sizeof(*session->failure));
	if (!session->failure) {
		return -ENOMEM;
	}
	*session->failure = *failure;
	return 0;
}
