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

void owner_enter(struct owner *owner, uint64_t rid, enum cargo cargo, bool is_wrong)
{
	struct asked *asked = owner_asked(owner, rid);

	FUZZ_CHECK(rid + BEFORE_MAX - FIRST_RID < RIDS_MAX);
	owner->n_exchanges++;
	owner->exchanges[owner->n_exchanges] = EXCHANGE_OPEN;
	owner->rids[owner->n_exchanges] = rid;
	owner->has_wrong_key[owner->n_exchanges] = is_wrong;
	owner->highest_rid = rid > owner->highest_rid ? rid : owner->highest_rid;
	asked->cargo = asked->first && asked->cargo != cargo ? CARGO_UNKNOWN : cargo;
	asked->first = asked->first ? asked->first : owner->n_exchanges;
	asked->latest = owner->n_exchanges;
}

void owner_open(struct owner *owner, unsigned stream)
{
	struct way *way = &owner->ways[stream];

	FUZZ_CHECK(!way->is_open);
	way->is_open = way->is_read = true;
	way->is_managed = way->is_ready = false;
	way->opened = owner->n_exchanges;
	way->had_features = UINT64_MAX;
	way->last_said = 0;
	owner->n_opened++;
}

static void close_way(struct owner *owner, unsigned stream)
{
	FUZZ_CHECK(owner->ways[stream].is_open);
	owner->ways[stream].is_open = false;
	for (size_t i = 0; i < RIDS_MAX; i++) {
		owner->asked[i].due &= ~(1U << stream);
		owner->asked[i].sent &= ~(1U << stream);
	}
}

void owner_check_ready(struct owner *owner, unsigned stream)
{
	for (size_t i = 0; i < RIDS_MAX; i++) {
		if (owner->asked[i].due & ~owner->asked[i].sent & 1U << stream) {
			fail_msg("stanza %zu has not reached stream %u", i + FIRST_RID - BEFORE_MAX,
				 stream);
		}
	}
}

/* The request @asked was accepted: its stanza goes to all streams that were there when it came, and
 * had their features or were alone. */
static void expect_sent(struct owner *owner, struct asked *asked)
{
	for (unsigned i = 0; i < BOSH_STREAMS_MAX && asked->cargo == CARGO_FOR_ALL; i++) {
		const struct way *way = &owner->ways[i];
		bool was_there = way->is_open && way->opened < asked->first;

		if (!was_there || (owner->n_opened > 1 && way->had_features >= asked->first)) {
			continue;
		}
		asked->due |= 1U << i;
		if (way->is_ready && !(asked->sent & 1U << i)) {
			fail_msg("stanza %zu has not reached stream %u",
				 (size_t)(asked - owner->asked) + FIRST_RID - BEFORE_MAX, i);
		}
	}
}

/* What stands in an answer the first time, to @rid. */
static void take_stanzas(struct owner *owner, struct sv text, uint64_t rid)
{
	uint64_t number;

	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		struct stanza *stanza = &owner->stanzas[number];

		FUZZ_CHECK(!stanza->returned && stanza->rid == 0);
		FUZZ_CHECK(!stanza->before || owner->stanzas[stanza->before].rid);
		stanza->rid = rid;
	}
}

/* Whether the start tag of @text has @attribute. */
static bool has(struct sv text, const char *attribute)
{
	struct sv tag = sv_first(text, sv_find(text, '>'));

	return sv_find_sv(tag, sv_from(attribute)) < tag.n;
}

