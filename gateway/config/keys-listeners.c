/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	WORKERS_MIN = 0,
	WORKERS_MAX = 256, /* threads; each has its own sockets, TLS context and resolver */
};

static const struct config_key keys[] = {
	{.name = "listen",
	 .type = &config_type_addresses,
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
	if (config_scope_find(scope, "listen")->n_values == 0) {
		config_error(scope->errors, config_scope_find(scope, "listen")->place,
			     "listen: expected at least one address");
	}
	if (config->n_workers == 0) {
		config->n_workers = core_count();
	}
	config->listens_by_default = config_scope_find(scope, "listen")->place.serial == 0;
	return 0;
}

const struct config_table config_table_listeners = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
