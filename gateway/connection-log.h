/* SPDX-License-Identifier: MIT */
#pragma once
/* Log lines about connections that came to no request, or whose TLS is to blame. */
#include "gateway/env.h"

/* A connection of @peer got no seat because of @limit. */
void connection_log_refused(const struct worker_env *env, const struct address *peer,
			    const char *limit);

/* A connection of @peer was closed ahead of its first request, or below its requests, because of
 * @reason. @event names the stage. */
void connection_log_failed(const struct worker_env *env, const struct address *peer,
			   const char *event, const char *reason);

/* The accepted connection of @peer could not be served, because of the error @r. */
void connection_log_lost(const struct worker_env *env, const struct address *peer, int r);
