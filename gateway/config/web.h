/* SPDX-License-Identifier: MIT */
#pragma once
/* What the configuration says about web pages and plug-ins (keys-web.c): a part of struct
 * config. */
#include <stdbool.h>

#include "gateway/config/endpoint.h"
#include "policy/host.h"
#include "policy/ports.h"

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
	/* Where plug-ins ask for socket policies, besides where HTTP is served. */
	struct config_addresses flash_listen, silverlight_listen;
	struct ports flash_ports;       /* that Flash may connect to; none: those of HTTP */
	struct ports silverlight_ports; /* likewise, within 4502-4534 */
	/* The texts of documents to serve in place of those that are made; NULL: none. */
	char *crossdomain, *clientaccesspolicy;
	char *flash_sockets, *silverlight_sockets;
	char *host_meta, *host_meta_json;
};
