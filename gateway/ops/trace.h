/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Logs the steps on the way to servers, at level debug: DNS answers (dns-answer), addresses that
 * are dialled (dial), TLS (tls), stream headers (stream-header), redirections (redirected), and
 * servers that are slow or given up (server-slow, server-left). The steps of BOSH requests are
 * logged where they happen (bosh/), as bosh-request and bosh-answer.
 *
 * Nothing of a stream but its header is logged.
 */
#include "gateway/xmpp/link-env.h"

extern const struct lookup_observer trace_lookup_observer;

/* Sets the observers of @env's dialer and links. They stay valid for ever. */
void trace_observe(struct link_env *env);
