/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "gateway/config/tls-server.h"
#include "gateway/http/site.h"

static int make_tls(struct snapshot *snapshot)
{
	const struct config_listeners *listeners = &snapshot->config->listeners;
	char why[TLS_SERVER_WHY_MAX];
	int r = 0;

	snapshot->tls = calloc(listeners->n + 1, sizeof(SSL_CTX *));
	if (!snapshot->tls) {
		return -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < listeners->n; i++) {
		const struct config_listener *listener = &listeners->list[i];

		r = listener->tls.is_on ? tls_server_new(&listener->tls, why, &snapshot->tls[i])
					: 0;
		if (r == -EINVAL) {
			log_error("listener-failed", LOG_STR("listener", listener->name),
				  LOG_STR("reason", why));
		}
	}
	return r;
}

int snapshot_new(const struct config *config, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot) {
		config_unref(config);
		return -ENOMEM;
	}
	snapshot->n_refs = 1;
	snapshot->config = config;
	int r = site_new(config, &snapshot->site);

	r = r < 0 ? r : make_tls(snapshot);
	if (r < 0) {
		snapshot_unref(snapshot);
		return r;
	}
	*ret_snapshot = snapshot;
	return 0;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->n_refs, 1, memory_order_relaxed);
	return snapshot;
}

struct snapshot *snapshot_unref(struct snapshot *snapshot)
{
	if (snapshot && atomic_fetch_sub(&snapshot->n_refs, 1) == 1) {
		for (size_t i = 0; snapshot->tls && i < snapshot->config->listeners.n; i++) {
			SSL_CTX_free(snapshot->tls[i]);
		}
		free(snapshot->tls);
		site_free(snapshot->site);
		config_unref(snapshot->config);
		free(snapshot);
	}
	return NULL;
}
