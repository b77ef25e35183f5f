/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/race.h"

#include <assert.h>
#include <string.h>

void race_init(struct race *race, struct history *history, const char *domain, size_t n_targets)
{
	memset(race, 0, sizeof(*race));
	race->history = history;
	race->domain = domain;
	race->n_targets = n_targets;
}

/* Addresses. */

static bool is_among(const struct race_address *addresses, size_t n, const struct address *address)
{
	for (size_t i = 0; i < n; i++) {
		if (address_is_same(&addresses[i].address, address)) {
			return true;
		}
	}
	return false;
}

static bool was_dialled(const struct race *race, const struct address *address)
{
	for (size_t i = 0; i < race->n_attempts; i++) {
		if (is_among(&race->attempts[i].to, 1, address)) {
			return true;
		}
	}
	return false;
}

/* Returns the index of the first address of @family that is not taken yet or, failing that, of the
 * other family. */
static size_t next_of_family(const struct address *addresses, const bool *is_taken, size_t n,
			     int family)
{
	size_t other = n;

	for (size_t i = 0; i < n; i++) {
		if (is_taken[i]) {
			continue;
		}
		if (addresses[i].any.sa_family == family) {
			return i;
		}
		other = other < n ? other : i;
	}
	return other;
}

/* Writes the indexes of @addresses into @ret_order so that the families alternate. */
static void interleave_families(const struct address *addresses, size_t n,
				size_t ret_order[RACE_ADDRESSES_MAX])
{
	bool is_taken[RACE_ADDRESSES_MAX] = {false};
	int family = addresses[0].any.sa_family;

	for (size_t i = 0; i < n; i++) {
		size_t next = next_of_family(addresses, is_taken, n, family);

		assert(next < n);
		is_taken[next] = true;
		ret_order[i] = next;
		family = addresses[next].any.sa_family == AF_INET6 ? AF_INET : AF_INET6;
	}
}

static void queue_insert(struct race *race, size_t at, const struct race_address *address)
{
	assert(at <= race->n_queue && race->n_queue < RACE_ADDRESSES_MAX);
	memmove(&race->queue[at + 1], &race->queue[at],
		(race->n_queue - at) * sizeof(*race->queue));
	race->queue[at] = *address;
	race->n_queue++;
}

static bool is_waiting(const struct race *race, const struct address *address)
{
	return is_among(race->queue, race->n_queue, address) ||
	       is_among(race->late, race->n_late, address) ||
	       is_among(race->last, race->n_last, address);
}

/* *n_won is the number of addresses at the head of the queue that won lately. */
static void take_address(struct race *race, const struct race_address *address, size_t *n_won,
			 struct mono now)
{
	if (was_dialled(race, &address->address) || is_waiting(race, &address->address)) {
		return;
	}
	switch (history_ask(race->history, race->domain, &address->address, now)) {
	case HISTORY_WON:
		queue_insert(race, (*n_won)++, address);
		break;
	case HISTORY_NOTHING:
		queue_insert(race, race->n_queue, address);
		break;
	case HISTORY_FAILED:
		if (race->n_late < RACE_ATTEMPTS_MAX) {
			race->late[race->n_late++] = *address;
		}
		break;
	case HISTORY_UNUSABLE:
		if (race->n_last < RACE_ATTEMPTS_MAX) {
			race->last[race->n_last++] = *address;
		}
		break;
	}
}

void race_answer(struct race *race, const struct address *addresses, size_t n_addresses,
		 enum race_order order, struct mono now)
{
	size_t n = n_addresses < RACE_ADDRESSES_MAX ? n_addresses : RACE_ADDRESSES_MAX;
	size_t interleaved[RACE_ADDRESSES_MAX];
	size_t n_won = 0;

	assert(race->is_asking);
	race->is_asking = false;
	race->n_queue = 0;
	race->next_queue = 0;
	if (n && order == RACE_ORDER_FAMILIES) {
		interleave_families(addresses, n, interleaved);
	}
	for (size_t i = 0; i < n; i++) {
		struct race_address address = {
			.address = addresses[order == RACE_ORDER_FAMILIES ? interleaved[i] : i],
			.target = race->next_target - 1,
		};

		take_address(race, &address, &n_won, now);
	}
}

/* Outcomes. */

/* Whether one that was dialled before the winner has connected, too. */
static bool has_second_before(const struct race *race, size_t winner)
{
	for (size_t i = 0; i < winner; i++) {
		if (race->attempts[i].is_second) {
			return true;
		}
	}
	return false;
}

/* A winner is noted only if it was not dialled first. Those that lost despite their head start are
 * noted as failed. */
static void note_winner(struct race *race, struct mono now)
{
	const struct address *winner = &race->attempts[race->winner].to.address;

	for (size_t i = 0; i < race->n_attempts; i++) {
		const struct race_attempt *attempt = &race->attempts[i];

		if (attempt->is_running && mono_diff_ms(now, attempt->started) >= RACE_DELAY_MS) {
			history_note(race->history, &attempt->to.address, HISTORY_FAILED, now);
		}
	}
	if (has_second_before(race, race->winner)) {
		return;
	}
	if (race->winner > 0) {
		history_note(race->history, winner, HISTORY_WON, now);
	} else if (history_ask(race->history, "", winner, now) == HISTORY_FAILED) {
		history_note(race->history, winner, HISTORY_NOTHING, now);
	}
}

