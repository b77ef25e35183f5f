/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Checks that a pool carries nothing over from one user to the next: whatever was scanned with it
 * before, an engine reports the same about its input as with a new pool. The test passes a
 * function that runs the engine; the input is the corpus. Included after cmocka.h; needs
 * failmalloc.c.
 */
#include <stdio.h>

#include "tests/unit/corpus.h"
#include "tests/unit/failmalloc.h"

enum {
	ISOLATION_OPEN_MAX = 4,
	ISOLATION_STRIDE = 41,
	ISOLATION_STEPS = 500,
	ISOLATION_STEPS_LONG = 100, /* one in this many steps has a long text */
};

struct isolation {
	const char *const *namespaces;
	size_t n_namespaces;
	/* Feeds the pieces to a new engine that uses @pool, and writes everything that it reports
	 * to @log. */
	void (*run)(struct xml_pool *pool, struct pieces *pieces, struct buffer *log);
};

static inline struct xml_pool *isolation_pool(const struct isolation *isolation)
{
	struct xml_pool *fresh;

	assert_int_equal(xml_pool_new(isolation->namespaces, isolation->n_namespaces, &fresh), 0);
	return fresh;
}

/* Runs the engine with @used and with a new pool, on the same pieces. @what is printed if they
 * differ: what happened to @used before. */
static inline void isolation_compare(const struct isolation *isolation, struct xml_pool *used,
				     const struct pieces *pieces, const char *what)
{
	struct xml_pool *fresh = isolation_pool(isolation);
	struct pieces used_pieces = *pieces, fresh_pieces = *pieces;
	struct buffer said = BUFFER_INIT, expected = BUFFER_INIT;

	isolation->run(used, &used_pieces, &said);
	pieces_end(&used_pieces);
	isolation->run(fresh, &fresh_pieces, &expected);
	pieces_end(&fresh_pieces);
	if (!sv_eq(buffer_sv(&said), buffer_sv(&expected))) {
		fail_msg("way %u, random %u of\n'%.*s'\ngave\n%.*s\nover a fresh pool\n%.*s\n%s",
			 pieces->way, pieces->random, SV_ARGS(sv_first(pieces->rest, 2000)),
			 SV_ARGS(sv_first(buffer_sv(&said), 2000)),
			 SV_ARGS(sv_first(buffer_sv(&expected), 2000)), what);
	}
	buffer_deinit(&said);
	buffer_deinit(&expected);
	xml_pool_free(fresh);
}

/* Each text is scanned and left, complete or not; then one in ISOLATION_STRIDE follows, different
 * ones for each text. */
static inline void isolation_check_pairs(const struct isolation *isolation)
{
	for (size_t a = 0; a < ARRAY_LENGTH(corpus); a++) {
		struct xml_pool *used = isolation_pool(isolation);

		for (size_t b = a % ISOLATION_STRIDE; b < ARRAY_LENGTH(corpus);
		     b += ISOLATION_STRIDE) {
			/* Each way of cutting one meets each way of cutting the other. */
			size_t n = a * 5 + b / ISOLATION_STRIDE;
			struct pieces first = {
				.rest = corpus[a], .way = (unsigned)(n % 3), .random = (uint32_t)n};
			struct pieces second = {.rest = corpus[b],
						.way = (unsigned)(n / 3 % 3),
						.random = (uint32_t)n};
			char what[300];

			snprintf(what, sizeof(what), "after kind %zu, way %u of '%.*s'",
				 n / 9 % CORPUS_KINDS, first.way,
				 SV_ARGS(sv_first(corpus[a], 200)));
			corpus_use(used, n / 9 % CORPUS_KINDS, &first, SIZE_MAX);
			isolation_compare(isolation, used, &second, what);
		}
		xml_pool_free(used);
	}
}

/* Scans @text in one piece while allocation @n fails, alone or with all later ones. Returns how
 * many failed. */
static inline size_t isolation_fail(struct xml_pool *used, enum corpus_kind kind, struct sv text,
				    size_t n, bool lasting)
{
	struct xml_scan scan;

	failmalloc_arm(n, lasting);
	corpus_begin(&scan, used, kind);
	(void)corpus_feed(&scan, text, SIZE_MAX);
	xml_scan_deinit(&scan);
	return failmalloc_disarm();
}

