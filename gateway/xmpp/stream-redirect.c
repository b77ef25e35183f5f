/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"

/* Returns the length of the start tag, in which ">" may be quoted. @element is well-formed. */
static size_t start_tag(struct sv element)
{
	char quote = '\0';

	for (size_t i = 0; i < element.n; i++) {
		char c = element.data[i];

		if (quote) {
			quote = c == quote ? '\0' : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '>') {
			return i + 1;
		}
	}
	return element.n;
}

/* Returns what is between the tags, if that is only text. Entities are not decoded, because names
 * of hosts need none. */
static struct sv content(struct sv element)
{
	struct sv rest = sv_skip(element, start_tag(element));
	struct sv text = sv_first(rest, sv_find(rest, '<'));
	struct sv end_tag = sv_skip(rest, text.n);

	return sv_starts_with(end_tag, SV("</")) ? text : SV_EMPTY;
}

bool stream_event_redirect(const struct stream *stream, struct redirect *ret_redirect)
{
	if (!stream->error_is_early) {
		return false;
	}
	for (size_t i = 0; i < stream->item.n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, &stream->item, i);

		if (child.ns == NS_STREAM_ERRORS && sv_eq(child.name, SV("see-other-host"))) {
			/* Without memory the error goes to the client, like one without a host. */
			return redirect_parse(content(child.text), ret_redirect) == 0;
		}
	}
	return false;
}
