/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * DNS on the worker's loop, through c-ares. Each worker has one resolver. Replies are cached
 * (cache.h), and equal questions are asked once (lookups.h). For addresses, the hosts file is read
 * before the DNS is asked. Names are never completed with a search domain.
 *
 * query         a question of the owner's. It ends with its callback, or silently when cancelled.
 * grace period  how long an SRV query waits for one of the two services when the other has targets
 */
#include <uv.h>

#include "common/address.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"
#include "gateway/upstream/dns/tlsa.h"

struct resolver;
struct resolver_query;
struct lookup_observer;
struct turn;

struct resolver_options {
	/* in the notation of c-ares ("127.0.0.1:5300,[::1]:53"); NULL: the system's */
	const char *servers;
	/* for the first question to a server, doubled for each further one; also the grace
	 * period */
	unsigned timeout_ms;
	unsigned n_tries;                       /* of each server */
	const struct lookup_observer *observer; /* borrowed; may be NULL */
	/* To charge the crowds with what their questions cost; outlives the resolver. NULL: nobody
	 * is charged. */
	struct turn *turn;
};

/* How an attempt to ask ended. */
enum resolver_ask_result {
	RESOLVER_ASKED,
	RESOLVER_E_NAME,  /* the name is longer than SRV_HOST_MAX */
	RESOLVER_E_BUSY,  /* too many questions are under way (LOOKUPS_MAX) */
	RESOLVER_E_CROWD, /* too many of one crowd (LOOKUPS_CROWD_MAX) */
};

/* @targets, of both services, is borrowed for the call and may be modified; NULL unless
 * RESOLVER_OK. It is as srv_merge() leaves it, not ordered yet. */
typedef void (*resolver_srv_done)(void *userdata, enum resolver_result result,
				  struct srv_target *targets, size_t n_targets);
/* @addresses is borrowed for the call: IPv6 and IPv4 with the port set, in RFC 6724 order. */
typedef void (*resolver_addresses_done)(void *userdata, enum resolver_result result,
					const struct address *addresses, size_t n_addresses);
/* @set is borrowed for the call; NULL unless RESOLVER_OK. */
typedef void (*resolver_tlsa_done)(void *userdata, enum resolver_result result,
				   const struct tlsa_set *set);

/* Returns 0, -EINVAL when the servers cannot be parsed, or -ENOMEM. */
_must_check_ int resolver_new(uv_loop_t *loop, const struct resolver_options *options,
			      struct resolver **ret_resolver);

/* Asks other servers from now on, as @options says (its observer is ignored), and reads
 * /etc/resolv.conf and /etc/hosts anew. Nothing that is known is kept. Queries under way go on with
 * the earlier servers. Returns as resolver_new(); on failure nothing has changed. */
_must_check_ int resolver_reload(struct resolver *resolver, const struct resolver_options *options);

/* Ends all queries without callbacks and frees them: their owners must forget them. The memory of
 * handles is freed at a later iteration of the loop. Takes NULL; returns NULL. */
struct resolver *resolver_free(struct resolver *resolver);

/* What is asked; borrowed for the call. */
struct resolver_question {
	const char *name; /* a domain or a host */
	uint16_t port;    /* of the addresses, or of the service whose TLSA records are asked for */
	uint32_t crowd;   /* on whose behalf (lookups.h) */
};

/* Asks for _xmpp-client._tcp and _xmpps-client._tcp of the domain together (RFC 6120, 3.2.1;
 * XEP-0368). @done runs from the loop, never from this call. *ret_query is valid until @done runs
 * or the query is cancelled. Returns a RESOLVER_... of enum resolver_ask_result, or -ENOMEM. */
_must_check_ int resolver_ask_srv(struct resolver *resolver,
				  const struct resolver_question *question, resolver_srv_done done,
				  void *userdata, struct resolver_query **ret_query);

/* Like resolver_ask_srv(), for the A and AAAA records of the host. */
_must_check_ int resolver_ask_addresses(struct resolver *resolver,
					const struct resolver_question *question,
					resolver_addresses_done done, void *userdata,
					struct resolver_query **ret_query);

/* Like resolver_ask_srv(), for the TLSA records of _PORT._tcp.HOST (RFC 6698, 3). RESOLVER_OK
 * requires AD=1; whether the server's word is to be trusted is up to the caller. RESOLVER_NO_NAME:
 * there are no records, or none is usable or signed. Treat RESOLVER_FAILED as an attack: a
 * validating server suppresses forged records, so going on without DANE would defeat it. */
_must_check_ int resolver_ask_tlsa(struct resolver *resolver,
				   const struct resolver_question *question,
				   resolver_tlsa_done done, void *userdata,
				   struct resolver_query **ret_query);

/* Describes @r, a result of resolver_ask_x() other than RESOLVER_ASKED. The text is static. */
const char *resolver_ask_error(int r);

/* Cancels the query: its callback does not run any more. Takes NULL. */
void resolver_query_cancel(struct resolver_query *query);
