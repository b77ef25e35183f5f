/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The outbound side of one loop, as the configuration has it: all that links share (resolver, TLS contexts, parsers, what is known of
 * addresses). Each worker has one, and the probe.
 */
#include "gateway/config.h"
#include "gateway/xmpp/link.h"

/* All are borrowed until outbound_deinit(); @observer may be NULL. Returns 0 or a negative errno; also then outbound_close() and
 * outbound_deinit() are due. */
_must_check_ int outbound_init(struct link_env *env, uv_loop_t *loop, const struct config *config, struct census *census,
				const struct lookup_observer *observer);

/* When all links are gone: closes what is left on the loop, which is to be run empty then. */
void outbound_close(struct link_env *env);

/* After that. */
void outbound_deinit(struct link_env *env);
