/* SPDX-License-Identifier: MIT */
/* Handshakes with clients, in the loop or in a helper, and what comes behind them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gateway/listener/secured.h"
#include "tests/unit/gateway/wire/wire-tls-case.h"

enum {
	PART = 14, /* the change of ciphers, and a record's header with some of what it holds */
};

/* What the client says comes together with its last words of the handshake, but for the first
 * @n_ahead bytes of those. */
static void say_at_once(size_t n_ahead)
{
	char bytes[4096];
	BIO *into = BIO_new(BIO_s_mem());

	accept_one(60);
	make_client(TLS1_3_VERSION);
	for (int i = 0; i < TURNS_MAX && SSL_do_handshake(one.client) != 1; i++) {
		uv_run(&one.loop, has_helper ? UV_RUN_ONCE : UV_RUN_NOWAIT);
		if (SSL_get_state(one.client) == TLS_ST_CW_CLNT_HELLO) {
			BIO_up_ref(into);
			SSL_set0_wbio(one.client, into);
		}
	}
	assert_true(SSL_is_init_finished(one.client));
	say("hello");
	int n = BIO_read(into, bytes, sizeof(bytes));

	BIO_free(into);
	assert_true(n > 0 && (size_t)n > n_ahead);
	assert_int_equal(send(one.theirs, bytes, n_ahead, 0), n_ahead);
	for (int unread = 1; unread;) {
		uv_run(&one.loop, UV_RUN_ONCE);
		assert_int_equal(ioctl(one.theirs, SIOCOUTQ, &unread), 0);
	}
	assert_int_equal(send(one.theirs, bytes + n_ahead, (size_t)n - n_ahead, 0),
			 (size_t)n - n_ahead);
	turn_until(&one.n_ready, 1);
}

static void test_first_words(void **state)
{
	(void)state;
	say_at_once(0);
	assert_peek(100, "hello");
}

static unsigned n_bios_freed;

static long on_bio(BIO *bio, int operation, const char *data, size_t n, int number, long argument,
		   int r, size_t *n_done)
{
	(void)bio;
	(void)data;
	(void)n;
	(void)number;
	(void)argument;
	(void)n_done;
	n_bios_freed += operation == BIO_CB_FREE;
	return r;
}

/* OpenSSL reads ahead only where a record begins. Of one that comes in two parts it reads the rest
 * and no more, so what follows stays where the helper's part has it. */
static void test_early_words(void **state)
{
	(void)state;
	say_at_once(PART);
	assert_int_equal(one.wire->tls->early != NULL, has_helper);
	assert_peek(100, "hello");
	assert_null(one.wire->tls->early);
}

/* The wire is closed before they are read. */
static void test_early_words_unread(void **state)
{
	(void)state;
	if (!has_helper) {
		return;
	}
	say_at_once(PART);
	assert_non_null(one.wire->tls->early);
	n_bios_freed = 0;
	BIO_set_callback_ex(one.wire->tls->early, on_bio);
	one.wire = wire_close(one.wire);
	turn();
	assert_int_equal(n_bios_freed, 1);
}

