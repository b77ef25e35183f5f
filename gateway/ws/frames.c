/* SPDX-License-Identifier: MIT */
#include "gateway/ws/frames.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <wslay/wslay.h>

#include "gateway/ws/frame-head.h"

enum {
	/* Readers that are kept: as many as frames are usually incomplete at once. */
	POOL_READERS_MAX = 32,
	/* Bytes that wslay_frame_context_init() allocates: its buffer and a few fields. */
	WSLAY_SIZE = 4096 + 256,
	/* Of the status in a close frame. */
	STATUS_SIZE = 2,
	MASK_SIZE = 4,
};

struct frames_reader {
	SLIST_ENTRY(frames_reader) in_pool;
	struct wslay_frame_context *wslay;
	struct sv input;      /* not yet in libwslay's buffer */
	size_t n_buffered;    /* in it, and not yet returned by wslay_frame_recv() */
	uint64_t n_left;      /* of the payload of the current frame */
	bool in_frame;        /* the header was returned, the end of the payload was not */
	unsigned char opcode; /* of the current frame */
	size_t n_control;
	char control[FRAME_LENGTH_7]; /* the payload of a control frame */
};

struct frames_pool {
	SLIST_HEAD(, frames_reader) readers;
	size_t n_readers;
};

static ssize_t on_recv(uint8_t *data, size_t n, int flags, void *userdata)
{
	struct frames_reader *reader = userdata;
	struct sv piece = sv_first(reader->input, n);

	(void)flags;
	if (piece.n == 0) {
		return -1;
	}
	memcpy(data, piece.data, piece.n);
	reader->input = sv_skip(reader->input, piece.n);
	reader->n_buffered += piece.n;
	return (ssize_t)piece.n;
}

/* The pool. */

static struct frames_reader *reader_free(struct frames_reader *reader)
{
	if (reader) {
		wslay_frame_context_free(reader->wslay);
		free(reader);
	}
	return NULL;
}

static int reader_new(struct frames_reader **ret_reader)
{
	static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
	struct frames_reader *reader = calloc(1, sizeof(*reader));

	if (!reader || wslay_frame_context_init(&reader->wslay, &callbacks, reader) != 0) {
		free(reader);
		return -ENOMEM;
	}
	*ret_reader = reader;
	return 0;
}

static int take_reader(struct frames *frames)
{
	struct frames_pool *pool = frames->pool;
	struct frames_reader *reader = SLIST_FIRST(&pool->readers);

	if (!reader) {
		return reader_new(&frames->reader);
	}
	SLIST_REMOVE_HEAD(&pool->readers, in_pool);
	pool->n_readers--;
	frames->reader = reader;
	return 0;
}

/* Whether libwslay expects the first byte of a header and has nothing in its buffer, as when it was
 * made. */
static bool is_at_rest(const struct frames_reader *reader)
{
	return !reader->in_frame && reader->n_buffered == 0 && reader->input.n == 0;
}

static void give_reader(struct frames *frames)
{
	struct frames_pool *pool = frames->pool;
	struct frames_reader *reader = frames->reader;

	frames->reader = NULL;
	if (!is_at_rest(reader) || pool->n_readers >= POOL_READERS_MAX) {
		reader_free(reader);
		return;
	}
	SLIST_INSERT_HEAD(&pool->readers, reader, in_pool);
	pool->n_readers++;
}

int frames_pool_new(struct frames_pool **ret_pool)
{
	*ret_pool = calloc(1, sizeof(**ret_pool));
	return *ret_pool ? 0 : -ENOMEM;
}

struct frames_pool *frames_pool_free(struct frames_pool *pool)
{
	struct frames_reader *reader;

	while (pool && (reader = SLIST_FIRST(&pool->readers))) {
		SLIST_REMOVE_HEAD(&pool->readers, in_pool);
		reader_free(reader);
	}
	free(pool);
	return NULL;
}

/* Frames. */

void frames_init(struct frames *frames, struct frames_pool *pool, bool may_code)
{
	*frames = (struct frames){.pool = pool, .may_code = may_code};
}

