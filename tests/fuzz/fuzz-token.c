/* SPDX-License-Identifier: MIT */
/*
 * common/xml-token.h. The first byte chooses the beginning of a long token, the rest follows it.
 * However the rest is cut, expat is given it at the same places, and these are where a search for
 * the end, without a state, finds them.
 *
 * covers: common/xml-token.c
 */
#include "tests/fuzz/fuzz.h"

#include "common/xml-token.h"

static const char *const beginnings[] = {"<a b=", "<a b='", "<a b=\"", "</a", "&a", "<?a"};

static const char names[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#_-.:";

/* Where the next byte stands that may complete the token; @all has @from bytes that cannot. */
static size_t find_end(struct sv all, size_t from)
{
	char quote = '\0';

	for (size_t i = 0; i < all.n; i++) {
		char c = all.data[i];
		bool ends = c == '>';

		if (all.data[0] == '&') {
			ends = i > 0 && !(c & 0x80) && !(c && strchr(names, c));
		} else if (all.data[1] == '?') {
			ends = c == '>' && i > 2 && all.data[i - 1] == '?';
		} else if (all.data[1] != '/') {
			ends = c == '>' && !quote;
			quote = quote ? (c == quote ? '\0' : quote)
				      : (c == '\'' || c == '"' ? c : '\0');
		}
		if (ends && i >= from) {
			return i;
		}
	}
	return all.n;
}

/* Logs how many bytes were given after each byte that made it so. */
static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct buffer *begin = userdata;
	struct xml_token token;
	struct sv piece;
	size_t at = 0;

	xml_token_begin(&token, buffer_sv(begin));
	while (pieces_next(pieces, &piece)) {
		size_t n = xml_token_go_on(&token, piece);

		for (; n > 0; n = xml_token_go_on(&token, piece)) {
			FUZZ_CHECK(n <= piece.n);
			at += n;
			LOG(log, "%zu\n", at);
			piece = sv_skip(piece, n);
			if (piece.n == 0) {
				break;
			}
		}
		at += piece.n;
		FUZZ_CHECK(token.n == begin->n + at);
	}
}

void fuzz_one(struct sv input)
{
	const char *beginning = beginnings[fuzz_byte(&input) % ARRAY_LENGTH(beginnings)];
	struct buffer begin = BUFFER_INIT, all = BUFFER_INIT, expected = BUFFER_INIT,
		      log = BUFFER_INIT;

	assert_int_equal(buffer_append_sv(&begin, sv_from(beginning)), 0);
	while (begin.n < XML_TOKEN_LONG) {
		assert_int_equal(buffer_append_sv(&begin, SV("x")), 0);
	}
	assert_int_equal(buffer_append_sv(&all, buffer_sv(&begin)), 0);
	assert_int_equal(buffer_append_sv(&all, input), 0);
	fuzz_check_cuts(input, run, &begin);
	fuzz_run(input, PIECES_WHOLE, run, &begin, &log);
	for (size_t at = find_end(buffer_sv(&all), begin.n); at < all.n;
	     at = find_end(buffer_sv(&all), at + 1)) {
		LOG(&expected, "%zu\n", at + 1 - begin.n);
	}
	FUZZ_CHECK(sv_eq(buffer_sv(&log), buffer_sv(&expected)));
	buffer_deinit(&begin);
	buffer_deinit(&all);
	buffer_deinit(&expected);
	buffer_deinit(&log);
}
