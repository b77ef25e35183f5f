/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The configuration: read once by the main thread (libconfuse), checked whole, read-only afterwards.
 * All workers share it and outlive none of it. conf/doab.conf documents each key.
 *
 * Neither other files (include) nor environment variables (${...}) are put into it: what is checked
 * is what is written. A key under its old name is taken, with a warning.
 */
#include <stdio.h>

#include "common/address.h"
#include "common/log.h"
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
	unsigned n_workers; /* never 0: one a core has been put in */
	char *bosh_path;
	char *websocket_path;
	char *see_other_uri; /* where BOSH is to be asked for over TLS; "" when here will do */
	bool session_bound_to_address; /* a BOSH session takes requests only from its client */
	enum log_level log_level;
	struct origin_list origins;
	struct client_proxies proxies;
	struct routes routes; /* that BOSH clients may name */
	struct ports ports; /* that may be dialled */
	char *resolvers; /* "127.0.0.1:5300,[::1]:53" as c-ares wants them; NULL for the system's */
	size_t n_body_max;    /* bytes of a request body or WebSocket message */
	size_t n_stanza_max;  /* bytes of an element from a server */
	size_t n_pending_max; /* bytes kept for an absent client until the server is not read */
	unsigned wait_s, hold, inactivity_s, polling_s, ping_interval_s;
	unsigned maxpause_s, linger_ms, n_repeats_max, n_streams_max; /* BOSH: gateway/bosh/session.h */
	unsigned dns_timeout_ms, n_dns_tries;
	bool trusts_dnssec; /* what the resolvers say of signatures is believed */
	bool coding; /* gzip and deflate are spoken: gateway/http/coding.h says why they need not be */
	unsigned header_timeout_s, connect_timeout_s, open_timeout_s, keepalive_s;
	struct census_limits limits;
	struct domain_rules domains;
};

/* Reads @path, or takes the built-in defaults when it is NULL. What is wrong (an unknown key, a bad
 * value, a file that cannot be read) is printed to @errors as "FILE:LINE: what, and what was
 * expected": all mistakes of one run, up to the first one of syntax. Not thread-safe: libconfuse is
 * not. Returns 0, -EINVAL (printed), -ENOMEM, or the errno of reading the file (printed). */
_must_check_ int config_new(const char *path, FILE *errors, struct config **ret_config);
struct config *config_free(struct config *config);
