/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of bosh/body.h share: a used pool, and bodies that are read from text. Included
 * after cmocka.h.
 */
#include <stdlib.h>

#include "gateway/bosh/body.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/corpus.h"

enum {
	N_BODY_MAX = 20000,
};

#define NS " xmlns='http://jabber.org/protocol/httpbind'"
#define BODY(attributes, content) "<body" NS attributes ">" content "</body>"

static struct xml_pool *pool;
static struct xml_scan_options options;

static inline int setup(void **state)
{
	(void)state;
	options = bosh_body_options(N_BODY_MAX);
	return corpus_pool_new(namespaces, NS_COUNT, &pool);
}

static inline int teardown(void **state)
{
	(void)state;
	pool = xml_pool_free(pool);
	return 0;
}

/* In portions it is the same body. */
static inline void check_portions(struct sv text, int result, const struct bosh_body *body)
{
	static const size_t portions[] = {1, 10, 4096};

	for (size_t i = 0; i < ARRAY_LENGTH(portions); i++) {
		struct bosh_reading *reading;
		struct bosh_body same;

		assert_int_equal(bosh_reading_new(pool, &options, &reading), 0);
		while (!bosh_reading_go_on(reading, text, portions[i])) {
		}
		assert_int_equal(bosh_reading_finish(reading, text, &same), result);
		if (result == BOSH_BODY_OK) {
			assert_true(sv_eq(buffer_sv(&same.payloads), buffer_sv(&body->payloads)));
			assert_true(sv_eq(buffer_sv(&same.text), buffer_sv(&body->text)));
			assert_int_equal(same.n_payloads, body->n_payloads);
		}
		bosh_body_deinit(&same);
	}
}

/* Reads a heap copy that is gone afterwards: the body owns all that it tells. */
static inline int read_bytes(struct sv text, struct bosh_body *ret_body)
{
	char *copy = malloc(text.n ? text.n : 1);

	assert_non_null(copy);
	memcpy(copy, text.data, text.n);
	int r = bosh_body_init(ret_body, pool, &options, (struct sv){copy, text.n});

	free(copy);
	if (r >= 0) {
		check_portions(text, r, ret_body);
	}
	return r;
}

static inline int read_text(const char *text, struct bosh_body *ret_body)
{
	return read_bytes(sv_from(text), ret_body);
}

static inline void check_result(const char *text, int expected)
{
	struct bosh_body body;
	int r = read_text(text, &body);

	if (r != expected) {
		fail_msg("'%s' gave %d, expected %d", text, r, expected);
	}
	bosh_body_deinit(&body);
}
