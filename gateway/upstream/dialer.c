/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dialer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "common/random.h"
#include "policy/dial.h"

/* A connection that the race has started. */
struct dial_attempt {
	struct dial *dial;
	struct transport *transport; /* NULL when it is over */
	const struct address *address; /* of the race */
	size_t target;
};

struct dial {
	uv_timer_t timer; /* the start, at the next turn; then the race's; its closing is where the memory goes */
	struct dialer *dialer;
	const char *domain;
	const struct domain_rule *rule;
	const struct dial_callbacks *callbacks;
	void *userdata;
	struct resolver_query *query; /* under way, or NULL */
	struct srv_target *targets;   /* in the order in which they are tried; NULL: the rule's fixed addresses */
	size_t asked;                 /* whose addresses the query is about */
	struct race race;
	struct dial_attempt attempts[RACE_ATTEMPTS_MAX];
	struct failure failure; /* the one that says most, so far */
	bool closing;
};

static_assert((int)DOMAIN_CONNECT_MAX <= (int)RACE_ADDRESSES_MAX, "fixed addresses must fit");
static_assert((int)RESOLVER_ADDRESSES_MAX <= (int)RACE_ADDRESSES_MAX, "answers must fit");

static void dial_run(struct dial *dial);

static enum domain_tls dial_tls(const struct dial *dial)
{
	return dial->rule ? dial->rule->tls : DOMAIN_TLS_REQUIRED;
}

static struct mono dial_now(const struct dial *dial)
{
	return (struct mono){(int64_t)uv_now(dial->dialer->loop)};
}

/* How much a failure says: what a server's address answered more than why none was dialled. */
static int failure_weight(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_NONE:
		return 0;
	case FAILURE_DNS_NO_NAME:
		return 1;
	case FAILURE_DNS_TIMEOUT:
	case FAILURE_DNS_FAILED:
		return 2;
	case FAILURE_ADDRESS_REFUSED:
	case FAILURE_PORT_REFUSED:
		return 3;
	default:
		return 4;
	}
}

/* Keeps it when it says no less than what was kept before: of equals the last. */
static void dial_note(struct dial *dial, const struct failure *failure)
{
	if (failure_weight(failure->kind) >= failure_weight(dial->failure.kind)) {
		dial->failure = *failure;
	}
}

/* Notes what became of an attempt; @why may be empty. */
static void dial_note_attempt(struct dial *dial, const struct dial_attempt *attempt,
			      enum failure_kind kind, const char *why)
{
	const char *host = dial->targets ? dial->targets[attempt->target].host : "";
	char text[ADDRESS_TEXT_MAX];
	struct failure failure;

	address_format(attempt->address, text);
	failure_set(&failure, kind, "%s%s%s%s%s", host, host[0] ? " " : "", text, why[0] ? ": " : "",
		    why);
	dial_note(dial, &failure);
}

static void dial_note_dns(struct dial *dial, enum resolver_result result, const char *name)
{
	static const enum failure_kind kinds[] = {
		[RESOLVER_NO_NAME] = FAILURE_DNS_NO_NAME,
		[RESOLVER_TIMEOUT] = FAILURE_DNS_TIMEOUT,
		[RESOLVER_FAILED] = FAILURE_DNS_FAILED,
	};
	struct failure failure;

	failure_set(&failure, kinds[result], "%s", name);
	dial_note(dial, &failure);
}

static void dial_fail(struct dial *dial)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	void *userdata = dial->userdata;
	struct failure failure = dial->failure;

	dial_free(dial);
	callbacks->failed(userdata, &failure);
}

static void dial_fail_internal(struct dial *dial)
{
	failure_set(&dial->failure, FAILURE_INTERNAL, "%s", strerrordesc_np(ENOMEM));
	dial_fail(dial);
}

static void attempt_end(struct dial_attempt *attempt, enum race_outcome outcome)
{
	struct dial *dial = attempt->dial;

	race_tell(&dial->race, (size_t)(attempt - dial->attempts), outcome, dial_now(dial));
	dial_run(dial);
}

static void on_connected(void *userdata)
{
	attempt_end(userdata, RACE_CONNECTED);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct dial_attempt *attempt = userdata;

	dial_note_attempt(attempt->dial, attempt, failure->kind, failure->detail);
	attempt->transport = transport_free(attempt->transport);
	attempt_end(attempt, failure->kind == FAILURE_INTERNAL ? RACE_BROKEN : RACE_FAILED);
}

/* Before `connected` a transport tells nothing else than these two. */
static const struct transport_callbacks attempt_callbacks = {
	.connected = on_connected,
	.failed = on_failed,
};

/* What forbids to dial @address, or FAILURE_NONE. */
static enum failure_kind dial_judge(const struct dial *dial, const struct address *address)
{
	const struct domain_rule *rule = dial->rule;

