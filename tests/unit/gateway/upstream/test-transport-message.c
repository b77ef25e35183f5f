/* SPDX-License-Identifier: MIT */
/* Messages of TLS itself that arrive in two parts: each has to be complete in its time. And records
 * of which a read takes only some. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

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

static char *on_room(void *userdata, size_t *ret_n_room)
{
	static char room[N_ROOM];

	(void)userdata;
	*ret_n_room = sizeof(room);
	return tls.has_room ? room : NULL;
}

static void on_held(void *userdata)
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
	.held = on_held,
	.failed = on_failed,
};

static int on_make_ticket(SSL *ssl, void *userdata)
{
	static const char bytes[N_LONG_TICKET];

	(void)userdata;
	return !tls.is_long ||
	       SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, sizeof(bytes));
}

/* On a busy machine the end comes late: a process that stood still gives grace. */
static void run_until_failed(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (one.n_failed == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
}

/* Sends up to @n bytes of what the server has written; they are in the transport's socket then.
 * Returns how many. */
static size_t write_part(int n)
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

static void write_all(void)
{
	while (write_part(16 * 1024) > 0) {
	}
}

static void begin_ticket(void)
{
	tls.is_long = true;
	assert_int_equal(SSL_new_session_ticket(tls.server), 1);
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_PART), N_FIRST_PART);
}

