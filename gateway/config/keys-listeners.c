/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/config/config.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	WORKERS_MIN = 0,
	WORKERS_MAX = 256, /* threads; each has its own sockets, TLS context and resolver */
};

static int read_address(const struct config_setting *setting, const struct config_value *value,
			const struct address *others, size_t n_others, struct address *ret_address)
{
	const char *expected = config_listen_parse(value->text, ret_address);

	for (size_t i = 0; !expected && i < n_others; i++) {
		expected = config_listen_beside(ret_address, &others[i]);
	}
	return expected ? config_refuse(setting, value, expected) : 0;
}

/* The struct address *listen and size_t n_listen of @config. */
static int set_listen(const struct config_setting *setting, void *member)
{
	struct config *config = CONTAINER_OF(member, struct config, listen);
	struct address *list = calloc(setting->n_values + 1, sizeof(*list));
	size_t n = 0;

	if (!list) {
		return -ENOMEM;
	}
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		int r = read_address(setting, &setting->values[i], list, n, &list[n]);

		n += r == 0;
		result = r < 0 ? r : result;
	}
	if (setting->n_values == 0) {
		config_error(setting->errors, setting->place,
			     "listen: expected at least one address");
		result = -EINVAL;
	}
	if (result < 0) {
		free(list);
		return result;
	}
	free(config->listen);
	config->listen = list;
	config->n_listen = n;
	return 0;
}

static void deinit_listen(void *member)
{
	struct config *config = CONTAINER_OF(member, struct config, listen);

	free(config->listen);
	config->listen = NULL;
	config->n_listen = 0;
}

static const struct config_type type_listen = {
	.is_list = true, .set = set_listen, .deinit = deinit_listen};

static const struct config_key keys[] = {
	{.name = "listen",
	 .type = &type_listen,
	 .offset = offsetof(struct config, listen),
	 .initial = "{\"127.0.0.1:5280\", \"[::1]:5280\"}",
	 .is_implied = true,
	 .max = CONFIG_LISTEN_MAX},
	CONFIG_NUMBER("workers", config, n_workers, "0", WORKERS_MIN, WORKERS_MAX),
	CONFIG_KEY("bosh_path", config_type_path, config, bosh_path, "\"/http-bind\""),
	CONFIG_KEY("websocket_path", config_type_path, config, websocket_path,
		   "\"/xmpp-websocket\""),
};

static unsigned core_count(void)
{
	cpu_set_t set;
	long n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
							      : sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1) {
		return 1;
	}
	return n < WORKERS_MAX ? (unsigned)n : WORKERS_MAX;
}

static int complete(struct config_scope *scope)
{
	struct config *config = scope->config;

	if (strcmp(config->bosh_path, config->websocket_path) == 0) {
		config_error(scope->errors,
			     config_place_later(config_scope_find(scope, "bosh_path")->place,
						config_scope_find(scope, "websocket_path")->place),
			     "bosh_path and websocket_path: expected two different paths, got '%s' "
			     "twice",
			     config->bosh_path);
	}
	if (config->n_workers == 0) {
		config->n_workers = core_count();
	}
	config->listens_by_default = config_scope_find(scope, "listen")->place.serial == 0;
	return 0;
}

const struct config_table config_table_listeners = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
