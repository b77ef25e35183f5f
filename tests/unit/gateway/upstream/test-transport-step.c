/* SPDX-License-Identifier: MIT */
/* Handshakes whose steps a helper takes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/tls-case.h"
#include "tests/unit/gateway/upstream/transport-case.h"

static struct {
	struct helper *helper;
	struct tls_store *store;
	struct identity identity;
	char trusted[TRUST_PATH_SIZE];
	SSL_CTX *context;
	SSL *server;
	uv_thread_t thread; /* of the loop */
	bool is_held;       /* a step stands still until `go`, once it has posted `stands` */
	uv_sem_t stands, go;
	atomic_uint n_elsewhere; /* how often OpenSSL has told something to the helper's thread */
	unsigned n_here;         /* and to the loop's */
} tls;

static void on_info(const SSL *ssl, int where, int r)
{
	uv_thread_t self = uv_thread_self();

	(void)ssl;
	(void)where;
	(void)r;
	if (uv_thread_equal(&self, &tls.thread)) {
		tls.n_here++;
	} else {
		tls.n_elsewhere++;
		if (tls.is_held) {
			tls.is_held = false;
			uv_sem_post(&tls.stands);
			uv_sem_wait(&tls.go);
		}
	}
}

static void run_once(void)
{
	(void)SSL_do_handshake(tls.server);
	ERR_clear_error();
	uv_run(&one.loop, UV_RUN_ONCE);
}

/* Until *@n is not 0 or the transport has failed. */
static void shake_until(const unsigned *n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*n == 0 && one.n_failed == 0 && uv_now(&one.loop) < end) {
		run_once();
	}
}

static void open_connection(int version)
{
	const struct transport_way way = {.turn = &one.turn, .helper = tls.helper};

	one.n_connected = one.n_secured = one.n_failed = 0;
	one.failure.kind = FAILURE_NONE;
	one.n_received = 0;
	tls.n_elsewhere = 0;
	open_transport(way, &counting);
	assert_int_equal(BIO_socket_nbio(one.fd, 1), 1);
	if (!tls.context) {
		tls.context = server_new(&tls.identity, NULL, version);
	}
	tls.server = SSL_new(tls.context);
	assert_int_equal(SSL_set_fd(tls.server, one.fd), 1);
	SSL_set_accept_state(tls.server);
	shake_until(&one.n_connected);
	assert_int_equal(one.n_connected, 1);
}

static void close_connection(void)
{
	one.transport = transport_free(one.transport);
	SSL_set_shutdown(tls.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls.server);
	close_fd(&one.fd);
}

/* With TLS 1.3 the client is ready before the server has its last words. */
static void receive_tickets(void)
{
	while (!SSL_is_init_finished(tls.server)) {
		run_once();
	}
	assert_int_equal(SSL_write(tls.server, "x", 1), 1);
	run_until_received(1);
}

/* The server must be one for @domain. */
static SSL *begin(const char *domain)
{
	const struct tls_policy policy = {
		.domain = domain, .ca_file = tls.trusted, .must_verify = true};
	SSL *client;

	assert_int_equal(tls_connection_new(tls.store, &policy, &client), 0);
	SSL_set_info_callback(client, on_info);
	assert_int_equal(transport_secure(one.transport, client, PATIENCE_MS), 0);
	return client;
}

/* Goes on until the helper is in the middle of a step. */
static void hold_step(void)
{
	tls.is_held = true;
	begin("a.test");
	while (uv_sem_trywait(&tls.stands) != 0) {
		run_once();
	}
	assert_true(transport_is_in_helper(one.transport));
}

static int setup(void **state)
{
	(void)state;
	memset(&tls, 0, sizeof(tls));
	open_loop();
	tls.thread = uv_thread_self();
	assert_int_equal(uv_sem_init(&tls.stands, 0), 0);
	assert_int_equal(uv_sem_init(&tls.go, 0), 0);
	assert_int_equal(helper_new(&one.loop, &one.turn, &tls.helper), 0);
	tls.identity = identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	trust_file(&tls.identity, tls.trusted);
	assert_int_equal(tls_store_new(&tls.store), 0);
	return 0;
}

static int teardown(void **state)
{
	SSL_CTX_free(tls.context);
	tls.helper = helper_free(tls.helper);
	int r = close_all(state);

	tls_store_free(tls.store);
	identity_free(&tls.identity);
	unlink(tls.trusted);
	uv_sem_destroy(&tls.stands);
	uv_sem_destroy(&tls.go);
	return r;
}

