/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gateway/upstream/channel.h"
#include "gateway/upstream/transport.h"
#include "tests/unit/gateway/upstream/tls-case.h"

/* OpenSSL's error queue is per thread, so all connections of a worker share it. Errors that one
 * connection leaves must not be taken for failures of another. */

enum {
	TURNS_MAX = 20,
};

struct pair {
	struct tls_store *store;
	SSL_CTX *server_ctx;
	SSL *server;
	struct channel channel;
	int server_fd;
};

/* Leaves the errors of a server that does not speak TLS and of a malformed certificate. */
static void leave_errors(void)
{
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	ERR_raise(ERR_LIB_X509, X509_R_INVALID_FIELD_NAME);
}

static void pair_open(struct pair *pair, const struct identity *identity)
{
	int fds[2];
	SSL *client;

	*pair = (struct pair){.server_ctx = server_new(identity, NULL, 0)};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	pair->channel.fd = fds[0];
	pair->server_fd = fds[1];
	pair->server = SSL_new(pair->server_ctx);
	assert_int_equal(SSL_set_fd(pair->server, pair->server_fd), 1);
	SSL_set_accept_state(pair->server);
	assert_int_equal(tls_store_new(&pair->store), 0);
	leave_errors();
	assert_int_equal(
		tls_connection_new(pair->store, &(struct tls_policy){.domain = "a.test"}, &client),
		0);
	leave_errors();
	assert_int_equal(channel_secure(&pair->channel, client), 0);
}

static void pair_close(struct pair *pair)
{
	channel_deinit(&pair->channel);
	SSL_free(pair->server);
	SSL_CTX_free(pair->server_ctx);
	close(pair->server_fd);
	tls_store_free(pair->store);
}

static void shake(struct pair *pair)
{
	enum channel_result result = CHANNEL_AGAIN;

	for (int i = 0;
	     i < TURNS_MAX && (result != CHANNEL_OK || !SSL_is_init_finished(pair->server)); i++) {
		leave_errors();
		result = channel_handshake(&pair->channel);
		assert_in_set(result, ((uintmax_t[]){CHANNEL_OK, CHANNEL_AGAIN}), 2);
		ERR_clear_error();
		(void)SSL_do_handshake(pair->server);
	}
	assert_int_equal(result, CHANNEL_OK);
}

static void test_errors_of_others(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	leave_errors();
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_AGAIN);
	leave_errors();
	assert_int_equal(channel_write(&pair.channel, "ping", 4, &n), CHANNEL_OK);
	assert_int_equal(n, 4);
	ERR_clear_error();
	assert_int_equal(SSL_read(pair.server, bytes, sizeof(bytes)), 4);
	assert_int_equal(SSL_write(pair.server, "pong", 4), 4);
	leave_errors();
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, 4);
	assert_int_equal(SSL_shutdown(pair.server), 0);
	leave_errors();
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_ENDED);
	leave_errors();
	assert_int_equal(channel_shutdown(&pair.channel), CHANNEL_OK);
	pair_close(&pair);
	identity_free(&identity);
}

/* The peer does not read and its buffer is full: try again later, not broken. */
static void test_full_among_errors(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	static const char bytes[CHANNEL_RECORD_MAX];
	enum channel_result result = CHANNEL_OK;
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	for (int i = 0; i < 10000 && result == CHANNEL_OK; i++) {
		leave_errors();
		result = channel_write(&pair.channel, bytes, sizeof(bytes), &n);
	}
	assert_int_equal(result, CHANNEL_AGAIN);
	pair_close(&pair);
	identity_free(&identity);
}

/* A TLS alert: unrecognized_name. */
static void refuse_name(struct pair *pair)
{
	assert_int_equal(write(pair->server_fd, "\x15\x03\x03\x00\x02\x02\x70", 7), 7);
}

