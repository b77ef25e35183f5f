/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-owner.h"

#include <string.h>

#include "tests/fuzz/check.h"

/* Takes the next "<s n='NUMBER'/>" or "<c n='NUMBER'/>" of @text. */
static bool take_marker(struct sv *text, struct sv begin, uint64_t *ret_number)
{
	size_t at = sv_find_sv(*text, begin);

	if (at == text->n) {
		return false;
	}
	*text = sv_skip(*text, at + begin.n);
	struct sv digits = sv_first(*text, sv_find(*text, '\''));

	*text = sv_skip(*text, digits.n + 1);
	assert_int_equal(sv_to_u64(digits, UINT32_MAX, ret_number), 0);
	return true;
}

static void learn_name(struct owner *owner, struct sv text)
{
	text = sv_skip(text, sv_find_sv(text, SV(" stream='")) + 9);
	if (text.n > NAME_LENGTH) {
		char *name = owner->names[owner->n_names++ % NAMES_MAX];

		memcpy(name, text.data, NAME_LENGTH);
		name[NAME_LENGTH] = '\0';
	}
}

static void on_answer(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = blob_sv(action->blob);
	uint64_t number, rid;

	FUZZ_CHECK(action->exchange > 0 && action->exchange <= owner->n_exchanges);
	FUZZ_CHECK(owner->exchanges[action->exchange] != EXCHANGE_ANSWERED);
	FUZZ_CHECK(sv_starts_with(text, SV("<body ")));
	owner->exchanges[action->exchange] = EXCHANGE_ANSWERED;
	rid = owner->rids[action->exchange];
	learn_name(owner, sv_first(text, sv_find(text, '>')));
	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		struct stanza *stanza = &owner->stanzas[number];

		FUZZ_CHECK(!stanza->returned);
		FUZZ_CHECK(stanza->rid == 0 || stanza->rid == rid);
		if (stanza->rid == 0) {
			FUZZ_CHECK(number > owner->last_answered[stanza->stream]);
			owner->last_answered[stanza->stream] = number;
			stanza->rid = rid;
		}
	}
}

static void on_send(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = buffer_sv(&action->payloads);
	uint64_t rid;
	size_t n = 0;

	FUZZ_CHECK(owner->is_open[action->stream]);
	while (take_marker(&text, SV("<c n='"), &rid)) {
		FUZZ_CHECK(rid > owner->last_sent[action->stream] && rid <= owner->highest_rid);
		owner->last_sent[action->stream] = rid;
		n++;
	}
	FUZZ_CHECK(n > 0 && n == action->n_payloads);
}

static void on_bounce(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = buffer_sv(&action->payloads);
	uint64_t number;

	FUZZ_CHECK(owner->is_open[action->stream]);
	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		FUZZ_CHECK(!owner->stanzas[number].returned);
		FUZZ_CHECK(owner->stanzas[number].stream == action->stream);
		owner->stanzas[number].returned = true;
	}
}

static void on_action(struct owner *owner, const struct bosh_action *action)
{
	FUZZ_CHECK(!owner->ended && action->stream < BOSH_STREAMS_MAX);
	switch (action->kind) {
	case BOSH_ACTION_ANSWER:
		on_answer(owner, action);
		break;
	case BOSH_ACTION_OPEN:
		FUZZ_CHECK(!owner->is_open[action->stream]);
		owner->is_open[action->stream] = owner->is_read[action->stream] = true;
		owner->is_managed[action->stream] = false;
		break;
	case BOSH_ACTION_SEND:
		on_send(owner, action);
		break;
	case BOSH_ACTION_BOUNCE:
		on_bounce(owner, action);
		break;
	case BOSH_ACTION_RESTART:
		FUZZ_CHECK(owner->is_open[action->stream]);
		break;
	case BOSH_ACTION_CLOSE:
		FUZZ_CHECK(owner->is_open[action->stream]);
		owner->is_open[action->stream] = false;
		break;
	case BOSH_ACTION_STOP_READING:
	case BOSH_ACTION_RESUME_READING:
		FUZZ_CHECK(owner->is_open[action->stream]);
		FUZZ_CHECK(owner->is_read[action->stream] ==
			   (action->kind == BOSH_ACTION_STOP_READING));
		owner->is_read[action->stream] = action->kind == BOSH_ACTION_RESUME_READING;
		break;
	case BOSH_ACTION_END:
		owner->ended = true;
		break;
	}
}

void owner_done(struct owner *owner, int r)
{
	assert_int_equal(r, 0);
	for (size_t i = 0; i < owner->actions.n; i++) {
		on_action(owner, &owner->actions.items[i]);
	}
	bosh_actions_deinit(&owner->actions);
	FUZZ_CHECK(bosh_session_held(owner->session) <= HELD_MAX);
}

void owner_excuse(struct owner *owner, unsigned stream)
{
	for (size_t i = 1; i <= owner->n_stanzas; i++) {
		owner->stanzas[i].excused |= owner->stanzas[i].stream == stream;
	}
}

void owner_check_end(struct owner *owner)
{
	struct bosh_last_answer last;

	for (uint64_t i = 1; i <= owner->n_exchanges; i++) {
		FUZZ_CHECK(owner->exchanges[i] != EXCHANGE_OPEN);
	}
	for (size_t i = 1; i <= owner->n_stanzas; i++) {
		const struct stanza *stanza = &owner->stanzas[i];

		if (!stanza->rid && !stanza->returned && !stanza->excused) {
			fail_msg("stanza %zu of stream %u is lost", i, stanza->stream);
		}
	}
	last = bosh_session_take_last(owner->session);
	bosh_last_answer_deinit(&last);
	FUZZ_CHECK(bosh_session_take_exchange(owner->session) == 0);
}
