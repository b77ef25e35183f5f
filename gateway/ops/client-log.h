/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds the log lines that clients can cause at will: how many of a kind one client gets within
 * CLIENT_LOG_INTERVAL_S. What is beyond is not logged but counted, and summed up when the interval
 * is over:
 *
 *     level=warning event=log-suppressed client=192.0.2.7 kind=connection-refused n=2990
 *
 * Lines of level debug are not bounded: they are for an operator who asked for each step.
 *
 * client=others stands for all those for which the table had no room (policy/quota.h). One object
 * for all workers, thread-safe.
 */
#include "common/address.h"
#include "common/mono.h"
#include "policy/census.h"

enum {
	CLIENT_LOG_INTERVAL_S = 10,
	/* Refusals: enough to see what is going on, and no way for one client to fill a disk. */
	CLIENT_LOG_LINES_MAX = 10,
	/* Of the others together. An attack from many addresses is seen as such by then. */
	CLIENT_LOG_LINES_OTHERS_MAX = 100,
};

/* The event that a line is about. SESSION: all lines of one session, decided when it begins. STREAM:
 * those about one of the streams in a session that is logged. */
#define CLIENT_LOG_KINDS(X)                                                                        \
	X(CONNECTION_REFUSED, "connection-refused", WARNING)                                       \
	X(CONNECTION_FAILED, "connection-failed", ERROR)                                           \
	X(SESSION_REFUSED, "session-refused", WARNING)                                             \
	X(SESSION_GUARDED, "session-guarded", WARNING)                                             \
	X(SESSION, "session", INFO)                                                                \
	X(STREAM, "stream", INFO)

enum client_log_kind {
#define X(id, name, level) CLIENT_LOG_##id,
	CLIENT_LOG_KINDS(X)
#undef X
	CLIENT_LOG_KIND_COUNT
};

struct client_log;

/* Sessions and streams are bounded by @limits: a client may begin and fail as many of them in an
 * interval, each with its lines, as it may have at the same time. Returns 0 or a negative errno. */
_must_check_ int client_log_new(const struct census_limits *limits, struct client_log **ret_log);

/* NULL is fine. */
struct client_log *client_log_free(struct client_log *log);

/* Whether the caller is to log what it has of @kind about @client. */
bool client_log_admits(struct client_log *log, enum client_log_kind kind,
		       const struct address *client, struct mono now);

/* Sums up the intervals that are over at @now, with MONO_NEVER all. To be called every second or so. */
void client_log_sum_up(struct client_log *log, struct mono now);
