/* SPDX-License-Identifier: MIT */
/* Who takes a connection: its first request is asked about, and what is idle may be given away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/http/reader-case.h"

/* A request that is refused for its announced length is not kept as one with half a head. */
static void test_hopeless_behind_held(void **state)
{
	(void)state;
	say(HEAD("/held", "0"));
	one.asks = true;
	one.first = HTTP_FIRST_MORE;
	say(HEAD("/x", "999999999"));
	pass_timeout();
	assert_int_equal(one.n_malformed, 0);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 200");
}

/* A body that is not read to its end is refused at once, although the first request would wait for
 * more of it. */
static void test_hopeless(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_MORE;
	/* The exchange is all that it takes: its head is not kept for more. */
	failmalloc_arm(2, true);
	say(HEAD("/held", "999999999"));
	assert_int_equal(failmalloc_disarm(), 0);
	say("x");
	assert_int_equal(one.n_gone, 0);
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200");
}

static void end_pause(void)
{
	uv_timer_t *pause = one.pause;

	assert_non_null(pause);
	one.pause = NULL;
	one.on_pause_end(pause);
	turn();
}

/* While nobody takes the connection it is asked once a pause, whatever else arrives. */
static void test_pause(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "5") "he");
	say("l");
	say("lo" HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	assert_true(http_reader_is_busy(one.reader));
	end_pause();
	assert_int_equal(one.n_asked, 2);
	assert_string_equal(heard(), "");
	one.first = HTTP_FIRST_KEEP;
	end_pause();
	assert_string_equal(heard(), "200 200");
	assert_string_equal(one.body, "");
	assert_null(one.pause);
	assert_false(http_reader_is_busy(one.reader));
}

/* After n pauses it still waits, after one more it is refused. */
static void test_pauses_bound(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "0"));
	for (int i = 1; i < HTTP_PAUSES_MAX; i++) {
		end_pause();
	}
	assert_int_equal(one.n_malformed, 0);
	end_pause();
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_NOT_TAKEN);
	assert_string_equal(heard(), "503");
	assert_null(one.pause);
}

/* Only the first request is asked, unless each is to be. */
static void test_asks_always(void **state)
{
	(void)state;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	one.asks = true;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 3);
}

/* Who has taken the connection is not asked again, and the reader has forgotten it. */
static void test_taken(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_TAKEN;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	assert_int_equal(one.n_asked, 1);
	assert_int_equal(one.n_done, 0);
	assert_string_equal(heard(), "");
	assert_false(http_reader_is_busy(one.reader));
}

/* Pauses that are over do not count for those that follow. */
static void test_pauses_anew(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "5"));
	one.first = HTTP_FIRST_MORE;
	end_pause();
	one.first = HTTP_FIRST_PAUSE;
	say("h");
	for (int i = 1; i < HTTP_PAUSES_MAX; i++) {
		end_pause();
	}
	assert_int_equal(one.n_malformed, 0);
	end_pause();
	assert_int_equal(one.n_malformed, 1);
}

/* The request is answered, and the connection ends: what follows it is not read. */
static void test_last(void **state)
{
	char bytes[4096];

	(void)state;
	one.first = HTTP_FIRST_LAST;
	say(HEAD("/x", "0") HEAD("/y", "0"));
	ssize_t n = recv(one.theirs, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	bytes[n] = '\0';
	assert_non_null(strstr(bytes, "HTTP/1.1 200"));
	assert_non_null(strstr(bytes, "Connection: close\r\n"));
	assert_null(strstr(bytes + 1, "HTTP/1.1"));
	assert_int_equal(recv(one.theirs, bytes, 1, MSG_DONTWAIT), 0);
}

static bool on_given(void *userdata, struct wire *wire)
{
	(void)userdata;
	one.n_given++;
	wire_close(wire);
	return true;
}

static bool on_not_given(void *userdata, struct wire *wire)
{
	(void)userdata;
	(void)wire;
	one.n_given++;
	return false;
}

/* A request that begins a connection is judged before it is read. Those behind it only while
 * connections may go to another process. */
static void test_give_idle(void **state)
{
	(void)state;
	say(HEAD("/x", "0") "POST ");
	http_reader_give_idle(one.reader, on_given);
	assert_int_equal(one.n_given, 0);
	one.passes = true;
	say("/x HTTP/1.1\r\nHost: a\r\n\r\n");
	say("POST ");
	assert_string_equal(heard(), "200 200");
	http_reader_give_idle(one.reader, on_given);
	assert_int_equal(one.n_given, 1);
}

/* One that nobody takes goes on as before. */
static void test_give_idle_in_vain(void **state)
{
	(void)state;
	one.passes = true;
	say(HEAD("/x", "0"));
	assert_string_equal(heard(), "200");
	http_reader_give_idle(one.reader, on_not_given);
	assert_int_equal(one.n_given, 1);
	say(HEAD("/x", "0"));
	assert_string_equal(heard(), "200");
	assert_int_equal(one.n_closed, 0);
}

/* A client that does not wait any longer is let go before the pause ends. */
static void test_gone_in_pause(void **state)
{
	(void)state;
	one.first = HTTP_FIRST_PAUSE;
	say(HEAD("/x", "0"));
	close(one.theirs);
	one.theirs = -1;
	turn();
	assert_int_equal(one.n_closed, 1);
	end_pause();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hopeless_behind_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hopeless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pauses_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pauses_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_always, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_in_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_idle_in_vain, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