	if (rule && rule->n_connect) {
		return FAILURE_NONE;
	}
	if (!(rule && rule->allow_private) && !dial_is_public(address)) {
		return FAILURE_ADDRESS_REFUSED;
	}
	return ports_allow(dial->dialer->ports, address_port(address)) ? FAILURE_NONE
								       : FAILURE_PORT_REFUSED;
}

/* Whether it is under way; if not, *ret_outcome says what became of it. */
static bool attempt_start(struct dial *dial, struct dial_attempt *attempt,
			  enum race_outcome *ret_outcome)
{
	struct dialer *dialer = dial->dialer;
	enum failure_kind refused = dial_judge(dial, attempt->address);

	if (refused != FAILURE_NONE) {
		dial_note_attempt(dial, attempt, refused, "");
		*ret_outcome = RACE_REFUSED;
		return false;
	}
	int r = transport_new(dialer->loop, dialer->read_buffer, attempt->address,
			      dialer->connect_timeout_ms, &attempt_callbacks, attempt,
			      &attempt->transport);

	if (r == 0) {
		return true;
	}
	/* A machine without IPv6 is no failure of ours. */
	bool is_ours = r != -EAFNOSUPPORT;

	dial_note_attempt(dial, attempt, is_ours ? FAILURE_INTERNAL : FAILURE_CONNECT_UNREACHABLE,
			  strerrordesc_np(-r));
	*ret_outcome = is_ours ? RACE_BROKEN : RACE_FAILED;
	return false;
}

static void dial_attempt(struct dial *dial, const struct race_action *action)
{
	struct dial_attempt *attempt = &dial->attempts[action->attempt];

	*attempt = (struct dial_attempt){
		.dial = dial,
		.address = action->address,
		.target = action->target,
	};
	enum race_outcome outcome;

	if (!attempt_start(dial, attempt, &outcome)) {
		race_tell(&dial->race, action->attempt, outcome, dial_now(dial));
	}
}

static void on_addresses(void *userdata, enum resolver_result result,
			 const struct address *addresses, size_t n_addresses)
{
	struct dial *dial = userdata;

	dial->query = NULL;
	if (result != RESOLVER_OK) {
		dial_note_dns(dial, result, dial->targets[dial->asked].host);
	}
	race_answer(&dial->race, addresses, n_addresses, RACE_ORDER_FAMILIES, dial_now(dial));
	dial_run(dial);
}

static void dial_resolve(struct dial *dial, size_t target)
{
	const struct srv_target *asked = dial->targets ? &dial->targets[target] : NULL;

	if (!asked) {
		race_answer(&dial->race, dial->rule->connect, dial->rule->n_connect, RACE_ORDER_GIVEN,
			    dial_now(dial));
		return;
	}
	dial->asked = target;
	if (resolver_ask_addresses(dial->dialer->resolver, asked->host, asked->port, on_addresses,
				   dial, &dial->query) < 0) {
		struct failure failure;

		failure_set(&failure, FAILURE_INTERNAL, "%s: too many DNS queries", asked->host);
		dial_note(dial, &failure);
		race_answer(&dial->race, NULL, 0, RACE_ORDER_GIVEN, dial_now(dial));
	}
}

static void dial_finish(struct dial *dial, const struct race_action *action)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	struct dial_attempt *attempt = &dial->attempts[action->attempt];
	struct transport *transport = attempt->transport;
	const struct srv_target *target = dial->targets ? &dial->targets[attempt->target] : NULL;
	struct dial_result result = {
		.address = attempt->address,
		.host = target ? target->host : NULL,
		.port = address_port(attempt->address),
		.direct = target ? target->direct : dial_tls(dial) == DOMAIN_TLS_DIRECT,
	};

	attempt->transport = NULL;
	transport_hand_over(transport, &callbacks->transport, dial->userdata);
	/* The memory stays until the next turn. */
	dial_free(dial);
	callbacks->done(dial->userdata, transport, &result);
}

static void on_timer(uv_timer_t *timer)
{
	dial_run(timer->data);
}

