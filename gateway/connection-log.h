/* SPDX-License-Identifier: MIT */
#pragma once
/* Log lines about connections that were closed before their first request, or because of their
 * TLS. */
#include "gateway/env.h"

/* A connection of @peer was refused because of @limit: before its first request, or, if @peer is a
 * client behind a proxy, when it asked for a WebSocket. */
void connection_log_refused(const struct worker_env *env, const struct address *peer,
			    const char *limit);

/* A connection of @peer was closed before its first request, or because of its TLS, for @reason.
 * @event names the stage. */
void connection_log_failed(const struct worker_env *env, const struct address *peer,
			   const char *event, const char *reason);

/* The accepted connection of @peer could not be served, because of the error @r. */
void connection_log_lost(const struct worker_env *env, const struct address *peer, int r);
