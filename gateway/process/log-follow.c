/* SPDX-License-Identifier: MIT */
#include "gateway/process/log-follow.h"

#include <string.h>

int log_follow_start(struct log_follow *follow)
{
	*follow = (struct log_follow){.retry = MONO_NEVER};
	return log_start(&follow->options);
}

static void start(struct log_follow *follow, struct mono now)
{
	int r = log_start(&follow->options);

	follow->retry = r < 0 ? mono_add_s(now, LOG_FOLLOW_RETRY_S) : MONO_NEVER;
	if (r < 0) {
		/* Until log_start() succeeds, lines go to standard error without a queue. */
		log_error("log-failed", LOG_STR("path", follow->path),
			  LOG_STR("error", strerror(-r)));
	}
}

void log_follow_obey(struct log_follow *follow, const struct control_message *message,
		     struct mono now)
{
	const char *path = message->place.name;

	if (message->n >= LOG_FORMAT_COUNT || message->is_given > LOG_PLACE_SYSLOG ||
	    !memchr(path, '\0', sizeof(message->place.name))) {
		return;
	}
	follow->options.format = (enum log_format)message->n;
	if (mono_is_never(follow->retry) && message->is_given == follow->options.place &&
	    strcmp(path, follow->path) == 0) {
		log_set_format(follow->options.format);
		return;
	}
	memcpy(follow->path, path, strlen(path) + 1);
	follow->options.place = (enum log_place)message->is_given;
	follow->options.path = follow->path;
	log_stop();
	start(follow, now);
}

void log_follow_reopen(struct log_follow *follow, struct mono now)
{
	if (mono_is_never(follow->retry)) {
		log_reopen();
	} else {
		start(follow, now);
	}
}

int log_follow_retry(struct log_follow *follow, struct mono now)
{
	if (mono_is_never(follow->retry)) {
		return -1;
	}
	if (mono_reached(follow->retry, now)) {
		start(follow, now);
	}
	int64_t ms = mono_is_never(follow->retry) ? -1 : mono_diff_ms(follow->retry, now);

	return ms == 0 ? 1 : (int)ms;
}
