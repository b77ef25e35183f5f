/* SPDX-License-Identifier: MIT */
/* Feeds bytes to expat, without those that it need not read, and judges them as a whole.
 * xml-parser.c handles what expat reports. */
#include <errno.h>

#include "common/xml-parser.h"
#include "common/xml-simple.h"
#include "common/xml-text.h"

static int error_of(const struct xml_parser *parser)
{
	switch (XML_GetErrorCode(parser->expat)) {
	case XML_ERROR_NO_MEMORY:
		return -ENOMEM;
	case XML_ERROR_UNDEFINED_ENTITY:
	case XML_ERROR_RECURSIVE_ENTITY_REF:
	case XML_ERROR_EXTERNAL_ENTITY_HANDLING:
	case XML_ERROR_AMPLIFICATION_LIMIT_BREACH:
	case XML_ERROR_UNKNOWN_ENCODING:
	case XML_ERROR_INCORRECT_ENCODING:
		return XML_E_RESTRICTED;
	default:
		return XML_E_SYNTAX;
	}
}

/* The first two bytes override the encoding that expat was given: with FE FF, FF FE or a zero among
 * them, it reads UTF-16. */
static bool is_utf16(const struct xml_parser *parser)
{
	for (size_t i = 0; i < sizeof(parser->first) && i < parser->n_fed; i++) {
		unsigned char c = (unsigned char)parser->first[i];

		if (c == 0 || c >= 0xfe) {
			return true;
		}
	}
	return false;
}

/* Whether a document can begin with the first byte: a "<" or white space, alone or as half of a
 * character of UTF-16, or a byte order mark. Checked here because expat, when it has the first byte
 * alone, judges it as UTF-8, and as UTF-16 when the second one is there, too. */
static bool can_begin(const struct xml_parser *parser)
{
	unsigned char c = (unsigned char)parser->first[0];

	return parser->n_fed == 0 || c == 0 || c == 0xef || c >= 0xfe ||
	       memchr("< \t\r\n", c, 5) != NULL;
}

static void note_first(struct xml_parser *parser, const char *data, size_t n)
{
	for (size_t i = 0; i < n && parser->n_fed + i < sizeof(parser->first); i++) {
		parser->first[parser->n_fed + i] = data[i];
	}
}

/* Whether the start tag of the root is not complete yet, and longer than it may be, when @n bytes
 * have been read. */
static bool is_root_too_long(const struct xml_parser *parser, size_t n)
{
	return parser->depth == 0 && !parser->is_complete && n > XML_ROOT_MAX;
}

/* Limits what the size of an element does not: a start tag of the root that never ends, a token
 * that arrives in too many pieces, and too many names. */
static int check_work(struct xml_parser *parser)
{
	if (xml_parser_has_too_many_names(parser)) {
		return XML_E_TOO_LARGE;
	}
	if (is_root_too_long(parser, parser->n_fed)) {
		return XML_E_TOO_LARGE;
	}
	return parser->n_rescanned > XML_RESCAN_MAX ? XML_E_TOO_LARGE : 0;
}

enum XML_Status xml_parser_parse(struct xml_parser *parser, const char *data, size_t n)
{
	xml_memory_count(&parser->memory);
	enum XML_Status status = XML_Parse(parser->expat, data, (int)n, 0);

	xml_memory_count(NULL);
	return status;
}

/* Whether expat is inside an element, and between two tokens of its content: it has read all of the
 * @n bytes fed so far. A token of which it waits for the end would begin before that. */
static bool is_between_tokens(const struct xml_parser *parser, size_t n)
{
	return parser->depth >= 2 && !parser->is_in_section && xml_parser_position(parser) == n;
}

/* Gives @bytes to expat, which has been given, or need not be given, the @n_before before them. */
static void give(struct xml_parser *parser, struct sv bytes, size_t n_before)
{
	enum XML_Status status = xml_parser_parse(parser, bytes.data, bytes.n);

	if (parser->error == 0 && status == XML_STATUS_ERROR && !parser->is_spent) {
		parser->error = error_of(parser);
	}
	if (parser->error == 0 && is_root_too_long(parser, n_before + bytes.n)) {
		parser->error = XML_E_TOO_LARGE;
	}
	parser->n_rescanned += n_before + bytes.n - xml_parser_position(parser);
}

