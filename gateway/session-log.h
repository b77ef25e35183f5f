/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The log lines of one session, the same for both transports:
 *
 *     session-open    it was admitted, and its server is searched for
 *     session-ready   the server's stream is the client's: server (its address), tls (version, or
 *                     "none"), cipher, ms (since session-open or stream-open)
 *     session-failed  failure, detail (gateway/failure.h)
 *     session-ended   rule: the client broke it (gateway/bosh/rule.h)
 *     session-closed  reason, ms (how long it was open), bytes_from_client, bytes_to_client
 *
 * Each has client, transport, session and domain. A session of a client that starts too many has no
 * lines at all (ops/client-log.h). One that was never opened has neither session-open nor
 * session-closed; if it was refused, the line is admission's.
 *
 * The same calls count sessions, bytes, stanzas and durations in the worker's cell
 * (ops/metrics.h), and keep the worker's list of open sessions, which ops/admin.h shows.
 *
 * state   connecting: no server's stream is the client's yet; ready: one is; online: the client has
 *         logged in on one
 * reason  the name of the failure or of the rule that ended the session, or one of the words below
 * bytes   of stanzas and other elements of the stream, without what the transport adds
 */
#include <sys/queue.h>

#include "gateway/admission.h"
#include "gateway/xmpp/link.h"

#define SESSION_REASON_CLIENT "closed-by-client"
/* the connection ended before the client closed its stream */
#define SESSION_REASON_LOST "client-lost"
#define SESSION_REASON_MEMORY "out-of-memory"

enum {
	SESSION_LOG_NAME_MAX = 7,
};

#define SESSION_STATES(X)           \
	X(CONNECTING, "connecting") \
	X(READY, "ready")           \
	X(ONLINE, "online")

enum session_state {
#define X(id, name) SESSION_##id,
	SESSION_STATES(X)
#undef X
};

struct session_log;

/* How the list of sessions reaches the session that a log belongs to. */
struct session_log_owner {
	/* Its first domain; borrowed until the session goes on. */
	const char *(*domain)(const struct session_log *log);
	/* Ends the session because of @failure, which the client is told. It may be freed then. */
	void (*end)(struct session_log *log, const struct failure *failure);
};

struct session_log {
	LIST_ENTRY(session_log) in_worker; /* worker_env.sessions, while it is open */
	const struct session_log_owner *owner;
	struct worker_env *env;
	const struct address *client;
	enum metrics_transport transport;
	char name[SESSION_LOG_NAME_MAX + 1];
	const char *reason; /* NULL: not known */
	enum session_state state;
	struct mono opened;
	uint64_t asked_ns; /* when the client sent what its server has not answered; 0: nothing */
	uint64_t n_from_client, n_to_client;
	bool is_open;
	bool is_asked; /* whether it may log */
	bool may_log;
};

/* @env, @client and @owner are borrowed for the session's life. @name is copied; it must open
 * nothing. */
void session_log_init(struct session_log *log, struct worker_env *env,
		      enum metrics_transport transport, const struct address *client,
		      struct sv name, const struct session_log_owner *owner);

const char *session_state_name(enum session_state state);

void session_log_open(struct session_log *log, const char *domain);

/* A further stream of the session is opened. */
void session_log_stream(struct session_log *log, const char *domain);

/* @link: whose header has come. @since: when it was made. */
void session_log_ready(struct session_log *log, const char *domain, const struct link *link,
		       struct mono since);

/* The client has logged in. May be called again. */
void session_log_online(struct session_log *log);

/* @n elements of @n_bytes together have been carried to the server, or to the client. */
void session_log_from_client(struct session_log *log, size_t n, size_t n_bytes);
void session_log_to_client(struct session_log *log, size_t n, size_t n_bytes);

/* Counts @failure, too. @is_last: the session cannot go on, so this is the reason for its end. */
void session_log_failed(struct session_log *log, const char *domain, const struct failure *failure,
			bool is_last);

/* @rule is static. */
void session_log_ended(struct session_log *log, const char *domain, const char *rule);

/* The gateway has no memory left for the session. */
void session_log_out_of_memory(struct session_log *log);

/* Sets the reason, unless one is set already. @reason is static. */
void session_log_set_reason(struct session_log *log, const char *reason);

/* Nothing is logged if the session was never opened. */
void session_log_closed(struct session_log *log, const char *domain);
