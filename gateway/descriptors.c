/* SPDX-License-Identifier: MIT */
#include "gateway/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sv.h"

size_t descriptors_needed(size_t n_sessions, unsigned n_workers)
{
	return DESCRIPTORS_PER_SESSION * n_sessions + DESCRIPTORS_PER_WORKER * (size_t)n_workers +
	       DESCRIPTORS_BESIDE;
}

/* How many descriptors the kernel lets the user watch; no limit if that is unknown. */
static size_t watchable(void)
{
	FILE *file = fopen("/proc/sys/fs/epoll/max_user_watches", "re");
	char text[32] = "";
	uint64_t n = SIZE_MAX;

	if (!file) {
		return SIZE_MAX;
	}
	if (!fgets(text, sizeof(text), file) ||
	    sv_to_u64(sv_trim(sv_from(text)), SIZE_MAX, &n) < 0) {
		n = SIZE_MAX;
	}
	(void)fclose(file);
	return (size_t)n / DESCRIPTORS_WATCHES;
}

int descriptors_limit(size_t n_needed, size_t *ret_n)
{
	struct rlimit limit;
	size_t n = watchable();

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return -errno;
	}
	n = n_needed < n ? n_needed : n;
	n = n < limit.rlim_max ? n : limit.rlim_max;
	limit.rlim_cur = n;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return -errno;
	}
	*ret_n = n;
	return 0;
}

static void on_nothing(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
}

/* Opens the descriptor @n - 1, on an object that can be polled. Returns it or a negative errno. */
static int open_last(size_t n)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int last = fcntl(fd, F_DUPFD_CLOEXEC, (int)(n - 1));
	int r = last < 0 ? -errno : last;

	close(fd);
	return r;
}

int descriptors_set(size_t n_sessions, unsigned n_workers, size_t *ret_n)
{
	size_t n_needed = descriptors_needed(n_sessions, n_workers);
	int r = descriptors_limit(n_needed, ret_n);

	if (r == 0 && *ret_n < n_needed) {
		log_warning("few-descriptors", LOG_NUMBER("limit", *ret_n),
			    LOG_NUMBER("needed", n_needed),
			    LOG_STR("hint",
				    "raise the limit on open files (LimitNOFILE, ulimit -n), "
				    "or lower max_sessions"));
	}
	return r;
}

int descriptors_reserve(uv_loop_t *loop, uv_poll_t *poll, size_t n)
{
	int last = open_last(n);

	if (last < 0) {
		return last;
	}
	int r = uv_poll_init(loop, poll, last);

	if (r == 0) {
		/* This grows the table; libuv never shrinks it. */
		uv_poll_start(poll, UV_READABLE, on_nothing);
		uv_close((uv_handle_t *)poll, NULL);
	}
	close(last);
	return r;
}
