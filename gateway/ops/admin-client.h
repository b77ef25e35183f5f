/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Asks the admin listener of a running gateway from a terminal: `doab --status`, `--sessions` and
 * `--kick`. The answer is text that the gateway has formatted; what peers have sent is escaped in
 * it.
 */
#include <stdio.h>

#include "gateway/config/config.h"

enum admin_client_question {
	ADMIN_CLIENT_STATUS,
	ADMIN_CLIENT_SESSIONS,
	ADMIN_CLIENT_KICK,
};

/* Asks the gateway whose configuration @config is and prints the answer to @out, or what is wrong
 * to standard error. @value: of a kick, "SESSION" or "SESSION@ADDRESS". Returns the exit status: 0,
 * 1 if the gateway says no, 2 if it could not be asked. */
_must_check_ int admin_client_run(const struct config *config, enum admin_client_question question,
				  const char *value, FILE *out);
