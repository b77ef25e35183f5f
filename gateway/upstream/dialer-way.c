/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "gateway/upstream/dialer-state.h"
#include "gateway/upstream/dns/question.h"

/* Which address of this machine the connection comes from. NULL: the system chooses. */
static const struct address *source_of(struct dial *dial, int family)
{
	const struct egress_sources *own = dial->rule ? &dial->rule->sources : NULL;
	struct dialer *dialer = dial->dialer;

	return egress_source(own && own->n ? own : dialer->sources, family, dialer->n_started++);
}

bool dial_is_named(const struct dial_attempt *attempt)
{
	const struct dial *dial = attempt->dial;

	return dial->egress_resolves && dial->targets && dial->targets[attempt->target].host[0];
}

int dial_connect(struct dial_attempt *attempt, const struct transport_callbacks *callbacks)
{
	struct dial *dial = attempt->dial;
	struct dialer *dialer = dial->dialer;
	struct transport_way way = {
		.address = dial->egress ? &dial->proxies[attempt->proxy] : attempt->address,
		.egress = dial->egress,
		.server = {.address = attempt->address, .port = address_port(attempt->address)},
		.timeout_ms = dialer->connect_timeout_ms,
		.tunnel_timeout_ms = dialer->tunnel_timeout_ms,
		.turn = dialer->turn,
		.helper = dialer->helper,
	};

	if (dial_is_named(attempt)) {
		way.server.address = NULL;
		way.server.host = dial->targets[attempt->target].host;
	}
	way.source = source_of(dial, way.address->any.sa_family);
	return transport_new(dialer->loop, dialer->read_buffer, &way, callbacks, attempt,
			     &attempt->transport);
}

bool dial_next_proxy(struct dial_attempt *attempt)
{
	struct dial *dial = attempt->dial;
	size_t next = attempt->proxy + 1;

	if (next >= dial->n_proxies) {
		return false;
	}
	attempt->proxy = next;
	/* The rest of the dial does not try the former ones again. */
	dial->first_proxy = next > dial->first_proxy ? next : dial->first_proxy;
	return true;
}

void dial_set_proxies(struct dial *dial, const struct address *addresses, size_t n_addresses)
{
	dial->n_proxies = n_addresses < DIAL_PROXIES_MAX ? n_addresses : DIAL_PROXIES_MAX;
	memcpy(dial->proxies, addresses, dial->n_proxies * sizeof(*addresses));
}

bool dial_is_onion(const struct dial *dial)
{
	return !dial->egress_resolves && question_is_below(dial->domain, "onion");
}

bool dial_may_name(const struct dial *dial, const char *host)
{
	const struct domain_rule *rule = dial->rule;

	if (!dial->egress_resolves || rule->allow_private || dial->is_exempt) {
		return true;
	}
	/* In a section that names the domain, the name is the operator's word. In one of a pattern
	 * it is a client's, as that of a redirect is a server's. localhost is the proxy's own
	 * machine (RFC 6761, 6.3). */
	return !dial->redirect.host[0] &&
	       !(rule->is_pattern && question_is_below(host, "localhost"));
}
