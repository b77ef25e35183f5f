/* SPDX-License-Identifier: MIT */
/* A wire that speaks TLS, with a client of OpenSSL's at the other end of a pair of sockets. All
 * tests run twice: where the loop makes the handshakes, and where a helper does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static char ok[] = "ok", bye[] = "bye";
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

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	assert_true(address_is_same_host(peer, &one.peer));
	one.n_closed++;
}

static void on_ready(void *user)
{
	(void)user;
	one.n_ready++;
}

static void on_written(void *user)
{
	(void)user;
	one.n_written++;
}

static const struct wire_callbacks callbacks = {.ready = on_ready, .written = on_written};

static void on_done(void *userdata, struct wire *wire)
{
	(void)userdata;
	one.wire = wire;
	wire_set_user(wire, &callbacks, &one);
	if (wire_join(wire, one.hub) < 0) {
		one.wire = wire_close(wire);
	}
}

static void on_failed(void *userdata, const struct wire *wire, const char *reason)
{
	(void)userdata;
	(void)wire;
	one.reason = reason;
	one.n_failed++;
}

static void on_step(uv_timer_t *step)
{
	(void)step;
}

static int setup(void **state)
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

static int teardown(void **state)
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

static void connect_pair(int ret_fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_fds), 0);
	one.theirs = ret_fds[1];
}

/* Accepts a connection that has not sent anything. */
static void accept_one(unsigned timeout_s)
{
	struct wire *wire;
	int fds[2];

	connect_pair(fds);
	assert_int_equal(wire_new(fds[0], &one.peer, &wire), 0);
	assert_int_equal(wire_expect_tls(wire, one.context), 0);
	assert_true(wire_expects_tls(wire) && !wire_is_secure(wire));
	assert_int_equal(secured_adopt(&one.secured, wire, timeout_s), 0);
}

static void turn(void)
{
	uv_run(&one.loop, UV_RUN_NOWAIT);
}

