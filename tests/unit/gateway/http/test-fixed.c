/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/blob.h"
#include "gateway/http/fixed.h"
#include "tests/unit/failmalloc.h"

static struct config *config;

static int setup(void **state)
{
	(void)state;
	return config_new(NULL, stderr, &config);
}

static int teardown(void **state)
{
	(void)state;
	config = config_unref(config);
	return 0;
}

static void test_find(void **state)
{
	static const struct {
		const char *path;
		enum fixed_id id; /* FIXED_COUNT: none */
	} rows[] = {
		{"/crossdomain.xml", FIXED_CROSSDOMAIN},
		{"/crossdomain.xml/", FIXED_CROSSDOMAIN},
		{"//clientaccesspolicy.xml", FIXED_CLIENTACCESS},
		{"/.well-known/host-meta", FIXED_COUNT},
		{"/.well-known/host-meta.json", FIXED_COUNT},
		{"/crossdomain.xm", FIXED_COUNT},
		{"/", FIXED_COUNT},
		{"", FIXED_COUNT},
	};
	struct fixed fixed;

	(void)state;
	assert_int_equal(fixed_init(&fixed, config), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct fixed_text *text = fixed_find(&fixed, sv_from(rows[i].path));

		if (text != (rows[i].id == FIXED_COUNT ? NULL : &fixed.texts[rows[i].id])) {
			fail_msg("%s", rows[i].path);
		}
	}
	assert_non_null(fixed.texts[FIXED_FLASH_SOCKETS].in[CODING_IDENTITY]);
	assert_non_null(fixed.texts[FIXED_SILVERLIGHT_SOCKETS].in[CODING_IDENTITY]);
	fixed_deinit(&fixed);
	fixed_deinit(&fixed);
}

/* An address of either kind makes both documents that name it. */
static void test_host_meta(void **state)
{
	char *before = config->web.bosh_url;
	char url[] = "https://chat.example/http-bind";
	struct fixed fixed;

	(void)state;
	config->web.bosh_url = url;
	assert_int_equal(fixed_init(&fixed, config), 0);
	assert_non_null(fixed_find(&fixed, SV("/.well-known/host-meta")));
	assert_non_null(fixed_find(&fixed, SV("/.well-known/host-meta.json")));
	fixed_deinit(&fixed);
	config->web.bosh_url = before;
}

/* The operator's own text takes the place of each document. */
static void test_own_texts(void **state)
{
	const struct config_web before = config->web;
	char texts[FIXED_COUNT][8];
	char **const own[] = {
		[FIXED_CROSSDOMAIN] = &config->web.crossdomain,
		[FIXED_CLIENTACCESS] = &config->web.clientaccesspolicy,
		[FIXED_HOST_META] = &config->web.host_meta,
		[FIXED_HOST_META_JSON] = &config->web.host_meta_json,
		[FIXED_FLASH_SOCKETS] = &config->web.flash_sockets,
		[FIXED_SILVERLIGHT_SOCKETS] = &config->web.silverlight_sockets,
	};
	struct fixed fixed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
		if (own[i]) {
			snprintf(texts[i], sizeof(texts[i]), "own %zu", i);
			*own[i] = texts[i];
		}
	}
	assert_int_equal(fixed_init(&fixed, config), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
		if (own[i]) {
			assert_true(sv_eq(blob_sv(fixed.texts[i].in[CODING_IDENTITY]),
					  sv_from(texts[i])));
		}
	}
	fixed_deinit(&fixed);
	config->web = before;
}

/* The path is granted without the "/" at its end, which the client may leave out. */
static void test_bosh_path(void **state)
{
	static const struct {
		char path[8];
		const char *granted;
	} rows[] = {{"/b", "path=\"/b\""}, {"/b/", "path=\"/b\""}, {"/", "path=\"\""}};
	char *before = config->bosh_path;
	char path[8];
	struct fixed fixed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		memcpy(path, rows[i].path, sizeof(path));
		config->bosh_path = path;
		assert_int_equal(fixed_init(&fixed, config), 0);
		struct sv text = blob_sv(fixed.texts[FIXED_CLIENTACCESS].in[CODING_IDENTITY]);

		if (sv_find_sv(text, sv_from(rows[i].granted)) == text.n) {
			fail_msg("%s: %.*s", path, SV_ARGS(text));
		}
		fixed_deinit(&fixed);
	}
	config->bosh_path = before;
}

