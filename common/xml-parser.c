/* SPDX-License-Identifier: MIT */
#include "common/xml-parser.h"

#include <errno.h>
#include <stdlib.h>

#include "common/xml-expat.h"

static int name_ns(const struct xml_parser *parser, const struct xml_name *name)
{
	return name->uri.n ? xml_scopes_namespace(parser->scopes, name->uri) : XML_NS_NONE;
}

static void fail(struct xml_parser *parser, int error)
{
	if (parser->error == 0) {
		parser->error = error;
	}
	XML_StopParser(parser->expat, XML_FALSE);
}

size_t xml_parser_position(const struct xml_parser *parser)
{
	int64_t index = expat_token_index(parser->expat);

	/* It is -1 until expat has read the first token. */
	return index < 0 ? 0 : (size_t)index - parser->n_header + parser->n_skipped;
}

static size_t position_behind(const struct xml_parser *parser)
{
	return xml_parser_position(parser) + expat_token_length(parser->expat);
}

bool xml_parser_is_settled(const struct xml_parser *parser)
{
	return parser->error == 0 && !parser->is_spent &&
	       (parser->depth == 1 || parser->is_complete) && parser->accounted == parser->n_fed;
}

/* Accounts for the @n bytes from @start: expat has reported them, and they end between elements. If
 * there is a gap before them, nothing is accounted for: what expat did with the bytes in the gap is
 * unknown. */
static void account(struct xml_parser *parser, size_t start, size_t n)
{
	if (start == parser->accounted) {
		parser->accounted += n;
	}
}

/* Accounts for the token that is being reported. */
static void account_token(struct xml_parser *parser)
{
	size_t n = expat_token_length(parser->expat);

	account(parser, xml_parser_position(parser), n);
}

/* Adds an uninitialised item to one of the parser's lists. Returns NULL, with the parser failed,
 * when there is no memory. */
static void *list_push(struct xml_parser *parser, void *list, size_t *n, size_t *size, size_t n_one)
{
	void **items = list;

	if (*n == *size) {
		size_t larger = *size ? *size * 2 : 8;
		void *grown = reallocarray(*items, larger, n_one);

		if (!grown) {
			fail(parser, -ENOMEM);
			return NULL;
		}
		*items = grown;
		*size = larger;
	}
	return (char *)*items + n_one * (*n)++;
}

static struct xml_range text_keep(struct xml_parser *parser, struct sv view)
{
	struct xml_range range = {parser->text.n, view.n};

	if (buffer_append_sv(&parser->text, view) < 0) {
		fail(parser, -ENOMEM);
	}
	return range;
}

static void declare_root(struct xml_parser *parser, struct sv prefix, struct sv uri)
{
	size_t i = parser->n_root_declarations;

	if (i == XML_SCOPE_MAX) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	if (!xml_uri_is_writable(uri)) {
		fail(parser, XML_E_SYNTAX);
		return;
	}
	parser->root_prefix[i] = text_keep(parser, prefix);
	parser->root_uri[i] = text_keep(parser, uri);
	parser->n_root_declarations++;
}

static void on_start_namespace(void *userdata, const char *prefix, const char *uri)
{
	struct xml_parser *parser = userdata;

	if (parser->is_in_header || parser->error) {
		return;
	}
	parser->n_tag_declarations++;
	if (parser->depth == 0) {
		declare_root(parser, sv_from(prefix), sv_from(uri));
	} else if (parser->depth == 1) {
		for (size_t i = 0; i < parser->scope->n_declarations; i++) {
			if (sv_eq(parser->scope->declarations[i].prefix, sv_from(prefix))) {
				parser->declared |= UINT32_C(1) << i;
			}
		}
	}
}

/* Marks the inherited declaration that @name depends on. */
static void note_use(struct xml_parser *parser, const struct xml_name *name)
{
	const struct xml_scope *scope = parser->scope;

	if (name->uri.n == 0) {
		return;
	}
	for (size_t i = 0; i < scope->n_declarations; i++) {
		if (sv_eq(scope->declarations[i].prefix, name->prefix) &&
		    sv_eq(scope->declarations[i].uri, name->uri)) {
			parser->current.item.missing |= UINT32_C(1) << i;
			return;
		}
	}
}

static void note_attribute_uses(struct xml_parser *parser, const char **attributes)
{
	for (size_t i = 0; attributes[i]; i += 2) {
		struct xml_name name = xml_name_split(attributes[i]);

		if (name.prefix.n) {
			note_use(parser, &name);
		}
	}
}

static void keep_attributes(struct xml_parser *parser, struct xml_item *item,
			    const char **attributes)
{
	item->first_attribute = parser->n_attributes;
	for (size_t i = 0; attributes[i]; i += 2) {
		struct xml_name name = xml_name_split(attributes[i]);
		struct xml_raw_attribute *attribute =
			list_push(parser, &parser->attributes, &parser->n_attributes,
				  &parser->size_attributes, sizeof(*attribute));

		if (!attribute) {
			return;
		}
		attribute->ns = name_ns(parser, &name);
		attribute->name = text_keep(parser, name.local);
		attribute->value = text_keep(parser, sv_from(attributes[i + 1]));
		item->n_attributes++;
	}
}

