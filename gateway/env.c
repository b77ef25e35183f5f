/* SPDX-License-Identifier: MIT */
#include "gateway/env.h"

#include "common/clock.h"

struct mono worker_now(const struct worker_env *env)
{
	return clock_of_loop(env->loop);
}

bool worker_is_exempt(const struct worker_env *env, const struct address *client)
{
	return networks_contain(&env->config->exempt, client);
}

bool worker_takes_request(struct worker_env *env, const struct address *client,
			  struct bucket *requests)
{
	if (bucket_take(requests, env->config->request_rate, worker_now(env)) ||
	    worker_is_exempt(env, client)) {
		return true;
	}
	metrics_refuse(env->metrics, METRIC_REFUSAL_REQUEST_RATE);
	return false;
}

/* Whether @peer carries many clients, as it will say in PROXY headers. */
static bool is_header_proxy(const struct config *config, const struct address *peer)
{
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_listener *section = &config->listeners.list[i];

		if (section->proxy != DOMAIN_PROXY_OFF &&
		    networks_contain(&section->proxy_peers, peer)) {
			return true;
		}
	}
	return false;
}

/* Whether what one client may have does not hold for @peer. */
static bool peer_is_exempt(const struct worker_env *env, const struct address *peer)
{
	return networks_contain(&env->config->proxies, peer) ||
	       is_header_proxy(env->config, peer) || worker_is_exempt(env, peer);
}

typedef int census_enter(struct census *census, const struct address *client, bool is_exempt);

/* Returns the refusal, or METRIC_REFUSAL_COUNT if the connection has its seat. */
static enum metrics_refusal take_seat(struct worker_env *env, const struct address *peer,
				      bool is_exempt, census_enter *enter)
{
	switch (enter(env->census, peer, is_exempt)) {
	case CENSUS_OK:
		return METRIC_REFUSAL_COUNT;
	case CENSUS_E_CLIENT_FULL:
		return METRIC_REFUSAL_CONNECTIONS_PER_ADDRESS;
	default:
		/* Without memory there is no room either. */
		return METRIC_REFUSAL_MAX_CONNECTIONS;
	}
}

/* Returns as take_seat(). */
static enum metrics_refusal judge_connection(struct worker_env *env, const struct address *peer,
					     census_enter *enter)
{
	const struct config *config = env->config;

	if (!networks_admit(&config->allowed_clients, &config->denied_clients, peer)) {
		return METRIC_REFUSAL_CLIENTS;
	}
	bool is_exempt = peer_is_exempt(env, peer);

	if (!is_exempt && throttle_connection(env->throttle, &config->throttle, peer,
					      worker_now(env)) != THROTTLE_OK) {
		return METRIC_REFUSAL_CONNECTION_RATE;
	}
	return take_seat(env, peer, is_exempt, enter);
}

/* Counts a connection, or its refusal, of which it returns the name. */
static const char *note_connection(struct worker_env *env, enum metrics_refusal refusal)
{
	if (refusal == METRIC_REFUSAL_COUNT) {
		metrics_add(env->metrics, METRIC_CONNECTIONS, 1);
		return NULL;
	}
	metrics_refuse(env->metrics, refusal);
	return metrics_refusal_name(refusal);
}

const char *worker_enter_connection(struct worker_env *env, const struct address *peer)
{
	return note_connection(env, judge_connection(env, peer, census_enter_connection));
}

const char *worker_enter_passed(struct worker_env *env, const struct address *peer)
{
	bool is_earlier = env->process && env->process->successor >= 0;

	return note_connection(env, take_seat(env, peer, !is_earlier || peer_is_exempt(env, peer),
					      census_enter_connection));
}

const char *worker_enter_proxy(struct worker_env *env, const struct address *proxy)
{
	if (census_enter_connection(env->census, proxy, true) != CENSUS_OK) {
		metrics_refuse(env->metrics, METRIC_REFUSAL_MAX_CONNECTIONS);
		return metrics_refusal_name(METRIC_REFUSAL_MAX_CONNECTIONS);
	}
	metrics_add(env->metrics, METRIC_CONNECTIONS, 1);
	return NULL;
}

const char *worker_change_client(struct worker_env *env, const struct address *proxy,
				 const struct address *client)
{
	worker_leave_connection(env, proxy);
	return worker_enter_connection(env, client);
}

const char *worker_enter_forwarded(struct worker_env *env, const struct address *client)
{
	enum metrics_refusal refusal = judge_connection(env, client, census_enter_forwarded);

	if (refusal == METRIC_REFUSAL_COUNT) {
		return NULL;
	}
	metrics_refuse(env->metrics, refusal);
	return metrics_refusal_name(refusal);
}

void worker_leave_forwarded(struct worker_env *env, const struct address *client)
{
	census_leave_forwarded(env->census, client);
}

bool worker_is_draining(const struct worker_env *env)
{
	const struct process_state *process = env->process;

	return process && process->is_draining && process->successor < 0;
}

void worker_leave_connection(struct worker_env *env, const struct address *peer)
{
	census_leave_connection(env->census, peer);
	metrics_add(env->metrics, METRIC_CONNECTIONS, -1);
}

bool worker_may_log(const struct worker_env *env, enum client_log_kind kind,
		    const struct address *client)
{
	return client_log_admits(env->client_log, kind, client, worker_now(env));
}
