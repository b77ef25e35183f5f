/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * DNS through c-ares on the worker's loop. One resolver a worker. The hosts file is asked before the DNS for addresses;
 * no search domain is ever appended.
 *
 * query  one question under way. It belongs to whoever asked until its callback ran; then it is gone. A query
 *        that is cancelled never calls back.
 */
#include <uv.h>

#include "common/address.h"
#include "gateway/upstream/answer.h"
#include "gateway/upstream/srv.h"

struct resolver;
struct resolver_query;

enum {
	/* Queries under way; a cancelled one stays until its time is over, so that clients which ask and go away at
	 * once pile them up. c-ares looks for a free one of 65536 ids, ever longer the fewer are left. */
	RESOLVER_QUERIES_MAX = 2000,
	/* The first question to a server is given up after this, the next after twice and four times as long. With one server
	 * that is 10.5 s; a client waits half a minute in all. */
	RESOLVER_TIMEOUT_MS = 1500,
	RESOLVER_TRIES = 3,
};

/* @targets is borrowed for the call; empty unless RESOLVER_OK. Not yet ordered, in any other way as srv_set_add() leaves
 * them. */
typedef void (*resolver_srv_done)(void *userdata, enum resolver_result result, struct srv_target *targets,
				  size_t n_targets);
/* @addresses (IPv6 and IPv4, RFC 6724 order as c-ares sorts them, with @port set) is borrowed for the call. */
typedef void (*resolver_addresses_done)(void *userdata, enum resolver_result result,
					const struct address *addresses, size_t n_addresses);

/* @servers as c-ares writes them ("127.0.0.1:5300,[::1]:53"), or NULL for the system's. Returns 0, -EINVAL
 * for bad @servers, -ENOMEM. */
_must_check_ int resolver_new(uv_loop_t *loop, const char *servers, struct resolver **ret_resolver);

/* Cancels what is under way (without callbacks) and closes its handles; memory goes at a later turn of the
 * loop. Its queries are gone with it: whoever asked must have cancelled, or forget them. NULL is fine. */
struct resolver *resolver_free(struct resolver *resolver);

/* Asks for _xmpp-client._tcp.@domain SRV. @done runs later from the loop, never from this call. *ret_query is
 * valid until @done runs or it is cancelled. Returns 0, -ENOMEM, or -EBUSY for too many queries. */
_must_check_ int resolver_ask_srv(struct resolver *resolver, const char *domain, resolver_srv_done done,
				  void *userdata, struct resolver_query **ret_query);

/* Asks for the A and AAAA of @host; as above. */
_must_check_ int resolver_ask_addresses(struct resolver *resolver, const char *host, uint16_t port,
					resolver_addresses_done done, void *userdata,
					struct resolver_query **ret_query);

/* After this @done does not run any more. NULL is fine. */
void resolver_query_cancel(struct resolver_query *query);
