/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Who the client is, when proxies stand between: X-Forwarded-For is believed only from the operator's own
 * proxies, and only as far as they reach.
 */
#include "common/address.h"
#include "common/sv.h"

struct client_proxies {
	struct network *networks; /* owned */
	size_t n_networks;
};

/* Returns 0, -ENOMEM, or -EINVAL with *ret_bad the index of the first text that is no network. */
_must_check_ int client_proxies_init(struct client_proxies *proxies, const char *const *texts, size_t n,
				     size_t *ret_bad);
void client_proxies_deinit(struct client_proxies *proxies);

/* The client's address: @peer, unless @peer is a trusted proxy; then the right-most address of
 * @forwarded_for (the header's value, may be empty) that is no trusted proxy. An entry that is no address
 * ends the search: the last proxy found is taken. The port of a forwarded address is 0. */
struct address client_address(const struct client_proxies *proxies, const struct address *peer,
			      struct sv forwarded_for);

/* Whether the client came over TLS: only a trusted proxy knows, and says so in X-Forwarded-Proto (@forwarded_proto, the header's value, may
 * be empty; of several the right-most, which the proxy next to us wrote). */
bool client_is_secure(const struct client_proxies *proxies, const struct address *peer,
		      struct sv forwarded_proto);

/* What tells clients apart: an IPv4 address, or the /64 of an IPv6 address, which is what one subscriber is usually given. */
uint64_t client_key(const struct address *client);

/* A hash of client_key() for a table of clients. @secret is random for each table, so that the
 * owner of many /64s cannot pick those that share one chain. */
unsigned client_hash(uint64_t key, uint64_t secret);

bool client_is_same(const struct address *a, const struct address *b);

/* Whether @address is one of the operator's own proxies. */
bool client_is_proxy(const struct client_proxies *proxies, const struct address *address);
