/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What is sent over loopback need not be there at once: some kernels deliver it on another core, a
 * little later. A test that goes on as if it were there waits for it with these. Included after
 * cmocka.h.
 */
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>

enum {
	LOOPBACK_PATIENCE_MS = 20000,
	LOOPBACK_STEP_MS = 1,
};

/* Waits until poll(2) reports one of @events of @fd, or an error or the end, which it reports
 * always. */
static inline void loopback_wait(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	assert_int_equal(poll(&poll_fd, 1, LOOPBACK_PATIENCE_MS), 1);
}

/* The bytes that can be read of @fd. */
static inline size_t loopback_unread(int fd)
{
	int n;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

/* Waits until @n bytes can be read of @fd. */
static inline void loopback_wait_bytes(int fd, size_t n)
{
	for (int ms = 0; loopback_unread(fd) < n && ms < LOOPBACK_PATIENCE_MS;
	     ms += LOOPBACK_STEP_MS) {
		(void)poll(NULL, 0, LOOPBACK_STEP_MS);
	}
	assert_true(loopback_unread(fd) >= n);
}
