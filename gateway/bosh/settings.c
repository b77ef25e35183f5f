/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/settings.h"

#include <errno.h>
#include <stdlib.h>

int bosh_settings_new(const struct config *config, struct bosh_settings **ret_settings)
{
	struct bosh_settings *settings = malloc(sizeof(*settings));

	if (!settings) {
		return -ENOMEM;
	}
	*settings = (struct bosh_settings){
		.n_refs = 1,
		.is_bound_to_address = config->session_bound_to_address,
	};
	settings->limits = (struct bosh_limits){
		.wait_s = config->wait_s,
		.hold = config->hold,
		.inactivity_s = config->inactivity_s,
		.polling_s = config->polling_s,
		.maxpause_s = config->maxpause_s,
		.linger_ms = config->linger_ms,
		.n_repeats_max = config->n_repeats_max,
		.n_streams_max = config->n_streams_max,
		.accepts_codings = config->coding,
		.n_pending_max = config->n_pending_max,
	};
	*ret_settings = settings;
	return 0;
}

struct bosh_settings *bosh_settings_ref(struct bosh_settings *settings)
{
	settings->n_refs++;
	return settings;
}

struct bosh_settings *bosh_settings_unref(struct bosh_settings *settings)
{
	if (settings && --settings->n_refs == 0) {
		free(settings);
	}
	return NULL;
}
