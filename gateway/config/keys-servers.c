/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "common/writer.h"
#include "gateway/config/config.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"

enum {
	PORT_DNS = 53,
	/* c-ares asks one after the other. With more, a lookup would outlast all our time-outs. */
	RESOLVERS_MAX = 8,
	/* The port of every address that is dialled is compared with all entries. */
	PORTS_MAX = 256,
	/* Every route that a client names is compared with all entries. */
	ROUTES_MAX = 256,
	/* Milliseconds. A distant resolver needs some time. A dead one delays each session to a
	 * domain that is not cached by this much, then by twice and four times as much. */
	DNS_TIMEOUT_MIN = 50,
	DNS_TIMEOUT_MAX = 30000,
	DNS_TRIES_MIN = 1,
	DNS_TRIES_MAX = 10,
	/* A domain whose addresses drop all packets keeps a session half open so long. */
	CONNECT_TIMEOUT_MIN = 1,
	CONNECT_TIMEOUT_MAX = 120,
	OPEN_TIMEOUT_MIN = 1,
	OPEN_TIMEOUT_MAX = 600,
	KEEPALIVE_MIN = 0, /* 0: none */
	KEEPALIVE_MAX = 3600,
};

static int read_resolver(const struct config_setting *setting, const struct config_value *value,
			 struct address *ret_address)
{
	const char *expected = config_endpoint_parse(
		value->text, PORT_DNS, "an IP address, as in \"192.0.2.53\" or \"127.0.0.1:5300\"",
		ret_address);

	return expected ? config_refuse(setting, value, expected) : 0;
}

/* Writes the addresses in the form that c-ares reads. */
static int set_resolvers(const struct config_setting *setting, void *member)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;
	struct writer writer = writer_begin(&list);
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		int r = read_resolver(setting, &setting->values[i], &address);

		if (r < 0) {
			result = r;
			continue;
		}
		writer_put(&writer, i ? SV(",") : SV_EMPTY);
		writer_put(&writer, sv_from(address_format(&address, text)));
	}
	writer_put(&writer, SV("\0"));
	int r = writer_end(&writer);

	if (r < 0 || result < 0) {
		return r < 0 ? r : result;
	}
	if (setting->n_values == 0) {
		config_text_deinit(member);
		return 0;
	}
	return config_set_text(member, buffer_sv(&list).data);
}

static const struct config_type type_resolvers = {
	.is_list = true, .set = set_resolvers, .deinit = config_text_deinit};

static const struct config_key keys[] = {
	CONFIG_LIST("resolvers", type_resolvers, config, resolvers, "{}", RESOLVERS_MAX),
	CONFIG_NUMBER("dns_timeout", config, dns_timeout_ms, "1500", DNS_TIMEOUT_MIN,
		      DNS_TIMEOUT_MAX),
	CONFIG_NUMBER("dns_tries", config, n_dns_tries, "3", DNS_TRIES_MIN, DNS_TRIES_MAX),
	CONFIG_KEY("trust_dnssec", config_type_bool, config, trusts_dnssec, "false"),
	CONFIG_LIST("allowed_ports", config_type_ports, config, ports, "{\"443\", \"1024-65535\"}",
		    PORTS_MAX),
	CONFIG_LIST("source_address", config_type_sources, config, sources, "{}",
		    EGRESS_SOURCES_MAX),
	CONFIG_NUMBER("connect_timeout", config, connect_timeout_s, "8", CONNECT_TIMEOUT_MIN,
		      CONNECT_TIMEOUT_MAX),
	CONFIG_NUMBER("open_timeout", config, open_timeout_s, "30", OPEN_TIMEOUT_MIN,
		      OPEN_TIMEOUT_MAX),
	CONFIG_NUMBER("keepalive", config, keepalive_s, "300", KEEPALIVE_MIN, KEEPALIVE_MAX),
	CONFIG_LIST("allowed_routes", config_type_routes, config, routes, "{}", ROUTES_MAX),
};

const struct config_table config_table_servers = {.keys = keys, .n_keys = ARRAY_LENGTH(keys)};
