/* SPDX-License-Identifier: MIT */
/* A transport whose server has closed its half, or that its owner finishes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/transport-socket-case.h"

enum {
	WORDS_MAX = 20,
};

/* The server has closed its half; ours is open. */
static void test_half_closed(void **state)
{
	char data[16];

	(void)state;
	assert_int_equal(send(one.fd, "bye", 3, 0), 3);
	shutdown(one.fd, SHUT_WR);
	run_until(&one.n_ended);
	assert_int_equal(one.n_received, 3);
	write_bytes(5);
	assert_int_equal(recv(one.fd, data, sizeof(data), 0), 5);
	run_for(TURNS_MS);
	assert_int_equal(one.n_ended, 1);
	assert_int_equal(one.n_failed, 0);
}

/* A server that reads late gets all our bytes and our FIN; the transport waits for it. */
static void test_finish(void **state)
{
	struct transport *transport = one.transport;
	size_t n = fill_kernel();
	char data[65536];
	ssize_t r;

	(void)state;
	transport_finish(transport, PATIENCE_MS);
	one.transport = NULL;
	do {
		r = recv(one.fd, data, sizeof(data), MSG_DONTWAIT);
		n -= r > 0 ? (size_t)r : 0;
		run_for(r < 0 ? 1 : 0);
	} while (r != 0);
	assert_int_equal(n, 0);
	assert_int_equal(transport->state, TRANSPORT_FINISHING);
	assert_true(uv_is_active((uv_handle_t *)&transport->timer.uv));
	assert_true(uv_timer_get_due_in(&transport->timer.uv) <= PATIENCE_MS);
	close_fd(&one.fd);
	run_until_freed();
}

/* A server that does not close its half is given up after the time-out. */
static void test_finish_without_answer(void **state)
{
	uint64_t start = uv_now(&one.loop);
	char data[16];

	(void)state;
	transport_finish(one.transport, SHORT_MS);
	one.transport = NULL;
	assert_int_equal(recv(one.fd, data, sizeof(data), 0), 0);
	run_until_freed();
	assert_true(uv_now(&one.loop) - start >= SHORT_MS);
}

/* What was written has arrived, and the kernel knows. */
static void wait_until_acknowledged(void)
{
	for (int ms = 0; n_in_kernel(SIOCOUTQ) > 0 && ms < PATIENCE_MS; ms += LOOPBACK_STEP_MS) {
		(void)poll(NULL, 0, LOOPBACK_STEP_MS);
	}
	assert_int_equal(n_in_kernel(SIOCOUTQ), 0);
}

/* The last words wait in the kernel for the FIN, which is due at once. The kernel keeps them for a
 * moment only, and not when it hears just then that what was before them has arrived. So there are
 * several attempts, for a machine that stands still meanwhile. */
static void test_last_words(void **state)
{
	char data[4 * (1 + WORDS_MAX)];
	size_t n = 4;
	int n_kept = 0;

	(void)state;
	write_bytes(4);
	assert_int_equal(n_in_kernel(SIOCOUTQNSD), 0);
	transport_will_finish(one.transport);
	for (int i = 0; i < WORDS_MAX && n_kept == 0; i++) {
		wait_until_acknowledged();
		write_bytes(4);
		n += 4;
		n_kept = n_in_kernel(SIOCOUTQNSD);
	}
	assert_int_equal(n_kept, 4);
	transport_finish(one.transport, PATIENCE_MS);
	assert_int_equal(n_in_kernel(SIOCOUTQNSD), 0);
	one.transport = NULL;
	assert_int_equal(recv(one.fd, data, n, MSG_WAITALL), n);
	close_fd(&one.fd);
	run_until_freed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_half_closed),
		TEST(test_finish),
		TEST(test_finish_without_answer),
		TEST(test_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
