/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The log of the supervisor. Its lines go where those of the serving process go. While that place
 * cannot be opened, they go to standard error, and the supervisor tries again now and then.
 */
#include "common/log.h"
#include "common/mono.h"
#include "gateway/listener/bind.h"
#include "gateway/process/control.h"

enum {
	/* How often a place that could not be opened is tried again: a disk may be full for long,
	 * and each try that fails is a line of the log. */
	LOG_FOLLOW_RETRY_S = 30,
};

struct log_follow {
	struct log_options options; /* in force, or wanted; its path is `path` */
	char path[BIND_NAME_MAX];
	struct mono retry; /* when to try again; MONO_NEVER: the log is open */
};

/* Starts the log with standard error. Returns 0 or a negative errno. */
_must_check_ int log_follow_start(struct log_follow *follow);

/* Does as @message, a CONTROL_READY, says. */
void log_follow_obey(struct log_follow *follow, const struct control_message *message,
		     struct mono now);

/* Opens the place again, if it is open, because its file may have been renamed; else tries at once
 * to open it. */
void log_follow_reopen(struct log_follow *follow, struct mono now);

/* Tries again, if it is time. Returns the milliseconds until then, at least 1; -1: never. */
int log_follow_retry(struct log_follow *follow, struct mono now);
