/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/bosh/ended.h"
#include "tests/unit/failmalloc.h"

enum {
	KEEP_S = 60,
};

#define KEY "0123456789012345678901234567890123456789"
#define OTHER_KEY "abcdefabcdefabcdefabcdefabcdefabcdefabcd"

static struct bosh_ended_table *table;
static struct mono now;

static int setup(void **state)
{
	(void)state;
	now = (struct mono){1000};
	return bosh_ended_table_new(KEEP_S, &table);
}

static int teardown(void **state)
{
	(void)state;
	table = bosh_ended_table_free(table);
	return 0;
}

static struct sv sid_of(unsigned number)
{
	static char sid[SID_LENGTH + 1];

	snprintf(sid, sizeof(sid), "%0*u", (int)SID_LENGTH, number);
	return sv_from(sid);
}

/* The end of a session that was asked @rid and has answered with @n bytes. */
static struct bosh_ended ended_of(uint64_t rid, const char *key, size_t n)
{
	struct bosh_ended ended = {.content_type = "text/xml", .is_secure = true};
	struct bosh_key read;
	struct blob *blob;

	(void)bosh_key_read(sv_from(key), &read);
	bosh_last_answer_add(&ended.last, rid, &read, NULL);
	if (blob_new(n, &blob) == 0) {
		bosh_last_answer_set(&ended.last, 403, blob, 0);
		blob_unref(blob);
	}
	return ended;
}

static void put(unsigned number, uint64_t rid, const char *key, size_t n)
{
	struct bosh_ended ended = ended_of(rid, key, n);

	bosh_ended_table_put(table, sid_of(number).data, &ended, now);
}

static bool has(unsigned number, uint64_t rid, const char *key)
{
	return bosh_ended_table_find(table, sid_of(number), rid, sv_from(key), now);
}

static void test_found(void **state)
{
	const struct bosh_ended *ended;

	(void)state;
	put(1, 100, "", 7);
	put(2, 200, KEY, 8);
	assert_false(has(1, 99, ""));
	assert_false(has(1, 101, ""));
	assert_false(has(1, 100, KEY));
	assert_false(has(3, 100, ""));
	assert_false(has(2, 200, ""));
	assert_false(has(2, 200, OTHER_KEY));
	assert_true(has(2, 200, KEY));
	ended = bosh_ended_table_find(table, sid_of(1), 100, SV_EMPTY, now);
	assert_non_null(ended);
	assert_int_equal(ended->last.status, 403);
	assert_int_equal(ended->last.blob->n, 7);
	assert_string_equal(ended->content_type, "text/xml");
	assert_true(ended->is_secure);
	/* It stays for a further repeat. */
	assert_true(has(1, 100, ""));
	assert_null(bosh_ended_table_find(table, SV("short"), 100, SV_EMPTY, now));
	assert_null(bosh_ended_table_find(table, SV_EMPTY, 100, SV_EMPTY, now));
}

/* The second in which a session ends does not count, whoever else's ends meanwhile. */
static void test_time(void **state)
{
	(void)state;
	put(1, 100, "", 7);
	now = mono_add_s(now, KEEP_S);
	put(2, 100, "", 7);
	assert_true(has(1, 100, ""));
	now = mono_add_s(now, 1);
	assert_false(has(1, 100, ""));
	assert_true(has(2, 100, ""));
	now = mono_add_s(now, KEEP_S);
	assert_false(has(2, 100, ""));
}

/* A reload counts for the sessions that end afterwards. */
static void test_another_time(void **state)
{
	(void)state;
	put(1, 100, "", 7);
	bosh_ended_table_set_keep(table, 1);
	put(2, 100, "", 7);
	assert_true(has(2, 100, ""));
	now = mono_add_s(now, 2);
	assert_true(has(1, 100, ""));
	assert_false(has(2, 100, ""));
	bosh_ended_table_set_keep(table, 2 * KEEP_S);
	put(3, 100, "", 7);
	now = mono_add_s(now, 2 * KEEP_S);
	assert_false(has(1, 100, ""));
	assert_true(has(3, 100, ""));
}