static void pass(unsigned seconds)
{
	while (seconds--) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

static void turn_until(const unsigned *counter, unsigned n)
{
	for (int i = 0; i < TURNS_MAX && *counter < n; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*counter, n);
}

static void make_client(int version)
{
	one.client = SSL_new(one.clients);
	assert_int_equal(SSL_set_max_proto_version(one.client, version), 1);
	assert_int_equal(SSL_set_fd(one.client, one.theirs), 1);
	SSL_set_connect_state(one.client);
}

static void shake(int version)
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

static void say(const char *text)
{
	assert_int_equal(SSL_write(one.client, text, (int)strlen(text)), strlen(text));
}

static void assert_peek(size_t n_max, const char *expected)
{
	struct sv bytes;

	assert_int_equal(wire_peek(one.wire, n_max, &bytes), WIRE_OK);
	assert_int_equal(bytes.n, strlen(expected));
	assert_memory_equal(bytes.data, expected, bytes.n);
}

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

/* The clear text for a library that wants a descriptor. */
static void test_pump(void **state)
{
	static char bytes[LONG], received[64 * 1024];
	size_t n_sent = 0, n_received = 0, n_answered = 0;
	char text[8];

	(void)state;
	shake(TLS1_3_VERSION);
	say("head");
	turn_until(&one.n_ready, 1);
	assert_peek(100, "head");
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	turn();
	assert_int_equal(recv(fd, text, sizeof(text), 0), 4);
	/* Both directions at a time, with more than fits. */
	for (int i = 0; i < TURNS_MAX && (n_received < LONG || n_answered < LONG); i++) {
		int n = n_sent < LONG ? SSL_write(one.client, bytes, LONG / 64) : 0;

		n_sent += n > 0 ? (size_t)n : 0;
		(void)!send(fd, bytes, n_answered < LONG ? LONG / 64 : 0, MSG_NOSIGNAL);
		turn();
		ssize_t r = recv(fd, received, sizeof(received), 0);

		n_received += r > 0 ? (size_t)r : 0;
		n = SSL_read(one.client, received, sizeof(received));
		n_answered += n > 0 ? (size_t)n : 0;
	}
	assert_true(n_received >= LONG && n_answered >= LONG);
	/* The end of one side is passed on, and with the other one it is over. */
	SSL_shutdown(one.client);
	for (int i = 0; i < TURNS_MAX && recv(fd, received, sizeof(received), 0) != 0; i++) {
		turn();
	}
	assert_int_equal(recv(fd, text, 1, 0), 0);
	close(fd);
	turn();
	assert_false(LIST_EMPTY(&one.hub->wires)); /* it lingers */
	assert_int_equal(one.n_closed, 0);
	close(one.theirs);
	one.theirs = -1;
	for (int i = 0; i < TURNS_MAX && !LIST_EMPTY(&one.hub->wires); i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	/* Only now, not when who has the descriptor closes it: the client's connection has its seat
	 * until it ends. */
	assert_int_equal(one.n_closed, 1);
}

static void test_pump_of_a_client_that_is_gone(void **state)
{
	char text[8];

	(void)state;
	shake(TLS1_3_VERSION);
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	close(one.theirs);
	one.theirs = -1;
	for (int i = 0; i < TURNS_MAX && recv(fd, text, 1, 0) != 0; i++) {
		turn();
	}
	assert_int_equal(recv(fd, text, 1, 0), 0);
	close(fd);
	turn();
}

/* A client that sends no more may still read, until its connection breaks. */
static void test_pump_of_a_client_that_goes_later(void **state)
{
	char text[8];
	ssize_t n = -1;

	(void)state;
	shake(TLS1_3_VERSION);
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	shutdown(one.theirs, SHUT_WR);
	for (int i = 0; i < TURNS_MAX && recv(fd, text, 1, 0) != 0; i++) {
		turn();
	}
	assert_int_equal(send(fd, "yes", 3, MSG_NOSIGNAL), 3);
	for (int i = 0; i < TURNS_MAX && n < 0; i++) {
		turn();
		n = SSL_read(one.client, text, sizeof(text));
	}
	assert_int_equal(n, 3);
	assert_int_equal(one.n_closed, 0);
	close(one.theirs);
	one.theirs = -1;
	turn_until(&one.n_closed, 1);
	assert_int_equal(send(fd, "no", 2, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	close(fd);
	turn();
}

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

/* What the client says comes together with its last words of the handshake. */
static void say_at_once(void)
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
	assert_true(n > 0);
	assert_int_equal(send(one.theirs, bytes, (size_t)n, 0), n);
	turn_until(&one.n_ready, 1);
}

static void test_first_words(void **state)
{
	(void)state;
	say_at_once();
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

/* OpenSSL leaves them where the helper's part has them if it does not read ahead. */
static void test_early_words(void **state)
{
	(void)state;
	SSL_CTX_set_read_ahead(one.context, 0);
	say_at_once();
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
	SSL_CTX_set_read_ahead(one.context, 0);
	say_at_once();
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(test_key_updates_are_bounded),
		TEST(test_records_of_a_turn),
		TEST(test_records_of_a_broken_connection),
		TEST(test_records_of_a_hello),
		TEST(test_pump),
		TEST(test_pump_of_a_client_that_is_gone),
		TEST(test_pump_of_a_client_that_goes_later),
		TEST(test_http_without_tls),
		TEST(test_something_else),
		TEST(test_no_hello),
		TEST(test_silence),
		TEST(test_a_handshake_that_stops),
		TEST(test_a_client_that_leaves),
		TEST(test_a_version_that_is_too_old),
		TEST(test_first_words),
		TEST(test_early_words),
		TEST(test_early_words_unread),
		TEST(test_a_full_socket),
		TEST(test_late_while_lent),
		TEST(test_gone_while_lent),
		TEST(test_hub_closes_while_lent),
		TEST(test_closes_while_it_waits),
		TEST(test_pieces_of_a_hello),
		TEST(test_no_memory),
		TEST(test_no_memory_in_openssl),
		TEST(test_the_client_pays),
	};

	signal(SIGPIPE, SIG_IGN);
	int n_failed = cmocka_run_group_tests_name("in the loop", tests, NULL, NULL);

	has_helper = true;
	return n_failed + cmocka_run_group_tests_name("with a helper", tests, NULL, NULL);
}
