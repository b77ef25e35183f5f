/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void handshake_init(struct handshake *handshake, const struct opening_task *task,
		    void (*failed)(void *userdata, const struct failure *failure), void *userdata)
{
	*handshake = (struct handshake){
		.task = task,
		.failed = failed,
		.userdata = userdata,
	};
}

void handshake_deinit(struct handshake *handshake)
{
	resolver_query_cancel(handshake->query);
	handshake->query = NULL;
	free(handshake->tlsa);
	handshake->tlsa = NULL;
	handshake->transport = NULL;
}

static int start(struct handshake *handshake, struct transport *transport)
{
	const struct link_env *env = handshake->task->env;
	const struct domain_rule *rule = handshake->task->rule;
	const struct tls_policy policy = {
		.domain = handshake->task->domain,
		.ca_file = rule ? rule->ca_file : NULL,
		.must_verify = domain_rule_tls(rule) != DOMAIN_TLS_OPPORTUNISTIC,
		.is_direct = handshake->is_direct,
		.pins = rule ? rule->pins : NULL,
		.n_pins = rule ? rule->n_pins : 0,
		.host = handshake->tlsa ? handshake->host : NULL,
		.tlsa = handshake->tlsa,
	};
	SSL *ssl;

	handshake->started_ns = uv_hrtime();
	if (env->observer && env->observer->handshake) {
		env->observer->handshake(env->observer->userdata, handshake->is_direct);
	}
	int r = tls_connection_new(env->tls_store, &policy, &ssl);

	return r < 0 ? r : transport_secure(transport, ssl, env->open_timeout_ms);
}

static void fail_kind(struct handshake *handshake, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	handshake->failed(handshake->userdata, &failure);
}

static void go_on(struct handshake *handshake)
{
	struct transport *transport = handshake->transport;

	handshake->transport = NULL;
	if (transport && start(handshake, transport) < 0) {
		fail_kind(handshake, FAILURE_INTERNAL);
	}
}

static void on_tlsa(void *userdata, enum resolver_result result, const struct tlsa_set *set)
{
	struct handshake *handshake = userdata;
	struct failure failure;

	handshake->query = NULL;
	if (result == RESOLVER_OK) {
		handshake->tlsa = malloc(sizeof(*handshake->tlsa));
		if (!handshake->tlsa) {
			fail_kind(handshake, FAILURE_INTERNAL);
			return;
		}
		*handshake->tlsa = *set;
	} else if (result != RESOLVER_NO_NAME) {
		/* Treat a failed TLSA look-up as an attack: whoever suppresses the answer may be
		 * the one that it would expose (RFC 7673). */
		failure_set(&failure,
			    result == RESOLVER_TIMEOUT ? FAILURE_DNS_TIMEOUT : FAILURE_DNS_FAILED,
			    "TLSA records of %s", handshake->host);
		handshake->failed(handshake->userdata, &failure);
		return;
	}
	go_on(handshake);
}

int handshake_look_up(struct handshake *handshake, uint32_t crowd, const char *host, uint16_t port)
{
	memcpy(handshake->host, host, strlen(host) + 1);
	const struct resolver_question question = {handshake->host, port, crowd};

	return resolver_ask_tlsa(handshake->task->env->dialer.resolver, &question, on_tlsa,
				 handshake, &handshake->query);
}

int handshake_start(struct handshake *handshake, struct transport *transport, bool is_direct)
{
	handshake->is_direct = is_direct;
	if (handshake->query) {
		handshake->transport = transport;
		return 0;
	}
	return start(handshake, transport);
}
