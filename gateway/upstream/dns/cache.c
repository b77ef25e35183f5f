/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* uthash ends the process when it gets no memory, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->is_homeless = true)
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) in_answers;
	struct answer *answer;
	struct mono expiry;
	enum answer_kind kind;
	size_t n_bytes;
	bool is_homeless; /* the table had no memory for it */
	char name[];
};

struct answers {
	struct entry *entries[ANSWER_KIND_COUNT]; /* uthash by name */
	TAILQ_HEAD(, entry) by_use; /* entry::in_answers; the one used last is the last */
	size_t n_entries;
	size_t n_bytes;
};

int answers_new(struct answers **ret_answers)
{
	struct answers *answers = calloc(1, sizeof(*answers));

	if (!answers) {
		return -ENOMEM;
	}
	TAILQ_INIT(&answers->by_use);
	*ret_answers = answers;
	return 0;
}

static void entry_drop(struct answers *answers, struct entry *entry)
{
	HASH_DEL(answers->entries[entry->kind], entry);
	TAILQ_REMOVE(&answers->by_use, entry, in_answers);
	answers->n_entries--;
	answers->n_bytes -= entry->n_bytes;
	answer_unref(entry->answer);
	free(entry);
}

struct answers *answers_free(struct answers *answers)
{
	struct entry *entry;

	if (!answers) {
		return NULL;
	}
	while ((entry = TAILQ_FIRST(&answers->by_use))) {
		entry_drop(answers, entry);
	}
	free(answers);
	return NULL;
}

static struct entry *entry_find(struct answers *answers, enum answer_kind kind, const char *name)
{
	struct entry *entry;

	HASH_FIND_STR(answers->entries[kind], name, entry);
	return entry;
}

struct answer *answers_find(struct answers *answers, enum answer_kind kind, const char *name, struct mono now)
{
	struct entry *entry = entry_find(answers, kind, name);

	if (!entry) {
		return NULL;
	}
	if (mono_reached(entry->expiry, now)) {
		entry_drop(answers, entry);
		return NULL;
	}
	TAILQ_REMOVE(&answers->by_use, entry, in_answers);
	TAILQ_INSERT_TAIL(&answers->by_use, entry, in_answers);
	return answer_ref(entry->answer);
}

static uint32_t within(uint32_t ttl_s, uint32_t max_s)
{
	if (ttl_s < ANSWERS_TTL_MIN_S) {
		return ANSWERS_TTL_MIN_S;
	}
	return ttl_s < max_s ? ttl_s : max_s;
}

static uint32_t answer_holds_s(const struct answer *answer)
{
	switch (answer->result) {
	case RESOLVER_OK:
		return within(answer->ttl_s, ANSWERS_TTL_MAX_S);
	case RESOLVER_NO_NAME:
		return within(answer->ttl_s, ANSWERS_NEGATIVE_TTL_MAX_S);
	default:
		return ANSWERS_FAILURE_TTL_S;
	}
}

static struct entry *entry_new(enum answer_kind kind, const char *name, struct answer *answer, struct mono now)
{
	size_t n_name = strlen(name) + 1;
	struct entry *entry = malloc(sizeof(*entry) + n_name);

	if (!entry) {
		return NULL;
	}
	*entry = (struct entry){
		.kind = kind,
		.expiry = mono_add_s(now, answer_holds_s(answer)),
		.n_bytes = sizeof(*entry) + n_name + answer->n_bytes,
	};
	memcpy(entry->name, name, n_name);
	return entry;
}

void answers_put(struct answers *answers, enum answer_kind kind, const char *name, struct answer *answer,
		 struct mono now)
{
	struct entry *old = entry_find(answers, kind, name);
	struct entry *entry = entry_new(kind, name, answer, now);

	if (old) {
		entry_drop(answers, old);
	}
	if (!entry) {
		return;
	}
	HASH_ADD_STR(answers->entries[kind], name, entry);
	if (entry->is_homeless) {
		free(entry);
		return;
	}
	entry->answer = answer_ref(answer);
	TAILQ_INSERT_TAIL(&answers->by_use, entry, in_answers);
	answers->n_entries++;
	answers->n_bytes += entry->n_bytes;
	while (answers->n_entries > ANSWERS_MAX || answers->n_bytes > ANSWERS_BYTES_MAX) {
		entry_drop(answers, TAILQ_FIRST(&answers->by_use));
	}
}

size_t answers_count(const struct answers *answers)
{
	return answers->n_entries;
}

size_t answers_bytes(const struct answers *answers)
{
	return answers->n_bytes;
}
