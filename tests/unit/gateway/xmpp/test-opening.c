/* SPDX-License-Identifier: MIT */
/* What the owner of an opening is told when a server is left, because another one is tried. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/xmpp/attempt.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/opening.h"

enum {
	N_HELD = 1000, /* by a connected server */
	TIMEOUT_MS = 200,
	ROUNDS_MAX = 1000,
};

static uv_loop_t loop;
static struct link_env env;
static struct stream stream;
static struct opening *opening;
static int transports[2], the_dial;

static struct attempt *attempt;
static const struct attempt_callbacks *attempt_callbacks;
static const struct dial_callbacks *dial_callbacks;
static void *dial_userdata;
static unsigned n_dials, n_told;
static size_t n_held; /* as the owner was told */

/* These take the places of the program's. */

void attempt_init(struct attempt *of, const struct opening_task *task, const struct address *client,
		  const struct attempt_callbacks *callbacks, void *userdata)
{
	(void)client;
	*of = (struct attempt){.task = task, .callbacks = callbacks, .userdata = userdata};
	attempt = of;
	attempt_callbacks = callbacks;
}

void attempt_start(struct attempt *of, struct transport *transport,
		   const struct dial_result *result, bool is_redirected)
{
	(void)result;
	(void)is_redirected;
	of->transport = transport;
}

void attempt_leave(struct attempt *of)
{
	of->transport = NULL;
}

void attempt_close(struct attempt *of)
{
	of->transport = NULL;
}

size_t attempt_held(const struct attempt *of)
{
	return of->transport == (struct transport *)&transports[0] ? N_HELD : 0;
}

uint32_t attempt_dns_crowd(const struct attempt *of)
{
	(void)of;
	return 0;
}

int dial_new(struct dialer *dialer, const struct dial_options *options, struct dial **ret_dial)
{
	(void)dialer;
	n_dials++;
	dial_callbacks = options->callbacks;
	dial_userdata = options->userdata;
	*ret_dial = (struct dial *)&the_dial;
	return 0;
}

struct dial *dial_free(struct dial *dial)
{
	(void)dial;
	return NULL;
}

void history_note_unusable(struct history *history, const char *domain,
			   const struct address *address, struct mono now)
{
	(void)history;
	(void)domain;
	(void)address;
	(void)now;
}

/* The owner. */

static void on_received(void *userdata)
{
	(void)userdata;
	n_told++;
	n_held = opening_held(opening);
}

static const struct opening_callbacks callbacks = {.received = on_received};

static void connect_to(unsigned which)
{
	static const struct address address;

	dial_callbacks->done(dial_userdata, (struct transport *)&transports[which],
			     &(struct dial_result){.address = &address, .has_others = true});
}

static int set_up(void **state)
{
	const struct opening_task task = {.env = &env, .domain = "a.test", .stream = &stream};
	const struct stream_target target = {.to = SV("a.test")};

	(void)state;
	n_dials = n_told = 0;
	n_held = N_HELD;
	assert_int_equal(uv_loop_init(&loop), 0);
	env = (struct link_env){
		.dialer.loop = &loop,
		.scan_options = stream_options(1000),
		.open_timeout_ms = TIMEOUT_MS,
	};
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &env.pool), 0);
	stream_init(&stream, env.pool, &env.scan_options, DOMAIN_TLS_REQUIRED);
	assert_int_equal(opening_new(&task, &target, &callbacks, NULL, &opening), 0);
	connect_to(0);
	assert_int_equal(opening_held(opening), N_HELD);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	opening = opening_free(opening);
	uv_run(&loop, UV_RUN_DEFAULT);
	stream_deinit(&stream);
	xml_pool_free(env.pool);
	return uv_loop_close(&loop);
}

static void test_failed(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_CONNECTION_LOST, NULL);
	attempt_callbacks->failed(attempt->userdata, &failure);
	assert_int_equal(n_dials, 2);
	assert_int_equal(n_told, 1);
	assert_int_equal(n_held, 0);
}

/* A slow server keeps its connection until there is another one. */
static void test_gives_way(void **state)
{
	(void)state;
	for (unsigned i = 0; n_dials < 2 && i < ROUNDS_MAX; i++) {
		uv_run(&loop, UV_RUN_ONCE);
	}
	assert_int_equal(n_dials, 2);
	assert_int_equal(n_told, 0);
	assert_int_equal(opening_held(opening), N_HELD);
	connect_to(1);
	assert_int_equal(n_told, 1);
	assert_int_equal(n_held, 0);
}

/* The server has named another one. */
static void test_redirected(void **state)
{
	static const char text[] =
		"<stream:stream xmlns='jabber:client' "
		"xmlns:stream='http://etherx.jabber.org/streams'"
		" id='1' from='a.test' version='1.0'><stream:error>"
		"<see-other-host "
		"xmlns='urn:ietf:params:xml:ns:xmpp-streams'>b.test</see-other-host>"
		"</stream:error>";
	enum stream_event_kind kind = STREAM_EVENT_NONE;

	(void)state;
	assert_int_equal(stream_open(&stream, &(struct stream_target){.to = SV_EMPTY}, false), 0);
	assert_int_equal(stream_feed(&stream, text, sizeof(text) - 1), 0);
	while (kind != STREAM_EVENT_ERROR) {
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_not_equal(kind, STREAM_EVENT_FAILED);
		assert_int_not_equal(kind, STREAM_EVENT_NONE);
	}
	attempt_callbacks->refused(attempt->userdata);
	assert_int_equal(n_dials, 2);
	assert_int_equal(n_told, 1);
	assert_int_equal(n_held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gives_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_redirected, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
