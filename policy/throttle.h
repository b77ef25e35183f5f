/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Limits the rates of new connections, new sessions and failed logins. The census (census.h) counts
 * what there is, the throttle what happens. Shared by all workers and guarded by a mutex; used when
 * a connection is accepted, a session is created, or a login is tried or decided, never per stanza.
 * The memory is fixed (bucket.h).
 *
 * client  as in client.h: an IPv4 address, or the /64 of an IPv6 address
 * domain  the ascii form (domain.h) of the target
 * known   a client that has logged in to a domain within THROTTLE_KNOWN_S
 *
 * Failed logins. Without limits, a password can be guessed 600 times a second through the gateway,
 * and a server that bans the guesser bans the gateway, and so all its users. Two buckets count
 * them:
 *
 * - One for each client and domain. When it is empty, the session ends, and the client gets no new
 *   one to that domain until there is a token again. Other clients, and other domains, notice
 *   nothing. A login that succeeds fills no bucket: a guesser may have an account, too.
 * - One for each domain, for guesses from many addresses. When it is empty, known clients go on as
 *   before. Unknown clients, which guessers and new users are alike, get a session only when there
 *   is a token, and only until their first failure. No single client can empty it: it counts the
 *   failures of one client only as long as that client's own bucket has tokens.
 */
#include "policy/bucket.h"

enum {
	/* A user who was here yesterday can log in while somebody else guesses. */
	THROTTLE_KNOWN_S = 7 * 24 * 3600,
};

/* Warnings about single addresses: once a day about each, and a few in an hour about all. */
#define THROTTLE_WARNINGS ((struct bucket_rate){1, 24 * 3600})
#define THROTTLE_WARNINGS_ALL ((struct bucket_rate){20, 3600})

struct throttle_limits {
	struct bucket_rate connections;          /* of a client: CPU for accepting and TLS */
	struct bucket_rate sessions;             /* of a client: DNS and dials on its behalf */
	struct bucket_rate domain_sessions;      /* to a domain: its server is not flooded */
	struct bucket_rate client_failed_logins; /* of a client to a domain: guessing */
	struct bucket_rate domain_failed_logins; /* to a domain: guessing from many addresses */
};

enum throttle_result {
	THROTTLE_OK,
	THROTTLE_E_CLIENT,        /* the client is too fast */
	THROTTLE_E_DOMAIN,        /* all clients together are too fast for the domain */
	THROTTLE_E_CLIENT_LOGINS, /* too many failed logins of the client to the domain */
	THROTTLE_E_DOMAIN_LOGINS, /* likewise of all, and the client is unknown */
};

struct throttle;

/* Returns 0 or a negative errno. */
_must_check_ int throttle_new(struct throttle **ret_throttle);
struct throttle *throttle_free(struct throttle *throttle);

/* A connection of @client arrives. Returns THROTTLE_OK or _E_CLIENT. */
_must_check_ enum throttle_result throttle_connection(struct throttle *throttle,
						      const struct throttle_limits *limits,
						      const struct address *client,
						      struct mono now);

/* @client wants a session to @domain. @is_exempt: the limits for one client do not apply to it. On
 * a refusal no token is taken. */
_must_check_ enum throttle_result throttle_session(struct throttle *throttle,
						   const struct throttle_limits *limits,
						   const struct address *client, bool is_exempt,
						   struct sv domain, struct mono now);

/* @client, in a session to @domain, is about to try a login. Returns THROTTLE_OK, or
 * _E_CLIENT_LOGINS or _E_DOMAIN_LOGINS; then the session is to be ended. Takes nothing. */
_must_check_ enum throttle_result throttle_login(struct throttle *throttle,
						 const struct throttle_limits *limits,
						 const struct address *client, struct sv domain,
						 struct mono now);

/* The login failed. Returns as above. */
_must_check_ enum throttle_result throttle_login_failed(struct throttle *throttle,
							const struct throttle_limits *limits,
							const struct address *client,
							struct sv domain, struct mono now);

/* The login succeeded: the client is known. */
void throttle_login_succeeded(struct throttle *throttle, const struct address *client,
			      struct sv domain, struct mono now);

/* Whether a warning about @client is due, and not one of too many. */
_must_check_ bool throttle_warning(struct throttle *throttle, const struct address *client,
				   struct mono now);
