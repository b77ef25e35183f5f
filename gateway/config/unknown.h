/* SPDX-License-Identifier: MIT */
#pragma once
/* Reports keys that do not exist where they stand, with a suggestion. */
#include "common/sv.h"
#include "gateway/config/schema.h"

/* Reports that @word, at @place, is no key of @table: with the section where it belongs, else the
 * most similar key, else all keys. Returns 0 or -ENOMEM. */
_must_check_ int config_report_unknown(struct config_errors *errors, struct config_place place,
				       struct sv word, const struct config_table *table);
