/* SPDX-License-Identifier: MIT */
#include "policy/cors.h"

#include "common/ascii.h"

static bool is_token(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.data[i];

		if (!ascii_is_alphanumeric(c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
			return false;
		}
	}
	return text.n > 0;
}

bool cors_headers_judge(struct sv asked, char ret_list[static CORS_HEADERS_LENGTH_MAX + 1])
{
	size_t n = 0, n_names = 0;
	struct sv name;

	while (sv_split(&asked, ',', &name)) {
		if (name.n == 0) {
			continue;
		}
		if (!is_token(name) || ++n_names > CORS_HEADERS_MAX ||
		    n + strlen(", ") + name.n > CORS_HEADERS_LENGTH_MAX) {
			n = 0;
			break;
		}
		if (n) {
			memcpy(ret_list + n, ", ", strlen(", "));
			n += strlen(", ");
		}
		memcpy(ret_list + n, name.data, name.n);
		n += name.n;
	}
	ret_list[n] = '\0';
	return n > 0;
}