static void test_number(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOSH_ENDED_MAX; i++) {
		put(i, 100, "", 7);
	}
	assert_true(has(0, 100, ""));
	put(BOSH_ENDED_MAX, 100, "", 7);
	assert_false(has(0, 100, ""));
	assert_true(has(1, 100, ""));
	assert_true(has(BOSH_ENDED_MAX, 100, ""));
}

static void test_bytes(void **state)
{
	enum {
		N = BOSH_ENDED_BYTES_MAX / BOSH_ENDED_SMALL_MAX,
	};

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		put(i, 100, "", BOSH_ENDED_SMALL_MAX);
	}
	assert_true(has(0, 100, ""));
	put(N, 100, "", 1);
	assert_false(has(0, 100, ""));
	assert_true(has(1, 100, ""));
	put(N + 1, 100, "", BOSH_ENDED_SMALL_MAX);
	assert_false(has(1, 100, ""));
	assert_true(has(2, 100, ""));
}

/* A large answer displaces nobody, but is itself displaced when it is the oldest. */
static void test_large(void **state)
{
	(void)state;
	put(1, 100, "", BOSH_ENDED_BYTES_MAX + 1);
	assert_false(has(1, 100, ""));
	put(2, 100, "", BOSH_ENDED_SMALL_MAX + 1);
	put(3, 100, "", BOSH_ENDED_BYTES_MAX - BOSH_ENDED_SMALL_MAX);
	assert_false(has(3, 100, ""));
	put(4, 100, "", BOSH_ENDED_BYTES_MAX - BOSH_ENDED_SMALL_MAX - 1);
	assert_true(has(4, 100, ""));
	put(5, 100, "", BOSH_ENDED_SMALL_MAX + 1);
	assert_false(has(5, 100, ""));
	assert_true(has(2, 100, ""));
	put(6, 100, "", BOSH_ENDED_SMALL_MAX);
	assert_true(has(6, 100, ""));
	assert_false(has(2, 100, ""));
	assert_true(has(4, 100, ""));
}

/* Nor does it take the place of another session where their number is the limit. */
static void test_large_beside_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOSH_ENDED_MAX; i++) {
		put(i, 100, "", 7);
	}
	put(BOSH_ENDED_MAX, 100, "", BOSH_ENDED_SMALL_MAX + 1);
	assert_false(has(BOSH_ENDED_MAX, 100, ""));
	assert_true(has(0, 100, ""));
}

static void test_nothing_to_keep(void **state)
{
	struct bosh_ended ended = {.is_secure = false};

	(void)state;
	bosh_ended_table_put(table, sid_of(1).data, &ended, now);
	bosh_last_answer_add(&ended.last, 100, &(struct bosh_key){0}, NULL);
	bosh_ended_table_put(table, sid_of(1).data, &ended, now);
	assert_false(has(1, 100, ""));
	assert_null(bosh_ended_table_free(NULL));
}

/* A reply counts, too. Where it finds no room, how the session ended is still known. */
static void test_replies(void **state)
{
	const size_t n_free = BOSH_ENDED_BYTES_MAX - BOSH_ENDED_SMALL_MAX - 3;

	(void)state;
	put(1, 100, "", n_free);
	for (unsigned i = 0; i < 2; i++) {
		struct bosh_ended ended = ended_of(100, "", 1);
		const struct bosh_ended *found;
		unsigned status;
		struct blob *reply;

		assert_int_equal(blob_new(BOSH_ENDED_SMALL_MAX + 1, &reply), 0);
		bosh_last_answer_add(&ended.last, 101, &(struct bosh_key){0}, reply);
		bosh_ended_table_put(table, sid_of(2 + i).data, &ended, now);
		found = bosh_ended_table_find(table, sid_of(2 + i), 101, SV_EMPTY, now);
		assert_non_null(found);
		struct blob *got = bosh_last_answer_get(&found->last, 101, SV_EMPTY, &status);

		assert_int_equal(got == reply, i == 0);
		assert_int_equal(status, i == 0 ? 200 : 403);
		blob_unref(got);
		blob_unref(reply);
	}
	assert_true(has(1, 100, ""));
	/* The one small answer too many. */
	put(4, 100, "", 0);
	put(5, 100, "", 1);
	assert_false(has(1, 100, ""));
	assert_true(has(2, 101, ""));
}