/* Looks at the token in which expat is, after it was given @bytes, the last of them at @end. */
static void note_token(struct xml_parser *parser, struct sv bytes, size_t end)
{
	struct xml_token *token = &parser->token;
	size_t n = end - xml_parser_position(parser);

	if (n == 0) {
		token->kind = XML_TOKEN_NONE;
	} else if (parser->is_in_section || n > bytes.n + token->n) {
		token->kind = XML_TOKEN_OTHER;
	} else if (token->kind == XML_TOKEN_NONE || n != token->n) {
		xml_token_begin(token, sv_skip(bytes, bytes.n - (n < bytes.n ? n : bytes.n)));
	}
	if (parser->depth == 0 && token->kind != XML_TOKEN_NEW && token->kind != XML_TOKEN_TAG) {
		/* What comes before the root is short. */
		token->kind = XML_TOKEN_NONE;
	} else if (token->kind == XML_TOKEN_COMMENT && parser->error == 0) {
		/* Refused, however it goes on. */
		parser->error = XML_E_RESTRICTED;
	}
}

/* Gives @bytes of the token in which expat is, and forgets what is held. */
static void give_token(struct xml_parser *parser, struct sv bytes, size_t n_before)
{
	give(parser, bytes, n_before);
	note_token(parser, bytes, n_before + bytes.n);
	buffer_deinit(&parser->held);
}

/* The token in which expat is goes on with @rest: gives what may complete it, and holds the other
 * bytes. Returns what is left of @rest. */
static struct sv go_on(struct xml_parser *parser, struct sv rest)
{
	size_t n = xml_token_go_on(&parser->token, rest);
	size_t n_before = parser->n_fed - rest.n - parser->held.n;
	struct sv piece = sv_first(rest, n ? n : rest.n);
	int r = n && parser->held.n == 0 ? 0 : buffer_append_sv(&parser->held, piece);

	if (r < 0) {
		parser->error = r;
	} else if (parser->token.n_values > XML_ATTRIBUTES_MAX) {
		parser->error = XML_E_TOO_LARGE;
	} else if (n) {
		give_token(parser, parser->held.n ? buffer_sv(&parser->held) : piece, n_before);
	}
	return sv_skip(rest, n ? n : rest.n);
}

/* The declaration of a default namespace that elements inherit: its index, n_declarations if there
 * is none. Returns false if expat must read them: what undoes another declaration, and a name for
 * the namespace of xml:lang. */
static bool find_default(const struct xml_scope *scope, size_t *ret_i)
{
	*ret_i = scope->n_declarations;
	for (size_t i = 0; i < scope->n_declarations; i++) {
		const struct xml_declaration *declaration = &scope->declarations[i];

		if (declaration->uri.n == 0 || sv_eq(declaration->prefix, SV("xml"))) {
			return false;
		}
		*ret_i = declaration->prefix.n == 0 ? i : *ret_i;
	}
	return true;
}

/* Adds the item of @simple, which begins at @start. Returns false if expat must read it. */
static bool push_simple(struct xml_parser *parser, const struct xml_simple *simple, size_t start)
{
	const struct xml_scan_options *options = parser->options;
	const struct xml_scope *scope = parser->scope;
	struct xml_item item = {
		.kind = XML_ITEM_ELEMENT, .ns = XML_NS_NONE, .n_open = simple->n_open};
	size_t i;

	if (simple->n > options->n_element_max || !find_default(scope, &i)) {
		return false;
	}
	if (simple->uri.n) {
		item.ns = xml_scopes_namespace(parser->scopes, simple->uri);
	} else if (i < scope->n_declarations) {
		item.ns = scope->declarations[i].ns;
		item.missing = UINT32_C(1) << i;
	}
	if (item.ns >= 0 && ((options->with_attributes | options->with_children) >> item.ns & 1)) {
		return false;
	}
	xml_parser_push(parser, &(struct xml_raw_item){.item = item,
						       .start = start,
						       .end = start + simple->n,
						       .n_qname = simple->name.n});
	if (parser->n_items >= XML_ITEMS_MAX) {
		parser->current.end = start + simple->n;
		parser->is_spent = true;
	}
	return true;
}

