/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A BOSH session under test: requests and what servers send are text, and the actions are a log
 * with a line for each. Exchanges are numbered from 1 in the order of requests. Included after
 * cmocka.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bosh/session.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/corpus.h"

enum {
	FIRST_RID = 100,
	N_PENDING_MAX = 1000,
};

#define HTTPBIND "xmlns='http://jabber.org/protocol/httpbind'"
#define STREAM "xmlns:stream='http://etherx.jabber.org/streams'"
#define FEATURES "<stream:features " STREAM "/>"
#define EMPTY "<body " HTTPBIND "/>"
#define BODY(content) "<body " HTTPBIND ">" content "</body>"
#define TERMINATE(condition) "<body " HTTPBIND " type='terminate' condition='" condition "'/>"
#define TERMINATE_WITH(condition, words)                            \
	"<body " HTTPBIND " type='terminate' condition='" condition \
	"'><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" words "</text></body>"
/* The rules that tests need: condition, name, sentence. */
#define RID_WINDOW "item-not-found", "rid-window", "the rid is above the window of the session"
#define RESPONSE_DROPPED \
	"item-not-found", "response-dropped", "the response to that rid is no longer kept"
#define KEY_MISMATCH "item-not-found", "key-mismatch", "the key does not continue the key sequence"
#define STREAM_UNKNOWN \
	"item-not-found", "stream-unknown", "the session has no open stream of that name"
#define INACTIVITY \
	"item-not-found", "inactivity", "the request before this one did not arrive in time"
#define TOO_MANY_REQUESTS \
	"policy-violation", "too-many-requests", "more requests are open than the session allows"
#define POLLING_TOO_OFTEN                        \
	"policy-violation", "polling-too-often", \
		"empty requests follow each other faster than the polling interval allows"
#define TOO_MANY_REPEATS \
	"policy-violation", "too-many-repeats", "the same request was repeated too often"
#define PAUSE_TOO_LONG \
	"policy-violation", "pause-too-long", "the pause is longer than the session allows"
#define PAUSE_NOT_OFFERED \
	"policy-violation", "pause-not-offered", "this gateway does not offer pauses"
#define NOT_UNDERSTOOD                   \
	"bad-request", "not-understood", \
		"the request is not a BOSH body that this gateway understands"
/* For one of these: the answer to the request that broke it, to the other requests, and the end. */
#define BROKE(...) BROKE_OF(__VA_ARGS__)
#define BROKE_OF(condition, name, words) TERMINATE_WITH(condition, words)
#define OTHER(...) OTHER_OF(__VA_ARGS__)
#define OTHER_OF(condition, name, words) \
	TERMINATE_WITH("other-request", "another request ended this session: " words)
#define END(...) END_OF(__VA_ARGS__)
#define END_OF(condition, name, words) "end " name "\n"
#define GOODBYE "<body " HTTPBIND " type='terminate'/>"
#define DISPLACED "<body " HTTPBIND " type='error'/>"
#define CREATED(wait, hold, requests, inactivity)                                            \
	"<body " HTTPBIND " " STREAM                                                         \
	" xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true' sid='SID'" \
	" wait='" wait "' hold='" hold "' requests='" requests "' inactivity='" inactivity   \
	"' polling='2' charsets='UTF-8' ver='1.6'"
#define CREATION CREATED("60", "1", "2", "30")

struct bosh_case {
	struct bosh_limits limits;
	struct xml_pool *pool;
	struct bosh_session *session;
	uint64_t n_exchanges;
	struct mono now;
	struct bosh_actions actions;
	struct buffer log;
	bool ended;
	enum bosh_rule rule; /* for which it has */
};

static struct bosh_case one;

static inline int setup(void **state)
{
	(void)state;
	one = (struct bosh_case){.limits = {.wait_s = 60,
					    .hold = 2,
					    .inactivity_s = 30,
					    .polling_s = 2,
					    .n_repeats_max = 8,
					    .n_streams_max = 1,
					    .n_pending_max = N_PENDING_MAX}};
	return corpus_pool_new(namespaces, NS_COUNT, &one.pool);
}

static inline int teardown(void **state)
{
	(void)state;
	bosh_session_free(one.session);
	bosh_actions_deinit(&one.actions);
	buffer_deinit(&one.log);
	xml_pool_free(one.pool);
	return 0;
}