/* Puts a session with a reply. Returns whether that is given again. */
static bool keeps_reply(unsigned number)
{
	struct bosh_ended ended = ended_of(100, "", 1);
	struct blob *reply, *got;
	unsigned status;

	assert_int_equal(blob_new(1, &reply), 0);
	bosh_last_answer_add(&ended.last, 101, &(struct bosh_key){0}, reply);
	bosh_ended_table_put(table, sid_of(number).data, &ended, now);
	const struct bosh_ended *found =
		bosh_ended_table_find(table, sid_of(number), 101, SV_EMPTY, now);

	assert_non_null(found);
	got = bosh_last_answer_get(&found->last, 101, SV_EMPTY, &status);
	bool is_kept = got == reply;

	blob_unref(got);
	blob_unref(reply);
	return is_kept;
}

/* Of so many sessions replies are kept, until their time is over. */
static void test_number_of_replies(void **state)
{
	(void)state;
	put(0, 100, "", 1);
	for (unsigned i = 1; i <= BOSH_ENDED_REPLIES_MAX; i++) {
		assert_true(keeps_reply(i));
	}
	assert_false(keeps_reply(BOSH_ENDED_REPLIES_MAX + 1));
	now = mono_add_s(now, 2 * KEEP_S);
	assert_true(keeps_reply(BOSH_ENDED_REPLIES_MAX + 2));
}

/* Puts a session that was asked @n_last requests from 200 on, and before that @n_followed from 1000
 * on, of a client that can have @n_open_max open. None has a reply. */
static const struct bosh_ended *put_open(unsigned number, unsigned n_followed, unsigned n_last,
					 unsigned n_open_max)
{
	struct bosh_ended ended = {.content_type = "text/xml", .last.n_open_max = n_open_max};
	struct bosh_key none = {0};

	for (unsigned i = 0; i < n_followed; i++) {
		bosh_last_answer_add_followed(&ended.last, 1000 + i, &none, NULL);
	}
	for (unsigned i = 0; i < n_last; i++) {
		bosh_last_answer_add(&ended.last, 200 + i, &none, NULL);
	}
	struct bosh_ended last = ended_of(100, "", 1);

	bosh_last_answer_set(&ended.last, 403, last.last.blob, 0);
	bosh_last_answer_deinit(&last.last);
	bosh_ended_table_put(table, sid_of(number).data, &ended, now);
	return bosh_ended_table_find(table, sid_of(number), 200, SV_EMPTY, now);
}

static const struct bosh_ended *put_followed(unsigned number, unsigned n_followed, unsigned n_last)
{
	return put_open(number, n_followed, n_last, 3);
}

/* The client of a session with a large `hold` has more open than a record has room for, and may
 * repeat each of them. */
static void test_followed_and_open(void **state)
{
	enum {
		N_FOLLOWED = 64,
		N_LAST = 5,
	};

	(void)state;
	const struct bosh_ended *ended = put_open(1, N_FOLLOWED, N_LAST, N_LAST + 2);

	assert_non_null(ended);
	assert_int_equal(ended->last.n_asked, N_LAST + 2);
	assert_true(has(1, 1000 + N_FOLLOWED - 1, ""));
	assert_true(has(1, 1000 + N_FOLLOWED - 2, ""));
	assert_false(has(1, 1000 + N_FOLLOWED - 3, ""));
}

/* Requests that were followed are known, too, as many as a record has room for: more would be a
 * block of memory for each session. The oldest go. What is left takes no more than is counted. */
static void test_followed_without_replies(void **state)
{
	enum {
		N_FOLLOWED = 64,
		N_LEFT = 5,
	};

	(void)state;
	assert_non_null(put_followed(1, 2, 1));
	assert_true(has(1, 1000, ""));
	assert_true(has(1, 1001, ""));
	assert_non_null(put_followed(2, 3, 1));
	assert_false(has(2, 1000, ""));
	assert_true(has(2, 1001, ""));
	assert_true(has(2, 1002, ""));
	const struct bosh_ended *ended = put_followed(3, N_FOLLOWED, N_LEFT);

	assert_non_null(ended);
	assert_int_equal(ended->last.n_asked, N_LEFT);
	assert_true(malloc_usable_size(ended->last.asked) < 2 * N_LEFT * sizeof(struct bosh_asked));
	assert_false(has(3, 1000 + N_FOLLOWED - 1, ""));
	assert_true(has(3, 200 + N_LEFT - 1, ""));
}

