/* SPDX-License-Identifier: MIT */
#include "common/log-sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"

enum {
	FILE_MODE = 0640, /* clients' addresses are nobody's business */
};

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, FILE_MODE);

	return fd < 0 ? -errno : fd;
}

static int open_socket(const char *path)
{
	struct sockaddr_un address;
	int r = address_local(path, &address);

	if (r < 0) {
		return r;
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static bool is_absent(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED;
}

int log_sink_open(enum log_place place, const char *path, struct log_sink *ret_sink)
{
	int fd = STDERR_FILENO;

	if (place == LOG_PLACE_FILE) {
		fd = open_file(path);
	} else if (place == LOG_PLACE_SYSLOG) {
		fd = open_socket(path);
	}
	if (fd < 0 && (place != LOG_PLACE_SYSLOG || !is_absent(fd))) {
		return fd;
	}
	*ret_sink = (struct log_sink){.place = place, .path = path, .fd = fd};
	return 0;
}

void log_sink_close(struct log_sink *sink)
{
	if (sink->place != LOG_PLACE_STDERR && sink->fd >= 0) {
		close(sink->fd);
	}
	sink->fd = sink->place == LOG_PLACE_STDERR ? STDERR_FILENO : -1;
}

int log_sink_reopen(struct log_sink *sink)
{
	struct log_sink opened;

	if (sink->place == LOG_PLACE_STDERR) {
		return 0;
	}
	int r = log_sink_open(sink->place, sink->path, &opened);

	if (r == 0) {
		log_sink_close(sink);
		*sink = opened;
	}
	return r;
}

/* A datagram is a line without its end. */
static int send_line(struct log_sink *sink, struct sv lines)
{
	size_t n = sv_find(lines, '\n');

	if (send(sink->fd, lines.data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		return -errno;
	}
	return (int)(n < lines.n ? n + 1 : n);
}

/* Sends to a daemon, which may have been restarted since. */
static int send_to_daemon(struct log_sink *sink, struct sv lines)
{
	int r = sink->fd < 0 ? -ENOTCONN : send_line(sink, lines);

	if (r == -ENOTCONN || r == -ECONNREFUSED || r == -ECONNRESET) {
		r = log_sink_reopen(sink);
		if (r == 0) {
			r = sink->fd < 0 ? -ENOTCONN : send_line(sink, lines);
		}
	}
	return r;
}

static int write_bytes(const struct log_sink *sink, struct sv lines)
{
	ssize_t n = write(sink->fd, lines.data, lines.n);

	return n < 0 ? -errno : (int)n;
}

int log_sink_write(struct log_sink *sink, struct sv lines, int timeout_ms)
{
	struct pollfd out = {.fd = sink->fd, .events = POLLOUT};
	bool is_daemon = sink->place == LOG_PLACE_SYSLOG;

	if (!is_daemon || sink->fd >= 0) {
		int n_ready = poll(&out, 1, timeout_ms);

		if (n_ready <= 0) {
			return n_ready < 0 ? -errno : 0;
		}
	}
	int r = is_daemon ? send_to_daemon(sink, lines) : write_bytes(sink, lines);

	return r == -EAGAIN || r == -EINTR ? 0 : r;
}
