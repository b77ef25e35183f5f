/* SPDX-License-Identifier: MIT */
/*
 * Tells how the gateway's engines read requests: for the differential test of
 * tests/conformance/http-differential.test.mjs. Reads requests from standard input, each behind its
 * length as four bytes, and writes a line for each: "-" if it is refused or its head is incomplete,
 * else
 *
 *     METHOD PATH MINOR N_HEAD N_BODY IS_CHUNKED IS_WHOLE "DATA"
 *
 * where DATA is what has come of a chunked body, in hexadecimal digits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/http/chunks.h"
#include "gateway/http/head.h"

enum {
	TEXT_MAX = 32 * 1024,
};

/* Writes the data of the chunks in @bytes into @ret_data; of a body that is not chunked, none. */
static enum chunks_result read_chunks(const struct http_head *head, struct sv bytes, char *ret_data,
				      size_t *ret_n)
{
	enum chunks_result result = CHUNKS_DONE;
	struct chunks chunks = {0};
	struct sv data;

	*ret_n = 0;
	while (head->is_chunked && (result = chunks_feed(&chunks, &bytes, &data)) == CHUNKS_FOUND) {
		memcpy(ret_data + *ret_n, data.data, data.n);
		*ret_n += data.n;
	}
	return result;
}

int main(void)
{
	static char text[TEXT_MAX], data[TEXT_MAX];
	size_t n_data;
	uint32_t n;

	while (fread(&n, sizeof(n), 1, stdin) == 1) {
		struct http_head head = {0};

		if (n > sizeof(text) || fread(text, 1, n, stdin) != n) {
			return EXIT_FAILURE;
		}
		if (http_head_feed(&head, (struct sv){text, n}) != HTTP_HEAD_DONE) {
			puts("-");
			continue;
		}
		enum chunks_result result =
			read_chunks(&head, sv_skip((struct sv){text, n}, head.n), data, &n_data);

		if (result == CHUNKS_FAULT) {
			puts("-");
			continue;
		}
		printf("%.*s %.*s %d %d %llu %d %d \"", SV_ARGS(http_span_sv(head.method, text)),
		       SV_ARGS(http_span_sv(head.path, text)), head.minor, head.n,
		       (unsigned long long)head.n_body, head.is_chunked, result == CHUNKS_DONE);
		for (size_t i = 0; i < n_data; i++) {
			printf("%02x", (unsigned char)data[i]);
		}
		puts("\"");
	}
	return EXIT_SUCCESS;
}
