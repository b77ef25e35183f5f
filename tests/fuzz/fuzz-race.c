/* SPDX-License-Identifier: MIT */
/*
 * upstream/race.h and history.h. The input is what happens: answers, outcomes and time. Each race
 * ends, with one winner or none; every attempt is given up or has an outcome; the bounds hold.
 *
 * covers: gateway/upstream/race.c gateway/upstream/history.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/upstream/race.h"

enum {
	TARGETS_MAX = 4,
	/* Actions between two times: all attempts given up, and the end. */
	ACTIONS_MAX = RACE_ATTEMPTS_MAX + TARGETS_MAX + 4,
	STEPS_MAX = 200,
};

struct owner {
	struct race race;
	struct mono now;
	bool running[RACE_ATTEMPTS_MAX];
	struct address addresses[RACE_ATTEMPTS_MAX];
	size_t n_attempts, n_running, n_resolved, n_targets;
	bool is_asked, is_over, is_won;
};

static struct history history;

static struct address address_of(unsigned number)
{
	struct address address;
	char text[40];

	snprintf(text, sizeof(text), number & 1 ? "[2001:db8::%x]:5222" : "192.0.2.%u:5222",
		 number >> 1 & 31);
	assert_int_equal(address_parse(sv_from(text), -1, &address), 0);
	return address;
}

static void on_dial(struct owner *owner, const struct race_action *action)
{
	FUZZ_CHECK(!owner->is_won && action->attempt == owner->n_attempts);
	FUZZ_CHECK(owner->n_attempts < RACE_ATTEMPTS_MAX);
	FUZZ_CHECK(action->target < owner->n_targets);
	for (size_t i = 0; i < owner->n_attempts; i++) {
		FUZZ_CHECK(!address_is_same_host(&owner->addresses[i], action->address));
	}
	owner->addresses[owner->n_attempts] = *action->address;
	owner->running[owner->n_attempts++] = true;
	FUZZ_CHECK(++owner->n_running <= RACE_AT_ONCE_MAX);
}

static void on_action(struct owner *owner, const struct race_action *action)
{
	FUZZ_CHECK(!owner->is_over);
	switch (action->kind) {
	case RACE_RESOLVE:
		FUZZ_CHECK(!owner->is_asked && action->target == owner->n_resolved);
		owner->n_resolved++;
		owner->is_asked = true;
		break;
	case RACE_DIAL:
		on_dial(owner, action);
		break;
	case RACE_GIVE_UP:
		FUZZ_CHECK(owner->is_won && owner->running[action->attempt]);
		owner->running[action->attempt] = false;
		owner->n_running--;
		break;
	case RACE_WON:
		FUZZ_CHECK(owner->is_won && owner->n_running == 0);
		owner->is_over = true;
		break;
	case RACE_LOST:
		FUZZ_CHECK(!owner->is_won && owner->n_running == 0 && !owner->is_asked);
		FUZZ_CHECK(owner->n_resolved == owner->n_targets ||
			   owner->n_attempts == RACE_ATTEMPTS_MAX);
		owner->is_over = true;
		break;
	case RACE_NOTHING:
		break;
	}
}

/* Does what the race says until it has to wait. */
static void carry_on(struct owner *owner)
{
	struct race_action action;
	unsigned n = 0;

	do {
		FUZZ_CHECK(n++ < ACTIONS_MAX);
		action = race_next(&owner->race, owner->now);
		on_action(owner, &action);
	} while (action.kind != RACE_NOTHING && !owner->is_over);
	/* It waits for something. */
	FUZZ_CHECK(owner->is_over || owner->n_running || owner->is_asked ||
		   !mono_is_never(race_deadline(&owner->race)));
}

static void answer(struct owner *owner, struct sv *input, unsigned decision)
{
	struct address addresses[RACE_ADDRESSES_MAX + 4];
	size_t n = decision % ARRAY_LENGTH(addresses);

	if (!owner->is_asked) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		addresses[i] = address_of(fuzz_byte(input));
	}
	owner->is_asked = false;
	race_answer(&owner->race, addresses, n,
		    decision & 0x80 ? RACE_ORDER_GIVEN : RACE_ORDER_FAMILIES, owner->now);
}

static void report(struct owner *owner, size_t attempt, enum race_outcome outcome)
{
	if (attempt < owner->n_attempts && owner->running[attempt]) {
		owner->running[attempt] = false;
		owner->n_running--;
		owner->is_won = owner->is_won || outcome == RACE_CONNECTED;
		race_report(&owner->race, attempt, outcome, owner->now);
	}
}

/* Whatever is still awaited fails. */
static void finish(struct owner *owner)
{
	for (unsigned n = 0; !owner->is_over; n++) {
		struct mono deadline = race_deadline(&owner->race);

		FUZZ_CHECK(n < 10 * RACE_ATTEMPTS_MAX);
		if (owner->is_asked) {
			owner->is_asked = false;
			race_answer(&owner->race, NULL, 0, RACE_ORDER_GIVEN, owner->now);
		} else if (owner->n_running) {
			for (size_t i = 0; i < owner->n_attempts; i++) {
				report(owner, i, RACE_FAILED);
			}
		} else if (!mono_is_never(deadline) && deadline.ms > owner->now.ms) {
			owner->now = deadline;
		}
		carry_on(owner);
	}
}

void fuzz_one(struct sv input)
{
	static const enum race_outcome outcomes[] = {RACE_CONNECTED, RACE_FAILED, RACE_FAILED,
						     RACE_BROKEN};
	struct owner owner = {.now = {1}, .n_targets = fuzz_byte(&input) % (TARGETS_MAX + 1)};

	history = (struct history){0};
	race_init(&owner.race, &history, "a.example", owner.n_targets);
	carry_on(&owner);
	for (unsigned n = 0; n < STEPS_MAX && input.n && !owner.is_over && !owner.is_won; n++) {
		unsigned what = fuzz_byte(&input), decision = fuzz_byte(&input);
		struct address address = address_of(decision);

		switch (what % 5) {
		case 0:
			answer(&owner, &input, decision);
			break;
		case 1:
			report(&owner, decision & 31, outcomes[decision >> 6]);
			break;
		case 2:
			owner.now = mono_add_ms(owner.now, (int64_t)decision * 20);
			break;
		case 3:
			history_note(&history, &address,
				     decision & 64 ? HISTORY_WON : HISTORY_FAILED, owner.now);
			break;
		default:
			history_note_unusable(&history, "a.example", &address, owner.now);
			break;
		}
		FUZZ_CHECK(history.n_entries <= HISTORY_MAX);
		carry_on(&owner);
	}
	finish(&owner);
}
