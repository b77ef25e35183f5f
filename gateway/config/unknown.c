/* SPDX-License-Identifier: MIT */
#include "gateway/config/unknown.h"

#include "common/writer.h"
#include "gateway/config/similar.h"

/* Calls @use with each name that may stand in @table. */
static void each_name(const struct config_table *table,
		      void (*use)(void *userdata, const char *name), void *userdata)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		use(userdata, table->keys[i].name);
	}
	for (size_t i = 0; i < table->n_tables; i++) {
		if (table->tables[i]->name) {
			use(userdata, table->tables[i]->name);
		} else {
			each_name(table->tables[i], use, userdata);
		}
	}
}

static void offer(void *userdata, const char *name)
{
	similar_offer(userdata, name);
}

static void put(void *userdata, const char *name)
{
	struct writer *writer = userdata;

	writer_put(writer, writer->buffer->n ? SV(", ") : SV_EMPTY);
	writer_put(writer, sv_from(name));
}

struct sought {
	struct sv word;
	bool is_found;
};

static void compare(void *userdata, const char *name)
{
	struct sought *sought = userdata;

	sought->is_found |= sv_eq(sought->word, sv_from(name));
}

static bool table_has(const struct config_table *table, struct sv word)
{
	struct sought sought = {.word = word};

	each_name(table, compare, &sought);
	return sought.is_found;
}

/* The name of a section below @table that has @word, or NULL. */
static const char *section_with(const struct config_table *table, struct sv word)
{
	const char *found = NULL;

	for (size_t i = 0; !found && i < table->n_tables; i++) {
		const struct config_table *inner = table->tables[i];

		found = inner->name && table_has(inner, word) ? inner->name
							      : section_with(inner, word);
	}
	return found;
}

static int report_with_names(struct config_errors *errors, struct config_place place,
			     struct sv word, const struct config_table *table)
{
	_cleanup_(buffer_deinit) struct buffer names = BUFFER_INIT;
	struct writer writer = writer_begin(&names);

	each_name(table, put, &writer);
	writer_put(&writer, SV("\0"));
	int r = writer_end(&writer);

	if (r == 0) {
		config_error(errors, place, "unknown key '%.*s': expected one of %s", SV_ARGS(word),
			     buffer_sv(&names).data);
	}
	return r;
}

int config_report_unknown(struct config_errors *errors, struct config_place place, struct sv word,
			  const struct config_table *table)
{
	struct similar similar = similar_init(word);
	const char *section = section_with(&config_table_file, word);

	each_name(table, offer, &similar);
	if (table->name && table_has(&config_table_file, word)) {
		config_error(errors, place,
			     "unknown key '%.*s': expected it outside of the section '%s'",
			     SV_ARGS(word), table->name);
	} else if (section) {
		config_error(errors, place, "unknown key '%.*s': expected it in a section '%s'",
			     SV_ARGS(word), section);
	} else if (similar.name) {
		config_error(errors, place, "unknown key '%.*s': did you mean '%s'?", SV_ARGS(word),
			     similar.name);
	} else {
		return report_with_names(errors, place, word, table);
	}
	return 0;
}
