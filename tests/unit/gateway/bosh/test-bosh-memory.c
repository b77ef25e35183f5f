/* SPDX-License-Identifier: MIT */
/*
 * A BOSH session when each of its allocations fails in turn. It returns -ENOMEM, leaks nothing, and
 * forgets no exchange: each is answered, or given by bosh_session_take_exchange(), or that of the
 * call that failed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "gateway/bosh/session-state.h"
#include "tests/unit/gateway/bosh/bosh-case.h"
#include "tests/unit/failmalloc.h"

enum {
	N_EXCHANGES_MAX = 64,
	STEPS_MAX = 16,
};

#define REQUEST(rid, attributes, payloads)                                                     \
	"<body " HTTPBIND " rid='" rid "' xmlns:xmpp='urn:xmpp:xbosh'" attributes ">" payloads \
	"</body>"

/* A step is a request, what stream 0 sends, a failure of a stream ("fail 1"), time ("at 1000"),
 * "refuse" or "shut". */
struct script {
	const char *creation;
	const char *steps[STEPS_MAX];
	size_t n_answers, n_allocations_min;
};

struct play {
	struct bosh_session *session;
	struct xml_pool *pool;
	struct bosh_actions actions;
	uint64_t n_exchanges;
	struct mono now;
};

static bool digest_fails;

/* Replaces that of OpenSSL, whose memory is its own: it fails when a test says so. */
int EVP_Digest(const void *data, size_t n, unsigned char *digest, unsigned *n_digest,
	       const EVP_MD *type, ENGINE *engine)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int r = context && !digest_fails && EVP_DigestInit_ex(context, type, engine) &&
		EVP_DigestUpdate(context, data, n) && EVP_DigestFinal_ex(context, digest, n_digest);

	EVP_MD_CTX_free(context);
	return r;
}

static int make_body(struct play *play, const char *text, struct bosh_body *ret_body)
{
	struct xml_scan_options options = bosh_body_options(10000);
	int r = bosh_body_init(ret_body, play->pool, &options, sv_from(text));

	/* Without memory for a prefix expat 2.5 calls it an undeclared one. */
	return r > 0 ? -ENOMEM : r;
}

static int play_request(struct play *play, const char *text)
{
	struct bosh_body body = {0};
	int r = make_body(play, text, &body);

	if (r == 0) {
		r = bosh_session_request(play->session, ++play->n_exchanges, &body, play->now,
					 &play->actions);
	}
	bosh_body_deinit(&body);
	return r;
}

/* The owner refuses a request, or ends the session. */
static int play_owner(struct play *play, bool refuse)
{
	struct failure failure;

	if (refuse) {
		const struct bosh_body body = {0};

		return bosh_session_refuse(play->session, ++play->n_exchanges, &body,
					   BOSH_RULE_NOT_UNDERSTOOD, &play->actions);
	}
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	return bosh_session_shut(play->session, &failure, play->now, &play->actions);
}

static int play_step(struct play *play, const char *step)
{
	struct failure failure;
	int r;

	if (strncmp(step, "<body", 5) == 0) {
		return play_request(play, step);
	}
	if (strcmp(step, "refuse") == 0 || strcmp(step, "shut") == 0) {
		return play_owner(play, step[0] == 'r');
	}
	if (strncmp(step, "at ", 3) == 0) {
		play->now.ms = strtol(step + 3, NULL, 10);
		return bosh_session_expire(play->session, play->now, &play->actions);
	}
	if (strncmp(step, "fail ", 5) == 0) {
		failure_set(&failure, FAILURE_CONNECTION_LOST, "why");
		return bosh_session_fail(play->session, (unsigned)(step[5] - '0'), &failure,
					 play->now, &play->actions);
	}
	r = bosh_session_header(play->session, 0, "id", "from");
	r = r < 0 ? r
		  : buffer_append_sv(bosh_session_pending(play->session, 0, true, true),
				     sv_from(step));
	return r < 0 ? r : bosh_session_flush(play->session, play->now, &play->actions);
}

/* Returns how many exchanges are answered, or a negative number: the exchange that was
 * forgotten. */
