/* SPDX-License-Identifier: MIT */
#include "gateway/ws/frames.h"

#include <errno.h>

enum {
	/* Of the status in a close frame. */
	STATUS_SIZE = 2,
};

void frames_init(struct frames *frames, bool may_code)
{
	*frames = (struct frames){.may_code = may_code};
}

void frames_deinit(struct frames *frames)
{
	buffer_deinit(&frames->partial);
	frames->n_input = 0;
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

static const char *judge_control(const struct frame_header *header)
{
	if (header->opcode > FRAME_PONG) {
		return "the opcode is not defined";
	}
	if (!header->is_final) {
		return "a control frame is fragmented";
	}
	return header->n_payload > FRAME_LENGTH_7 ? "a control frame is too long" : NULL;
}

static const char *judge_data(const struct frames *frames, const struct frame_header *header)
{
	if (header->opcode > FRAME_BINARY) {
		return "the opcode is not defined";
	}
	if (header->opcode == FRAME_CONTINUATION) {
		return frames->is_in_message ? NULL : "a continuation continues nothing";
	}
	return frames->is_in_message ? "a message begins before the last one has ended" : NULL;
}

/* The rule that a header breaks, or NULL. */
static const char *judge(const struct frames *frames, const struct frame_header *header)
{
	bool begins = header->opcode == FRAME_TEXT || header->opcode == FRAME_BINARY;
	bool may_code = frames->may_code && begins;

	if (!header->is_masked) {
		return "the frame is not masked";
	}
	if (header->is_reserved || (header->is_coded && !may_code)) {
		return "a reserved bit is set";
	}
	if (!header->is_shortest) {
		return "a length is not in its shortest form";
	}
	if (header->n_payload > INT64_MAX) {
		return "a length has its top bit set";
	}
	return is_control(header->opcode) ? judge_control(header) : judge_data(frames, header);
}

static void begin_frame(struct frames *frames, const struct frame_header *header,
			struct frames_event *event)
{
	const char *mistake = judge(frames, header);

	if (mistake) {
		set_bad(frames, FRAMES_STATUS_PROTOCOL, mistake, event);
		return;
	}
	frames->is_in_frame = true;
	frames->is_final = header->is_final;
	frames->opcode = (uint8_t)header->opcode;
	frames->n_left = header->n_payload;
	memcpy(frames->mask, header->mask, sizeof(frames->mask));
	if (header->opcode == FRAME_TEXT || header->opcode == FRAME_BINARY) {
		frames->is_in_message = true;
		frames->is_text = header->opcode == FRAME_TEXT;
		frames->is_coded = header->is_coded;
		frames->text = (struct utf8){0};
	}
}

static struct sv take_input(struct frames *frames, size_t n)
{
	struct sv taken = {frames->input, n};

	frames->input += n;
	frames->n_input -= n;
	return taken;
}

/* Reads a header from the input, and from `partial`, where the input ends up if it is not all of a
 * header. Returns 0 or -ENOMEM. */
static int read_header(struct frames *frames, struct frames_event *event)
{
	struct sv input = {frames->input, frames->n_input};
	size_t n_partial = frames->partial.n;
	struct frame_header header;

	if (n_partial) {
		/* A header has at most 14 bytes; more than that of the input is not needed. */
		input = sv_first(input, FRAME_HEAD_MAX + FRAME_MASK_SIZE);
		int r = buffer_append_sv(&frames->partial, input);

		if (r < 0) {
			return r;
		}
		input = buffer_sv(&frames->partial);
	}
	size_t n = frame_header_read(input, &header);

	if (n) {
		(void)take_input(frames, n - n_partial);
		buffer_deinit(&frames->partial);
		begin_frame(frames, &header, event);
		return 0;
	}
	input = take_input(frames, frames->n_input);
	return n_partial ? 0 : buffer_append_sv(&frames->partial, input);
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
	frames->is_in_message = !is_final;
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
	frames->n_input = 0;
	frames->is_over = true;
}

/* Returns 0 or -ENOMEM. */
static int on_control(struct frames *frames, struct sv data, struct frames_event *event)
{
	if (frames->is_in_frame || frames->partial.n) {
		int r = buffer_append_sv(&frames->partial, data);

		if (r < 0 || frames->is_in_frame) {
			return r;
		}
		data = buffer_sv(&frames->partial);
		frames->is_told = true;
	}
	if (frames->opcode == FRAME_CLOSE) {
		on_close(frames, data, event);
		return 0;
	}
	*event = (struct frames_event){
		.kind = frames->opcode == FRAME_PING ? FRAMES_EVENT_PING : FRAMES_EVENT_PONG,
		.data = data,
	};
	return 0;
}

/* Reads what has arrived of a payload. Returns 0 or -ENOMEM. */
static int read_payload(struct frames *frames, struct frames_event *event)
{
	size_t n = frames->n_left < frames->n_input ? (size_t)frames->n_left : frames->n_input;

	frame_unmask(frames->mask, frames->input, n);
	struct sv data = take_input(frames, n);

	frames->n_left -= n;
	frames->is_in_frame = frames->n_left > 0;
	if (is_control(frames->opcode)) {
		return on_control(frames, data, event);
	}
	on_data(frames, data, frames->is_final && !frames->is_in_frame, event);
	return 0;
}

void frames_feed(struct frames *frames, char *bytes, size_t n)
{
	frames->input = bytes;
	frames->n_input = frames->is_over ? 0 : n;
}

int frames_next(struct frames *frames, struct frames_event *ret_event)
{
	int r = 0;

	*ret_event = (struct frames_event){.kind = FRAMES_EVENT_NONE};
	if (frames->is_told) {
		frames->is_told = false;
		buffer_deinit(&frames->partial);
	}
	while (r == 0 && frames->n_input && ret_event->kind == FRAMES_EVENT_NONE) {
		if (!frames->is_in_frame) {
			r = read_header(frames, ret_event);
		}
		/* A payload may be empty. */
		if (r == 0 && frames->is_in_frame) {
			r = read_payload(frames, ret_event);
		}
	}
	if (r < 0) {
		frames_deinit(frames);
	}
	return r;
}

size_t frames_held(const struct frames *frames)
{
	return frames->partial.size;
}
