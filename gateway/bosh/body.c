/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/body.h"

#include <errno.h>

#include "gateway/bosh/key.h"
#include "gateway/xmpp/namespace.h"

struct xml_scan_options bosh_body_options(size_t n_max)
{
	return (struct xml_scan_options){.n_element_max = n_max};
}

void bosh_body_deinit(struct bosh_body *body)
{
	buffer_deinit(&body->payloads);
	buffer_deinit(&body->text);
}

/* The attributes that are texts. */
static const struct {
	int ns;
	struct sv name;
	size_t offset;
} texts[] = {
#define TEXT(ns, name, field)                                                   \
	{                                                                       \
		ns, {name, sizeof(name) - 1}, offsetof(struct bosh_body, field) \
	}
	TEXT(XML_NS_NONE, "sid", sid),
	TEXT(XML_NS_NONE, "to", to),
	TEXT(XML_NS_NONE, "from", from),
	TEXT(XML_NS_NONE, "route", route),
	TEXT(NS_XML, "lang", lang),
	TEXT(XML_NS_NONE, "type", type),
	TEXT(XML_NS_NONE, "condition", condition),
	TEXT(XML_NS_NONE, "content", content),
	TEXT(XML_NS_NONE, "key", key),
	TEXT(XML_NS_NONE, "newkey", newkey),
	TEXT(XML_NS_NONE, "stream", stream),
	TEXT(NS_XBOSH, "version", xmpp_version),
#undef TEXT
};

static int read_texts(struct bosh_body *body, const struct xml_scan *scan,
		      const struct xml_item *root)
{
	size_t starts[ARRAY_LENGTH(texts)], lengths[ARRAY_LENGTH(texts)];
	bool is_set[ARRAY_LENGTH(texts)];
	int result = BOSH_BODY_OK;

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct sv value = xml_item_attribute(scan, root, texts[i].ns, texts[i].name);

		if (value.n > BOSH_ATTRIBUTE_MAX) {
			/* The other attributes still tell the session. */
			result = BOSH_BODY_E_TOO_COMPLEX;
			value = SV_EMPTY;
		}
		is_set[i] = value.data;
		starts[i] = body->text.n;
		lengths[i] = value.n;
		int r = buffer_append_sv(&body->text, value);

		if (r < 0) {
			return r;
		}
	}
	/* Views into the buffer are valid only now that it does not move any more. */
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct sv *field = (struct sv *)((char *)body + texts[i].offset);

		if (is_set[i]) {
			*field = sv_first(sv_skip(buffer_sv(&body->text), starts[i]), lengths[i]);
		}
	}
	return result;
}

static int read_number(const struct xml_scan *scan, const struct xml_item *root, struct sv name,
		       struct bosh_number *ret_number)
{
	struct sv value = xml_item_attribute(scan, root, XML_NS_NONE, name);

	if (!value.data) {
		return BOSH_BODY_OK;
	}
	ret_number->is_set = sv_to_u64(value, BOSH_RID_MAX, &ret_number->value) == 0;
	return ret_number->is_set ? BOSH_BODY_OK : BOSH_BODY_E_BAD_REQUEST;
}

/* "<major>.<minor>", the minor an integer of its own: 1.10 is later than 1.6. */
static int read_ver(struct bosh_body *body, const struct xml_scan *scan,
		    const struct xml_item *root)
{
	struct sv ver = xml_item_attribute(scan, root, XML_NS_NONE, SV("ver"));
	size_t dot = sv_find(ver, '.');
	uint64_t major, minor;

	body->has_ver = ver.data;
	if (!ver.data) {
		return BOSH_BODY_OK;
	}
	if (sv_to_u64(sv_first(ver, dot), 65535, &major) < 0 ||
	    sv_to_u64(sv_skip(ver, dot + 1), 65535, &minor) < 0) {
		return BOSH_BODY_E_BAD_REQUEST;
	}
	body->ver_major = (unsigned)major;
	body->ver_minor = (unsigned)minor;
	return BOSH_BODY_OK;
}

