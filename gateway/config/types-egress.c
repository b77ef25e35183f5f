/* SPDX-License-Identifier: MIT */
/* The types of keys about how connections leave this machine (policy/egress.h). */
#include <errno.h>

#include "gateway/config/types.h"
#include "policy/egress.h"

static int read_source(const struct config_setting *setting, const struct config_value *value,
		       struct address *ret_address)
{
	int r = address_parse(sv_from(value->text), 0, ret_address);

	return r < 0 || address_port(ret_address)
		     ? config_refuse(setting, value,
				     "an IP address without a port, as in \"192.0.2.1\" or "
				     "\"2001:db8::1\"")
		     : 0;
}

static int set_sources(const struct config_setting *setting, void *member)
{
	struct egress_sources sources = {0};
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		struct address address;

		if (read_source(setting, &setting->values[i], &address) < 0) {
			result = -EINVAL;
		} else if (sources.n < EGRESS_SOURCES_MAX) {
			sources.addresses[sources.n++] = address;
		}
	}
	if (result == 0) {
		*(struct egress_sources *)member = sources;
	}
	return result;
}

const struct config_type config_type_sources = {.is_list = true, .set = set_sources};

static void deinit_egress(void *member)
{
	egress_deinit(member);
}

static int set_egress(const struct config_setting *setting, void *member)
{
	const struct config_value *value = setting->values;
	struct egress egress = {0};

	if (value->text[0]) {
		int r = egress_parse(sv_from(value->text), &egress);

		if (r == -EINVAL) {
			/* Not what was written: it may have a password. */
			config_error(setting->errors, value->place,
				     "%s: expected a proxy, as in \"socks5://127.0.0.1:9050\" or "
				     "\"http://USER:PASSWORD@proxy.example.org:3128\"",
				     setting->key->name);
		}
		if (r < 0) {
			return r;
		}
	}
	egress_deinit(member);
	*(struct egress *)member = egress;
	return 0;
}

const struct config_type config_type_egress = {.set = set_egress, .deinit = deinit_egress};
