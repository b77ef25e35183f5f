/* SPDX-License-Identifier: MIT */
/* A descriptor that the kernel refuses to watch: an error, where libuv alone would abort. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/watch.h"

static int add_error;
static unsigned n_called;

/* Takes the place of the C library's, also for libuv. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	int r = (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);

	/* As the kernel, which finds out first whether it is there already. */
	if (r == 0 && op == EPOLL_CTL_ADD && add_error) {
		syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, event);
		errno = add_error;
		return -1;
	}
	return r;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	assert_int_equal(status, 0);
	assert_int_equal(events, UV_READABLE);
	n_called++;
	uv_poll_stop(poll);
}

static void test_watch(void **state)
{
	uv_loop_t loop;
	uv_poll_t poll;
	int fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_poll_init(&loop, &poll, fd), 0);
	/* The first time, libuv also watches descriptors of its own. */
	assert_int_equal(watch_start(&poll, UV_READABLE, on_readable), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_called, 1);

	add_error = ENOSPC;
	assert_int_equal(watch_start(&poll, UV_READABLE, on_readable), -ENOSPC);
	assert_false(uv_is_active((uv_handle_t *)&poll));
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(n_called, 1);

	add_error = 0;
	/* Again and again, as libuv takes it out of the epoll each time. */
	for (unsigned i = 2; i <= 4; i++) {
		assert_int_equal(watch_start(&poll, UV_READABLE, on_readable), 0);
		add_error = ENOMEM;
		uv_run(&loop, UV_RUN_DEFAULT);
		add_error = 0;
		assert_int_equal(n_called, i);
	}
	/* With other events, while it is being watched. */
	assert_int_equal(watch_start(&poll, UV_WRITABLE, on_readable), 0);
	assert_int_equal(watch_start(&poll, UV_READABLE, on_readable), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_called, 5);

	uv_close((uv_handle_t *)&poll, NULL);
	assert_int_equal(watch_start(&poll, UV_READABLE, on_readable), -EBADF);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_watch)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
