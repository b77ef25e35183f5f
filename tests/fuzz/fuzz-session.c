/* SPDX-License-Identifier: MIT */
/*
 * bosh/session.h. The input decides what the operator allows, and then, two bytes for each, what
 * happens: requests in and out of order, repeats, broken connections, what servers say, time.
 *
 * Each exchange is answered once, and none after the end. What a client sends goes to a server once
 * and in order. What a server sends stands in the answers to one rid only, in order; when the
 * session ends, it has been answered or returned. The session always ends.
 *
 * covers: gateway/bosh/session.c gateway/bosh/request.c gateway/bosh/process.c
 * covers: gateway/bosh/release.c gateway/bosh/ending.c gateway/bosh/response.c
 * covers: gateway/bosh/payloads.c gateway/bosh/streams.c gateway/bosh/reply-cache.c
 * covers: gateway/bosh/slots.c gateway/bosh/early.c gateway/bosh/last-answer.c
 * covers: gateway/bosh/actions.c gateway/bosh/answer.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/bosh/session.h"
#include "gateway/xmpp/namespace.h"

enum {
	FIRST_RID = 100,
	STEPS_MAX = 250,
	/* Each step makes at most one of them; and the one that creates the session. */
	EXCHANGES_MAX = STEPS_MAX + 2,
	STANZAS_MAX = STEPS_MAX + 2,
	PENDING_MAX = 400,
	NAMES_MAX = 4,
	NAME_LENGTH = 32,
	/* Of waiting payloads, replies, early requests and their buffers. */
	HELD_MAX = 256 * 1024,
	/* Calls of the timer until a session without requests ends. */
	EXPIRIES_MAX = 64,
};

enum exchange_state {
	EXCHANGE_UNUSED,
	EXCHANGE_OPEN,
	EXCHANGE_GONE,
	EXCHANGE_ANSWERED,
};

/* What a server has sent. */
struct stanza {
	unsigned stream;
	uint64_t rid; /* in whose answers it stands; 0: none */
	bool returned;
	bool excused; /* its link is over, or the server keeps it itself */
};

struct owner {
	struct bosh_limits limits;
	struct bosh_session *session;
	struct bosh_actions actions;
	struct mono now;
	enum exchange_state exchanges[EXCHANGES_MAX];
	uint64_t rids[EXCHANGES_MAX]; /* by exchange */
	uint64_t n_exchanges, highest_rid;
	struct stanza stanzas[STANZAS_MAX];
	size_t n_stanzas;
	bool is_open[BOSH_STREAMS_MAX], is_managed[BOSH_STREAMS_MAX], is_read[BOSH_STREAMS_MAX];
	uint64_t last_sent[BOSH_STREAMS_MAX];     /* the rid of the last payload that was sent */
	uint64_t last_answered[BOSH_STREAMS_MAX]; /* the last stanza that was answered */
	char names[NAMES_MAX][NAME_LENGTH + 1];
	size_t n_names;
	bool ended;
};

static struct xml_pool *pool;

/* Takes the next "<s n='NUMBER'/>" or "<c n='NUMBER'/>" of @text. */
static bool take_marker(struct sv *text, struct sv begin, uint64_t *ret_number)
{
	size_t at = sv_find_sv(*text, begin);

	if (at == text->n) {
		return false;
	}
	*text = sv_skip(*text, at + begin.n);
	assert_int_equal(sv_to_u64(fuzz_part(text, '\''), UINT32_MAX, ret_number), 0);
	return true;
}

static void learn_name(struct owner *owner, struct sv text)
{
	text = sv_skip(text, sv_find_sv(text, SV(" stream='")) + 9);
	if (text.n > NAME_LENGTH) {
		char *name = owner->names[owner->n_names++ % NAMES_MAX];

		memcpy(name, text.data, NAME_LENGTH);
		name[NAME_LENGTH] = '\0';
	}
}

static void on_answer(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = blob_sv(action->blob);
	uint64_t number, rid;

	FUZZ_CHECK(action->exchange > 0 && action->exchange <= owner->n_exchanges);
	FUZZ_CHECK(owner->exchanges[action->exchange] != EXCHANGE_ANSWERED);
	FUZZ_CHECK(sv_starts_with(text, SV("<body ")));
	owner->exchanges[action->exchange] = EXCHANGE_ANSWERED;
	rid = owner->rids[action->exchange];
	learn_name(owner, sv_first(text, sv_find(text, '>')));
	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		struct stanza *stanza = &owner->stanzas[number];

		FUZZ_CHECK(!stanza->returned);
		FUZZ_CHECK(stanza->rid == 0 || stanza->rid == rid);
		if (stanza->rid == 0) {
			FUZZ_CHECK(number > owner->last_answered[stanza->stream]);
			owner->last_answered[stanza->stream] = number;
			stanza->rid = rid;
		}
	}
}

