/* SPDX-License-Identifier: MIT */
/* The keys of a section listener "192.0.2.1:443" { ... }, and of tls { ... } in it. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/un.h>

#include "common/array.h"
#include "gateway/config/config.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/scope.h"
#include "gateway/config/tables.h"
#include "gateway/config/tls-server.h"
#include "gateway/config/types.h"

enum {
	/* The kernel lowers it to net.core.somaxconn. */
	BACKLOG_MIN = 1,
	BACKLOG_MAX = 65535,
	/* Each connection may fill both: 9,000 slow readers with 64 MiB each. */
	SOCKET_BUFFER_MIN = 0, /* 0: the system's, which grows as it is needed */
	SOCKET_BUFFER_MAX = 64 * 1024 * 1024,
	/* Idle connections cost descriptors; a proxy that is told of none may use one that was
	 * closed just now. */
	IDLE_MIN = 1,
	IDLE_MAX = 3600,
	MODE_DIGITS = 4,
	MODE_MAX = 0777,
	FD_NAME_MAX = 255, /* sd_listen_fds_with_names(3) */
};

/* Reads "0660". Four digits, so that nobody's 660 is decimal. */
static int set_mode(const struct config_setting *setting, void *member)
{
	const char *text = setting->values->text;
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (strlen(text) != MODE_DIGITS || text[0] != '0' || *end || mode > MODE_MAX) {
		return config_refuse(setting, setting->values,
				     "the permissions of a file, as in \"0660\"");
	}
	*(mode_t *)member = (mode_t)mode;
	return 0;
}

static const struct config_type type_mode = {.set = set_mode};

static int set_group(const struct config_setting *setting, void *member)
{
	struct config_listener *listener = CONTAINER_OF(member, struct config_listener, group);
	const char *text = setting->values->text;

	if (!text[0]) {
		config_text_deinit(member);
		return 0;
	}
	const struct group *group = getgrnam(text);

	if (!group) {
		return config_refuse(setting, setting->values, "a group of this machine");
	}
	listener->gid = group->gr_gid;
	return config_set_text(member, text);
}

static const struct config_type type_group = {.set = set_group, .deinit = config_text_deinit};

static int set_versions(const struct config_setting *setting, void *member)
{
	static const char *const names[] = {"1.2", "1.3"};
	unsigned versions = 0;

	for (size_t i = 0; i < setting->n_values; i++) {
		int found = config_names_find(setting->values[i].text, names, ARRAY_LENGTH(names));

		if (found < 0) {
			return config_refuse(setting, &setting->values[i], "\"1.2\" or \"1.3\"");
		}
		versions |= found == 0 ? CONFIG_TLS_1_2 : CONFIG_TLS_1_3;
	}
	if (versions == 0) {
		config_error(setting->errors, setting->place,
			     "versions: expected at least one of \"1.2\" and \"1.3\"");
		return -EINVAL;
	}
	*(unsigned *)member = versions;
	return 0;
}

static const struct config_type type_versions = {.is_list = true, .set = set_versions};

static const char *const verifies[] = {
#define X(name, text) [CONFIG_VERIFY_##name] = text,
	CONFIG_VERIFIES(X)
#undef X
};

static const char *const proxies[] = {
#define X(name, text) [DOMAIN_PROXY_##name] = text,
	DOMAIN_PROXIES(X)
#undef X
};

static const struct config_key tls_keys[] = {
	CONFIG_KEY("certificate", config_type_file, config_listener_tls, certificate, "\"\""),
	CONFIG_KEY("key", config_type_file, config_listener_tls, key, "\"\""),
	CONFIG_KEY("ciphers", config_type_text, config_listener_tls, ciphers, "\"\""),
	CONFIG_KEY("ciphersuites", config_type_text, config_listener_tls, ciphersuites, "\"\""),
	CONFIG_LIST("versions", type_versions, config_listener_tls, versions, "{\"1.2\", \"1.3\"}",
		    2),
	CONFIG_KEY("client_ca", config_type_file, config_listener_tls, client_ca, "\"\""),
	CONFIG_CHOICE("verify", config_listener_tls, verify, "\"off\"", verifies),
	CONFIG_KEY("tickets", config_type_bool, config_listener_tls, tickets, "true"),
	CONFIG_KEY("ocsp_file", config_type_file, config_listener_tls, ocsp_file, "\"\""),
};

