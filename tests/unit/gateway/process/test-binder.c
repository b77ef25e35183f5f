/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/process/binder.h"

enum {
	SERVER,
	SUPERVISOR,
};

static int ends[2];

static int set_up(void **state)
{
	(void)state;
	return control_pair(ends);
}

static int tear_down(void **state)
{
	(void)state;
	close(ends[SERVER]);
	close(ends[SUPERVISOR]);
	return 0;
}

/* Opens a place, for which the answers @all are there already. Returns what binder_open() does, and
 * the number of the question. */
static int open_with(const struct control_message *all, size_t n, int socket_of_last,
		     uint32_t *ret_question)
{
	char path[] = "/x", name[] = "unix:/x";
	struct config_listener place = {.kind = CONFIG_LISTENER_UNIX, .path = path, .name = name};
	struct config config = {.n_workers = 1, .listeners = {.list = &place, .n = 1}};
	struct listening listening = {0};
	struct control_message question;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(control_send(ends[SUPERVISOR], &all[i], &socket_of_last,
					      i + 1 == n && socket_of_last >= 0),
				 0);
	}
	int r = binder_open(ends[SERVER], &config, &listening);

	if (r == 0) {
		assert_int_equal(listening.n_addresses, 1);
		assert_int_equal(listening.addresses[0].n_fds, 1);
	}
	listening_deinit(&listening);
	for (enum control_kind kind = 0; kind != CONTROL_LISTEN; kind = question.kind) {
		assert_int_equal(control_receive(ends[SUPERVISOR], &question, fds, &n_fds),
				 CONTROL_RECEIVED);
	}
	*ret_question = question.question;
	return r;
}

/* The answer to an earlier question came too late. It is not taken for this one's, and neither its
 * failure nor its rest is. */
static void test_late_answer(void **state)
{
	uint32_t question;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const struct control_message first[] = {
		{.kind = CONTROL_SOCKETS, .result = -EACCES, .question = 1}};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(open_with(first, 1, -1, &question), -EACCES);
	const struct control_message second[] = {
		{.kind = CONTROL_SOCKETS, .n = 7, .question = question},
		{.kind = CONTROL_SOCKETS, .result = -EPERM, .question = question},
		{.kind = CONTROL_SOCKETS, .question = question + 1},
	};

	assert_int_equal(question, 1);
	assert_int_equal(open_with(second, 3, fd, &question), 0);
	assert_int_equal(question, 2);
	close(fd);
}

/* The supervisor's answer has the number of its question. */
static void test_number(void **state)
{
	const struct control_message question = {
		.kind = CONTROL_LISTEN, .n = 1, .question = 77, .place = {.kind = BIND_GIVEN}};
	struct control_message answer;
	struct sockets *sockets;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;

	(void)state;
	assert_int_equal(sockets_new(&sockets), 0);
	assert_int_equal(binder_answer(sockets, ends[SUPERVISOR], &question), 0);
	assert_int_equal(control_receive(ends[SERVER], &answer, fds, &n_fds), CONTROL_RECEIVED);
	assert_int_equal(answer.question, 77);
	assert_int_equal(answer.result, -ENOENT);
	sockets_free(sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_number, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
