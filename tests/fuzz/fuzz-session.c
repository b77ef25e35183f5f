/* SPDX-License-Identifier: MIT */
/*
 * bosh/session.h. The input decides what the operator allows, and then, two bytes for each, what
 * happens: requests in and out of order, repeats, broken connections, what servers say, time.
 *
 * session-owner.h says what must hold.
 *
 * covers: gateway/bosh/session.c gateway/bosh/request.c gateway/bosh/process.c
 * covers: gateway/bosh/release.c gateway/bosh/ending.c gateway/bosh/response.c
 * covers: gateway/bosh/payloads.c gateway/bosh/streams.c gateway/bosh/reply-cache.c
 * covers: gateway/bosh/slots.c gateway/bosh/early.c gateway/bosh/last-answer.c
 * covers: gateway/bosh/actions.c gateway/bosh/answer.c
 */
#include "tests/fuzz/fuzz.h"

#include <openssl/evp.h>

#include "gateway/bosh/key.h"
#include "gateway/xmpp/namespace.h"
#include "tests/fuzz/session-owner.h"

enum {
	KEY_SIZE = BOSH_KEY_LENGTH + 1,
	/* Requests until another sequence begins. */
	KEYS = 5,
};

static struct xml_pool *pool;

/* Lets the time pass, with the owner's timer. */
static void pass(struct owner *owner, int64_t ms)
{
	struct mono until = mono_add_ms(owner->now, ms);

	for (unsigned n = 0; !owner->ended; n++) {
		struct mono deadline = bosh_session_deadline(owner->session);

		if (deadline.ms > until.ms) {
			break;
		}
		/* Each call does all that is due. */
		FUZZ_CHECK(n < EXPIRIES_MAX);
		owner->now = deadline.ms > owner->now.ms ? deadline : owner->now;
		owner_done(owner, bosh_session_expire(owner->session, owner->now, &owner->actions));
	}
	owner->now = until;
}

