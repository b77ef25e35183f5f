/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/log.h"
#include "gateway/bosh/endpoint.h"
#include "gateway/bosh/relay.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/common/wiped.h"
#include "tests/unit/corpus.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/fake-link.h"
#include "tests/unit/quiet.h"

/* The sessions of an endpoint share its parsers and the list of actions that their engines fill.
 * Whatever happens to one session, the next one behaves as on an endpoint of its own. */

enum {
	N_BODY_MAX = 100000,
	GUARD_MS = 10000,
	LINGER_MS = 50,
	GRACE_MS = 1000, /* of a session, when the process has stood still for longer */
};

#define NS "xmlns='http://jabber.org/protocol/httpbind'"
#define NS_PER_MS UINT64_C(1000000)
/* Names are counted, not drawn. */
#define SID "AAAaaaaaaaaaaaaaaaaaaaaaa"
#define CREATE "> <body " NS " rid='1' to='example.org' ver='1.6' wait='60' hold='1'/>"
#define BODY(rid, more, content) \
	"> <body " NS " sid='" SID "' rid='" rid "'" more ">" content "</body>"
#define EMPTY(rid) BODY(rid, "", "")
#define MESSAGE(rid) BODY(rid, "", "<message xmlns='jabber:client'><body>" rid "</body></message>")
#define SERVER                                                                                  \
	"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " \
	"id='s' "                                                                               \
	"from='example.org' version='1.0'>"

