/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The configuration: read by the main thread (libconfuse), checked as a whole, and read-only from
 * then on. All workers share it, and end before it is freed. conf/doab.conf documents each key.
 *
 * It cannot include other files or environment variables (${...}): the text that is checked is the
 * text that was written. An old name of a key is accepted with a warning.
 */
#include <stdio.h>

#include "common/address.h"
#include "common/log.h"
#include "policy/budget.h"
#include "policy/census.h"
#include "policy/client.h"
#include "policy/domain.h"
#include "policy/origin.h"
#include "policy/ports.h"
#include "policy/route.h"

struct config {
	struct address *listen; /* where HTTP is served */
	size_t n_listen;
	bool listens_by_default; /* `listen` is not in the file */
	unsigned n_workers;      /* never 0, which has been replaced by one per core */
	char *bosh_path;
	char *websocket_path;
	char *see_other_uri; /* where clients without TLS are sent for BOSH; "" for nowhere */
	bool session_bound_to_address; /* a BOSH session takes requests only from its client */
	enum log_level log_level;
	struct origin_list origins;
	struct client_proxies proxies;
	struct routes routes; /* destinations that BOSH clients may name */
	struct ports ports;   /* ports that may be dialled */
	char *resolvers;      /* "127.0.0.1:5300,[::1]:53" for c-ares; NULL for the system's */
	size_t n_body_max;    /* bytes of a request body or WebSocket message */
	size_t n_stanza_max;  /* bytes of an element from a server */
	size_t n_pending_max; /* bytes kept for an absent client before the server is paused */
	unsigned wait_s, hold, inactivity_s, polling_s, ping_interval_s;
	/* For gateway/bosh/session.h. */
	unsigned maxpause_s, linger_ms, n_repeats_max, n_streams_max;
	unsigned dns_timeout_ms, n_dns_tries;
	bool trusts_dnssec; /* the resolvers are trusted to verify signatures */
	bool coding; /* gzip and deflate are offered; see gateway/http/coding.h for the risk */
	unsigned header_timeout_s, connect_timeout_s, open_timeout_s, keepalive_s;
	struct census_limits limits;
	struct budget_limits budget;
	struct domain_rules domains;
};

/* Reads @path, or uses the built-in defaults when it is NULL. Mistakes (an unknown key, a bad
 * value, a file that cannot be read) are printed to @errors as "FILE:LINE: key: expected ..., got
 * ...": all of them, up to the first error of syntax. Not thread-safe, because libconfuse is not.
 * Returns 0, -EINVAL (printed), -ENOMEM, or the negative errno of reading the file (printed). */
_must_check_ int config_new(const char *path, FILE *errors, struct config **ret_config);
struct config *config_free(struct config *config);
