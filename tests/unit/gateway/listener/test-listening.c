/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/listener/listening.h"

enum {
	N_MAX = 12,
};

/* How many workers accept from each of @n_fds sockets. */
static void count(size_t n_fds, unsigned n_workers, unsigned ret_counts[static N_MAX])
{
	int fds[N_MAX];
	const struct listening_address address = {.fds = fds, .n_fds = n_fds};

	memset(ret_counts, 0, N_MAX * sizeof(unsigned));
	for (size_t i = 0; i < n_fds; i++) {
		fds[i] = (int)i;
	}
	for (unsigned i = 0; i < n_workers; i++) {
		size_t n = listening_share(&address, i, n_workers);

		assert_true(n > 0);
		for (size_t j = 0; j < n; j++) {
			int fd = listening_fd(&address, i, n_workers, j);

			assert_true(fd >= 0 && (size_t)fd < n_fds);
			ret_counts[fd]++;
		}
	}
}

/* A socket from which nobody accepts would swallow connections, and one worker without a socket
 * would idle. */
static void test_every_socket_has_a_worker(void **state)
{
	(void)state;
	for (size_t n_fds = 1; n_fds <= N_MAX; n_fds++) {
		for (unsigned n_workers = 1; n_workers <= N_MAX; n_workers++) {
			unsigned counts[N_MAX];

			count(n_fds, n_workers, counts);
			for (size_t i = 0; i < n_fds; i++) {
				assert_true(counts[i] > 0);
				/* Shared only if there are too few. */
				assert_true(counts[i] == 1 || n_fds < n_workers);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_socket_has_a_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