void frames_deinit(struct frames *frames)
{
	/* What it holds is of a frame that nobody completes. */
	frames->reader = reader_free(frames->reader);
	frames->input = SV_EMPTY;
	frames->is_over = true;
}

static void set_bad(struct frames *frames, enum frames_status status, const char *mistake,
		    struct frames_event *event)
{
	*event = (struct frames_event){
		.kind = FRAMES_EVENT_BAD,
		.status = status,
		.mistake = mistake,
	};
	frames_deinit(frames);
}

static bool is_control(unsigned opcode)
{
	return opcode >= FRAME_CLOSE;
}

/* The rule that the header of a frame breaks, or NULL. */
static const char *judge_head(const struct frames *frames, const struct wslay_frame_iocb *frame)
{
	bool begins = frame->opcode == FRAME_TEXT || frame->opcode == FRAME_BINARY;
	bool may_code = frames->may_code && begins;

	if (!frame->mask) {
		return "the frame is not masked";
	}
	if (frame->rsv & ~(may_code ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE)) {
		return "a reserved bit is set";
	}
	if (!begins && frame->opcode != FRAME_CONTINUATION && frame->opcode != FRAME_CLOSE &&
	    frame->opcode != FRAME_PING && frame->opcode != FRAME_PONG) {
		return "the opcode is not defined";
	}
	if (begins && frames->in_message) {
		return "a message begins before the last one has ended";
	}
	if (frame->opcode == FRAME_CONTINUATION && !frames->in_message) {
		return "a continuation continues nothing";
	}
	return NULL;
}

static size_t head_size(const struct wslay_frame_iocb *frame)
{
	uint64_t n = frame->payload_length;

	return 2 +
	       (n <= FRAME_LENGTH_7    ? 0
		: n <= FRAME_LENGTH_16 ? 2
				       : 8) +
	       (frame->mask ? MASK_SIZE : 0);
}

/* The header is there. Returns false if it is bad. */
static bool begin_frame(struct frames *frames, const struct wslay_frame_iocb *frame,
			struct frames_event *event)
{
	struct frames_reader *reader = frames->reader;
	const char *mistake = judge_head(frames, frame);

	if (mistake) {
		set_bad(frames, FRAMES_STATUS_PROTOCOL, mistake, event);
		return false;
	}
	reader->in_frame = true;
	reader->opcode = frame->opcode;
	reader->n_left = frame->payload_length;
	reader->n_buffered -= head_size(frame);
	reader->n_control = 0;
	if (frame->opcode == FRAME_TEXT || frame->opcode == FRAME_BINARY) {
		frames->in_message = true;
		frames->is_text = frame->opcode == FRAME_TEXT;
		frames->is_coded = frame->rsv & WSLAY_RSV1_BIT;
		frames->text = (struct utf8){0};
	}
	return true;
}

static void on_data(struct frames *frames, struct sv data, bool is_final,
		    struct frames_event *event)
{
	bool is_checked = frames->is_text && !frames->is_coded;

	if (is_checked &&
	    (!utf8_feed(&frames->text, data) || (is_final && !utf8_is_whole(&frames->text)))) {
		set_bad(frames, FRAMES_STATUS_TEXT, "the text is not UTF-8", event);
		return;
	}
	if (data.n == 0 && !is_final) {
		return;
	}
	*event = (struct frames_event){
		.kind = FRAMES_EVENT_PIECE,
		.data = data,
		.is_final = is_final,
		.is_text = frames->is_text,
		.is_coded = frames->is_coded,
	};
	frames->in_message = !is_final;
}

/* RFC 6455, 7.4, and IANA's registry of close codes, from which 1012 to 1014 come. */
static bool is_status(unsigned status)
{
	return (status >= 1000 && status <= 1003) || (status >= 1007 && status <= 1014) ||
	       (status >= 3000 && status <= 4999);
}