void race_report(struct race *race, size_t attempt, enum race_outcome outcome, struct mono now)
{
	assert(race->state == RACE_STATE_RUNNING && attempt < race->n_attempts &&
	       race->attempts[attempt].is_running);
	race->attempts[attempt].is_running = false;
	race->n_running--;
	/* The next attempt takes the place of the failed one at once. */
	race->next_start = now;
	switch (outcome) {
	case RACE_CONNECTED:
		race->winner = attempt;
		race->state = RACE_STATE_CONNECTED;
		note_winner(race, now);
		break;
	case RACE_SECOND:
		race->attempts[attempt].is_second = true;
		break;
	case RACE_FAILED:
		history_note(race->history, &race->attempts[attempt].to.address, HISTORY_FAILED,
			     now);
		break;
	case RACE_BROKEN:
		break;
	case RACE_REFUSED:
		assert(attempt == race->n_attempts - 1);
		race->n_attempts--;
		break;
	}
}

/* The next action. */

static bool has_addresses(const struct race *race)
{
	return race->next_queue < race->n_queue;
}

static bool has_late(const struct race *race)
{
	return race->next_late < race->n_late;
}

static bool has_last(const struct race *race)
{
	return race->next_last < race->n_last;
}

static struct race_action give_up(struct race *race)
{
	for (size_t i = 0; i < race->n_attempts; i++) {
		if (race->attempts[i].is_running) {
			race->attempts[i].is_running = false;
			return (struct race_action){.kind = RACE_GIVE_UP, .attempt = i};
		}
	}
	race->state = RACE_STATE_OVER;
	return (struct race_action){
		.kind = RACE_WON,
		.target = race->attempts[race->winner].to.target,
		.attempt = race->winner,
		.address = &race->attempts[race->winner].to.address,
	};
}

static struct race_action resolve(struct race *race, struct mono now)
{
	race->is_asking = true;
	race->late_start = mono_add_ms(now, RACE_DELAY_MS);
	race->last_start = mono_add_ms(now, RACE_LAST_DELAY_MS);
	return (struct race_action){.kind = RACE_RESOLVE, .target = race->next_target++};
}

static struct race_action dial(struct race *race, const struct race_address *to, struct mono now)
{
	size_t i = race->n_attempts++;
	struct race_attempt *attempt = &race->attempts[i];

	assert(i < RACE_ATTEMPTS_MAX);
	*attempt = (struct race_attempt){.to = *to, .started = now, .is_running = true};
	race->n_running++;
	race->next_start = mono_add_ms(now, RACE_DELAY_MS);
	if (race->next_last == 0) {
		/* Among themselves, the last addresses have the usual head start. */
		race->last_start = mono_add_ms(now, RACE_LAST_DELAY_MS);
	}
	return (struct race_action){
		.kind = RACE_DIAL,
		.target = attempt->to.target,
		.attempt = i,
		.address = &attempt->to.address,
	};
}

/* To be called when there is one. */
static const struct race_address *next_address(struct race *race)
{
	if (has_addresses(race)) {
		return &race->queue[race->next_queue++];
	}
	assert(has_late(race) || has_last(race));
	return has_late(race) ? &race->late[race->next_late++] : &race->last[race->next_last++];
}

static bool is_spent(const struct race *race)
{
	return race->n_attempts == RACE_ATTEMPTS_MAX;
}

static struct mono later(struct mono a, struct mono b)
{
	return a.ms > b.ms ? a : b;
}

/* Returns when the next attempt may start, as far as is known now. */
static struct mono start_time(const struct race *race)
{
	struct mono pace = race->n_running ? race->next_start : (struct mono){0};
	bool is_awaiting = race->is_asking || race->n_running;

	if (is_spent(race) || race->n_running == RACE_AT_ONCE_MAX) {
		return MONO_NEVER;
	}
	if (has_addresses(race)) {
		return pace;
	}
	if (has_late(race)) {
		return race->is_asking ? later(race->late_start, pace) : pace;
	}
	if (has_last(race)) {
		return is_awaiting ? later(race->last_start, pace) : pace;
	}
	return MONO_NEVER;
}

struct race_action race_next(struct race *race, struct mono now)
{
	switch (race->state) {
	case RACE_STATE_RUNNING:
		break;
	case RACE_STATE_CONNECTED:
		return give_up(race);
	case RACE_STATE_OVER:
		return (struct race_action){.kind = RACE_NOTHING};
	}
	/* Resolve the next target as soon as the last address of this one has been dialled, so that
	 * its addresses are there in time. */
	if (!race->is_asking && !has_addresses(race) && race->next_target < race->n_targets &&
	    !is_spent(race)) {
		return resolve(race, now);
	}
	if (mono_reached(start_time(race), now)) {
		return dial(race, next_address(race), now);
	}
	/* Nothing is running, and all that could be dialled has been. */
	if (race->n_running == 0 && (is_spent(race) || !race->is_asking)) {
		race->state = RACE_STATE_OVER;
		return (struct race_action){.kind = RACE_LOST};
	}
	return (struct race_action){.kind = RACE_NOTHING};
}

bool race_has_others(const struct race *race)
{
	return race->is_asking || race->next_target < race->n_targets || has_addresses(race) ||
	       has_late(race) || has_last(race) || race->n_attempts > 1;
}

struct mono race_deadline(const struct race *race)
{
	return race->state == RACE_STATE_RUNNING ? start_time(race) : MONO_NEVER;
}