/* Every second text is scanned while each of the allocations that it needs fails in turn. */
static inline void isolation_check_without_memory(const struct isolation *isolation)
{
	for (size_t i = 0; i < ARRAY_LENGTH(corpus); i += 2) {
		size_t n_failed = 1;

		for (size_t n = 1; n_failed; n++) {
			struct xml_pool *used = isolation_pool(isolation);
			enum corpus_kind kind = (i + n) % CORPUS_KINDS;
			struct pieces before = {.rest = SV("<m/>")};
			struct pieces after = {.rest = corpus[(i * 7 + n) % ARRAY_LENGTH(corpus)]};
			char what[300];

			/* Half of the time the pool has a parser already. */
			if (n / 2 % 2) {
				corpus_use(used, kind, &before, SIZE_MAX);
			}
			n_failed = isolation_fail(used, kind, corpus[i], n, n % 2);
			snprintf(what, sizeof(what),
				 "after allocation %zu of kind %d failed for '%.*s'", n, kind,
				 SV_ARGS(sv_first(corpus[i], 200)));
			isolation_compare(isolation, used, &after, what);
			xml_pool_free(used);
		}
	}
}

/* Several scans at once over one pool, each with a text and cuts of its own. */
struct isolation_crowd {
	struct xml_pool *pool;
	struct pieces random; /* only its generator is used */
	struct {
		bool is_open;
		struct xml_scan scan;
		struct pieces pieces;
	} scans[ISOLATION_OPEN_MAX];
	struct sv long_texts[ARRAY_LENGTH(corpus_long)];
};

static inline struct pieces isolation_pieces(struct isolation_crowd *crowd)
{
	struct pieces *random = &crowd->random;
	struct pieces pieces = {.rest = corpus[pieces_random(random, ARRAY_LENGTH(corpus))],
				.way = (unsigned)pieces_random(random, PIECES_WAYS)};

	pieces.random = random->random;
	if (pieces_random(random, ISOLATION_STEPS_LONG) == 0) {
		pieces.rest = crowd->long_texts[pieces_random(random, ARRAY_LENGTH(corpus_long))];
		pieces.way = PIECES_WHOLE;
	}
	return pieces;
}

static inline void isolation_leave(struct isolation_crowd *crowd, size_t i)
{
	if (crowd->scans[i].is_open) {
		xml_scan_deinit(&crowd->scans[i].scan);
		pieces_end(&crowd->scans[i].pieces);
		crowd->scans[i].is_open = false;
	}
}

/* Scan @i begins or is fed another piece. It ends where its text does, at an error, or at any point
 * before. */
static inline void isolation_step(struct isolation_crowd *crowd, size_t i)
{
	struct sv piece;

	if (!crowd->scans[i].is_open) {
		enum corpus_kind kind = pieces_random(&crowd->random, CORPUS_KINDS);

		corpus_begin(&crowd->scans[i].scan, crowd->pool, kind);
		crowd->scans[i].pieces = isolation_pieces(crowd);
		crowd->scans[i].is_open = true;
	}
	/* Only deinit may follow when not all items were taken. */
	size_t n_items_max =
		pieces_random(&crowd->random, 8) ? SIZE_MAX : pieces_random(&crowd->random, 3);

	if (!pieces_next(&crowd->scans[i].pieces, &piece) ||
	    corpus_feed(&crowd->scans[i].scan, piece, n_items_max) != 0 ||
	    n_items_max != SIZE_MAX || pieces_random(&crowd->random, 20) == 0) {
		isolation_leave(crowd, i);
	}
}

static inline void isolation_check_crowd(const struct isolation *isolation, uint32_t seed)
{
	struct isolation_crowd crowd = {.pool = isolation_pool(isolation),
					.random = {.random = seed}};

	for (size_t i = 0; i < ARRAY_LENGTH(corpus_long); i++) {
		crowd.long_texts[i] = corpus_long_text(i);
	}
	for (size_t step = 0; step < ISOLATION_STEPS; step++) {
		struct pieces pieces = isolation_pieces(&crowd);
		char what[100];

		for (size_t n = pieces_random(&crowd.random, 4); n; n--) {
			isolation_step(&crowd, pieces_random(&crowd.random, ISOLATION_OPEN_MAX));
		}
		snprintf(what, sizeof(what), "seed %u, step %zu", seed, step);
		isolation_compare(isolation, crowd.pool, &pieces, what);
	}
	for (size_t i = 0; i < ISOLATION_OPEN_MAX; i++) {
		isolation_leave(&crowd, i);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(corpus_long); i++) {
		free((void *)crowd.long_texts[i].data);
	}
	xml_pool_free(crowd.pool);
}

static inline void isolation_check(const struct isolation *isolation)
{
	isolation_check_pairs(isolation);
	isolation_check_without_memory(isolation);
	isolation_check_crowd(isolation, 1);
	isolation_check_crowd(isolation, 2718281828);
}
