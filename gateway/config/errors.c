/* SPDX-License-Identifier: MIT */
#include "gateway/config/errors.h"

#include <stdarg.h>

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

struct config_place config_place_later(struct config_place a, struct config_place b)
{
	return a.serial > b.serial ? a : b;
}