static inline void log_action(const struct bosh_action *action)
{
	static const char *const names[] = {
		[BOSH_ACTION_OPEN] = "open",
		[BOSH_ACTION_SEND] = "send",
		[BOSH_ACTION_RESTART] = "restart",
		[BOSH_ACTION_CLOSE] = "close",
		[BOSH_ACTION_STOP_READING] = "pause",
		[BOSH_ACTION_RESUME_READING] = "resume",
		[BOSH_ACTION_END] = "end",
		[BOSH_ACTION_BOUNCE] = "bounce",
	};
	struct sv text = buffer_sv(&action->payloads);
	int r;

	if (action->kind == BOSH_ACTION_ANSWER) {
		text = blob_sv(action->blob);
		r = buffer_printf(&one.log, "%d: ", (int)action->exchange);
		if (action->status != 200) {
			r = buffer_printf(&one.log, "(%u) ", action->status);
		}
	} else {
		r = buffer_printf(&one.log, "%s", names[action->kind]);
		if (r == 0 && one.limits.n_streams_max > 1 && action->kind != BOSH_ACTION_END) {
			r = buffer_printf(&one.log, " %u", action->stream);
		}
		if (r == 0 && text.n) {
			r = buffer_append_sv(&one.log, SV(" "));
		}
	}
	if (r == 0 && action->rule) {
		r = buffer_printf(&one.log, " %s", bosh_rule_name(action->rule));
	}
	assert_int_equal(r, 0);
	for (size_t i = 0; i < text.n; i++) {
		/* The texts of a restart end with NUL. */
		assert_int_equal(buffer_append(&one.log, text.data[i] ? &text.data[i] : "|", 1), 0);
	}
	assert_int_equal(buffer_append_sv(&one.log, SV("\n")), 0);
}

/* Logs the actions of a call that returned @r. */
static inline void done(int r)
{
	assert_int_equal(r, 0);
	for (size_t i = 0; i < one.actions.n; i++) {
		if (one.actions.items[i].kind == BOSH_ACTION_END) {
			one.ended = true;
			one.rule = one.actions.items[i].rule;
		}
		log_action(&one.actions.items[i]);
	}
	bosh_actions_deinit(&one.actions);
}

#define EXPECT(expected) expect(expected, __LINE__)

static inline void expect(const char *expected, int line)
{
	if (!sv_eq(buffer_sv(&one.log), sv_from(expected))) {
		fail_msg("line %d: got\n%.*s\nexpected\n%s", line, SV_ARGS(buffer_sv(&one.log)),
			 expected);
	}
	buffer_clear(&one.log);
}

/* Parses the request @rid with more attributes and with payloads. Its exchange is
 * ++one.n_exchanges. */
static inline void read_request(uint64_t rid, const char *attributes, const char *payloads,
				struct bosh_body *ret_body)
{
	struct xml_scan_options options = bosh_body_options(10000);
	struct buffer text = BUFFER_INIT;

	assert_int_equal(buffer_printf(&text,
				       "<body " HTTPBIND
				       " xmlns:xmpp='urn:xmpp:xbosh' rid='%llu'%s>%s</body>",
				       (unsigned long long)rid, attributes, payloads),
			 0);
	assert_int_equal(bosh_body_init(ret_body, one.pool, &options, buffer_sv(&text)),
			 BOSH_BODY_OK);
	buffer_deinit(&text);
	one.n_exchanges++;
}

static inline void request_with(uint64_t rid, const char *attributes, const char *payloads)
{
	struct bosh_body body;

	read_request(rid, attributes, payloads, &body);
	done(bosh_session_request(one.session, one.n_exchanges, &body, one.now, &one.actions));
	bosh_body_deinit(&body);
}

static inline void request(uint64_t rid)
{
	request_with(rid, "", "");
}

static inline void create(const char *attributes)
{
	struct bosh_body body;

	read_request(FIRST_RID, attributes, "", &body);
	assert_int_equal(
		bosh_session_new(&one.limits, "SID", &body, one.n_exchanges, one.now, &one.session),
		0);
	bosh_body_deinit(&body);
	done(bosh_session_flush(one.session, one.now, &one.actions));
}

static inline void server(const char *text)
{
	bool is_stream = strncmp(text, "<stream:", 8) == 0;
	struct buffer *pending =
		bosh_session_pending(one.session, 0, is_stream, strncmp(text, FEATURES, 16) == 0);

	assert_int_equal(buffer_append_sv(pending, sv_from(text)), 0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
}

static inline void fail_link(enum failure_kind kind, const char *detail)
{
	struct failure failure;

	failure_set(&failure, kind, detail ? "%s" : NULL, detail);
	done(bosh_session_fail(one.session, 0, &failure, one.now, &one.actions));
}

static inline void gone(uint64_t exchange)
{
	bosh_session_gone(one.session, exchange, one.now);
}

static inline void congest_so_far(enum bosh_congestion congestion)
{
	done(bosh_session_congest(one.session, 0, congestion, one.now, &one.actions));
}

static inline void congest(bool congested)
{
	congest_so_far(congested ? BOSH_CONGESTION_SOME : BOSH_CONGESTION_NONE);
}

/* Lets time pass until @ms since the start, with the owner's timer. */
static inline void at_ms(int64_t ms)
{
	for (;;) {
		struct mono deadline = bosh_session_deadline(one.session);

		if (deadline.ms > ms) {
			break;
		}
		/* One call must do all that is due, or the owner would call for ever. */
		one.now = deadline.ms > one.now.ms ? deadline : one.now;
		size_t n = one.log.n;

		done(bosh_session_expire(one.session, one.now, &one.actions));
		if (one.ended) {
			break;
		}
		assert_true(one.log.n > n || bosh_session_deadline(one.session).ms > deadline.ms);
	}
	one.now.ms = ms;
}

/* A session with hold 1 after its creation answer: exchange 1, FIRST_RID. */
static inline void begin(void)
{
	create(" ver='1.6' hold='1' wait='60' to='example.org'");
	server(FEATURES);
	buffer_clear(&one.log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
