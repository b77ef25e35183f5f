/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

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

int bosh_actions_push(struct bosh_actions *actions, struct bosh_action action)
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

int bosh_actions_push_kind(struct bosh_actions *actions, enum bosh_action_kind kind, unsigned stream)
{
	return bosh_actions_push(actions, (struct bosh_action){.kind = kind, .stream = stream});
}

int bosh_actions_push_refusal(struct bosh_actions *actions, uint64_t exchange,
			      enum bosh_condition condition, enum bosh_rule rule, bool legacy)
{
	struct bosh_action action = {.kind = BOSH_ACTION_ANSWER, .exchange = exchange};
	struct bosh_answer answer = {
		.type = "terminate",
		.condition = bosh_condition_name(condition),
		.text = rule ? bosh_rule_sentence(rule) : NULL,
	};
	struct sv payloads;

	if (!exchange) {
		return 0;
	}
	if (rule && condition == BOSH_CONDITION_OTHER_REQUEST) {
		answer.text = "another request ended this session";
		answer.detail = bosh_rule_sentence(rule);
	}
	action.status = bosh_condition_status(condition, legacy);
	int r = bosh_answer_write(&answer, &action.blob, &payloads);

	return r < 0 ? r : bosh_actions_push(actions, action);
}
