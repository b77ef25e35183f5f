/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/turn.h"
#include "gateway/upstream/dialer-state.h"
#include "gateway/upstream/stand-in.h"
#include "policy/public.h"

static_assert((int)DOMAIN_CONNECT_MAX <= (int)RACE_ADDRESSES_MAX, "fixed addresses must fit");
static_assert((int)RESOLVER_ADDRESSES_MAX <= (int)RACE_ADDRESSES_MAX, "answers must fit");

enum {
	/* A host and an address, or a port, and a proxy. */
	PLACE_MAX = SRV_HOST_MAX + ADDRESS_TEXT_MAX + EGRESS_TEXT_MAX + 16,
};

static void dial_run(struct dial *dial);

/* How much a failure says to the user. What a server answered says more than why no server was
 * dialled. */
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

/* Keeps @failure unless a more telling one is known. Of equally telling ones, the last is kept. */
static void dial_note(struct dial *dial, const struct failure *failure)
{
	if (failure_weight(failure->kind) >= failure_weight(dial->failure.kind)) {
		dial->failure = *failure;
	}
}

static const struct srv_target *attempt_target(const struct dial_attempt *attempt)
{
	const struct srv_target *targets = attempt->dial->targets;

	/* One without a host is an address of the rule. */
	return targets && targets[attempt->target].host[0] ? &targets[attempt->target] : NULL;
}

static void notify_observer(const struct dial_attempt *attempt, enum dial_step step,
			    const struct failure *failure)
{
	const struct dial_observer *observer = attempt->dial->dialer->observer;

	if (observer) {
		observer->dialled(observer->userdata, step, attempt_target(attempt),
				  attempt->address, failure);
	}
}

/* "xmpp.example.org 192.0.2.1:5222", "xmpp.example.org:5222 through socks5://tor:9050" */
static void describe_place(const struct dial_attempt *attempt, char text[static PLACE_MAX])
{
	const struct srv_target *target = attempt_target(attempt);
	const struct egress *egress = attempt->dial->egress;
	const char *host = target ? target->host : "";
	char address[ADDRESS_TEXT_MAX], proxy[EGRESS_TEXT_MAX] = "";

	if (egress) {
		egress_format(egress, proxy);
	}
	if (dial_is_named(attempt)) {
		(void)snprintf(text, PLACE_MAX, "%s:%u through %s", host, target->port, proxy);
	} else {
		(void)snprintf(text, PLACE_MAX, "%s%s%s%s%s", host, host[0] ? " " : "",
			       address_format(attempt->address, address),
			       proxy[0] ? " through " : "", proxy);
	}
}

static void dial_note_attempt(const struct dial_attempt *attempt, const struct failure *why)
{
	const struct srv_target *target = attempt_target(attempt);
	char place[PLACE_MAX];
	struct failure failure;

	notify_observer(attempt, DIAL_FAILED, why);
	describe_place(attempt, place);
	failure_set(&failure, why->kind, "%s%s%s", place, why->detail[0] ? ": " : "", why->detail);
	/* The system's error text describes this machine's network, and the operator's hosts may be
	 * names of an inner network: clients are not told. */
	if (target && !attempt->dial->is_exempt) {
		failure_set_public(&failure, "%s:%u", target->host, target->port);
	} else {
		failure_set_public(&failure, NULL);
	}
	dial_note(attempt->dial, &failure);
}

void dial_note_dns(struct dial *dial, enum resolver_result result, const char *name)
{
	static const enum failure_kind kinds[] = {
		[RESOLVER_NO_NAME] = FAILURE_DNS_NO_NAME,
		[RESOLVER_TIMEOUT] = FAILURE_DNS_TIMEOUT,
		[RESOLVER_FAILED] = FAILURE_DNS_FAILED,
	};
	struct failure failure;

	/* That a host of the operator's is missing says nothing about the domain. */
	if (dial->is_exempt && result == RESOLVER_NO_NAME) {
		failure_set(&failure, FAILURE_CONNECT_UNREACHABLE, "%s: no such host", name);
	} else {
		failure_set(&failure, kinds[result], "%s", name);
	}
	if (dial->is_exempt) {
		failure_set_public(&failure, NULL);
	}
	dial_note(dial, &failure);
}