/* Tries the files together, as the listener will. */
static int complete_tls(struct config_scope *scope)
{
	struct config_listener_tls *tls = scope->base;
	char why[TLS_SERVER_WHY_MAX];
	SSL_CTX *context;

	tls->is_on = scope->place.serial > 0;
	/* Behind a mistake in one of the keys there would be another one about the same. */
	if (!tls->is_on || scope->errors->n > scope->n_errors_before) {
		return 0;
	}
	int r = tls_server_new(tls, why, &context);

	if (r == 0) {
		SSL_CTX_free(context);
	} else if (r == -EINVAL) {
		config_error(scope->errors, scope->place, "%s", why);
	}
	return r == -ENOMEM ? r : 0;
}

static const struct config_table table_tls = {
	.name = "tls",
	.offset = offsetof(struct config_listener, tls),
	.keys = tls_keys,
	.n_keys = ARRAY_LENGTH(tls_keys),
	.complete = complete_tls,
};

static const struct config_key keys[] = {
	/* Where they are set, the listener has to be a unix socket. */
	{.name = "mode",
	 .type = &type_mode,
	 .offset = offsetof(struct config_listener, mode),
	 .initial = "\"0660\"",
	 .is_implied = true},
	{.name = "group",
	 .type = &type_group,
	 .offset = offsetof(struct config_listener, group),
	 .initial = "\"\"",
	 .is_implied = true},
	CONFIG_NUMBER("backlog", config_listener, backlog, "1024", BACKLOG_MIN, BACKLOG_MAX),
	CONFIG_NUMBER("receive_buffer", config_listener, receive_buffer, "0", SOCKET_BUFFER_MIN,
		      SOCKET_BUFFER_MAX),
	CONFIG_NUMBER("send_buffer", config_listener, send_buffer, "0", SOCKET_BUFFER_MIN,
		      SOCKET_BUFFER_MAX),
	CONFIG_KEY("nodelay", config_type_bool, config_listener, nodelay, "true"),
	CONFIG_NUMBER("idle_timeout", config_listener, idle_s, "75", IDLE_MIN, IDLE_MAX),
	CONFIG_LIST("allow", config_type_networks, config_listener, allow, "{}",
		    CONFIG_NETWORKS_MAX),
	CONFIG_LIST("deny", config_type_networks, config_listener, deny, "{}", CONFIG_NETWORKS_MAX),
	CONFIG_CHOICE("proxy_protocol", config_listener, proxy, "\"off\"", proxies),
	CONFIG_LIST("proxy_peers", config_type_networks, config_listener, proxy_peers, "{}",
		    CONFIG_NETWORKS_MAX),
};

static const struct config_table *const tables[] = {&table_tls};

/* The keys without the section, for the addresses of `listen`. */
static const struct config_table table_defaults = {
	.keys = keys,
	.n_keys = ARRAY_LENGTH(keys),
	.tables = tables,
	.n_tables = ARRAY_LENGTH(tables),
};

static struct config_listener *append(struct config_listeners *listeners)
{
	struct config_listener *list = array_grow(listeners->list, listeners->n, sizeof(*list));

	if (!list) {
		return NULL;
	}
	listeners->list = list;
	list[listeners->n] = (struct config_listener){0};
	return &list[listeners->n++];
}

