/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"

#define STREAM_DECLARATION SV(" xmlns:stream='http://etherx.jabber.org/streams'")
#define FEATURES_EMPTY SV("<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")

/* What the gateway negotiates itself and a client must not see. */
static bool is_hidden(const struct xml_child *child)
{
	return (child->ns == NS_TLS && sv_eq(child->name, SV("starttls"))) ||
	       (child->ns == NS_COMPRESS_FEATURE && sv_eq(child->name, SV("compression")));
}

/* The item's bytes from @from to @to, without the children that are hidden. */
static int write_content(const struct stream *stream, size_t from, size_t to, struct buffer *buffer)
{
	const struct xml_item *item = &stream->item;
	int r;

	for (size_t i = 0; i < item->n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, item, i);
		size_t start = (size_t)(child.text.data - item->text.data);

		if (!is_hidden(&child)) {
			continue;
		}
		r = buffer_append(buffer, item->text.data + from, start - from);
		if (r < 0) {
			return r;
		}
		from = start + child.text.n;
	}
	return buffer_append(buffer, item->text.data + from, to - from);
}

/* Whether the element can be given the prefix "stream": it has another one, and that word means nothing else in it.
 * @missing: the inherited declarations that it uses. */
static bool can_rename(const struct xml_item *item, struct sv missing)
{
	struct sv prefix = {item->text.data + 1, item->n_prefix};
	struct sv tag = sv_first(item->text, item->n_open);

	return !sv_eq(prefix, SV("stream:")) && sv_find_sv(tag, SV("xmlns:stream")) == tag.n &&
	       (sv_find_sv(missing, SV(" xmlns:stream='")) == missing.n ||
		sv_find_sv(missing, STREAM_DECLARATION) < missing.n);
}

/* The element under the prefix "stream", which Strophe and others look for to the letter. */
static int write_renamed(const struct stream *stream, struct sv missing, struct buffer *buffer)
{
	const struct xml_item *item = &stream->item;
	size_t end = item->text.n;
	int r = buffer_append_sv(buffer, SV("<stream:"));

	if (r == 0) {
		r = buffer_append_sv(buffer, item->name);
	}
	if (r == 0 && sv_find_sv(missing, STREAM_DECLARATION) == missing.n) {
		r = buffer_append_sv(buffer, STREAM_DECLARATION);
	}
	if (r == 0) {
		r = buffer_append_sv(buffer, missing);
	}
	if (item->n_open < item->text.n) {
		const char *end_tag = memrchr(item->text.data, '<', item->text.n);

		end = (size_t)(end_tag - item->text.data);
	}
	if (r == 0) {
		r = write_content(stream, 1 + item->n_prefix + item->name.n, end, buffer);
	}
	if (r < 0 || end == item->text.n) {
		return r;
	}
	r = buffer_append_sv(buffer, SV("</stream:"));
	if (r == 0) {
		r = buffer_append_sv(buffer, item->name);
	}
	return r < 0 ? r : buffer_append_sv(buffer, SV(">"));
}

int stream_event_write(const struct stream *stream, struct buffer *buffer)
{
	_cleanup_(buffer_deinit) struct buffer missing = BUFFER_INIT;
	const struct xml_item *item = &stream->item;
	size_t n_head = 1 + item->n_prefix + item->name.n;

	if (stream->repeating) {
		return buffer_append_sv(buffer, stream->features.n ? buffer_sv(&stream->features)
								   : FEATURES_EMPTY);
	}
	if (item->ns != NS_STREAMS) {
		return xml_item_write(&stream->scan, item, 0, buffer);
	}
	int r = xml_item_write_missing(&stream->scan, item, 0, &missing);

	if (r == 0 && can_rename(item, buffer_sv(&missing))) {
		return write_renamed(stream, buffer_sv(&missing), buffer);
	}
	if (r == 0) {
		r = buffer_append_sv(buffer, sv_first(item->text, n_head));
	}
	if (r == 0) {
		r = buffer_append_sv(buffer, buffer_sv(&missing));
	}
	return r < 0 ? r : write_content(stream, n_head, item->text.n, buffer);
}
