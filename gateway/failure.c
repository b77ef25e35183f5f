/* SPDX-License-Identifier: MIT */
#include "gateway/failure.h"

#include <stdarg.h>
#include <stdio.h>

struct failure_words {
	const char *name;
	const char *bosh;
	const char *stream;
	const char *sentence;
};

static const struct failure_words words[] = {
#define X(id, name, bosh, stream, sentence) [FAILURE_##id] = {name, bosh, stream, sentence},
	FAILURES(X)
#undef X
};

const char *failure_name(enum failure_kind kind)
{
	return words[kind].name;
}

const char *failure_bosh_condition(enum failure_kind kind)
{
	return words[kind].bosh;
}

const char *failure_stream_condition(enum failure_kind kind)
{
	return words[kind].stream;
}

const char *failure_sentence(enum failure_kind kind)
{
	return words[kind].sentence;
}

void failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
{
	va_list arguments;

	failure->kind = kind;
	failure->detail[0] = '\0';
	if (!format) {
		return;
	}
	va_start(arguments, format);
	int n = vsnprintf(failure->detail, sizeof(failure->detail), format, arguments);
	va_end(arguments);
	if (n < (int)sizeof(failure->detail)) {
		return;
	}
	/* Do not leave half of a UTF-8 sequence at the cut. */
	size_t end = sizeof(failure->detail) - 1;

	while (end && ((unsigned char)failure->detail[end - 1] & 0xc0) == 0x80) {
		end--;
	}
	if (end && (unsigned char)failure->detail[end - 1] >= 0xc0) {
		end--;
	}
	failure->detail[end] = '\0';
}
