/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A race that a test drives by hand; an action of the race is a line of text. Included after
 * cmocka.h.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/upstream/race.h"

static const char domain[] = "a.example"; /* the domain of the race */
static struct race race;
static struct history history;

static inline struct mono at(int64_t ms)
{
	return (struct mono){ms};
}

static inline struct address address_of(const char *text)
{
	struct address address;

	if (address_parse(sv_from(text), 5222, &address) < 0) {
		fail_msg("no address: %s", text);
	}
	return address;
}

static inline void begin(size_t n_targets)
{
	race_init(&race, &history, domain, n_targets);
}

static inline int setup(void **state)
{
	(void)state;
	history = (struct history){0};
	return 0;
}

static inline void print_action(const struct race_action *action, char *text, size_t n)
{
	char address[ADDRESS_TEXT_MAX];

	switch (action->kind) {
	case RACE_NOTHING:
		break;
	case RACE_RESOLVE:
		snprintf(text, n, "resolve %zu; ", action->target);
		break;
	case RACE_DIAL:
		snprintf(text, n, "dial %zu %s of %zu; ", action->attempt,
			 address_format_host(action->address, address), action->target);
		break;
	case RACE_GIVE_UP:
		snprintf(text, n, "give up %zu; ", action->attempt);
		break;
	case RACE_WON:
		snprintf(text, n, "won %zu %s of %zu; ", action->attempt,
			 address_format_host(action->address, address), action->target);
		break;
	case RACE_LOST:
		snprintf(text, n, "lost; ");
		break;
	}
}

/* Checks the action of the race at @ms and its deadline. */
static inline void check(int64_t ms, const char *expected)
{
	char text[4096] = "";
	struct race_action action;

	do {
		size_t n = strlen(text);

		action = race_next(&race, at(ms));
		print_action(&action, text + n, sizeof(text) - n);
	} while (action.kind != RACE_NOTHING);
	struct mono deadline = race_deadline(&race);

	if (!mono_is_never(deadline)) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, "@%d", (int)deadline.ms);
	}
	if (strcmp(text, expected) != 0) {
		fail_msg("at %d\n\"%s\"\nexpected\n\"%s\"", (int)ms, text, expected);
	}
}

/* @text: addresses separated by blanks. */
static inline void answer_as(int64_t ms, const char *text, enum race_order order)
{
	struct address addresses[64];
	struct sv rest = sv_from(text);
	struct sv item;
	size_t n = 0;

	while (text[0] && sv_split(&rest, ' ', &item)) {
		assert_int_equal(address_parse(item, 5222, &addresses[n]), 0);
		n++;
	}
	race_answer(&race, addresses, n, order, at(ms));
}

static inline void answer(int64_t ms, const char *text)
{
	answer_as(ms, text, RACE_ORDER_FAMILIES);
}

static inline void tell(int64_t ms, size_t attempt, enum race_outcome outcome)
{
	race_report(&race, attempt, outcome, at(ms));
}

static inline void known(const char *text, int64_t ms, enum history_verdict verdict)
{
	struct address address = address_of(text);

	assert_int_equal(history_ask(&history, "", &address, at(ms)), verdict);
}

static inline void note(const char *text, enum history_verdict verdict)
{
	struct address address = address_of(text);

	history_note(&history, &address, verdict, at(0));
}

static inline void note_unusable(const char *text, const char *of)
{
	struct address address = address_of(text);

	history_note_unusable(&history, of, &address, at(0));
}