static bool is_white(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* Between two elements: passes over white space and simple elements. Returns what is left of
 * @rest. */
static struct sv pass_simple(struct xml_parser *parser, struct sv rest)
{
	struct xml_simple simple;

	while (rest.n && parser->error == 0 && !parser->is_spent) {
		size_t n = 1;

		if (!is_white(rest.data[0])) {
			if (!xml_simple_read(rest, &simple) ||
			    !push_simple(parser, &simple, parser->n_fed - rest.n)) {
				break;
			}
			n = simple.n;
		}
		parser->n_skipped += n;
		parser->accounted += n;
		rest = sv_skip(rest, n);
	}
	return rest;
}

/* Whether expat is between two elements, and has told of all bytes before position @n. */
static bool is_between_elements(const struct xml_parser *parser, size_t n)
{
	return parser->depth == 1 && !parser->is_complete && parser->accounted == n;
}

/* How much of @rest expat is to read before one looks again for what it need not read. */
static size_t piece_length(const struct xml_parser *parser, struct sv rest)
{
	size_t n = parser->depth == 0 && !parser->is_complete ? xml_simple_open(rest) : 0;
	bool has_content = n && n + 1 < rest.n && rest.data[n] == '<' && rest.data[n + 1] != '/';

	return has_content ? n : xml_text_cut(rest);
}

/* How much of @rest expat is given at most. */
static size_t given_max(const struct xml_parser *parser, struct sv rest)
{
	bool is_before_root = parser->depth == 0 && !parser->is_complete;

	return is_before_root || parser->is_among_many ? XML_GIVEN_MAX : rest.n;
}

/* Gives @rest to expat, except for simple elements, runs of text, and what cannot complete a
 * token. */
static void give_markup(struct xml_parser *parser, struct sv rest)
{
	bool may_cut = true;

	while (rest.n && parser->error == 0 && !parser->is_spent) {
		if (parser->token.kind != XML_TOKEN_NONE) {
			rest = go_on(parser, rest);
			continue;
		}
		if (is_between_elements(parser, parser->n_fed - rest.n)) {
			rest = pass_simple(parser, rest);
		}
		if (parser->is_spent) {
			break;
		}
		size_t n_before = parser->n_fed - rest.n;

		if (is_between_tokens(parser, n_before)) {
			size_t n_run = xml_text_run(rest);

			parser->n_skipped += n_run;
			n_before += n_run;
			rest = sv_skip(rest, n_run);
		}
		struct sv most = sv_first(rest, given_max(parser, rest));
		struct sv piece = sv_first(most, may_cut ? piece_length(parser, most) : most.n);

		if (piece.n) {
			give(parser, piece, n_before);
			note_token(parser, piece, n_before + piece.n);
			rest = sv_skip(rest, piece.n);
		}
		/* A cut within a token has that token read twice. A peer could have many of them
		 * in a long one. */
		may_cut = may_cut &&
			  (piece.n == most.n || is_between_tokens(parser, n_before + piece.n) ||
			   is_between_elements(parser, n_before + piece.n));
	}
}

int xml_parser_feed(struct xml_parser *parser, const char *data, size_t n)
{
	note_first(parser, data, n);
	parser->n_fed += n;
	if (parser->n_header == 0 && (!can_begin(parser) || is_utf16(parser))) {
		parser->error = can_begin(parser) ? XML_E_RESTRICTED : XML_E_SYNTAX;
		return parser->error;
	}
	give_markup(parser, (struct sv){data, n});
	if (parser->error == 0 && !parser->is_spent) {
		parser->error = check_work(parser);
	}
	return parser->error;
}

int xml_parser_flush(struct xml_parser *parser)
{
	if (parser->held.n && parser->error == 0) {
		give_token(parser, buffer_sv(&parser->held), parser->n_fed - parser->held.n);
	}
	return parser->error;
}
