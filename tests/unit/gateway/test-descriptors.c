/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/descriptors.h"

enum {
	N_DESCRIPTORS = 1000,
	EXIT_WRONG = 3,
};

static bool memory_is_gone;

static void *fail_or_malloc(size_t n)
{
	return memory_is_gone ? NULL : malloc(n);
}

static void *fail_or_realloc(void *block, size_t n)
{
	return memory_is_gone ? NULL : realloc(block, n);
}

static void *fail_or_calloc(size_t n, size_t n_one)
{
	return memory_is_gone ? NULL : calloc(n, n_one);
}

static void must(bool condition)
{
	if (!condition) {
		_exit(EXIT_WRONG);
	}
}

/* Runs @child in a process of its own, whose limits and end are its own affair. Returns what
 * waitpid(2) says. */
static int status_of(void (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		child();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static unsigned n_heard;

static void on_readable(uv_poll_t *poll, int status, int events)
{
	must(status == 0 && events == UV_READABLE);
	n_heard++;
	uv_close((uv_handle_t *)poll, NULL);
}

/* Watches as many descriptors as there may be, without memory. */
static void watch_all(uv_loop_t *loop)
{
	static uv_poll_t polls[N_DESCRIPTORS];
	unsigned n = 0;
	int last = -1;
	int fd;

	memory_is_gone = true;
	while ((fd = eventfd(1, EFD_NONBLOCK)) >= 0) {
		must(uv_poll_init(loop, &polls[n], fd) == 0 &&
		     uv_poll_start(&polls[n], UV_READABLE, on_readable) == 0);
		last = fd;
		n++;
	}
	must(errno == EMFILE && last == N_DESCRIPTORS - 1);
	must(uv_run(loop, UV_RUN_DEFAULT) == 0 && n_heard == n);
}

static void start(uv_loop_t *loop)
{
	size_t n;

	must(uv_replace_allocator(fail_or_malloc, fail_or_realloc, fail_or_calloc, free) == 0);
	must(descriptors_limit(N_DESCRIPTORS, &n) == 0 && n == N_DESCRIPTORS);
	must(uv_loop_init(loop) == 0);
}

static void reserve_and_watch(void)
{
	uv_loop_t loop;
	uv_poll_t reserve;

	start(&loop);
	must(descriptors_reserve(&loop, &reserve, N_DESCRIPTORS) == 0);
	watch_all(&loop);
	must(uv_loop_close(&loop) == 0);
}

/* That the test above has something to show. */
static void only_watch(void)
{
	uv_loop_t loop;

	start(&loop);
	watch_all(&loop);
}

static void test_no_descriptor_needs_memory(void **state)
{
	int status = status_of(reserve_and_watch);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	status = status_of(only_watch);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void limit_to_the_hard_one(void)
{
	const struct rlimit limit = {50, 100};
	struct rlimit now;
	size_t n;

	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* Up as well as down, and never beyond. */
	must(descriptors_limit(1000000, &n) == 0 && n == 100);
	must(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 100 && now.rlim_max == 100);
	must(descriptors_limit(100, &n) == 0 && n == 100);
	must(descriptors_limit(99, &n) == 0 && n == 99);
	must(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 99 && now.rlim_max == 100);
	must(fcntl(0, F_DUPFD, 98) == 98 && fcntl(0, F_DUPFD, 99) < 0);
}

static void reserve_what_is_taken(void)
{
	uv_loop_t loop;
	uv_poll_t reserve;
	size_t n;

	must(descriptors_limit(100, &n) == 0 && uv_loop_init(&loop) == 0);
	must(fcntl(0, F_DUPFD, 99) == 99);
	must(descriptors_reserve(&loop, &reserve, n) == -EMFILE);
	close(99);
	/* Again and again: nothing of it stays. */
	for (int i = 0; i < 3; i++) {
		must(descriptors_reserve(&loop, &reserve, n) == 0);
		must(uv_run(&loop, UV_RUN_DEFAULT) == 0 && fcntl(99, F_GETFD) < 0);
	}
	must(uv_loop_close(&loop) == 0);
}

static void test_the_limit(void **state)
{
	void (*children[])(void) = {limit_to_the_hard_one, reserve_what_is_taken};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(children); i++) {
		int status = status_of(children[i]);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void test_what_is_needed(void **state)
{
	(void)state;
	assert_int_equal(descriptors_needed(1, 1), 4 + 128 + 16384);
	/* As many as the configuration may ask for. */
	assert_int_equal(descriptors_needed(1000000, 256), 4000000 + 256 * 128 + 16384);
	assert_true(descriptors_needed(20000, 1) >= 3 * 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_descriptor_needs_memory),
		cmocka_unit_test(test_the_limit),
		cmocka_unit_test(test_what_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