/* With the codings, what is worth it has all of them. */
static void test_codings(void **state)
{
	bool before = config->coding;
	struct fixed fixed;
	size_t n_coded = 0;

	(void)state;
	for (int on = 0; on <= 1; on++) {
		config->coding = on;
		assert_int_equal(fixed_init(&fixed, config), 0);
		for (size_t i = 0; i < FIXED_COUNT * CODING_COUNT; i++) {
			n_coded += i % CODING_COUNT != CODING_IDENTITY &&
				   fixed.texts[i / CODING_COUNT].in[i % CODING_COUNT];
		}
		assert_int_equal(n_coded > 0, on);
		assert_int_equal(n_coded % (CODING_COUNT - 1), 0);
		fixed_deinit(&fixed);
	}
	config->coding = before;
}

/* What lies behind the texts is left alone. */
static void test_bound(void **state)
{
	union {
		struct fixed fixed;
		struct fixed_text texts[FIXED_COUNT + 1];
	} room = {0};
	struct fixed_text *behind = &room.texts[FIXED_COUNT];
	bool before = config->coding;

	(void)state;
	assert_int_equal(blob_new(CODING_TEXT_MIN + 1000, &behind->in[CODING_IDENTITY]), 0);
	memset(behind->in[CODING_IDENTITY]->data, ' ', CODING_TEXT_MIN + 1000);
	config->coding = true;
	assert_int_equal(fixed_init(&room.fixed, config), 0);
	for (size_t coding = CODING_IDENTITY + 1; coding < CODING_COUNT; coding++) {
		assert_null(behind->in[coding]);
	}
	blob_unref(behind->in[CODING_IDENTITY]);
	fixed_deinit(&room.fixed);
	config->coding = before;
}

static void test_tags(void **state)
{
	struct fixed_text text = {.tag = "W/\"0123456789abcdef\""};
	static const struct {
		const char *tags;
		bool is_known;
	} rows[] = {
		{"W/\"0123456789abcdef\"", true},
		{"\"0123456789abcdef\"", true},
		{"\"a\", W/\"0123456789abcdef\" ,\"b\"", true},
		{"*", true},
		{"", false},
		{"0123456789abcdef", false},
		{"\"0123456789abcde\"", false},
		{"w/\"0123456789abcdef\"", false},
		{"\"*\"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (fixed_text_is_known(&text, sv_from(rows[i].tags)) != rows[i].is_known) {
			fail_msg("%s", rows[i].tags);
		}
	}
	assert_false(fixed_text_is_known(&text, SV_EMPTY));
}

static int scenario(void *userdata)
{
	struct fixed fixed;
	int r = fixed_init(&fixed, userdata);

	fixed_deinit(&fixed);
	return r;
}

static void test_memory(void **state)
{
	const bool before = config->coding;
	size_t n = 0, n_failed = 1;

	(void)state;
	failmalloc_each(scenario, config, 10);
	/* None of its allocations can be done without. */
	config->coding = true;
	while (n_failed) {
		failmalloc_arm(++n, false);
		int r = scenario(config);

		n_failed = failmalloc_disarm();
		assert_int_equal(r, n_failed ? -ENOMEM : 0);
	}
	assert_true(n > 10);
	config->coding = before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),      cmocka_unit_test(test_host_meta),
		cmocka_unit_test(test_bosh_path), cmocka_unit_test(test_own_texts),
		cmocka_unit_test(test_codings),   cmocka_unit_test(test_tags),
		cmocka_unit_test(test_memory),    cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
