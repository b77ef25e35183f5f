/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	DRAIN_MIN = 0,
	/* A service manager would have killed the gateway long before. */
	DRAIN_MAX = 7 * 24 * 3600,
};

static const struct config_key keys[] = {
	CONFIG_NUMBER("drain_timeout", config, drain_timeout_s, "0", DRAIN_MIN, DRAIN_MAX),
	CONFIG_KEY("sandbox", config_type_bool, config, has_sandbox, "true"),
};

const struct config_table config_table_process = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
