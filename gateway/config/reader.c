/* SPDX-License-Identifier: MIT */
#include "gateway/config/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/array.h"
#include "gateway/config/dump.h"
#include "gateway/config/scope.h"
#include "gateway/config/setting.h"
#include "gateway/config/types.h"
#include "gateway/config/unknown.h"

/* A file while it is read. */
struct file {
	struct config_reader *reader;
	const char *name;
	struct config_lexer lexer;
	struct config_token token; /* the one that is looked at */
};

/* What a word means in a scope: one of these, or nothing. */
struct meaning {
	struct config_scope *scope; /* to which it belongs */
	struct config_setting *setting;
	const struct config_table *table; /* of a section */
	size_t index;                     /* of the section's table in the scope's */
};

static struct config_place place_of(const struct file *file)
{
	return (struct config_place){file->name, file->token.line, file->reader->serial};
}

static int fail(struct file *file, const char *what)
{
	config_error(file->reader->errors, place_of(file), "%s", what);
	return -EINVAL;
}

static int next(struct file *file)
{
	const char *what;
	int r = config_lexer_next(&file->lexer, &file->token, &what);

	return r < 0 ? fail(file, what) : 0;
}

static bool find(struct config_scope *scope, struct sv word, struct meaning *ret_meaning)
{
	const struct config_table *table = scope->table;

	for (size_t i = 0; i < table->n_keys; i++) {
		if (sv_eq(word, sv_from(table->keys[i].name))) {
			*ret_meaning = (struct meaning){scope, &scope->settings[i], NULL, 0};
			return true;
		}
	}
	for (size_t i = 0; i < table->n_tables; i++) {
		const struct config_table *inner = table->tables[i];

		if (!inner->name && find(&scope->scopes[i], word, ret_meaning)) {
			return true;
		}
		if (inner->name && sv_eq(word, sv_from(inner->name))) {
			*ret_meaning = (struct meaning){scope, NULL, inner, i};
			return true;
		}
	}
	return false;
}

/* The scope of the section @name of the file itself, or that of the file. */
static struct config_scope *scope_named(struct config_scope *file, const char *name)
{
	struct meaning meaning;

	if (!name) {
		return file;
	}
	bool is_found = find(file, sv_from(name), &meaning);

	assert(is_found && meaning.table && !meaning.table->add);
	return &meaning.scope->scopes[meaning.index];
}

/* Finds what the old name of a key in the file itself means, and warns. */
static bool find_renamed(struct file *file, const struct config_scope *scope,
			 struct meaning *ret_meaning)
{
	const struct config_rename *rename = config_rename_find(file->token.text);

	if (scope != file->reader->file || !rename) {
		return false;
	}
	bool is_found = find(scope_named(file->reader->file, rename->section),
			     sv_from(rename->name), ret_meaning);

	assert(is_found && ret_meaning->setting);
	bool has_name = strcmp(rename->before, rename->name) != 0;

	config_warning(file->reader->errors, place_of(file), "%s is now%s%s%s%s", rename->before,
		       has_name ? " called " : "", has_name ? rename->name : "",
		       rename->section ? " in the section " : "",
		       rename->section ? rename->section : "");
	return true;
}

/* Skips what stands in braces, of which one has been read. */
static int skip_braces(struct file *file)
{
	struct config_place start = place_of(file);
	size_t n_open = 1;

	while (n_open) {
		int r = next(file);

		if (r < 0) {
			return r;
		}
		if (file->token.kind == CONFIG_TOKEN_END) {
			config_error(file->reader->errors, start, "this { has no matching }");
			return -EINVAL;
		}
		n_open += file->token.kind == CONFIG_TOKEN_OPEN;
		n_open -= file->token.kind == CONFIG_TOKEN_CLOSE;
	}
	return 0;
}

/* Skips the value or the section of an unknown key. */
static int skip_unknown(struct file *file)
{
	int r = next(file);

	if (r < 0) {
		return r;
	}
	bool is_assigned = file->token.kind == CONFIG_TOKEN_EQUALS ||
			   file->token.kind == CONFIG_TOKEN_PLUS_EQUALS;

	if (is_assigned || config_token_is_text(&file->token)) {
		r = next(file);
	}
	if (r == 0 && file->token.kind == CONFIG_TOKEN_OPEN) {
		return skip_braces(file);
	}
	return r < 0 || is_assigned ? r : -EINVAL;
}

