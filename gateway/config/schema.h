/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a configuration file may contain. A new key of a known type is one line in the table of its
 * theme (gateway/config/keys-*.c) and a member in gateway/config/config.h; conf/doab.conf and
 * conf/OPERATING.md document it.
 *
 * key      "wait", with its type, the member that it sets, and its default
 * type     how the values of a key are checked and put into the member (gateway/config/types.h)
 * setting  a key in one place, with the values that are in force there
 * table    the keys and sections that may stand in one place: the whole file, or a section. A table
 *          without a name is a theme: its keys stand where the keys of the table above stand.
 * section  "limits { ... }": at most one. A table with `add` may occur any number of times, and
 *          usually has a title: domain "example.org" { ... }
 * scope    a table while a file is read: its settings, and the struct that they fill
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"
#include "gateway/config/errors.h"

struct config;
struct config_key;

struct config_value {
	char *text; /* owned by the setting */
	struct config_place place;
};

struct config_setting {
	const struct config_key *key;
	struct config_errors *errors;
	struct config_place place; /* of the last assignment; serial is 0 while the default holds */
	bool is_list;              /* the values stand in braces */
	struct config_value *values;
	size_t n_values;
};

struct config_type {
	bool is_list;
	bool is_bare;      /* --dump writes the value without quotes */
	bool is_directive; /* tells the reader something, and sets no member */
	/* Checks the values and puts them into @member, in place of what was there. Returns 0,
	 * -EINVAL (reported, @member not changed) or -ENOMEM (@member not changed). */
	int (*set)(const struct config_setting *setting, void *member);
	void (*deinit)(void *member); /* frees what is in @member; NULL when nothing is owned */
};

struct config_key {
	const char *name;
	const struct config_type *type;
	size_t offset;            /* of the member in the table's struct */
	size_t size;              /* of a number */
	const char *initial;      /* the default, as it would be written in a file */
	bool is_implied;          /* the default means more than the same text in a file would */
	int64_t min, max;         /* of a number; of a list, max is the number of entries */
	const char *const *names; /* of a choice, by the numbers of the enum; none is NULL */
	size_t n_names;
};

struct config_scope;
struct config_sections;

struct config_table {
	const char *name; /* of the section; NULL for a theme */
	size_t offset;    /* of the table's struct in that of the table above */
	const struct config_key *keys;
	size_t n_keys;
	const struct config_table *const *tables;
	size_t n_tables;
	const char *title; /* what the title is, for messages; NULL for a section without one */
	bool is_theme;     /* a section that means the same with its defaults and left out */
	/* Makes a struct for one more section, and sets scope->base to it; it stays there until
	 * `complete` has returned. Returns 0, -EINVAL (reported; scope->base is set) or -ENOMEM. */
	int (*add)(struct config_scope *scope);
	/* Checks what concerns more than one value, when all values are set. Reports mistakes.
	 * NULL if there is nothing. Returns 0 or -ENOMEM. */
	int (*complete)(struct config_scope *scope);
	/* With `add`: checks and orders all sections when the last one has been read. NULL if there
	 * is nothing. Returns 0 or -ENOMEM. */
	int (*complete_all)(struct config_sections *sections);
};

/* The sections of a table with `add`. */
struct config_sections {
	struct config *config;
	struct config_errors *errors;
	struct config_place *places; /* owned: where each begins, in the order of `add` */
	size_t n;
};

struct config_scope {
	const struct config_table *table;
	struct config *config;
	void *base; /* the struct that the settings fill */
	struct config_errors *errors;
	size_t n_errors_before;          /* mistakes when it began */
	struct config_place place;       /* where the section begins */
	char *title;                     /* owned; NULL without one */
	struct config_setting *settings; /* owned, by the table's keys */
	struct config_scope *scopes; /* owned, by the table's tables; empty for those with add */
	struct config_sections *sections; /* owned, by the table's tables; for those with add */
};

/* The arguments: the key, the struct, the member, the default, and what the type needs. */
#define CONFIG_KEY(name_, type_, struct_, member_, initial_)                                    \
	{                                                                                       \
		.name = (name_), .type = &(type_), .offset = offsetof(struct struct_, member_), \
		.initial = (initial_),                                                          \
	}
/* The member is an unsigned integer of any size, or an int64_t. */
#define CONFIG_NUMBER(name_, struct_, member_, initial_, min_, max_)                      \
	{                                                                                 \
		.name = (name_), .type = &config_type_number,                             \
		.offset = offsetof(struct struct_, member_),                              \
		.size = sizeof(((struct struct_ *)NULL)->member_), .initial = (initial_), \
		.min = (min_), .max = (max_),                                             \
	}
/* The member is an enum; names_ is an array, by its values. */
#define CONFIG_CHOICE(name_, struct_, member_, initial_, names_)                    \
	{                                                                           \
		.name = (name_), .type = &config_type_choice,                       \
		.offset = offsetof(struct struct_, member_), .initial = (initial_), \
		.names = (names_), .n_names = ARRAY_LENGTH(names_),                 \
	}
/* At most max_ entries. */
#define CONFIG_LIST(name_, type_, struct_, member_, initial_, max_)                             \
	{                                                                                       \
		.name = (name_), .type = &(type_), .offset = offsetof(struct struct_, member_), \
		.initial = (initial_), .max = (max_),                                           \
	}

/* The table of the whole file. */
extern const struct config_table config_table_file;

/* A key that stood in the file itself and has another name or place now. The old one still works,
 * and a warning names the new one. */
struct config_rename {
	const char *before;
	const char *section; /* NULL for the file itself */
	const char *name;
};

/* The rename of the key @before, or NULL. */
const struct config_rename *config_rename_find(struct sv before);

/* The setting of the key @name in @scope, which has one. */
const struct config_setting *config_scope_find(const struct config_scope *scope, const char *name);
