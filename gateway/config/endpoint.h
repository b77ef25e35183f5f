/* SPDX-License-Identifier: MIT */
#pragma once
/* Addresses with ports, as several keys have them. */
#include "common/address.h"

enum {
	/* Each costs a socket in each worker. */
	CONFIG_LISTEN_MAX = 64,
};

struct config_addresses {
	struct address *list;
	size_t n;
};

/* Reads an address with or without a port other than 0. An IPv6 address without brackets is
 * refused: of "2001:db8::1:5280" nobody can tell whether 5280 is a port. Returns NULL, or
 * @expected or words of its own, for "expected ..., got ...". */
const char *config_endpoint_parse(const char *text, int default_port, const char *expected,
				  struct address *ret_address);

/* The same for an address to listen on. */
const char *config_listen_parse(const char *text, struct address *ret_address);

/* What is expected of @a, given @b; NULL when both can be listened on. */
const char *config_listen_beside(const struct address *a, const struct address *b);