/* Such sessions take no place of those that have replies; and where a reply finds no place, its
 * request is known nevertheless. */
static void test_followed_and_replies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOSH_ENDED_REPLIES_MAX; i++) {
		assert_non_null(put_followed(i, 2, 1));
	}
	for (unsigned i = 0; i < BOSH_ENDED_REPLIES_MAX; i++) {
		assert_true(keeps_reply(BOSH_ENDED_REPLIES_MAX + i));
	}
	struct bosh_ended ended = ended_of(100, "", 1);
	struct blob *reply, *got;
	unsigned status;

	assert_int_equal(blob_new(1, &reply), 0);
	bosh_last_answer_add_followed(&ended.last, 99, &(struct bosh_key){0}, reply);
	bosh_ended_table_put(table, sid_of(9999).data, &ended, now);
	assert_true(has(9999, 99, ""));
	const struct bosh_ended *found =
		bosh_ended_table_find(table, sid_of(9999), 99, SV_EMPTY, now);

	got = bosh_last_answer_get(&found->last, 99, SV_EMPTY, &status);
	assert_ptr_equal(got, found->last.blob);
	blob_unref(got);
	blob_unref(reply);
}

/* As when thousands are told the same. */
static void test_same_answer(void **state)
{
	const struct bosh_ended *first, *second;
	struct bosh_ended ended[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		ended[i] = ended_of(100 + i, "", 7);
		memcpy(ended[i].last.blob->data, i < 2 ? "goodbye" : "farewel", 7);
		bosh_ended_table_put(table, sid_of(i).data, &ended[i], now);
	}
	first = bosh_ended_table_find(table, sid_of(0), 100, SV_EMPTY, now);
	second = bosh_ended_table_find(table, sid_of(1), 101, SV_EMPTY, now);
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_equal(first->last.blob, second->last.blob);
	assert_memory_equal(second->last.blob->data, "goodbye", 7);
	second = bosh_ended_table_find(table, sid_of(2), 102, SV_EMPTY, now);
	assert_non_null(second);
	assert_memory_equal(second->last.blob->data, "farewel", 7);
	/* It outlives the record that it came with. */
	now = mono_add_s(now, KEEP_S);
	put(3, 100, "", 7);
	now = mono_add_s(now, 1);
	assert_false(has(0, 100, ""));
	assert_true(has(3, 100, ""));
}

static void test_many_requests(void **state)
{
	struct bosh_ended ended = ended_of(100, KEY, 7);
	struct bosh_key none = {0};

	(void)state;
	for (uint64_t rid = 101; rid < 105; rid++) {
		bosh_last_answer_add(&ended.last, rid, &none, NULL);
	}
	/* Many count as well, or those of all sessions together could fill our memory. */
	put(1, 100, "", BOSH_ENDED_BYTES_MAX - 7 - 5 * sizeof(struct bosh_asked) + 1);
	assert_true(has(1, 100, ""));
	bosh_ended_table_put(table, sid_of(2).data, &ended, now);
	assert_false(has(1, 100, ""));
	assert_true(has(2, 100, KEY));
	assert_false(has(2, 100, ""));
	for (uint64_t rid = 101; rid < 105; rid++) {
		assert_true(has(2, rid, ""));
	}
	assert_false(has(2, 105, ""));
}

static int scenario(void *userdata)
{
	int r = bosh_ended_table_new(KEEP_S, &table);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	for (unsigned i = 0; i < 20; i++) {
		put(i, 100, "", 7);
		(void)has(i, 100, "");
	}
	table = bosh_ended_table_free(table);
	return 0;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_time),
		TEST(test_another_time),
		TEST(test_number),
		TEST(test_bytes),
		TEST(test_large),
		TEST(test_large_beside_many),
		TEST(test_nothing_to_keep),
		TEST(test_same_answer),
		TEST(test_replies),
		TEST(test_number_of_replies),
		TEST(test_followed_without_replies),
		TEST(test_followed_and_open),
		TEST(test_followed_and_replies),
		TEST(test_many_requests),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
