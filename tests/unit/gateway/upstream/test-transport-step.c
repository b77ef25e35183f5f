/* SPDX-License-Identifier: MIT */
/* Handshakes whose steps a helper takes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "gateway/upstream/transport-state.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/tls-case.h"
#include "tests/unit/loopback.h"

enum {
	PATIENCE_MS = 20000,
};

static struct {
	uv_loop_t loop;
	uv_timer_t step; /* wakes the loop, so that conditions are checked */
	struct turn turn;
	struct helper *helper;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transport;
	struct tls_store *store;
	struct identity identity;
	char trusted[TRUST_PATH_SIZE];
	SSL_CTX *server_ctx;
	SSL *server;
	int listener, fd;
	uv_thread_t thread; /* of the loop */
	bool is_held;       /* a step stands still until `go`, once it has posted `stands` */
	uv_sem_t stands, go;
	atomic_uint n_elsewhere; /* how often OpenSSL has told something to the helper's thread */
	unsigned n_here;         /* and to the loop's */
	unsigned n_connected, n_secured;
	bool has_data;
	struct failure failure; /* FAILURE_NONE: no */
} one;

static void on_connected(void *userdata)
{
	(void)userdata;
	one.n_connected++;
}

static void on_secured(void *userdata)
{
	(void)userdata;
	one.n_secured++;
}

static void on_data(void *userdata, const char *data, size_t n)
{
	(void)userdata;
	(void)data;
	(void)n;
	one.has_data = true;
}

static void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	one.failure = *failure;
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected,
	.secured = on_secured,
	.data = on_data,
	.failed = on_failed,
};

static void on_step(uv_timer_t *timer)
{
	(void)timer;
}

static void on_info(const SSL *ssl, int where, int r)
{
	uv_thread_t self = uv_thread_self();

	(void)ssl;
	(void)where;
	(void)r;
	if (uv_thread_equal(&self, &one.thread)) {
		one.n_here++;
	} else {
		one.n_elsewhere++;
		if (one.is_held) {
			one.is_held = false;
			uv_sem_post(&one.stands);
			uv_sem_wait(&one.go);
		}
	}
}

static void run_once(void)
{
	(void)SSL_do_handshake(one.server);
	ERR_clear_error();
	uv_run(&one.loop, UV_RUN_ONCE);
}

static void run_until(const unsigned *n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*n == 0 && one.failure.kind == FAILURE_NONE && uv_now(&one.loop) < end) {
		run_once();
	}
}

static void open_connection(int version)
{
	struct address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	const struct transport_way way = {.address = &address,
					  .timeout_ms = PATIENCE_MS,
					  .turn = &one.turn,
					  .helper = one.helper};

	one.failure.kind = FAILURE_NONE;
	one.n_connected = one.n_secured = 0;
	one.n_elsewhere = 0;
	one.has_data = false;
	one.listener = loopback_listen(&address.any, 1);
	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL, &one.transport),
		0);
	one.fd = accept4(one.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(one.fd >= 0);
	if (!one.server_ctx) {
		one.server_ctx = server_new(&one.identity, NULL, version);
	}
	one.server = SSL_new(one.server_ctx);
	assert_int_equal(SSL_set_fd(one.server, one.fd), 1);
	SSL_set_accept_state(one.server);
	run_until(&one.n_connected);
	assert_int_equal(one.n_connected, 1);
}