/* Fills the socket @fd. Returns how many bytes it took. */
static size_t fill(int fd)
{
	static char bytes[CHUNK];
	size_t n = 0;
	ssize_t r;

	while ((r = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0) {
		n += (size_t)r;
	}
	assert_int_equal(errno, EAGAIN);
	return n;
}

/* The client does not read at first, so the server's part of the handshake has to wait. */
static void test_a_full_socket(void **state)
{
	static char bytes[LONG];
	struct wire *wire;
	int fds[2];

	(void)state;
	connect_pair(fds);
	size_t n = fill(fds[0]);

	assert_true(n < sizeof(bytes));
	assert_int_equal(wire_new(fds[0], &one.peer, &wire), 0);
	assert_int_equal(wire_expect_tls(wire, one.context), 0);
	assert_int_equal(secured_adopt(&one.secured, wire, 60), 0);
	make_client(TLS1_3_VERSION);
	/* It sends its hello without reading. */
	SSL_set0_rbio(one.client, BIO_new(BIO_s_mem()));
	assert_int_equal(SSL_do_handshake(one.client), -1);
	SSL_set0_rbio(one.client, BIO_new_socket(one.theirs, BIO_NOCLOSE));
	for (int i = 0; i < TURNS_MAX && !wire->tls->wants_write; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_true(wire->tls->wants_write);
	assert_int_equal(recv(one.theirs, bytes, n, 0), n);
	for (int i = 0; i < TURNS_MAX && SSL_do_handshake(one.client) != 1; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_true(SSL_is_init_finished(one.client));
	say("hello");
	turn_until(&one.n_ready, 1);
	assert_peek(100, "hello");
}

static struct wire *waiting_wire(void)
{
	return LIST_FIRST(&one.secured.room.all)->wire;
}

static uv_sem_t release;

static int on_hello(SSL *ssl, int *alert, void *userdata)
{
	(void)ssl;
	(void)alert;
	(void)userdata;
	uv_sem_wait(&release);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* A client whose handshake the helper has, until `release` is posted. */
static void be_lent(void)
{
	assert_int_equal(uv_sem_init(&release, 0), 0);
	SSL_CTX_set_client_hello_cb(one.context, on_hello, NULL);
	accept_one(1);
	make_client(TLS1_3_VERSION);
	(void)SSL_do_handshake(one.client);
	for (int i = 0; i < TURNS_MAX && !wire_is_lent(waiting_wire()); i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_true(wire_is_lent(waiting_wire()));
}

/* The connection ends while the helper has it. */
static void test_late_while_lent(void **state)
{
	(void)state;
	if (!has_helper) {
		return;
	}
	be_lent();
	pass(2);
	assert_int_equal(one.n_failed, 1);
	assert_string_equal(one.reason, "no complete handshake in time");
	uv_sem_post(&release);
	turn();
}

/* The client is gone when the helper has written its part. */
static void test_gone_while_lent(void **state)
{
	(void)state;
	if (!has_helper) {
		return;
	}
	be_lent();
	close(one.theirs);
	one.theirs = -1;
	uv_sem_post(&release);
	turn_until(&one.n_failed, 1);
	assert_string_equal(one.reason, "Broken pipe");
}

static void test_hub_closes_while_lent(void **state)
{
	(void)state;
	if (!has_helper) {
		return;
	}
	be_lent();
	shutdown(one.theirs, SHUT_WR);
	turn();
	assert_true(wire_is_lent(waiting_wire()));
	wire_close(waiting_leave(LIST_FIRST(&one.secured.room.all)));
	assert_int_equal(one.n_closed, 1);
	uv_sem_post(&release);
}

/* Another handshake waits for the helper. */
static void test_closes_while_it_waits(void **state)
{
	struct wire *wire;
	int fds[2];

	(void)state;
	if (!has_helper) {
		return;
	}
	be_lent();
	int first = one.theirs;
	SSL *client = one.client;

	connect_pair(fds);
	assert_int_equal(wire_new(fds[0], &one.peer, &wire), 0);
	assert_int_equal(wire_expect_tls(wire, one.context), 0);
	assert_int_equal(secured_adopt(&one.secured, wire, 60), 0);
	make_client(TLS1_3_VERSION);
	(void)SSL_do_handshake(one.client);
	for (int i = 0; i < TURNS_MAX && !wire_is_lent(wire); i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(wire->tls->shake->job.state, JOB_WAITING);
	wire_close(waiting_leave(LIST_FIRST(&one.secured.room.all)));
	assert_int_equal(one.n_closed, 1);
	uv_sem_post(&release);
	SSL_free(client);
	close(first);
}

/* A hello that comes in pieces is handed over once. */
static void test_pieces_of_a_hello(void **state)
{
	char bytes[4096];
	BIO *into = BIO_new(BIO_s_mem());

	(void)state;
	if (!has_helper) {
		BIO_free(into);
		return;
	}
	assert_int_equal(uv_sem_init(&release, 0), 0);
	SSL_CTX_set_client_hello_cb(one.context, on_hello, NULL);
	accept_one(60);
	make_client(TLS1_3_VERSION);
	BIO_up_ref(into);
	SSL_set0_wbio(one.client, into);
	(void)SSL_do_handshake(one.client);
	int n = BIO_read(into, bytes, sizeof(bytes));

	BIO_free(into);
	assert_true(n > 100);
	for (int i = 0; i < n; i++) {
		assert_false(wire_is_lent(waiting_wire()));
		assert_int_equal(send(one.theirs, bytes + i, 1, 0), 1);
		turn();
		turn();
	}
	assert_true(wire_is_lent(waiting_wire()));
	uv_sem_post(&release);
}

/* The helper's time is the client's, who waits longer for the next. */
static void test_the_client_pays(void **state)
{
	(void)state;
	if (!has_helper) {
		return;
	}
	shake(TLS1_3_VERSION);
	uint32_t crowd = one.wire->turn.crowd;

	assert_true(one.turn.crowds[crowd].us > 0);
	assert_true(crowd == 0 || one.turn.crowds[0].us == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_words),           TEST(test_early_words),
		TEST(test_early_words_unread),    TEST(test_a_full_socket),
		TEST(test_late_while_lent),       TEST(test_gone_while_lent),
		TEST(test_hub_closes_while_lent), TEST(test_closes_while_it_waits),
		TEST(test_pieces_of_a_hello),     TEST(test_the_client_pays),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
