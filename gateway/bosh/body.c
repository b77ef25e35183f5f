/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/body.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/key.h"
#include "gateway/xmpp/namespace.h"

enum {
	/* Payloads of this size are not copied if that can be avoided. */
	TAKE_MIN = 16 * 1024,
};

/* A body that is being read. */
struct reading {
	struct bosh_body *body;
	struct xml_scan scan;
	int result;          /* so far */
	bool is_in_portions; /* what was read is not there any more when the next one comes */
	struct sv run; /* the latest payloads, which stand in the text as they go to the server, one
			* behind the other; they are not in body->payloads yet */
};

struct xml_scan_options bosh_body_options(size_t n_max)
{
	return (struct xml_scan_options){
		.n_element_max = n_max,
		/* The server has one as its default, and what has the other is taken as if it had
		 * the first. */
		.without_default = NS_BIT(HTTPBIND) | NS_BIT(CLIENT),
	};
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
#define TEXT(ns, name, field)                                        \
	{                                                            \
		ns, SV_INIT(name), offsetof(struct bosh_body, field) \
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
 * these namespaces would speak to the server in the gateway's name.
 *
 * The body's namespace has no payloads (XEP-0124, "XML Schema"). Where it is the default one, it
 * stands for jabber:client (XEP-0206); with a prefix nobody can mean that, and a server would end
 * the stream. */
static bool is_refused(const struct xml_item *payload)
{
	return payload->ns == NS_STREAMS || payload->ns == NS_TLS || payload->ns == NS_COMPRESS ||
	       payload->ns == NS_FRAMING || (payload->ns == NS_HTTPBIND && payload->n_prefix);
}

/* Returns 0 or -ENOMEM. */
static int end_run(struct reading *reading)
{
	struct sv run = reading->run;

	reading->run = SV_EMPTY;
	return buffer_append_sv(&reading->body->payloads, run);
}

/* The default namespace that @payload declares itself, with the white space in front; empty if it
 * declares none. expat has found the tag to be well-formed: outside of values, '=' stands only
 * between a name and its value. */
static struct sv find_default(const struct xml_item *payload)
{
	size_t n_name = 1 + payload->n_prefix + payload->name.n, n_before;
	struct sv rest = sv_skip(sv_first(payload->text, payload->n_open), n_name);

	while ((n_before = sv_find(rest, '=')) < rest.n) {
		struct sv value = sv_trim(sv_skip(rest, n_before + 1));
		size_t n_value = 2 + sv_find(sv_skip(value, 1), value.data[0]);
		struct sv attribute = sv_first(rest, (size_t)(value.data - rest.data) + n_value);

		if (sv_eq(sv_trim(sv_first(rest, n_before)), SV("xmlns"))) {
			return attribute;
		}
		rest = sv_skip(rest, attribute.n);
	}
	return SV_EMPTY;
}

/* What @payload has to lose, to be taken as jabber:client: that it says itself that it has no
 * namespace, as some serializers write, or that of the body. */
static struct sv default_to_lose(const struct xml_item *payload)
{
	bool is_client = payload->ns == XML_NS_NONE || payload->ns == NS_HTTPBIND;

	return is_client ? find_default(payload) : SV_EMPTY;
}

/* Writes @payload without @lost, which is a part of it. Returns 0 or -ENOMEM. */
static int write_without(const struct reading *reading, const struct xml_item *payload,
			 struct sv lost)
{
	struct buffer *payloads = &reading->body->payloads;
	struct sv rest;
	int r = xml_item_split(&reading->scan, payload, payloads, &rest);

	if (r == 0) {
		r = buffer_append_sv(payloads, sv_first(rest, (size_t)(lost.data - rest.data)));
	}
	return r < 0 ? r
		     : buffer_append_sv(payloads,
					sv_skip(rest, (size_t)(lost.data - rest.data) + lost.n));
}

static int read_payload(struct reading *reading, const struct xml_item *payload)
{
	struct sv *run = &reading->run, text = payload->text;

	if (is_refused(payload)) {
		return BOSH_BODY_E_BAD_REQUEST;
	}
	reading->body->n_payloads++;
	struct sv lost = default_to_lose(payload);
	bool is_complete = lost.n == 0 && xml_item_is_complete(&reading->scan, payload);

	if (is_complete && run->n && run->data + run->n == text.data) {
		run->n += text.n;
		return BOSH_BODY_OK;
	}
	int r = end_run(reading);

	if (is_complete) {
		*run = text;
		return r;
	}
	if (r < 0) {
		return r;
	}
	return lost.n ? write_without(reading, payload, lost)
		      : xml_item_write(&reading->scan, payload, &reading->body->payloads);
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

static int read_item(struct reading *reading, const struct xml_item *item)
{
	int r = BOSH_BODY_OK;

	if (item->kind == XML_ITEM_ROOT) {
		r = read_root(reading->body, &reading->scan, item);
	} else if (item->kind == XML_ITEM_ELEMENT) {
		r = read_payload(reading, item);
	}
	return reading->is_in_portions && r == BOSH_BODY_OK ? end_run(reading) : r;
}

/* Reads what follows, @text, up to what is refused. */
static void read_on(struct reading *reading, struct sv text)
{
	struct xml_scan *scan = &reading->scan;
	struct xml_item item;
	int r = BOSH_BODY_OK, scan_result = 0;
	int feed_result = xml_scan_feed(scan, text.data, text.n);

	if (feed_result < 0) {
		reading->result = feed_result;
		return;
	}
	while (r == BOSH_BODY_OK && xml_scan_next(scan, &item, &scan_result)) {
		r = read_item(reading, &item);
	}
	/* An element that is over a limit stands before the failure of the feed. */
	reading->result =
		r == BOSH_BODY_OK ? result_of(scan_result ? scan_result : feed_result) : r;
}

/* There is no more. */
static int end_reading(struct reading *reading)
{
	bool is_bad = reading->result == BOSH_BODY_OK && !xml_scan_is_complete(&reading->scan);

	xml_scan_deinit(&reading->scan);
	return is_bad ? BOSH_BODY_E_BAD_REQUEST : reading->result;
}

/* Reads @text. What is left of the payloads is in reading->run. */
static int read_all(struct reading *reading, struct bosh_body *ret_body, struct xml_pool *pool,
		    const struct xml_scan_options *options, struct sv text)
{
	struct xml_scan *scan = &reading->scan;

	*ret_body = (struct bosh_body){0};
	*reading = (struct reading){.body = ret_body};
	if (text.n > options->n_element_max) {
		return BOSH_BODY_E_TOO_LARGE;
	}
	/* White space or an XML declaration in front needs the other way of scanning. */
	if (sv_starts_with(text, SV("<body"))) {
		xml_scan_init_whole(scan, pool, options);
	} else {
		xml_scan_init(scan, pool, options);
	}
	read_on(reading, text);
	return end_reading(reading);
}

int bosh_body_init(struct bosh_body *ret_body, struct xml_pool *pool,
		   const struct xml_scan_options *options, struct sv text)
{
	struct reading reading;
	int r = read_all(&reading, ret_body, pool, options, text);
	int r_run = end_run(&reading);

	return r_run < 0 ? r_run : r;
}

int bosh_body_init_taking(struct bosh_body *ret_body, struct xml_pool *pool,
			  const struct xml_scan_options *options, struct buffer *text)
{
	struct reading reading;
	int r = read_all(&reading, ret_body, pool, options, buffer_sv(text));
	struct sv run = reading.run;

	/* Half of the memory must be theirs, no matter what else the text had or how it was coded:
	 * they may have to wait, and the limit of that (BOSH_WAITING_MAX) counts their bytes. */
	if (ret_body->payloads.n == 0 && run.n >= TAKE_MIN && run.n >= text->size - run.n) {
		size_t n_before = (size_t)(run.data - buffer_sv(text).data);

		ret_body->payloads = *text;
		*text = BUFFER_INIT;
		buffer_consume(&ret_body->payloads, n_before);
		buffer_truncate(&ret_body->payloads, run.n);
		return r;
	}
	int r_run = end_run(&reading);

	return r_run < 0 ? r_run : r;
}

struct bosh_reading {
	struct reading reading;
	struct bosh_body body;
	size_t n; /* bytes that were read */
};

int bosh_reading_new(struct xml_pool *pool, const struct xml_scan_options *options,
		     struct bosh_reading **ret_reading)
{
	struct bosh_reading *reading = calloc(1, sizeof(*reading));

	if (!reading) {
		return -ENOMEM;
	}
	reading->reading.body = &reading->body;
	reading->reading.is_in_portions = true;
	xml_scan_init(&reading->reading.scan, pool, options);
	*ret_reading = reading;
	return 0;
}

struct bosh_reading *bosh_reading_free(struct bosh_reading *reading)
{
	if (reading) {
		xml_scan_deinit(&reading->reading.scan);
		bosh_body_deinit(&reading->body);
		free(reading);
	}
	return NULL;
}

bool bosh_reading_go_on(struct bosh_reading *reading, struct sv text, size_t n)
{
	struct reading *state = &reading->reading;
	struct sv piece = sv_first(sv_skip(text, reading->n), n);

	if (state->result != BOSH_BODY_OK) {
		return true;
	}
	if (text.n > state->scan.options->n_element_max) {
		state->result = BOSH_BODY_E_TOO_LARGE;
		return true;
	}
	if (piece.n) {
		read_on(state, piece);
		reading->n += piece.n;
	}
	return reading->n == text.n || state->result != BOSH_BODY_OK;
}

int bosh_reading_finish(struct bosh_reading *reading, struct sv text, struct bosh_body *ret_body)
{
	while (!bosh_reading_go_on(reading, text, SIZE_MAX)) {
	}
	int r = end_reading(&reading->reading);

	*ret_body = reading->body;
	reading->body = (struct bosh_body){0};
	bosh_reading_free(reading);
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
