/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	PING_MIN = 0, /* 0: none */
	PING_MAX = 3600,
	/* An <open/> with its attributes, or a step of SCRAM; body_bytes bounds it, too. */
	LOGIN_MESSAGE_MIN = 4096,
	LOGIN_MESSAGE_MAX = 16 * 1024 * 1024,
};

static const struct config_key keys[] = {
	CONFIG_NUMBER("ping_interval", config, ping_interval_s, "50", PING_MIN, PING_MAX),
	CONFIG_NUMBER("login_message_bytes", config, n_login_message_max, "8192", LOGIN_MESSAGE_MIN,
		      LOGIN_MESSAGE_MAX),
	CONFIG_KEY("websocket_see_other_uri", config_type_websocket_uri, config,
		   websocket_see_other_uri, "\"\""),
	CONFIG_KEY("websocket_compression", config_type_bool, config, websocket_coding, "false"),
};

const struct config_table config_table_websocket = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
