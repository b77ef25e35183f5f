/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/ended.h"

#include <errno.h>
#include <stdlib.h>

#include "common/table.h"

enum {
	/* Requests of a session that are kept in its record; usual are one that is held, and two
	 * that were answered. */
	ASKED_INLINE = 3,
};

/* A record must not pin the pages of the sessions that it outlives: the C library could not give
 * them back when thousands end. So the records are a block of their own, have room for what is
 * usually asked, and share an answer with the one before if it is the same. */
struct record {
	UT_hash_handle hh;
	char sid[SID_LENGTH];
	struct bosh_ended ended;
	struct bosh_asked asked[ASKED_INLINE];
	struct mono deadline;
};

struct bosh_ended_table {
	struct record *records; /* uthash by sid */
	struct record *ring;    /* of BOSH_ENDED_MAX, the oldest first; NULL: there are none */
	size_t first, n_records;
	size_t n_with_replies;
	size_t n_bytes; /* of all, answers that are shared several times */
	unsigned keep_s;
};

int bosh_ended_table_new(unsigned keep_s, struct bosh_ended_table **ret_table)
{
	struct bosh_ended_table *table = calloc(1, sizeof(*table));

	if (!table) {
		return -ENOMEM;
	}
	table->keep_s = keep_s;
	*ret_table = table;
	return 0;
}

void bosh_ended_table_set_keep(struct bosh_ended_table *table, unsigned keep_s)
{
	table->keep_s = keep_s;
}

/* What counts as the bytes of @last: beside its answers, requests that are not in the record. */
static size_t size_of(const struct bosh_last_answer *last)
{
	size_t n_more = last->n_asked > ASKED_INLINE ? last->n_asked : 0;

	return bosh_last_answer_size(last) + n_more * sizeof(*last->asked);
}

static struct record *nth(const struct bosh_ended_table *table, size_t n)
{
	return &table->ring[(table->first + n) % BOSH_ENDED_MAX];
}

static void release(struct record *record)
{
	struct bosh_last_answer *last = &record->ended.last;

	bosh_last_answer_drop_replies(last);
	if (last->asked == record->asked) {
		last->asked = NULL;
		last->n_asked = 0;
	}
	bosh_last_answer_deinit(last);
}

static void drop_oldest(struct bosh_ended_table *table)
{
	struct record *record = nth(table, 0);

	HASH_DELETE(hh, table->records, record);
	table->n_bytes -= size_of(&record->ended.last);
	table->n_with_replies -= bosh_last_answer_has_replies(&record->ended.last);
	release(record);
	table->first = (table->first + 1) % BOSH_ENDED_MAX;
	table->n_records--;
	if (table->n_records == 0) {
		free(table->ring);
		table->ring = NULL;
	}
}

struct bosh_ended_table *bosh_ended_table_free(struct bosh_ended_table *table)
{
	while (table && table->n_records) {
		drop_oldest(table);
	}
	if (table) {
		free(table->ring);
	}
	free(table);
	return NULL;
}

static void drop_late(struct bosh_ended_table *table, struct mono now)
{
	while (table->n_records && mono_reached(nth(table, 0)->deadline, now)) {
		drop_oldest(table);
	}
}

static bool has_room(const struct bosh_ended_table *table, size_t n_bytes)
{
	return table->n_records < BOSH_ENDED_MAX &&
	       table->n_bytes + n_bytes <= BOSH_ENDED_BYTES_MAX;
}

static bool has_room_for_replies(const struct bosh_ended_table *table,
				 const struct bosh_last_answer *last)
{
	return table->n_with_replies < BOSH_ENDED_REPLIES_MAX ||
	       !bosh_last_answer_has_replies(last);
}

static bool is_worth_keeping(const struct bosh_ended_table *table,
			     const struct bosh_last_answer *last)
{
	size_t n_bytes = size_of(last);

	return last->blob && (n_bytes <= BOSH_ENDED_SMALL_MAX || has_room(table, n_bytes));
}

/* Keeps the latest requests, which the client may still repeat. A client that acknowledges nothing
 * leaves many more, and to keep them all would take a block of memory for each session. */
