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

enum probe_form {
	/* The steps as they happen, in colours if the output is a terminal and NO_COLOR is not
	 * set. */
	PROBE_FORM_TEXT,
	/* One JSON document at the end; doab(8) has a sample. Nothing if it is PROBE_CANNOT. */
	PROBE_FORM_JSON,
};

/* Probes @domain, as written by the operator. @config was read from @path (NULL: the defaults).
 * Prints to @out. Problems of the probe itself go to standard error. */
enum probe_status probe_run(const struct config *config, const char *path, const char *domain,
			    enum probe_form form, FILE *out);