static int read_numbers(struct bosh_body *body, const struct xml_scan *scan,
			const struct xml_item *root)
{
	struct bosh_number rid = {0};
	const struct {
		struct sv name;
		struct bosh_number *number;
	} numbers[] = {
		{SV("rid"), &rid},       {SV("wait"), &body->wait},   {SV("hold"), &body->hold},
		{SV("ack"), &body->ack}, {SV("pause"), &body->pause},
	};
	struct sv restart = xml_item_attribute(scan, root, NS_XBOSH, SV("restart"));
	int result = BOSH_BODY_OK;

	for (size_t i = 0; result == BOSH_BODY_OK && i < ARRAY_LENGTH(numbers); i++) {
		result = read_number(scan, root, numbers[i].name, numbers[i].number);
	}
	body->has_rid = rid.is_set;
	body->rid = rid.value;
	body->wants_restart = sv_eq(restart, SV("true")) || sv_eq(restart, SV("1"));
	/* "Generation": a positive integer. */
	return result == BOSH_BODY_OK && rid.is_set && rid.value == 0 ? BOSH_BODY_E_BAD_REQUEST
								      : result;
}

static int read_root(struct bosh_body *body, const struct xml_scan *scan,
		     const struct xml_item *root)
{
	if (root->ns != NS_HTTPBIND || !sv_eq(root->name, SV("body"))) {
		return BOSH_BODY_E_BAD_REQUEST;
	}
	/* First, because it decides how a bad request is refused. */
	int r = read_ver(body, scan, root);

	if (r == BOSH_BODY_OK) {
		r = read_texts(body, scan, root);
	}
	if (r == BOSH_BODY_OK) {
		r = read_numbers(body, scan, root);
	}
	/* The session checks keys. A `newkey` that is no key at all is bad syntax. */
	struct bosh_key newkey;

	return r == BOSH_BODY_OK && body->newkey.data && !bosh_key_read(body->newkey, &newkey)
		     ? BOSH_BODY_E_BAD_REQUEST
		     : r;
}

/* The gateway opens the stream and negotiates TLS and compression. A client that sent elements of
 * these namespaces would speak to the server in the gateway's name. */
static bool is_refused(const struct xml_item *payload)
{
	return payload->ns == NS_STREAMS || payload->ns == NS_TLS || payload->ns == NS_COMPRESS ||
	       payload->ns == NS_FRAMING;
}

static int read_payload(struct bosh_body *body, const struct xml_scan *scan,
			const struct xml_item *payload)
{
	if (is_refused(payload)) {
		return BOSH_BODY_E_BAD_REQUEST;
	}
	body->n_payloads++;
	return xml_item_write(scan, payload, NS_BIT(HTTPBIND) | NS_BIT(CLIENT), &body->payloads);
}

static int result_of(int r)
{
	switch (r) {
	case 0:
		return BOSH_BODY_OK;
	case XML_E_TOO_LARGE:
		return BOSH_BODY_E_TOO_COMPLEX;
	default:
		return r < 0 ? r : BOSH_BODY_E_BAD_REQUEST;
	}
}

static int read_items(struct bosh_body *body, struct xml_scan *scan, int feed_result)
{
	struct xml_item item;
	int r = BOSH_BODY_OK, scan_result;

	while (xml_scan_next(scan, &item, &scan_result)) {
		if (r != BOSH_BODY_OK) {
			continue;
		}
		if (item.kind == XML_ITEM_ROOT) {
			r = read_root(body, scan, &item);
		} else if (item.kind == XML_ITEM_ELEMENT) {
			r = read_payload(body, scan, &item);
		}
	}
	if (r == BOSH_BODY_OK) {
		r = result_of(feed_result ? feed_result : scan_result);
	}
	return r == BOSH_BODY_OK && !xml_scan_is_complete(scan) ? BOSH_BODY_E_BAD_REQUEST : r;
}

int bosh_body_init(struct bosh_body *ret_body, struct xml_pool *pool,
		   const struct xml_scan_options *options, struct sv text)
{
	struct xml_scan scan;

	*ret_body = (struct bosh_body){0};
	if (text.n > options->n_element_max) {
		return BOSH_BODY_E_TOO_LARGE;
	}
	/* White space or an XML declaration in front needs the other way of scanning. */
	if (sv_starts_with(text, SV("<body"))) {
		xml_scan_init_whole(&scan, pool, options);
	} else {
		xml_scan_init(&scan, pool, options);
	}
	int r = xml_scan_feed(&scan, text.data, text.n);

	if (r >= 0) {
		r = read_items(ret_body, &scan, r);
	}
	xml_scan_deinit(&scan);
	return r;
}

bool bosh_body_is_terminate(const struct bosh_body *body)
{
	/* gloox 1.0 writes "terminal". Not understood, its session would stay until it times
	 * out. */
	return sv_eq(body->type, SV("terminate")) || sv_eq(body->type, SV("terminal"));
}

bool bosh_body_is_extra(const struct bosh_body *body)
{
	return body->pause.is_set || bosh_body_is_terminate(body);
}
