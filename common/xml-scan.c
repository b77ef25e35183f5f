/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "common/xml-parser.h"

void xml_scan_init(struct xml_scan *scan, struct xml_pool *pool,
		   const struct xml_scan_options *options)
{
	*scan = (struct xml_scan){.pool = pool, .options = options};
}

void xml_scan_init_whole(struct xml_scan *scan, struct xml_pool *pool,
			 const struct xml_scan_options *options)
{
	xml_scan_init(scan, pool, options);
	scan->is_whole = true;
}

void xml_scan_init_rootless(struct xml_scan *scan, struct xml_pool *pool,
			    const struct xml_scan_options *options)
{
	xml_scan_init(scan, pool, options);
	scan->scope = xml_scope_ref(xml_pool_rootless_scope(pool));
}

void xml_scan_deinit(struct xml_scan *scan)
{
	xml_parser_give(scan->parser);
	scan->parser = NULL;
	scan->scope = xml_scope_unref(scan->scope);
	buffer_deinit(&scan->partial);
	scan->view = SV_EMPTY;
}

char *xml_scan_room(struct xml_scan *scan, size_t *ret_n_room)
{
	struct buffer *partial = &scan->partial;

	*ret_n_room = partial->size - partial->offset - partial->n;
	return scan->parser && partial->n >= XML_ROOM_MIN && *ret_n_room >= XML_ROOM_READ
		     ? buffer_end(partial)
		     : NULL;
}

/* Puts what is fed behind the bytes that are kept, unless it is there already. Returns 0 or
 * -ENOMEM. */
static int keep_fed(struct buffer *partial, const char *data, size_t n)
{
	bool has_room = n <= partial->size - partial->offset - partial->n;

	if (!has_room || data != buffer_end(partial)) {
		return buffer_append(partial, data, n);
	}
	partial->n += n;
	return 0;
}

int xml_scan_feed(struct xml_scan *scan, const char *data, size_t n)
{
	int r;

	if (n > INT_MAX / 2) {
		return XML_E_TOO_LARGE;
	}
	if (!scan->parser) {
		r = scan->is_whole
			  ? xml_parser_take_nested(scan->pool, scan->options, &scan->parser)
			  : xml_parser_take(scan->pool, scan->options, scan->scope, &scan->parser);
		if (r < 0) {
			return r;
		}
	}
	scan->view = (struct sv){data, n};
	if (scan->partial.n) {
		r = keep_fed(&scan->partial, data, n);
		/* xml_scan_next() may be called after -ENOMEM, too. */
		scan->view = buffer_sv(&scan->partial);
		if (r < 0) {
			return r;
		}
	}
	return xml_parser_feed(scan->parser, data, n);
}

int xml_scan_flush(struct xml_scan *scan)
{
	return scan->parser ? xml_parser_flush(scan->parser) : 0;
}

/* The bytes from position @start to @end. The view always ends at the last byte fed. */
static struct sv slice(const struct xml_scan *scan, size_t start, size_t end)
{
	size_t first = scan->parser->n_fed - scan->view.n;

	assert(first <= start && start <= end && end <= scan->parser->n_fed);
	return sv_first(sv_skip(scan->view, start - first), end - start);
}

static void item_settle(const struct xml_scan *scan, const struct xml_raw_item *raw,
			struct xml_item *ret_item)
{
	*ret_item = raw->item;
	if (raw->item.kind == XML_ITEM_ROOT) {
		ret_item->name = xml_parser_text(scan->parser, raw->name);
	} else if (raw->item.kind == XML_ITEM_ELEMENT) {
		ret_item->text = slice(scan, raw->start, raw->end);
		ret_item->name = sv_first(sv_skip(ret_item->text, 1 + raw->item.n_prefix),
					  raw->n_qname - raw->item.n_prefix);
	}
}

/* The position from which bytes must be kept: the start of the open element, or the first byte that
 * is not accounted for. */
