/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

/* Sizes and counts are bounded by what one machine has. */
enum {
	/* Each session needs 10 KB and up to three descriptors. */
	PLACES_MIN = 1,
	PLACES_MAX = 1000000,
	LOGIN_BYTES_MIN = 65536,
	LOGIN_BYTES_MAX = 2000 * 1024 * 1024,
	/* The memory that one body or message can take while it arrives, and as much to spare, or
	 * else the largest could never come: a buffer of twice its size, and a parser of four times
	 * its size (XML_MEMORY_FACTOR). */
	LOGIN_BODIES_MIN = 8,
	FOREIGN_BYTES_MIN = 65536,
	FOREIGN_BYTES_MAX = 2000 * 1024 * 1024,
	/* The memory that one session needs for the largest stanza: a buffer of twice its size in
	 * which it arrives, and one in which it waits for the client. */
	FOREIGN_STANZAS_MIN = 4,
	/* RFC 6120, 13.12: an XMPP server must accept stanzas of 10000 bytes. A client that sends
	 * all but the last byte of a body makes each of its connections hold up to the maximum. */
	BODY_MIN = 10000,
	BODY_MAX = 16 * 1024 * 1024,
	STANZA_MIN = 10000,
	STANZA_MAX = 64 * 1024 * 1024,
	/* Up to that much is kept for each session of a client that has gone away. */
	PENDING_MIN = 4096,
	PENDING_MAX = 64 * 1024 * 1024,
	CONNECTIONS_MIN = 0, /* 0: as many as there are descriptors */
	/* A client that never logs in must not hold a session, here and at its server. People fill
	 * in a registration form (XEP-0077) before they log in. 0: no limit. */
	LOGIN_TIMEOUT_MIN = 0,
	LOGIN_TIMEOUT_MAX = 3600,
	/* Against slow headers: a client that sends a byte now and then holds a connection so
	 * long. */
	HEADER_TIMEOUT_MIN = 1,
	HEADER_TIMEOUT_MAX = 120,
};

static int set_rate(const struct config_setting *setting, void *member)
{
	if (bucket_rate_parse(sv_from(setting->values->text), member) < 0) {
		return config_refuse(
			setting, setting->values,
			"a number and seconds, as in \"20/60\", or \"0\" for no limit");
	}
	return 0;
}

static const struct config_type type_rate = {.set = set_rate};

static const struct config_key keys[] = {
	CONFIG_LIST("exempt", config_type_networks, config, exempt, "{}", CONFIG_NETWORK_SET_MAX),
	CONFIG_NUMBER("max_connections", config, limits.connections, "0", CONNECTIONS_MIN,
		      PLACES_MAX),
	CONFIG_NUMBER("max_sessions", config, limits.sessions, "20000", PLACES_MIN, PLACES_MAX),
	CONFIG_NUMBER("sessions_per_address", config, limits.sessions_per_client, "200", PLACES_MIN,
		      PLACES_MAX),
	CONFIG_NUMBER("connections_per_address", config, limits.connections_per_client, "500",
		      PLACES_MIN, PLACES_MAX),
	CONFIG_KEY("connection_rate", type_rate, config, throttle.connections, "\"2000/10\""),
	CONFIG_KEY("session_rate", type_rate, config, throttle.sessions, "\"1000/60\""),
	CONFIG_KEY("domain_session_rate", type_rate, config, throttle.domain_sessions,
		   "\"5000/10\""),
	CONFIG_KEY("request_rate", type_rate, config, request_rate, "\"5000/10\""),
	CONFIG_KEY("failed_logins_per_address", type_rate, config, throttle.client_failed_logins,
		   "\"20/300\""),
	CONFIG_KEY("failed_logins_per_domain", type_rate, config, throttle.domain_failed_logins,
		   "\"200/300\""),
	CONFIG_NUMBER("login_timeout", config, login_timeout_s, "300", LOGIN_TIMEOUT_MIN,
		      LOGIN_TIMEOUT_MAX),
	CONFIG_NUMBER("header_timeout", config, header_timeout_s, "15", HEADER_TIMEOUT_MIN,
		      HEADER_TIMEOUT_MAX),
	CONFIG_NUMBER("login_bytes_per_address", config, budget.n_client, "16777216",
		      LOGIN_BYTES_MIN, LOGIN_BYTES_MAX),
	CONFIG_NUMBER("login_bytes", config, budget.n_total, "67108864", LOGIN_BYTES_MIN,
		      LOGIN_BYTES_MAX),
	CONFIG_NUMBER("foreign_bytes_per_address", config, foreign_budget.n_client, "33554432",
		      FOREIGN_BYTES_MIN, FOREIGN_BYTES_MAX),
	CONFIG_NUMBER("foreign_bytes", config, foreign_budget.n_total, "268435456",
		      FOREIGN_BYTES_MIN, FOREIGN_BYTES_MAX),
	CONFIG_NUMBER("body_bytes", config, n_body_max, "262144", BODY_MIN, BODY_MAX),
	CONFIG_NUMBER("stanza_bytes", config, n_stanza_max, "1048576", STANZA_MIN, STANZA_MAX),
	CONFIG_NUMBER("pending_bytes", config, n_pending_max, "524288", PENDING_MIN, PENDING_MAX),
};

static void raise_budget(struct budget_limits *budget, size_t n_least)
{
	budget->n_client = budget->n_client < n_least ? n_least : budget->n_client;
	budget->n_total = budget->n_total < budget->n_client ? budget->n_client : budget->n_total;
}

/* Raises limits that would keep the largest body from coming, or the largest stanza. */
static int complete(struct config_scope *scope)
{
	struct config *config = scope->config;

	raise_budget(&config->budget, LOGIN_BODIES_MIN * config->n_body_max);
	raise_budget(&config->foreign_budget, FOREIGN_STANZAS_MIN * config->n_stanza_max);
	config->foreign_budget.order = BUDGET_LARGEST;
	return 0;
}

const struct config_table config_table_limits = {.name = "limits",
						 .is_theme = true,
						 .keys = keys,
						 .n_keys = ARRAY_LENGTH(keys),
						 .complete = complete};