static void on_closed(uv_handle_t *handle)
{
	struct dial *dial = CONTAINER_OF((uv_timer_t *)handle, struct dial, timer.uv);

	free(dial->targets);
	free(dial);
}

struct dial *dial_free(struct dial *dial)
{
	if (!dial || dial->is_closing) {
		return NULL;
	}
	dial->is_closing = true;
	dial_places_leave(&dial->dialer->places, &dial->place);
	resolver_query_cancel(dial->query);
	dial->query = NULL;
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		dial->attempts[i].transport = transport_free(dial->attempts[i].transport);
	}
	uv_close((uv_handle_t *)&dial->timer.uv, on_closed);
	return NULL;
}

void dial_fail(struct dial *dial)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	void *userdata = dial->userdata;
	struct failure failure = dial->failure;

	dial_free(dial);
	callbacks->failed(userdata, &failure);
}

static void attempt_end(struct dial_attempt *attempt, enum race_outcome outcome)
{
	struct dial *dial = attempt->dial;

	race_report(&dial->race, (size_t)(attempt - dial->attempts), outcome,
		    clock_of_loop(dial->dialer->loop));
	dial_run(dial);
}

/* Gives up the attempts beside @winner whose connections are there as well, in sockets that had not
 * their turn yet. */
static void give_up_seconds(struct dial *dial, const struct dial_attempt *winner)
{
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		struct dial_attempt *attempt = &dial->attempts[i];

		if (attempt != winner && attempt->transport &&
		    transport_is_answered(attempt->transport)) {
			notify_observer(attempt, DIAL_GIVEN_UP, NULL);
			attempt->transport = transport_free(attempt->transport);
			race_report(&dial->race, i, RACE_SECOND, clock_of_loop(dial->dialer->loop));
		}
	}
}

static void on_connected(void *userdata)
{
	struct dial_attempt *attempt = userdata;

	give_up_seconds(attempt->dial, attempt);
	attempt_end(attempt, RACE_CONNECTED);
}

/* What a failed attempt says about the address. */
static enum race_outcome outcome_of(const struct failure *failure)
{
	switch (failure->kind) {
	case FAILURE_INTERNAL:
	case FAILURE_SOURCE_ADDRESS:
	case FAILURE_PROXY_UNREACHABLE:
	case FAILURE_PROXY_REFUSED:
	case FAILURE_PROXY_FAILED:
		return RACE_BROKEN;
	default:
		return RACE_FAILED;
	}
}

static void on_failed(void *userdata, const struct failure *failure);

static void on_tunnelling(void *userdata)
{
	notify_observer(userdata, DIAL_TUNNELLING, NULL);
}

/* A transport that is not connected yet has no other callbacks. */
static const struct transport_callbacks attempt_callbacks = {
	.tunnelling = on_tunnelling,
	.connected = on_connected,
	.failed = on_failed,
};

/* Returns whether another address of the proxy is tried. */
static bool try_next_proxy(struct dial_attempt *attempt, const struct failure *failure)
{
	while (failure->kind == FAILURE_PROXY_UNREACHABLE && dial_next_proxy(attempt)) {
		if (dial_connect(attempt, &attempt_callbacks) == 0) {
			return true;
		}
	}
	return false;
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct dial_attempt *attempt = userdata;

	attempt->transport = transport_free(attempt->transport);
	if (!try_next_proxy(attempt, failure)) {
		dial_note_attempt(attempt, failure);
		attempt_end(attempt, outcome_of(failure));
	}
}

/* Returns the policy's reason for not dialling the address, or FAILURE_NONE. */
static enum failure_kind dial_judge(const struct dial_attempt *attempt)
{
	const struct dial *dial = attempt->dial;
	const struct address *address = attempt->address;
	const struct domain_rule *rule = dial->rule;