static void make_server(void)
{
	assert_int_equal(BIO_socket_nbio(one.fd, 1), 1);
	tls.context = server_new(&tls.identity, NULL, TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_set_session_ticket_cb(tls.context, on_make_ticket, NULL, NULL), 1);
	tls.server = SSL_new(tls.context);
	assert_int_equal(SSL_set_max_send_fragment(tls.server, N_RECORD), 1);
	SSL_set_bio(tls.server, BIO_new_socket(one.fd, BIO_NOCLOSE), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(tls.server);
}

static void secure(int64_t timeout_ms)
{
	SSL *client;

	assert_int_equal(
		tls_connection_new(tls.store, &(struct tls_policy){.domain = "a.test"}, &client),
		0);
	assert_int_equal(transport_secure(one.transport, client, timeout_ms), 0);
}

static void shake(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (!(one.n_secured && SSL_is_init_finished(tls.server)) && uv_now(&one.loop) < end) {
		(void)SSL_do_handshake(tls.server);
		write_all();
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_secured, 1);
}

static int setup_connected(void **state)
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

static int setup(void **state)
{
	setup_connected(state);
	secure(MESSAGE_MS);
	shake();
	return 0;
}

static int teardown(void **state)
{
	int r = close_all(state);

	SSL_free(tls.server);
	SSL_CTX_free(tls.context);
	tls_store_free(tls.store);
	identity_free(&tls.identity);
	return r;
}

static void test_too_late(void **state)
{
	(void)state;
	begin_ticket();
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
}

static void run_until_in_message(size_t n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (tls.n_held == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(tls.n_held, n);
}

/* The time of the message ends at @end. The timer counts from the time in which it is set, which a
 * busy machine makes a little later. */
static void assert_deadline(uint64_t end)
{
	assert_int_equal(one.transport->message_deadline, end);
	assert_in_range(deadline(), end, end + MESSAGE_MS / 10 - 1);
}

/* A message has as much time as a handshake, and its parts do not prolong it. */
static void test_time_of_a_message(void **state)
{
	(void)state;
	secure(PATIENCE_MS);
	shake();
	begin_ticket();
	run_until_in_message(TRANSPORT_MESSAGE_HELD);
	assert_in_range(uv_timer_get_due_in(&one.transport->timer.uv), PATIENCE_MS / 2,
			PATIENCE_MS);
	uint64_t end = one.transport->message_deadline;

	run_for(MESSAGE_MS / 10);
	write_part(1);
	run_for(MESSAGE_MS / 10);
	assert_deadline(end);
	/* Nor does a turn that is planned meanwhile. */
	transport_plan_turn(one.transport);
	run_for(MESSAGE_MS / 10);
	assert_deadline(end);
	assert_int_equal(one.n_failed, 0);
	/* Before it is read on, its time is not known. */
	transport_pause(one.transport, true);
	assert_false(timeout_is_set(&one.transport->timer));
	run_for(MESSAGE_MS / 10);
	transport_pause(one.transport, false);
	run_for(MESSAGE_MS / 10);
	assert_true(deadline() > end);
}

/* It counts from its first complete record on, and until it is complete. */
static void test_held(void **state)
{
	(void)state;
	tls.is_long = true;
	assert_int_equal(SSL_set_max_send_fragment(tls.server, N_SMALL_RECORD), 1);
	assert_int_equal(SSL_new_session_ticket(tls.server), 1);
	(void)SSL_do_handshake(tls.server);
	write_part(N_SMALL_RECORD + N_PROTECTION - 1);
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(transport_held(one.transport), 0);
	write_part(1);
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
	write_all();
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(one.n_failed, 0);
}

/* OpenSSL writes nothing until the message is complete, and completes it when it is to write. */
static void test_held_until_written(void **state)
{
	(void)state;
	begin_ticket();
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
	assert_int_equal(transport_write(one.transport, "x", 1), 0);
	assert_int_equal(transport_waiting(one.transport), 1);
	write_all();
	run_for(MESSAGE_MS / 10);
	assert_int_equal(transport_waiting(one.transport), 0);
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(transport_held(one.transport), 0);
	assert_int_equal(one.n_failed, 0);
}

/* A call of the owner completes the message, so the poll has nothing to report. */
static void test_held_until_call(void **state)
{
	(void)state;
	begin_ticket();
	run_for(MESSAGE_MS / 10);
	write_all();
	assert_int_equal(transport_write(one.transport, "x", 1), 0);
	assert_int_equal(transport_waiting(one.transport), 0);
	assert_int_equal(transport_held(one.transport), 0);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(one.n_failed, 0);
}

/* Likewise, but the transport is paused. */
static void test_held_until_call_paused(void **state)
{
	(void)state;
	begin_ticket();
	run_for(MESSAGE_MS / 10);
	transport_pause(one.transport, true);
	write_all();
	assert_int_equal(transport_write(one.transport, "x", 1), 0);
	run_for(MESSAGE_MS / 10);
	transport_pause(one.transport, false);
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(one.n_failed, 0);
}

/* The next message counts, and has its own time. */
static void test_held_again(void **state)
{
	(void)state;
	begin_ticket();
	run_for(MESSAGE_MS / 2);
	write_all();
	assert_int_equal(transport_write(one.transport, "x", 1), 0);
	tls.n_held = transport_held(one.transport);
	begin_ticket();
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
	assert_true(deadline() > uv_now(&one.loop) + MESSAGE_MS / 2);
	assert_int_equal(one.n_failed, 0);
}

/* The server has answered, but not all. */
static void begin_flight(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	secure(PATIENCE_MS);
	while (BIO_pending(SSL_get_wbio(tls.server)) == 0 && uv_now(&one.loop) < end) {
		(void)SSL_do_handshake(tls.server);
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
}

/* A part of the server's flight counts when the rest does not come in time, and until it comes. */
static void test_held_in_handshake(void **state)
{
	uint64_t start = uv_now(&one.loop);

	(void)state;
	begin_flight();
	run_for(TRANSPORT_FLIGHT_MS / 4);
	assert_true(tls.n_held == 0 || uv_now(&one.loop) - start >= TRANSPORT_FLIGHT_MS);
	run_for(TRANSPORT_FLIGHT_MS);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
	assert_int_equal(transport_held(one.transport), TRANSPORT_MESSAGE_HELD);
	write_all();
	shake();
	assert_int_equal(tls.n_held, 0);
	assert_int_equal(transport_held(one.transport), 0);
	assert_int_equal(one.n_failed, 0);
}

/* The same of one that begins late. */
static void test_held_late_in_handshake(void **state)
{
	(void)state;
	secure(PATIENCE_MS);
	run_for(TRANSPORT_FLIGHT_MS * 5 / 4);
	assert_int_equal(transport_held(one.transport), 0);
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
	run_for(MESSAGE_MS / 10);
	assert_int_equal(tls.n_held, TRANSPORT_MESSAGE_HELD);
}

/* The time for the whole handshake stays the same. */
static void test_slow_handshake_is_late(void **state)
{
	uint64_t start = uv_now(&one.loop);

	(void)state;
	secure(TRANSPORT_FLIGHT_MS + MESSAGE_MS);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_true(uv_now(&one.loop) - start >= TRANSPORT_FLIGHT_MS + MESSAGE_MS - 1);
}

/* The time of a message that is complete is not that of the next one. */
static void test_one_after_the_other(void **state)
{
	(void)state;
	begin_ticket();
	run_for(MESSAGE_MS / 10);
	write_all();
	run_for(MESSAGE_MS * 8 / 10);
	begin_ticket();
	run_for(MESSAGE_MS * 2 / 10);
	assert_int_equal(one.n_failed, 0);
	write_all();
	assert_int_equal(SSL_write(tls.server, "x", 1), 1);
	write_all();
	run_for(MESSAGE_MS / 10);
	assert_int_equal(one.n_failed, 0);
	assert_int_equal(one.n_received, 1);
	begin_ticket();
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
}

/* The connection cannot be written to any more. What the server sent before is read first, also if
 * a read ends within a record. */
static void test_all_is_read(void **state)
{
	static const char text[N_LONG_TEXT];

	(void)state;
	tls.has_room = true;
	assert_int_equal(SSL_write(tls.server, text, sizeof(text)), sizeof(text));
	write_all();
	transport_set_broken(one.transport, "it is broken");
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.n_received, sizeof(text));
}

/* Writes more than the kernel takes, in clear, and begins the handshake behind it. */
static void secure_behind_text(void)
{
	static const char text[N_CLEAR];

	assert_int_equal(transport_write(one.transport, text, sizeof(text)), 0);
	assert_true(transport_waiting(one.transport) > 0);
	secure(2 * PATIENCE_MS);
}

static void test_clear_text_first(void **state)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	size_t n = 0;

	(void)state;
	secure_behind_text();
	while (n < N_CLEAR && uv_now(&one.loop) < end) {
		char bytes[N_LONG_TEXT];
		size_t n_most = N_CLEAR - n < sizeof(bytes) ? N_CLEAR - n : sizeof(bytes);
		ssize_t r = recv(one.fd, bytes, n_most, MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, r > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
	assert_int_equal(n, N_CLEAR);
	shake();
	assert_int_equal(one.n_failed, 0);
}

/* A handshake fails at once when nothing can be written: before it, in clear, or within it. */
static void test_broken_clear_text(void **state)
{
	(void)state;
	secure_behind_text();
	assert_int_equal(shutdown(one.transport->channel.fd, SHUT_WR), 0);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
}

static void test_broken_handshake(void **state)
{
	(void)state;
	secure(2 * PATIENCE_MS);
	run_for(MESSAGE_MS / 10);
	transport_set_broken(one.transport, "it is broken");
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_FLIGHT), N_FIRST_FLIGHT);
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.failure.kind, FAILURE_CONNECTION_LOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_CONNECTED(name) cmocka_unit_test_setup_teardown(name, setup_connected, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_too_late),
		TEST_CONNECTED(test_time_of_a_message),
		TEST(test_held),
		TEST(test_held_until_written),
		TEST(test_held_until_call),
		TEST(test_held_until_call_paused),
		TEST(test_held_again),
		TEST_CONNECTED(test_held_in_handshake),
		TEST_CONNECTED(test_held_late_in_handshake),
		TEST_CONNECTED(test_slow_handshake_is_late),
		TEST(test_one_after_the_other),
		TEST(test_all_is_read),
		TEST_CONNECTED(test_clear_text_first),
		TEST_CONNECTED(test_broken_clear_text),
		TEST_CONNECTED(test_broken_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
