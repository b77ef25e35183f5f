/* SPDX-License-Identifier: MIT */
#include "gateway/config/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/sv.h"

static void print(const struct config_errors *errors, struct config_place place, const char *kind,
		  const char *format, va_list arguments)
{
	if (place.line) {
		fprintf(errors->stream, "%s:%u: %s", place.file, place.line, kind);
	} else {
		fprintf(errors->stream, "%s: %s", place.file, kind);
	}
	vfprintf(errors->stream, format, arguments);
	fputc('\n', errors->stream);
}

void config_error(struct config_errors *errors, struct config_place place, const char *format, ...)
{
	va_list arguments;

	errors->n++;
	va_start(arguments, format);
	print(errors, place, "", format, arguments);
	va_end(arguments);
}

void config_warning(struct config_errors *errors, struct config_place place, const char *format,
		    ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(errors, place, "warning: ", format, arguments);
	va_end(arguments);
}

/* Whether @path is one of the lines. */
static bool is_noted(const char *files, const char *path)
{
	struct sv rest = sv_from(files);
	struct sv line;

	while (files && sv_split(&rest, '\n', &line)) {
		if (sv_eq(line, sv_from(path))) {
			return true;
		}
	}
	return false;
}

int config_note_file(struct config_errors *errors, const char *path)
{
	size_t n_before = errors->files ? strlen(errors->files) : 0;
	size_t n = strlen(path);

	if (is_noted(errors->files, path)) {
		return 0;
	}
	char *files = realloc(errors->files, n_before + n + 2);

	if (!files) {
		return -ENOMEM;
	}
	memcpy(files + n_before, path, n);
	memcpy(files + n_before + n, "\n", 2);
	errors->files = files;
	return 0;
}

struct config_place config_place_later(struct config_place a, struct config_place b)
{
	return a.serial > b.serial ? a : b;
}