static size_t keep_from(const struct xml_parser *parser)
{
	if (parser->depth >= 2) {
		return parser->current.start;
	}
	return parser->depth == 1 || parser->is_complete ? parser->accounted : parser->n_fed;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* For an element of which the first @n bytes have come. */
static int make_room(struct xml_scan *scan, size_t n)
{
	size_t n_all = XML_HEADROOM + scan->options->n_element_max;
	size_t n_most = least(XML_ROOM_FACTOR * n, 2 * n > XML_ROOM_USUAL ? 2 * n : XML_ROOM_USUAL);

	if (n < XML_ROOM_MIN) {
		return 0;
	}
	int r = buffer_reserve(&scan->partial, least(n_all, n_most));

	if (r == 0) {
		scan->partial.offset = XML_HEADROOM;
	}
	return r;
}

static int keep_partial(struct xml_scan *scan, size_t from)
{
	size_t n_keep = scan->parser->n_fed - from;

	assert(n_keep <= scan->view.n);
	if (n_keep > scan->options->n_element_max) {
		return XML_E_TOO_LARGE;
	}
	if (scan->partial.n) {
		buffer_consume(&scan->partial, scan->partial.n - n_keep);
		return 0;
	}
	int r = make_room(scan, n_keep);

	return r < 0 ? r
		     : buffer_append_sv(&scan->partial, sv_skip(scan->view, scan->view.n - n_keep));
}

/* Called when all items have been returned. Keeps what the next feed needs. */
static int settle(struct xml_scan *scan)
{
	struct xml_parser *parser = scan->parser;
	int r = 0;

	if (!scan->scope && parser->scope) {
		scan->scope = xml_scope_ref(parser->scope);
	}
	xml_parser_clear(parser);
	if (parser->error) {
		return parser->error;
	}
	if (xml_parser_is_settled(parser) && !parser->is_complete) {
		xml_parser_give(parser);
		scan->parser = NULL;
		buffer_deinit(&scan->partial);
	} else {
		r = keep_partial(scan, keep_from(parser));
	}
	scan->view = SV_EMPTY;
	return r;
}

/* The parser stopped after an element because it has read enough. A new one reads the rest. */
static int go_on(struct xml_scan *scan)
{
	struct xml_parser *spent = scan->parser;
	bool were_many = xml_parser_has_many(spent);
	size_t n_rest = spent->n_fed - spent->current.end;

	assert(n_rest <= scan->view.n);
	if (!scan->scope) {
		scan->scope = xml_scope_ref(spent->scope);
	}
	scan->parser = NULL;
	xml_parser_give(spent);
	int r = xml_parser_take(scan->pool, scan->options, scan->scope, &scan->parser);

	if (r < 0) {
		return r;
	}
	scan->view = sv_skip(scan->view, scan->view.n - n_rest);
	scan->parser->is_among_many = were_many;
	return xml_parser_feed(scan->parser, scan->view.data, scan->view.n);
}

/* Whether @item is to get declaration @i of the scope. */
static bool is_missing(const struct xml_scan *scan, const struct xml_item *item, size_t i)
{
	const struct xml_declaration *declaration = &scan->parser->scope->declarations[i];
	bool is_known = declaration->prefix.n == 0 && declaration->ns >= 0 &&
			(scan->options->without_default >> declaration->ns & 1);

	return (item->missing >> i & 1) && !is_known;
}

/* Counts what completes @item. Returns whether that stays within the limits. */
static bool count_completion(struct xml_scan *scan, const struct xml_item *item)
{
	const struct xml_scope *scope = scan->parser->scope;

	scan->n_elements += item->text.n;
	for (size_t i = 0; item->missing >> i; i++) {
		if (is_missing(scan, item, i)) {
			scan->n_completion += scope->declarations[i].n_written;
		}
	}
	return scan->n_completion <= XML_COMPLETION_FACTOR * scan->n_elements + XML_COMPLETION_BASE;
}

/* Returns false when the next item is over a limit: it is the failure of the scan. */
static bool take_item(struct xml_scan *scan, struct xml_item *ret_item)
{
	struct xml_parser *parser = scan->parser;

	item_settle(scan, &parser->items[parser->next_item++], ret_item);
	if (ret_item->kind != XML_ITEM_ELEMENT || count_completion(scan, ret_item)) {
		return true;
	}
	parser->next_item = parser->n_items;
	parser->is_spent = false;
	parser->error = XML_E_TOO_LARGE;
	return false;
}

bool xml_scan_next(struct xml_scan *scan, struct xml_item *ret_item, int *ret_r)
{
	*ret_r = 0;
	for (;;) {
		struct xml_parser *parser = scan->parser;

		if (!parser) {
			return false;
		}
		if (parser->next_item < parser->n_items && take_item(scan, ret_item)) {
			return true;
		}
		if (!parser->is_spent) {
			*ret_r = settle(scan);
			return false;
		}
		*ret_r = go_on(scan);
		if (*ret_r != 0 && (!scan->parser || scan->parser->n_items == 0)) {
			return false;
		}
	}
}

/* Whether all bytes that are not accounted for are white space. There can be some: expat holds back
 * a CR until it knows whether an LF follows. */
static bool is_rest_white(const struct xml_scan *scan)
{
	const struct xml_parser *parser = scan->parser;

	return parser->error == 0 && parser->accounted + scan->partial.n == parser->n_fed &&
	       sv_trim(buffer_sv(&scan->partial)).n == 0;
}

bool xml_scan_is_idle(const struct xml_scan *scan)
{
	return !scan->parser || (scan->parser->depth == 1 && is_rest_white(scan));
}

bool xml_scan_is_complete(const struct xml_scan *scan)
{
	return scan->parser && scan->parser->is_complete && is_rest_white(scan);
}

size_t xml_scan_held(const struct xml_scan *scan)
{
	const struct xml_parser *parser = scan->parser;

	return scan->partial.size +
	       (parser ? parser->memory.n_bytes + parser->text.size + parser->held.size : 0);
}

struct sv xml_item_attribute(const struct xml_scan *scan, const struct xml_item *item, int ns,
			     struct sv name)
{
	const struct xml_parser *parser = scan->parser;
	for (size_t i = 0; i < item->n_attributes; i++) {
		const struct xml_raw_attribute *attribute =
			&parser->attributes[item->first_attribute + i];

		if (attribute->ns == ns && sv_eq(xml_parser_text(parser, attribute->name), name)) {
			return xml_parser_text(parser, attribute->value);
		}
	}
	return SV_EMPTY;
}

struct xml_child xml_item_child(const struct xml_scan *scan, const struct xml_item *item, size_t i)
{
	assert(i < item->n_children);
	const struct xml_raw_child *raw = &scan->parser->children[item->first_child + i];
	struct sv text = slice(scan, raw->start, raw->end);

	return (struct xml_child){
		.ns = raw->ns,
		.name = sv_first(sv_skip(text, 1 + raw->n_prefix), raw->n_qname - raw->n_prefix),
		.text = text,
	};
}

bool xml_item_is_complete(const struct xml_scan *scan, const struct xml_item *item)
{
	const struct xml_scope *scope = scan->parser->scope;

	for (size_t i = 0; item->missing && i < scope->n_declarations; i++) {
		if (is_missing(scan, item, i)) {
			return false;
		}
	}
	return true;
}

int xml_item_write_missing(const struct xml_scan *scan, const struct xml_item *item,
			   struct buffer *buffer)
{
	const struct xml_scope *scope = scan->parser->scope;
	struct writer writer = writer_begin(buffer);

	for (size_t i = 0; i < XML_SCOPE_MAX && i < scope->n_declarations; i++) {
		if (is_missing(scan, item, i)) {
			xml_declaration_write(&scope->declarations[i], &writer);
		}
	}
	return writer_end(&writer);
}

int xml_item_split(const struct xml_scan *scan, const struct xml_item *item, struct buffer *buffer,
		   struct sv *ret_rest)
{
	size_t n_head = item->missing ? 1 + item->n_prefix + item->name.n : 0;
	int r = buffer_append_sv(buffer, sv_first(item->text, n_head));

	if (r == 0 && item->missing) {
		r = xml_item_write_missing(scan, item, buffer);
	}
	if (r == 0) {
		*ret_rest = sv_skip(item->text, n_head);
	}
	return r;
}

int xml_item_write(const struct xml_scan *scan, const struct xml_item *item, struct buffer *buffer)
{
	struct sv rest;
	int r = xml_item_split(scan, item, buffer, &rest);

	return r < 0 ? r : buffer_append_sv(buffer, rest);
}

/* The completed element stands in @buffer now. */
static void move_item(struct xml_item *item, const struct buffer *buffer)
{
	item->n_open += buffer->n - item->text.n;
	item->text = buffer_sv(buffer);
	item->name = sv_first(sv_skip(item->text, 1 + item->n_prefix), item->name.n);
	item->missing = 0;
}

/* Makes the memory in which the scan keeps @rest the buffer's, with @head before it. */
static void take_partial(struct xml_scan *scan, struct sv head, struct sv rest,
			 struct buffer *buffer)
{
	buffer_deinit(buffer);
	*buffer = scan->partial;
	scan->partial = BUFFER_INIT;
	buffer_note_used(buffer);
	buffer->offset = (size_t)(rest.data - buffer->data) - head.n;
	buffer->n = head.n + rest.n;
	if (head.n) {
		memcpy(buffer->data + buffer->offset, head.data, head.n);
	}
}

/* Whether the scan keeps @rest behind room for @head, in memory that a completed element of that
 * length is to own: half of it must be its own. It may have to wait, and limits count its bytes. */
static bool can_take_partial(const struct xml_scan *scan, struct sv head, struct sv rest)
{
	const struct buffer *partial = &scan->partial;
	bool is_last = rest.data + rest.n == scan->view.data + scan->view.n;

	return partial->n && is_last && (size_t)(rest.data - partial->data) >= head.n &&
	       partial->size / 2 <= XML_HEADROOM + head.n + rest.n + XML_HEADROOM;
}

/* Appends @head and @rest, with room around them if they are large. */
static int append(struct sv head, struct sv rest, struct buffer *buffer)
{
	int r = 0;

	if (head.n + rest.n >= XML_ROOM_MIN) {
		r = buffer_reserve_around(buffer, XML_HEADROOM, head.n + rest.n + XML_HEADROOM);
	}
	if (r == 0) {
		r = buffer_append_sv(buffer, head);
	}
	return r < 0 ? r : buffer_append_sv(buffer, rest);
}

int xml_item_take(struct xml_scan *scan, struct xml_item *item, struct buffer *buffer)
{
	_cleanup_(buffer_deinit) struct buffer head = BUFFER_INIT;
	struct sv rest;
	int r = xml_item_split(scan, item, &head, &rest);

	buffer_clear(buffer);
	if (r < 0) {
		return r;
	}
	if (can_take_partial(scan, buffer_sv(&head), rest)) {
		take_partial(scan, buffer_sv(&head), rest, buffer);
	} else {
		r = append(buffer_sv(&head), rest, buffer);
	}
	if (r == 0) {
		move_item(item, buffer);
	}
	return r;
}
