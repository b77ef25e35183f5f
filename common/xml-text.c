/* SPDX-License-Identifier: MIT */
#include "common/xml-text.h"

#include "common/utf8.h"

/* Many bytes at once. The compilers for all processors have such a type; of loops over bytes they
 * make something of the kind only sometimes. */
typedef int8_t lanes __attribute__((vector_size(16)));

enum {
	N_LANES = 4,
	BLOCK = N_LANES * sizeof(lanes),
};

static bool is_plain(unsigned char c)
{
	return c >= ' ' ? c < 0x80 && c != '<' && c != '&' && c != ']'
			: c == '\t' || c == '\n' || c == '\r';
}

static bool is_any_set(lanes mask)
{
	uint64_t halves[2];

	memcpy(halves, &mask, sizeof(halves));
	return halves[0] | halves[1];
}

/* The same of all bytes of a block. */
static bool is_plain_block(const char *block)
{
	const lanes all = ~(lanes){0};
	lanes bytes[N_LANES], text = all, markup = {0};

	memcpy(bytes, block, sizeof(bytes));
	for (size_t i = 0; i < N_LANES; i++) {
		text &= bytes[i] > ' ' - 1; /* above 0x7f they are negative here */
		markup |= (bytes[i] == '<') | (bytes[i] == '&') | (bytes[i] == ']');
	}
	if (!is_any_set(~text | markup)) {
		return true;
	}
	text = all;
	for (size_t i = 0; i < N_LANES; i++) {
		text &= (bytes[i] > ' ' - 1) | (bytes[i] == '\t') | (bytes[i] == '\n') |
			(bytes[i] == '\r');
	}
	return !is_any_set(~text | markup);
}

/* The length of the plain character that @bytes begins with; 0: there is none. */
static size_t plain_character(struct sv bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.data;
	size_t n = at[0] < 0x80 ? is_plain(at[0]) : utf8_character(bytes);
	/* U+FFFE and U+FFFF. */
	bool is_forbidden = n == 3 && at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe;

	return is_forbidden ? 0 : n;
}

size_t xml_text_run(struct sv bytes)
{
	size_t n = 0;

	while (n < bytes.n) {
		size_t n_end = n + BLOCK;

		if (n_end <= bytes.n && is_plain_block(bytes.data + n)) {
			n = n_end;
			continue;
		}
		while (n < n_end && n < bytes.n) {
			size_t n_character = plain_character(sv_skip(bytes, n));

			if (n_character == 0) {
				return n;
			}
			n += n_character;
		}
	}
	return n;
}
