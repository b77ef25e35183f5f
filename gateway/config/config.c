/* SPDX-License-Identifier: MIT */
#include "gateway/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buffer.h"
#include "gateway/config/reader.h"
#include "gateway/config/scope.h"
#include "gateway/config/tables.h"

enum {
	/* Room for tens of thousands of domains. A larger file is a log or a device, given by
	 * mistake. */
	TEXT_MAX = 16 * 1024 * 1024,
	READ_SIZE = 64 * 1024,
};

static int read_all(int fd, struct buffer *text)
{
	while (text->n <= TEXT_MAX) {
		int r = buffer_reserve(text, READ_SIZE);

		if (r < 0) {
			return r;
		}
		ssize_t n = read(fd, buffer_end(text), READ_SIZE);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		if (n == 0) {
			return 0;
		}
		text->n += (size_t)n;
	}
	return -EFBIG;
}

static int read_path(const char *path, struct buffer *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = read_all(fd, text);

	close(fd);
	return r;
}

/* Reads @path into @file. Returns 0, -EINVAL (reported), -ENOMEM, or the errno of reading the file
 * (reported). */
static int read_file(struct config_scope *file, const char *path)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	struct config_reader reader = {.errors = file->errors, .file = file};
	int r = read_path(path, &text);

	if (r < 0 && r != -ENOMEM) {
		config_error(file->errors, (struct config_place){.file = path},
			     "cannot be read: %s", strerror(-r));
	}
	return r < 0 ? r : config_read(&reader, path, buffer_sv(&text));
}

static int fill(struct config *config, const char *path, struct config_errors *errors)
{
	_cleanup_(config_scope_deinit) struct config_scope file = {.config = config,
								   .errors = errors};
	int r = config_scope_init(&file, &config_table_file, config);

	if (r == 0 && path) {
		r = read_file(&file, path);
	}
	if (r == 0) {
		r = config_scope_complete(&file);
	}
	return r == 0 && errors->n ? -EINVAL : r;
}

static void config_free(struct config *config)
{
	config_table_deinit(&config_table_file, config);
	config_domains_deinit(&config->domains);
	config_listeners_deinit(&config->listeners);
	free(config);
}

int config_new(const char *path, FILE *stream, struct config **ret_config)
{
	struct config_errors errors = {.stream = stream};
	struct config *config = calloc(1, sizeof(*config));

	if (!config) {
		return -ENOMEM;
	}
	config->n_references = 1;
	int r = fill(config, path, &errors);

	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret_config = config;
	return 0;
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
