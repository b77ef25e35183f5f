/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Limits the log lines that clients can cause. Within CLIENT_LOG_INTERVAL_S, each client gets a
 * number of lines of each kind. Further ones are only counted, and the count is logged at the end
 * of the interval:
 *
 *     level=warning event=log-suppressed client=192.0.2.7 kind=connection-refused n=2990
 *
 * client=others stands for all clients that found no room in the table (policy/quota.h). Lines of
 * level debug are not limited: an operator who turns them on wants to see each step.
 *
 * One object serves all workers. It is thread-safe.
 */
#include "common/address.h"
#include "common/mono.h"
#include "policy/census.h"

enum {
	CLIENT_LOG_INTERVAL_S = 10,
	/* For each client: enough to see what happens, too few to fill a disk. */
	CLIENT_LOG_LINES_MAX = 10,
	/* For the others together: shows an attack from many addresses without naming each of
	 * them. */
	CLIENT_LOG_LINES_OTHERS_MAX = 100,
};

/* What a line is about. SESSION covers all lines of one session; it is asked for once, when the
 * session starts. STREAM covers lines about single streams of a logged session. */
#define CLIENT_LOG_KINDS(X)                                  \
	X(CONNECTION_REFUSED, "connection-refused", WARNING) \
	X(CONNECTION_FAILED, "connection-failed", ERROR)     \
	X(HANDSHAKE_FAILED, "handshake-failed", INFO)        \
	X(REQUEST_DROPPED, "request-dropped", WARNING)       \
	X(ANSWER_DROPPED, "answer-dropped", WARNING)         \
	X(REQUEST_REFUSED, "request-refused", INFO)          \
	X(SESSION_REFUSED, "session-refused", WARNING)       \
	X(AUTH_FAILED, "auth-failed", INFO)                  \
	X(SESSION_GUARDED, "session-guarded", WARNING)       \
	X(SESSION, "session", INFO)                          \
	X(STREAM, "stream", INFO)

enum client_log_kind {
#define X(id, name, level) CLIENT_LOG_##id,
	CLIENT_LOG_KINDS(X)
#undef X
		CLIENT_LOG_KIND_COUNT
};

struct client_log;

/* In an interval, a client gets as many sessions logged as @limits allows it at the same time, and
 * as many lines about streams. Returns 0 or a negative errno. */
_must_check_ int client_log_new(const struct census_limits *limits, struct client_log **ret_log);

/* Replaces the limits. Thread-safe. */
void client_log_set_limits(struct client_log *log, const struct census_limits *limits);

/* Takes NULL; returns NULL. */
struct client_log *client_log_free(struct client_log *log);

/* Returns whether the caller should log its line of @kind about @client. */
bool client_log_admits(struct client_log *log, enum client_log_kind kind,
		       const struct address *client, struct mono now);

/* Logs the counts of the intervals that are over at @now (MONO_NEVER: of all). To be called about
 * once a second. */
void client_log_sum_up(struct client_log *log, struct mono now);
