/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The life of a scope (schema.h): it begins with the defaults, takes settings, and ends with the
 * checks of its tables.
 */
#include "gateway/config/schema.h"

/* Begins a scope for @base, a struct of which nothing is set yet: sets the defaults of all keys of
 * @table and of the tables in it. The other members of @scope (config, errors, place, title) are
 * filled in; for a table with `add`, @base is NULL and made by it. Returns 0, -EINVAL (reported;
 * the scope can be used) or -ENOMEM. Whatever the result, config_scope_deinit() has to follow. */
_must_check_ int config_scope_init(struct config_scope *scope, const struct config_table *table,
				   void *base);
void config_scope_deinit(struct config_scope *scope);

/* Puts the values of @setting, one of @scope, into its member. Returns 0, -EINVAL (reported) or
 * -ENOMEM. */
_must_check_ int config_scope_set(struct config_scope *scope, struct config_setting *setting);

/* Runs the checks of the tables, the inner ones first. Returns 0 or -ENOMEM. */
_must_check_ int config_scope_complete(struct config_scope *scope);

/* Frees what the keys of @table and of the tables in it own in the struct @base; nothing of
 * sections with `add`. */
void config_table_deinit(const struct config_table *table, void *base);
