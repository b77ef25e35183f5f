/* SPDX-License-Identifier: MIT */
#include "gateway/config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/array.h"

enum {
	READ_SIZE = 64 * 1024,
};

static int read_all(int fd, struct buffer *text)
{
	while (text->n <= CONFIG_FILE_MAX) {
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

int config_file_read(const char *path, struct buffer *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = read_all(fd, text);

	close(fd);
	return r;
}

void config_files_deinit(struct config_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->names[i]);
	}
	free(files->names);
	*files = (struct config_files){0};
}

int config_files_add(struct config_files *files, const char *name)
{
	char **names = array_grow(files->names, files->n, sizeof(*names));

	if (!names) {
		return -ENOMEM;
	}
	files->names = names;
	names[files->n] = strdup(name);
	if (!names[files->n]) {
		return -ENOMEM;
	}
	files->n++;
	return 0;
}

static bool has(const struct config_files *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++) {
		if (strcmp(files->names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static int add_matches(struct config_files *files, const glob_t *matches,
		       struct config_errors *errors, struct config_place place)
{
	for (size_t i = 0; i < matches->gl_pathc; i++) {
		const char *name = matches->gl_pathv[i];

		if (has(files, name)) {
			config_error(errors, place,
				     "include: expected each file once, got '%s' again", name);
			return -EINVAL;
		}
		if (files->n > CONFIG_FILES_MAX) {
			config_error(errors, place, "include: expected at most %d files",
				     CONFIG_FILES_MAX);
			return -EINVAL;
		}
		int r = config_files_add(files, name);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* A folder need not be there; one that cannot be read is a mistake. */
static int stops_at(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

static int match(struct config_files *files, const char *pattern, struct config_errors *errors,
		 struct config_place place)
{
	int r = config_note_file(errors, pattern);

	if (r < 0) {
		return r;
	}
	glob_t matches = {0};
	int status = glob(pattern, 0, stops_at, &matches);

	if (status == GLOB_NOSPACE) {
		r = -ENOMEM;
	} else if (status == GLOB_ABORTED || (status && !strpbrk(pattern, "*?["))) {
		config_error(errors, place,
			     "include: expected files that can be read, got '%s' (%s)", pattern,
			     strerror(status == GLOB_ABORTED ? EACCES : ENOENT));
		r = -EINVAL;
	} else {
		r = add_matches(files, &matches, errors, place);
	}
	globfree(&matches);
	return r;
}

int config_files_match(struct config_files *files, const char *pattern, const char *beside,
		       struct config_errors *errors, struct config_place place)
{
	_cleanup_(buffer_deinit) struct buffer path = BUFFER_INIT;
	const char *slash = strrchr(beside, '/');

	if (pattern[0] == '/' || !slash) {
		return match(files, pattern, errors, place);
	}
	int r = buffer_printf(&path, "%.*s/%s", (int)(slash - beside), beside, pattern);

	if (r == 0) {
		r = buffer_append(&path, "", 1);
	}
	return r < 0 ? r : match(files, buffer_sv(&path).data, errors, place);
}
