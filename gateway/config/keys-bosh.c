/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	WAIT_MIN = 0,   /* 0: no request is held, all clients poll */
	WAIT_MAX = 600, /* after that, proxies and NAT have dropped the connection */
	HOLD_MIN = 1,   /* with 0 clients would have to poll */
	HOLD_MAX = 10,  /* each is a connection that other clients cannot use */
	/* A page that is reloaded must still find its session. The session of a page that is gone
	 * must not stay long. */
	INACTIVITY_MIN = 5,
	INACTIVITY_MAX = 3600,
	POLLING_MIN = 0,
	POLLING_MAX = 60,
	PAUSE_MIN = 0, /* 0: none */
	PAUSE_MAX = 3600,
	/* Milliseconds, 0: none. Users would notice more, because the client cannot use a request
	 * that is being held back. */
	LINGER_MIN = 0,
	LINGER_MAX = 1000,
	REPEATS_MIN = 1, /* networks fail */
	REPEATS_MAX = 1000,
	STREAMS_MIN = 1, /* 1: only the first */
	STREAMS_MAX = 16,
};

static const struct config_key keys[] = {
	CONFIG_NUMBER("wait", config, wait_s, "60", WAIT_MIN, WAIT_MAX),
	CONFIG_NUMBER("hold", config, hold, "1", HOLD_MIN, HOLD_MAX),
	CONFIG_NUMBER("inactivity", config, inactivity_s, "60", INACTIVITY_MIN, INACTIVITY_MAX),
	CONFIG_NUMBER("polling", config, polling_s, "2", POLLING_MIN, POLLING_MAX),
	CONFIG_NUMBER("max_pause", config, maxpause_s, "120", PAUSE_MIN, PAUSE_MAX),
	CONFIG_NUMBER("linger", config, linger_ms, "10", LINGER_MIN, LINGER_MAX),
	CONFIG_NUMBER("max_repeats", config, n_repeats_max, "10", REPEATS_MIN, REPEATS_MAX),
	CONFIG_NUMBER("max_streams", config, n_streams_max, "4", STREAMS_MIN, STREAMS_MAX),
	CONFIG_KEY("see_other_uri", config_type_uri, config, see_other_uri, "\"\""),
	CONFIG_KEY("session_bound_to_address", config_type_bool, config, session_bound_to_address,
		   "false"),
	CONFIG_KEY("compression", config_type_bool, config, coding, "false"),
};

static int complete(struct config_scope *scope)
{
	const struct config *config = scope->config;

	/* A client that polls as rarely as allowed would always lose its session. */
	if (config->polling_s >= config->inactivity_s) {
		config_error(scope->errors,
			     config_place_later(config_scope_find(scope, "polling")->place,
						config_scope_find(scope, "inactivity")->place),
			     "polling: expected less than inactivity (%u), got %u",
			     config->inactivity_s, config->polling_s);
	}
	return 0;
}

const struct config_table config_table_bosh = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
