/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Watches the logins that pass through the gateway (xmpp/login.h), for both transports: writes the
 * log line `auth-failed`, counts failures, and ends sessions that guess passwords
 * (policy/throttle.h).
 *
 *     event=auth-failed client=192.0.2.7 transport=bosh session=x8G2sQe domain=example.org
 *     mechanism=SCRAM-SHA-1 condition=not-authorized
 *
 * It has no user name: the gateway does not know it, and users mistype passwords into it. A client
 * gets a few lines in an interval, as for any other line (ops/client-log.h).
 */
#include "gateway/session-log.h"

/* The session @log, on its stream to @domain, is about to send @elements. Returns whether it may;
 * if not, *ret_failure is why, and the session is to be ended. */
_must_check_ bool login_guard_sent(const struct session_log *log, const char *domain,
				   struct link *link, struct sv elements,
				   struct failure *ret_failure);

/* To be called for each element from the server, after it has been passed on. Returns as above. */
_must_check_ bool login_guard_received(const struct session_log *log, const char *domain,
				       struct link *link, struct failure *ret_failure);

/* To be called before the session lets go of @link. Logins that the server has not decided yet
 * count as failed ones: a guesser could otherwise have wrong passwords tried without end, and the
 * server ban the gateway, by leaving before each answer. Without a log line, for a user who closes
 * the page while logging in does the same. */
void login_guard_left(const struct session_log *log, const char *domain, struct link *link);
