/* SPDX-License-Identifier: MIT */
/*
 * The reader: requests that are answered at once, later, in another order, and never; clients that
 * go away; and each allocation failing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/http/reader-case.h"

static void test_at_once(void **state)
{
	(void)state;
	say(HEAD("/x", "5") "hello");
	assert_string_equal(heard(), "200");
	assert_string_equal(one.body, "hello");
	say(HEAD("/x", "5") "hello" HEAD("/y", "0"));
	assert_string_equal(heard(), "200 200");
	assert_int_equal(one.n_done, 3);
	assert_string_equal(one.body, "");
	assert_false(http_reader_is_busy(one.reader));
	/* In pieces. */
	say("POST /x HTTP/1.1\r\nHo");
	assert_true(http_reader_is_busy(one.reader));
	say("st: a\r\nContent-Length: 6\r\n\r\nab");
	say("cd");
	say("efPOST");
	assert_string_equal(heard(), "200");
	assert_string_equal(one.body, "abcdef");
}

/* A body that has come with its head is passed on where it is. The exchange is all it takes. */
static void test_at_hand(void **state)
{
	(void)state;
	say(HEAD("/x", "5") "hello"); /* the first answer takes memory that is kept */
	failmalloc_arm(2, true);
	say(HEAD("/x", "5") "world");
	assert_int_equal(failmalloc_disarm(), 0);
	assert_string_equal(heard(), "200 200");
	assert_string_equal(one.body, "world");
	/* More of it has to be kept until the rest comes. */
	failmalloc_arm(2, true);
	say(HEAD("/x", "6") "world");
	assert_int_equal(failmalloc_disarm(), 1);
}

/* The answers go out in the order of the requests. */
static void test_order(void **state)
{
	(void)state;
	say(HEAD("/held", "1") "1" HEAD("/held", "1") "2" HEAD("/x", "0"));
	assert_int_equal(one.n_held, 2);
	answer(one.held[1], 201);
	turn();
	assert_string_equal(heard(), "");
	assert_int_equal(one.n_done, 0);
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 201 200");
	assert_int_equal(one.n_done, 3);
	assert_int_equal(one.n_gone, 0);
}

/* No more than HTTP_PIPELINE_MAX are read ahead. */
static void test_bound(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_PIPELINE_MAX + 1; i++) {
		say(HEAD("/held", "0"));
	}
	assert_int_equal(one.n_held, HTTP_PIPELINE_MAX);
	answer(one.held[0], 200);
	turn();
	assert_int_equal(one.n_held, HTTP_PIPELINE_MAX + 1);
}

static void test_escapes(void **state)
{
	(void)state;
	say(HEAD("/%68el%64", "0"));
	assert_int_equal(one.n_held, 1);
	say(HEAD("/held%00", "1"));
	say("y");
	assert_string_equal(one.body, "y");
	assert_int_equal(one.n_held, 1);
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 200");
}

/* The client goes while requests are held: each is gone once, and answers to them are dropped. */
static void test_gone(void **state)
{
	(void)state;
	say(HEAD("/held", "0") HEAD("/held", "0"));
	answer(one.held[1], 200);
	shutdown(one.theirs, SHUT_WR);
	turn();
	assert_int_equal(one.n_gone, 1);
	assert_int_equal(one.n_done, 2);
	assert_string_equal(heard(), "");
}

/* What speaks no HTTP is given away, once. */
static void test_alien(void **state)
{
	(void)state;
	say("SSH-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(one.n_closed, 1);
	assert_false(http_reader_is_busy(one.reader));
}

/* A fault behind a held request is told in its turn, and ends the connection. */
static void test_fault(void **state)
{
	(void)state;
	say(HEAD("/held", "0") "GET / HTTP/1.1\r\n\r\n" HEAD("/x", "0"));
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_HOST);
	assert_string_equal(heard(), "");
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 400");
	assert_int_equal(one.n_done, 1);
}

/* Everything at once, while allocations fail. */
static int scenario(void *userdata)
{
	struct http_exchange **held = one.held;
	int r;

	(void)userdata;
	one.n_held = 0;
	one.theirs = -1;
	r = open_reader();
	if (r == 0) {
		r = connect_client();
	}
	if (r == 0) {
		say(HEAD("/held", "2") "1");
		say("1" HEAD("/held", "1") "2GET /");
		if (one.n_held > 1 && held[1]) {
			answer(held[1], 200);
		}
		if (one.n_held > 1 && held[0]) {
			answer(held[0], 200);
		}
		say(" HTTP/1.1\r\nHost: a\r\n\r\n" CHUNKED("/%78") "1\r\n");
		say("a\r\n0\r\n\r\n" EXPECTING("1"));
		say("bGET / HTTP/1.1\r\nBad\r\n\r\n");
	}
	close_reader();
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	failmalloc_each(scenario, NULL, 8);
	assert_int_equal(uv_loop_close(&one.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alien, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault, setup, teardown),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
