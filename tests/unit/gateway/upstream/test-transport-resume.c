/* SPDX-License-Identifier: MIT */
/* Sessions of TLS that are resumed: in the loop, because that is quick, or in the helper. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/transport-step-case.h"

/* With TLS 1.3 the client is ready before the server has its last words. */
static void receive_tickets(void)
{
	while (!SSL_is_init_finished(tls.server)) {
		run_once();
	}
	assert_int_equal(SSL_write(tls.server, "x", 1), 1);
	run_until_received(1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_is_kept),    TEST(test_resumed_in_loop_12),
		TEST(test_resumed_in_loop_13), TEST(test_resumed_with_another_group),
		TEST(test_not_counted_after),  TEST(test_not_resumed),
		TEST(test_resumed_max),        TEST(test_session_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