static int count_answers(struct play *play, int r)
{
	bool known[N_EXCHANGES_MAX] = {0};
	uint64_t exchange;
	int n = 0;

	for (size_t i = 0; i < play->actions.n; i++) {
		if (play->actions.items[i].kind == BOSH_ACTION_ANSWER) {
			known[play->actions.items[i].exchange] = true;
			n++;
		}
	}
	while (play->session && (exchange = bosh_session_take_exchange(play->session))) {
		known[exchange] = true;
	}
	/* The caller answers the exchange of the call that failed. */
	for (uint64_t i = 1; i < play->n_exchanges + (r == 0); i++) {
		if (!known[i] && play->session) {
			return -1000 - (int)i;
		}
	}
	return n;
}

/* Plays @script until a step fails. */
static int play_all(struct play *play, const struct script *script)
{
	static const struct bosh_limits limits = {.wait_s = 60,
						  .hold = 2,
						  .inactivity_s = 30,
						  .polling_s = 0,
						  .maxpause_s = 60,
						  .linger_ms = 10,
						  .n_repeats_max = 9,
						  .n_streams_max = 3,
						  .n_pending_max = 100,
						  .accepts_codings = true};
	struct bosh_body body = {0};
	int r = xml_pool_new(namespaces, NS_COUNT, &play->pool);

	play->n_exchanges = 1;
	if (r == 0) {
		r = make_body(play, script->creation, &body);
	}
	if (r == 0) {
		r = bosh_session_new(&limits, "SID", &body, 1, play->now, &play->session);
	}
	bosh_body_deinit(&body);
	for (size_t i = 0; r == 0 && script->steps[i]; i++) {
		r = play_step(play, script->steps[i]);
	}
	return r;
}

static void play_deinit(struct play *play)
{
	bosh_actions_deinit(&play->actions);
	bosh_session_free(play->session);
	xml_pool_free(play->pool);
}

static int scenario(void *userdata)
{
	const struct script *script = userdata;
	struct play play = {0};
	int r = play_all(&play, script);
	int n_answers = count_answers(&play, r);

	if (n_answers < 0 || (r == 0 && (size_t)n_answers != script->n_answers)) {
		r = n_answers < 0 ? n_answers : 1000 + n_answers;
	}
	play_deinit(&play);
	return r;
}

/* How often what the server sent, which has a "@", reaches the client or is returned. Of the
 * answers to a request only the first one counts. */
static int count_arrivals(const struct play *play)
{
	bool known[N_EXCHANGES_MAX] = {0};
	int n = 0;

	for (size_t i = 0; i < play->actions.n; i++) {
		const struct bosh_action *action = &play->actions.items[i];
		bool is_answer = action->kind == BOSH_ACTION_ANSWER;
		struct sv text = is_answer ? blob_sv(action->blob) : buffer_sv(&action->payloads);

		n += (is_answer ? !known[action->exchange] : action->kind == BOSH_ACTION_BOUNCE) &&
		     sv_find(text, '@') < text.n;
		known[action->exchange] = known[action->exchange] || is_answer;
	}
	return n;
}

/* The owner ends a session that had no memory. */
static int ended_scenario(void *userdata)
{
	struct play play = {0};
	int r = play_all(&play, userdata);

	if (r == -ENOMEM && play.session) {
		(void)!play_owner(&play, false);
	}
	int n = count_arrivals(&play);

	if (n > 1 || (r == 0 && n == 0)) {
		r = 1000 + n;
	}
	play_deinit(&play);
	return r;
}

/* What the client gets is not returned to the server as well. */
static void test_once(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' ack='1' hold='1'", ""),
		{FEATURES, REQUEST("101", " ack='99' to='b.org'", ""),
		 REQUEST("102", " ack='99'", ""), "<m xmlns='jabber:client' from='a@b'/>"},
		3,
		30,
	};

	(void)state;
	failmalloc_each(ended_scenario, &script, script.n_allocations_min);
}

