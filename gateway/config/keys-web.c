/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/config/config.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	/* Every request of a page of no listed origin is compared with all entries. */
	HOSTS_MAX = 1024,
	/* Each costs some 40 bytes in the document. */
	PORTS_MAX = 64,
	/* Silverlight opens sockets to no other ports. */
	SILVERLIGHT_PORT_MIN = 4502,
	SILVERLIGHT_PORT_MAX = 4534,
};

/* Whether @text is a URL of @scheme and a host, without a fragment. */
static bool url_is_valid(struct sv text, struct sv scheme)
{
	struct sv rest = sv_skip(text, scheme.n);
	struct sv host;
	uint16_t port;

	return config_uri_is_valid(text, scheme) && !sv_has(text, '#') &&
	       host_split(sv_first(rest, sv_find(rest, '/')), &host, &port);
}

/* XEP-0156: only URLs with TLS may be announced. */
static int set_bosh_url(const struct config_setting *setting, void *member)
{
	const char *text = setting->values->text;

	if (text[0] && !url_is_valid(sv_from(text), SV("https://"))) {
		return config_refuse(setting, setting->values,
				     "a URL as in \"https://chat.example.org/http-bind\"");
	}
	return config_set_text(member, text);
}

static int set_websocket_url(const struct config_setting *setting, void *member)
{
	const char *text = setting->values->text;

	if (text[0] && !url_is_valid(sv_from(text), SV("wss://"))) {
		return config_refuse(setting, setting->values,
				     "a URL as in \"wss://chat.example.org/xmpp-websocket\"");
	}
	return config_set_text(member, text);
}

/* Reads up to @size bytes. Returns the number of bytes or a negative errno. */
static ssize_t read_up_to(const char *path, char *data, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = 0;
	ssize_t n_read = 1;

	if (fd < 0) {
		return -errno;
	}
	while (n < size && n_read > 0) {
		n_read = read(fd, data + n, size - n);
		n += n_read > 0 ? (size_t)n_read : 0;
	}
	int error = errno;

	close(fd);
	return n_read < 0 ? -error : (ssize_t)n;
}

static int refuse_file(const struct config_setting *setting, const char *reason)
{
	config_error(setting->errors, setting->values->place,
		     "%s: expected a document of at most %d bytes, got '%s' (%s)",
		     setting->key->name, CONFIG_DOCUMENT_MAX, setting->values->text, reason);
	return -EINVAL;
}

static int take_document(const struct config_setting *setting, char *text, void *member)
{
	int r = config_note_file(setting->errors, setting->values->text);

	if (r < 0) {
		return r;
	}
	ssize_t n = read_up_to(setting->values->text, text, CONFIG_DOCUMENT_MAX + 1);

	if (n < 0) {
		return refuse_file(setting, strerror((int)-n));
	}
	if (n == 0 || n > CONFIG_DOCUMENT_MAX) {
		return refuse_file(setting, n ? "it is larger" : "it is empty");
	}
	if (memchr(text, '\0', (size_t)n)) {
		return refuse_file(setting, "it has a NUL");
	}
	return config_set_text(member, text);
}

/* A char * with what is in the file, so that a reload is what changes it. */
static int set_document(const struct config_setting *setting, void *member)
{
	if (!setting->values->text[0]) {
		config_text_deinit(member);
		return 0;
	}
	char *text = calloc(1, CONFIG_DOCUMENT_MAX + 2);

	if (!text) {
		return -ENOMEM;
	}
	int r = take_document(setting, text, member);

	free(text);
	return r;
}

static const struct config_type type_bosh_url = {.set = set_bosh_url, .deinit = config_text_deinit};
static const struct config_type type_websocket_url = {.set = set_websocket_url,
						      .deinit = config_text_deinit};
static const struct config_type type_document = {.set = set_document, .deinit = config_text_deinit};

