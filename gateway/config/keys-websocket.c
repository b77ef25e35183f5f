/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	PING_MIN = 0, /* 0: none */
	PING_MAX = 3600,
};

static const struct config_key keys[] = {
	CONFIG_NUMBER("ping_interval", config, ping_interval_s, "50", PING_MIN, PING_MAX),
};

const struct config_table config_table_websocket = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
