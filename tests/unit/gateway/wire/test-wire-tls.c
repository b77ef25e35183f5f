/* SPDX-License-Identifier: MIT */
/* What a wire that speaks TLS reads and sends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/gateway/wire/wire-tls-case.h"

static char ok[] = "ok", bye[] = "bye";

static void peek_and_take(int version)
{
	struct sv bytes;
	char rest[8];
	size_t n;

	shake(version);
	assert_int_equal(wire_peek(one.wire, 10, &bytes), WIRE_AGAIN);
	say("hello");
	say(" world");
	turn_until(&one.n_ready, 1);
	assert_peek(3, "hel");
	assert_peek(100, "hello world");
	assert_peek(100, "hello world");
	assert_int_equal(wire_peek(one.wire, 100, &bytes), WIRE_OK);
	wire_take(one.wire, 6);
	/* Still there for who peeked. */
	assert_memory_equal(bytes.data, "hello world", 11);
	assert_peek(100, "world");
	assert_int_equal(wire_read(one.wire, rest, 2, &n), WIRE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(wire_read(one.wire, rest, sizeof(rest), &n), WIRE_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(rest, "rld", 3);
	assert_int_equal(wire_read(one.wire, rest, sizeof(rest), &n), WIRE_AGAIN);
	assert_int_equal(n, 0);
	/* Nothing is kept for an idle wire. */
	assert_null(one.wire->ahead.data);
}

static void test_peek_and_take(void **state)
{
	(void)state;
	peek_and_take(TLS1_3_VERSION);
}

static void test_peek_and_take_12(void **state)
{
	(void)state;
	peek_and_take(TLS1_2_VERSION);
}

/* Records that arrive byte by byte, with the socket between the client and the wire. */
static void test_bytes_one_by_one(void **state)
{
	char record[256];
	size_t n_record = 0, n = 0;
	char text[16];
	BIO *into = BIO_new(BIO_s_mem());

	(void)state;
	shake(TLS1_3_VERSION);
	BIO_up_ref(into);
	SSL_set0_wbio(one.client, into);
	say("slow");
	n_record = (size_t)BIO_read(into, record, sizeof(record));
	for (size_t i = 0; i + 1 < n_record; i++) {
		assert_int_equal(send(one.theirs, record + i, 1, 0), 1);
		turn();
		assert_int_equal(wire_read(one.wire, text, sizeof(text), &n), WIRE_AGAIN);
	}
	assert_int_equal(send(one.theirs, record + n_record - 1, 1, 0), 1);
	turn();
	assert_int_equal(wire_read(one.wire, text, sizeof(text), &n), WIRE_OK);
	assert_int_equal(n, 4);
	BIO_free(into);
}

/* More than the kernel takes: it waits, and comes whole and in order. */
static void test_long_answers(void **state)
{
	static unsigned char bytes[LONG];
	static char received[64 * 1024];
	struct iovec parts[3] = {{bytes, 1}, {bytes + 1, 20000}, {bytes + 20001, LONG - 20001}};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < LONG; i++) {
		bytes[i] = (unsigned char)(i * 7);
	}
	shake(TLS1_3_VERSION);
	assert_int_equal(wire_send(one.wire, parts, 3), 0);
	assert_true(wire_waiting(one.wire) > 0);
	assert_int_equal(wire_send(one.wire, &(struct iovec){bytes, 5}, 1), 0);
	for (int i = 0; i < TURNS_MAX && at < LONG + 5; i++) {
		int n = SSL_read(one.client, received, sizeof(received));

		for (int j = 0; j < n; j++, at++) {
			assert_int_equal((unsigned char)received[j],
					 (unsigned char)((at < LONG ? at : at - LONG) * 7));
		}
		turn();
	}
	assert_int_equal(at, LONG + 5);
	assert_int_equal(wire_waiting(one.wire), 0);
	assert_true(one.n_written > 0);
}

static size_t on_spent(void *user, struct sv queue, size_t n_sent)
{
	(void)user;
	(void)queue;
	return n_sent;
}

/* A record that is encrypted is sent, whatever becomes of the queue behind it. */
static void test_withdraw(void **state)
{
	static const struct wire_callbacks keeping = {
		.ready = on_ready, .written = on_written, .spent = on_spent};
	static unsigned char bytes[LONG];
	static char received[64 * 1024];
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < LONG; i++) {
		bytes[i] = (unsigned char)(i * 7);
	}
	shake(TLS1_3_VERSION);
	wire_set_user(one.wire, &keeping, &one);
	assert_int_equal(wire_send(one.wire, &(struct iovec){bytes, LONG}, 1), 0);
	assert_int_equal(wire_queue(one.wire).n, LONG);
	size_t n_sent = LONG - wire_waiting(one.wire), n = wire_committed(one.wire);

	assert_in_range(n, n_sent + 1, n_sent + WIRE_RECORD_MAX);
	wire_withdraw(one.wire, n);
	assert_int_equal(wire_waiting(one.wire), n - n_sent);
	memcpy(bytes + n, ok, 2);
	assert_int_equal(wire_send(one.wire, &(struct iovec){ok, 2}, 1), 0);
	for (int i = 0; i < TURNS_MAX && at < n + 2; i++) {
		int n_read = SSL_read(one.client, received, sizeof(received));

		for (int j = 0; j < n_read; j++, at++) {
			assert_int_equal((unsigned char)received[j], bytes[at]);
		}
		turn();
	}
	assert_int_equal(at, n + 2);
	assert_int_equal(wire_committed(one.wire), 0);
	assert_int_equal(wire_queue(one.wire).n, 0);
}

