/* SPDX-License-Identifier: MIT */
/* A client that counts what an OpenSSL server sends beside data, through memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/tls-controls.h"
#include "tests/unit/gateway/upstream/tls-case.h"

enum {
	N_MOST = TLS_CONTROLS_MAX * TLS_CONTROL_BYTES,
	BLOCK = 16, /* by which the size of a ticket grows */
	/* Between the sizes of two tickets: the session in it has a time, whose size is not always
	 * the same. */
	STEP = 2 * BLOCK,
};

static size_t n_padding, n_message;

static int pad_ticket(SSL *ssl, void *userdata)
{
	static char padding[2 * N_MOST];

	(void)userdata;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), padding, n_padding);
}

static void note_ticket(int is_written, int version, int type, const void *data, size_t n, SSL *ssl,
			void *userdata)
{
	(void)version;
	(void)ssl;
	(void)userdata;
	if (is_written && type == SSL3_RT_HANDSHAKE &&
	    *(const unsigned char *)data == SSL3_MT_NEWSESSION_TICKET) {
		n_message = n;
	}
}

struct pair {
	SSL_CTX *ctx, *client_ctx;
	SSL *client, *server;
	struct tls_controls controls;
};

static void begin(struct pair *one, const struct identity *identity)
{
	BIO *client_bio, *server_bio;

	*one = (struct pair){.ctx = server_new(identity, NULL, TLS1_3_VERSION)};
	SSL_CTX_set_num_tickets(one->ctx, 0);
	SSL_CTX_set_session_ticket_cb(one->ctx, pad_ticket, NULL, NULL);
	SSL_CTX_set_msg_callback(one->ctx, note_ticket);
	one->client_ctx = SSL_CTX_new(TLS_client_method());
	one->client = SSL_new(one->client_ctx);
	one->server = SSL_new(one->ctx);
	assert_int_equal(BIO_new_bio_pair(&client_bio, 128 * 1024, &server_bio, 128 * 1024), 1);
	SSL_set_bio(one->client, client_bio, client_bio);
	SSL_set_bio(one->server, server_bio, server_bio);
	SSL_set_connect_state(one->client);
	SSL_set_accept_state(one->server);
	tls_controls_watch(&one->controls, one->client);
	assert_int_equal(shake_hands(one->client, one->server), 1);
}

static void end(struct pair *one)
{
	SSL_free(one->client);
	SSL_free(one->server);
	SSL_CTX_free(one->client_ctx);
	SSL_CTX_free(one->ctx);
}

static void send_ticket(struct pair *one)
{
	assert_int_equal(SSL_new_session_ticket(one->server), 1);
	assert_int_equal(SSL_do_handshake(one->server), 1);
	exchange_data(one->client, one->server);
}

/* OpenSSL keeps the last ticket with the connection: a long one counts as many messages, and one
 * alone may be too long. */
static void test_long_tickets(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){.name = "x"});
	size_t n_fine = 0, n_too_long = SIZE_MAX;
	struct pair one;

	(void)state;
	for (n_padding = N_MOST - 512; n_padding < N_MOST; n_padding += BLOCK) {
		begin(&one, &identity);
		send_ticket(&one);
		if (tls_controls_are_too_many(&one.controls)) {
			n_too_long = n_message < n_too_long ? n_message : n_too_long;
		} else {
			n_fine = n_message > n_fine ? n_message : n_fine;
		}
		end(&one);
	}
	assert_in_range(n_fine, N_MOST - STEP + 1, N_MOST);
	assert_in_range(n_too_long, N_MOST + 1, N_MOST + STEP);
	identity_free(&identity);
}

static void test_number(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){.name = "x"});
	struct pair one;

	(void)state;
	n_padding = 0;
	begin(&one, &identity);
	for (int i = 0; i < TLS_CONTROLS_MAX; i++) {
		send_ticket(&one);
		assert_true(n_message <= TLS_CONTROL_BYTES);
		assert_false(tls_controls_are_too_many(&one.controls));
	}
	send_ticket(&one);
	assert_true(tls_controls_are_too_many(&one.controls));
	end(&one);
	identity_free(&identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_tickets),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
