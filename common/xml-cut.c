/* SPDX-License-Identifier: MIT */
/* Apart from xml-text.c, so that a test can cut elsewhere: nothing may depend on where a cut is. */
#include "common/xml-text.h"

#include "common/utf8.h"

enum {
	/* A reference that ends at all ends within so many bytes, as far as anybody writes it. */
	REFERENCE_MAX = 16,
};

static inline bool is_markup(char c)
{
	return (c == '<') | (c == '&') | (c == ']');
}

static bool has_markup(const char *block)
{
	return memchr(block, '<', XML_TEXT_WORTH) || memchr(block, '&', XML_TEXT_WORTH) ||
	       memchr(block, ']', XML_TEXT_WORTH);
}

/* The cut in the bytes from @start to @end, which have no markup. @before is the markup that they
 * follow. Returns @end if there is none. */
static size_t cut_between(struct sv bytes, size_t start, size_t end, char before)
{
	const char *close = memchr(bytes.data + start, '>', end - start);

	if (close) {
		return (size_t)(close - bytes.data) + 1;
	}
	if (before == '<') {
		return end;
	}
	for (start += REFERENCE_MAX; start < end && utf8_is_continuation(bytes.data[start]);
	     start++) {
	}
	return start;
}

size_t xml_text_cut(struct sv bytes)
{
	/* The first bytes may end a character that began in another piece. */
	char before = bytes.n && utf8_is_continuation(bytes.data[0]) ? '&' : '<';
	size_t low = 0;

	for (size_t at = 0; at + XML_TEXT_WORTH <= bytes.n; low = at, at += XML_TEXT_WORTH) {
		size_t start = at, end = at + XML_TEXT_WORTH;

		if (has_markup(bytes.data + at)) {
			continue;
		}
		while (start > low && !is_markup(bytes.data[start - 1])) {
			start--;
		}
		before = start > low ? bytes.data[start - 1] : before;
		size_t cut = cut_between(bytes, start, end, before);

		if (cut < end) {
			return cut;
		}
	}
	return bytes.n;
}