static void drop_followed(struct bosh_last_answer *last)
{
	bosh_last_answer_drop_followed(last, last->n_open_max > ASKED_INLINE ? last->n_open_max
									     : ASKED_INLINE);
}

static void make_room(struct bosh_ended_table *table, size_t n_bytes)
{
	while (!has_room(table, n_bytes)) {
		drop_oldest(table);
	}
}

/* The one after the newest, zeroed. NULL: out of memory. */
static struct record *new_record(struct bosh_ended_table *table)
{
	if (!table->ring) {
		table->ring = calloc(BOSH_ENDED_MAX, sizeof(*table->ring));
	}
	if (!table->ring) {
		return NULL;
	}
	memset(nth(table, table->n_records), 0, sizeof(*table->ring));
	return nth(table, table->n_records);
}

/* Makes the new @record share the answer of the newest one. */
static void share_answer(const struct bosh_ended_table *table, struct record *record)
{
	struct bosh_last_answer *last = &record->ended.last;
	struct blob *newest =
		table->n_records > 0 ? nth(table, table->n_records - 1)->ended.last.blob : NULL;

	if (newest && sv_eq(blob_sv(newest), blob_sv(last->blob))) {
		blob_unref(last->blob);
		last->blob = blob_ref(newest);
	}
}

/* Gives back the room of the requests that were dropped: what is kept is counted without it. */
static void fit(struct bosh_last_answer *last)
{
	struct bosh_asked *asked = reallocarray(last->asked, last->n_asked, sizeof(*asked));

	if (asked) {
		last->asked = asked;
	}
}

/* @kept: what is kept of its last answer. */
static void take_in(struct record *record, const struct bosh_ended *ended,
		    const struct bosh_last_answer *kept)
{
	struct bosh_last_answer *last = &record->ended.last;

	record->ended = *ended;
	*last = *kept;
	if (last->n_asked > ASKED_INLINE) {
		fit(last);
	} else if (last->asked) {
		memcpy(record->asked, last->asked, last->n_asked * sizeof(*last->asked));
		free(last->asked);
		last->asked = record->asked;
	}
}

void bosh_ended_table_put(struct bosh_ended_table *table, const char sid[static SID_LENGTH],
			  const struct bosh_ended *ended, struct mono now)
{
	struct bosh_last_answer last = ended->last;
	struct record *record = NULL;

	drop_late(table, now);
	if (!is_worth_keeping(table, &last) || !has_room_for_replies(table, &last)) {
		/* How the session ended takes little room. */
		bosh_last_answer_drop_replies(&last);
	}
	if (!bosh_last_answer_has_replies(&last)) {
		drop_followed(&last);
	}
	if (is_worth_keeping(table, &last)) {
		make_room(table, size_of(&last));
		record = new_record(table);
	}
	if (!record) {
		bosh_last_answer_deinit(&last);
		return;
	}
	memcpy(record->sid, sid, SID_LENGTH);
	/* From the next second on: this one may be nearly over. */
	record->deadline = mono_add_s(now, table->keep_s + 1);
	take_in(record, ended, &last);
	HASH_ADD(hh, table->records, sid, SID_LENGTH, record);
	if (!record->hh.tbl) {
		release(record);
		return;
	}
	share_answer(table, record);
	table->n_records++;
	table->n_with_replies += bosh_last_answer_has_replies(&record->ended.last);
	table->n_bytes += size_of(&record->ended.last);
}

/* After keep_s was lowered, the oldest is not the first whose time is over: the record that is
 * asked for is looked at by itself. */
const struct bosh_ended *bosh_ended_table_find(struct bosh_ended_table *table, struct sv sid,
					       uint64_t rid, struct sv key, struct mono now)
{
	struct record *record = NULL;

	drop_late(table, now);
	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, table->records, sid.data, SID_LENGTH, record);
	}
	return record && !mono_reached(record->deadline, now) &&
			       bosh_last_answer_is_for(&record->ended.last, rid, key)
		     ? &record->ended
		     : NULL;
}