/* A failure is reported with its own reason. */
static void test_own_reason(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	struct failure failure;
	struct pair pair;

	(void)state;
	pair_open(&pair, &identity);
	leave_errors();
	assert_int_equal(channel_handshake(&pair.channel), CHANNEL_AGAIN);
	refuse_name(&pair);
	leave_errors();
	assert_int_equal(channel_handshake(&pair.channel), CHANNEL_BROKEN);
	tls_failure(pair.channel.ssl, &failure);
	assert_int_equal(failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(failure.detail, "the server does not know the domain (SNI)");
	assert_int_equal(ERR_peek_error(), 0);
	pair_close(&pair);
	identity_free(&identity);
}

/* The answer may be there when the handshake begins, before anybody is ready to hear of its end. */
static void test_reason_is_kept(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	struct failure failure;
	struct pair pair;

	(void)state;
	pair_open(&pair, &identity);
	refuse_name(&pair);
	assert_int_equal(channel_handshake(&pair.channel), CHANNEL_BROKEN);
	for (int i = 0; i < 2; i++) {
		leave_errors();
		assert_int_equal(channel_handshake(&pair.channel), CHANNEL_BROKEN);
		tls_failure(pair.channel.ssl, &failure);
		assert_string_equal(failure.detail, "the server does not know the domain (SNI)");
	}
	assert_int_equal(ERR_peek_error(), 0);
	pair_close(&pair);
	identity_free(&identity);
}

/* The server sends @n key updates and @text at once, as far as the socket takes them. */
static void update_keys(struct pair *pair, unsigned n, const char *text)
{
	BIO *all = BIO_new(BIO_s_mem());
	char *bytes;

	assert_non_null(all);
	BIO_up_ref(all);
	SSL_set0_wbio(pair->server, all);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(SSL_key_update(pair->server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(pair->server), 1);
	}
	if (*text) {
		assert_int_equal(SSL_write(pair->server, text, (int)strlen(text)), strlen(text));
	}
	long n_bytes = BIO_get_mem_data(all, &bytes);

	assert_true(write(pair->server_fd, bytes, (size_t)n_bytes) > 0);
	BIO_free(all);
}

enum {
	N_TICKETS = 2,          /* that OpenSSL sends by itself */
	N_PADDED = 65 - 5 - 16, /* a record without its header and its tag */
};

/* After the tickets, no buffer for writing stays until the next write. */
static void test_idle_has_no_buffers(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_AGAIN);
	size_t n_idle = mallinfo2().uordblks;

	assert_int_equal(channel_write(&pair.channel, "ping", 4, &n), CHANNEL_OK);
	assert_true(n_idle < mallinfo2().uordblks + CHANNEL_RECORD_MAX / 2);
	pair_close(&pair);
	identity_free(&identity);
}

/* Since OpenSSL 3.2, neither the socket nor SSL_has_pending() shows what has been read together
 * with a key update: the read that handles the update must go on. */
static void test_data_behind_key_updates(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	update_keys(&pair, 1, "ping");
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, 4);
	update_keys(&pair, 3, "pong");
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_memory_equal(bytes, "pong", 4);
	pair_close(&pair);
	identity_free(&identity);
}

/* A portion may be smaller than the largest record: those of a burst are read together, but only so
 * many. */
static void test_records_of_a_portion(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[4 * CHANNEL_RECORD_COST] = {0};
	const size_t n_most = sizeof(bytes) / CHANNEL_RECORD_COST + 1;
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	/* The tickets. */
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	for (size_t i = 0; i < n_most; i++) {
		assert_int_equal(SSL_write(pair.server, bytes, CHANNEL_RECORD_COST),
				 CHANNEL_RECORD_COST);
	}
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, sizeof(bytes));
	assert_true(channel_has_pending(&pair.channel));
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, CHANNEL_RECORD_COST);
	assert_false(channel_has_pending(&pair.channel));
	for (size_t i = 0; i < n_most + 1; i++) {
		assert_int_equal(SSL_write(pair.server, "x", 1), 1);
	}
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, n_most);
	assert_true(channel_has_pending(&pair.channel));
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, 1);
	pair_close(&pair);
	identity_free(&identity);
}

enum {
	N_FRAGMENT = 512, /* the least that OpenSSL takes */
	/* Of a message of four fragments: the first and a part of the second. */
	N_BEGUN = N_FRAGMENT + 100,
};

static int on_make_ticket(SSL *ssl, void *userdata)
{
	static const char bytes[3 * N_FRAGMENT];

	(void)userdata;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, sizeof(bytes));
}

/* OpenSSL reads the rest of a message before it writes. That a read was full when it began must not
 * keep it from that: the owner may read no more, and waits until the socket is readable. */
static void test_write_behind_full_read(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	/* The tickets. */
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_AGAIN);
	BIO *all = BIO_new(BIO_s_mem());

	SSL_set0_wbio(pair.server, all);
	assert_int_equal(SSL_CTX_set_session_ticket_cb(pair.server_ctx, on_make_ticket, NULL, NULL),
			 1);
	assert_int_equal(SSL_set_max_send_fragment(pair.server, N_FRAGMENT), 1);
	assert_int_equal(SSL_new_session_ticket(pair.server), 1);
	assert_int_equal(SSL_do_handshake(pair.server), 1);
	int n_all = BIO_read(all, bytes, sizeof(bytes));

	assert_true(n_all > 3 * N_FRAGMENT);
	assert_int_equal(write(pair.server_fd, bytes, N_BEGUN), N_BEGUN);
	char byte;

	(void)!channel_read(&pair.channel, &byte, 1, &n);
	assert_true(channel_is_in_message(&pair.channel));
	assert_true(channel_has_read_enough(&pair.channel));
	assert_int_equal(write(pair.server_fd, bytes + N_BEGUN, (size_t)n_all - N_BEGUN),
			 n_all - N_BEGUN);
	assert_int_equal(channel_write(&pair.channel, "ping", 4, &n), CHANNEL_OK);
	assert_int_equal(n, 4);
	pair_close(&pair);
	identity_free(&identity);
}

