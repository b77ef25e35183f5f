/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sends and receives datagrams for c-ares. Errors go into errno, as those of the system calls do.
 */
#include <ares.h>
#include <sys/uio.h>

/* Like recvfrom(), but passes over malformed datagrams and interruptions where c-ares would take
 * them for a broken connection, and cuts those that have more records than are used (answers.h). */
ares_ssize_t ares_datagram_receive(int fd, void *data, size_t size, int flags,
				   struct sockaddr *from, ares_socklen_t *n_from);

/* Like writev(), but tries again after an interruption, and once after an ICMP error. The kernel
 * reports one that an earlier datagram caused when the next one is sent. That one would be taken
 * for undeliverable otherwise, while the one that caused the error waits for its time-out. c-ares
 * sees the error when it reads. */
ares_ssize_t ares_datagram_send(int fd, const struct iovec *parts, int n_parts);
