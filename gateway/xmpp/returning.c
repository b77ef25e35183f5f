/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/returning.h"

#include "gateway/xmpp/bounce.h"

void returning_init(struct returning *returning, struct stream *stream, struct mono now)
{
	*returning = (struct returning){
		.stream = stream,
		.end = mono_add_ms(now, RETURNING_MS),
		.quiet_end = mono_add_ms(now, RETURNING_QUIET_MS),
		.n_left = RETURNING_BYTES_MAX,
	};
}

/* Returns the element of the last event, unless the server manages the stream. */
static int return_element(struct stream *stream, struct buffer *answers)
{
	_cleanup_(buffer_deinit) struct buffer element = BUFFER_INIT;

	if (stream->is_managed) {
		return 0;
	}
	int r = stream_event_write(stream, &element);

	return r < 0 ? r : bounce_stanzas(stream->pool, buffer_sv(&element), answers);
}

/* Returns what came to the end of the stream, or to the end of what was fed. */
static int return_all(struct stream *stream, struct buffer *answers)
{
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	int r;

	do {
		r = stream_next(stream, &kind);
		if (r == 0 && kind == STREAM_EVENT_ELEMENT) {
			r = return_element(stream, answers);
		}
	} while (r == 0 && kind != STREAM_EVENT_NONE && stream->state == STREAM_STATE_OPEN);
	return r;
}

int returning_take(struct returning *returning, struct sv bytes, struct mono now,
		   struct buffer *answers)
{
	struct stream *stream = returning->stream;
	struct sv taken =
		sv_first(bytes, bytes.n < returning->n_left ? bytes.n : returning->n_left);
	int r = taken.n ? stream_feed(stream, taken.data, taken.n) : 0;

	returning->n_left -= taken.n;
	if (taken.n) {
		returning->quiet_end = mono_add_ms(now, RETURNING_QUIET_MS);
	}
	if (r == 0) {
		r = return_all(stream, answers);
	}
	if (r < 0) {
		return r;
	}
	bool is_over =
		stream->state != STREAM_STATE_OPEN || stream->is_managed || taken.n < bytes.n;

	return is_over ? RETURNING_OVER : RETURNING_MORE;
}

void returning_hold(struct returning *returning, bool is_held, struct mono now)
{
	returning->quiet_end = is_held ? MONO_NEVER : mono_add_ms(now, RETURNING_QUIET_MS);
}

void returning_note_unread(struct returning *returning, struct mono now)
{
	if (!mono_is_never(returning->quiet_end)) {
		returning->quiet_end = mono_add_ms(now, RETURNING_QUIET_MS);
	}
}

struct mono returning_deadline(const struct returning *returning)
{
	return mono_earlier(returning->end, returning->quiet_end);
}
