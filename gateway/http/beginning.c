/* SPDX-License-Identifier: MIT */
#include "gateway/http/beginning.h"

#include "gateway/http/chunks.h"

static int join_chunks(struct http_beginning *beginning, struct sv rest)
{
	struct chunks chunks = {0};
	enum chunks_result result;
	struct sv data;

	while ((result = chunks_feed(&chunks, &rest, &data)) == CHUNKS_FOUND) {
		int r = buffer_append_sv(&beginning->joined, data);

		if (r < 0) {
			return r;
		}
	}
	/* A request whose chunks are malformed is refused by whoever reads it. */
	beginning->has_more = result == CHUNKS_MORE;
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
		.has_more = head->is_chunked || body.n < head->n_body,
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
		beginning->has_more = false;
	}
	return 0;
}

void http_beginning_deinit(struct http_beginning *beginning)
{
	buffer_deinit(&beginning->joined);
	buffer_deinit(&beginning->decoded);
}
