/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What BOSH sessions take from the configuration that they were opened with. Counted by reference,
 * in the worker's thread: the endpoint has those of the newest configuration, for new sessions.
 */
#include "gateway/bosh/session.h"
#include "gateway/config/config.h"

struct bosh_settings {
	unsigned n_refs;
	bool is_bound_to_address; /* a session takes requests only from its client's address */
	struct bosh_limits limits;
};

/* Returns 0 or -ENOMEM. */
_must_check_ int bosh_settings_new(const struct config *config,
				   struct bosh_settings **ret_settings);

struct bosh_settings *bosh_settings_ref(struct bosh_settings *settings);

/* Frees the settings with the last reference. Takes NULL; returns NULL. */
struct bosh_settings *bosh_settings_unref(struct bosh_settings *settings);