	if (dial->is_exempt) {
		return FAILURE_NONE;
	}
	if (!(rule && rule->allow_private) && !dial_is_named(attempt) &&
	    !address_is_public(address)) {
		return FAILURE_ADDRESS_REFUSED;
	}
	return ports_allow(dial->dialer->ports, address_port(address)) ? FAILURE_NONE
								       : FAILURE_PORT_REFUSED;
}

static bool is_avoided(const struct dial *dial, const struct address *address)
{
	for (size_t i = 0; i < dial->n_avoided; i++) {
		if (address_is_same(&dial->avoided[i], address)) {
			return true;
		}
	}
	return false;
}

/* Returns whether the attempt is under way. If not, *ret_outcome says why. */
static bool attempt_start(struct dial *dial, struct dial_attempt *attempt,
			  enum race_outcome *ret_outcome)
{
	struct failure failure;

	if (is_avoided(dial, attempt->address)) {
		*ret_outcome = RACE_REFUSED;
		return false;
	}
	failure_set(&failure, dial_judge(attempt), NULL);
	if (failure.kind != FAILURE_NONE) {
		dial_note_attempt(attempt, &failure);
		*ret_outcome = RACE_REFUSED;
		return false;
	}
	int r = dial_connect(attempt, &attempt_callbacks);

	if (r == 0) {
		attempt->started_ns = uv_hrtime();
		notify_observer(attempt, DIAL_STARTED, NULL);
		return true;
	}
	/* This machine may have no IPv6. That is not an internal failure. */
	bool is_ours = r != -EAFNOSUPPORT;

	failure_set(&failure, is_ours ? FAILURE_INTERNAL : FAILURE_CONNECT_UNREACHABLE, "%s",
		    strerrordesc_np(-r));
	dial_note_attempt(attempt, &failure);
	*ret_outcome = is_ours ? RACE_BROKEN : RACE_FAILED;
	return false;
}

static void begin_attempt(struct dial *dial, const struct race_action *action)
{
	struct dial_attempt *attempt = &dial->attempts[action->attempt];

	assert(action->attempt < RACE_ATTEMPTS_MAX && !attempt->transport);
	*attempt = (struct dial_attempt){
		.dial = dial,
		.address = action->address,
		.target = action->target,
		.proxy = dial->first_proxy,
	};
	enum race_outcome outcome;

	if (!attempt_start(dial, attempt, &outcome)) {
		race_report(&dial->race, action->attempt, outcome,
			    clock_of_loop(dial->dialer->loop));
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
	race_answer(&dial->race, addresses, n_addresses, RACE_ORDER_FAMILIES,
		    clock_of_loop(dial->dialer->loop));
	dial_run(dial);
}

/* No address is known for @host, which the gateway could not even ask for. */
static void answer_nothing(struct dial *dial, const char *host, enum failure_kind kind,
			   const char *why)
{
	struct failure failure;

	failure_set(&failure, kind, "%s: %s", host, why);
	dial_note(dial, &failure);
	race_answer(&dial->race, NULL, 0, RACE_ORDER_GIVEN, clock_of_loop(dial->dialer->loop));
}

static void dial_resolve(struct dial *dial, size_t target)
{
	const struct srv_target *asked = dial->targets ? &dial->targets[target] : NULL;

	if (!asked || !asked->host[0]) {
		race_answer(&dial->race, dial->fixed + (asked ? target : 0),
			    asked ? 1 : dial->n_fixed, RACE_ORDER_GIVEN,
			    clock_of_loop(dial->dialer->loop));
		return;
	}
	if (dial->egress_resolves) {
		struct address stand_in;

		if (stand_in_make(asked->host, asked->port, &stand_in) < 0) {
			answer_nothing(dial, asked->host, FAILURE_INTERNAL,
				       strerrordesc_np(ENOMEM));
			return;
		}
		race_answer(&dial->race, &stand_in, 1, RACE_ORDER_GIVEN,
			    clock_of_loop(dial->dialer->loop));
		return;
	}
	dial->asked = target;
	const struct resolver_question question = {asked->host, asked->port, dial->crowd};
	int r = resolver_ask_addresses(dial->dialer->resolver, &question, on_addresses, dial,
				       &dial->query);

	if (r != RESOLVER_ASKED) {
		answer_nothing(dial, asked->host,
			       r == RESOLVER_E_CROWD ? FAILURE_TOO_FAST : FAILURE_INTERNAL,
			       resolver_ask_error(r));
	}
}

static void dial_finish(struct dial *dial, const struct race_action *action)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	struct dial_attempt *attempt = &dial->attempts[action->attempt];
	struct transport *transport = attempt->transport;
	const struct srv_target *target = attempt_target(attempt);
	struct dial_result result = {
		.address = attempt->address,
		.host = target ? target->host : NULL,
		.port = address_port(attempt->address),
		.is_direct = target ? target->is_direct : dial->is_direct,
		.has_others = race_has_others(&dial->race),
		/* Where the proxy looks up names, no DNS says anything here. */
		.is_authentic = target && target->is_authentic && !dial->redirect.host[0] &&
				!dial->egress_resolves,
		.is_configured = dial->is_exempt,
	};

	notify_observer(attempt, DIAL_CONNECTED, NULL);
	if (dial->dialer->observer && dial->dialer->observer->took) {
		dial->dialer->observer->took(dial->dialer->observer->userdata,
					     (int64_t)(uv_hrtime() - attempt->started_ns) / 1000);
	}
	attempt->transport = NULL;
	transport_hand_over(transport, &callbacks->transport, dial->userdata);
	/* dial->userdata may still be read: the memory is freed in a later iteration of the
	 * loop. */
	dial_free(dial);
	callbacks->done(dial->userdata, transport, &result);
}

