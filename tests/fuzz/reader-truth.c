/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/check.h"

#include "tests/fuzz/reader-model.h"

/* Reads all chunks at once. Returns their length in the stream; 0 if they are incomplete. */
static size_t read_chunks(struct truth_request *request, struct sv rest)
{
	struct chunks chunks = {0};
	enum chunks_result result;
	size_t n = rest.n;
	struct sv data;

	while ((result = chunks_feed(&chunks, &rest, &data)) == CHUNKS_FOUND) {
		assert_int_equal(buffer_append_sv(&request->body, data), 0);
	}
	request->fault = result == CHUNKS_FAULT ? HTTP_FAULT_CHUNK : HTTP_FAULT_NONE;
	return result == CHUNKS_DONE ? n - rest.n : 0;
}

static void read_body(struct truth_request *request, struct sv rest)
{
	size_t n_before = request->start + request->head.n;

	if (request->head.is_chunked) {
		size_t n = read_chunks(request, rest);

		request->end = n ? n_before + n : SIZE_MAX;
		return;
	}
	struct sv body = sv_first(rest, request->head.n_body < rest.n ? (size_t)request->head.n_body
								      : rest.n);

	assert_int_equal(buffer_append_sv(&request->body, body), 0);
	request->end = request->head.n_body <= rest.n ? n_before + body.n : SIZE_MAX;
}

void truth_init(struct truth *truth, struct sv stream)
{
	size_t at = 0;

	truth->n = 0;
	while (at < stream.n && truth->n < TRUTH_MAX) {
		struct truth_request *request = &truth->requests[truth->n];
		struct sv bytes = sv_skip(stream, at);

		*request =
			(struct truth_request){.start = at, .end = SIZE_MAX, .bytes = bytes.data};
		switch (http_head_feed(&request->head, sv_first(bytes, WIRE_PEEK_MAX))) {
		case HTTP_HEAD_MORE:
			return;
		case HTTP_HEAD_FAULT:
			request->fault = request->head.fault;
			truth->n++;
			return;
		default:
			break;
		}
		truth->n++;
		read_body(request, sv_skip(bytes, request->head.n));
		if (request->end == SIZE_MAX) {
			return;
		}
		at = request->end;
	}
}

void truth_deinit(struct truth *truth)
{
	for (size_t i = 0; i < truth->n; i++) {
		buffer_deinit(&truth->requests[i].body);
	}
	truth->n = 0;
}

bool truth_has_flag(const struct truth_request *request, char flag)
{
	struct sv path = http_span_sv(request->head.path, request->bytes);

	return sv_find(path, flag) < path.n;
}
