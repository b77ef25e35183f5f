/* SPDX-License-Identifier: MIT */
#pragma once
/* What the configuration says about web pages and plug-ins (keys-web.c): a part of struct
 * config. */
#include <stdbool.h>

#include "policy/host.h"

enum {
	/* The largest document that an operator may put in place of one of the gateway's. All are
	 * kept in memory. */
	CONFIG_DOCUMENT_MAX = 64 * 1024,
};

struct config_web {
	struct host_list own_hosts;
	bool requires_origin;
	bool allows_credentials;
	bool allows_private_network;
	/* For host-meta; "": there is none. */
	char *bosh_url;
	char *websocket_url;
	/* The texts of documents to serve in place of those that are made; NULL: none. */
	char *crossdomain, *clientaccesspolicy;
	char *host_meta, *host_meta_json;
};