static void test_order(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='1'", ""),
		{FEATURES, REQUEST("101", "", "<a/>"), REQUEST("101", "", "<a/>"),
		 REQUEST("103", "", "<c/>"), REQUEST("103", "", "<c/>"), REQUEST("102", "", "<b/>"),
		 REQUEST("102", "", "<b/>"), REQUEST("104", " xmpp:restart='true' to='a'", ""),
		 "at 60000", "fail 0", REQUEST("105", "", "")},
		9,
		60,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

static void test_acks(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' ack='1' hold='1'", ""),
		{FEATURES, REQUEST("101", "", "<a/>"), "<m xmlns='jabber:client' from='a'/>",
		 REQUEST("102", " ack='100'", "<b/>"), "<n/>", REQUEST("103", " ack='100'", "<b/>"),
		 "<n/>", REQUEST("104", " ack='100'", "<b/>"), "<n/>", "at 2000",
		 REQUEST("105", " ack='100'", "<b/>"),
		 REQUEST("106", " ack='104' type='terminate'", "")},
		7,
		60,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

static void test_streams(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='1'", ""),
		{FEATURES, REQUEST("101", " to='b.org'", ""), REQUEST("102", " to='c.org'", ""),
		 REQUEST("103", " to='d.org'", ""), REQUEST("104", "", "<a/>"), "<m/>",
		 REQUEST("105", " xmpp:restart='1'", ""), "fail 1", "<m/>", "fail 2", "fail 0",
		 REQUEST("106", "", ""), REQUEST("107", "", "")},
		8,
		60,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

/* One stream too many is refused with a name, which may not be made either. */
static void test_stream_without_name(void **state)
{
	static const struct script script = {
		.creation = REQUEST("100", " ver='1.6' hold='1'", ""),
		.steps = {FEATURES, REQUEST("101", " to='b.org'", ""),
			  REQUEST("102", " to='c.org'", "")},
	};
	struct play play = {0};

	(void)state;
	assert_int_equal(play_all(&play, &script), 0);
	digest_fails = true;
	assert_int_equal(play_request(&play, REQUEST("103", " to='d.org'", "")), -ENOMEM);
	digest_fails = false;
	play_deinit(&play);
}

/* A stream that has failed stays until an answer says so: its name must not be free before. */
static void test_failed_stays(void **state)
{
	static const struct script script = {
		.creation = REQUEST("100", " ver='1.6' hold='1'", ""),
		.steps = {FEATURES, REQUEST("101", " to='b.org'", ""), REQUEST("102", "", "")},
	};
	unsigned n_failures = 0;
	int r = -ENOMEM;

	(void)state;
	for (size_t n = 1; r == -ENOMEM; n++) {
		struct play play = {0};

		assert_int_equal(play_all(&play, &script), 0);
		failmalloc_arm(n, false);
		r = play_step(&play, "fail 1");
		failmalloc_disarm();
		assert_int_equal(bosh_stream_is_used(&play.session->streams[1]), r == -ENOMEM);
		n_failures += r == -ENOMEM;
		play_deinit(&play);
	}
	assert_int_equal(r, 0);
	assert_in_range(n_failures, 3, 30);
}

/* Payloads that wait for the features, of one stream and of two. */
static void test_waiting(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='1' wait='1'", ""),
		{"at 1000", REQUEST("101", "", "<a/>"), REQUEST("102", "", "<b/>"), FEATURES,
		 REQUEST("103", " to='b.org'", ""), REQUEST("104", " xmpp:restart='true'", ""),
		 REQUEST("105", "", "<c/>"), REQUEST("106", "", "<d/>"), FEATURES},
		6,
		60,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

/* What is pending when the client has gone is returned. */
static void test_end(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='1' ack='1'", ""),
		{FEATURES, REQUEST("101", " pause='50'", "<a/>"), "<m/>", REQUEST("102", "", ""),
		 "<m/>", "<n/>", "at 90000"},
		3,
		30,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

static void test_refuse(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='1'", ""),
		{FEATURES, REQUEST("101", "", "<a/>"), REQUEST("103", "", "<c/>"), "refuse"},
		4,
		30,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

static void test_shut(void **state)
{
	struct script script = {
		REQUEST("100", " ver='1.6' hold='2'", ""),
		{FEATURES, REQUEST("101", "", "<a/>"), REQUEST("102", "", "<a/>"),
		 REQUEST("104", "", "<c/>"), "shut"},
		4,
		30,
	};

	(void)state;
	failmalloc_each(scenario, &script, script.n_allocations_min);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_acks),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_shut),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_stream_without_name),
		cmocka_unit_test(test_failed_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