static void on_answer(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = blob_sv(action->blob);
	uint64_t exchange = action->exchange, rid = owner->rids[exchange];
	struct asked *asked = owner_asked(owner, rid);
	bool is_end = has(text, " type='terminate'") && !has(text, " stream='");

	FUZZ_CHECK(exchange > 0 && exchange <= owner->n_exchanges);
	FUZZ_CHECK(owner->exchanges[exchange] == EXCHANGE_OPEN);
	FUZZ_CHECK(sv_starts_with(text, SV("<body ")));
	owner->exchanges[exchange] = EXCHANGE_ANSWERED;
	learn_name(owner, sv_first(text, sv_find(text, '>')));
	if (has(text, " type='error'")) {
		FUZZ_CHECK(asked->latest > exchange);
		return;
	}
	FUZZ_CHECK(is_end || !owner->has_wrong_key[exchange]);
	if (asked->answer) {
		/* A refusal has nothing of a server's. */
		FUZZ_CHECK(is_end || sv_eq(text, sv_from(asked->answer)));
		FUZZ_CHECK(sv_eq(text, sv_from(asked->answer)) ||
			   sv_find_sv(text, SV("<s n='")) == text.n);
		return;
	}
	take_stanzas(owner, text, rid);
	if (!is_end) {
		asked->answer = strndup(text.data, text.n);
		expect_sent(owner, asked);
	}
}

static void on_send(struct owner *owner, const struct bosh_action *action)
{
	struct way *way = &owner->ways[action->stream];
	struct sv text = buffer_sv(&action->payloads);
	uint64_t rid;
	size_t n = 0;

	FUZZ_CHECK(way->is_open && way->is_ready);
	while (take_marker(&text, SV("<c n='"), &rid)) {
		FUZZ_CHECK(rid > way->last_sent && rid <= owner->highest_rid);
		way->last_sent = rid;
		owner_asked(owner, rid)->sent |= 1U << action->stream;
		n++;
	}
	FUZZ_CHECK(n > 0 && n == action->n_payloads);
}

static void on_bounce(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = buffer_sv(&action->payloads);
	uint64_t number;

	FUZZ_CHECK(owner->ways[action->stream].is_open);
	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		FUZZ_CHECK(!owner->stanzas[number].returned);
		FUZZ_CHECK(owner->stanzas[number].stream == action->stream);
		owner->stanzas[number].returned = true;
	}
}

static void on_end(struct owner *owner, enum bosh_rule rule)
{
	bool has_wrong_key = false;

	for (uint64_t i = 1; i <= owner->n_exchanges; i++) {
		has_wrong_key |= owner->has_wrong_key[i];
	}
	FUZZ_CHECK(rule != BOSH_RULE_KEY_MISMATCH || has_wrong_key);
	owner->ended = true;
}

static void on_action(struct owner *owner, const struct bosh_action *action)
{
	struct way *way = &owner->ways[action->stream];

	FUZZ_CHECK(!owner->ended && action->stream < BOSH_STREAMS_MAX);
	switch (action->kind) {
	case BOSH_ACTION_ANSWER:
		on_answer(owner, action);
		break;
	case BOSH_ACTION_OPEN:
		owner_open(owner, action->stream);
		break;
	case BOSH_ACTION_SEND:
		on_send(owner, action);
		break;
	case BOSH_ACTION_BOUNCE:
		on_bounce(owner, action);
		break;
	case BOSH_ACTION_RESTART:
		FUZZ_CHECK(way->is_open);
		way->is_ready = false;
		break;
	case BOSH_ACTION_CLOSE:
		close_way(owner, action->stream);
		break;
	case BOSH_ACTION_STOP_READING:
	case BOSH_ACTION_RESUME_READING:
		FUZZ_CHECK(way->is_open);
		FUZZ_CHECK(way->is_read == (action->kind == BOSH_ACTION_STOP_READING));
		way->is_read = action->kind == BOSH_ACTION_RESUME_READING;
		break;
	case BOSH_ACTION_END:
		on_end(owner, action->rule);
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

void owner_fail(struct owner *owner, unsigned stream)
{
	close_way(owner, stream);
	owner_excuse(owner, stream);
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
	for (size_t i = 0; i < RIDS_MAX; i++) {
		free(owner->asked[i].answer);
	}
}
