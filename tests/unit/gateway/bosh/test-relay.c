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

#include "common/turn.h"
#include "gateway/bosh/readings.h"
#include "gateway/bosh/relay.h"
#include "gateway/bosh/sid.h"
#include "gateway/client-of.h"
#include "gateway/http/site.h"
#include "gateway/process/state.h"
#include "gateway/wire/wire.h"
#include "gateway/xmpp/namespace.h"
#include "policy/client.h"
#include "tests/unit/clock.h"
#include "tests/unit/failmalloc.h"

/* A request that came to one worker and is for a session of another, when memory is short. */

enum {
	BEARER,
	OWNER,
	N_WORKERS,
	REQUEST_US = 7, /* what a request takes at the owner */
};

static struct process_state process;
static struct config config = {.n_body_max = 10000};
static struct mailbox mailboxes[N_WORKERS];
static struct worker_env envs[N_WORKERS];
static struct bosh_relay *relays[N_WORKERS];
static uv_loop_t loop;
static struct turn turns[N_WORKERS];

/* What the owner and the client have got. */
static uint64_t received, gone;
static unsigned n_received, n_answers, status;
static char answer[256];

static size_t n_live_before;
static void *userdata_of_exchange;
static char request_text[200];
static int the_exchange;
static int client_result, payer_result;
static struct address client = {.any.sa_family = AF_INET};

static struct http_exchange *exchange(void)
{
	return (struct http_exchange *)&the_exchange;
}

/* These take the places of the program's. */

struct sv http_exchange_body(const struct http_exchange *of)
{
	(void)of;
	return sv_from(request_text);
}

bool http_exchange_take_body(struct http_exchange *of, struct buffer *ret_body)
{
	(void)of;
	(void)ret_body;
	return false;
}

bool http_exchange_body_too_large(const struct http_exchange *of)
{
	(void)of;
	return false;
}

void http_exchange_set_userdata(struct http_exchange *of, void *userdata)
{
	(void)of;
	userdata_of_exchange = userdata;
}

void *http_exchange_userdata(const struct http_exchange *of)
{
	(void)of;
	return userdata_of_exchange;
}

int http_exchange_set_client(struct http_exchange *of, const struct address *payer)
{
	(void)of;
	assert_true(address_is_same(payer, &client));
	return payer_result;
}

int client_of(const struct worker_env *env, const struct http_exchange *of,
	      struct forwarded_client *ret_client)
{
	(void)env;
	(void)of;
	*ret_client = (struct forwarded_client){.address = client};
	return client_result;
}

void site_answer_without_memory(const struct site *site, struct http_exchange *to)
{
	site_answer_with(site, to, 503, "text/plain", NULL);
}

void site_answer_with(const struct site *site, struct http_exchange *to, unsigned code,
		      const char *content_type, struct blob *blob)
{
	(void)site;
	(void)content_type;
	assert_ptr_equal(to, exchange());
	n_answers++;
	status = code;
	answer[0] = '\0';
	if (blob) {
		snprintf(answer, sizeof(answer), "%.*s", (int)blob->n, blob->data);
	}
	blob_unref(blob);
}

static void on_request(void *userdata, struct bosh_request *request)
{
	assert_ptr_equal(userdata, &envs[OWNER]);
	received = request->exchange;
	n_received++;
	clock_pass_us(REQUEST_US);
}

static void on_gone(void *userdata, struct sv sid, uint64_t id)
{
	assert_ptr_equal(userdata, &envs[OWNER]);
	assert_int_equal(sid.n, SID_LENGTH);
	gone = id;
}

static const struct bosh_relay_callbacks callbacks = {.request = on_request, .gone = on_gone};

static int set_up(void **state)
{
	const struct sid_owner owner = {.generation = 0, .worker = OWNER};
	char sid[SID_LENGTH + 1] = {0};

	(void)state;
	n_live_before = failmalloc_n_live();
	received = gone = 0;
	n_received = n_answers = status = 0;
	client_result = payer_result = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(sid_make(owner, sid), 0);
	snprintf(request_text, sizeof(request_text),
		 "<body xmlns='http://jabber.org/protocol/httpbind' sid='%s' rid='7'/>", sid);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		assert_int_equal(mailbox_init(&mailboxes[i], &loop, NULL), 0);
		turn_init(&turns[i], &loop);
		turns[i].secret.words[0] = i;
		envs[i] = (struct worker_env){
			.index = i,
			.n_workers = N_WORKERS,
			.loop = &loop,
			.config = &config,
			.process = &process,
			.mailbox = &mailboxes[i],
			.turn = &turns[i],
		};
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &envs[i].pool), 0);
		assert_int_equal(bosh_relay_new(&envs[i], &callbacks, &envs[i], &relays[i]), 0);
	}
	for (unsigned i = 0; i < N_WORKERS; i++) {
		bosh_relay_introduce(relays[i], relays[BEARER]);
		bosh_relay_introduce(relays[i], relays[OWNER]);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bosh_relay_done(relays[BEARER], exchange());
	for (unsigned i = 0; i < N_WORKERS; i++) {
		mailbox_close(&mailboxes[i]);
		turn_close(&turns[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		relays[i] = bosh_relay_free(relays[i]);
		xml_pool_free(envs[i].pool);
		mailbox_deinit(&mailboxes[i]);
	}
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(failmalloc_n_live(), n_live_before);
	return 0;
}

static void deliver(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void pass(void)
{
	bosh_relay_request(relays[BEARER], exchange());
	deliver();
	assert_int_equal(n_received, 1);
}

static struct http_exchange *other_exchange(size_t i)
{
	static char others[BOSH_READINGS_MAX + 1];

	return (struct http_exchange *)&others[i];
}

static void test_portions(void **state)
{
	size_t n = strlen(request_text);

	(void)state;
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), 1));
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), n - 2));
	assert_true(bosh_relay_prepare(relays[BEARER], exchange(), 1));
	pass();
}