static void hash(const char *text, char ret_key[static KEY_SIZE])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];

	assert_int_equal(EVP_Digest(text, strlen(text), bytes, NULL, EVP_sha1(), NULL), 1);
	for (unsigned i = 0; i < BOSH_KEY_SIZE; i++) {
		snprintf(ret_key + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* Key number @n of a sequence, from its end. */
static void make_key(uint64_t sequence, unsigned n, char ret_key[static KEY_SIZE])
{
	char text[KEY_SIZE];

	snprintf(text, sizeof(text), "seed %u", (unsigned)sequence);
	hash(text, ret_key);
	while (n-- > 0) {
		memcpy(text, ret_key, KEY_SIZE);
		hash(text, ret_key);
	}
}

/* The right key of @rid: each sequence is for KEYS requests behind the one that begins it. */
static void key_of(uint64_t rid, char ret_key[static KEY_SIZE])
{
	uint64_t n = rid - FIRST_RID - 1;

	make_key(n / KEYS, (unsigned)(KEYS - 1 - n % KEYS), ret_key);
}

/* "Protecting Insecure Sessions". @wrong: which of the wrong keys; 0: the right one. */
static void write_keys(const struct owner *owner, uint64_t rid, unsigned wrong, struct buffer *text)
{
	static const char garbage[] = "0123456789012345678901234567890123456789";
	char key[KEY_SIZE] = "";

	if (!owner->uses_keys) {
		return;
	}
	if (rid > FIRST_RID) {
		key_of(wrong == 1                          ? rid + 1
		       : wrong == 2 && rid > FIRST_RID + 1 ? rid - 1
							   : rid,
		       key);
		if (wrong == 3) {
			LOG(text, " key='%s'", garbage);
		} else if (wrong != 4) {
			LOG(text, " key='%.*s'", wrong == 5 ? KEY_SIZE - 2 : KEY_SIZE, key);
		}
	}
	if (rid >= FIRST_RID && (rid - FIRST_RID) % KEYS == 0) {
		make_key((rid - FIRST_RID) / KEYS, KEYS, key);
		LOG(text, " newkey='%s'", key);
	}
}

static void write_body(const struct owner *owner, uint64_t rid, const char *attributes,
		       unsigned detail, unsigned wrong, struct buffer *text)
{
	LOG(text,
	    "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' "
	    "rid='%llu'%s",
	    (unsigned long long)rid, attributes);
	if (detail & 0x20 && owner->n_names) {
		LOG(text, " stream='%s'", owner->names[detail % NAMES_MAX]);
	}
	if (detail & 0x40) {
		LOG(text, " ack='%llu'", (unsigned long long)(owner->highest_rid - detail % 4));
	}
	write_keys(owner, rid, wrong, text);
	if (detail & 0x80) {
		LOG(text, "/>");
	} else {
		LOG(text, "><c n='%llu' xmlns='jabber:client'/></body>", (unsigned long long)rid);
	}
}

static enum cargo cargo_of(const struct owner *owner, const char *attributes, unsigned detail)
{
	if (detail & 0x80 || strstr(attributes, "restart")) {
		return CARGO_NONE;
	}
	return detail & 0x20 && owner->n_names ? CARGO_UNKNOWN : CARGO_FOR_ALL;
}

/* Reads the body of a new exchange. */
static void read_body(struct owner *owner, uint64_t rid, const char *attributes, unsigned detail,
		      unsigned wrong, struct bosh_body *body)
{
	const struct xml_scan_options options = bosh_body_options(4000);
	struct buffer text = BUFFER_INIT;
	/* The request that begins has no key, and the first key has none before it. */
	bool is_wrong = owner->uses_keys && wrong && rid > FIRST_RID + (wrong == 2);

	write_body(owner, rid, attributes, detail, wrong, &text);
	assert_int_equal(bosh_body_init(body, pool, &options, buffer_sv(&text)), BOSH_BODY_OK);
	buffer_deinit(&text);
	owner_enter(owner, rid, cargo_of(owner, attributes, detail), is_wrong);
}

static void request_with(struct owner *owner, uint64_t rid, const char *attributes, unsigned detail,
			 unsigned wrong)
{
	struct bosh_body body;

	read_body(owner, rid, attributes, detail, wrong, &body);
	owner_done(owner, bosh_session_request(owner->session, owner->n_exchanges, &body,
					       owner->now, &owner->actions));
	bosh_body_deinit(&body);
}

static void request(struct owner *owner, uint64_t rid, const char *attributes, unsigned detail)
{
	request_with(owner, rid, attributes, detail, 0);
}

static void refuse(struct owner *owner)
{
	struct bosh_body body;

	read_body(owner, owner->highest_rid + 1, "", 0, 0, &body);
	owner_asked(owner, owner->highest_rid)->cargo = CARGO_UNKNOWN;
	owner_done(owner, bosh_session_refuse(owner->session, owner->n_exchanges, &body,
					      BOSH_RULE_TOO_FAST, &owner->actions));
	bosh_body_deinit(&body);
}

static void server_says(struct owner *owner, unsigned stream, bool is_features)
{
	struct way *way = &owner->ways[stream];
	struct buffer *pending;

	if (!way->is_open || !way->is_read) {
		return;
	}
	pending = bosh_session_pending(owner->session, stream, false, is_features);
	if (is_features) {
		LOG(pending, "<f/>");
		way->is_ready = true;
		if (way->had_features > owner->n_exchanges) {
			way->had_features = owner->n_exchanges;
		}
	} else {
		size_t number = ++owner->n_stanzas;

		owner->stanzas[number] = (struct stanza){
			.stream = stream, .before = way->last_said, .excused = way->is_managed};
		way->last_said = number;
		LOG(pending, "<s n='%zu'/>", number);
	}
	owner_done(owner, bosh_session_flush(owner->session, owner->now, &owner->actions));
	if (is_features) {
		owner_check_ready(owner, stream);
	}
}

static void link_fails(struct owner *owner, unsigned stream)
{
	struct failure failure;

	if (!owner->ways[stream].is_open) {
		return;
	}
	failure_set(&failure, FAILURE_CONNECTION_LOST, NULL);
	owner_fail(owner, stream);
	owner_done(owner, bosh_session_fail(owner->session, stream, &failure, owner->now,
					    &owner->actions));
}

static void become_managed(struct owner *owner, unsigned stream)
{
	if (owner->ways[stream].is_open) {
		owner->ways[stream].is_managed = true;
		owner_excuse(owner, stream);
		bosh_session_set_managed(owner->session, stream);
	}
}

static void client_breaks(struct owner *owner, unsigned detail)
{
	uint64_t exchange = owner->n_exchanges - detail % 4 % owner->n_exchanges;

	if (owner->exchanges[exchange] == EXCHANGE_OPEN) {
		owner->exchanges[exchange] = EXCHANGE_GONE;
		bosh_session_gone(owner->session, exchange, owner->now);
	}
}

static void shut(struct owner *owner)
{
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	owner_done(owner, bosh_session_shut(owner->session, &failure, owner->now, &owner->actions));
}

static void congest(struct owner *owner, unsigned stream, bool is_congested)
{
	if (owner->ways[stream].is_open) {
		owner_done(owner, bosh_session_congest(owner->session, stream, is_congested,
						       owner->now, &owner->actions));
	}
}

static void step(struct owner *owner, unsigned what, unsigned detail)
{
	static const int64_t units_ms[] = {1, 50, 500, 7000};
	uint64_t next = owner->highest_rid + 1;
	unsigned stream = detail & 3;

	switch (what % 22) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		request(owner, next, "", detail);
		break;
	case 5:
		request(owner, next + detail % 4, "", detail);
		break;
	case 6:
		request(owner, next - 1 - detail % 4, "", detail);
		break;
	case 7:
	case 8:
	case 9:
		server_says(owner, stream, false);
		break;
	case 10:
		server_says(owner, stream, true);
		break;
	case 11:
	case 12:
		pass(owner, units_ms[detail & 3] * (detail >> 2));
		break;
	case 13:
		client_breaks(owner, detail);
		break;
	case 14:
		link_fails(owner, stream);
		break;
	case 15:
		congest(owner, stream, detail & 4);
		break;
	case 16:
		request(owner, next, detail & 16 ? " type='terminate'" : " pause='20'", detail);
		break;
	case 17:
		request(owner, next, detail & 16 ? " xmpp:restart='true'" : " to='b.example'",
			detail);
		break;
	case 18:
		become_managed(owner, stream);
		break;
	case 20:
		request_with(owner, next, "", detail, 1 + detail % 5);
		break;
	case 21:
		request_with(owner, next - 1 - detail % 2, "", detail, 1 + detail % 5);
		break;
	default:
		if (detail == 0) {
			shut(owner);
		} else if (detail == 1) {
			refuse(owner);
		} else {
			bosh_session_moved(owner->session);
		}
		break;
	}
}

static void create(struct owner *owner, struct sv *input)
{
	static const unsigned waits[] = {60, 0, 1, 20};
	unsigned decision = fuzz_byte(input), wish = fuzz_byte(input);
	struct bosh_body body;
	char attributes[200];

	owner->limits = (struct bosh_limits){
		.wait_s = waits[decision & 3],
		.hold = decision >> 2 & 3,
		.inactivity_s = 30,
		.polling_s = decision & 16 ? 2 : 0,
		.maxpause_s = decision & 32 ? 120 : 0,
		.linger_ms = decision & 64 ? 100 : 0,
		.n_repeats_max = 3,
		.n_streams_max = decision & 128 ? 3 : 1,
		.n_pending_max = PENDING_MAX,
	};
	owner->uses_keys = wish & 64;
	snprintf(attributes, sizeof(attributes), " to='a.example' wait='%u' hold='%u'%s%s",
		 waits[wish & 3], wish >> 2 & 3, wish & 16 ? " ack='1'" : "",
		 wish & 32 ? "" : " ver='1.11'");
	owner->highest_rid = FIRST_RID;
	read_body(owner, FIRST_RID, attributes, 0x80, 0, &body);
	assert_int_equal(bosh_session_new(&owner->limits, "SID", &body, owner->n_exchanges,
					  owner->now, &owner->session),
			 0);
	bosh_body_deinit(&body);
	owner_open(owner, 0);
	owner_done(owner, bosh_session_flush(owner->session, owner->now, &owner->actions));
}

void fuzz_one(struct sv input)
{
	struct owner owner = {.now = {1000}};

	if (!pool) {
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	}
	create(&owner, &input);
	for (unsigned n = 0; n < STEPS_MAX && input.n && !owner.ended; n++) {
		unsigned what = fuzz_byte(&input);

		step(&owner, what, fuzz_byte(&input));
	}
	/* Nothing comes any more: no timer runs for longer than these. */
	pass(&owner, 1000 * (int64_t)(60 + 120 + 3 * 30 + 10));
	FUZZ_CHECK(owner.ended);
	owner_check_end(&owner);
	bosh_session_free(owner.session);
}