static void dial_arm(struct dial *dial)
{
	struct mono deadline = race_deadline(&dial->race);
	int64_t ms = mono_diff_ms(deadline, dial_now(dial));

	if (mono_is_never(deadline)) {
		uv_timer_stop(&dial->timer);
	} else {
		uv_timer_start(&dial->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
	}
}

/* Does what the race wants done now; the dial may be gone afterwards. */
static void dial_run(struct dial *dial)
{
	struct dial_attempt *attempt;

	for (;;) {
		struct race_action action = race_next(&dial->race, dial_now(dial));

		switch (action.kind) {
		case RACE_NOTHING:
			dial_arm(dial);
			return;
		case RACE_RESOLVE:
			dial_resolve(dial, action.target);
			break;
		case RACE_DIAL:
			dial_attempt(dial, &action);
			break;
		case RACE_GIVE_UP:
			attempt = &dial->attempts[action.attempt];
			attempt->transport = transport_free(attempt->transport);
			break;
		case RACE_WON:
			dial_finish(dial, &action);
			return;
		case RACE_LOST:
			dial_fail(dial);
			return;
		}
	}
}

static void dial_begin(struct dial *dial, size_t n_targets)
{
	race_init(&dial->race, dial->dialer->history, n_targets);
	dial_run(dial);
}

/* The bias of the multiplication, one in 2^12 at the largest sum of weights, moves no load. Without
 * random numbers the order is still one that RFC 2782 allows. */
static uint32_t draw(void *userdata, uint32_t max)
{
	uint32_t random = 0;

	(void)userdata;
	if (random_bytes(&random, sizeof(random)) < 0) {
		random = 0;
	}
	return (uint32_t)(((uint64_t)random * ((uint64_t)max + 1)) >> 32);
}

/* Whether the rule's kind of TLS can be had of a target. */
static bool dial_suits(const struct dial *dial, const struct srv_target *target)
{
	switch (dial_tls(dial)) {
	case DOMAIN_TLS_DIRECT:
		return target->direct;
	case DOMAIN_TLS_OFF:
		return !target->direct;
	case DOMAIN_TLS_REQUIRED:
	case DOMAIN_TLS_OPPORTUNISTIC:
		break;
	}
	return true;
}

/* In the order in which they are to be tried. Of those that say "." nothing is left. */
static int dial_set_targets(struct dial *dial, const struct srv_target *targets, size_t n_targets,
			    size_t *ret_n)
{
	size_t n = 0;

	dial->targets = calloc(n_targets, sizeof(*targets));
	if (!dial->targets) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_targets; i++) {
		if (targets[i].host[0] && dial_suits(dial, &targets[i])) {
			dial->targets[n++] = targets[i];
		}
	}
	if (n == 0) {
		bool direct = dial_tls(dial) == DOMAIN_TLS_DIRECT;

		failure_set(&dial->failure, direct ? FAILURE_TLS_NOT_OFFERED : FAILURE_DNS_NOT_OFFERED,
			    "%s: its SRV records name %s", dial->domain,
			    direct ? "no server for direct TLS" : "servers for direct TLS only");
	}
	srv_order(dial->targets, n, draw, NULL);
	*ret_n = n;
	return 0;
}

/* No SRV record: the domain itself (RFC 6120, 3.2.2). */
static int dial_set_domain(struct dial *dial, size_t *ret_n)
{
	bool direct = dial_tls(dial) == DOMAIN_TLS_DIRECT;
	struct srv_target target = {
		.port = direct ? DIALER_PORT_DIRECT : DIALER_PORT,
		.direct = direct,
	};

	memcpy(target.host, dial->domain, strlen(dial->domain) + 1);
	return dial_set_targets(dial, &target, 1, ret_n);
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
		if (srv_not_offered(targets, n_targets)) {
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
		/* The domain's A record may be somebody else's server: not to be tried when SRV
		 * records may exist. */
		dial_note_dns(dial, result, dial->domain);
		dial_fail(dial);
		return;
	}
	if (r < 0) {
		dial_fail_internal(dial);
		return;
	}
	dial_begin(dial, n);
}

static void on_start(uv_timer_t *timer)
{
	struct dial *dial = timer->data;
	const struct domain_rule *rule = dial->rule;

	if (rule && rule->n_connect) {
		dial_begin(dial, 1);
	} else if (resolver_ask_srv(dial->dialer->resolver, dial->domain, on_srv, dial,
				    &dial->query) < 0) {
		dial_fail_internal(dial);
	}
}

int dial_new(struct dialer *dialer, const char *domain, const struct domain_rule *rule,
	     const struct dial_callbacks *callbacks, void *userdata, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	if (!dial) {
		return -ENOMEM;
	}
	dial->dialer = dialer;
	dial->domain = domain;
	dial->rule = rule;
	dial->callbacks = callbacks;
	dial->userdata = userdata;
	dial->timer.data = dial;
	uv_timer_init(dialer->loop, &dial->timer);
	uv_timer_start(&dial->timer, on_start, 0, 0);
	*ret_dial = dial;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct dial *dial = handle->data;

	free(dial->targets);
	free(dial);
}

struct dial *dial_free(struct dial *dial)
{
	if (!dial || dial->closing) {
		return NULL;
	}
	dial->closing = true;
	resolver_query_cancel(dial->query);
	dial->query = NULL;
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		dial->attempts[i].transport = transport_free(dial->attempts[i].transport);
	}
	uv_close((uv_handle_t *)&dial->timer, on_closed);
	return NULL;
}