static void test_secured(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("a.test");
	assert_int_equal(tls.n_elsewhere, 0);
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(tls.n_elsewhere > 0);
	assert_null(one.transport->step);
	assert_true(one.transport->item.spent.us > 0);
	close_connection();
}

/* Makes a connection over TLS 1.2 and closes it. Returns whether it resumed a session. */
static bool is_resumed(void)
{
	open_connection(TLS1_2_VERSION);
	const SSL *client = begin("a.test");

	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	bool is_reused = SSL_session_reused(client);

	close_connection();
	return is_reused;
}

/* With TLS 1.2 the ticket comes within the handshake, in the helper's thread. */
static void test_session_is_kept(void **state)
{
	(void)state;
	assert_false(is_resumed());
	assert_true(is_resumed());
}

static void get_session(int version)
{
	open_connection(version);
	begin("a.test");
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(tls.n_elsewhere > 0);
	receive_tickets();
	close_connection();
}

/* What the server sends then is short, and no certificates are in it. */
static void resume_in_loop(int version)
{
	get_session(version);
	open_connection(version);
	const SSL *client = begin("a.test");

	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(SSL_session_reused(client));
	assert_int_equal(tls.n_elsewhere, 0);
	close_connection();
}

static void test_resumed_in_loop_12(void **state)
{
	(void)state;
	resume_in_loop(TLS1_2_VERSION);
}

static void test_resumed_in_loop_13(void **state)
{
	(void)state;
	resume_in_loop(TLS1_3_VERSION);
}

/* The server asks for a key of another group, which takes ten times as long. */
static void test_resumed_with_another_group(void **state)
{
	(void)state;
	get_session(TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_set1_groups_list(tls.context, "P-384"), 1);
	open_connection(TLS1_3_VERSION);
	const SSL *client = begin("a.test");

	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(SSL_session_reused(client));
	assert_true(tls.n_elsewhere > 0);
	close_connection();
}

/* The number would wrap on a machine with 32 bits, and nothing would be read any more. */
static void test_not_counted_after(void **state)
{
	(void)state;
	open_connection(TLS1_2_VERSION);
	begin("a.test");
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	size_t n_received = one.transport->channel.n_received;

	assert_true(n_received > 0);
	receive_tickets();
	assert_int_equal(one.transport->channel.n_received, n_received);
	close_connection();
}

static void forget_sessions(void)
{
	SSL_CTX_free(tls.context);
	tls.context = NULL;
}

/* It does not have to resume what it is offered. */
static void test_not_resumed(void **state)
{
	(void)state;
	assert_false(is_resumed());
	forget_sessions();
	open_connection(TLS1_2_VERSION);
	const SSL *client = begin("a.test");

	assert_true(tls_connection_has_offered(client));
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_false(SSL_session_reused(client));
	assert_true(tls.n_elsewhere > 0);
	close_connection();
}

static void test_resumed_max(void **state)
{
	/* a record that is longer than what follows */
	char bytes[TRANSPORT_RESUMED_MAX] = "\x16\x03\x03\x10\x00\x02\x00\x0f\xfc";
	const struct channel *channel;

	(void)state;
	assert_false(is_resumed());
	open_connection(TLS1_2_VERSION);
	begin("a.test");
	channel = &one.transport->channel;
	assert_int_equal(send(one.fd, bytes, sizeof(bytes) - 1, 0), sizeof(bytes) - 1);
	while (channel->n_received < sizeof(bytes) - 1) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_false(transport_is_in_helper(one.transport));
	assert_int_equal(channel->n_received_max, TRANSPORT_RESUMED_MAX);
	assert_int_equal(send(one.fd, bytes, 1, 0), 1);
	while (!transport_is_in_helper(one.transport)) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	close_connection();
}

/* The authorities were changed meanwhile. */
static void test_session_of_before(void **state)
{
	(void)state;
	open_connection(TLS1_2_VERSION);
	hold_step();
	tls_store_renew(tls.store);
	uv_sem_post(&tls.go);
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	close_connection();
	assert_false(is_resumed());
}

/* The reason is in the errors of the helper's thread. */
static void test_refused(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("b.test");
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 0);
	assert_int_equal(one.failure.kind, FAILURE_CERTIFICATE_NAME);
	close_connection();
}

