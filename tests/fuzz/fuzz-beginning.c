/* SPDX-License-Identifier: MIT */
/*
 * gateway/http/beginning.h. The first byte decides how the body is framed and coded; the rest is
 * the body as it is sent. The beginning of a part of it is a beginning of that of the whole, and
 * ends where the bytes or the limit do.
 *
 * covers: gateway/http/beginning.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/http/beginning.h"

enum {
	N_TEXT_MAX = 500,
	N_PARTS = 8,
};

static const char *const heads[] = {
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
	"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nContent-Encoding: gzip\r\n\r\n",
	("POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	 "Content-Encoding: deflate\r\n\r\n"),
};

static struct coder *coder;

/* Reads the beginning of @body behind @head_text. Returns whether more would tell more. */
static bool read(const char *head_text, struct sv body, struct buffer *ret_text)
{
	struct http_beginning beginning;
	struct http_head head = {0};
	struct buffer all = BUFFER_INIT;

	assert_int_equal(buffer_append_sv(&all, sv_from(head_text)), 0);
	assert_int_equal(buffer_append_sv(&all, body), 0);
	char *copy = fuzz_copy(buffer_sv(&all));

	assert_int_equal(http_head_feed(&head, (struct sv){copy, all.n}), HTTP_HEAD_DONE);
	assert_int_equal(
		http_beginning_init(&beginning, &head, (struct sv){copy, all.n}, coder, N_TEXT_MAX),
		0);
	assert_int_equal(buffer_append_sv(ret_text, beginning.text), 0);
	bool more = beginning.has_more;

	http_beginning_deinit(&beginning);
	free(copy);
	buffer_deinit(&all);
	return more;
}

void fuzz_one(struct sv input)
{
	unsigned decision = fuzz_byte(&input) % ARRAY_LENGTH(heads);
	struct buffer whole = BUFFER_INIT;
	bool more;

	if (!coder) {
		assert_int_equal(coder_new(&coder), 0);
	}
	more = read(heads[decision], input, &whole);
	FUZZ_CHECK(decision < 2 || whole.n <= N_TEXT_MAX + 1);
	FUZZ_CHECK(whole.n <= input.n || decision >= 2);
	for (size_t i = 0; i < N_PARTS; i++) {
		struct buffer part = BUFFER_INIT;
		bool part_more =
			read(heads[decision], sv_first(input, input.n * i / N_PARTS), &part);

		FUZZ_CHECK(part.n <= whole.n);
		FUZZ_CHECK(sv_eq(buffer_sv(&part), sv_first(buffer_sv(&whole), part.n)));
		/* Once nothing more would tell more, nothing does. */
		FUZZ_CHECK(part_more || (part.n == whole.n && !more));
		buffer_deinit(&part);
	}
	buffer_deinit(&whole);
}
