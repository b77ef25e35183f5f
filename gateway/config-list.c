/* SPDX-License-Identifier: MIT */
#include "gateway/config-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/writer.h"
#include "gateway/config-value.h"

/* The entries of a list. The texts themselves belong to libconfuse. */
struct texts {
	const char **texts;
	size_t n;
};

static int texts_init(struct texts *texts, cfg_t *cfg, const char *key)
{
	size_t n = cfg_size(cfg, key);

	*texts = (struct texts){calloc(n ? n : 1, sizeof(*texts->texts)), n};
	if (!texts->texts) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		texts->texts[i] = cfg_getnstr(cfg, key, (unsigned)i);
	}
	return 0;
}

static void texts_deinit(struct texts *texts)
{
	free(texts->texts);
}

static int fill_listen(struct config *config, cfg_t *cfg)
{
	size_t n = cfg_size(cfg, "listen");
	int r = 0;

	config->listen = calloc(n ? n : 1, sizeof(*config->listen));
	if (!config->listen) {
		return -ENOMEM;
	}
	config->n_listen = n;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = address_parse(sv_from(cfg_getnstr(cfg, "listen", (unsigned)i)),
				  CONFIG_PORT_LISTEN, &config->listen[i]);
	}
	return r;
}

static int fill_resolvers(struct config *config, cfg_t *cfg)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;
	struct writer writer = writer_begin(&list);
	size_t n = cfg_size(cfg, "resolvers");
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	int r;

	if (n == 0) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		r = address_parse(sv_from(cfg_getnstr(cfg, "resolvers", (unsigned)i)),
				  CONFIG_PORT_DNS, &address);
		if (r < 0) {
			return r;
		}
		writer_put(&writer, i ? SV(",") : SV_EMPTY);
		writer_put(&writer, sv_from(address_format(&address, text)));
	}
	r = writer_end(&writer);
	if (r < 0) {
		return r;
	}
	config->resolvers = strndup(buffer_sv(&list).data, list.n);
	return config->resolvers ? 0 : -ENOMEM;
}

static int fill_origins(struct config *config, cfg_t *cfg)
{
	_cleanup_(texts_deinit) struct texts texts;
	size_t bad;
	int r = texts_init(&texts, cfg, "allow_origins");

	return r < 0 ? r : origin_list_init(&config->origins, texts.texts, texts.n, &bad);
}

static int fill_proxies(struct config *config, cfg_t *cfg)
{
	_cleanup_(texts_deinit) struct texts texts;
	size_t bad;
	int r = texts_init(&texts, cfg, "trusted_proxies");

	return r < 0 ? r : client_proxies_init(&config->proxies, texts.texts, texts.n, &bad);
}

static int fill_ports(struct config *config, cfg_t *cfg)
{
	_cleanup_(texts_deinit) struct texts texts;
	size_t bad;
	int r = texts_init(&texts, cfg, "allowed_ports");

	return r < 0 ? r : ports_init(&config->ports, texts.texts, texts.n, &bad);
}

static int fill_routes(struct config *config, cfg_t *cfg)
{
	_cleanup_(texts_deinit) struct texts texts;
	size_t bad;
	int r = texts_init(&texts, cfg, "allowed_routes");

	return r < 0 ? r : routes_init(&config->routes, texts.texts, texts.n, &bad);
}

int config_lists_fill(struct config *config, cfg_t *cfg)
{
	static int (*const fills[])(struct config * config, cfg_t * cfg) = {
		fill_listen, fill_resolvers, fill_origins, fill_proxies, fill_ports, fill_routes,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(fills) && r == 0; i++) {
		r = fills[i](config, cfg);
	}
	return r;
}
