/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How the engine writes its list of actions. Private to gateway/bosh; struct bosh_actions is part
 * of session.h.
 *
 * The list remembers the first error, so that a function that pushes several actions need not check
 * each of them. After an error the functions push nothing, but still release what they are given.
 * bosh_actions_end() reports the error, once.
 *
 * A push of an answer that fails must not lose the exchange: as long as bosh_actions_failed(), the
 * session keeps the request (bosh_session_take_exchange()).
 */
#include "gateway/bosh/session.h"

/* Makes room for one more, so that the next push does not fail unless this has. */
void bosh_actions_reserve(struct bosh_actions *actions);

/* Takes what @action owns, also on failure. */
void bosh_actions_push(struct bosh_actions *actions, struct bosh_action action);
void bosh_actions_push_kind(struct bosh_actions *actions, enum bosh_action_kind kind,
			    unsigned stream);

/* Answers @exchange with HTTP status 200 and @blob, of which it takes a reference. */
void bosh_actions_push_answer(struct bosh_actions *actions, uint64_t exchange, struct blob *blob);

/* Answers @exchange, unless it is 0, with @condition and the sentence of @rule. The rule was broken
 * by that request or, where the condition is OTHER_REQUEST, by another one. */
void bosh_actions_push_refusal(struct bosh_actions *actions, uint64_t exchange,
			       enum bosh_condition condition, enum bosh_rule rule, bool is_legacy);

/* Makes @error the error, unless there is one already. @error is 0 or a negative errno. */
void bosh_actions_fail(struct bosh_actions *actions, int error);

static inline bool bosh_actions_failed(const struct bosh_actions *actions)
{
	return actions->error != 0;
}

/* Returns 0 or the first error since the last call. */
_must_check_ int bosh_actions_end(struct bosh_actions *actions);