/* A step is what the client sends ("> text") or the server ("< text"). */
static const char *const scripts[][12] = {
	{CREATE, "< " SERVER "<stream:features/>", EMPTY("2"), MESSAGE("3"),
	 "< <message><body>secret</body></message>", EMPTY("4"), "< <presence/>", EMPTY("5")},
	{CREATE, EMPTY("2"), "< " SERVER "<stream:features/>",
	 BODY("3", "", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
	 "< <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
	 BODY("4", " xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", ""),
	 "< " SERVER "<stream:features/>",
	 "< <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
	/* Out of turn, and again. */
	{CREATE, "< " SERVER "<stream:features/>", MESSAGE("3"), MESSAGE("2"), MESSAGE("2"),
	 MESSAGE("9")},
	{CREATE, "< " SERVER "<stream:features/>", MESSAGE("2") "<![CDATA["},
	{CREATE, "< " SERVER "<stream:features/><![CDATA["},
	{CREATE, "< " SERVER "<stream:features/>", MESSAGE("2"),
	 "< <message>1</message></stream:stream>"},
	{CREATE, "< <html>"},
	{CREATE, MESSAGE("2"), MESSAGE("3")},
	{CREATE "<![CDATA["},
	{"> <body " NS " rid='1' to='no host' ver='1.6'/>"},
	{"> <body " NS " rid='1' sid='nosuch'/>"},
	{"> <bo"},
};

static struct census *census;
static struct throttle *throttle;
static struct budget *budget;
static struct metrics_cell metrics;
static struct config config;
static uv_loop_t loop;
static int64_t stood_still_ms; /* how much later it is for the endpoint than for the loop */
static unsigned n_behind;      /* for so many looks the loop is behind with the clients' events */
static uint64_t began_ns;      /* when the process stood still; 0: not to be looked at */
static const struct bosh_relay_callbacks *relay_callbacks;

static int setup(void **state)
{
	static char nowhere[] = "";
	const struct census_limits limits = {.sessions = SIZE_MAX,
					     .sessions_per_client = SIZE_MAX,
					     .connections_per_client = SIZE_MAX};
	const struct budget_limits no_limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	int r = uv_loop_init(&loop);

	(void)state;
	log_errors_only();
	config.wait_s = 60;
	config.hold = 2;
	/* All sessions have the same name, so none may be remembered. */
	config.inactivity_s = 0;
	config.n_repeats_max = 8;
	config.n_streams_max = 1;
	config.n_pending_max = 10000;
	config.see_other_uri = nowhere;
	if (r == 0) {
		r = budget_new(&no_limits, 1, &budget);
	}
	if (r == 0) {
		r = throttle_new(&throttle);
	}
	return r < 0 ? r : census_new(&limits, &census);
}

static int teardown(void **state)
{
	(void)state;
	budget = budget_free(budget);
	census = census_free(census);
	throttle = throttle_free(throttle);
	return uv_loop_close(&loop);
}

struct mono worker_now(const struct worker_env *env)
{
	return (struct mono){(int64_t)uv_now(env->loop) + stood_still_ms};
}

bool wire_hub_is_behind(struct wire_hub *hub)
{
	(void)hub;
	return n_behind && n_behind--;
}

/* So that none is remembered: each look is a while later. */
uint32_t wire_hub_seconds(const struct wire_hub *hub)
{
	static uint32_t seconds;

	(void)hub;
	return ++seconds;
}

/* The relay below. */

int bosh_relay_new(struct worker_env *env, const struct bosh_relay_callbacks *callbacks,
		   void *userdata, struct bosh_relay **ret_relay)
{
	(void)env;
	(void)userdata;
	relay_callbacks = callbacks;
	*ret_relay = NULL;
	return 0;
}

struct bosh_relay *bosh_relay_free(struct bosh_relay *relay)
{
	return relay;
}

void bosh_relay_created(struct bosh_relay *relay, uint64_t exchange, const char *sid)
{
	(void)relay;
	(void)exchange;
	(void)sid;
}

void bosh_relay_answer(struct bosh_relay *relay, uint64_t exchange, unsigned status,
		       const char *content_type, struct blob *blob)
{
	char what[100];

	(void)relay;
	(void)snprintf(what, sizeof(what), "answer %d, %u, %s:", (int)exchange, status,
		       content_type);
	script_add(what, blob ? blob_sv(blob) : SV("-"));
	blob_unref(blob);
}

/* An endpoint with what its worker has. */
struct stage {
	struct worker_env env;
	struct bosh_endpoint *endpoint;
};

static struct process_state process;

static void stage_init(struct stage *stage, struct xml_pool *pool)
{
	*stage = (struct stage){.env = {.loop = &loop,
					.n_workers = 1,
					.config = &config,
					.census = census,
					.throttle = throttle,
					.budget = budget,
					.foreign_budget = budget,
					.metrics = &metrics,
					.process = &process,
					.pool = pool}};
	stage->env.link.pool = pool;
	stage->env.link.scan_options = stream_options(N_BODY_MAX);
	assert_int_equal(bosh_endpoint_new(&stage->env, &stage->endpoint), 0);
}

static void stage_deinit(struct stage *stage)
{
	bosh_endpoint_stop(stage->endpoint);
	uv_run(&loop, UV_RUN_DEFAULT);
	bosh_endpoint_free(stage->endpoint);
	xml_pool_free(stage->env.pool);
}

static void client_says(struct stage *stage, uint64_t exchange, const char *text)
{
	const struct xml_scan_options options = bosh_body_options(N_BODY_MAX);
	struct bosh_request request = {.exchange = exchange, .client = {.any.sa_family = AF_INET}};

	int r = bosh_body_init(&request.body, stage->env.pool, &options, sv_from(text));

	/* Without memory, the relay answers. */
	if (r >= 0) {
		request.body_result = (enum bosh_body_result)r;
		relay_callbacks->request(stage->endpoint, &request);
	}
	bosh_body_deinit(&request.body);
}

/* A session from its creation to the end of its script. */
static void play(struct stage *stage, const char *const *steps)
{
	uint64_t exchange = 0;

	script_reset();
	for (; *steps; steps++) {
		if ((*steps)[0] == '<') {
			server_says(*steps + 2);
		} else {
			client_says(stage, ++exchange, *steps + 2);
		}
	}
}

/* Ends the session, unless it has ended, with a rid outside of its window. Its memory goes at a
 * later turn of the loop. */
static void end(struct stage *stage)
{
	client_says(stage, 100, "<body " NS " sid='" SID "' rid='9000000'/>");
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_null(fake_link);
	assert_int_equal(census_sessions(census), 0);
	assert_int_equal(budget_clients(budget), 0);
}

/* What a session says on an endpoint of its own. */
static const char *expected_of(const char *const *steps)
{
	static char text[SCRIPT_MAX];
	struct xml_pool *pool;
	struct stage own;

	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&own, pool);
	play(&own, steps);
	end(&own);
	memcpy(text, script.text, script.n + 1);
	stage_deinit(&own);
	return text;
}

static void check(struct stage *stage, const char *const *steps)
{
	const char *expected = expected_of(steps);

	play(stage, steps);
	end(stage);
	if (strcmp(script.text, expected) != 0) {
		fail_msg("got\n%s\nexpected\n%s", script.text, expected);
	}
}

/* The scripts do what they are meant to do. */
static void test_words(void **state)
{
	const char *said = expected_of(scripts[0]);

	(void)state;
	assert_non_null(strstr(said, " sid='" SID "'"));
	assert_non_null(strstr(
		said, "\nto server <message xmlns='jabber:client'><body>3</body></message>\n"));
	assert_non_null(strstr(
		said, "\nanswer 3, 200, text/xml; charset=utf-8: <body " NS
		      "><message xmlns='jabber:client'><body>secret</body></message></body>\n"));
}

/* Returns how much of a message with @n bytes of text is wiped at once, after what the client and
 * the server have said in @steps. */
static size_t wiped_of_message(size_t n, const char *const *steps)
{
	static char text[N_BODY_MAX];
	struct xml_pool *pool;
	struct stage own;
	const char *body = &BODY("3", "", "<m xmlns='urn:m'>%0*d</m>")[2];

	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&own, pool);
	play(&own, steps);
	(void)snprintf(text, sizeof(text), body, (int)n, 0);
	n_wiped_most = 0;
	client_says(&own, 50, text);
	assert_non_null(strstr(script.text, "to server <m "));
	size_t n_most = n_wiped_most;

	end(&own);
	stage_deinit(&own);
	return n_most;
}

