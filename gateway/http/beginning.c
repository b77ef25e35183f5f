/* SPDX-License-Identifier: MIT */
#include "gateway/http/beginning.h"

enum {
	DIGITS_MAX = 8, /* of a chunk's size */
};

/* -1: not a digit. */
static int digit_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	     : c >= 'a' && c <= 'f' ? c - 'a' + 10
	     : c >= 'A' && c <= 'F' ? c - 'A' + 10
				    : -1;
}

/* Reads the line before a chunk. Returns false if there is no whole one; a line that is none counts
 * as the last. */
static bool take_chunk_line(struct sv *rest, size_t *ret_n)
{
	size_t n_line = sv_find(*rest, '\n');
	size_t n = 0;

	if (n_line == rest->n) {
		return false;
	}
	for (size_t i = 0; i < DIGITS_MAX && i < n_line && digit_value(rest->data[i]) >= 0; i++) {
		n = n << 4 | (size_t)digit_value(rest->data[i]);
	}
	*rest = sv_skip(*rest, n_line + 1);
	*ret_n = n;
	return true;
}

static int join_chunks(struct http_beginning *beginning, struct sv rest)
{
	size_t n;

	while (take_chunk_line(&rest, &n)) {
		if (n == 0) {
			beginning->more = false;
			return 0;
		}
		int r = buffer_append_sv(&beginning->joined, sv_first(rest, n));

		if (r < 0) {
			return r;
		}
		if (rest.n <= n) {
			return 0;
		}
		rest = sv_skip(rest, n);
		if (rest.data[0] == '\r') {
			rest = sv_skip(rest, 1);
		}
		rest = sv_skip(rest, rest.n ? 1 : 0);
	}
	return 0;
}

enum coding http_head_coding(const struct http_head *head, const char *bytes)
{
	enum coding coding = CODING_IDENTITY;
	struct sv value;
	uint16_t cursor = 0;

	while (head->n_known[HTTP_KNOWN_CONTENT_ENCODING] &&
	       http_head_next(head, bytes, SV("Content-Encoding"), &cursor, &value)) {
		coding = coding_add(coding, value);
	}
	return coding;
}

int http_beginning_init(struct http_beginning *beginning, const struct http_head *head,
			struct sv bytes, struct coder *coder, size_t n_max)
{
	enum coding coding = http_head_coding(head, bytes.data);
	struct sv body = sv_skip(bytes, head->n);
	bool is_coded = coder && (coding == CODING_GZIP || coding == CODING_DEFLATE);

	*beginning = (struct http_beginning){
		.text = body,
		.more = head->is_chunked || body.n < head->n_body,
	};
	if (head->is_chunked) {
		int r = join_chunks(beginning, sv_first(body, HTTP_BEGINNING_MAX));

		if (r < 0) {
			return r;
		}
		beginning->text = buffer_sv(&beginning->joined);
	}
	if (is_coded) {
		int r = coder_decode(coder, coding, sv_first(beginning->text, HTTP_BEGINNING_MAX),
				     n_max, &beginning->decoded);

		if (r < 0) {
			return r;
		}
		beginning->text = buffer_sv(&beginning->decoded);
	}
	if ((is_coded || head->is_chunked) && body.n >= HTTP_BEGINNING_MAX) {
		beginning->more = false;
	}
	return 0;
}

void http_beginning_deinit(struct http_beginning *beginning)
{
	buffer_deinit(&beginning->joined);
	buffer_deinit(&beginning->decoded);
}
