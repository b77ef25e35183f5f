/* SPDX-License-Identifier: MIT */
#include "gateway/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/site.h"

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
		site_free(snapshot->site);
		config_unref(snapshot->config);
		free(snapshot);
	}
	return NULL;
}