static void on_timeout(struct timeout *timer)
{
	dial_run(CONTAINER_OF(timer, struct dial, timer));
}

static void dial_arm(struct dial *dial)
{
	struct mono deadline = race_deadline(&dial->race);

	if (mono_is_never(deadline)) {
		timeout_stop(&dial->timer);
	} else {
		timeout_start(&dial->timer, on_timeout,
			      mono_diff_ms(deadline, clock_of_loop(dial->dialer->loop)));
	}
}

/* Carries out what the race asks for. The dial may be gone afterwards. */
static void dial_run(struct dial *dial)
{
	struct dial_attempt *attempt;

	for (;;) {
		struct race_action action =
			race_next(&dial->race, clock_of_loop(dial->dialer->loop));

		switch (action.kind) {
		case RACE_NOTHING:
			dial_arm(dial);
			return;
		case RACE_RESOLVE:
			dial_resolve(dial, action.target);
			break;
		case RACE_DIAL:
			begin_attempt(dial, &action);
			break;
		case RACE_GIVE_UP:
			attempt = &dial->attempts[action.attempt];
			notify_observer(attempt, DIAL_GIVEN_UP, NULL);
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

static void on_granted(struct dial_place *place)
{
	timeout_start(&CONTAINER_OF(place, struct dial, place)->timer, on_timeout, 0);
}

void dial_race(struct dial *dial, size_t n_targets)
{
	race_init(&dial->race, dial->dialer->history, dial->served, n_targets);
	/* The operator's own servers are not an attacker's, and who logs in there must not wait
	 * behind one. */
	if (dial->crowd != TURN_NO_CROWD && !dial->is_exempt) {
		dial->place.granted = on_granted;
		if (dial_places_take(&dial->dialer->places, &dial->place, dial->crowd) < 0) {
			failure_set(&dial->failure, FAILURE_INTERNAL, "%s",
				    strerrordesc_np(ENOMEM));
			dial_fail(dial);
			return;
		}
	}
	if (!dial->place.is_waiting) {
		dial_run(dial);
	}
}