/* What the kernel has taken counts as sent, although more follows it that it does not take: a
 * record that had to wait is not joined with what came after it. */
static void test_record_by_record(void **state)
{
	static const struct wire_callbacks keeping = {
		.ready = on_ready, .written = on_written, .spent = on_spent};
	static char bytes[2 * WIRE_RECORD_MAX];
	enum { SHORT = 100 };
	char text[SHORT];

	(void)state;
	shake(TLS1_3_VERSION);
	wire_set_user(one.wire, &keeping, &one);
	/* Session tickets. */
	assert_int_equal(SSL_read(one.client, text, SHORT), -1);
	while (wire_waiting(one.wire) == 0) {
		assert_int_equal(wire_send(one.wire, &(struct iovec){bytes, SHORT}, 1), 0);
	}
	assert_int_equal(wire_committed(one.wire), SHORT);
	assert_int_equal(wire_send(one.wire, &(struct iovec){bytes, sizeof(bytes)}, 1), 0);
	/* Makes room for as much as waited. */
	assert_int_equal(SSL_read(one.client, text, SHORT), SHORT);
	assert_true(wire_flush(one.wire));
	assert_int_equal(wire_waiting(one.wire), sizeof(bytes));
	assert_int_equal(wire_queue(one.wire).n, sizeof(bytes));
	assert_int_equal(wire_committed(one.wire), WIRE_RECORD_MAX);
}

static void test_the_client_ends(void **state)
{
	struct sv bytes;

	(void)state;
	shake(TLS1_3_VERSION);
	say("bye");
	SSL_shutdown(one.client);
	turn();
	assert_peek(100, "bye");
	wire_take(one.wire, 3);
	assert_int_equal(wire_peek(one.wire, 100, &bytes), WIRE_ENDED);
	assert_true(wire_is_hung_up(one.wire));
	/* It may still be answered. */
	assert_int_equal(wire_send(one.wire, &(struct iovec){ok, 2}, 1), 0);
	assert_int_equal(wire_waiting(one.wire), 0);
}

static void test_the_client_is_gone(void **state)
{
	struct sv bytes;

	(void)state;
	shake(TLS1_3_VERSION);
	say("last");
	close(one.theirs);
	one.theirs = -1;
	turn();
	assert_true(wire_is_hung_up(one.wire));
	assert_peek(100, "last");
	wire_take(one.wire, 4);
	assert_int_equal(wire_peek(one.wire, 100, &bytes), WIRE_ENDED);
}

static void test_garbage_breaks_it(void **state)
{
	struct sv bytes;

	(void)state;
	shake(TLS1_3_VERSION);
	assert_int_equal(send(one.theirs, "no record at all", 16, 0), 16);
	turn();
	assert_int_equal(wire_peek(one.wire, 100, &bytes), WIRE_BROKEN);
	assert_true(wire_is_hung_up(one.wire));
}

static void test_linger(void **state)
{
	char text[8];

	(void)state;
	shake(TLS1_3_VERSION);
	assert_int_equal(wire_send_later(one.wire, &(struct iovec){bye, 3}, 1), 0);
	wire_linger(one.wire);
	turn();
	assert_int_equal(SSL_read(one.client, text, sizeof(text)), 3);
	assert_int_equal(SSL_read(one.client, text, sizeof(text)), 0);
	assert_int_equal(SSL_get_error(one.client, 0), SSL_ERROR_ZERO_RETURN);
	close(one.theirs);
	one.theirs = -1;
	turn_until(&one.n_closed, 1);
}

/* Another hub meets the bytes that have been decrypted already. */
static void test_moves(void **state)
{
	(void)state;
	shake(TLS1_3_VERSION);
	say("hello world");
	turn_until(&one.n_ready, 1);
	assert_peek(5, "hello");
	wire_leave(one.wire);
	assert_int_equal(wire_join(one.wire, one.hub), 0);
	turn_until(&one.n_ready, 2);
	assert_peek(100, "hello world");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_peek_and_take),
		TEST(test_peek_and_take_12),
		TEST(test_bytes_one_by_one),
		TEST(test_long_answers),
		TEST(test_withdraw),
		TEST(test_record_by_record),
		TEST(test_the_client_ends),
		TEST(test_the_client_is_gone),
		TEST(test_garbage_breaks_it),
		TEST(test_linger),
		TEST(test_moves),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