static void close_connection(void)
{
	one.transport = transport_free(one.transport);
	SSL_set_shutdown(one.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(one.server);
	close(one.fd);
	close(one.listener);
}

/* With TLS 1.3 the client is ready before the server has its last words. */
static void receive_tickets(void)
{
	while (!SSL_is_init_finished(one.server)) {
		run_once();
	}
	assert_int_equal(SSL_write(one.server, "x", 1), 1);
	while (!one.has_data) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
}

/* The server must be one for @domain. */
static SSL *begin(const char *domain)
{
	const struct tls_policy policy = {
		.domain = domain, .ca_file = one.trusted, .must_verify = true};
	SSL *client;

	assert_int_equal(tls_connection_new(one.store, &policy, &client), 0);
	SSL_set_info_callback(client, on_info);
	assert_int_equal(transport_secure(one.transport, client, PATIENCE_MS), 0);
	return client;
}

/* Goes on until the helper is in the middle of a step. */
static void hold_step(void)
{
	one.is_held = true;
	begin("a.test");
	while (uv_sem_trywait(&one.stands) != 0) {
		run_once();
	}
	assert_true(transport_is_in_helper(one.transport));
}

static int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.failure.kind = FAILURE_NONE;
	one.thread = uv_thread_self();
	assert_int_equal(uv_loop_init(&one.loop), 0);
	uv_timer_init(&one.loop, &one.step);
	uv_timer_start(&one.step, on_step, 1, 1);
	assert_int_equal(uv_sem_init(&one.stands, 0), 0);
	assert_int_equal(uv_sem_init(&one.go, 0), 0);
	turn_init(&one.turn, &one.loop);
	assert_int_equal(helper_new(&one.loop, &one.turn, &one.helper), 0);
	one.identity = identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	trust_file(&one.identity, one.trusted);
	assert_int_equal(tls_store_new(&one.store), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	SSL_CTX_free(one.server_ctx);
	one.helper = helper_free(one.helper);
	turn_close(&one.turn);
	uv_close((uv_handle_t *)&one.step, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	tls_store_free(one.store);
	identity_free(&one.identity);
	unlink(one.trusted);
	uv_sem_destroy(&one.stands);
	uv_sem_destroy(&one.go);
	return uv_loop_close(&one.loop);
}

static void test_secured(void **state)
{
	(void)state;
	open_connection(TLS1_3_VERSION);
	begin("a.test");
	assert_int_equal(one.n_elsewhere, 0);
	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(one.n_elsewhere > 0);
	assert_null(one.transport->step);
	assert_true(one.transport->item.spent.us > 0);
	close_connection();
}

/* Makes a connection over TLS 1.2 and closes it. Returns whether it resumed a session. */
static bool is_resumed(void)
{
	open_connection(TLS1_2_VERSION);
	const SSL *client = begin("a.test");

	run_until(&one.n_secured);
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
	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(one.n_elsewhere > 0);
	receive_tickets();
	close_connection();
}

/* What the server sends then is short, and no certificates are in it. */
static void resume_in_loop(int version)
{
	get_session(version);
	open_connection(version);
	const SSL *client = begin("a.test");

	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(SSL_session_reused(client));
	assert_int_equal(one.n_elsewhere, 0);
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
	assert_int_equal(SSL_CTX_set1_groups_list(one.server_ctx, "P-384"), 1);
	open_connection(TLS1_3_VERSION);
	const SSL *client = begin("a.test");

	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_true(SSL_session_reused(client));
	assert_true(one.n_elsewhere > 0);
	close_connection();
}

/* The number would wrap on a machine with 32 bits, and nothing would be read any more. */
static void test_not_counted_after(void **state)
{
	(void)state;
	open_connection(TLS1_2_VERSION);
	begin("a.test");
	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	size_t n_received = one.transport->channel.n_received;

	assert_true(n_received > 0);
	receive_tickets();
	assert_int_equal(one.transport->channel.n_received, n_received);
	close_connection();
}

static void forget_sessions(void)
{
	SSL_CTX_free(one.server_ctx);
	one.server_ctx = NULL;
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
	run_until(&one.n_secured);
	assert_int_equal(one.n_secured, 1);
	assert_false(SSL_session_reused(client));
	assert_true(one.n_elsewhere > 0);
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
	tls_store_renew(one.store);
	uv_sem_post(&one.go);
	run_until(&one.n_secured);
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
	run_until(&one.n_secured);
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
	one.n_here = 0;
	/* The beginning of a TLS record. */
	assert_int_equal(send(one.fd, "\x16\x03\x03", 3, 0), 3);
	while (one.n_elsewhere == 0 || transport_is_in_helper(one.transport) ||
	       turn_waits(&one.transport->item)) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.failure.kind, FAILURE_NONE);
	assert_int_equal(one.n_here, 0);
	close_connection();
}

static void test_no_memory(void **state)
{
	const struct tls_policy policy = {
		.domain = "a.test", .ca_file = one.trusted, .must_verify = true};
	SSL *client;

	(void)state;
	open_connection(TLS1_3_VERSION);
	assert_int_equal(tls_connection_new(one.store, &policy, &client), 0);
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
	uv_sem_post(&one.go);
	/* The byte is no TLS. */
	run_until(&(unsigned){0});
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
	uv_sem_post(&one.go);
	run_until(&one.n_secured);
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
	uv_sem_post(&one.go);
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
	uv_sem_post(&one.go);
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
	SSL *server = one.server;
	int fd = one.fd, listener = one.listener;

	open_connection(TLS1_3_VERSION);
	begin("a.test");
	while (!transport_is_in_helper(one.transport)) {
		run_once();
	}
	assert_int_equal(one.transport->step->job.state, JOB_WAITING);
	close_connection();
	one.transport = first;
	one.server = server;
	one.fd = fd;
	one.listener = listener;
	uv_sem_post(&one.go);
	run_until(&one.n_secured);
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
