/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * DNS on the worker's loop, through c-ares. One resolver a worker. Answers are kept for as long as they hold
 * (answers.h), and a question that is under way is not asked twice, however many want to know. The hosts file is
 * asked before the DNS for addresses; no search domain is ever appended.
 *
 * query     what somebody wants to know. It belongs to whoever asked until its callback ran; then it is gone. A
 *           query that is cancelled never calls back.
 * patience  how long a query goes on waiting for one of its two services when the other has named targets
 */
#include <uv.h>

#include "common/address.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"
#include "gateway/upstream/dns/tlsa.h"

struct resolver;
struct resolver_query;
struct lookup_observer;

struct resolver_options {
	const char *servers; /* as c-ares writes them ("127.0.0.1:5300,[::1]:53"), or NULL for the system's */
	unsigned timeout_ms; /* for the first question to a server, then twice and four times as long; the patience */
	unsigned n_tries;    /* of each server */
	const struct lookup_observer *observer; /* borrowed; NULL: nobody */
};

/* What becomes of the attempt to ask. */
enum resolver_ask_result {
	RESOLVER_ASKED,
	RESOLVER_E_NAME, /* the name is longer than SRV_HOST_MAX */
	RESOLVER_E_BUSY, /* too many questions are under way (LOOKUPS_MAX) */
};

/* @targets, of both services, is borrowed for the call and may be changed; empty unless RESOLVER_OK. Not yet
 * ordered, in any other way as srv_merge() leaves them. */
typedef void (*resolver_srv_done)(void *userdata, enum resolver_result result, struct srv_target *targets,
				  size_t n_targets);
/* @addresses (IPv6 and IPv4, RFC 6724 order as c-ares sorts them, with the port set) is borrowed for the call. */
typedef void (*resolver_addresses_done)(void *userdata, enum resolver_result result,
					const struct address *addresses, size_t n_addresses);
/* @set is borrowed for the call; NULL unless RESOLVER_OK. */
typedef void (*resolver_tlsa_done)(void *userdata, enum resolver_result result, const struct tlsa_set *set);

/* Returns 0, -EINVAL for bad servers, -ENOMEM. */
_must_check_ int resolver_new(uv_loop_t *loop, const struct resolver_options *options, struct resolver **ret_resolver);

/* Cancels what is under way (without callbacks) and closes its handles; memory goes at a later turn of the
 * loop. Its queries are gone with it: whoever asked must have cancelled, or forget them. NULL is fine. */
struct resolver *resolver_free(struct resolver *resolver);

/* Asks for _xmpp-client._tcp and _xmpps-client._tcp of @domain, together (RFC 6120, 3.2.1; XEP-0368). @done runs
 * later from the loop, never from this call. *ret_query is valid until @done runs or it is cancelled. Returns a
 * RESOLVER_... of enum resolver_ask_result, or -ENOMEM. */
_must_check_ int resolver_ask_srv(struct resolver *resolver, const char *domain, resolver_srv_done done,
				  void *userdata, struct resolver_query **ret_query);

/* Asks for the A and AAAA of @host; as above. */
_must_check_ int resolver_ask_addresses(struct resolver *resolver, const char *host, uint16_t port,
					resolver_addresses_done done, void *userdata,
					struct resolver_query **ret_query);

/* Asks for the TLSA of _@port._tcp.@host (RFC 6698, 3); as above. RESOLVER_OK only when the server vouched for the
 * records (AD=1): whether its word counts is the caller's affair. RESOLVER_NO_NAME: none, none that can be used, or
 * none that was vouched for. RESOLVER_FAILED may be forged records, which such a server refuses to hand on: who
 * goes on without DANE then gives up what it is for. */
_must_check_ int resolver_ask_tlsa(struct resolver *resolver, const char *host, uint16_t port,
				   resolver_tlsa_done done, void *userdata, struct resolver_query **ret_query);

/* Words for @r, a result of resolver_ask_x() other than RESOLVER_ASKED. Never freed. */
const char *resolver_ask_error(int r);

/* After this the query's callback does not run any more. NULL is fine. */
void resolver_query_cancel(struct resolver_query *query);