static void test_lost(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("a.test");
	assert_int_equal(shutdown(one.fd, SHUT_RDWR), 0);
	while (one.failure.kind == FAILURE_NONE) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.failure.kind, FAILURE_TLS_HANDSHAKE);
	close_connection();
}

/* OpenSSL's errors are the helper's thread's, too. */
static void test_no_tls(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("a.test");
	assert_int_equal(send(one.fd, "220 no TLS here", 15, 0), 15);
	while (one.failure.kind == FAILURE_NONE) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(one.failure.detail, "what the server sent is not TLS");
	close_connection();
}

/* The step that the helper has taken is not taken again by the loop. */
static void test_only_elsewhere(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("a.test");
	tls.n_here = 0;
	/* The beginning of a TLS record. */
	assert_int_equal(send(one.fd, "\x16\x03\x03", 3, 0), 3);
	while (tls.n_elsewhere == 0 || transport_is_in_helper(one.transport) ||
	       turn_waits(&one.transport->item)) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.failure.kind, FAILURE_NONE);
	assert_int_equal(tls.n_here, 0);
	close_connection();
}

static void test_no_memory(void **state)
{
	const struct tls_policy policy = {
		.domain = "a.test", .ca_file = tls.trusted, .must_verify = true};
	SSL *client;

	(void)state;
	open_connection(TLS1_3_VERSION);
	assert_int_equal(tls_connection_new(tls.store, &policy, &client), 0);
	failmalloc_arm(1, true);
	assert_int_equal(transport_secure(one.transport, client, PATIENCE_MS), -ENOMEM);
	assert_int_equal(failmalloc_disarm(), 1);
	assert_null(one.transport->step);
	close_connection();
}

/* What the server sends while the helper works is there afterwards, also if the poll has been
 * stopped because it has told so too often. */
static void test_reports(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	hold_step();
	assert_int_equal(send(one.fd, "x", 1, 0), 1);
	while (one.transport->n_reports < TRANSPORT_REPORTS_MAX) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	uv_sem_post(&tls.go);
	/* The byte is no TLS. */
	shake_until(&(unsigned){0});
	assert_int_not_equal(one.failure.kind, FAILURE_NONE);
	close_connection();
}

/* The server is not to blame for the time that a step waits. */
static void test_no_timeout_meanwhile(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	hold_step();
	transport_on_timer(&one.transport->timer);
	assert_int_equal(one.failure.kind, FAILURE_NONE);
	assert_true(uv_timer_get_due_in(&one.transport->timer.uv) > 0);
	uv_sem_post(&tls.go);
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	close_connection();
}

static void test_freed_meanwhile(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	hold_step();
	close_connection();
	/* Its handles are closed; the socket and the rest are the helper's still. */
	uv_run(&one.loop, UV_RUN_ONCE);
	uv_sem_post(&tls.go);
	assert_int_equal(one.n_secured, 0);
}

/* The owner ends it, as in direct TLS: what he says last is not the helper's to know. */
static void test_ended_meanwhile(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	hold_step();
	transport_will_finish(one.transport);
	bool is_corked = one.transport->channel.is_corked;

	transport_finish(one.transport, PATIENCE_MS);
	one.transport = NULL;
	uv_sem_post(&tls.go);
	close_connection();
	assert_false(is_corked);
}

/* Another job runs. */
static void test_freed_before(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	hold_step();
	struct transport *first = one.transport;
	SSL *server = tls.server;
	int fd = one.fd;

	open_connection(TLS1_3_VERSION);
	begin("a.test");
	while (!transport_is_in_helper(one.transport)) {
		run_once();
	}
	assert_int_equal(one.transport->step->job.state, JOB_WAITING);
	close_connection();
	one.transport = first;
	tls.server = server;
	one.fd = fd;
	uv_sem_post(&tls.go);
	shake_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	close_connection();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_secured),
		TEST(test_session_is_kept),
		TEST(test_resumed_in_loop_12),
		TEST(test_resumed_in_loop_13),
		TEST(test_resumed_with_another_group),
		TEST(test_not_counted_after),
		TEST(test_not_resumed),
		TEST(test_resumed_max),
		TEST(test_session_of_before),
		TEST(test_refused),
		TEST(test_lost),
		TEST(test_no_tls),
		TEST(test_only_elsewhere),
		TEST(test_no_memory),
		TEST(test_reports),
		TEST(test_no_timeout_meanwhile),
		TEST(test_freed_meanwhile),
		TEST(test_ended_meanwhile),
		TEST(test_freed_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
