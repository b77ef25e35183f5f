/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

static const char *const levels[] = {
#define X(name, text) [LOG_LEVEL_##name] = text,
	LOG_LEVELS(X)
#undef X
};

static const struct config_key keys[] = {
	CONFIG_CHOICE("log_level", config, log_level, "\"info\"", levels),
};

const struct config_table config_table_log = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
