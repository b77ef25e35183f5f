/* SPDX-License-Identifier: MIT */
#pragma once
/* A transport of transport-case.h whose server speaks TLS. What the server writes goes into memory,
 * so that the test says how much of it arrives. */
#include "tests/unit/gateway/upstream/tls-case.h"
#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	MESSAGE_MS = 500,
	N_RECORD = 2048,
	N_SMALL_RECORD = 512,      /* OpenSSL makes none that are smaller */
	N_PROTECTION = 5 + 1 + 16, /* a record's header, type and tag (RFC 8446, 5.2) */
	/* More than a record takes, so a ticket comes in two; three of them are no flood. */
	N_LONG_TICKET = 3000,
	/* Of that: the first record and a part of the other. */
	N_FIRST_PART = 2500,
	N_FIRST_FLIGHT = 100, /* of the server's handshake */
	/* More than OpenSSL reads at once: 16 KB and a little. */
	N_LONG_TEXT = 24 * 1024,
	N_CLEAR = 8 * 1024 * 1024,        /* more than the kernel takes at once */
	N_ROOM = CHANNEL_RECORD_COST / 2, /* one record in a read */
};

static struct {
	struct tls_store *store;
	struct identity identity;
	SSL_CTX *context;
	SSL *server;   /* writes into memory: write_part() */
	bool is_long;  /* the next ticket */
	bool has_room; /* the owner, for a little */
	size_t n_held; /* as the owner was told */
} tls;

static inline char *on_room(void *userdata, size_t *ret_n_room)
{
	static char room[N_ROOM];

	(void)userdata;
	*ret_n_room = sizeof(room);
	return tls.has_room ? room : NULL;
}

static inline void on_message_held(void *userdata)
{
	(void)userdata;
	assert_int_not_equal(transport_held(one.transport), tls.n_held);
	tls.n_held = transport_held(one.transport);
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected,
	.secured = on_secured,
	.room = on_room,
	.data = on_data,
	.held = on_message_held,
	.failed = on_failed,
};

static inline int on_make_ticket(SSL *ssl, void *userdata)
{
	static const char bytes[N_LONG_TICKET];

	(void)userdata;
	return !tls.is_long ||
	       SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, sizeof(bytes));
}

/* On a busy machine the end comes late: a process that stood still gives grace. */
static inline void run_until_failed(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (one.n_failed == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
}

/* Sends up to @n bytes of what the server has written; they are in the transport's socket then.
 * Returns how many. */
static inline size_t write_part(int n)
{
	static char bytes[64 * 1024];
	int fd = one.transport->channel.fd;
	size_t n_before = loopback_unread(fd);
	int n_read = BIO_read(SSL_get_wbio(tls.server), bytes, n);

	if (n_read <= 0) {
		return 0;
	}
	assert_int_equal(send(one.fd, bytes, (size_t)n_read, 0), n_read);
	loopback_wait_bytes(fd, n_before + (size_t)n_read);
	return (size_t)n_read;
}

/* Until the owner has been told that the transport holds @n. */
static inline void run_until_held(size_t n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (tls.n_held != n && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(tls.n_held, n);
}

static inline void write_all(void)
{
	while (write_part(16 * 1024) > 0) {
	}
}

static inline void make_server(void)
{
	assert_int_equal(BIO_socket_nbio(one.fd, 1), 1);
	tls.context = server_new(&tls.identity, NULL, TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_set_session_ticket_cb(tls.context, on_make_ticket, NULL, NULL), 1);
	tls.server = SSL_new(tls.context);
	assert_int_equal(SSL_set_max_send_fragment(tls.server, N_RECORD), 1);
	SSL_set_bio(tls.server, BIO_new_socket(one.fd, BIO_NOCLOSE), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(tls.server);
}

static inline void secure(int64_t timeout_ms)
{
	SSL *client;

	assert_int_equal(
		tls_connection_new(tls.store, &(struct tls_policy){.domain = "a.test"}, &client),
		0);
	assert_int_equal(transport_secure(one.transport, client, timeout_ms), 0);
}

static inline void shake(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (!(one.n_secured && SSL_is_init_finished(tls.server)) && uv_now(&one.loop) < end) {
		(void)SSL_do_handshake(tls.server);
		write_all();
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_secured, 1);
}

static inline int setup_connected(void **state)
{
	(void)state;
	memset(&tls, 0, sizeof(tls));
	open_loop();
	tls.identity = identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	assert_int_equal(tls_store_new(&tls.store), 0);
	open_transport((struct transport_way){0}, &callbacks);
	make_server();
	run_until(&one.n_connected);
	return 0;
}

static inline int setup(void **state)
{
	setup_connected(state);
	secure(MESSAGE_MS);
	shake();
	return 0;
}

static inline int teardown(void **state)
{
	int r = close_all(state);

	SSL_free(tls.server);
	SSL_CTX_free(tls.context);
	tls_store_free(tls.store);
	identity_free(&tls.identity);
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_CONNECTED(name) cmocka_unit_test_setup_teardown(name, setup_connected, teardown)
