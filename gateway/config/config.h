/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The configuration: a snapshot, read and checked as a whole by the main thread, and read-only from
 * then on. It is counted by reference: who keeps a pointer to it beyond a call takes a reference,
 * in any thread. Texts, lists and rules in it live as long as it does. conf/doab.conf documents
 * each key; gateway/config/schema.h tells how to add one.
 *
 * It cannot use environment variables (${...}): the text that is checked is the text that was
 * written. An old name of a key is accepted with a warning.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/log.h"
#include "gateway/config/listener.h"
#include "gateway/config/web.h"
#include "policy/budget.h"
#include "policy/census.h"
#include "policy/domain-rules.h"
#include "policy/egress.h"
#include "policy/forwarded.h"
#include "policy/networks.h"
#include "policy/origin.h"
#include "policy/ports.h"
#include "policy/route.h"
#include "policy/throttle.h"

struct config {
	atomic_uint n_references;
	char *files; /* that it names, itself among them, one a line; NULL: none */

	/* keys-listeners.c: where it listens */
	struct config_listeners listeners; /* all: the sections, and those of `listen` */
	struct config_addresses listen;    /* those of `listen` alone */
	bool listens_by_default;           /* neither `listen` nor a section is in the file */
	unsigned n_workers;                /* never 0, which has been replaced by one per core */
	char *bosh_path;
	char *websocket_path;

	/* keys-process.c */
	unsigned drain_timeout_s; /* how long sessions go on when the gateway is stopped */
	bool has_sandbox;         /* process/sandbox.h */

	/* keys-log.c */
	enum log_level log_level;
	enum log_level log_levels[LOG_AREA_COUNT]; /* that of an area */
	enum log_format log_format;
	enum log_place log_place;
	char *log_path; /* of the file or socket */

	/* keys-admin.c */
	char *admin; /* an address with a port, the path of a socket, or "": off */

	/* keys-who.c: who may use it */
	struct origin_list origins;
	struct networks proxies;                         /* trusted: the operator's own */
	enum forwarded_notation forwarded;               /* what the proxies write */
	struct networks allowed_clients, denied_clients; /* those of the files, too */
	char *allow_clients_file, *deny_clients_file;

	/* keys-web.c: web pages and plug-ins */
	struct config_web web;

	/* keys-limits.c: how much, of what size */
	struct census_limits limits;
	struct throttle_limits throttle;
	struct networks exempt;          /* limits for one client do not apply to them */
	struct bucket_rate request_rate; /* of a session */
	unsigned login_timeout_s;        /* 0: none */
	unsigned header_timeout_s;
	struct budget_limits budget;         /* before the login */
	struct budget_limits foreign_budget; /* after it, to domains that no section names */
	size_t n_body_max;                   /* bytes of a request body or WebSocket message */
	size_t n_stanza_max;                 /* bytes of an element from a server */
	size_t n_pending_max; /* bytes kept for an absent client before the server is paused */

	/* keys-servers.c: how servers are found */
	char *resolvers; /* "127.0.0.1:5300,[::1]:53" for c-ares; NULL for the system's */
	unsigned dns_timeout_ms, n_dns_tries;
	bool trusts_dnssec;            /* the resolvers are trusted to verify signatures */
	struct ports ports;            /* ports that may be dialled */
	struct routes routes;          /* destinations that BOSH clients may name */
	struct egress_sources sources; /* addresses to connect from */
	unsigned connect_timeout_s, open_timeout_s, keepalive_s;

	/* keys-bosh.c */
	unsigned wait_s, hold, inactivity_s, polling_s;
	unsigned maxpause_s, linger_ms, n_repeats_max, n_streams_max; /* bosh/session.h */
	char *see_other_uri; /* where clients without TLS are sent for BOSH; "" for nowhere */
	bool session_bound_to_address; /* a BOSH session takes requests only from its client */
	bool coding; /* gzip and deflate are offered; see gateway/http/coding.h for the risk */

	/* keys-websocket.c */
	unsigned ping_interval_s;
	size_t n_login_message_max;    /* bytes of a message before the login */
	char *websocket_see_other_uri; /* where clients without TLS are sent; "" for nowhere */
	bool websocket_coding; /* RFC 7692 is accepted; see gateway/http/coding.h for the risk */

	/* keys-domain.c: the `domain` sections */
	struct domain_rules domains;
};

/* Reads @path, or uses the built-in defaults when it is NULL. Mistakes (an unknown key, a bad
 * value, a file that cannot be read) are printed to @errors as "FILE:LINE: key: expected ..., got
 * ...": all of them, up to the first error of syntax. The caller has the only reference to the
 * result. Returns 0, -EINVAL, -ENOMEM, or the negative errno of reading the file; all of them
 * are printed. */
_must_check_ int config_new(const char *path, FILE *errors, struct config **ret_config);

/* Reads @path like config_new(), and appends the configuration in force to @dump: a file that reads
 * back to the same, with all keys, without includes and old names. */
_must_check_ int config_dump(const char *path, FILE *errors, struct buffer *dump);

/* Adds a reference. Returns @config. */
const struct config *config_ref(const struct config *config);

/* Gives up a reference; the last one frees the snapshot. Takes NULL. Returns NULL. */
struct config *config_unref(const struct config *config);
