/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/un.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

/* "", an address with a port, or the path of a socket. */
static int set_admin(const struct config_setting *setting, void *member)
{
	struct sv text = sv_from(setting->values->text);
	struct sockaddr_un local;
	struct address address;
	bool is_path = sv_starts_with(text, SV("/")) && text.n < sizeof(local.sun_path);

	/* There is no default port: a name without one would be a riddle in the log. */
	if (text.n && !is_path &&
	    (address_parse(text, 0, &address) < 0 || address_port(&address) == 0)) {
		return config_refuse(setting, setting->values,
				     "an IP address and a port, as in \"127.0.0.1:5281\", or the "
				     "path of a socket");
	}
	return config_set_text(member, text.data);
}

static const struct config_type type_admin = {.set = set_admin, .deinit = config_text_deinit};

static const struct config_key keys[] = {
	CONFIG_KEY("admin", type_admin, config, admin, "\"\""),
};

/* Whether @listener and the admin listener are the same. The sockets of workers share their port
 * with others of the same user (SO_REUSEPORT), so the kernel would not keep the two apart. */
static bool is_same(const struct config_listener *listener, const char *admin)
{
	struct address address;

	if (listener->kind == CONFIG_LISTENER_UNIX) {
		return strcmp(listener->path, admin) == 0;
	}
	return listener->kind == CONFIG_LISTENER_ADDRESS &&
	       address_parse(sv_from(admin), 0, &address) == 0 &&
	       address_port(&address) == address_port(&listener->address);
}

static int complete(struct config_scope *scope)
{
	const struct config *config = scope->config;

	for (size_t i = 0; i < config->listeners.n; i++) {
		if (is_same(&config->listeners.list[i], config->admin)) {
			config_error(scope->errors, config_scope_find(scope, "admin")->place,
				     "admin: expected a port or a path that no listener has, got "
				     "'%s'",
				     config->admin);
			break;
		}
	}
	return 0;
}

const struct config_table config_table_admin = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
