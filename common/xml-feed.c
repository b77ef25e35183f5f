/* SPDX-License-Identifier: MIT */
/* Feeds bytes to expat and judges them as a whole. xml-parser.c handles what expat reports. */
#include <errno.h>

#include "common/xml-memory.h"
#include "common/xml-parser.h"

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

static size_t memory_max(const struct xml_parser *parser)
{
	return XML_MEMORY_BASE + XML_MEMORY_FACTOR * parser->options->n_element_max +
	       2 * parser->n_at_once;
}

/* Limits what the size of an element does not: a start tag of the root that never ends, a token
 * that arrives in too many pieces, and the memory for too many names. */
static int check_work(struct xml_parser *parser)
{
	size_t position = xml_parser_position(parser);

	if (parser->n_memory > memory_max(parser)) {
		return XML_E_TOO_LARGE;
	}
	if (parser->depth == 0 && !parser->complete && parser->n_fed > XML_ROOT_MAX) {
		return XML_E_TOO_LARGE;
	}
	parser->n_rescanned += parser->n_fed - position;
	return parser->n_rescanned > XML_RESCAN_MAX ? XML_E_TOO_LARGE : 0;
}

enum XML_Status xml_parser_parse(struct xml_parser *parser, const char *data, size_t n)
{
	size_t n_before = xml_memory_held();
	enum XML_Status status = XML_Parse(parser->expat, data, (int)n, 0);

	parser->n_memory += xml_memory_held() - n_before;
	return status;
}

int xml_parser_feed(struct xml_parser *parser, const char *data, size_t n)
{
	note_first(parser, data, n);
	parser->n_fed += n;
	parser->n_at_once = n > parser->n_at_once ? n : parser->n_at_once;
	if (parser->n_header == 0 && (!can_begin(parser) || is_utf16(parser))) {
		parser->error = can_begin(parser) ? XML_E_RESTRICTED : XML_E_SYNTAX;
		return parser->error;
	}
	enum XML_Status status = xml_parser_parse(parser, data, n);

	if (parser->error == 0 && status == XML_STATUS_ERROR && !parser->spent) {
		parser->error = error_of(parser);
	}
	if (parser->error == 0 && !parser->spent) {
		parser->error = check_work(parser);
	}
	return parser->error;
}
