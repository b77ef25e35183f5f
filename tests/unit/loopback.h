/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What is sent over loopback need not be there at once: some kernels deliver it on another core, a
 * little later. A test that goes on as if it were there waits for it with these. Included after
 * cmocka.h.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
	LOOPBACK_PATIENCE_MS = 20000,
	LOOPBACK_STEP_MS = 1,
};

/* Returns a socket that listens at @address, of IPv4, which gets the port. Up to @n connections
 * wait there to be accepted. */
static inline int loopback_listen(struct sockaddr *address, int n)
{
	socklen_t size = sizeof(struct sockaddr_in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, address, size), 0);
	assert_int_equal(listen(fd, n), 0);
	assert_int_equal(getsockname(fd, address, &size), 0);
	return fd;
}

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
