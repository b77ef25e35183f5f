/* SPDX-License-Identifier: MIT */
#include "gateway/config/dump.h"

static struct sv indent(unsigned depth)
{
	return sv_first(SV("\t\t\t"), depth);
}

/* In double quotes, ${...} is refused. */
static void put_quoted(struct writer *writer, const char *text)
{
	char quote = strstr(text, "${") ? '\'' : '"';

	writer_put(writer, (struct sv){&quote, 1});
	for (; *text; text++) {
		if (*text == quote || *text == '\\') {
			writer_put(writer, SV("\\"));
		}
		writer_put(writer, (struct sv){text, 1});
	}
	writer_put(writer, (struct sv){&quote, 1});
}

static void put_values(struct writer *writer, const struct config_setting *setting)
{
	const struct config_type *type = setting->key->type;

	writer_put(writer, type->is_list ? SV("{") : SV_EMPTY);
	for (size_t i = 0; i < setting->n_values; i++) {
		writer_put(writer, i ? SV(", ") : SV_EMPTY);
		if (type->is_bare) {
			writer_put(writer, sv_from(setting->values[i].text));
		} else {
			put_quoted(writer, setting->values[i].text);
		}
	}
	writer_put(writer, type->is_list ? SV("}") : SV_EMPTY);
}

static void put_setting(struct writer *writer, const struct config_setting *setting, unsigned depth)
{
	const struct config_key *key = setting->key;
	bool is_implied = key->is_implied && setting->place.serial == 0;

	if (key->type->is_directive) {
		return;
	}
	writer_put(writer, indent(depth));
	writer_put(writer, is_implied ? SV("#") : SV_EMPTY);
	writer_put(writer, sv_from(key->name));
	writer_put(writer, SV(" = "));
	put_values(writer, setting);
	writer_put(writer, SV("\n"));
}

static void put_head(struct writer *writer, const struct config_scope *scope, unsigned depth)
{
	writer_put(writer, SV("\n"));
	writer_put(writer, indent(depth));
	writer_put(writer, sv_from(scope->table->name));
	writer_put(writer, SV(" "));
	if (scope->title) {
		put_quoted(writer, scope->title);
		writer_put(writer, SV(" "));
	}
	writer_put(writer, SV("{\n"));
}

static void put_scope(struct writer *writer, const struct config_scope *scope, unsigned depth)
{
	const struct config_table *table = scope->table;
	bool is_section = table->name;

	/* A section that is not there may mean more than one that has only defaults. */
	if (is_section && !table->is_theme && scope->place.serial == 0) {
		return;
	}
	if (is_section) {
		put_head(writer, scope, depth);
		depth++;
	}
	for (size_t i = 0; i < table->n_keys; i++) {
		put_setting(writer, &scope->settings[i], depth);
	}
	for (size_t i = 0; i < table->n_tables; i++) {
		if (!table->tables[i]->add) {
			put_scope(writer, &scope->scopes[i], depth);
		}
	}
	if (is_section) {
		writer_put(writer, indent(depth - 1));
		writer_put(writer, SV("}\n"));
	}
}

void config_dump_scope(struct writer *writer, const struct config_scope *scope)
{
	put_scope(writer, scope, 0);
}
