/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where log lines go: standard error, a file, or the socket of a syslog daemon. Used by the log's
 * writer (log-writer.h), whose thread may wait for a disk.
 *
 * sink  such a place. A file or a socket can be opened anew: when a file has been renamed, or the
 *       daemon has been restarted
 */
#include "common/sv.h"

#define LOG_SYSLOG_SOCKET "/dev/log"

enum log_place {
	LOG_PLACE_STDERR,
	LOG_PLACE_FILE,
	LOG_PLACE_SYSLOG,
};

struct log_sink {
	enum log_place place;
	const char *path; /* of the file or the socket */
	int fd;           /* negative: the daemon's socket is not there now */
};

/* Opens the file or the socket; @path is borrowed until log_sink_close(), NULL for standard error.
 * The file is created if it is not there (mode 0640), and lines are appended to it. A daemon that
 * does not listen yet is no error: it may start later. Returns 0 or a negative errno. */
_must_check_ int log_sink_open(enum log_place place, const char *path, struct log_sink *ret_sink);

/* Closes what was opened. May run twice. */
void log_sink_close(struct log_sink *sink);

/* Opens the file or the socket anew. If that fails, the former one stays in use. Does nothing to
 * standard error. Returns 0 or a negative errno. */
_must_check_ int log_sink_reopen(struct log_sink *sink);

/* Writes from the beginning of @lines, whole lines of which the first may have been written in
 * part; to a daemon, one line per call. Waits up to @timeout_ms for room, but for a disk as long as
 * it takes. Returns the number of bytes written, 0 if there was no room, or a negative errno. */
_must_check_ int log_sink_write(struct log_sink *sink, struct sv lines, int timeout_ms);
