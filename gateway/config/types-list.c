/* SPDX-License-Identifier: MIT */
/* The types of keys whose value is a list: most of them one of policy/. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/config/endpoint.h"
#include "gateway/config/types.h"
#include "policy/host.h"
#include "policy/networks.h"
#include "policy/origin.h"
#include "policy/ports.h"
#include "policy/route.h"

/* How a list of policy/ is made from texts: origin_list_init() and the like. */
typedef int list_init(void *list, const char *const *texts, size_t n, size_t *ret_bad);

/* A list of any of these types, which is made before that of the member is given up. */
union list {
	struct origin_list origins;
	struct host_list hosts;
	struct routes routes;
	struct ports ports;
};

static int make_list(const struct config_setting *setting, list_init *init,
		     void (*deinit)(void *list), const char *expected, union list *ret_list)
{
	size_t n = setting->n_values;
	const char **texts = calloc(n + 1, sizeof(*texts));
	int refused = 0;
	size_t at = 0, bad;

	if (!texts) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		texts[i] = setting->values[i].text;
	}
	int r = init(ret_list, texts, n, &bad);

	/* Each entry that is refused is reported: the next try begins behind it. */
	while (r < 0 && r != -ENOMEM) {
		refused = config_refuse(setting, &setting->values[at + bad], expected);
		at += bad + 1;
		r = init(ret_list, texts + at, n - at, &bad);
	}
	free(texts);
	if (r < 0) {
		return r;
	}
	r = config_check_count(setting);
	if (r < 0 || refused < 0) {
		deinit(ret_list);
		return -EINVAL;
	}
	return 0;
}

#define DEFINE_LIST(type_, struct_, init_, deinit_, expected_)                                   \
	static int type_##_init(void *list, const char *const *texts, size_t n, size_t *ret_bad) \
	{                                                                                        \
		return init_(list, texts, n, ret_bad);                                           \
	}                                                                                        \
	static void type_##_deinit(void *list)                                                   \
	{                                                                                        \
		deinit_(list);                                                                   \
	}                                                                                        \
	static int type_##_set(const struct config_setting *setting, void *member)               \
	{                                                                                        \
		union list list = {0};                                                           \
		int r = make_list(setting, type_##_init, type_##_deinit, expected_, &list);      \
                                                                                                 \
		if (r == 0) {                                                                    \
			deinit_(member);                                                         \
			memcpy(member, &list, sizeof(struct struct_));                           \
		}                                                                                \
		return r;                                                                        \
	}                                                                                        \
	const struct config_type type_ = {                                                       \
		.is_list = true, .set = type_##_set, .deinit = type_##_deinit}

DEFINE_LIST(config_type_origins, origin_list, origin_list_init, origin_list_deinit,
	    "\"*\" or an origin without a path, as in \"https://chat.example.org\" or "
	    "\"https://*.example.org\"");
DEFINE_LIST(config_type_hosts, host_list, host_list_init, host_list_deinit,
	    "a host name, as in \"chat.example.org\" or \"*.example.org\"");
DEFINE_LIST(config_type_routes, routes, routes_init, routes_deinit,
	    "a host and a port, as in \"xmpp.example.org:5222\"");
DEFINE_LIST(config_type_ports, ports, ports_init, ports_deinit,
	    "a port or a range of ports, as in \"443\" or \"1024-65535\"");

static int add_network(const struct config_setting *setting, const struct config_value *value,
		       struct networks *networks)
{
	struct network network;

	if (network_parse(sv_from(value->text), &network) < 0) {
		return config_refuse(setting, value, CONFIG_NETWORK_EXPECTED);
	}
	return networks_add(networks, &network);
}

static int set_networks(const struct config_setting *setting, void *member)
{
	struct networks networks = {0};
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values && result != -ENOMEM; i++) {
		int r = add_network(setting, &setting->values[i], &networks);

		result = r < 0 ? r : result;
	}
	if (result < 0) {
		networks_deinit(&networks);
		return result;
	}
	networks_seal(&networks);
	networks_deinit(member);
	*(struct networks *)member = networks;
	return 0;
}

static void deinit_networks(void *member)
{
	networks_deinit(member);
}

const struct config_type config_type_networks = {
	.is_list = true, .set = set_networks, .deinit = deinit_networks};

/* Fills @list with the addresses. Returns 0 or -EINVAL (reported). */
static int read_addresses(const struct config_setting *setting, struct address *list)
{
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		const struct config_value *value = &setting->values[i];
		const char *expected = config_listen_parse(value->text, &list[i]);

		for (size_t j = 0; !expected && j < i; j++) {
			expected = config_listen_beside(&list[i], &list[j]);
		}
		if (expected) {
			result = config_refuse(setting, value, expected);
		}
	}
	return result;
}

static void deinit_addresses(void *member)
{
	struct config_addresses *addresses = member;

	free(addresses->list);
	*addresses = (struct config_addresses){0};
}

static int set_addresses(const struct config_setting *setting, void *member)
{
	struct address *list = calloc(setting->n_values + 1, sizeof(*list));

	if (!list) {
		return -ENOMEM;
	}
	int r = read_addresses(setting, list);

	if (r < 0) {
		free(list);
		return r;
	}
	deinit_addresses(member);
	*(struct config_addresses *)member = (struct config_addresses){list, setting->n_values};
	return 0;
}

const struct config_type config_type_addresses = {
	.is_list = true, .set = set_addresses, .deinit = deinit_addresses};
