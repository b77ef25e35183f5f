/* SPDX-License-Identifier: MIT */
#include "gateway/ws/unsent.h"

#include <errno.h>

#include "gateway/ws/frame-head.h"

/* Takes the first frame off @queue. Returns false at its end. */
static bool take(struct sv *queue, struct frame_header *ret_header, struct sv *ret_payload)
{
	size_t n_head = frame_header_read(*queue, ret_header);

	if (n_head == 0) {
		return false;
	}
	*ret_payload = sv_first(sv_skip(*queue, n_head), ret_header->n_payload);
	*queue = sv_skip(*queue, n_head + ret_payload->n);
	return true;
}

size_t unsent_begun(struct sv queue, size_t n_sent)
{
	struct sv rest = queue, payload;
	struct frame_header header;

	while (queue.n - rest.n < n_sent && take(&rest, &header, &payload)) {
	}
	return queue.n - rest.n;
}

size_t unsent_whole(struct sv queue, size_t n_sent)
{
	struct sv rest = queue, payload;
	struct frame_header header;
	size_t n = 0;

	while (take(&rest, &header, &payload) && queue.n - rest.n <= n_sent) {
		n = queue.n - rest.n;
	}
	return n;
}

static int append_expanded(struct coder *coder, struct sv payload, struct buffer *texts)
{
	_cleanup_(buffer_deinit) struct buffer coded = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer plain = BUFFER_INIT;
	int r = buffer_append_sv(&coded, payload);

	if (r == 0) {
		/* It was compressed here: no other result than CODING_OK is possible. */
		r = coder_decode_message(coder, &coded, CODING_TEXT_MAX, &plain);
	}
	return r < 0 ? r : buffer_append_sv(texts, buffer_sv(&plain));
}

int unsent_texts(struct sv queue, struct coder *coder, struct buffer *texts)
{
	struct frame_header header;
	struct sv payload;
	int r = 0;

	while (take(&queue, &header, &payload)) {
		if (header.opcode == FRAME_TEXT) {
			int one = header.is_coded ? append_expanded(coder, payload, texts)
						  : buffer_append_sv(texts, payload);

			/* A smaller one may still find room. */
			r = r < 0 ? r : one;
		}
	}
	return r;
}
