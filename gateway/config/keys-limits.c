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
	/* RFC 6120, 13.12: an XMPP server must accept stanzas of 10000 bytes. A client that sends
	 * all but the last byte of a body makes each of its connections hold up to the maximum. */
	BODY_MIN = 10000,
	BODY_MAX = 16 * 1024 * 1024,
	STANZA_MIN = 10000,
	STANZA_MAX = 64 * 1024 * 1024,
	/* Up to that much is kept for each session of a client that has gone away. */
	PENDING_MIN = 4096,
	PENDING_MAX = 64 * 1024 * 1024,
};

static const struct config_key keys[] = {
	CONFIG_NUMBER("max_sessions", config, limits.sessions, "20000", PLACES_MIN, PLACES_MAX),
	CONFIG_NUMBER("sessions_per_address", config, limits.sessions_per_client, "200", PLACES_MIN,
		      PLACES_MAX),
	CONFIG_NUMBER("connections_per_address", config, limits.connections_per_client, "500",
		      PLACES_MIN, PLACES_MAX),
	CONFIG_NUMBER("login_bytes_per_address", config, budget.n_client, "16777216",
		      LOGIN_BYTES_MIN, LOGIN_BYTES_MAX),
	CONFIG_NUMBER("login_bytes", config, budget.n_total, "67108864", LOGIN_BYTES_MIN,
		      LOGIN_BYTES_MAX),
	CONFIG_NUMBER("body_bytes", config, n_body_max, "262144", BODY_MIN, BODY_MAX),
	CONFIG_NUMBER("stanza_bytes", config, n_stanza_max, "1048576", STANZA_MIN, STANZA_MAX),
	CONFIG_NUMBER("pending_bytes", config, n_pending_max, "524288", PENDING_MIN, PENDING_MAX),
};

/* Raises limits that would keep the largest body from coming. */
static int complete(struct config_scope *scope)
{
	struct budget_limits *budget = &scope->config->budget;
	size_t n_least = LOGIN_BODIES_MIN * scope->config->n_body_max;

	budget->n_client = budget->n_client < n_least ? n_least : budget->n_client;
	budget->n_total = budget->n_total < budget->n_client ? budget->n_client : budget->n_total;
	return 0;
}

const struct config_table config_table_limits = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
