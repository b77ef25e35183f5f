/* SPDX-License-Identifier: MIT */
#include "common/utf8.h"

enum {
	CONTINUATION_LEAST = 0x80,
	CONTINUATION_MOST = 0xbf,
};

/* How many bytes at the beginning are ASCII: eight at a time, for most texts are nothing else. */
static size_t count_ascii(struct sv bytes)
{
	size_t n = 0;
	uint64_t eight;

	for (; bytes.n - n >= sizeof(eight); n += sizeof(eight)) {
		memcpy(&eight, bytes.data + n, sizeof(eight));
		if (eight & 0x8080808080808080u) {
			break;
		}
	}
	while (n < bytes.n && (unsigned char)bytes.data[n] < 0x80) {
		n++;
	}
	return n;
}

/* RFC 3629, 4: the second byte of some characters has a narrower range. */
static bool begin(struct utf8 *utf8, unsigned char c)
{
	if (c < 0xc2 || c > 0xf4) {
		return false;
	}
	utf8->n_missing = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	utf8->least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : CONTINUATION_LEAST;
	utf8->most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : CONTINUATION_MOST;
	return true;
}

size_t utf8_character(struct sv bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.data;
	struct utf8 utf8;

	if (bytes.n == 0 || at[0] < 0x80) {
		return bytes.n > 0;
	}
	if (!begin(&utf8, at[0]) || bytes.n <= utf8.n_missing || at[1] < utf8.least ||
	    at[1] > utf8.most) {
		return 0;
	}
	for (size_t i = 2; i <= utf8.n_missing; i++) {
		if (!utf8_is_continuation(bytes.data[i])) {
			return 0;
		}
	}
	return utf8.n_missing + 1u;
}

/* The length of the whole characters that @bytes begins with, before the first mistake. */
static size_t count_whole(struct sv bytes)
{
	size_t n = 0, n_more = 1;

	for (; n < bytes.n && n_more; n += n_more) {
		struct sv rest = sv_skip(bytes, n);

		n_more = (unsigned char)rest.data[0] < 0x80 ? count_ascii(rest)
							    : utf8_character(rest);
	}
	return n;
}

bool utf8_feed(struct utf8 *utf8, struct sv bytes)
{
	while (bytes.n) {
		if (utf8->n_missing == 0) {
			bytes = sv_skip(bytes, count_whole(bytes));
			if (bytes.n == 0) {
				break;
			}
		}
		unsigned char c = (unsigned char)bytes.data[0];

		if (utf8->n_missing == 0) {
			if (!begin(utf8, c)) {
				return false;
			}
		} else if (c < utf8->least || c > utf8->most) {
			return false;
		} else {
			utf8->n_missing--;
			utf8->least = CONTINUATION_LEAST;
			utf8->most = CONTINUATION_MOST;
		}
		bytes = sv_skip(bytes, 1);
	}
	return true;
}

bool utf8_is_valid(struct sv text)
{
	struct utf8 utf8 = {0};

	return utf8_feed(&utf8, text) && utf8_is_whole(&utf8);
}

struct sv utf8_cut(struct sv text, size_t n_max)
{
	if (text.n <= n_max) {
		return text;
	}
	while (n_max && utf8_is_continuation(text.data[n_max])) {
		n_max--;
	}
	return sv_first(text, n_max);
}