void xml_parser_push(struct xml_parser *parser, const struct xml_raw_item *raw)
{
	struct xml_raw_item *item = list_push(parser, &parser->items, &parser->n_items,
					      &parser->size_items, sizeof(*item));

	if (item) {
		*item = *raw;
	}
}

/* Makes the scope of all elements that follow from the root's declarations. */
static void make_scope(struct xml_parser *parser, const struct xml_name *name)
{
	struct xml_declaration declarations[XML_SCOPE_MAX];
	char qname[XML_ROOT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < parser->n_root_declarations; i++) {
		declarations[i].prefix = xml_parser_text(parser, parser->root_prefix[i]);
		declarations[i].uri = xml_parser_text(parser, parser->root_uri[i]);
	}
	if (name->prefix.n + name->local.n + 1 > sizeof(qname)) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	if (name->prefix.n) {
		memcpy(qname, name->prefix.data, name->prefix.n);
		n = name->prefix.n;
		qname[n++] = ':';
	}
	memcpy(qname + n, name->local.data, name->local.n);
	n += name->local.n;
	if (xml_scopes_get(parser->scopes, (struct sv){qname, n}, declarations,
			   parser->n_root_declarations, &parser->scope) < 0) {
		fail(parser, -ENOMEM);
	}
}

static void start_root(struct xml_parser *parser, const struct xml_name *name,
		       const char **attributes)
{
	struct xml_raw_item root = {.item = {.kind = XML_ITEM_ROOT, .ns = name_ns(parser, name)}};

	/* What may come before a root (byte order mark, declaration, white space) leaves no
	 * state. */
	parser->accounted = position_behind(parser);
	if (parser->accounted > XML_ROOT_MAX) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	make_scope(parser, name);
	if (parser->error) {
		return;
	}
	root.name = text_keep(parser, name->local);
	keep_attributes(parser, &root.item, attributes);
	xml_parser_push(parser, &root);
}

static void start_element(struct xml_parser *parser, const struct xml_name *name,
			  const char **attributes)
{
	struct xml_raw_item *current = &parser->current;
	size_t n_prefix = name->prefix.n ? name->prefix.n + 1 : 0;

	*current = (struct xml_raw_item){
		.item = {.kind = XML_ITEM_ELEMENT,
			 .ns = name_ns(parser, name),
			 .n_prefix = n_prefix,
			 .n_open = expat_token_length(parser->expat),
			 .first_child = parser->n_children},
		.start = xml_parser_position(parser),
		.n_skipped = parser->n_skipped,
		.n_qname = n_prefix + name->local.n,
	};
	if (current->item.ns >= 0 && (parser->options->with_attributes >> current->item.ns & 1)) {
		keep_attributes(parser, &current->item, attributes);
	}
}

static void start_child(struct xml_parser *parser, const struct xml_name *name)
{
	int ns = parser->current.item.ns;

	if (ns < 0 || !(parser->options->with_children >> ns & 1)) {
		return;
	}
	if (parser->current.item.n_children == XML_CHILDREN_MAX) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	struct xml_raw_child *child = list_push(parser, &parser->children, &parser->n_children,
						&parser->size_children, sizeof(*child));

	if (!child) {
		return;
	}
	size_t n_prefix = name->prefix.n ? name->prefix.n + 1 : 0;

	*child = (struct xml_raw_child){
		.ns = name_ns(parser, name),
		.start = xml_parser_position(parser),
		.n_prefix = n_prefix,
		.n_qname = n_prefix + name->local.n,
	};
	parser->current.item.n_children++;
}

/* Whether the start tag that expat has just read has too many attributes, or too many new names. */
static bool has_too_many_names(struct xml_parser *parser)
{
	size_t n = parser->n_tag_declarations;

	parser->n_tag_declarations = 0;
	return n + (size_t)XML_GetSpecifiedAttributeCount(parser->expat) / 2 > XML_ATTRIBUTES_MAX ||
	       xml_parser_has_too_many_names(parser);
}

static void on_start(void *userdata, const char *tag, const char **attributes)
{
	struct xml_parser *parser = userdata;

	if (parser->error) {
		return;
	}
	if (parser->is_in_header) {
		parser->depth++;
		return;
	}
	if (parser->is_complete) {
		/* expat accepts a second root in the element that a nested parser starts with. */
		fail(parser, XML_E_SYNTAX);
		return;
	}
	if (++parser->depth > XML_DEPTH_MAX || has_too_many_names(parser)) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	struct xml_name name = xml_name_split(tag);

	if (parser->depth == 1) {
		start_root(parser, &name, attributes);
		return;
	}
	if (parser->depth == 2) {
		start_element(parser, &name, attributes);
	} else if (parser->depth == 3) {
		start_child(parser, &name);
	}
	note_use(parser, &name);
	note_attribute_uses(parser, attributes);
}

