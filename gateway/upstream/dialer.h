/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * From a domain to a connected transport: SRV in RFC 2782 order, A and AAAA of each target, and a race over all
 * addresses (race.h); when there is no SRV, the domain itself on port 5222 (5223 for direct TLS). A domain rule with fixed addresses skips the
 * DNS; they are raced in the order in which they are written.
 * A server may also have said where to go (see-other-host).
 * The policies for addresses and ports are asked with each address right before connect(2); fixed addresses are the
 * operator's own words and go by them.
 *
 * dial     one such search. It belongs to whoever started it until `done` or `failed` ran; then it is gone.
 * failure  of all attempts the one that says most: what the last address said, or why there was none
 */
#include <uv.h>

#include "gateway/failure.h"
#include "gateway/upstream/history.h"
#include "gateway/upstream/observer.h"
#include "gateway/upstream/dns/resolver.h"
#include "gateway/upstream/transport.h"
#include "policy/domain.h"
#include "policy/ports.h"
#include "policy/redirect.h"

struct dial;

enum {
	DIALER_PORT = 5222,        /* IANA: xmpp-client */
	DIALER_PORT_DIRECT = 5223, /* what was usual for direct TLS before there were SRV records for it */
};

struct dialer {
	uv_loop_t *loop;
	struct resolver *resolver;
	struct history *history;   /* of this worker's dials */
	const struct ports *ports; /* that may be dialled */
	char *read_buffer; /* for transport_new() */
	int64_t connect_timeout_ms; /* for one address */
	const struct dial_observer *observer; /* NULL: nobody */
};

/* What a transport is connected to. */
struct dial_result {
	const struct address *address;
	const char *host; /* the SRV target, or the domain itself; NULL for a fixed address */
	uint16_t port;
	bool direct; /* TLS from the first byte (XEP-0368), whatever the rule says about STARTTLS */
	bool has_others; /* the search was not at its end: there may be another address or target */
	bool authentic; /* what led to `host` was signed, as far as the resolvers say; or it is the domain itself */
};

struct dial_callbacks {
	struct transport_callbacks transport; /* for the transport that comes out */
	/* The dial is gone. @transport is connected (its `connected` has run) and now the callee's; its callbacks and
	 * userdata are those given to dial_new(). @result is borrowed for the call. */
	void (*done)(void *userdata, struct transport *transport, const struct dial_result *result);
	void (*failed)(void *userdata, const struct failure *failure);
};

/* @domain is the ascii form; @rule may be NULL (no rule for it); both and @callbacks are borrowed for the life of the
 * dial and of the transport. `connected`, and a `failed` before `done`, are the dialer's own affair and never reach
 * @callbacks->transport. Callbacks run from the loop, never from this call. Returns 0 or -ENOMEM. */
_must_check_ int dial_new(struct dialer *dialer, const char *domain, const struct domain_rule *rule,
			  const struct dial_callbacks *callbacks, void *userdata,
			  struct dial **ret_dial);

/* The same for the place that a server of @domain named instead of itself (RFC 6120, 4.9.3.19): an
 * address, a host and a port, or a host to be looked up like a domain. @redirect is copied. The
 * rule's fixed addresses do not count, and exempt nothing from the policies. @direct: the
 * connection to that server had TLS from the first byte, so a port or address that it names has. */
_must_check_ int dial_new_redirected(struct dialer *dialer, const char *domain,
				     const struct redirect *redirect, bool direct,
				     const struct domain_rule *rule,
				     const struct dial_callbacks *callbacks, void *userdata,
				     struct dial **ret_dial);

/* Right after it was made: @addresses have been tried and are not dialled again. Borrowed for the life of the
 * dial. */
void dial_avoid(struct dial *dial, const struct address *addresses, size_t n_addresses);

/* What is known against it so far; or what it waits for, as a time-out of that. */
void dial_failure(const struct dial *dial, struct failure *ret_failure);

/* Ends the search; no callback runs afterwards. Returns NULL; takes NULL. */
struct dial *dial_free(struct dial *dial);
