/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/bounce.h"

#include <errno.h>

#include "common/ascii.h"
#include "common/writer.h"
#include "gateway/xmpp/namespace.h"

#define STANZA_ERRORS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* The three parts of an element's text. */
struct parts {
	struct sv open; /* the start tag, without its closing bracket */
	struct sv content;
	struct sv name; /* with its prefix */
};

static struct sv skip_space(struct sv text)
{
	while (text.n && ascii_is_white(text.data[0])) {
		text = sv_skip(text, 1);
	}
	return text;
}

static size_t name_length(struct sv text)
{
	size_t n = 0;

	while (n < text.n && !ascii_is_white(text.data[n]) && text.data[n] != '=' &&
	       text.data[n] != '/' && text.data[n] != '>') {
		n++;
	}
	return n;
}

/* Relies on expat having found the element to be well-formed. */
static struct parts split(const struct xml_item *item)
{
	bool is_empty = item->text.data[item->n_open - 2] == '/';
	struct sv open = sv_first(item->text, item->n_open - (is_empty ? 2 : 1));
	size_t n_close = 0;

	if (!is_empty) {
		do {
			n_close++;
		} while (item->text.data[item->text.n - n_close] != '<');
	}
	return (struct parts){
		.open = open,
		.content = sv_first(sv_skip(item->text, item->n_open),
				    item->text.n - item->n_open - n_close),
		.name = sv_first(sv_skip(open, 1), name_length(sv_skip(open, 1))),
	};
}

/* The next attribute as it stands in a start tag. */
struct attribute {
	struct sv name, value; /* the value has its quotes */
};

static bool next_attribute(struct sv *rest, struct attribute *ret_attribute)
{
	*rest = skip_space(*rest);
	size_t n = name_length(*rest);

	if (n == 0) {
		return false;
	}
	ret_attribute->name = sv_first(*rest, n);
	*rest = skip_space(sv_skip(*rest, n));
	*rest = skip_space(sv_skip(*rest, 1));
	n = 2 + sv_find(sv_skip(*rest, 1), rest->data[0]);
	ret_attribute->value = sv_first(*rest, n);
	*rest = sv_skip(*rest, n);
	return true;
}

static void put_attribute(struct writer *writer, struct sv name, struct sv quoted)
{
	writer_put(writer, SV(" "));
	writer_put(writer, name);
	writer_put(writer, SV("="));
	writer_put(writer, quoted);
}

/* The start tag of the error: it goes back to the sender, and everything else stays, namespace
 * declarations too. */
static void put_open(struct writer *writer, const struct parts *parts)
{
	struct sv rest = sv_skip(parts->open, 1 + parts->name.n);
	struct attribute attribute;

	writer_put(writer, sv_first(parts->open, 1 + parts->name.n));
	while (next_attribute(&rest, &attribute)) {
		if (sv_eq(attribute.name, SV("from"))) {
			put_attribute(writer, SV("to"), attribute.value);
		} else if (!sv_eq(attribute.name, SV("to")) && !sv_eq(attribute.name, SV("type"))) {
			put_attribute(writer, attribute.name, attribute.value);
		}
	}
	writer_put(writer, SV(" type='error'>"));
}

static int write_error(const struct parts *parts, bool keeps_content, struct sv error,
		       struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);

	put_open(&writer, parts);
	if (keeps_content) {
		writer_put(&writer, parts->content);
	}
	writer_put(&writer, error);
	writer_put(&writer, SV("</"));
	writer_put(&writer, parts->name);
	writer_put(&writer, SV(">"));
	return writer_end(&writer);
}

static int bounce(const struct xml_scan *scan, const struct xml_item *item, struct buffer *answers)
{
	struct sv type = xml_item_attribute(scan, item, XML_NS_NONE, SV("type"));
	struct parts parts = split(item);

	if (item->ns != NS_CLIENT || !xml_item_attribute(scan, item, XML_NS_NONE, SV("from")).n) {
		return 0;
	}
	if (sv_eq(item->name, SV("message")) && !sv_eq(type, SV("error"))) {
		return write_error(&parts, true,
				   SV("<error xmlns='jabber:client' type='wait'>"
				      "<recipient-unavailable xmlns='" STANZA_ERRORS "'/></error>"),
				   answers);
	}
	if (sv_eq(item->name, SV("iq")) && (sv_eq(type, SV("get")) || sv_eq(type, SV("set")))) {
		return write_error(&parts, false,
				   SV("<error xmlns='jabber:client' type='cancel'>"
				      "<service-unavailable xmlns='" STANZA_ERRORS "'/></error>"),
				   answers);
	}
	return 0;
}

int bounce_stanzas(struct xml_pool *pool, struct sv stanzas, struct buffer *answers)
{
	const struct xml_scan_options options = {.n_element_max = stanzas.n,
						 .with_attributes = NS_BIT(CLIENT)};
	struct xml_scan scan;
	struct xml_item item;
	int r, scan_result;

	xml_scan_init_rootless(&scan, pool, &options);
	r = xml_scan_feed(&scan, stanzas.data, stanzas.n);
	if (r != -ENOMEM) {
		/* The list ends at the first element that cannot be parsed. */
		r = 0;
		while (xml_scan_next(&scan, &item, &scan_result)) {
			if (r == 0 && item.kind == XML_ITEM_ELEMENT) {
				r = bounce(&scan, &item, answers);
			}
		}
		r = r == 0 && scan_result < 0 ? scan_result : r;
	}
	xml_scan_deinit(&scan);
	return r;
}
