/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/history.h"

static bool same(const struct address *a, const struct address *b)
{
	return address_port(a) == address_port(b) && address_same_host(a, b);
}

/* Mostly there is next to nothing to look through: entries come of failures only. */
static const struct history_entry *find(const struct history *history, const struct address *address)
{
	for (size_t i = 0; i < history->n_entries; i++) {
		if (same(&history->entries[i].address, address)) {
			return &history->entries[i];
		}
	}
	return NULL;
}

enum history_verdict history_ask(const struct history *history, const struct address *address,
				 struct mono now)
{
	const struct history_entry *entry = find(history, address);

	return entry && !mono_reached(entry->until, now) ? entry->verdict : HISTORY_NOTHING;
}

/* A place for one more. */
static struct history_entry *take(struct history *history)
{
	struct history_entry *oldest = &history->entries[0];

	if (history->n_entries < HISTORY_MAX) {
		return &history->entries[history->n_entries++];
	}
	for (size_t i = 1; i < HISTORY_MAX; i++) {
		if (history->entries[i].until.ms < oldest->until.ms) {
			oldest = &history->entries[i];
		}
	}
	return oldest;
}

/* Those whose time is over would be looked through for nothing. */
static void drop(struct history *history, const struct address *address, struct mono now)
{
	for (size_t i = 0; i < history->n_entries;) {
		struct history_entry *entry = &history->entries[i];

		if (mono_reached(entry->until, now) || same(&entry->address, address)) {
			*entry = history->entries[--history->n_entries];
		} else {
			i++;
		}
	}
}

void history_note(struct history *history, const struct address *address,
		  enum history_verdict verdict, struct mono now)
{
	drop(history, address, now);
	if (verdict != HISTORY_NOTHING) {
		*take(history) = (struct history_entry){
			.address = *address,
			.verdict = verdict,
			.until = mono_add_ms(now, HISTORY_MS),
		};
	}
}
