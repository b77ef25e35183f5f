/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Lists the open sessions of all workers, for operators, and ends one of them. The sessions belong
 * to their workers, so each worker is asked by a message and writes down its own.
 *
 * row     what the list says about a session
 * silent  a worker that did not answer within SESSION_LIST_WAIT_MS
 *
 * The functions wait for the workers: call them from a thread that serves no client.
 */
#include "gateway/session-log.h"

enum {
	/* A loop that is busy for longer hangs, as /healthz tells. */
	SESSION_LIST_WAIT_MS = 2000,
};

struct session_row {
	char name[SESSION_LOG_NAME_MAX + 1]; /* as in the log */
	enum metrics_transport transport;
	enum session_state state;
	struct address client;
	unsigned worker;
	int64_t age_ms;
	uint64_t n_from_client, n_to_client; /* bytes */
	size_t domain_at;                    /* see session_list_domain() */
};

struct session_list {
	struct buffer rows;  /* of struct session_row */
	struct buffer texts; /* domains, each with its NUL */
	unsigned n_silent;
};

/* Lists the sessions of the @n_workers whose environments are @envs, the oldest first. Returns 0 or
 * -ENOMEM. */
_must_check_ int session_list_read(struct worker_env *const *envs, unsigned n_workers,
				   struct session_list *ret_list);
void session_list_deinit(struct session_list *list);

size_t session_list_count(const struct session_list *list);
const struct session_row *session_list_row(const struct session_list *list, size_t index);
const char *session_list_domain(const struct session_list *list, const struct session_row *row);

enum session_kick {
	SESSION_KICK_DONE,
	SESSION_KICK_E_UNKNOWN,   /* there is no such session */
	SESSION_KICK_E_AMBIGUOUS, /* there are several of that name; none has been ended */
	SESSION_KICK_E_SILENT,    /* its worker, or one that may have it, did not answer */
};

/* Ends the session with this @name. Names are short, so two sessions may have the same one: with
 * @client (may be NULL) only those of that client count. Its client is told FAILURE_KICKED. Returns
 * SESSION_KICK_* or -ENOMEM. */
_must_check_ int session_list_kick(struct worker_env *const *envs, unsigned n_workers,
				   struct sv name, const struct address *client);
