/* SPDX-License-Identifier: MIT */
#include "gateway/env.h"

struct mono worker_now(const struct worker_env *env)
{
	return (struct mono){(int64_t)uv_now(env->loop)};
}

int worker_enter_connection(struct worker_env *env, const struct address *peer)
{
	bool is_proxy = client_is_proxy(&env->config->proxies, peer);
	int r = census_enter_connection(env->census, peer, !is_proxy);

	if (r == CENSUS_OK) {
		metrics_add(env->metrics, METRIC_CONNECTIONS, 1);
	} else if (r == CENSUS_E_CLIENT_FULL) {
		metrics_refuse(env->metrics, METRIC_REFUSAL_CONNECTIONS_PER_ADDRESS);
	}
	return r;
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
