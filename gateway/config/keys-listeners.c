/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	PORT_LISTEN = 5280, /* IANA: xmpp-bosh */
	/* Each costs a socket in each worker. */
	LISTEN_MAX = 64,
	WORKERS_MIN = 0,
	WORKERS_MAX = 256, /* threads; each has its own sockets, TLS context and resolver */
	/* Against slow headers: a client that sends a byte now and then holds a connection so
	 * long. */
	HEADER_TIMEOUT_MIN = 1,
	HEADER_TIMEOUT_MAX = 120,
};

static bool address_is_any(const struct address *address)
{
	return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
						  : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* What is expected of @a, given @b; NULL when they do not overlap. If they do, the second of them
 * could not be bound. */
static const char *expected_beside(const struct address *a, const struct address *b)
{
	if (address_port(a) != address_port(b)) {
		return NULL;
	}
	if (address_same_host(a, b)) {
		return "each address once";
	}
	return a->any.sa_family == b->any.sa_family && (address_is_any(a) || address_is_any(b))
		     ? "no other address on the port of 0.0.0.0 or [::]"
		     : NULL;
}

static int read_address(const struct config_setting *setting, const struct config_value *value,
			const struct address *others, size_t n_others, struct address *ret_address)
{
	const char *expected = NULL;

	/* Port 0 would give each worker a different port. */
	if (address_parse(sv_from(value->text), PORT_LISTEN, ret_address) < 0 ||
	    address_port(ret_address) == 0) {
		expected = "an IP address and a port, as in \"127.0.0.1:5280\" or \"[::1]:5280\"";
	}
	for (size_t i = 0; !expected && i < n_others; i++) {
		expected = expected_beside(ret_address, &others[i]);
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
	 .max = LISTEN_MAX},
	CONFIG_NUMBER("workers", config, n_workers, "0", WORKERS_MIN, WORKERS_MAX),
	CONFIG_KEY("bosh_path", config_type_path, config, bosh_path, "\"/http-bind\""),
	CONFIG_KEY("websocket_path", config_type_path, config, websocket_path,
		   "\"/xmpp-websocket\""),
	CONFIG_NUMBER("header_timeout", config, header_timeout_s, "15", HEADER_TIMEOUT_MIN,
		      HEADER_TIMEOUT_MAX),
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
