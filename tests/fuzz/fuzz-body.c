/* SPDX-License-Identifier: MIT */
/*
 * bosh/body.h, bosh/content.h and xmpp/bounce.h. With a used pool or a new one, the body is the
 * same, and its bounds are kept. Its payloads, which a server gets without the body, are what
 * another body with them has as payloads.
 *
 * covers: gateway/bosh/body.c gateway/bosh/content.c gateway/xmpp/bounce.c gateway/bosh/key.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/bosh/body.h"
#include "gateway/bosh/content.h"
#include "gateway/bosh/key.h"
#include "gateway/xmpp/bounce.h"
#include "gateway/xmpp/namespace.h"

enum {
	BODY_MAX = 4000,
};

static struct xml_pool *used_pool;

static void log_number(const char *what, struct bosh_number number, struct buffer *log)
{
	LOG(log, "%s %d %llu\n", what, number.is_set, (unsigned long long)number.value);
}

static void log_body(const struct bosh_body *body, struct buffer *log)
{
	const struct sv texts[] = {body->sid,     body->to,     body->from,
				   body->route,   body->lang,   body->type,
				   body->key,     body->newkey, body->condition,
				   body->content, body->stream, body->xmpp_version};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		FUZZ_CHECK(texts[i].n <= BOSH_ATTRIBUTE_MAX);
		LOG(log, "%.*s\n", SV_ARGS(texts[i]));
	}
	FUZZ_CHECK(body->rid <= BOSH_RID_MAX);
	LOG(log, "rid %d %llu ver %d %u.%u restart %d\n", body->has_rid,
	    (unsigned long long)body->rid, body->has_ver, body->ver_major, body->ver_minor,
	    body->wants_restart);
	log_number("wait", body->wait, log);
	log_number("hold", body->hold, log);
	log_number("ack", body->ack, log);
	log_number("pause", body->pause, log);
	LOG(log, "%zu %.*s", body->n_payloads, SV_ARGS(buffer_sv(&body->payloads)));
}

static int read_body(struct xml_pool *pool, struct sv text, struct bosh_body *body)
{
	const struct xml_scan_options options = bosh_body_options(BODY_MAX);
	char *copy = fuzz_copy(text);
	/* The body owns all that it tells. */
	int r = bosh_body_init(body, pool, &options, (struct sv){copy, text.n});

	free(copy);
	FUZZ_CHECK(r >= 0);
	return r;
}

/* As read_body(), in portions. */
static int read_portions(struct xml_pool *pool, struct sv text, size_t n, struct bosh_body *body)
{
	const struct xml_scan_options options = bosh_body_options(BODY_MAX);
	struct bosh_reading *reading;

	assert_int_equal(bosh_reading_new(pool, &options, &reading), 0);
	while (!bosh_reading_go_on(reading, text, n)) {
	}
	return bosh_reading_finish(reading, text, body);
}

static void check_portions(struct sv text, int result, const struct bosh_body *body)
{
	static const size_t portions[] = {1, 7, 100};
	struct buffer whole = BUFFER_INIT, log = BUFFER_INIT;

	log_body(body, &whole);
	for (size_t i = 0; i < ARRAY_LENGTH(portions); i++) {
		struct bosh_body same;

		FUZZ_CHECK(read_portions(used_pool, text, portions[i], &same) == result);
		if (result == BOSH_BODY_OK) {
			log_body(&same, &log);
			FUZZ_CHECK(sv_eq(buffer_sv(&log), buffer_sv(&whole)));
		}
		bosh_body_deinit(&same);
		buffer_clear(&log);
	}
	buffer_deinit(&whole);
	buffer_deinit(&log);
}

static void check_payloads(const struct bosh_body *body)
{
	struct buffer text = BUFFER_INIT, answers = BUFFER_INIT;
	struct bosh_body again;

	LOG(&text, "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>%.*s</body>",
	    SV_ARGS(buffer_sv(&body->payloads)));
	const struct xml_scan_options options = bosh_body_options(16 * BODY_MAX);

	assert_int_equal(bosh_body_init(&again, used_pool, &options, buffer_sv(&text)),
			 BOSH_BODY_OK);
	FUZZ_CHECK(again.n_payloads == body->n_payloads);
	FUZZ_CHECK(sv_eq(buffer_sv(&again.payloads), buffer_sv(&body->payloads)));
	bosh_body_deinit(&again);
	buffer_deinit(&text);
	assert_int_equal(bounce_stanzas(used_pool, buffer_sv(&body->payloads), &answers), 0);
	buffer_deinit(&answers);
}

static void check_keys(const struct bosh_body *body)
{
	struct bosh_key begun = {0}, key = {0};
	bool has_begun = bosh_key_read(body->newkey, &begun);
	bool has_key = bosh_key_read(body->key, &key);

	FUZZ_CHECK(begun.is_set == has_begun && key.is_set == has_key);
	FUZZ_CHECK(has_key || !has_begun || !bosh_key_follows(body->key, &begun));
	FUZZ_CHECK(bosh_key_follows(body->key, &(struct bosh_key){0}));
	FUZZ_CHECK(bosh_key_is_same(&key, &key));
	FUZZ_CHECK(has_key == has_begun || !bosh_key_is_same(&key, &begun));
}

void fuzz_one(struct sv input)
{
	struct buffer with_used = BUFFER_INIT, with_fresh = BUFFER_INIT;
	struct bosh_body body, same;
	struct xml_pool *fresh;

	if (!used_pool) {
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &used_pool), 0);
	}
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &fresh), 0);
	int r = read_body(used_pool, input, &body);

	FUZZ_CHECK(read_body(fresh, input, &same) == r);
	log_body(&body, &with_used);
	log_body(&same, &with_fresh);
	FUZZ_CHECK(sv_eq(buffer_sv(&with_used), buffer_sv(&with_fresh)));
	if (r == BOSH_BODY_OK) {
		FUZZ_CHECK(body.payloads.n <=
			   (1 + XML_COMPLETION_FACTOR) * input.n + XML_COMPLETION_BASE);
		check_payloads(&body);
		FUZZ_CHECK(bosh_body_is_extra(&body) || !bosh_body_is_terminate(&body));
		FUZZ_CHECK(bosh_content_type(body.content)[0]);
	}
	check_portions(input, r, &body);
	check_keys(&body);
	bosh_body_deinit(&body);
	bosh_body_deinit(&same);
	xml_pool_free(fresh);
	buffer_deinit(&with_used);
	buffer_deinit(&with_fresh);
}
