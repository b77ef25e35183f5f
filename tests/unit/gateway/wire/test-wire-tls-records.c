/* SPDX-License-Identifier: MIT */
/* How many records a turn takes, and how many a client may send that carry no data. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/gateway/wire/wire-tls-case.h"

static char ok[] = "ok";

static void flood(unsigned n_updates)
{
	for (unsigned i = 0; i < n_updates; i++) {
		char text[8];

		assert_int_equal(SSL_key_update(one.client, SSL_KEY_UPDATE_REQUESTED), 1);
		say("x");
		turn();
		(void)SSL_read(one.client, text, sizeof(text));
	}
}

static void test_key_updates_are_bounded(void **state)
{
	char bytes[TLS_CONTROLS_MAX * 4];
	enum wire_result result = WIRE_OK;
	size_t n;

	(void)state;
	shake(TLS1_3_VERSION);
	for (unsigned i = 0; i < TLS_CONTROLS_MAX; i++) {
		flood(1);
		assert_int_equal(wire_read(one.wire, bytes, sizeof(bytes), &n), WIRE_OK);
	}
	assert_int_equal(wire_read(one.wire, bytes, sizeof(bytes), &n), WIRE_AGAIN);
	for (int i = 0; i < 3 && result != WIRE_BROKEN; i++) {
		flood(1);
		result = wire_read(one.wire, bytes, sizeof(bytes), &n);
	}
	assert_int_equal(result, WIRE_BROKEN);
}

/* Sends @n records of a byte, which the socket would not take one by one. */
static void send_records(size_t n)
{
	BIO *into = BIO_new(BIO_s_mem());
	char *bytes;

	BIO_up_ref(into);
	SSL_set0_wbio(one.client, into);
	while (n--) {
		say("x");
	}
	long n_bytes = BIO_get_mem_data(into, &bytes);

	assert_int_equal(send(one.theirs, bytes, (size_t)n_bytes, 0), n_bytes);
	BIO_free(into);
}

static size_t read_all(char *bytes, size_t size)
{
	size_t n = 0, n_read;

	while (n < size && wire_read(one.wire, bytes + n, size - n, &n_read) == WIRE_OK) {
		n += n_read;
	}
	return n;
}

/* A turn has so many records, however often the user reads, and the next one follows by itself:
 * what OpenSSL holds is no event. */
static void test_records_of_a_turn(void **state)
{
	enum { N = WIRE_PORTION / WIRE_RECORD_COST + 1 };
	char bytes[N + 16];

	(void)state;
	shake(TLS1_3_VERSION);
	send_records(N + 1);
	turn_until(&one.n_ready, 1);
	assert_int_equal(read_all(bytes, sizeof(bytes)), N);
	turn_until(&one.n_ready, 2);
	assert_int_equal(read_all(bytes, sizeof(bytes)), 1);
	/* All has been read, and nobody is woken. */
	turn();
	turn();
	assert_int_equal(one.n_ready, 2);
	send_records(N);
	turn_until(&one.n_ready, 3);
	assert_int_equal(read_all(bytes, sizeof(bytes)), N);
	/* One without data counts, too, and a key update as several. */
	assert_int_equal(SSL_key_update(one.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	send_records(N);
	turn_until(&one.n_ready, 4);
	assert_int_equal(read_all(bytes, sizeof(bytes)), N - 1 - TLS_CONTROL_RECORDS);
	turn_until(&one.n_ready, 5);
	assert_int_equal(read_all(bytes, sizeof(bytes)), 1 + TLS_CONTROL_RECORDS);
}

/* What has arrived is read to its end, also where nothing can be sent any more. */
static void test_records_of_a_broken_connection(void **state)
{
	enum { N = 2 * WIRE_PORTION / WIRE_RECORD_COST };
	char bytes[N + 16];
	enum wire_result result = WIRE_AGAIN;
	size_t n = 0, n_read = 0;

	(void)state;
	shake(TLS1_3_VERSION);
	send_records(N / 2);
	turn_until(&one.n_ready, 1);
	send_records(N / 2);
	close(one.theirs);
	one.theirs = -1;
	assert_int_equal(wire_send(one.wire, &(struct iovec){ok, 2}, 1), 0);
	for (int i = 0; i < TURNS_MAX && result != WIRE_ENDED; i++) {
		result = wire_read(one.wire, bytes + n, sizeof(bytes) - n, &n_read);
		n += n_read;
		turn();
	}
	assert_int_equal(n, N);
	assert_int_equal(result, WIRE_ENDED);
}

/* A hello in records of a byte takes several turns, which follow by themselves. */
static void test_records_of_a_hello(void **state)
{
	enum { N = 16384 };
	static const unsigned char head[] = {1, 0, N >> 8, 0, 3, 3};
	static unsigned char records[N + 4][6];

	(void)state;
	for (size_t i = 0; i < N + 4; i++) {
		memcpy(records[i], (unsigned char[]){22, 3, 1, 0, 1, 0}, 6);
		records[i][5] = i < sizeof(head) ? head[i] : 0;
	}
	accept_one(60);
	assert_int_equal(send(one.theirs, records, sizeof(records), 0), sizeof(records));
	turn();
	assert_int_equal(one.n_failed, 0);
	turn_until(&one.n_failed, 1);
	assert_string_equal(one.reason, "length mismatch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_key_updates_are_bounded),
		TEST(test_records_of_a_turn),
		TEST(test_records_of_a_broken_connection),
		TEST(test_records_of_a_hello),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