static const char *after(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* Returns what was expected instead of the name, or NULL. */
static const char *read_name(struct config_listener *listener)
{
	listener->path = after(listener->name, "unix:");
	listener->fd_name = after(listener->name, "fd:");
	if (listener->path) {
		listener->kind = CONFIG_LISTENER_UNIX;
		return listener->path[0] == '/' &&
				       strlen(listener->path) <
					       sizeof(((struct sockaddr_un *)NULL)->sun_path)
			     ? NULL
			     : "\"unix:\" and an absolute path of at most 107 bytes";
	}
	if (listener->fd_name) {
		size_t n = strlen(listener->fd_name);

		listener->kind = CONFIG_LISTENER_FD;
		return n > 0 && n <= FD_NAME_MAX && !strchr(listener->fd_name, ':')
			     ? NULL
			     : "\"fd:\" and the FileDescriptorName of a socket unit";
	}
	return config_listen_parse(listener->name, &listener->address);
}

static int add(struct config_scope *scope)
{
	struct config_listeners *listeners = &scope->config->listeners;
	struct config_listener *listener = append(listeners);

	if (!listener) {
		return -ENOMEM;
	}
	scope->base = listener;
	listener->name = strdup(scope->title);
	if (!listener->name) {
		return -ENOMEM;
	}
	if (listeners->n == CONFIG_LISTEN_MAX + 1) {
		config_error(scope->errors, scope->place, "listener: expected at most %d sections",
			     CONFIG_LISTEN_MAX);
		return -EINVAL;
	}
	const char *expected = read_name(listener);

	if (expected) {
		config_error(scope->errors, scope->place, "listener: expected %s, got '%s'",
			     expected, scope->title);
		return -EINVAL;
	}
	return 0;
}

/* Of a key that concerns the file of a unix socket. */
static void require_unix(struct config_scope *scope, const char *key)
{
	const struct config_setting *setting = config_scope_find(scope, key);
	const struct config_listener *listener = scope->base;

	if (setting->place.serial && listener->kind != CONFIG_LISTENER_UNIX) {
		config_error(scope->errors, setting->place, "%s: expected only with a unix socket",
			     key);
	}
}

static int complete(struct config_scope *scope)
{
	const struct config_listener *listener = scope->base;
	bool has_peers = listener->proxy_peers.n > 0;

	require_unix(scope, "mode");
	require_unix(scope, "group");
	if (listener->proxy != DOMAIN_PROXY_OFF && !has_peers &&
	    listener->kind != CONFIG_LISTENER_UNIX) {
		config_error(scope->errors, config_scope_find(scope, "proxy_protocol")->place,
			     "proxy_protocol: expected proxy_peers beside it, with the addresses "
			     "of the proxies");
	}
	if (listener->proxy == DOMAIN_PROXY_OFF && has_peers) {
		config_error(scope->errors, config_scope_find(scope, "proxy_peers")->place,
			     "proxy_peers: expected only together with proxy_protocol");
	}
	return 0;
}

/* Why both cannot be, or NULL. */
static const char *expected_beside(const struct config_listener *a, const struct config_listener *b)
{
	if (a->kind != b->kind) {
		return NULL;
	}
	if (a->kind == CONFIG_LISTENER_ADDRESS) {
		return config_listen_beside(&a->address, &b->address);
	}
	return strcmp(a->name, b->name) == 0 ? "each name once" : NULL;
}

static void check_beside(const struct config_sections *sections, size_t at)
{
	const struct config_listeners *listeners = &sections->config->listeners;

	for (size_t i = 0; i < listeners->n; i++) {
		/* Two sections are compared once, and reported at the second. */
		bool is_other = i < at || i >= sections->n;
		const char *expected =
			is_other ? expected_beside(&listeners->list[at], &listeners->list[i])
				 : NULL;

		if (expected) {
			config_error(sections->errors, sections->places[at],
				     "listener: expected %s, got '%s' beside '%s'", expected,
				     listeners->list[at].name, listeners->list[i].name);
			return;
		}
	}
}

static int append_listen(struct config_sections *sections, const struct address *address)
{
	_cleanup_(config_scope_deinit) struct config_scope scope = {.config = sections->config,
								    .errors = sections->errors};
	struct config_listener *listener = append(&sections->config->listeners);
	char text[ADDRESS_TEXT_MAX];

	if (!listener) {
		return -ENOMEM;
	}
	listener->address = *address;
	listener->name = strdup(address_format(address, text));
	return listener->name ? config_scope_init(&scope, &table_defaults, listener) : -ENOMEM;
}

/* Where there are sections, the default of `listen` would open the port to more than was meant. */
static int complete_all(struct config_sections *sections)
{
	struct config *config = sections->config;
	int r = 0;

	if (sections->n && config->listens_by_default) {
		config->listens_by_default = false;
		config->listen.n = 0;
	}
	for (size_t i = 0; i < config->listen.n && r == 0; i++) {
		r = append_listen(sections, &config->listen.list[i]);
	}
	for (size_t i = 0; i < sections->n && r == 0; i++) {
		check_beside(sections, i);
	}
	return r;
}

const struct config_table config_table_listener = {
	.name = "listener",
	.title = "an address",
	.keys = keys,
	.n_keys = ARRAY_LENGTH(keys),
	.tables = tables,
	.n_tables = ARRAY_LENGTH(tables),
	.add = add,
	.complete = complete,
	.complete_all = complete_all,
};

void config_listeners_deinit(struct config_listeners *listeners)
{
	for (size_t i = 0; i < listeners->n; i++) {
		config_table_deinit(&table_defaults, &listeners->list[i]);
		free(listeners->list[i].name);
	}
	free(listeners->list);
	*listeners = (struct config_listeners){0};
}
