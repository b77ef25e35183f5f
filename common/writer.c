/* SPDX-License-Identifier: MIT */
#include "common/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int writer_end(struct writer *writer)
{
	if (writer->error) {
		assert(writer->buffer->n >= writer->n_before);
		buffer_truncate(writer->buffer, writer->n_before);
	}
	return writer->error;
}

void writer_fail(struct writer *writer, int error)
{
	if (writer->error == 0) {
		writer->error = error;
	}
}

void writer_put(struct writer *writer, struct sv text)
{
	if (writer->error == 0) {
		writer->error = buffer_append_sv(writer->buffer, text);
	}
}

void writer_escaped(struct writer *writer, struct sv text)
{
	if (writer->error == 0) {
		writer->error = buffer_append_escaped(writer->buffer, text);
	}
}

void writer_printf(struct writer *writer, const char *format, ...)
{
	va_list arguments;

	if (writer->error) {
		return;
	}
	va_start(arguments, format);
	writer->error = buffer_vprintf(writer->buffer, format, arguments);
	va_end(arguments);
}

void writer_attribute(struct writer *writer, struct sv name, struct sv value)
{
	if (value.n == 0) {
		return;
	}
	writer_put(writer, SV(" "));
	writer_put(writer, name);
	writer_put(writer, SV("='"));
	writer_escaped(writer, value);
	writer_put(writer, SV("'"));
}
