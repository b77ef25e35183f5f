/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A wire that speaks TLS, with a client of OpenSSL's at the other end of a pair of sockets. All
 * tests run twice: where the loop makes the handshakes, and where a helper does. For one source
 * file of a program, after cmocka.h.
 */
#include <dlfcn.h>
#include <sys/socket.h>

#include "tests/unit/failmalloc.h"
#include "gateway/http/date.h"
#include "gateway/listener/secured.h"
#include "tests/unit/gateway/upstream/tls-case.h"
#include "gateway/wire/state.h"

enum {
	TURNS_MAX = 20000,
	/* The loop wakes up that often, so that a test that waits for nothing fails. */
	STEP_MS = 10,
	/* No second passes by itself. */
	SECOND_MS = 24 * 3600 * 1000,
	LONG = 1024 * 1024, /* more than the pair takes at once */
	CHUNK = 4096,
};

static bool has_helper; /* and a key whose signatures take long */

static struct {
	uv_loop_t loop;
	uv_timer_t step;
	struct wire_hub *hub;
	struct turn turn;
	struct helper *helper; /* NULL: none */
	struct http_date date;
	struct secured secured;
	struct address peer;
	struct identity identity;
	SSL_CTX *context, *clients;
	SSL *client;
	int theirs;
	struct wire *wire;
	unsigned n_ready, n_written, n_closed, n_failed;
	const char *reason;
	size_t n_live; /* blocks of memory, before all this */
} one;

/* The BIO that OpenSSL has no memory for: 1 is the next, 0: it has for all. */
static unsigned n_bio_that_fails;

/* Takes the place of OpenSSL's. */
BIO *BIO_new(const BIO_METHOD *method)
{
	BIO *(*real)(const BIO_METHOD *) =
		(__extension__(BIO * (*)(const BIO_METHOD *)) dlsym(RTLD_NEXT, "BIO_new"));

	return n_bio_that_fails && --n_bio_that_fails == 0 ? NULL : real(method);
}

static inline void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	assert_true(address_is_same_host(peer, &one.peer));
	one.n_closed++;
}

static inline void on_ready(void *user)
{
	(void)user;
	one.n_ready++;
}

static inline void on_written(void *user)
{
	(void)user;
	one.n_written++;
}

static const struct wire_callbacks callbacks = {.ready = on_ready, .written = on_written};

static inline void on_done(void *userdata, struct wire *wire)
{
	(void)userdata;
	one.wire = wire;
	wire_set_user(wire, &callbacks, &one);
	if (wire_join(wire, one.hub) < 0) {
		one.wire = wire_close(wire);
	}
}

static inline void on_failed(void *userdata, const struct wire *wire, const char *reason)
{
	(void)userdata;
	(void)wire;
	one.reason = reason;
	one.n_failed++;
}

static inline void on_step(uv_timer_t *step)
{
	(void)step;
}

static inline int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.n_live = failmalloc_n_live();
	one.theirs = -1;
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	uv_timer_init(&one.loop, &one.step);
	uv_timer_start(&one.step, on_step, STEP_MS, STEP_MS);
	if (has_helper) {
		turn_init(&one.turn, &one.loop);
		assert_int_equal(helper_new(&one.loop, &one.turn, &one.helper), 0);
	}
	assert_int_equal(
		wire_hub_new(&(struct wire_hub_options){.loop = &one.loop,
							.closed = on_closed,
							.second_ms = SECOND_MS,
							.turn = has_helper ? &one.turn : NULL,
							.helper = one.helper},
			     &one.hub),
		0);
	secured_init(&one.secured, &(struct secured_options){.hub = one.hub,
							     .date = &one.date,
							     .done = on_done,
							     .failed = on_failed});
	EVP_PKEY *key = EVP_EC_gen(has_helper ? "P-384" : "P-256");

	one.identity = identity_new(&(struct identity_spec){.name = "front", .key = key});
	EVP_PKEY_free(key);
	one.context = server_new(&one.identity, NULL, 0);
	SSL_CTX_set_mode(one.context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(one.context, 1);
	SSL_CTX_set_options(one.context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
	one.clients = SSL_CTX_new(TLS_client_method());
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	wire_hub_close(one.hub);
	secured_deinit(&one.secured);
	if (has_helper) {
		one.helper = helper_free(one.helper);
		turn_close(&one.turn);
	}
	uv_close((uv_handle_t *)&one.step, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	SSL_free(one.client);
	SSL_CTX_free(one.clients);
	SSL_CTX_free(one.context);
	identity_free(&one.identity);
	if (one.theirs >= 0) {
		close(one.theirs);
	}
	assert_int_equal(failmalloc_n_live(), one.n_live);
	return 0;
}

static inline void connect_pair(int ret_fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_fds), 0);
	one.theirs = ret_fds[1];
}

/* Accepts a connection that has not sent anything. */
static inline void accept_one(unsigned timeout_s)
{
	struct wire *wire;
	int fds[2];

	connect_pair(fds);
	assert_int_equal(wire_new(fds[0], &one.peer, &wire), 0);
	assert_int_equal(wire_expect_tls(wire, one.context), 0);
	assert_true(wire_expects_tls(wire) && !wire_is_secure(wire));
	assert_int_equal(secured_adopt(&one.secured, wire, timeout_s), 0);
}

static inline void turn(void)
{
	uv_run(&one.loop, UV_RUN_NOWAIT);
}

static inline void pass(unsigned seconds)
{
	while (seconds--) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

static inline void turn_until(const unsigned *counter, unsigned n)
{
	for (int i = 0; i < TURNS_MAX && *counter < n; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*counter, n);
}

static inline void make_client(int version)
{
	one.client = SSL_new(one.clients);
	assert_int_equal(SSL_set_max_proto_version(one.client, version), 1);
	assert_int_equal(SSL_set_fd(one.client, one.theirs), 1);
	SSL_set_connect_state(one.client);
}

static inline void shake(int version)
{
	accept_one(60);
	make_client(version);
	for (int i = 0; i < TURNS_MAX && (!one.wire || SSL_do_handshake(one.client) != 1); i++) {
		(void)SSL_do_handshake(one.client);
		uv_run(&one.loop, has_helper ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	}
	assert_non_null(one.wire);
	assert_true(wire_is_secure(one.wire));
	assert_false(wire_expects_tls(one.wire));
	turn();
	one.n_ready = 0;
}

static inline void say(const char *text)
{
	assert_int_equal(SSL_write(one.client, text, (int)strlen(text)), strlen(text));
}

static inline void assert_peek(size_t n_max, const char *expected)
{
	struct sv bytes;

	assert_int_equal(wire_peek(one.wire, n_max, &bytes), WIRE_OK);
	assert_int_equal(bytes.n, strlen(expected));
	assert_memory_equal(bytes.data, expected, bytes.n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