static void on_send(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = buffer_sv(&action->payloads);
	uint64_t rid;
	size_t n = 0;

	FUZZ_CHECK(owner->is_open[action->stream]);
	while (take_marker(&text, SV("<c n='"), &rid)) {
		FUZZ_CHECK(rid > owner->last_sent[action->stream] && rid <= owner->highest_rid);
		owner->last_sent[action->stream] = rid;
		n++;
	}
	FUZZ_CHECK(n > 0 && n == action->n_payloads);
}

static void on_bounce(struct owner *owner, const struct bosh_action *action)
{
	struct sv text = buffer_sv(&action->payloads);
	uint64_t number;

	FUZZ_CHECK(owner->is_open[action->stream]);
	while (take_marker(&text, SV("<s n='"), &number)) {
		FUZZ_CHECK(number > 0 && number <= owner->n_stanzas);
		FUZZ_CHECK(!owner->stanzas[number].returned);
		FUZZ_CHECK(owner->stanzas[number].stream == action->stream);
		owner->stanzas[number].returned = true;
	}
}

static void on_action(struct owner *owner, const struct bosh_action *action)
{
	FUZZ_CHECK(!owner->ended && action->stream < BOSH_STREAMS_MAX);
	switch (action->kind) {
	case BOSH_ACTION_ANSWER:
		on_answer(owner, action);
		break;
	case BOSH_ACTION_OPEN:
		FUZZ_CHECK(!owner->is_open[action->stream]);
		owner->is_open[action->stream] = owner->is_read[action->stream] = true;
		owner->is_managed[action->stream] = false;
		break;
	case BOSH_ACTION_SEND:
		on_send(owner, action);
		break;
	case BOSH_ACTION_BOUNCE:
		on_bounce(owner, action);
		break;
	case BOSH_ACTION_RESTART:
		FUZZ_CHECK(owner->is_open[action->stream]);
		break;
	case BOSH_ACTION_CLOSE:
		FUZZ_CHECK(owner->is_open[action->stream]);
		owner->is_open[action->stream] = false;
		break;
	case BOSH_ACTION_STOP_READING:
	case BOSH_ACTION_RESUME_READING:
		FUZZ_CHECK(owner->is_open[action->stream]);
		FUZZ_CHECK(owner->is_read[action->stream] ==
			   (action->kind == BOSH_ACTION_STOP_READING));
		owner->is_read[action->stream] = action->kind == BOSH_ACTION_RESUME_READING;
		break;
	case BOSH_ACTION_END:
		owner->ended = true;
		break;
	}
}

/* Carries out the actions of a call that returned @r. */
static void done(struct owner *owner, int r)
{
	assert_int_equal(r, 0);
	for (size_t i = 0; i < owner->actions.n; i++) {
		on_action(owner, &owner->actions.items[i]);
	}
	bosh_actions_deinit(&owner->actions);
	FUZZ_CHECK(bosh_session_held(owner->session) <= HELD_MAX);
}

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
		done(owner, bosh_session_expire(owner->session, owner->now, &owner->actions));
	}
	owner->now = until;
}

static void write_body(const struct owner *owner, uint64_t rid, const char *attributes,
		       unsigned detail, struct buffer *text)
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
	if (detail & 0x80) {
		LOG(text, "/>");
	} else {
		LOG(text, "><c n='%llu' xmlns='jabber:client'/></body>", (unsigned long long)rid);
	}
}

/* Reads the body of a new exchange. */
static void read_body(struct owner *owner, uint64_t rid, const char *attributes, unsigned detail,
		      struct bosh_body *body)
{
	const struct xml_scan_options options = bosh_body_options(4000);
	struct buffer text = BUFFER_INIT;

	write_body(owner, rid, attributes, detail, &text);
	assert_int_equal(bosh_body_init(body, pool, &options, buffer_sv(&text)), BOSH_BODY_OK);
	buffer_deinit(&text);
	owner->n_exchanges++;
	owner->exchanges[owner->n_exchanges] = EXCHANGE_OPEN;
	owner->rids[owner->n_exchanges] = rid;
	owner->highest_rid = rid > owner->highest_rid ? rid : owner->highest_rid;
}

