/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Logs and measures the steps on the way to servers. At level debug: DNS answers (dns-answer),
 * addresses that are dialled (dial), TLS (tls), stream headers (stream-header), redirections
 * (redirected), and servers that are slow or given up (server-slow, server-left). The steps of BOSH
 * requests are logged where they happen (bosh/), as bosh-request and bosh-answer.
 *
 * At level warning, once a minute: an address of source_address that this machine does not have
 * (source-address).
 *
 * At level info: a server shows another key than the domain's servers have shown (server-key);
 * and, at most once a minute, how many such changes were not logged (server-keys-missed).
 *
 * Nothing of a stream but its header is logged. How long DNS questions, connections and handshakes
 * took goes into the worker's cell (ops/metrics.h).
 */
#include "gateway/ops/metrics.h"
#include "gateway/xmpp/link-env.h"
#include "policy/known-keys.h"

struct trace {
	struct metrics_cell *metrics;
	struct known_keys *known_keys;
	uint64_t warned_ns; /* uv_hrtime() of the last warning; 0: none */
	struct lookup_observer lookup;
	struct dial_observer dial;
	struct link_observer link;
};

/* The pointers are borrowed for the trace's life. */
void trace_init(struct trace *trace, struct metrics_cell *metrics, struct known_keys *known_keys);

/* Sets the observers of @env's dialer and links. @trace must outlive @env. */
void trace_observe(const struct trace *trace, struct link_env *env);
