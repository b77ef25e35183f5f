/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dialer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "common/turn.h"
#include "gateway/upstream/dialer-state.h"

static void dial_fail_internal(struct dial *dial, const char *words)
{
	failure_set(&dial->failure, FAILURE_INTERNAL, "%s", words);
	dial_fail(dial);
}

/* The question could not be asked: @r of resolver_ask_x(). */
static void dial_fail_asking(struct dial *dial, int r)
{
	failure_set(&dial->failure, r == RESOLVER_E_CROWD ? FAILURE_TOO_FAST : FAILURE_INTERNAL,
		    "%s", resolver_ask_error(r));
	dial_fail(dial);
}

/* Multiplying is biased by 2^-12 at the largest sum of weights, too little to matter for sharing
 * load. Without random numbers the order is still one that RFC 2782 allows. */
static uint32_t draw(void *userdata, uint32_t max)
{
	uint32_t random = 0;

	(void)userdata;
	if (random_bytes(&random, sizeof(random)) < 0) {
		random = 0;
	}
	return (uint32_t)(((uint64_t)random * ((uint64_t)max + 1)) >> 32);
}

/* Whether @target offers the kind of TLS that the rule asks for. */
static bool dial_accepts(const struct dial *dial, const struct srv_target *target)
{
	switch (domain_rule_tls(dial->rule)) {
	case DOMAIN_TLS_DIRECT:
		return target->is_direct;
	case DOMAIN_TLS_OFF:
		return !target->is_direct;
	case DOMAIN_TLS_REQUIRED:
	case DOMAIN_TLS_OPPORTUNISTIC:
		break;
	}
	return true;
}

/* Puts @targets into the order of trying. Targets that say "." (no service) are left out. */
static int dial_set_targets(struct dial *dial, const struct srv_target *targets, size_t n_targets,
			    size_t *ret_n)
{
	const struct dial_observer *observer = dial->dialer->observer;
	size_t n = 0;

	dial->targets = calloc(n_targets, sizeof(*targets));
	if (!dial->targets) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_targets; i++) {
		if (targets[i].host[0] && dial_accepts(dial, &targets[i])) {
			dial->targets[n++] = targets[i];
		}
	}
	if (n == 0) {
		bool is_direct = domain_rule_tls(dial->rule) == DOMAIN_TLS_DIRECT;

		failure_set(&dial->failure,
			    is_direct ? FAILURE_TLS_NOT_OFFERED : FAILURE_DNS_NOT_OFFERED,
			    "%s: its SRV records name %s", dial->domain,
			    is_direct ? "no server for direct TLS" : "servers for direct TLS only");
	}
	srv_order(dial->targets, n, draw, NULL);
	if (observer && observer->ordered) {
		observer->ordered(observer->userdata, dial->targets, n);
	}
	*ret_n = n;
	return 0;
}

/* A single host and port, without SRV records. */
static int dial_set_target(struct dial *dial, uint16_t port, bool is_direct, size_t *ret_n)
{
	/* For the domain itself, its own TLSA records are authoritative. An attacker cannot use
	 * this to hide SRV records: in a signed zone, their absence is signed as well. */
	struct srv_target target = {
		.port = port, .is_direct = is_direct, .is_authentic = !dial->redirect.host[0]};

	memcpy(target.host, dial->domain, strlen(dial->domain) + 1);
	return dial_set_targets(dial, &target, 1, ret_n);
}

/* There is no SRV record: try the domain itself (RFC 6120, 3.2.2). */
static int dial_set_domain(struct dial *dial, size_t *ret_n)
{
	bool is_direct = domain_rule_tls(dial->rule) == DOMAIN_TLS_DIRECT;

	return dial_set_target(dial, is_direct ? DIALER_PORT_DIRECT : DIALER_PORT, is_direct,
			       ret_n);
}