static int read_path(struct config_reader *reader, const char *path);

static int include(struct file *file, const struct config_setting *setting)
{
	struct config_files *files = &file->reader->files;
	size_t n_before = files->n;
	int r = 0;

	/* Files that include each other would have no end. */
	if (file->name != files->names[0]) {
		config_error(file->reader->errors, setting->place,
			     "include: expected only in the main file");
		return 0;
	}
	for (size_t i = 0; i < setting->n_values && r != -ENOMEM; i++) {
		r = config_files_match(files, setting->values[i].text, file->name,
				       file->reader->errors, setting->values[i].place);
	}
	r = r == -ENOMEM ? r : 0;
	/* Each file is read as far as it can be. */
	for (size_t i = n_before; i < files->n && r != -ENOMEM; i++) {
		r = read_path(file->reader, files->names[i]);
	}
	return r == -ENOMEM ? r : 0;
}

/* The later of two assignments would silently win. Another file may want that. */
static void check_repeated(struct file *file, const struct config_setting *setting,
			   struct config_place place)
{
	if (setting->place.serial && setting->place.file == file->name) {
		config_error(file->reader->errors, place,
			     "%s: expected each key once, got it again, after %s:%u",
			     setting->key->name, setting->place.file, setting->place.line);
	}
}

static int assign(struct file *file, const struct meaning *meaning)
{
	struct config_setting *setting = meaning->setting;
	struct config_place place = place_of(file);
	const char *what;
	int r = next(file);

	if (r < 0) {
		return r;
	}
	bool is_appended = file->token.kind == CONFIG_TOKEN_PLUS_EQUALS;

	check_repeated(file, setting, place);
	if (file->token.kind != CONFIG_TOKEN_EQUALS && !is_appended) {
		config_error(file->reader->errors, place, "%s: expected '=' and a value",
			     setting->key->name);
		return -EINVAL;
	}
	if (is_appended && !setting->key->type->is_list) {
		config_error(file->reader->errors, place, "%s: expected '=', got '+='",
			     setting->key->name);
		is_appended = false;
	}
	if (!is_appended) {
		config_setting_clear(setting);
	}
	place.serial = setting->place.serial = ++file->reader->serial;
	setting->place = place;
	r = config_setting_read(setting, &file->lexer, place, &file->token.line, &what);
	if (r == -EINVAL) {
		return fail(file, what);
	}
	if (r == 0) {
		r = config_scope_set(meaning->scope, setting);
	}
	if (r == 0 && setting->key->type == &config_type_include) {
		return include(file, setting);
	}
	return r == -EINVAL ? 0 : r;
}

static int read_items(struct file *file, struct config_scope *scope);

/* Reads what stands between the braces of a section. */
static int read_body(struct file *file, struct config_scope *scope)
{
	struct config_place start = place_of(file);
	int r = read_items(file, scope);

	if (r == 0 && file->token.kind == CONFIG_TOKEN_END) {
		config_error(file->reader->errors, start, "this { has no matching }");
		r = -EINVAL;
	}
	return r;
}

static int sections_append(struct config_sections *sections, struct config_place place)
{
	struct config_place *places = array_grow(sections->places, sections->n, sizeof(*places));

	if (!places) {
		return -ENOMEM;
	}
	sections->places = places;
	sections->places[sections->n++] = place;
	return 0;
}

/* Reads one more section of a table with `add`. */
static int read_added(struct file *file, const struct meaning *meaning, struct config_place place,
		      char *title)
{
	_cleanup_(config_scope_deinit) struct config_scope scope = {
		.config = meaning->scope->config,
		.errors = file->reader->errors,
		.place = place,
		.title = title,
	};
	int r = sections_append(&meaning->scope->sections[meaning->index], place);

	if (r < 0) {
		return r;
	}
	int refused = config_scope_init(&scope, meaning->table, NULL);

	if (refused == -ENOMEM) {
		return refused;
	}
	r = read_body(file, &scope);
	if (r == 0) {
		r = config_scope_complete(&scope);
	}
	if (r == 0 && file->reader->sections) {
		config_dump_scope(file->reader->sections, &scope);
	}
	return r;
}