static void request(struct owner *owner, uint64_t rid, const char *attributes, unsigned detail)
{
	struct bosh_body body;

	read_body(owner, rid, attributes, detail, &body);
	done(owner, bosh_session_request(owner->session, owner->n_exchanges, &body, owner->now,
					 &owner->actions));
	bosh_body_deinit(&body);
}

static void refuse(struct owner *owner)
{
	struct bosh_body body;

	read_body(owner, owner->highest_rid + 1, "", 0, &body);
	done(owner, bosh_session_refuse(owner->session, owner->n_exchanges, &body,
					BOSH_RULE_TOO_FAST, &owner->actions));
	bosh_body_deinit(&body);
}

static void server_says(struct owner *owner, unsigned stream, bool is_features)
{
	struct buffer *pending;

	if (!owner->is_open[stream] || !owner->is_read[stream]) {
		return;
	}
	pending = bosh_session_pending(owner->session, stream, false, is_features);
	if (is_features) {
		LOG(pending, "<f/>");
	} else {
		size_t number = ++owner->n_stanzas;

		owner->stanzas[number] =
			(struct stanza){.stream = stream, .excused = owner->is_managed[stream]};
		LOG(pending, "<s n='%zu'/>", number);
	}
	done(owner, bosh_session_flush(owner->session, owner->now, &owner->actions));
}

/* Nobody can return anything to the server of @stream. */
static void excuse(struct owner *owner, unsigned stream)
{
	for (size_t i = 1; i <= owner->n_stanzas; i++) {
		owner->stanzas[i].excused |= owner->stanzas[i].stream == stream;
	}
}

static void link_fails(struct owner *owner, unsigned stream)
{
	struct failure failure;

	if (!owner->is_open[stream]) {
		return;
	}
	failure_set(&failure, FAILURE_CONNECTION_LOST, NULL);
	owner->is_open[stream] = false;
	excuse(owner, stream);
	done(owner,
	     bosh_session_fail(owner->session, stream, &failure, owner->now, &owner->actions));
}

static void become_managed(struct owner *owner, unsigned stream)
{
	if (owner->is_open[stream]) {
		owner->is_managed[stream] = true;
		excuse(owner, stream);
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
	done(owner, bosh_session_shut(owner->session, &failure, owner->now, &owner->actions));
}

static void congest(struct owner *owner, unsigned stream, bool is_congested)
{
	if (owner->is_open[stream]) {
		done(owner, bosh_session_congest(owner->session, stream, is_congested, owner->now,
						 &owner->actions));
	}
}

static void step(struct owner *owner, unsigned what, unsigned detail)
{
	static const int64_t units_ms[] = {1, 50, 500, 7000};
	uint64_t next = owner->highest_rid + 1;
	unsigned stream = detail & 3;

	switch (what % 20) {
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
	snprintf(attributes, sizeof(attributes), " to='a.example' wait='%u' hold='%u'%s%s",
		 waits[wish & 3], wish >> 2 & 3, wish & 16 ? " ack='1'" : "",
		 wish & 32 ? "" : " ver='1.11'");
	owner->highest_rid = FIRST_RID;
	read_body(owner, FIRST_RID, attributes, 0x80, &body);
	assert_int_equal(bosh_session_new(&owner->limits, "SID", &body, owner->n_exchanges,
					  owner->now, &owner->session),
			 0);
	bosh_body_deinit(&body);
	owner->is_open[0] = owner->is_read[0] = true;
	done(owner, bosh_session_flush(owner->session, owner->now, &owner->actions));
}

static void check_end(struct owner *owner)
{
	struct bosh_last_answer last;

	for (uint64_t i = 1; i <= owner->n_exchanges; i++) {
		FUZZ_CHECK(owner->exchanges[i] != EXCHANGE_OPEN);
	}
	for (size_t i = 1; i <= owner->n_stanzas; i++) {
		const struct stanza *stanza = &owner->stanzas[i];

		if (!stanza->rid && !stanza->returned && !stanza->excused) {
			fail_msg("stanza %zu of stream %u is lost", i, stanza->stream);
		}
	}
	last = bosh_session_take_last(owner->session);
	bosh_last_answer_deinit(&last);
	FUZZ_CHECK(bosh_session_take_exchange(owner->session) == 0);
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
	check_end(&owner);
	bosh_session_free(owner.session);
}
