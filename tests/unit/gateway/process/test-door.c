/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/process/door.h"
#include "gateway/process/control.h"

enum {
	GENERATION = 7,
	WORKER = 3,
};

/* What the next call fails with; 0: it does not. */
static int failure;

/* Takes the place of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	errno = failure;
	return failure ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

static struct doors *doors;
static int behind; /* the other server's end */

static int setup(void **state)
{
	int pair[2];
	int r = doors_new(&doors);

	(void)state;
	r = r < 0 ? r : control_pair(pair);
	if (r == 0) {
		doors_add(doors, GENERATION, pair[0]);
		behind = pair[1];
	}
	return r;
}

static int teardown(void **state)
{
	(void)state;
	failure = 0;
	close(behind);
	doors = doors_free(doors);
	return 0;
}

static enum door_result pass(void)
{
	const struct wire_peer peer = {.idle_s = 5};

	return doors_pass(doors, GENERATION, WORKER, STDIN_FILENO, &peer);
}

static void test_pass(void **state)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;

	(void)state;
	assert_int_equal(doors_ask(doors, GENERATION), DOOR_OPEN);
	assert_int_equal(doors_ask(doors, GENERATION + 1), DOOR_E_NONE);
	assert_int_equal(pass(), DOOR_OPEN);
	assert_int_equal(control_receive(behind, &message, fds, &n_fds), CONTROL_RECEIVED);
	assert_int_equal(message.kind, CONTROL_CONNECTION);
	assert_int_equal(message.n, WORKER);
	assert_int_equal(message.idle_s, 5);
	assert_int_equal(n_fds, 1);
	close(fds[0]);
}

/* A door that is only in trouble is asked again, after a pause. One that is taken for a door that
 * is gone would be asked again at once, for as long as the trouble lasts. */
static void test_trouble(void **state)
{
	static const int troubles[] = {EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(troubles); i++) {
		failure = troubles[i];
		assert_int_equal(pass(), DOOR_E_FULL);
	}
}

/* Its server has ended, and the supervisor has not said so yet. */
static void test_gone(void **state)
{
	(void)state;
	failure = EPIPE;
	assert_int_equal(pass(), DOOR_E_NONE);
	failure = ECONNRESET;
	assert_int_equal(pass(), DOOR_E_NONE);
	failure = 0;
	doors_remove(doors, GENERATION);
	assert_int_equal(pass(), DOOR_E_NONE);
	assert_false(doors_exist(doors));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trouble, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
