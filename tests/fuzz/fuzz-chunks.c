/* SPDX-License-Identifier: MIT */
/*
 * gateway/http/chunks.h. The first byte decides about the pieces; the rest is a body. However it is
 * cut, it has the same data and ends in the same way, and the same bytes are left; and data that
 * was found is found again when it is written down in one chunk.
 *
 * covers: gateway/http/chunks.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/http/chunks.h"

static enum chunks_result feed(struct sv body, size_t n_piece, struct buffer *data, size_t *ret_n)
{
	enum chunks_result result = CHUNKS_MORE;
	struct chunks chunks = {0};
	size_t n = 0;

	while (n < body.n && result == CHUNKS_MORE) {
		struct sv piece = sv_first(sv_skip(body, n), n_piece), part;
		char *copy = fuzz_copy(piece);
		struct sv rest = {copy, piece.n};

		while ((result = chunks_feed(&chunks, &rest, &part)) == CHUNKS_FOUND) {
			FUZZ_CHECK(part.n > 0 && part.n <= piece.n);
			assert_int_equal(buffer_append_sv(data, part), 0);
		}
		FUZZ_CHECK(result != CHUNKS_MORE || rest.n == 0);
		n += piece.n - rest.n;
		free(copy);
	}
	*ret_n = n;
	return result;
}

static void check_again(struct sv data)
{
	struct buffer body = BUFFER_INIT, again = BUFFER_INIT;
	size_t n;

	assert_int_equal(buffer_printf(&body, "%zx\r\n", data.n), 0);
	assert_int_equal(buffer_append_sv(&body, data), 0);
	assert_int_equal(buffer_append_sv(&body, sv_from(data.n ? "\r\n0\r\n\r\n" : "\r\n")), 0);
	FUZZ_CHECK(feed(buffer_sv(&body), body.n, &again, &n) == CHUNKS_DONE && n == body.n);
	FUZZ_CHECK(sv_eq(buffer_sv(&again), data));
	buffer_deinit(&body);
	buffer_deinit(&again);
}

void fuzz_one(struct sv input)
{
	size_t n_piece = 1 + fuzz_byte(&input) % 8u, n_whole, n_cut;
	struct buffer whole = BUFFER_INIT, cut = BUFFER_INIT;
	enum chunks_result result = feed(input, SIZE_MAX, &whole, &n_whole);

	FUZZ_CHECK(feed(input, n_piece, &cut, &n_cut) == result);
	FUZZ_CHECK(n_cut == n_whole && sv_eq(buffer_sv(&cut), buffer_sv(&whole)));
	check_again(buffer_sv(&whole));
	buffer_deinit(&whole);
	buffer_deinit(&cut);
}
