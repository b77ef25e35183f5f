/* SPDX-License-Identifier: MIT */
#pragma once
/* The keys of the configuration whose value is a list. */
#include <confuse.h>

#include "gateway/config.h"

/* Fills in the members of @config that come from lists. The entries have been checked when they
 * were read (config-value.h). On failure @config keeps what was filled in, for config_free().
 * Returns 0 or a negative errno. */
_must_check_ int config_lists_fill(struct config *config, cfg_t *cfg);
