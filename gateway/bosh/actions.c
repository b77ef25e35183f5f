/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/actions.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/answer.h"

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

void bosh_actions_fail(struct bosh_actions *actions, int error)
{
	if (actions->error == 0) {
		actions->error = error;
	}
}

int bosh_actions_end(struct bosh_actions *actions)
{
	int error = actions->error;

	actions->error = 0;
	return error;
}

void bosh_actions_reserve(struct bosh_actions *actions)
{
	size_t size = actions->size ? actions->size * 2 : 8;
	struct bosh_action *items;

	if (bosh_actions_failed(actions) || actions->n < actions->size) {
		return;
	}
	items = reallocarray(actions->items, size, sizeof(*items));
	if (!items) {
		bosh_actions_fail(actions, -ENOMEM);
		return;
	}
	actions->items = items;
	actions->size = size;
}

void bosh_actions_push(struct bosh_actions *actions, struct bosh_action action)
{
	bosh_actions_reserve(actions);
	if (bosh_actions_failed(actions)) {
		action_deinit(&action);
		return;
	}
	actions->items[actions->n++] = action;
}

void bosh_actions_push_kind(struct bosh_actions *actions, enum bosh_action_kind kind,
			    unsigned stream)
{
	bosh_actions_push(actions, (struct bosh_action){.kind = kind, .stream = stream});
}

void bosh_actions_push_answer(struct bosh_actions *actions, uint64_t exchange, struct blob *blob)
{
	bosh_actions_push(actions, (struct bosh_action){
					   .kind = BOSH_ACTION_ANSWER,
					   .status = 200,
					   .exchange = exchange,
					   .blob = blob_ref(blob),
				   });
}

void bosh_actions_push_refusal(struct bosh_actions *actions, uint64_t exchange,
			       enum bosh_condition condition, enum bosh_rule rule, bool is_legacy)
{
	struct bosh_action action = {
		.kind = BOSH_ACTION_ANSWER,
		.status = bosh_condition_status(condition, is_legacy),
		.exchange = exchange,
	};
	struct bosh_answer answer = {
		.type = "terminate",
		.condition = bosh_condition_name(condition),
		.text = rule ? bosh_rule_sentence(rule) : NULL,
	};
	struct sv payloads;

	if (!exchange) {
		return;
	}
	if (rule && condition == BOSH_CONDITION_OTHER_REQUEST) {
		answer.text = "another request ended this session";
		answer.detail = bosh_rule_sentence(rule);
	}
	bosh_actions_fail(actions, bosh_answer_write(&answer, &action.blob, &payloads));
	bosh_actions_push(actions, action);
}
