/* SPDX-License-Identifier: MIT */
#include "gateway/process/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Space for the descriptors of one message, aligned as the kernel wants it. */
union ancillary {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
};

void control_close(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++) {
		if (fds[i] >= 0) {
			close(fds[i]);
		}
	}
}

int control_pair(int ret_fds[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

int control_send(int fd, const struct control_message *message, const int *fds, size_t n_fds)
{
	union ancillary ancillary = {0};
	struct iovec bytes = {.iov_base = (void *)message, .iov_len = sizeof(*message)};
	struct msghdr header = {.msg_iov = &bytes, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds) {
		struct cmsghdr *rights = &ancillary.header;

		header.msg_control = &ancillary;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

bool control_may_retry(int r)
{
	return r < 0 && r != -EPIPE && r != -ECONNRESET;
}

bool control_is_delayed(int r)
{
	return r == -ENOMEM || r == -ENOBUFS;
}

/* Whether to try again, after a moment: the kernel is out of memory, but may not be for long. */
static bool wait_for_memory(int error, unsigned *n_waits)
{
	const struct timespec moment = {.tv_nsec = CONTROL_WAIT_MS * 1000000L};

	return control_is_delayed(-error) && (*n_waits)++ < CONTROL_WAITS_MAX &&
	       nanosleep(&moment, NULL) == 0;
}

int control_send_patiently(int fd, const struct control_message *message, const int *fds,
			   size_t n_fds)
{
	unsigned n_waits = 0;
	int r;

	do {
		r = control_send(fd, message, fds, n_fds);
	} while (wait_for_memory(-r, &n_waits));
	return r;
}

/* Copies the descriptors of @header. Returns their number. */
static size_t take_fds(struct msghdr *header, int ret_fds[static CONTROL_FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(ret_fds, CMSG_DATA(c), n * sizeof(int));
		}
	}
	return n;
}

int control_receive(int fd, struct control_message *ret_message,
		    int ret_fds[static CONTROL_FDS_MAX], size_t *ret_n_fds)
{
	union ancillary ancillary = {0};
	struct control_message message;
	struct iovec bytes = {.iov_base = &message, .iov_len = sizeof(message)};
	struct msghdr header = {.msg_iov = &bytes,
				.msg_iovlen = 1,
				.msg_control = &ancillary,
				.msg_controllen = sizeof(ancillary)};
	unsigned n_waits = 0;
	ssize_t n;

	/* A message that was left in the socket would be taken for the answer to a later one. */
	do {
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || wait_for_memory(errno, &n_waits)));
	if (n < 0) {
		if (errno == ECONNRESET) {
			return CONTROL_CLOSED;
		}
		return errno == EAGAIN ? CONTROL_EMPTY : -errno;
	}
	if (n == 0) {
		return CONTROL_CLOSED;
	}
	memset(ret_fds, -1, sizeof(int) * CONTROL_FDS_MAX);
	*ret_n_fds = take_fds(&header, ret_fds);
	if ((size_t)n != sizeof(message) || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		control_close(ret_fds, *ret_n_fds);
		return -EPROTO;
	}
	*ret_message = message;
	return CONTROL_RECEIVED;
}
