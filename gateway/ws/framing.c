/* SPDX-License-Identifier: MIT */
#include "gateway/ws/framing.h"

#include <errno.h>

#include "common/writer.h"
#include "gateway/xmpp/namespace.h"

enum {
	NO_DOCTYPE = UINT8_MAX,
};

/* Where expat stops at a DTD. What follows does not count: whether it has been seen by then depends
 * on how the message was cut. */
static const struct sv doctype = SV_INIT("<!D");

struct xml_scan_options framing_options(size_t n_max)
{
	return (struct xml_scan_options){
		.n_element_max = n_max,
		.with_attributes = NS_BIT(FRAMING),
	};
}

void framing_init(struct framing *framing, struct xml_pool *pool,
		  const struct xml_scan_options *options)
{
	*framing = (struct framing){
		.options = *options,
		.n_message_max = options->n_element_max,
	};
	xml_scan_init_rootless(&framing->scan, pool, &framing->options);
}

void framing_deinit(struct framing *framing)
{
	xml_scan_deinit(&framing->scan);
	buffer_deinit(&framing->element);
	buffer_deinit(&framing->text);
	framing->is_over = true;
}

#define TOO_LARGE "the message is larger than this gateway accepts now"

static struct framing_event bad(const char *condition, const char *reason, enum framing_fault fault)
{
	return (struct framing_event){
		.kind = FRAMING_EVENT_BAD,
		.condition = condition,
		.reason = reason,
		.fault = fault,
	};
}

struct framing_event framing_too_large(void)
{
	return bad("policy-violation", TOO_LARGE, FRAMING_FAULT_SIZE);
}

static void set_fault(struct framing *framing, const char *condition, const char *reason,
		      enum framing_fault fault)
{
	framing->event = bad(condition, reason, fault);
	framing->event_is_due = true;
	framing->is_over = true;
}

static void set_bad(struct framing *framing, const char *condition, const char *reason)
{
	set_fault(framing, condition, reason, FRAMING_FAULT_CONTENT);
}

static void set_too_large(struct framing *framing, const char *reason)
{
	set_fault(framing, "policy-violation", reason, FRAMING_FAULT_SIZE);
}

/* A DTD before the element. Within the element that the parser is in, expat sees no more than a
 * mistake at the first letter. */
static void look_for_doctype(struct framing *framing, struct sv data)
{
	for (size_t i = 0; i < data.n && framing->n_doctype < doctype.n; i++) {
		char c = data.data[i];

		if (c == doctype.data[framing->n_doctype]) {
			framing->n_doctype++;
		} else if (framing->n_doctype || !memchr(" \t\r\n", c, 4)) {
			framing->n_doctype = NO_DOCTYPE;
		}
	}
}

static bool is_doctype(const struct framing *framing)
{
	return framing->n_doctype == doctype.n;
}

static void set_bad_xml(struct framing *framing, int xml_result)
{
	if (xml_result == XML_E_SYNTAX && is_doctype(framing)) {
		xml_result = XML_E_RESTRICTED;
	}
	switch (xml_result) {
	case XML_E_RESTRICTED:
		set_bad(framing, "restricted-xml",
			"comments, processing instructions, DTDs and entity references are "
			"not allowed");
		break;
	case XML_E_TOO_LARGE:
		set_too_large(
			framing,
			"the element is larger or more deeply nested than this gateway accepts");
		break;
	default:
		set_bad(framing, "not-well-formed", "the message is not well-formed XML");
		break;
	}
}

/* Copies the attributes of <open/>, which are valid only until the next step of the scan. */
static int set_open(struct framing *framing, const struct xml_item *item)
{
	struct sv values[] = {
		xml_item_attribute(&framing->scan, item, XML_NS_NONE, SV("to")),
		xml_item_attribute(&framing->scan, item, XML_NS_NONE, SV("from")),
		xml_item_attribute(&framing->scan, item, NS_XML, SV("lang")),
		xml_item_attribute(&framing->scan, item, XML_NS_NONE, SV("version")),
	};
	struct framing_event *event = &framing->event;
	struct sv *fields[] = {&event->to, &event->from, &event->lang, &event->version};

	buffer_clear(&framing->text);
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		if (values[i].n > FRAMING_ATTRIBUTE_MAX) {
			set_too_large(framing, "an attribute of <open/> is too long");
			return 0;
		}
		int r = buffer_append_sv(&framing->text, values[i]);

		if (r < 0) {
			return r;
		}
	}
	struct sv rest = buffer_sv(&framing->text);

	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		*fields[i] = sv_first(rest, values[i].n);
		rest = sv_skip(rest, values[i].n);
	}
	event->kind = framing->is_opened ? FRAMING_EVENT_RESTART : FRAMING_EVENT_OPEN;
	return 0;
}

static int on_framing(struct framing *framing, const struct xml_item *item)
{
	if (sv_eq(item->name, SV("open"))) {
		return set_open(framing, item);
	}
	if (sv_eq(item->name, SV("close"))) {
		framing->event.kind = FRAMING_EVENT_CLOSE;
		return 0;
	}
	set_bad(framing, "unsupported-stanza-type",
		"of the framing elements only <open/> and <close/> are defined");
	return 0;
}

