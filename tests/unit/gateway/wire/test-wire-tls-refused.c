/* SPDX-License-Identifier: MIT */
/* Handshakes with clients that fail, and what the clients are told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "gateway/listener/secured.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/wire/wire-tls-case.h"

/* Handshakes that fail. */

static void test_http_without_tls(void **state)
{
	char text[512];
	size_t at = 0;
	ssize_t n = 1;

	(void)state;
	accept_one(60);
	assert_int_equal(send(one.theirs, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	turn_until(&one.n_failed, 1);
	assert_string_equal(one.reason, "HTTP without TLS");
	for (int i = 0; i < TURNS_MAX && n != 0; i++) {
		n = recv(one.theirs, text + at, sizeof(text) - 1 - at, 0);
		at += n > 0 ? (size_t)n : 0;
		turn();
	}
	text[at] = '\0';
	const char *body = strstr(text, "\r\n\r\n") + 4;

	assert_memory_equal(text, "HTTP/1.1 400 ", 13);
	assert_int_equal(strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10), strlen(body));
}

static void test_something_else(void **state)
{
	(void)state;
	accept_one(60);
	assert_int_equal(send(one.theirs, "<stream", 7, 0), 7);
	turn_until(&one.n_closed, 1);
	assert_string_equal(one.reason, "neither TLS nor HTTP");
}

/* It fails at once, not when its time is over. Of another version, OpenSSL tells the client
 * nothing. */
static void refuse_first(const unsigned char *bytes, size_t n, const char *reason, bool is_told)
{
	unsigned n_before = one.n_failed;
	unsigned char alert[16];
	ssize_t n_alert = -1;

	accept_one(60);
	assert_int_equal(send(one.theirs, bytes, n, 0), n);
	turn_until(&one.n_failed, n_before + 1);
	assert_string_equal(one.reason, reason);
	for (int i = 0; i < TURNS_MAX && n_alert < 0; i++) {
		turn();
		n_alert = recv(one.theirs, alert, sizeof(alert), 0);
	}
	assert_int_equal(n_alert, is_told ? 7 : 0);
	assert_true(!is_told || alert[0] == SSL3_RT_ALERT);
	close(one.theirs);
	one.theirs = -1;
}

static void test_no_hello(void **state)
{
	enum { FINISHED = 20, DATA = 23 };
	static const unsigned char other_message[] = {22, 3, 1, 0, 4, FINISHED, 0, 0, 96},
				   other_record[] = {22, 3, 1, 0, 1, 1, DATA, 3, 1, 0, 1, 0},
				   other_version[] = {22, 2, 1, 0, 100};

	(void)state;
	refuse_first(other_message, sizeof(other_message), "unexpected message", true);
	refuse_first(other_record, sizeof(other_record), "unexpected message", true);
	refuse_first(other_version, sizeof(other_version), "wrong version number", false);
}

static void test_silence(void **state)
{
	(void)state;
	accept_one(1);
	pass(1);
	assert_int_equal(one.n_closed, 0);
	pass(1);
	assert_int_equal(one.n_closed, 1);
	assert_string_equal(one.reason, "no complete handshake in time");
}

static void test_a_handshake_that_stops(void **state)
{
	(void)state;
	accept_one(1);
	make_client(TLS1_3_VERSION);
	(void)SSL_do_handshake(one.client);
	turn();
	pass(1);
	assert_int_equal(one.n_failed, 0);
	pass(1);
	assert_int_equal(one.n_failed, 1);
	assert_string_equal(one.reason, "no complete handshake in time");
}

static void test_a_client_that_leaves(void **state)
{
	(void)state;
	accept_one(60);
	make_client(TLS1_3_VERSION);
	(void)SSL_do_handshake(one.client);
	turn();
	shutdown(one.theirs, SHUT_WR);
	/* What an earlier call has left there means nothing. */
	errno = EAGAIN;
	turn_until(&one.n_closed, 1);
	assert_string_equal(one.reason, "the client closed the connection within the handshake");
}

static void test_a_version_that_is_too_old(void **state)
{
	(void)state;
	assert_int_equal(SSL_CTX_set_min_proto_version(one.context, TLS1_3_VERSION), 1);
	accept_one(60);
	make_client(TLS1_2_VERSION);
	(void)SSL_do_handshake(one.client);
	turn_until(&one.n_failed, 1);
	assert_string_equal(one.reason, "unsupported protocol");
	/* The client is told. */
	turn();
	assert_int_equal(SSL_do_handshake(one.client), -1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	ERR_clear_error();
}

/* One's own memory fails, wherever that may be. */
static int run_without_memory(void *userdata)
{
	struct wire *wire = NULL;
	int fds[2];

	(void)userdata;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0) {
		return -EIO;
	}
	int r = wire_new(fds[0], &one.peer, &wire);

	if (r < 0) {
		close(fds[0]);
	}
	r = r < 0 ? r : wire_expect_tls(wire, one.context);
	r = r < 0 ? r : secured_adopt(&one.secured, wire, 60);
	if (r < 0) {
		wire_close(wire);
		close(fds[1]);
		return r;
	}
	SSL *client = SSL_new(one.clients);
	struct sv bytes;

	one.wire = NULL;
	one.reason = NULL;
	one.n_closed = 0;
	SSL_set_fd(client, fds[1]);
	SSL_set_connect_state(client);
	for (int i = 0; i < (has_helper ? TURNS_MAX : 10) && !one.wire && !one.n_closed; i++) {
		(void)SSL_do_handshake(client);
		uv_run(&one.loop, has_helper ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	}
	SSL_write(client, "hello", 5);
	turn();
	r = one.wire ? 0 : one.reason && strcmp(one.reason, "out of memory") == 0 ? -ENOMEM : -EIO;
	if (r == 0 && wire_peek(one.wire, 100, &bytes) == WIRE_BROKEN) {
		r = -ENOMEM;
	}
	int fd = r == 0 ? wire_into_fd(one.wire) : r;

	if (fd >= 0) {
		close(fd);
	} else {
		one.wire = wire_close(one.wire);
	}
	turn();
	SSL_free(client);
	close(fds[1]);
	for (int i = 0; i < 10; i++) {
		turn();
	}
	return fd < 0 ? fd : 0;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(run_without_memory, NULL, 6);
}

/* Nothing is left of a handshake that OpenSSL has no memory for. */
static void test_no_memory_in_openssl(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= (has_helper ? 2 : 1); n++) {
		accept_one(60);
		make_client(TLS1_3_VERSION);
		(void)SSL_do_handshake(one.client);
		n_bio_that_fails = n;
		turn_until(&one.n_failed, n);
		assert_int_equal(n_bio_that_fails, 0);
		assert_string_equal(one.reason, "out of memory");
		SSL_free(one.client);
		one.client = NULL;
		close(one.theirs);
		one.theirs = -1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_http_without_tls),
		TEST(test_something_else),
		TEST(test_no_hello),
		TEST(test_silence),
		TEST(test_a_handshake_that_stops),
		TEST(test_a_client_that_leaves),
		TEST(test_a_version_that_is_too_old),
		TEST(test_no_memory),
		TEST(test_no_memory_in_openssl),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