static void end_element(struct xml_parser *parser)
{
	struct xml_raw_item *current = &parser->current;
	size_t n_skipped = parser->n_skipped - current->n_skipped;

	/* This holds for <a/> too: expat reports its end as zero bytes after the tag. */
	current->end = position_behind(parser);
	size_t n = current->end - current->start;

	if (n > parser->options->n_element_max) {
		fail(parser, XML_E_TOO_LARGE);
		return;
	}
	current->item.missing &= ~parser->declared;
	parser->declared = 0;
	parser->n_rescanned = 0;
	account(parser, current->start, n);
	xml_parser_push(parser, current);
	/* Of what expat has not read it remembers nothing. */
	if (parser->error == 0 &&
	    (xml_parser_has_many(parser) || n - n_skipped > XML_ELEMENT_LARGE ||
	     current->end - parser->n_skipped > XML_PARSER_BYTES_MAX)) {
		parser->is_spent = true;
		XML_StopParser(parser->expat, XML_FALSE);
	}
}

static void on_end(void *userdata, const char *tag)
{
	struct xml_parser *parser = userdata;

	(void)tag;
	if (parser->error || parser->is_spent) {
		return;
	}
	if (parser->depth == 0) {
		/* The end tag of the element that a nested parser was started with. */
		fail(parser, XML_E_SYNTAX);
		return;
	}
	if (parser->depth == 3 && parser->current.item.n_children &&
	    parser->children[parser->n_children - 1].end == 0) {
		parser->children[parser->n_children - 1].end = position_behind(parser);
	} else if (parser->depth == 2) {
		end_element(parser);
	} else if (parser->depth == 1) {
		const struct xml_raw_item end = {.item = {.kind = XML_ITEM_ROOT_END}};

		xml_parser_push(parser, &end);
		account_token(parser);
		parser->is_complete = true;
	}
	parser->depth--;
}

static void on_text(void *userdata, const char *text, int n)
{
	struct xml_parser *parser = userdata;

	if (parser->depth > 1 || parser->is_in_header || parser->error) {
		return;
	}
	size_t n_token = expat_token_length(parser->expat);
	/* Outside the root, a document has no character references. A nested parser would let expat
	 * accept them, as they stand in an element there. A token that is longer than its text is
	 * such a reference, except for CR LF, which is longer by one byte. */
	bool is_reference = parser->depth == 0 && n_token > (size_t)n + 1;

	if (is_reference || sv_trim((struct sv){text, (size_t)n}).n) {
		fail(parser, XML_E_SYNTAX);
		return;
	}
	account(parser, xml_parser_position(parser), n_token);
}

/* Handles what has no other handler: outside the root, white space. */
static void on_other(void *userdata, const char *text, int n)
{
	if (sv_trim((struct sv){text, (size_t)n}).n == 0) {
		account_token(userdata);
	}
}

/* A CDATA section is text, which is refused between elements. expat does not report the text of an
 * empty or unfinished section, so the section itself is refused. */
static void on_section(void *userdata)
{
	struct xml_parser *parser = userdata;

	if (parser->depth <= 1) {
		fail(parser, XML_E_SYNTAX);
	}
	parser->is_in_section = true;
}

static void on_section_end(void *userdata)
{
	struct xml_parser *parser = userdata;

	parser->is_in_section = false;
}

static void on_comment(void *userdata, const char *text)
{
	(void)text;
	fail(userdata, XML_E_RESTRICTED);
}

static void on_instruction(void *userdata, const char *target, const char *data)
{
	(void)target;
	(void)data;
	fail(userdata, XML_E_RESTRICTED);
}

static void on_doctype(void *userdata, const char *name, const char *system_id,
		       const char *public_id, int has_internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal;
	fail(userdata, XML_E_RESTRICTED);
}

/* The bytes are forwarded unchanged, so the encoding that they declare must be UTF-8. */
static void on_declaration(void *userdata, const char *version, const char *encoding,
			   int standalone)
{
	(void)version;
	(void)standalone;
	if (encoding && !sv_eq_nocase(sv_from(encoding), SV("utf-8"))) {
		fail(userdata, XML_E_RESTRICTED);
	}
}

void xml_parser_prepare(struct xml_parser *parser, const uint8_t *salt)
{
	XML_Parser expat = parser->expat;

	XML_SetUserData(expat, parser);
	XML_SetReturnNSTriplet(expat, 1);
	expat_set_salt(expat, salt);
	XML_SetElementHandler(expat, on_start, on_end);
	XML_SetStartNamespaceDeclHandler(expat, on_start_namespace);
	XML_SetCharacterDataHandler(expat, on_text);
	XML_SetCdataSectionHandler(expat, on_section, on_section_end);
	XML_SetDefaultHandlerExpand(expat, on_other);
	XML_SetCommentHandler(expat, on_comment);
	XML_SetProcessingInstructionHandler(expat, on_instruction);
	XML_SetStartDoctypeDeclHandler(expat, on_doctype);
	XML_SetXmlDeclHandler(expat, on_declaration);
#ifdef HAVE_XML_SETREPARSEDEFERRALENABLED
	/* Deferral would hold back the end of a stanza until more bytes arrive. xml-token.h limits
	 * the work that deferral is meant to limit. */
	XML_SetReparseDeferralEnabled(expat, XML_FALSE);
#endif
}
