/* SPDX-License-Identifier: MIT */
#pragma once
/* The `domain` sections of the configuration. */
#include <confuse.h>

#include "policy/domain.h"

/* The keys of a section, for CFG_SEC(). The last option has no name. */
extern cfg_opt_t config_domain_options[];

/* Makes the rules from the sections of @cfg, which was parsed from the prepared @text
 * (config-text.h). Reports mistakes that concern more than one value (config-value.h). Returns 0,
 * -EINVAL (reported) or -ENOMEM. */
_must_check_ int config_domain_rules(cfg_t *cfg, const char *text, struct domain_rules *ret_rules);
void config_domain_rules_deinit(struct domain_rules *rules);
