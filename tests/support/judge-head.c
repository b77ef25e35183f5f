/* SPDX-License-Identifier: MIT */
/*
 * Tells how the gateway's engine reads request heads: for the differential test of
 * tests/conformance/http-differential.test.mjs. Reads requests from standard input, each behind its
 * length as four bytes, and writes a line for each: "-" if it is refused or incomplete, else
 *
 *     METHOD PATH MINOR N_HEAD N_BODY IS_CHUNKED
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/http/head.h"

enum {
	TEXT_MAX = 32 * 1024,
};

int main(void)
{
	static char text[TEXT_MAX];
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
		printf("%.*s %.*s %d %d %llu %d\n", SV_ARGS(http_span_sv(head.method, text)),
		       SV_ARGS(http_span_sv(head.path, text)), head.minor, head.n,
		       (unsigned long long)head.n_body, head.is_chunked);
	}
	return EXIT_SUCCESS;
}
