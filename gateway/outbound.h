/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Everything on one loop that links to servers share: the resolver, TLS contexts, parsers, and what
 * is known about addresses. Set up from the configuration. Each worker has one, and so does the
 * probe.
 */
#include "gateway/config/config.h"
#include "gateway/xmpp/link.h"

/* All pointers are borrowed until outbound_deinit(); @turn, for link_env::dialer, and @observer may
 * be NULL. Returns 0 or a negative errno. Either way the caller must call outbound_close() and
 * outbound_deinit(). */
_must_check_ int outbound_init(struct link_env *env, uv_loop_t *loop, const struct config *config,
			       struct turn *turn, const struct lookup_observer *observer);

/* Replaces the configuration. Links that begin from now on use it, with trust stores, name servers
 * and hosts that are read anew; the others go on as they are. @config is borrowed until the next
 * call. Returns 0, or a negative errno; then names are resolved as before. */
_must_check_ int outbound_reload(struct link_env *env, const struct config *config);

/* To be called when all links are gone. Closes the remaining handles; the loop must then be run
 * until it is empty. */
void outbound_close(struct link_env *env);

/* To be called after that. */
void outbound_deinit(struct link_env *env);
