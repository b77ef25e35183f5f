/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reading the configuration anew (SIGHUP). All or nothing: with a single mistake in the file, or an
 * address that cannot be bound, the configuration in force stays.
 */
#include "gateway/config/config.h"
#include "gateway/process/state.h"

/* Reads the file at @path. Each mistake becomes a line of the log (event=config-mistake). Returns
 * 0, or a negative errno. */
_must_check_ int reload_read(const char *path, struct config **ret_config);

/* Logs which keys differ between the two configurations but take effect only after a restart. */
void reload_log_restart(const struct config *before, const struct config *after);

/* Logs a warning if no server's certificate can be verified for want of authorities. Otherwise
 * every session would fail separately, with no better explanation than an untrusted certificate. */
void reload_warn_without_authorities(const struct config *config);

/* Notes and logs how a reload ended: 0, or a negative errno. */
void reload_done(struct process_state *state, int r);