/* @stays: the bytes fed stay until the event has been reported. */
static int on_element(struct framing *framing, struct xml_item *item, bool stays)
{
	if (framing->event.kind != FRAMING_EVENT_NONE) {
		/* RFC 7395, 3.3.3: one element per message. */
		set_bad(framing, "bad-format", "a message may contain only one element");
		return 0;
	}
	framing->event = (struct framing_event){0};
	if (item->ns == NS_FRAMING) {
		return on_framing(framing, item);
	}
	if (!framing->is_opened) {
		set_bad(framing, "invalid-namespace",
			"the first element must be <open/> of the framing namespace");
		return 0;
	}
	if (item->ns == XML_NS_NONE) {
		set_bad(framing, "invalid-namespace", "the element has no namespace");
		return 0;
	}
	if (item->ns == NS_STREAMS || item->ns == NS_TLS || item->ns == NS_COMPRESS ||
	    item->ns == NS_HTTPBIND) {
		/* The gateway negotiates these with the server; a client must not interfere. */
		set_bad(framing, "unsupported-stanza-type",
			"the stream, TLS and compression are negotiated by the gateway");
		return 0;
	}
	framing->event.kind = FRAMING_EVENT_ELEMENT;
	if (stays && framing->scan.partial.n == 0 && item->missing == 0) {
		framing->event.element = item->text;
		return 0;
	}
	return xml_item_take(&framing->scan, item, &framing->element);
}

static void on_message_end(struct framing *framing)
{
	if (!xml_scan_is_idle(&framing->scan)) {
		set_bad(framing, "not-well-formed", "the message ends inside an element");
		return;
	}
	framing->n_message = 0;
	framing->n_doctype = 0;
	framing->event_is_due = framing->event.kind != FRAMING_EVENT_NONE;
	if (framing->event.element.n == 0) {
		framing->event.element = buffer_sv(&framing->element);
	}
}

int framing_feed(struct framing *framing, const char *data, size_t n, bool is_final, bool is_text)
{
	struct xml_item item;
	int r, scan_result;

	if (framing->is_over) {
		return 0;
	}
	if (!is_text) {
		set_fault(framing, "bad-format", "binary messages are not allowed",
			  FRAMING_FAULT_BINARY);
		return 0;
	}
	framing->n_message += n;
	if (framing->n_message > framing->n_message_max) {
		set_too_large(framing, TOO_LARGE);
		return 0;
	}
	look_for_doctype(framing, (struct sv){data, n});
	r = xml_scan_feed(&framing->scan, data, n);
	if (r == 0 && is_final) {
		r = xml_scan_flush(&framing->scan);
	}
	if (r < 0) {
		return r;
	}
	while (xml_scan_next(&framing->scan, &item, &scan_result)) {
		int item_result = 0;

		if (!framing->is_over && item.kind == XML_ITEM_ELEMENT) {
			item_result = on_element(framing, &item, is_final);
		} else if (!framing->is_over) {
			set_bad(framing, "not-well-formed", "the message is not an XML element");
		}
		if (item_result < 0) {
			return item_result;
		}
	}
	r = r ? r : scan_result;
	if (r < 0) {
		return r;
	}
	if (r > 0 && !framing->is_over) {
		set_bad_xml(framing, r);
	} else if (is_final && !framing->is_over) {
		on_message_end(framing);
	}
	return 0;
}

size_t framing_held(const struct framing *framing)
{
	return xml_scan_held(&framing->scan) + framing->element.size + framing->text.size;
}

void framing_next(struct framing *framing, struct framing_event *ret_event)
{
	*ret_event = (struct framing_event){0};
	if (!framing->event_is_due) {
		/* The last event is no longer valid. Free its bytes: an idle session holds none. */
		if (framing->event.kind == FRAMING_EVENT_NONE) {
			buffer_deinit(&framing->element);
			buffer_deinit(&framing->text);
		}
		return;
	}
	*ret_event = framing->event;
	framing->event_is_due = false;
	framing->event = (struct framing_event){0};
	framing->is_opened = framing->is_opened || ret_event->kind == FRAMING_EVENT_OPEN;
	framing->is_over = framing->is_over || ret_event->kind == FRAMING_EVENT_CLOSE;
}

int framing_write_open(struct buffer *buffer, const char *from, const char *id, const char *lang)
{
	struct writer writer = writer_begin(buffer);

	writer_put(&writer, SV("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'"));
	writer_attribute(&writer, SV("from"), sv_from(from));
	writer_attribute(&writer, SV("id"), sv_from(id));
	writer_attribute(&writer, SV("xml:lang"), sv_from(lang));
	writer_put(&writer, SV("/>"));
	return writer_end(&writer);
}

int framing_write_close(struct buffer *buffer, const char *see_other_uri)
{
	struct writer writer = writer_begin(buffer);

	writer_put(&writer, SV("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'"));
	writer_attribute(&writer, SV("see-other-uri"), sv_from(see_other_uri));
	writer_put(&writer, SV("/>"));
	return writer_end(&writer);
}

static void put_text(struct writer *writer, const char *text, const char *detail)
{
	writer_put(writer, SV("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>"));
	writer_escaped(writer, sv_from(text));
	if (detail && detail[0]) {
		writer_put(writer, SV(": "));
		writer_escaped(writer, sv_from(detail));
	}
	writer_put(writer, SV("</text>"));
}

int framing_write_error(struct buffer *buffer, const char *condition, const char *text,
			const char *detail)
{
	struct writer writer = writer_begin(buffer);

	writer_printf(&writer,
		      "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>"
		      "<%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>",
		      condition);
	if (text) {
		put_text(&writer, text, detail);
	}
	writer_put(&writer, SV("</stream:error>"));
	return writer_end(&writer);
}
