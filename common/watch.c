/* SPDX-License-Identifier: MIT */
#include "common/watch.h"

#include <errno.h>
#include <sys/epoll.h>

int watch_start(uv_poll_t *poll, int events, uv_poll_cb callback)
{
	struct epoll_event none = {0};
	int fd;
	int r = uv_fileno((const uv_handle_t *)poll, &fd);

	if (r == 0) {
		r = uv_poll_start(poll, events, callback);
	}
	if (r < 0) {
		return r;
	}
	none.data.fd = fd; /* as libuv does, which finds its handle by it */
	/* libuv changes the entry to its own where there is one. */
	if (epoll_ctl(uv_backend_fd(poll->loop), EPOLL_CTL_ADD, fd, &none) < 0 && errno != EEXIST) {
		r = -errno;
		uv_poll_stop(poll);
	}
	return r;
}
