/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include <string.h>

char *find_text(struct text text, const char *needle)
{
	text.n = text.n < HEAD_SIZE ? text.n : HEAD_SIZE;
	return memmem(text.data, text.n, needle, strlen(needle));
}

/* Each returns what take_message() does. */

static size_t take_answer(struct text all, struct text *ret_message)
{
	size_t n_head = 0, n = http_length(all.data, all.n, &n_head);

	*ret_message = (struct text){all.data + n_head, n - n_head};
	return n;
}

static size_t take_frame(struct text all, struct text *ret_message)
{
	const unsigned char *bytes = (const unsigned char *)all.data;
	size_t code = all.n > 1 ? bytes[1] : 0, n = 0;
	size_t n_more = code == FRAME_LENGTH_16 ? 2 : code == FRAME_LENGTH_64 ? 8 : 0;

	if (all.n < 2 + n_more) {
		return 0;
	}
	for (size_t i = 0; i < n_more; i++) {
		n = n << 8 | bytes[2 + i];
	}
	n = n_more ? n : code;
	*ret_message = (struct text){all.data + 2 + n_more, n};
	return 2 + n_more + n;
}

/* There is one at a time. */
static size_t take_echo(struct text all, struct text *ret_message)
{
	static const char end[] = "</message>";
	size_t n = sizeof(end) - 1;

	*ret_message = all;
	return all.n >= n && memcmp(all.data + all.n - n, end, n) == 0 ? all.n : 0;
}

size_t take_message(const struct session *session, struct text all, struct text *ret_message)
{
	switch (session->load->options.kind) {
	case LOAD_ECHO:
		return take_echo(all, ret_message);
	case LOAD_WEBSOCKET:
	case LOAD_BLIND:
		return session->stage > STAGE_UPGRADE ? take_frame(all, ret_message)
						      : take_answer(all, ret_message);
	default:
		return take_answer(all, ret_message);
	}
}
