/* SPDX-License-Identifier: MIT */
#include "gateway/http/coding.h"

#include <errno.h>

#include "common/ascii.h"

enum {
	WEIGHT_MAX = 1000,
};

static const char *const names[CODING_COUNT] = {
#define X(id, name) name,
	CODINGS(X)
#undef X
};

const char *coding_name(enum coding coding)
{
	return names[coding];
}

static enum coding coding_find(struct sv name)
{
	enum coding coding = 0;

	/* RFC 9110, 8.4.1.3: an alias. */
	if (sv_eq_nocase(name, SV("x-gzip"))) {
		return CODING_GZIP;
	}
	while (coding < CODING_COUNT && !sv_eq_nocase(name, sv_from(names[coding]))) {
		coding++;
	}
	return coding;
}

/* Names of character sets and of transfer encodings (RFC 2045, 6), which clients send in this
 * header by mistake. None of them changes the bytes. */
static bool is_no_coding(struct sv name)
{
	static const char *const mistaken[] = {"utf-8", "utf8", "us-ascii", "iso-8859-1",
					       "7bit",  "8bit", "binary",   "none"};

	for (size_t i = 0; i < ARRAY_LENGTH(mistaken); i++) {
		if (sv_eq_nocase(name, sv_from(mistaken[i]))) {
			return true;
		}
	}
	return false;
}

enum coding coding_add(enum coding coding, struct sv value)
{
	struct sv item;

	if (sv_has(value, '/')) {
		/* A media type, which libpurple (Pidgin) sends here. It says nothing about a
		 * coding. */
		return coding;
	}
	while (sv_split(&value, ',', &item)) {
		enum coding next = is_no_coding(item) ? CODING_IDENTITY : coding_find(item);

		/* RFC 9110, 5.6.1.2: empty items must be ignored. */
		if (item.n && next != CODING_IDENTITY) {
			coding = coding == CODING_IDENTITY ? next : CODING_UNKNOWN;
		}
	}
	return coding;
}

/* Reads "0" or "1" with up to three decimals (RFC 9110, 12.4.2). Returns 0, or -EINVAL when @text
 * is not a weight. */
static int parse_weight(struct sv text, uint16_t *ret_weight)
{
	unsigned weight = 0, unit = WEIGHT_MAX;

	for (size_t i = 0; i < text.n; i++) {
		if (i == 1) {
			if (text.data[i] != '.') {
				return -EINVAL;
			}
			continue;
		}
		if (!ascii_is_digit(text.data[i]) || unit == 0) {
			return -EINVAL;
		}
		weight += (unsigned)(text.data[i] - '0') * unit;
		unit /= 10;
	}
	if (text.n == 0 || weight > WEIGHT_MAX) {
		return -EINVAL;
	}
	*ret_weight = (uint16_t)weight;
	return 0;
}

/* Reads "codings [ weight ]" (RFC 9110, 12.5.3). */
static struct coding_wish parse_wish(struct sv item, struct sv *ret_name)
{
	struct coding_wish wish = {.is_named = true, .weight = WEIGHT_MAX};
	size_t n_name = sv_find(item, ';');
	struct sv weight = sv_trim(sv_skip(item, n_name + 1));

	*ret_name = sv_trim(sv_first(item, n_name));
	if (n_name < item.n && (!sv_eq_nocase(sv_first(weight, 2), SV("q=")) ||
				parse_weight(sv_skip(weight, 2), &wish.weight) < 0)) {
		wish.weight = 0;
	}
	return wish;
}

void coding_wishes_add(struct coding_wishes *wishes, struct sv accept_encoding)
{
	struct sv item, name;

	while (sv_split(&accept_encoding, ',', &item)) {
		struct coding_wish wish = parse_wish(item, &name);
		enum coding coding = coding_find(name);

		if (coding != CODING_UNKNOWN) {
			wishes->of[coding] = wish;
		} else if (sv_eq(name, SV("*"))) {
			wishes->others = wish;
		}
	}
}

static unsigned weight_of(const struct coding_wishes *wishes, enum coding coding)
{
	if (wishes->of[coding].is_named) {
		return wishes->of[coding].weight;
	}
	if (wishes->others.is_named) {
		return wishes->others.weight;
	}
	/* RFC 9110, 12.5.3: identity is acceptable unless it is excluded. It is the last choice. */
	return coding == CODING_IDENTITY ? 1 : 0;
}

enum coding coding_choose(const struct coding_wishes *wishes, size_t n)
{
	unsigned identity = weight_of(wishes, CODING_IDENTITY);
	unsigned gzip = weight_of(wishes, CODING_GZIP);
	unsigned deflate = weight_of(wishes, CODING_DEFLATE);
	enum coding coding = gzip >= deflate ? CODING_GZIP : CODING_DEFLATE;
	unsigned weight = gzip >= deflate ? gzip : deflate;

	if (weight == 0 || weight < identity || n > CODING_TEXT_MAX) {
		return CODING_IDENTITY;
	}
	return n >= CODING_TEXT_MIN || identity == 0 ? coding : CODING_IDENTITY;
}