/* The client takes less than its share meanwhile. */
static void test_rest_at_once(void **state)
{
	(void)state;
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), 10));
	pass();
}

static void test_readings_max(void **state)
{
	(void)state;
	const size_t n_usual = WIRE_PORTION_WATCHED;

	for (size_t i = 0; i < BOSH_READINGS_HEAVY_MAX; i++) {
		assert_false(bosh_relay_prepare(relays[BEARER], other_exchange(i), 1));
	}
	/* It gets no place, and so is not read to its end. */
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), 1000));
	/* One of a client that takes little does not wait for those. */
	assert_true(bosh_relay_prepare(relays[BEARER], exchange(), n_usual));
	for (size_t i = BOSH_READINGS_HEAVY_MAX + 1; i < BOSH_READINGS_MAX; i++) {
		assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(i), n_usual));
	}
	assert_false(
		bosh_relay_prepare(relays[BEARER], other_exchange(BOSH_READINGS_MAX), n_usual));
	/* The client hangs up. */
	bosh_relay_done(relays[BEARER], other_exchange(0));
	assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(BOSH_READINGS_MAX), n_usual));
	/* The rest goes with the relay. */
}

/* Takes all places for clients that take little. @n of these then take more than their share. */
static void fill_places(size_t n)
{
	for (size_t i = 0; i < BOSH_READINGS_MAX; i++) {
		assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(i),
					       WIRE_PORTION_WATCHED));
	}
	for (size_t i = 0; i < n; i++) {
		assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(i), 1));
	}
}

/* Those of clients that take more than their share do not keep more places than they may take,
 * where another one needs one. */
static void test_light_displaces(void **state)
{
	(void)state;
	fill_places(BOSH_READINGS_HEAVY_MAX + 1);
	/* Of a client like those. */
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), WIRE_PORTION_SMALL));
	assert_true(bosh_relay_prepare(relays[BEARER], exchange(), WIRE_PORTION_SMALL + 1));
	/* One of them has lost its place and waits for another one; the others go on. */
	size_t n_waiting = 0;

	for (size_t i = 0; i < BOSH_READINGS_MAX; i++) {
		n_waiting += !bosh_relay_prepare(relays[BEARER], other_exchange(i), 1);
	}
	assert_int_equal(n_waiting, 1);
}

/* One of a client that takes little keeps its place, also if it is the first. */
static void test_light_keeps_place(void **state)
{
	(void)state;
	fill_places(BOSH_READINGS_HEAVY_MAX + 2);
	assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(0), WIRE_PORTION_WATCHED));
	assert_true(bosh_relay_prepare(relays[BEARER], exchange(), WIRE_PORTION_WATCHED));
	/* With so small a portion it would get no other place. */
	assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(0), 1));
}

static void test_nothing_to_displace(void **state)
{
	(void)state;
	fill_places(BOSH_READINGS_HEAVY_MAX);
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), WIRE_PORTION_WATCHED));
	/* One more of them takes too much, but only for a moment. */
	assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(BOSH_READINGS_HEAVY_MAX), 1));
	assert_true(bosh_relay_prepare(relays[BEARER], other_exchange(0), WIRE_PORTION_WATCHED));
	assert_false(bosh_relay_prepare(relays[BEARER], exchange(), WIRE_PORTION_WATCHED));
}

/* Without memory for a reading, the whole is left to bosh_relay_request(). */
static void test_no_memory_for_reading(void **state)
{
	(void)state;
	failmalloc_arm(1, false);
	assert_true(bosh_relay_prepare(relays[BEARER], exchange(), 1));
	assert_int_equal(failmalloc_disarm(), 1);
	pass();
}

