/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What is counted and measured, for /metrics, the status page and the log.
 *
 * cell       the numbers of one worker. Only that worker writes them, with relaxed atomics and
 *            without a locked instruction, so that counting costs a stanza next to nothing. Any
 *            thread may read them
 * value      a counter, which only grows, or a gauge
 * histogram  how often a duration was at most as long as each of a few bounds
 * refusal    a limit has refused something to a client
 *
 * All lists are here; ops/exposition.h writes them in the form that Prometheus reads.
 */
#include <stdalign.h>
#include <stdatomic.h>

#include "gateway/failure.h"

/* The first two are those of gateway/admission.h. HTTP: before it is known which of them the client
 * wants. */
#define METRICS_TRANSPORTS(X)     \
	X(BOSH, "bosh")           \
	X(WEBSOCKET, "websocket") \
	X(HTTP, "http")

enum metrics_transport {
#define X(id, name) METRICS_##id,
	METRICS_TRANSPORTS(X) METRICS_TRANSPORT_COUNT
#undef X
};

/* clang-format off */
/* id, type, name, labels, help. Those of one name stand together; help is given once. Of two
 * transports BOSH is first, so that METRIC_X_BOSH + transport is the right one. */
#define METRICS_VALUES(X)                                                                          \
	X(CONNECTING_BOSH, "gauge", "doab_sessions", "transport=\"bosh\",state=\"connecting\"",    \
	  "Sessions by transport and state.")                                                      \
	X(CONNECTING_WEBSOCKET, "gauge", "doab_sessions",                                          \
	  "transport=\"websocket\",state=\"connecting\"", "")                                      \
	X(READY_BOSH, "gauge", "doab_sessions", "transport=\"bosh\",state=\"ready\"", "")          \
	X(READY_WEBSOCKET, "gauge", "doab_sessions", "transport=\"websocket\",state=\"ready\"",    \
	  "")                                                                                      \
	X(ONLINE_BOSH, "gauge", "doab_sessions", "transport=\"bosh\",state=\"online\"", "")        \
	X(ONLINE_WEBSOCKET, "gauge", "doab_sessions", "transport=\"websocket\",state=\"online\"",  \
	  "")                                                                                      \
	X(OPENED_BOSH, "counter", "doab_sessions_opened_total", "transport=\"bosh\"",              \
	  "Sessions that were admitted.")                                                          \
	X(OPENED_WEBSOCKET, "counter", "doab_sessions_opened_total", "transport=\"websocket\"",    \
	  "")                                                                                      \
	X(CONNECTIONS, "gauge", "doab_connections", "",                                            \
	  "Connections of clients and proxies.")                                  \
	X(REQUESTS_BOSH, "counter", "doab_requests_total", "kind=\"bosh\"",                        \
	  "HTTP requests by what they asked for.")                                                 \
	X(REQUESTS_WEBSOCKET, "counter", "doab_requests_total", "kind=\"websocket\"", "")          \
	X(REQUESTS_OTHER, "counter", "doab_requests_total", "kind=\"other\"", "")                  \
	X(REQUESTS_REFUSED, "counter", "doab_requests_refused_total", "",                          \
	  "HTTP requests that were answered with an error status.")                                \
	X(BYTES_IN_BOSH, "counter", "doab_bytes_total", "transport=\"bosh\",direction=\"in\"",     \
	  "Bytes of stanzas and other elements, in: from clients, out: to them.")                  \
	X(BYTES_IN_WEBSOCKET, "counter", "doab_bytes_total",                                       \
	  "transport=\"websocket\",direction=\"in\"", "")                                          \
	X(BYTES_OUT_BOSH, "counter", "doab_bytes_total", "transport=\"bosh\",direction=\"out\"",   \
	  "")                                                                                      \
	X(BYTES_OUT_WEBSOCKET, "counter", "doab_bytes_total",                                      \
	  "transport=\"websocket\",direction=\"out\"", "")                                         \
	X(STANZAS_IN_BOSH, "counter", "doab_stanzas_total", "transport=\"bosh\",direction=\"in\"", \
	  "Stanzas and other elements, in: from clients, out: to them.")                           \
	X(STANZAS_IN_WEBSOCKET, "counter", "doab_stanzas_total",                                   \
	  "transport=\"websocket\",direction=\"in\"", "")                                          \
	X(STANZAS_OUT_BOSH, "counter", "doab_stanzas_total",                                       \
	  "transport=\"bosh\",direction=\"out\"", "")                                              \
	X(STANZAS_OUT_WEBSOCKET, "counter", "doab_stanzas_total",                                  \
	  "transport=\"websocket\",direction=\"out\"", "")

/* id, name, labels, help. Durations in seconds. */
#define METRICS_HISTOGRAMS(X)                                                                      \
	X(ROUND_TRIP_BOSH, "doab_round_trip_seconds", "transport=\"bosh\"",                        \
	  "From a client's element to the next element of its server.")                            \
	X(ROUND_TRIP_WEBSOCKET, "doab_round_trip_seconds", "transport=\"websocket\"", "")          \
	X(OPEN_BOSH, "doab_session_ready_seconds", "transport=\"bosh\"",                           \
	  "From the client's wish for a session to the server's stream.")                          \
	X(OPEN_WEBSOCKET, "doab_session_ready_seconds", "transport=\"websocket\"", "")             \
	X(DNS, "doab_dns_seconds", "", "DNS questions that were sent, until their answer.")        \
	X(DIAL, "doab_dial_seconds", "", "TCP connections to servers that were made.")             \
	X(TLS, "doab_tls_handshake_seconds", "",                                                   \
	  "TLS handshakes with servers that were completed.")                                      \
	X(LAG, "doab_loop_lag_seconds", "", "How late a timer of a worker's loop ran.")

