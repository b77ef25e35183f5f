/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * `doab --probe DOMAIN`: does what a session does, shows each step, and says whether a session
 * would work. Uses the code of sessions (xmpp/link.h) with the rules of the configuration, and
 * watches it by observers (upstream/observer.h). Runs one loop, has no workers and does not listen.
 */
#include <stdio.h>

#include "gateway/config/config.h"

/* The exit status of the program. */
enum probe_status {
	PROBE_WORKS,
	PROBE_FAILS,  /* no session would work */
	PROBE_CANNOT, /* not tried: not a domain, or out of resources */
};

/* Probes @domain, as written by the operator. @config was read from @path (NULL: the defaults).
 * Prints the steps to @out as they happen, in colours if it is a terminal and NO_COLOR is not set.
 * Problems of the probe itself go to standard error. */
enum probe_status probe_run(const struct config *config, const char *path, const char *domain,
			    FILE *out);
