/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

static const char *const notations[] = {
#define X(id, name) [FORWARDED_##id] = name,
	FORWARDED_NOTATIONS(X)
#undef X
};

static const struct config_key keys[] = {
	CONFIG_LIST("allow_origins", config_type_origins, config, origins, "{\"*\"}",
		    CONFIG_ORIGINS_MAX),
	CONFIG_LIST("trusted_proxies", config_type_networks, config, proxies, "{}",
		    CONFIG_NETWORKS_MAX),
	CONFIG_CHOICE("forwarded_headers", config, forwarded, "\"x-forwarded\"", notations),
	CONFIG_LIST("allow_clients", config_type_networks, config, allowed_clients, "{}",
		    CONFIG_NETWORK_SET_MAX),
	CONFIG_LIST("deny_clients", config_type_networks, config, denied_clients, "{}",
		    CONFIG_NETWORK_SET_MAX),
	CONFIG_KEY("allow_clients_file", config_type_file, config, allow_clients_file, "\"\""),
	CONFIG_KEY("deny_clients_file", config_type_file, config, deny_clients_file, "\"\""),
};

/* Reports that @path, or the rest of it, cannot be read. The gateway must not use the part that it
 * has read: without the rest of the denied clients it would let these in, and without any allowed
 * client it would let everybody in. */
static int report_unread(struct config_scope *scope, const char *path, int error)
{
	if (error == ENOMEM) {
		return -ENOMEM;
	}
	config_error(scope->errors, (struct config_place){.file = path}, "cannot be read: %s",
		     strerror(error));
	return -EINVAL;
}

/* Adds the networks in the lines of @file. Returns 0, -EINVAL (reported) or -ENOMEM. */
static int add_lines(struct config_scope *scope, const char *path, FILE *file,
		     struct networks *networks)
{
	struct config_place place = {.file = path};
	char *line = NULL;
	size_t size = 0;
	ssize_t n = 0;
	int r = 0;

	while (r == 0 && (n = getline(&line, &size, file)) >= 0) {
		unsigned ignored;

		place.line++;
		r = networks_add_list(networks, (struct sv){line, (size_t)n}, &ignored);
	}
	int error = errno;

	free(line);
	if (r == -EINVAL) {
		config_error(scope->errors, place,
			     "expected an address or a network, as in 192.0.2.7 or 10.0.0.0/8");
	}
	return r == 0 && !feof(file) ? report_unread(scope, path, error) : r;
}

static int add_file(struct config_scope *scope, const char *path, struct networks *networks)
{
	if (!path) {
		return 0;
	}
	FILE *file = fopen(path, "re");

	int r = file ? add_lines(scope, path, file, networks) : report_unread(scope, path, errno);

	if (file) {
		(void)fclose(file);
	}
	return r == -EINVAL ? 0 : r;
}

static int complete(struct config_scope *scope)
{
	struct config *config = scope->config;
	int r = add_file(scope, config->allow_clients_file, &config->allowed_clients);

	if (r == 0) {
		r = add_file(scope, config->deny_clients_file, &config->denied_clients);
	}
	networks_seal(&config->allowed_clients);
	networks_seal(&config->denied_clients);
	return r;
}

const struct config_table config_table_who = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