static int read_title(struct file *file, const struct config_table *table, char **ret_title)
{
	char *title = NULL;
	int r = next(file);

	if (r == 0 && config_token_is_text(&file->token) && table->title) {
		title = malloc(file->token.text.n + 1);
		if (!title) {
			return -ENOMEM;
		}
		config_token_copy(&file->token, title);
		r = next(file);
	}
	if (r == 0 && (file->token.kind != CONFIG_TOKEN_OPEN || (table->title && !title))) {
		config_error(file->reader->errors, place_of(file), "%s: expected %s%s'{'",
			     table->name, table->title ? table->title : "",
			     table->title ? " and " : "");
		r = -EINVAL;
	}
	if (r < 0) {
		free(title);
		return r;
	}
	*ret_title = title;
	return 0;
}

static int read_section(struct file *file, const struct meaning *meaning)
{
	assert(meaning->table); /* or find() has found a setting */
	struct config_place place = place_of(file);
	char *title;
	int r = read_title(file, meaning->table, &title);

	if (r < 0) {
		return r;
	}
	place.serial = ++file->reader->serial;
	if (meaning->table->add) {
		return read_added(file, meaning, place, title);
	}
	struct config_scope *scope = &meaning->scope->scopes[meaning->index];

	free(title);
	if (scope->place.serial && scope->place.file == file->name) {
		config_error(file->reader->errors, place,
			     "%s: expected each section once, got it again, after %s:%u",
			     meaning->table->name, scope->place.file, scope->place.line);
	}
	scope->place = place;
	return read_body(file, scope);
}

static int read_item(struct file *file, struct config_scope *scope)
{
	struct meaning meaning;

	if (!config_token_is_text(&file->token)) {
		config_error(file->reader->errors, place_of(file), "expected a key, got %s",
			     config_token_name(file->token.kind));
		return -EINVAL;
	}
	if (!find(scope, file->token.text, &meaning) && !find_renamed(file, scope, &meaning)) {
		int r = config_report_unknown(file->reader->errors, place_of(file),
					      file->token.text, scope->table);

		return r < 0 ? r : skip_unknown(file);
	}
	return meaning.setting ? assign(file, &meaning) : read_section(file, &meaning);
}

/* Reads up to the end of the file, or to the brace that closes the section. */
static int read_items(struct file *file, struct config_scope *scope)
{
	for (;;) {
		int r = next(file);

		if (r < 0) {
			return r;
		}
		bool is_end = file->token.kind == CONFIG_TOKEN_END ||
			      (file->token.kind == CONFIG_TOKEN_CLOSE && scope->table->name);

		if (is_end) {
			return 0;
		}
		r = read_item(file, scope);
		if (r < 0) {
			return r;
		}
	}
}

/* Editors on other systems put such bytes first. */
static int check_encoding(struct file *file)
{
	struct sv text = file->lexer.rest;

	file->token.line = 1;
	if (sv_starts_with(text, SV("\xff\xfe")) || sv_starts_with(text, SV("\xfe\xff"))) {
		return fail(file, "the file is in UTF-16: expected UTF-8");
	}
	if (sv_starts_with(text, SV("\xef\xbb\xbf"))) {
		file->lexer.rest = sv_skip(text, 3);
		config_error(file->reader->errors, place_of(file),
			     "the file begins with a byte order mark: expected UTF-8 without one");
	}
	return 0;
}

/* @path is borrowed until the scopes end. */
static int read_path(struct config_reader *reader, const char *path)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	int r = config_file_read(path, &text);

	if (r < 0) {
		if (r != -ENOMEM) {
			config_error(reader->errors, (struct config_place){.file = path},
				     "cannot be read: %s", strerror(-r));
		}
		return r;
	}
	struct file file = {
		.reader = reader, .name = path, .lexer = config_lexer_init(buffer_sv(&text))};

	r = check_encoding(&file);
	return r < 0 ? r : read_items(&file, reader->file);
}

int config_read(struct config_reader *reader, const char *path)
{
	int r = config_files_add(&reader->files, path);

	return r < 0 ? r : read_path(reader, reader->files.names[0]);
}

void config_reader_deinit(struct config_reader *reader)
{
	config_files_deinit(&reader->files);
}
