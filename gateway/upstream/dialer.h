/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Finds a server for an XMPP domain and connects to it: looks up SRV records, orders them as RFC
 * 2782 says, looks up the addresses of each target and races them (race.h). Without SRV records it
 * tries the domain itself on port 5222 (5223 for direct TLS). A domain rule with servers of its own
 * needs no SRV records; its addresses, and those of its hosts, are raced in the order in which they
 * are written. A redirect of a server (see-other-host) can be followed as well.
 *
 * Where a rule has a proxy (policy/egress.h), each connection is one to the proxy, which is asked
 * for the server; its address is not judged, because the operator wrote it. Where the proxy looks
 * up names as well, there are neither SRV records nor addresses: it is asked for the hosts of the
 * rule, or for the domain itself on port 5222 (5223 for direct TLS). In place of the address of
 * such a host stands one that is made of its name (stand-in.h).
 *
 * The policies for addresses and ports judge each address right before connect(2). The servers of a
 * rule are exempt, because the operator wrote them.
 *
 * dial     one such search. Owned by its creator until `done` or `failed` runs, then freed.
 * failure  of all failed attempts the most telling one: what the last server answered or, if no
 *          server was reached, why
 */
#include <uv.h>

#include "gateway/failure.h"
#include "gateway/upstream/dial-places.h"
#include "gateway/upstream/history.h"
#include "gateway/upstream/observer.h"
#include "gateway/upstream/dns/resolver.h"
#include "gateway/upstream/transport.h"
#include "policy/domain-rules.h"
#include "policy/ports.h"
#include "policy/redirect.h"

struct dial;

enum {
	DIALER_PORT = 5222,        /* IANA: xmpp-client */
	DIALER_PORT_DIRECT = 5223, /* in common use for direct TLS before XEP-0368 */
};

struct dialer {
	uv_loop_t *loop;
	struct resolver *resolver;
	struct history *history;              /* of the worker */
	const struct ports *ports;            /* ports that may be dialled */
	char *read_buffer;                    /* see transport_new() */
	int64_t connect_timeout_ms;           /* for each address */
	int64_t tunnel_timeout_ms;            /* for a proxy to connect */
	const struct egress_sources *sources; /* to connect from, where a rule has none */
	struct turn *turn;                    /* see transport_new(); may be NULL */
	struct helper *helper;                /* likewise */
	unsigned n_started;                   /* connections; wraps: whose turn it is */
	struct dial_places places;            /* begins zeroed */
	const struct dial_observer *observer; /* may be NULL */
};

/* The server that a transport is connected to. */
struct dial_result {
	const struct address *address;
	const char *host; /* the SRV target or the domain itself; NULL for a fixed address */
	uint16_t port;
	/* TLS from the first byte (XEP-0368), whatever the rule says about STARTTLS */
	bool is_direct;
	bool has_others; /* the search may have found further addresses or targets */
	/* `host` is the domain itself, or the resolver says that the records leading to it were
	 * signed */
	bool is_authentic;
	bool is_configured; /* the rule names this server */
};

struct dial_callbacks {
	struct transport_callbacks transport; /* of the resulting transport */
	/* @transport is connected and belongs to the callee from now on, with the callbacks and the
	 * userdata given to dial_new(). @result is borrowed for the call. The dial is gone. */
	void (*done)(void *userdata, struct transport *transport, const struct dial_result *result);
	void (*failed)(void *userdata, const struct failure *failure);
};

struct dial_options {
	const char *domain;             /* ASCII form */
	const struct domain_rule *rule; /* NULL: none */
	const struct dial_callbacks *callbacks;
	void *userdata;
	/* The DNS is asked on its behalf (resolver.h), and the search waits for one of its places
	 * (dial-places.h), which servers that the rule names do not need. */
	uint32_t crowd;
	/* Not NULL: for a redirect (RFC 6120, 4.9.3.19) a server of the domain has named an
	 * address, a host and a port, or a host to look up like a domain. The servers of the rule
	 * are ignored, and the policies apply. */
	const struct redirect *redirect;
	/* The redirecting server was reached with TLS from the first byte: a port or an address
	 * that it names is expected to use that, too. */
	bool is_direct;
	/* Have been tried already, and are not dialled again; borrowed for the life of the dial. */
	const struct address *avoided;
	size_t n_avoided;
};

/* Starts a search for a server. @options is borrowed for the call; its domain, its rule and its
 * callbacks for the life of the dial and of the transport. The callbacks run from the loop, never
 * from this call. Of callbacks->transport, `connected` is never called, and `failed` only after
 * `done`. Returns 0 or -ENOMEM. */
_must_check_ int dial_new(struct dialer *dialer, const struct dial_options *options,
			  struct dial **ret_dial);

/* Returns the most telling failure so far. If there is none, it is a time-out of the step under
 * way. */
void dial_failure(const struct dial *dial, struct failure *ret_failure);

/* Ends the search. No callback runs afterwards. Returns NULL; takes NULL. */
struct dial *dial_free(struct dial *dial);