/* Answers once more, which has no effect. */
static void answer_again(void)
{
	bosh_relay_answer(relays[OWNER], received, 200, "text/xml", NULL);
	deliver();
}

/* The owner has no memory when it answers. */
static void test_answered_without_memory(void **state)
{
	struct blob *blob;

	(void)state;
	pass();
	assert_int_equal(blob_new(7, &blob), 0);
	memcpy(blob->data, "<body/>", 7);
	failmalloc_arm(1, true);
	bosh_relay_answer(relays[OWNER], received, 200, "text/xml", blob);
	deliver();
	failmalloc_disarm();
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, 200);
	assert_string_equal(answer, "<body/>");
	answer_again();
	assert_int_equal(n_answers, 1);
}

/* The owner cannot even note the request. */
static void test_taken_without_memory(void **state)
{
	(void)state;
	bosh_relay_request(relays[BEARER], exchange());
	failmalloc_arm(1, true);
	deliver();
	deliver();
	failmalloc_disarm();
	assert_int_equal(n_received, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, 503);
}

/* There is no memory to tell who asks, or to note it: the limits of the proxy in front must not
 * count. */
static void test_of_nobody(void **state)
{
	(void)state;
	payer_result = -ENOMEM;
	bosh_relay_request(relays[BEARER], exchange());
	deliver();
	assert_int_equal(n_received, 0);
	assert_int_equal(n_answers, 1);
	bosh_relay_done(relays[BEARER], exchange());
	n_answers = 0;
	payer_result = 0;
	client_result = -ENOMEM;
	bosh_relay_request(relays[BEARER], exchange());
	deliver();
	assert_int_equal(n_received, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, 503);
}

/* The client hangs up, and the bearer has no memory. */
static void test_gone_without_memory(void **state)
{
	(void)state;
	pass();
	failmalloc_arm(1, true);
	bosh_relay_gone(relays[BEARER], exchange());
	bosh_relay_done(relays[BEARER], exchange());
	deliver();
	failmalloc_disarm();
	assert_int_equal(gone, received);
	answer_again();
	assert_int_equal(n_answers, 0);
}

/* Both at once: the client hangs up while its answer is on the way. */
static void test_gone_and_answered(void **state)
{
	(void)state;
	pass();
	bosh_relay_answer(relays[OWNER], received, 200, "text/xml", NULL);
	bosh_relay_gone(relays[BEARER], exchange());
	bosh_relay_done(relays[BEARER], exchange());
	deliver();
	assert_int_equal(n_answers, 0);
	assert_int_equal(gone, 0);
}

static void ignore(struct message *message)
{
	(void)message;
}

static void ignore_handled(struct message *message, void *reader)
{
	(void)message;
	(void)reader;
}

/* The bearer is behind with its messages. */
static void test_full_mailbox(void **state)
{
	struct message *many = calloc(MAILBOX_MESSAGES_MAX + 1, sizeof(*many));

	(void)state;
	assert_non_null(many);
	pass();
	for (size_t i = 0; i <= MAILBOX_MESSAGES_MAX; i++) {
		many[i] = (struct message){.handle = ignore_handled, .drop = ignore};
		assert_true(mailbox_post(&mailboxes[BEARER], &many[i]) ==
			    (i < MAILBOX_MESSAGES_MAX ? 0 : -ENOBUFS));
	}
	bosh_relay_answer(relays[OWNER], received, 200, "text/xml", NULL);
	/* So many may take more time than a mailbox has in one iteration of the loop. */
	while (mailboxes[BEARER].n_messages) {
		deliver();
	}
	free(many);
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, 200);
}

/* A worker that ends drops its mail: the client of a request in it is answered. */
static void test_dropped_request(void **state)
{
	(void)state;
	bosh_relay_request(relays[BEARER], exchange());
	mailbox_close(&mailboxes[OWNER]);
	deliver();
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, 200);
	assert_non_null(strstr(answer, "condition='system-shutdown'"));
	uv_run(&loop, UV_RUN_NOWAIT);
	mailbox_deinit(&mailboxes[OWNER]);
	assert_int_equal(mailbox_init(&mailboxes[OWNER], &loop, NULL), 0);
}

/* A worker ends with a request that it has not answered: nothing is left of it. */
static void test_never_answered(void **state)
{
	(void)state;
	pass();
	assert_int_equal(n_answers, 0);
}

/* The owner charges it to the client, whose connections are with the bearer. */
static void test_charged(void **state)
{
	struct turn *turn = &turns[OWNER];
	uint32_t crowd = client_hash(client_key(&client), &turn->secret) % TURN_CROWDS;

	(void)state;
	clock_pass_us(1);
	pass();
	assert_int_equal(turn->crowds[crowd].us, REQUEST_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_portions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rest_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readings_max, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_light_displaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_light_keeps_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_to_displace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory_for_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answered_without_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_without_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone_without_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone_and_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_mailbox, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dropped_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_charged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
