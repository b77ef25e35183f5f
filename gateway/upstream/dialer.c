/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dialer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "common/random.h"
#include "policy/dial.h"

struct dial {
	uv_timer_t timer; /* the start, at the next turn; its closing is where the memory goes */
	struct dialer *dialer;
	const char *domain;
	const struct domain_rule *rule;
	const struct dial_callbacks *callbacks;
	void *userdata;
	struct resolver_query *query; /* under way, or NULL */
	struct transport *transport;  /* the attempt under way, or NULL */
	struct srv_target *targets;   /* in the order in which they are tried */
	size_t n_targets, next_target;
	const char *host; /* whose addresses these are, for failures; NULL: fixed ones */
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t n_addresses, next_address;
	unsigned n_attempts;
	struct failure failure; /* the one that says most, so far */
	bool closing;
};

static_assert((int)DOMAIN_CONNECT_MAX <= (int)RESOLVER_ADDRESSES_MAX, "fixed addresses must fit");

static void dial_next(struct dial *dial);

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

/* Notes what became of @address; @why may be empty. */
static void dial_note_address(struct dial *dial, enum failure_kind kind,
			      const struct address *address, const char *why)
{
	char text[ADDRESS_TEXT_MAX];
	struct failure failure;

	address_format(address, text);
	failure_set(&failure, kind, "%s%s%s%s%s", dial->host ? dial->host : "",
		    dial->host ? " " : "", text, why[0] ? ": " : "", why);
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

static const struct address *dial_address(const struct dial *dial)
{
	return &dial->addresses[dial->next_address - 1];
}

static void on_connected(void *userdata)
{
	struct dial *dial = userdata;
	const struct dial_callbacks *callbacks = dial->callbacks;
	void *owner = dial->userdata;
	struct transport *transport = dial->transport;
	struct address address = *dial_address(dial);

	transport_hand_over(transport, &callbacks->transport, owner);
	dial->transport = NULL;
	dial_free(dial);
	callbacks->done(owner, transport, &address);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct dial *dial = userdata;

	dial_note_address(dial, failure->kind, dial_address(dial), failure->detail);
	dial->transport = transport_free(dial->transport);
	dial_next(dial);
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

/* Whether an attempt at the next address is under way now. */
static bool dial_attempt(struct dial *dial)
{
	const struct address *address = &dial->addresses[dial->next_address++];

	enum failure_kind refused = dial_judge(dial, address);

	if (refused != FAILURE_NONE) {
		dial_note_address(dial, refused, address, "");
		return false;
	}
	dial->n_attempts++;
	int r = transport_new(dial->dialer->loop, dial->dialer->read_buffer, address,
			      dial->dialer->connect_timeout_ms, &attempt_callbacks, dial,
			      &dial->transport);

	if (r < 0) {
		/* A machine without IPv6 is no failure of ours. */
		dial_note_address(dial,
				  r == -EAFNOSUPPORT ? FAILURE_CONNECT_UNREACHABLE
						     : FAILURE_INTERNAL,
				  address, strerrordesc_np(-r));
		return false;
	}
	return true;
}

static void on_addresses(void *userdata, enum resolver_result result,
			 const struct address *addresses, size_t n_addresses)
{
	struct dial *dial = userdata;

	dial->query = NULL;
	if (result != RESOLVER_OK) {
		dial_note_dns(dial, result, dial->host);
	}
	dial->n_addresses = n_addresses;
	dial->next_address = 0;
	if (n_addresses) {
		memcpy(dial->addresses, addresses, n_addresses * sizeof(*addresses));
	}
	dial_next(dial);
}

/* The next step: an address, else the addresses of the next target, else the end. */
static void dial_next(struct dial *dial)
{
	while (dial->next_address < dial->n_addresses && dial->n_attempts < DIALER_ATTEMPTS_MAX) {
		if (dial_attempt(dial)) {
			return;
		}
	}
	/* A "." beside other targets stands for nothing. */
	while (dial->next_target < dial->n_targets && !dial->targets[dial->next_target].host[0]) {
		dial->next_target++;
	}
	if (dial->next_target == dial->n_targets || dial->n_attempts == DIALER_ATTEMPTS_MAX) {
		dial_fail(dial);
		return;
	}
	const struct srv_target *target = &dial->targets[dial->next_target++];

	dial->host = target->host;
	if (resolver_ask_addresses(dial->dialer->resolver, target->host, target->port,
				   on_addresses, dial, &dial->query) < 0) {
		dial_fail_internal(dial);
	}
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

static int dial_set_targets(struct dial *dial, const struct srv_target *targets, size_t n_targets)
{
	dial->targets = calloc(n_targets, sizeof(*targets));
	if (!dial->targets) {
		return -ENOMEM;
	}
	memcpy(dial->targets, targets, n_targets * sizeof(*targets));
	dial->n_targets = n_targets;
	return 0;
}

/* No SRV record: the domain itself (RFC 6120, 3.2.2). */
static int dial_set_domain(struct dial *dial)
{
	struct srv_target target = {.port = DIALER_PORT};

	memcpy(target.host, dial->domain, strlen(dial->domain) + 1);
	return dial_set_targets(dial, &target, 1);
}

static void on_srv(void *userdata, enum resolver_result result, struct srv_target *targets,
		   size_t n_targets)
{
	struct dial *dial = userdata;
	int r;

	dial->query = NULL;
	switch (result) {
	case RESOLVER_OK:
		if (srv_not_offered(targets, n_targets)) {
			failure_set(&dial->failure, FAILURE_DNS_NOT_OFFERED, "%s", dial->domain);
			dial_fail(dial);
			return;
		}
		srv_order(targets, n_targets, draw, NULL);
		r = dial_set_targets(dial, targets, n_targets);
		break;
	case RESOLVER_NO_NAME:
		r = dial_set_domain(dial);
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
	dial_next(dial);
}

static void on_start(uv_timer_t *timer)
{
	struct dial *dial = timer->data;
	const struct domain_rule *rule = dial->rule;

	if (rule && rule->n_connect) {
		memcpy(dial->addresses, rule->connect, rule->n_connect * sizeof(*rule->connect));
		dial->n_addresses = rule->n_connect;
		dial_next(dial);
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
	free(handle->data);
}

struct dial *dial_free(struct dial *dial)
{
	if (!dial || dial->closing) {
		return NULL;
	}
	dial->closing = true;
	resolver_query_cancel(dial->query);
	dial->query = NULL;
	dial->transport = transport_free(dial->transport);
	free(dial->targets);
	dial->targets = NULL;
	uv_close((uv_handle_t *)&dial->timer, on_closed);
	return NULL;
}