/* The configuration key of the limit; `listener`: its allow, deny or proxy_peers. */
#define METRICS_REFUSALS(X)                                   \
	X(CLIENTS, "deny_clients")                            \
	X(LISTENER, "listener")                               \
	X(MAX_CONNECTIONS, "max_connections")                 \
	X(CONNECTIONS_PER_ADDRESS, "connections_per_address") \
	X(CONNECTION_RATE, "connection_rate")                 \
	X(SESSIONS_PER_ADDRESS, "sessions_per_address")       \
	X(MAX_SESSIONS, "max_sessions")                       \
	X(SESSION_RATE, "session_rate")                       \
	X(DOMAIN_SESSION_RATE, "domain_session_rate")         \
	X(FAILED_LOGINS, "failed_logins_per_address")         \
	X(DOMAIN_FAILED_LOGINS, "failed_logins_per_domain")   \
	X(LOGIN_TIMEOUT, "login_timeout")                     \
	X(REQUEST_RATE, "request_rate")                       \
	X(DOMAIN_SESSIONS, "domain_max_sessions")             \
	X(LOGIN_BYTES, "login_bytes")                         \
	X(FOREIGN_BYTES, "foreign_bytes")                     \
	X(FOREIGN_BYTES_PER_ADDRESS, "foreign_bytes_per_address") \
	X(BODY_BYTES, "body_bytes")
/* clang-format on */

enum metrics_value {
#define X(id, type, name, labels, help) METRIC_##id,
	METRICS_VALUES(X) METRIC_COUNT
#undef X
};

enum metrics_histogram_id {
#define X(id, name, labels, help) METRIC_HISTOGRAM_##id,
	METRICS_HISTOGRAMS(X) METRIC_HISTOGRAM_COUNT
#undef X
};

enum metrics_refusal {
#define X(id, name) METRIC_REFUSAL_##id,
	METRICS_REFUSALS(X) METRIC_REFUSAL_COUNT
#undef X
};

enum {
	METRICS_BOUNDS = 15,
	METRICS_BUCKETS = METRICS_BOUNDS + 1, /* the last one: longer than all bounds */
};

/* Microseconds. */
extern const int64_t metrics_bounds[METRICS_BOUNDS];

struct metrics_histogram {
	_Atomic int64_t buckets[METRICS_BUCKETS]; /* of each alone, not of the shorter ones too */
	_Atomic int64_t sum_us;
};

struct metrics_cell {
	alignas(64) _Atomic int64_t values[METRIC_COUNT];
	_Atomic int64_t failures[METRICS_TRANSPORT_COUNT][FAILURE_COUNT];
	_Atomic int64_t refusals[METRIC_REFUSAL_COUNT];
	struct metrics_histogram histograms[METRIC_HISTOGRAM_COUNT];
	/* Of ops/pulse.h. */
	_Atomic int64_t beat_ms; /* when the loop was seen to run, by uv_hrtime(); 0: never */
	_Atomic int64_t lag_us;  /* how late it was then */
	_Atomic int64_t cpu_us;  /* CPU time of the worker's thread */
};

struct metrics {
	unsigned n_cells;
	struct metrics_cell cells[];
};

/* One cell for each worker. Returns 0 or -ENOMEM. */
_must_check_ int metrics_new(unsigned n_workers, struct metrics **ret_metrics);
/* Takes NULL; returns NULL. */
struct metrics *metrics_free(struct metrics *metrics);

/* For the cell's own worker only. */
static inline void metrics_bump(_Atomic int64_t *number, int64_t n)
{
	atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void metrics_add(struct metrics_cell *cell, enum metrics_value value, int64_t n)
{
	metrics_bump(&cell->values[value], n);
}

static inline void metrics_fail(struct metrics_cell *cell, enum metrics_transport transport,
				enum failure_kind kind)
{
	metrics_bump(&cell->failures[transport][kind], 1);
}

static inline void metrics_refuse(struct metrics_cell *cell, enum metrics_refusal refusal)
{
	metrics_bump(&cell->refusals[refusal], 1);
}

void metrics_observe(struct metrics_cell *cell, enum metrics_histogram_id histogram, int64_t us);

/* For any thread. */
static inline int64_t metrics_read(const _Atomic int64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

const char *metrics_transport_name(enum metrics_transport transport);
const char *metrics_refusal_name(enum metrics_refusal refusal);

/* Sums over all cells. */
int64_t metrics_sum(const struct metrics *metrics, enum metrics_value value);
int64_t metrics_sum_failures(const struct metrics *metrics, enum metrics_transport transport,
			     enum failure_kind kind);
int64_t metrics_sum_refusals(const struct metrics *metrics, enum metrics_refusal refusal);
/* Adds the buckets of @histogram to @sums. */
void metrics_sum_buckets(const struct metrics *metrics, enum metrics_histogram_id histogram,
			 int64_t sums[static METRICS_BUCKETS]);
int64_t metrics_sum_us(const struct metrics *metrics, enum metrics_histogram_id histogram);

/* An upper bound, in microseconds, of the shortest @share (0 to 1) of the durations in @buckets:
 * interpolated within its bucket, as Prometheus does. 0 if there are none. */
int64_t metrics_quantile(const int64_t buckets[static METRICS_BUCKETS], double share);

/* Logs one line (event=failures) with the number of failures of each kind, over all transports. */
void metrics_log_failures(const struct metrics *metrics);