static const struct config_key keys[] = {
	CONFIG_LIST("own_hosts", config_type_hosts, config, web.own_hosts, "{}", HOSTS_MAX),
	CONFIG_KEY("require_origin", config_type_bool, config, web.requires_origin, "false"),
	CONFIG_KEY("allow_credentials", config_type_bool, config, web.allows_credentials, "false"),
	CONFIG_KEY("allow_private_network", config_type_bool, config, web.allows_private_network,
		   "false"),
	CONFIG_KEY("public_bosh_url", type_bosh_url, config, web.bosh_url, "\"\""),
	CONFIG_KEY("public_websocket_url", type_websocket_url, config, web.websocket_url, "\"\""),
	CONFIG_KEY("host_meta_file", type_document, config, web.host_meta, "\"\""),
	CONFIG_KEY("host_meta_json_file", type_document, config, web.host_meta_json, "\"\""),
	CONFIG_KEY("crossdomain_file", type_document, config, web.crossdomain, "\"\""),
	CONFIG_KEY("clientaccesspolicy_file", type_document, config, web.clientaccesspolicy,
		   "\"\""),
	CONFIG_LIST("flash_policy_listen", config_type_addresses, config, web.flash_listen, "{}",
		    CONFIG_LISTEN_MAX),
	CONFIG_LIST("flash_ports", config_type_ports, config, web.flash_ports, "{}", PORTS_MAX),
	CONFIG_KEY("flash_sockets_file", type_document, config, web.flash_sockets, "\"\""),
	CONFIG_LIST("silverlight_policy_listen", config_type_addresses, config,
		    web.silverlight_listen, "{}", CONFIG_LISTEN_MAX),
	CONFIG_LIST("silverlight_ports", config_type_ports, config, web.silverlight_ports,
		    "{\"4502-4534\"}", PORTS_MAX),
	CONFIG_KEY("silverlight_sockets_file", type_document, config, web.silverlight_sockets,
		   "\"\""),
};

/* Whether HTTP, or @other, is served on the port of @address, too. What comes to a port for
 * plug-ins is told by the port alone. */
static bool shares_port(const struct config *config, const struct address *address,
			const struct config_addresses *other)
{
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_listener *listener = &config->listeners.list[i];

		if (listener->kind == CONFIG_LISTENER_ADDRESS &&
		    address_port(&listener->address) == address_port(address)) {
			return true;
		}
	}
	for (size_t i = 0; i < other->n; i++) {
		if (address_port(&other->list[i]) == address_port(address)) {
			return true;
		}
	}
	return false;
}

static void check_ports(struct config_scope *scope, const char *name,
			const struct config_addresses *addresses,
			const struct config_addresses *other)
{
	for (size_t i = 0; i < addresses->n; i++) {
		if (shares_port(scope->config, &addresses->list[i], other)) {
			config_error(scope->errors, config_scope_find(scope, name)->place,
				     "%s: expected a port that nothing else is served on, got %u",
				     name, address_port(&addresses->list[i]));
		}
	}
}

static int complete(struct config_scope *scope)
{
	const struct config_web *web = &scope->config->web;
	const struct config_addresses none = {0};

	check_ports(scope, "flash_policy_listen", &web->flash_listen, &none);
	check_ports(scope, "silverlight_policy_listen", &web->silverlight_listen,
		    &web->flash_listen);

	for (size_t i = 0; i < web->silverlight_ports.n_ranges; i++) {
		const struct ports_range *range = &web->silverlight_ports.ranges[i];

		if (range->first < SILVERLIGHT_PORT_MIN || range->last > SILVERLIGHT_PORT_MAX) {
			config_error(scope->errors,
				     config_scope_find(scope, "silverlight_ports")->place,
				     "silverlight_ports: expected ports from %d to %d, got %u-%u",
				     SILVERLIGHT_PORT_MIN, SILVERLIGHT_PORT_MAX, range->first,
				     range->last);
		}
	}
	return 0;
}

const struct config_table config_table_web = {
	.keys = keys, .n_keys = ARRAY_LENGTH(keys), .complete = complete};
