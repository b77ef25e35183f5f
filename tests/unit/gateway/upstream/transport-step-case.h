/* SPDX-License-Identifier: MIT */
#pragma once
/* A transport of transport-case.h whose helper takes the steps of its handshake. */
#include <stdatomic.h>

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

static inline void on_info(const SSL *ssl, int where, int r)
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

static inline void run_once(void)
{
	(void)SSL_do_handshake(tls.server);
	ERR_clear_error();
	uv_run(&one.loop, UV_RUN_ONCE);
}

/* Until *@n is not 0 or the transport has failed. */
static inline void shake_until(const unsigned *n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*n == 0 && one.n_failed == 0 && uv_now(&one.loop) < end) {
		run_once();
	}
}

static inline void open_connection(int version)
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

static inline void close_connection(void)
{
	one.transport = transport_free(one.transport);
	SSL_set_shutdown(tls.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls.server);
	close_fd(&one.fd);
}

/* The server must be one for @domain. */
static inline SSL *begin(const char *domain)
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
static inline void hold_step(void)
{
	tls.is_held = true;
	begin("a.test");
	while (uv_sem_trywait(&tls.stands) != 0) {
		run_once();
	}
	assert_true(transport_is_in_helper(one.transport));
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
