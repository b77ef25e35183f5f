/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/history.h"

#include <stdio.h>
#include <string.h>

/* The domain of entries that hold for all domains. */
static const char all_domains[] = "";

static bool is_about(const struct history_entry *entry, const char *domain,
		     const struct address *address)
{
	return address_is_same(&entry->address, address) && strcmp(entry->domain, domain) == 0;
}

/* A linear search will do: only failures make entries, so there are few. */
static enum history_verdict find(const struct history *history, const char *domain,
				 const struct address *address, struct mono now)
{
	for (size_t i = 0; i < history->n_entries; i++) {
		const struct history_entry *entry = &history->entries[i];

		if (is_about(entry, domain, address)) {
			return mono_reached(entry->until, now) ? HISTORY_NOTHING : entry->verdict;
		}
	}
	return HISTORY_NOTHING;
}

enum history_verdict history_ask(const struct history *history, const char *domain,
				 const struct address *address, struct mono now)
{
	enum history_verdict verdict = find(history, domain, address, now);

	return verdict == HISTORY_NOTHING ? find(history, all_domains, address, now) : verdict;
}

/* Returns an unused entry; if there is none, the oldest one. */
static struct history_entry *entry_take(struct history *history)
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

/* Removes the entry for @domain and @address, and all that have expired. */
static void drop(struct history *history, const char *domain, const struct address *address,
		 struct mono now)
{
	for (size_t i = 0; i < history->n_entries;) {
		struct history_entry *entry = &history->entries[i];

		if (mono_reached(entry->until, now) || is_about(entry, domain, address)) {
			*entry = history->entries[--history->n_entries];
		} else {
			i++;
		}
	}
}

static void note(struct history *history, const char *domain, const struct address *address,
		 enum history_verdict verdict, struct mono now)
{
	drop(history, domain, address, now);
	if (verdict != HISTORY_NOTHING) {
		struct history_entry *entry = entry_take(history);

		*entry = (struct history_entry){
			.address = *address,
			.verdict = verdict,
			.until = mono_add_ms(now, HISTORY_MS),
		};
		(void)snprintf(entry->domain, sizeof(entry->domain), "%s", domain);
	}
}

void history_note(struct history *history, const struct address *address,
		  enum history_verdict verdict, struct mono now)
{
	note(history, all_domains, address, verdict, now);
}

void history_note_unusable(struct history *history, const char *domain,
			   const struct address *address, struct mono now)
{
	note(history, domain, address, HISTORY_UNUSABLE, now);
}

void history_forget_unusable(struct history *history, const char *domain,
			     const struct address *address, struct mono now)
{
	note(history, domain, address, HISTORY_NOTHING, now);
}