static void on_close(struct frames *frames, struct sv payload, struct frames_event *event)
{
	const unsigned char *bytes = (const unsigned char *)payload.data;
	struct sv reason = sv_skip(payload, STATUS_SIZE);
	unsigned status = FRAMES_STATUS_NONE;

	if (payload.n == 1) {
		set_bad(frames, FRAMES_STATUS_PROTOCOL, "the close frame has half a status", event);
		return;
	}
	if (payload.n) {
		status = (unsigned)bytes[0] << 8 | bytes[1];
	}
	if (payload.n && !is_status(status)) {
		set_bad(frames, FRAMES_STATUS_PROTOCOL,
			"the close frame has a status that must not be sent", event);
		return;
	}
	if (!utf8_is_valid(reason)) {
		set_bad(frames, FRAMES_STATUS_TEXT, "the reason of the close frame is not UTF-8",
			event);
		return;
	}
	*event =
		(struct frames_event){.kind = FRAMES_EVENT_CLOSE, .status = status, .data = reason};
	frames->input = SV_EMPTY;
	frames->is_over = true;
}

static void on_control(struct frames *frames, struct sv data, bool is_end,
		       struct frames_event *event)
{
	struct frames_reader *reader = frames->reader;

	memcpy(reader->control + reader->n_control, data.data, data.n);
	reader->n_control += data.n;
	if (!is_end) {
		return;
	}
	struct sv payload = {reader->control, reader->n_control};

	if (reader->opcode == FRAME_CLOSE) {
		on_close(frames, payload, event);
		return;
	}
	*event = (struct frames_event){
		.kind = reader->opcode == FRAME_PING ? FRAMES_EVENT_PING : FRAMES_EVENT_PONG,
		.data = payload,
	};
}

static void on_payload(struct frames *frames, const struct wslay_frame_iocb *frame,
		       struct frames_event *event)
{
	struct frames_reader *reader = frames->reader;
	struct sv data = {(const char *)frame->data, frame->data_length};

	if (!reader->in_frame && !begin_frame(frames, frame, event)) {
		return;
	}
	reader->n_buffered -= data.n;
	reader->n_left -= data.n;
	reader->in_frame = reader->n_left > 0;
	if (is_control(frame->opcode)) {
		on_control(frames, data, !reader->in_frame, event);
	} else {
		on_data(frames, data, frame->fin && !reader->in_frame, event);
	}
}

void frames_feed(struct frames *frames, struct sv bytes)
{
	frames->input = frames->is_over ? SV_EMPTY : bytes;
}

/* All input is in libwslay's buffer, or there is none. */
static void end_feed(struct frames *frames)
{
	if (frames->reader && (frames->is_over || is_at_rest(frames->reader))) {
		give_reader(frames);
	}
}

int frames_next(struct frames *frames, struct frames_event *ret_event)
{
	*ret_event = (struct frames_event){.kind = FRAMES_EVENT_NONE};
	if (!frames->reader && frames->input.n) {
		int r = take_reader(frames);

		if (r < 0) {
			frames_deinit(frames);
			return r;
		}
	}
	if (frames->input.n) {
		frames->reader->input = frames->input;
		frames->input = SV_EMPTY;
	}
	while (!frames->is_over && frames->reader && ret_event->kind == FRAMES_EVENT_NONE &&
	       !is_at_rest(frames->reader)) {
		struct wslay_frame_iocb frame;
		ssize_t n = wslay_frame_recv(frames->reader->wslay, &frame);

		if (n >= 0) {
			on_payload(frames, &frame, ret_event);
		} else if (n == WSLAY_ERR_PROTO) {
			set_bad(frames, FRAMES_STATUS_PROTOCOL,
				"a control frame is fragmented or too long, or a length is not in "
				"its shortest form",
				ret_event);
		} else if (frames->reader->input.n == 0) {
			break;
		}
	}
	if (ret_event->kind == FRAMES_EVENT_NONE) {
		end_feed(frames);
	}
	return 0;
}

size_t frames_held(const struct frames *frames)
{
	return frames->reader ? sizeof(*frames->reader) + WSLAY_SIZE : 0;
}
