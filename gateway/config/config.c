/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/writer.h"
#include "gateway/config/dump.h"
#include "gateway/config/reader.h"
#include "gateway/config/scope.h"
#include "gateway/config/tables.h"

static int complete(struct config_scope *file)
{
	int r = config_scope_complete(file);

	return r == 0 && file->errors->n ? -EINVAL : r;
}

/* Fills @config in, and writes it to @dump unless that is NULL. */
static int fill(struct config *config, const char *path, struct config_errors *errors,
		struct writer *dump)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	struct writer sections = writer_begin(&text);
	_cleanup_(config_reader_deinit) struct config_reader reader = {
		.errors = errors, .sections = dump ? &sections : NULL};
	_cleanup_(config_scope_deinit) struct config_scope file = {.config = config,
								   .errors = errors};
	int r = config_scope_init(&file, &config_table_file, config);

	reader.file = &file;
	if (r == 0 && path) {
		r = config_read(&reader, path);
	}
	if (r == 0) {
		r = complete(&file);
	}
	if (r < 0 || !dump) {
		return r;
	}
	config_dump_scope(dump, &file);
	writer_fail(dump, writer_end(&sections));
	writer_put(dump, buffer_sv(&text));
	return writer_end(dump);
}

static void config_free(struct config *config)
{
	config_table_deinit(&config_table_file, config);
	config_domains_deinit(&config->domains);
	config_listeners_deinit(&config->listeners);
	free(config->files);
	free(config);
}

static int make(const char *path, FILE *stream, struct writer *dump, struct config **ret_config)
{
	struct config_errors errors = {.stream = stream};
	struct config *config = calloc(1, sizeof(*config));
	int r = config ? 0 : -ENOMEM;

	if (r == 0 && path) {
		r = config_note_file(&errors, path);
	}
	if (r == 0) {
		config->n_references = 1;
		r = fill(config, path, &errors, dump);
	}
	if (r == -ENOMEM) {
		fprintf(stream, "%s: out of memory\n", path ? path : "the defaults");
	}
	if (!config) {
		return r;
	}
	config->files = errors.files;
	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret_config = config;
	return 0;
}

int config_new(const char *path, FILE *errors, struct config **ret_config)
{
	return make(path, errors, NULL, ret_config);
}

int config_dump(const char *path, FILE *errors, struct buffer *dump)
{
	struct writer writer = writer_begin(dump);
	struct config *config;
	int r = make(path, errors, &writer, &config);

	if (r == 0) {
		config_unref(config);
	}
	return r;
}

/* Only the count of a snapshot ever changes. */
static struct config *writable(const struct config *config)
{
	return (struct config *)(uintptr_t)config;
}

const struct config *config_ref(const struct config *config)
{
	atomic_fetch_add_explicit(&writable(config)->n_references, 1, memory_order_relaxed);
	return config;
}

struct config *config_unref(const struct config *config)
{
	if (config && atomic_fetch_sub_explicit(&writable(config)->n_references, 1,
						memory_order_acq_rel) == 1) {
		config_free(writable(config));
	}
	return NULL;
}
