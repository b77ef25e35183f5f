/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/ended.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
/* By default uthash exits the process when it runs out of memory. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct record {
	UT_hash_handle hh;
	TAILQ_ENTRY(record) in_table; /* oldest first */
	char sid[SID_LENGTH];
	struct bosh_ended ended;
	struct mono deadline;
};

struct bosh_ended_table {
	struct record *records; /* uthash by sid */
	TAILQ_HEAD(, record) by_age;
	size_t n_records;
	size_t n_bytes; /* of all blobs */
	unsigned keep_s;
};

int bosh_ended_table_new(unsigned keep_s, struct bosh_ended_table **ret_table)
{
	struct bosh_ended_table *table = calloc(1, sizeof(*table));

	if (!table) {
		return -ENOMEM;
	}
	TAILQ_INIT(&table->by_age);
	table->keep_s = keep_s;
	*ret_table = table;
	return 0;
}

static void drop_oldest(struct bosh_ended_table *table)
{
	struct record *record = TAILQ_FIRST(&table->by_age);

	TAILQ_REMOVE(&table->by_age, record, in_table);
	HASH_DELETE(hh, table->records, record);
	table->n_records--;
	table->n_bytes -= record->ended.last.blob->n;
	bosh_last_answer_deinit(&record->ended.last);
	free(record);
}

struct bosh_ended_table *bosh_ended_table_free(struct bosh_ended_table *table)
{
	while (table && table->n_records) {
		drop_oldest(table);
	}
	free(table);
	return NULL;
}

static void drop_late(struct bosh_ended_table *table, struct mono now)
{
	while (table->n_records && mono_reached(TAILQ_FIRST(&table->by_age)->deadline, now)) {
		drop_oldest(table);
	}
}

static bool is_worth_keeping(const struct bosh_last_answer *last)
{
	return last->blob && last->n_asked && last->blob->n <= BOSH_ENDED_LENGTH_MAX;
}

static void make_room(struct bosh_ended_table *table, size_t n_bytes)
{
	while (table->n_records == BOSH_ENDED_MAX ||
	       table->n_bytes + n_bytes > BOSH_ENDED_BYTES_MAX) {
		drop_oldest(table);
	}
}

void bosh_ended_table_put(struct bosh_ended_table *table, const char sid[static SID_LENGTH],
			  const struct bosh_ended *ended, struct mono now)
{
	struct bosh_last_answer last = ended->last;
	struct record *record = NULL;

	drop_late(table, now);
	if (is_worth_keeping(&last)) {
		record = calloc(1, sizeof(*record));
	}
	if (!record) {
		bosh_last_answer_deinit(&last);
		return;
	}
	make_room(table, last.blob->n);
	memcpy(record->sid, sid, SID_LENGTH);
	record->ended = *ended;
	record->deadline = mono_add_s(now, table->keep_s);
	HASH_ADD(hh, table->records, sid, SID_LENGTH, record);
	if (!record->hh.tbl) {
		bosh_last_answer_deinit(&last);
		free(record);
		return;
	}
	TAILQ_INSERT_TAIL(&table->by_age, record, in_table);
	table->n_records++;
	table->n_bytes += last.blob->n;
}

const struct bosh_ended *bosh_ended_table_find(struct bosh_ended_table *table, struct sv sid,
					       uint64_t rid, struct sv key, struct mono now)
{
	struct record *record = NULL;

	drop_late(table, now);
	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, table->records, sid.data, SID_LENGTH, record);
	}
	return record && bosh_last_answer_is_for(&record->ended.last, rid, key) ? &record->ended
										: NULL;
}
