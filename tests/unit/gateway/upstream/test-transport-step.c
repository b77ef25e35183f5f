/* SPDX-License-Identifier: MIT */
/* Handshakes whose steps a helper takes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/transport-step-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_secured),
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
