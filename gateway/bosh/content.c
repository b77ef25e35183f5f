/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/content.h"

#include <stdbool.h>

static const struct {
	struct sv name;
	const char *header;
} types[] = {
#define TYPE(name)                                    \
	{                                             \
		SV_INIT(name), name "; charset=utf-8" \
	}
	TYPE("text/xml"),
	TYPE("application/xml"),
	TYPE("text/plain"),
	TYPE("text/html"),
	TYPE("application/xhtml+xml"),
	TYPE("application/soap+xml"),
	TYPE("application/octet-stream"),
#undef TYPE
};

static bool is_utf8(struct sv parameter)
{
	return parameter.n == 0 || sv_eq_nocase(parameter, SV("charset=utf-8")) ||
	       sv_eq_nocase(parameter, SV("charset=\"utf-8\""));
}

const char *bosh_content_type(struct sv wish)
{
	size_t semicolon = sv_find(wish, ';');
	struct sv name = sv_trim(sv_first(wish, semicolon));

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		if (sv_eq_nocase(name, types[i].name) &&
		    is_utf8(sv_trim(sv_skip(wish, semicolon + 1)))) {
			return types[i].header;
		}
	}
	return BOSH_CONTENT_DEFAULT;
}
