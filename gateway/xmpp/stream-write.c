/* SPDX-License-Identifier: MIT */
#include "common/writer.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"

#define STREAM_DECLARATION SV(" xmlns:stream='http://etherx.jabber.org/streams'")
#define FEATURES_EMPTY SV("<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")

/* Whether the gateway negotiates @child itself, so that clients must not see it. */
static bool is_hidden(const struct xml_child *child)
{
	return (child->ns == NS_TLS && sv_eq(child->name, SV("starttls"))) ||
	       (child->ns == NS_COMPRESS_FEATURE && sv_eq(child->name, SV("compression")));
}

/* Writes the item's bytes from @from to @to, without the hidden children. */
static void write_content(const struct stream *stream, size_t from, size_t to,
			  struct writer *writer)
{
	const struct xml_item *item = &stream->item;

	for (size_t i = 0; i < item->n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, item, i);
		size_t start = (size_t)(child.text.data - item->text.data);

		if (item->ns == NS_STREAMS && is_hidden(&child)) {
			writer_put(writer, (struct sv){item->text.data + from, start - from});
			from = start + child.text.n;
		}
	}
	writer_put(writer, (struct sv){item->text.data + from, to - from});
}

/* Whether the element can get the prefix "stream": it has another one, and "stream" means nothing
 * else in it. @missing has the inherited declarations that it uses. */
static bool can_rename(const struct xml_item *item, struct sv missing)
{
	struct sv prefix = {item->text.data + 1, item->n_prefix};
	struct sv tag = sv_first(item->text, item->n_open);

	return !sv_eq(prefix, SV("stream:")) && !sv_contains(tag, SV("xmlns:stream")) &&
	       (!sv_contains(missing, SV(" xmlns:stream='")) ||
		sv_contains(missing, STREAM_DECLARATION));
}

/* Writes the element with the prefix "stream": Strophe and others look for "stream:features" by
 * that very name. */
static void write_renamed(const struct stream *stream, struct sv missing, struct writer *writer)
{
	const struct xml_item *item = &stream->item;
	bool is_empty = item->n_open == item->text.n;
	const char *end_tag = memrchr(item->text.data, '<', item->text.n);
	size_t end = is_empty ? item->text.n : (size_t)(end_tag - item->text.data);

	writer_put(writer, SV("<stream:"));
	writer_put(writer, item->name);
	if (!sv_contains(missing, STREAM_DECLARATION)) {
		writer_put(writer, STREAM_DECLARATION);
	}
	writer_put(writer, missing);
	write_content(stream, 1 + item->n_prefix + item->name.n, end, writer);
	if (!is_empty) {
		writer_put(writer, SV("</stream:"));
		writer_put(writer, item->name);
		writer_put(writer, SV(">"));
	}
}

/* Writes an element of the streams namespace. */
static int write_stream_element(const struct stream *stream, struct buffer *buffer)
{
	_cleanup_(buffer_deinit) struct buffer missing = BUFFER_INIT;
	const struct xml_item *item = &stream->item;
	size_t n_head = 1 + item->n_prefix + item->name.n;
	struct writer writer = writer_begin(buffer);

	writer_fail(&writer, xml_item_write_missing(&stream->scan, item, &missing));
	if (can_rename(item, buffer_sv(&missing))) {
		write_renamed(stream, buffer_sv(&missing), &writer);
	} else {
		writer_put(&writer, sv_first(item->text, n_head));
		writer_put(&writer, buffer_sv(&missing));
		write_content(stream, n_head, item->text.n, &writer);
	}
	return writer_end(&writer);
}

int stream_event_split(const struct stream *stream, struct buffer *buffer, struct sv *ret_rest)
{
	*ret_rest = SV_EMPTY;
	if (stream->is_repeating) {
		return buffer_append_sv(buffer, stream->features.n ? buffer_sv(&stream->features)
								   : FEATURES_EMPTY);
	}
	if (stream->item.ns == NS_STREAMS) {
		return write_stream_element(stream, buffer);
	}
	return xml_item_split(&stream->scan, &stream->item, buffer, ret_rest);
}

int stream_event_write(const struct stream *stream, struct buffer *buffer)
{
	struct sv rest;
	int r = stream_event_split(stream, buffer, &rest);

	return r < 0 ? r : buffer_append_sv(buffer, rest);
}

int stream_event_take(struct stream *stream, struct buffer *buffer)
{
	if (stream->is_repeating || stream->item.ns == NS_STREAMS) {
		return stream_event_write(stream, buffer);
	}
	return xml_item_take(&stream->scan, &stream->item, buffer);
}
