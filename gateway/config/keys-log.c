/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

#define SYSLOG "syslog"
#define SYSLOG_AT SYSLOG ":"

static const char *const levels[] = {
#define X(name, text) [LOG_LEVEL_##name] = text,
	LOG_LEVELS(X)
#undef X
};

static const char *const formats[] = {
#define X(name, text) [LOG_FORMAT_##name] = text,
	LOG_FORMATS(X)
#undef X
};

/* Reads "bosh=debug" into @levels_of, by area. */
static int read_level(const struct config_setting *setting, const struct config_value *value,
		      enum log_level *levels_of)
{
	struct sv text = sv_from(value->text);
	size_t n_area = sv_find(text, '=');
	enum log_area area;
	enum log_level level;

	if (log_area_parse(sv_first(text, n_area), &area) < 0) {
		return config_refuse(setting, value,
#define X(name, text) text ", "
				     "one of the areas " LOG_AREAS(
					     X) "then \"=\" and a level, as in \"bosh=debug\""
#undef X
		);
	}
	if (log_level_parse(sv_skip(text, n_area + 1), &level) < 0) {
		return config_refuse(setting, value,
				     "\"=\" and error, warning, info or debug behind the area");
	}
	levels_of[area] = level;
	return 0;
}

/* The array log_levels; LOG_LEVEL_COUNT where an area has none of its own. */
static int set_levels(const struct config_setting *setting, void *member)
{
	enum log_level levels_of[LOG_AREA_COUNT];
	int result = config_check_count(setting);

	for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
		levels_of[i] = LOG_LEVEL_COUNT;
	}
	for (size_t i = 0; i < setting->n_values; i++) {
		int r = read_level(setting, &setting->values[i], levels_of);

		result = r < 0 ? r : result;
	}
	if (result == 0) {
		memcpy(member, levels_of, sizeof(levels_of));
	}
	return result;
}

static const struct config_type type_levels = {.is_list = true, .set = set_levels};

/* "stderr", "syslog", "syslog:/path" or "/path". */
static int set_place(const struct config_setting *setting, void *member)
{
	struct config *config = CONTAINER_OF(member, struct config, log_path);
	struct sv text = sv_from(setting->values->text);
	enum log_place place = LOG_PLACE_STDERR;
	struct sv path = SV_EMPTY;

	if (sv_starts_with(text, SV("/"))) {
		place = LOG_PLACE_FILE;
		path = text;
	} else if (sv_eq(text, SV(SYSLOG))) {
		place = LOG_PLACE_SYSLOG;
		path = SV(LOG_SYSLOG_SOCKET);
	} else if (sv_starts_with(text, SV(SYSLOG_AT "/"))) {
		place = LOG_PLACE_SYSLOG;
		path = sv_skip(text, sizeof(SYSLOG_AT) - 1);
	} else if (!sv_eq(text, SV("stderr"))) {
		return config_refuse(
			setting, setting->values,
			"\"stderr\", \"syslog\", \"syslog:/path/of/its/socket\" or the "
			"path of a file");
	}
	int r = config_set_text(member, path.n ? path.data : "");

	if (r == 0) {
		config->log_place = place;
	}
	return r;
}

static const struct config_type type_place = {.set = set_place, .deinit = config_text_deinit};

static const struct config_key keys[] = {
	CONFIG_KEY("log_to", type_place, config, log_path, "\"stderr\""),
	CONFIG_CHOICE("log_format", config, log_format, "\"logfmt\"", formats),
	CONFIG_CHOICE("log_level", config, log_level, "\"info\"", levels),
	CONFIG_LIST("log_levels", type_levels, config, log_levels, "{}", LOG_AREA_COUNT),
};

static int complete(struct config_scope *scope)
{
	struct config *config = scope->config;

	for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
		if (config->log_levels[i] == LOG_LEVEL_COUNT) {
			config->log_levels[i] = config->log_level;
		}
	}
	return 0;
}

const struct config_table config_table_log = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
