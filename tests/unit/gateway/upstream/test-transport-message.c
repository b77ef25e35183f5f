/* SPDX-License-Identifier: MIT */
/* Messages of TLS itself that arrive in two parts: each has to be complete in its time. And records
 * of which a read takes only some. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/transport-tls-case.h"

static void begin_ticket(void)
{
	tls.is_long = true;
	assert_int_equal(SSL_new_session_ticket(tls.server), 1);
	(void)SSL_do_handshake(tls.server);
	assert_int_equal(write_part(N_FIRST_PART), N_FIRST_PART);
}

static void test_too_late(void **state)
{
	(void)state;
	begin_ticket();
	run_until_failed();
	assert_int_equal(one.n_failed, 1);
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
	run_until_held(TRANSPORT_MESSAGE_HELD);
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
	run_until_held(TRANSPORT_MESSAGE_HELD);
	write_all();
	run_until_held(0);
	assert_int_equal(one.n_failed, 0);
}

/* OpenSSL writes nothing until the message is complete, and completes it when it is to write. */
static void test_held_until_written(void **state)
{
	(void)state;
	begin_ticket();
	run_until_held(TRANSPORT_MESSAGE_HELD);
	assert_int_equal(transport_write(one.transport, "x", 1), 0);
	assert_int_equal(transport_waiting(one.transport), 1);
	write_all();
	run_until_held(0);
	assert_int_equal(transport_waiting(one.transport), 0);
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
	run_until_held(TRANSPORT_MESSAGE_HELD);
	assert_true(deadline() > uv_now(&one.loop) + MESSAGE_MS / 2);
	assert_int_equal(one.n_failed, 0);
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
		TEST(test_one_after_the_other),
		TEST(test_all_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