/* Before the login all of it may be a password, or what surrounds one. */
static void test_wiped(void **state)
{
	static const char *const open[] = {CREATE, EMPTY("2"), "< " SERVER "<stream:features/>",
					   NULL};
	static const char *const online[] = {
		CREATE, EMPTY("2"),
		"< " SERVER "<stream:features/><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
		NULL};
	size_t n = BUFFER_WIPE_MAX + 1000;

	(void)state;
	assert_in_range(wiped_of_message(n, open), n, N_BODY_MAX);
	assert_int_equal(wiped_of_message(n, online), BUFFER_WIPE_MAX);
}

static void on_guard(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Runs the loop until @is_so. Nothing else comes within GUARD_MS: the next deadline of the session
 * is that of its `wait`. */
static void await(bool (*is_so)(const char *what), const char *what)
{
	uv_timer_t guard;
	bool is_over = false;

	assert_int_equal(uv_timer_init(&loop, &guard), 0);
	guard.data = &is_over;
	uv_timer_start(&guard, on_guard, GUARD_MS, 0);
	while (!is_so(what) && !is_over) {
		uv_run(&loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&guard, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	/* If the machine was busy with something else, both may be so. */
	if (!is_so(what)) {
		fail_msg("no %s in\n%s", what, script.text);
	}
}

static bool is_said(const char *what)
{
	return strstr(script.text, what);
}

/* A request lingers until its moment is over, and what has to be told earlier does not wait for
 * that. */
static void test_linger(void **state)
{
	static const char *const over[] = {CREATE, "< " SERVER "<stream:features/>", EMPTY("2"),
					   MESSAGE("3"), NULL};
	static const char *const verdict[] = {CREATE,     "< " SERVER "<stream:features/>",
					      EMPTY("2"), MESSAGE("3"),
					      EMPTY("4"), EMPTY("5"),
					      EMPTY("6"), NULL};
	const unsigned polling_s = config.polling_s, linger_ms = config.linger_ms;
	struct xml_pool *pool;
	struct stage own;

	(void)state;
	for (int i = 0; i < 2; i++) {
		config.linger_ms = i ? 10 * GUARD_MS : LINGER_MS;
		config.polling_s = 60;
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
		stage_init(&own, pool);
		uv_update_time(&loop);
		play(&own, i ? verdict : over);
		assert_null(strstr(script.text, i ? "terminate" : "answer 2"));
		await(is_said, i ? "terminate" : "answer 2");
		end(&own);
		stage_deinit(&own);
	}
	config.polling_s = polling_s;
	config.linger_ms = linger_ms;
}

/* What the client has sent may be among the events that the loop has not looked at. */
static void test_behind(void **state)
{
	static const char *const verdict[] = {CREATE,     "< " SERVER "<stream:features/>",
					      EMPTY("2"), MESSAGE("3"),
					      EMPTY("4"), EMPTY("5"),
					      EMPTY("6"), NULL};
	const unsigned polling_s = config.polling_s, linger_ms = config.linger_ms;
	struct xml_pool *pool;
	struct stage own;

	(void)state;
	config.linger_ms = 10 * GUARD_MS;
	config.polling_s = 60;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&own, pool);
	uv_update_time(&loop);
	play(&own, verdict);
	n_behind = 3;
	await(is_said, "terminate");
	assert_int_equal(n_behind, 0);
	end(&own);
	stage_deinit(&own);
	config.polling_s = polling_s;
	config.linger_ms = linger_ms;
}

static void count_timer(uv_handle_t *handle, void *n)
{
	*(size_t *)n += handle->type == UV_TIMER && uv_is_active(handle);
}

/* Whether the only timer besides the guard is that of all that linger. On a slow machine that may
 * be over. */
static bool is_lingering(const char *answer)
{
	size_t n = 0;

	uv_walk(&loop, count_timer, &n);
	return n <= 2 || is_said(answer);
}

static void count_grace(uv_handle_t *handle, void *n)
{
	const uv_timer_t *timer = (uv_timer_t *)handle;

	if (handle->type == UV_TIMER && uv_is_active(handle)) {
		uint64_t ms = uv_timer_get_due_in(timer);

		*(size_t *)n += ms > LINGER_MS && ms <= GRACE_MS;
	}
}

/* Whether the session waits for what may be on its way. On a slow machine that may be over. */
static bool is_graced(const char *answer)
{
	size_t n = 0;

	uv_walk(&loop, count_grace, &n);
	assert_true(n || !is_said(answer) || uv_hrtime() - began_ns >= GRACE_MS * NS_PER_MS);
	return n > 0 || is_said(answer);
}

/* The process was stopped while a request lingered: what came meanwhile is read first. */
static void test_linger_too_long(void **state)
{
	static const char *const steps[] = {CREATE, "< " SERVER "<stream:features/>", EMPTY("2"),
					    MESSAGE("3"), NULL};
	const unsigned linger_ms = config.linger_ms;
	struct xml_pool *pool;
	struct stage own;

	(void)state;
	config.linger_ms = LINGER_MS;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&own, pool);
	uv_update_time(&loop);
	play(&own, steps);
	/* The session's own timer, which was set when it began, finds nothing to do. */
	await(is_lingering, "answer 2");
	began_ns = is_said("answer 2") ? 0 : uv_hrtime();
	stood_still_ms = 2 * GRACE_MS;
	await(is_graced, "answer 2");
	end(&own);
	stage_deinit(&own);
	stood_still_ms = 0;
	config.linger_ms = linger_ms;
}

static void test_isolation(void **state)
{
	struct xml_pool *pool;
	struct stage used;

	(void)state;
	assert_int_equal(corpus_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&used, pool);
	for (size_t i = 0; i < ARRAY_LENGTH(scripts) * ARRAY_LENGTH(scripts); i++) {
		play(&used, scripts[i / ARRAY_LENGTH(scripts)]);
		end(&used);
		check(&used, scripts[i % ARRAY_LENGTH(scripts)]);
	}
	stage_deinit(&used);
}

static void test_without_memory(void **state)
{
	struct xml_pool *pool;
	struct stage used;

	(void)state;
	assert_int_equal(corpus_pool_new(namespaces, NS_COUNT, &pool), 0);
	stage_init(&used, pool);
	for (size_t i = 0; i < ARRAY_LENGTH(scripts) * 2; i++) {
		size_t n_failed = 1;

		for (size_t n = 1; n_failed; n++) {
			failmalloc_arm(n, i % 2);
			play(&used, scripts[i / 2]);
			n_failed = failmalloc_disarm();
			end(&used);
			check(&used, scripts[(i + n) % ARRAY_LENGTH(scripts)]);
		}
	}
	stage_deinit(&used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),           cmocka_unit_test(test_linger),
		cmocka_unit_test(test_linger_too_long), cmocka_unit_test(test_behind),
		cmocka_unit_test(test_isolation),       cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_wiped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
