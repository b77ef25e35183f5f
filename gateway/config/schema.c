/* SPDX-License-Identifier: MIT */
#include "gateway/config/schema.h"

#include "gateway/config/tables.h"
#include "gateway/config/types.h"

static const struct config_table *const tables[] = {
	&config_table_listeners, &config_table_listener,  &config_table_process,
	&config_table_log,       &config_table_admin,     &config_table_who,
	&config_table_web,       &config_table_limits,    &config_table_servers,
	&config_table_bosh,      &config_table_websocket, &config_table_domain,
};

static const struct config_key keys[] = {
	{.name = "include", .type = &config_type_include, .initial = "{}"},
};

const struct config_table config_table_file = {.keys = keys,
					       .n_keys = ARRAY_LENGTH(keys),
					       .tables = tables,
					       .n_tables = ARRAY_LENGTH(tables)};

static const struct config_rename renames[] = {
	/* "bind" usually means an address to listen on. */
	{"bind_address", NULL, "session_bound_to_address"},
	/* They have got a section. */
	{"max_sessions", "limits", "max_sessions"},
	{"sessions_per_address", "limits", "sessions_per_address"},
	{"connections_per_address", "limits", "connections_per_address"},
	{"login_bytes_per_address", "limits", "login_bytes_per_address"},
	{"login_bytes", "limits", "login_bytes"},
	{"body_bytes", "limits", "body_bytes"},
	{"stanza_bytes", "limits", "stanza_bytes"},
	{"pending_bytes", "limits", "pending_bytes"},
	{"header_timeout", "limits", "header_timeout"},
};

const struct config_rename *config_rename_find(struct sv before)
{
	for (size_t i = 0; i < ARRAY_LENGTH(renames); i++) {
		if (sv_eq(before, sv_from(renames[i].before))) {
			return &renames[i];
		}
	}
	return NULL;
}