static void on_srv(void *userdata, enum resolver_result result, struct srv_target *targets,
		   size_t n_targets)
{
	struct dial *dial = userdata;
	size_t n = 0;
	int r;

	dial->query = NULL;
	switch (result) {
	case RESOLVER_OK:
		if (srv_offers_nothing(targets, n_targets)) {
			failure_set(&dial->failure, FAILURE_DNS_NOT_OFFERED, "%s", dial->domain);
			dial_fail(dial);
			return;
		}
		r = dial_set_targets(dial, targets, n_targets, &n);
		break;
	case RESOLVER_NO_NAME:
		r = dial_set_domain(dial, &n);
		break;
	default:
		/* There may be SRV records, so the domain's own address may belong to an unrelated
		 * server. Do not try it. */
		dial_note_dns(dial, result, dial->domain);
		dial_fail(dial);
		return;
	}
	if (r < 0) {
		dial_fail_internal(dial, strerrordesc_np(-r));
		return;
	}
	dial_race(dial, n);
}

/* A redirect to a host and port. */
static void dial_redirect_target(struct dial *dial)
{
	size_t n;
	int r = dial_set_target(dial, dial->redirect.port, dial->is_direct, &n);

	if (r < 0) {
		dial_fail_internal(dial, strerrordesc_np(-r));
	} else {
		dial_race(dial, n);
	}
}

/* One target for each server of the rule, as it was written. */
static int dial_set_servers(struct dial *dial)
{
	const struct domain_rule *rule = dial->rule;

	dial->targets = calloc(rule->n_connect, sizeof(*dial->targets));
	if (!dial->targets) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < rule->n_connect; i++) {
		const struct domain_server *server = &rule->connect[i];
		struct srv_target *target = &dial->targets[i];

		target->port = server->host ? server->port : address_port(&server->address);
		target->is_direct = dial->is_direct;
		if (server->host) {
			(void)snprintf(target->host, sizeof(target->host), "%s", server->host);
		}
	}
	return 0;
}

/* With addresses only, they are one target, so that those that won lately come first. */
static void dial_race_servers(struct dial *dial)
{
	const struct domain_rule *rule = dial->rule;
	bool has_hosts = false;

	for (size_t i = 0; i < rule->n_connect; i++) {
		dial->literal[i] = rule->connect[i].address;
		has_hosts |= rule->connect[i].host != NULL;
	}
	dial->fixed = dial->literal;
	dial->n_fixed = rule->n_connect;
	if (has_hosts && dial_set_servers(dial) < 0) {
		dial_fail_internal(dial, strerrordesc_np(ENOMEM));
		return;
	}
	dial_race(dial, has_hosts ? rule->n_connect : 1);
}

/* The proxy looks up the domain, or the host that a redirect names. */
static void dial_by_name(struct dial *dial)
{
	size_t n;
	int r;

	if (!dial_may_name(dial, dial->domain)) {
		failure_set(&dial->failure, FAILURE_ADDRESS_REFUSED,
			    "%s: a name that a proxy would look up", dial->domain);
		dial_fail(dial);
		return;
	}
	r = dial->redirect.port ? dial_set_target(dial, dial->redirect.port, dial->is_direct, &n)
				: dial_set_domain(dial, &n);
	if (r < 0) {
		dial_fail_internal(dial, strerrordesc_np(-r));
	} else {
		dial_race(dial, n);
	}
}

/* Begins the search, when the addresses of a proxy are known. */
static void dial_begin(struct dial *dial)
{
	if (dial->is_exempt) {
		dial_race_servers(dial);
		return;
	}
	if (dial->n_fixed) {
		dial_race(dial, 1);
		return;
	}
	if (dial->egress_resolves) {
		dial_by_name(dial);
		return;
	}
	if (dial_is_onion(dial)) {
		failure_set(&dial->failure, FAILURE_DNS_NO_NAME,
			    "%s: only a proxy finds names below onion (proxy, proxy_dns)",
			    dial->domain);
		failure_set_public(&dial->failure, "%s", dial->domain);
		dial_fail(dial);
		return;
	}
	if (dial->redirect.port) {
		dial_redirect_target(dial);
		return;
	}
	const struct resolver_question question = {.name = dial->domain, .crowd = dial->crowd};
	int r = resolver_ask_srv(dial->dialer->resolver, &question, on_srv, dial, &dial->query);

	if (r != RESOLVER_ASKED) {
		dial_fail_asking(dial, r);
	}
}