static void test_controls_are_bounded(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	update_keys(&pair, TLS_CONTROLS_MAX - N_TICKETS, "");
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_false(channel_is_flooded(&pair.channel));
	update_keys(&pair, 1, "");
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_BROKEN);
	assert_true(channel_is_flooded(&pair.channel));
	assert_string_equal(pair.channel.error, "too many TLS messages without data");
	pair_close(&pair);
	identity_free(&identity);
}

/* OpenSSL reads on as long as it has a part of a record's header. With records of 65 bytes it has
 * one after each read into its buffer: one call must not read all of a flood. */
static void test_flood_is_not_read(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	/* The tickets. */
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_AGAIN);
	assert_int_equal(SSL_set_block_padding(pair.server, N_PADDED), 1);
	update_keys(&pair, 1500, "");
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_BROKEN);
	assert_true(recv(pair.channel.fd, bytes, sizeof(bytes), 0) > 0);
	pair_close(&pair);
	identity_free(&identity);
}

static int count_unread(const struct channel *channel)
{
	int n;

	assert_int_equal(ioctl(channel->fd, FIONREAD, &n), 0);
	return n;
}

/* While others wait, a read takes only some messages of a flood. */
static void test_flood_is_read_in_portions(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	/* The tickets. */
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_AGAIN);
	pair.channel.is_pressed = true;
	update_keys(&pair, 500, "");
	unsigned n_reads = 0;
	enum channel_result result;

	do {
		int n_before = count_unread(&pair.channel);

		result = channel_read(&pair.channel, bytes, TRANSPORT_READ_SMALL, &n);
		assert_in_range(n_before - count_unread(&pair.channel), 1, 2 * TLS_READ_SMALL);
		n_reads++;
	} while (result == CHANNEL_OK);
	assert_int_equal(result, CHANNEL_BROKEN);
	assert_true(channel_is_flooded(&pair.channel));
	assert_in_range(n_reads, TLS_CONTROLS_MAX / 6, TLS_CONTROLS_MAX / 3);
	pair_close(&pair);
	identity_free(&identity);
}

static void test_data_in_portions(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	static const char text[CHANNEL_RECORD_MAX];
	char bytes[CHANNEL_RECORD_MAX * 2];
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	pair.channel.is_pressed = true;
	assert_int_equal(SSL_write(pair.server, text, sizeof(text)), sizeof(text));
	assert_int_equal(channel_read(&pair.channel, bytes, sizeof(bytes), &n), CHANNEL_OK);
	assert_int_equal(n, sizeof(text));
	pair_close(&pair);
	identity_free(&identity);
}

/* The kernel keeps the last bytes of the handshake until there are others to send, or until the
 * owner has none. With TLS 1.2 the server waits for them, to end a full handshake. */
static void test_end_of_handshake(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	struct pair pair;
	size_t n;

	(void)state;
	pair_open(&pair, &identity);
	shake(&pair);
	assert_true(pair.channel.is_held_back);
	assert_int_equal(channel_write(&pair.channel, "ping", 4, &n), CHANNEL_OK);
	assert_false(pair.channel.is_held_back);
	pair_close(&pair);
	pair_open(&pair, &identity);
	shake(&pair);
	channel_push(&pair.channel);
	assert_false(pair.channel.is_held_back);
	pair_close(&pair);
	pair_open(&pair, &identity);
	assert_int_equal(SSL_set_max_proto_version(pair.server, TLS1_2_VERSION), 1);
	shake(&pair);
	assert_false(pair.channel.is_held_back);
	pair_close(&pair);
	identity_free(&identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_of_others),
		cmocka_unit_test(test_full_among_errors),
		cmocka_unit_test(test_own_reason),
		cmocka_unit_test(test_reason_is_kept),
		cmocka_unit_test(test_idle_has_no_buffers),
		cmocka_unit_test(test_data_behind_key_updates),
		cmocka_unit_test(test_records_of_a_portion),
		cmocka_unit_test(test_write_behind_full_read),
		cmocka_unit_test(test_controls_are_bounded),
		cmocka_unit_test(test_flood_is_not_read),
		cmocka_unit_test(test_flood_is_read_in_portions),
		cmocka_unit_test(test_data_in_portions),
		cmocka_unit_test(test_end_of_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
