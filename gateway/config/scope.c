/* SPDX-License-Identifier: MIT */
#include "gateway/config/scope.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "gateway/config/setting.h"

static void *member_of(void *base, size_t offset)
{
	return (char *)base + offset;
}

int config_scope_set(struct config_scope *scope, struct config_setting *setting)
{
	const struct config_key *key = setting->key;

	if (setting->is_list && !key->type->is_list) {
		config_error(setting->errors, setting->place,
			     "%s: expected one value without braces", key->name);
		return -EINVAL;
	}
	return key->type->set(setting, member_of(scope->base, key->offset));
}

static int set_default(struct config_scope *scope, struct config_setting *setting)
{
	struct config_lexer lexer = config_lexer_init(sv_from(setting->key->initial));
	const char *what;
	int r = config_setting_read(setting, &lexer, setting->place, &(unsigned){0}, &what);

	if (r == 0) {
		r = config_scope_set(scope, setting);
	}
	assert(r == 0 || r == -ENOMEM);
	return r;
}

static int init_settings(struct config_scope *scope)
{
	const struct config_table *table = scope->table;
	int r = 0;

	scope->settings = calloc(table->n_keys + 1, sizeof(*scope->settings));
	if (!scope->settings) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < table->n_keys && r == 0; i++) {
		struct config_setting *setting = &scope->settings[i];

		setting->key = &table->keys[i];
		setting->errors = scope->errors;
		setting->place = (struct config_place){.file = "built-in defaults"};
		r = set_default(scope, setting);
	}
	return r;
}

static int init_tables(struct config_scope *scope)
{
	const struct config_table *table = scope->table;
	int r = 0;

	if (table->n_tables == 0) {
		return 0;
	}
	scope->scopes = calloc(table->n_tables, sizeof(*scope->scopes));
	scope->sections = calloc(table->n_tables, sizeof(*scope->sections));
	if (!scope->scopes || !scope->sections) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < table->n_tables && r == 0; i++) {
		const struct config_table *inner = table->tables[i];

		scope->sections[i] =
			(struct config_sections){.config = scope->config, .errors = scope->errors};
		scope->scopes[i] =
			(struct config_scope){.config = scope->config, .errors = scope->errors};
		if (!inner->add) {
			r = config_scope_init(&scope->scopes[i], inner,
					      member_of(scope->base, inner->offset));
		}
	}
	return r;
}

int config_scope_init(struct config_scope *scope, const struct config_table *table, void *base)
{
	int refused = 0;

	scope->table = table;
	scope->base = base;
	scope->n_errors_before = scope->errors->n;
	if (table->add) {
		refused = table->add(scope);
		if (refused == -ENOMEM) {
			return refused;
		}
	}
	int r = init_settings(scope);

	if (r == 0) {
		r = init_tables(scope);
	}
	return r < 0 ? r : refused;
}

void config_scope_deinit(struct config_scope *scope)
{
	for (size_t i = 0; scope->settings && i < scope->table->n_keys; i++) {
		config_setting_clear(&scope->settings[i]);
	}
	for (size_t i = 0; scope->scopes && i < scope->table->n_tables; i++) {
		config_scope_deinit(&scope->scopes[i]);
	}
	for (size_t i = 0; scope->sections && i < scope->table->n_tables; i++) {
		free(scope->sections[i].places);
	}
	free(scope->settings);
	free(scope->scopes);
	free(scope->sections);
	free(scope->title);
	*scope = (struct config_scope){0};
}

int config_scope_complete(struct config_scope *scope)
{
	const struct config_table *table = scope->table;
	int r = 0;

	for (size_t i = 0; i < table->n_tables && r == 0; i++) {
		const struct config_table *inner = table->tables[i];

		if (!inner->add) {
			r = config_scope_complete(&scope->scopes[i]);
		} else if (inner->complete_all) {
			r = inner->complete_all(&scope->sections[i]);
		}
	}
	return r == 0 && table->complete ? table->complete(scope) : r;
}

void config_table_deinit(const struct config_table *table, void *base)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct config_key *key = &table->keys[i];

		if (key->type->deinit) {
			key->type->deinit(member_of(base, key->offset));
		}
	}
	for (size_t i = 0; i < table->n_tables; i++) {
		if (!table->tables[i]->add) {
			config_table_deinit(table->tables[i],
					    member_of(base, table->tables[i]->offset));
		}
	}
}
