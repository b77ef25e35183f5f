/* SPDX-License-Identifier: MIT */
#include "common/wake.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

void wake_send(int fd)
{
	const uint64_t one = 1;

	/* A counter that is read after each write always takes it. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
	}
}

void wake_take(int fd)
{
	uint64_t n_wakes;

	while (read(fd, &n_wakes, sizeof(n_wakes)) < 0 && errno == EINTR) {
	}
}
