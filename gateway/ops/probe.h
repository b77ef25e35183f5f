/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * `doab --probe DOMAIN`: does by hand what a session does, step by step, and tells whether one would work. It goes the session's own
 * way (xmpp/link.h) by the rules of the configuration, and looks on (upstream/observer.h). One loop, no worker, nothing is listened to.
 */
#include <stdio.h>

#include "gateway/config.h"

/* What the program ends with. */
enum probe_status {
	PROBE_WORKS,
	PROBE_FAILS,  /* no session would */
	PROBE_CANNOT, /* it could not be tried: no domain, or no means */
};

/* Probes what the operator wrote as @domain; @config was read from @path (NULL: the defaults). The answer goes to @out, line by line as it comes, in
 * colours when that is a terminal and NO_COLOR is not set. What is no answer goes to standard error. */
enum probe_status probe_run(const struct config *config, const char *path, const char *domain, FILE *out);