static void fail_proxy_lookup(struct dial *dial)
{
	failure_set(&dial->failure, FAILURE_PROXY_UNREACHABLE, "%s: no address is known",
		    dial->egress->host);
	failure_set_public(&dial->failure, NULL);
	dial_fail(dial);
}

static void on_proxy(void *userdata, enum resolver_result result, const struct address *addresses,
		     size_t n_addresses)
{
	struct dial *dial = userdata;

	dial->query = NULL;
	if (result != RESOLVER_OK || n_addresses == 0) {
		fail_proxy_lookup(dial);
		return;
	}
	dial_set_proxies(dial, addresses, n_addresses);
	dial_begin(dial);
}

static void on_start(struct timeout *timer)
{
	struct dial *dial = CONTAINER_OF(timer, struct dial, timer);

	if (!dial->egress || !dial->egress->host) {
		dial_begin(dial);
		return;
	}
	const struct resolver_question question = {dial->egress->host, dial->egress->port,
						   TURN_NO_CROWD};
	int r = resolver_ask_addresses(dial->dialer->resolver, &question, on_proxy, dial,
				       &dial->query);

	if (r != RESOLVER_ASKED) {
		dial_fail_asking(dial, r);
	}
}

static void dial_set_egress(struct dial *dial)
{
	const struct domain_rule *rule = dial->rule;

	if (!rule || rule->egress.kind == EGRESS_NONE) {
		return;
	}
	dial->egress = &rule->egress;
	dial->egress_resolves = rule->egress_resolves;
	if (!dial->egress->host) {
		dial_set_proxies(dial, &dial->egress->address, 1);
	}
}

static void dial_set_redirect(struct dial *dial, const struct redirect *redirect, bool is_direct)
{
	dial->redirect = *redirect;
	dial->is_direct = is_direct;
	dial->is_exempt = false;
	dial->domain = dial->redirect.host;
	if (!dial->redirect.host[0]) {
		if (!redirect->port) {
			address_set_port(&dial->redirect.address,
					 is_direct ? DIALER_PORT_DIRECT : DIALER_PORT);
		}
		dial->fixed = &dial->redirect.address;
		dial->n_fixed = 1;
	}
}

int dial_new(struct dialer *dialer, const struct dial_options *options, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	if (!dial) {
		return -ENOMEM;
	}
	dial->dialer = dialer;
	dial->served = dial->domain = options->domain;
	dial->rule = options->rule;
	dial->callbacks = options->callbacks;
	dial->userdata = options->userdata;
	dial->crowd = options->crowd;
	dial->avoided = options->avoided;
	dial->n_avoided = options->n_avoided;
	dial->is_exempt = dial->rule && dial->rule->n_connect;
	dial->is_direct = domain_rule_tls(dial->rule) == DOMAIN_TLS_DIRECT;
	dial_set_egress(dial);
	if (options->redirect) {
		dial_set_redirect(dial, options->redirect, options->is_direct);
	}
	timeout_init(&dial->timer, dialer->loop);
	timeout_plan(&dial->timer, on_start, 0);
	*ret_dial = dial;
	return 0;
}

void dial_failure(const struct dial *dial, struct failure *ret_failure)
{
	*ret_failure = dial->failure;
	if (dial->place.is_waiting) {
		failure_set(ret_failure, FAILURE_TOO_FAST, "others of this client are connecting");
		failure_set_public(ret_failure, NULL);
	} else if (dial->failure.kind == FAILURE_NONE && dial->egress && dial->n_proxies == 0) {
		failure_set(ret_failure, FAILURE_PROXY_UNREACHABLE,
			    "its name was not looked up in time");
	} else if (dial->failure.kind == FAILURE_NONE) {
		failure_set(ret_failure,
			    dial->query ? FAILURE_DNS_TIMEOUT : FAILURE_CONNECT_TIMEOUT, "%s",
			    dial->domain ? dial->domain : "");
	}
}
