/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

static const struct config_key keys[] = {
	CONFIG_LIST("allow_origins", config_type_origins, config, origins, "{\"*\"}",
		    CONFIG_ORIGINS_MAX),
	CONFIG_LIST("trusted_proxies", config_type_proxies, config, proxies, "{}",
		    CONFIG_NETWORKS_MAX),
};

const struct config_table config_table_who = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
