/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Answers plug-ins that ask whether they may open sockets (policy/policy-request.h), with a socket
 * policy (policy/documents.h). The answer is sent, for Flash with a NUL behind it, and the
 * connection is closed.
 *
 * Flash asks at port 843 and then at the port that it wants to connect to, so requests come to the
 * ports of HTTP, too. Silverlight asks at port 943 only. Both ports are listened on where the
 * configuration says so.
 */
#include "gateway/env.h"
#include "gateway/http/site.h"
#include "gateway/listener/waiting.h"

struct socket_policy;

enum {
	/* A request has 23 bytes. Who has not sent them by then holds a descriptor for nothing. */
	SOCKET_POLICY_TIMEOUT_S = 5,
};

/* Whether @fd, a connection that was accepted, came to a port for plug-ins. */
bool socket_policy_is_asked(const struct config *config, int fd, enum site_plugin *ret_plugin);

/* Returns 0 or a negative errno. */
_must_check_ int socket_policy_new(struct worker_env *env, struct socket_policy **ret_policy);

/* Takes the connection @fd of @peer, from which nothing has been read. A failure is logged, and
 * closes @fd. Calls worker_leave_connection() when the connection is closed, if it @has_seat in the
 * census: one end of a pump has none (wire_set_silent()). */
void socket_policy_adopt(struct socket_policy *policy, int fd, const struct address *peer,
			 enum site_plugin plugin, bool has_seat);

/* Closes all connections; the handles are closed in a later iteration of the loop. Takes NULL. */
void socket_policy_close(struct socket_policy *policy);

/* Call it after socket_policy_close(), when the loop has no active handles left. Takes NULL;
 * returns NULL. */
struct socket_policy *socket_policy_free(struct socket_policy *policy);
