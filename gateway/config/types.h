/* SPDX-License-Identifier: MIT */
#pragma once
/* The types of keys that more than one table uses, and what types of one's own are made of. */
#include "gateway/config/schema.h"

/* What is expected of an entry of a list of networks. */
#define CONFIG_NETWORK_EXPECTED "an address or a network, as in \"192.0.2.7\" or \"10.0.0.0/8\""

enum {
	/* Every request with an Origin, or from a proxy, is compared with all entries. */
	CONFIG_ORIGINS_MAX = 1024,
	CONFIG_NETWORKS_MAX = 1024,
	CONFIG_NETWORK_SET_MAX = 100000, /* they are searched, and each has 18 bytes */
	/* A longer path could push the end of the request line out of the bytes that are peeked
	 * at. */
	CONFIG_PATH_MAX = 128,
	CONFIG_URI_MAX = 1024,
};

extern const struct config_type config_type_include; /* a directive: patterns of files */
extern const struct config_type config_type_bool;
extern const struct config_type config_type_number;
extern const struct config_type config_type_choice;
extern const struct config_type config_type_text;          /* char * */
extern const struct config_type config_type_path;          /* char *: of a URL */
extern const struct config_type config_type_uri;           /* char *: https, or "" */
extern const struct config_type config_type_websocket_uri; /* char *: wss or https, or "" */
extern const struct config_type config_type_file;          /* char *: can be read; NULL for "" */
extern const struct config_type config_type_origins;       /* struct origin_list */
extern const struct config_type config_type_hosts;         /* struct host_list */
extern const struct config_type config_type_networks;      /* struct networks */
extern const struct config_type config_type_addresses;     /* struct config_addresses */
extern const struct config_type config_type_routes;        /* struct routes */
extern const struct config_type config_type_ports;         /* struct ports */
extern const struct config_type config_type_sources;       /* struct egress_sources */
extern const struct config_type config_type_egress;        /* struct egress; none for "" */

/* Reports that @value is not what is @expected. Returns -EINVAL. */
int config_refuse(const struct config_setting *setting, const struct config_value *value,
		  const char *expected);

/* Reports that the list has more than key->max entries. Returns 0 or -EINVAL. */
_must_check_ int config_check_count(const struct config_setting *setting);

/* Copies @text into @member, a char *, in place of what was there. Returns 0 or -ENOMEM. */
_must_check_ int config_set_text(void *member, const char *text);

/* Whether @uri begins with @scheme and goes on, in the bytes of RFC 3986, 2, but without "'": so it
 * can stand in an attribute of XML, in JSON and in a log line as it is, except for "&". */
bool config_uri_is_valid(struct sv uri, struct sv scheme);

/* config_type.deinit of a char *. */
void config_text_deinit(void *member);

/* The index of @text in @names, or -EINVAL. */
_must_check_ int config_names_find(const char *text, const char *const *names, size_t n_names);
