/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The part of common/xml.h that deals with expat: one parser and what it has found in the bytes fed
 * since it was taken from the pool (xml-parser.c, fed by xml-feed.c), and the pool that makes
 * parsers and remembers scopes (xml-pool.c). Private to common/xml-*.c.
 *
 * position   the index of a byte among those fed to this parser, without the header of an inherited
 *            scope
 * skipped    fed, and not given to expat (xml-text.h, xml-simple.h)
 * raw        given in positions; becomes a slice after expat has returned
 * accounted  the position up to which each byte is known to be part of tokens that end between two
 *            elements or after the root: expat has reported it, or it was skipped there. Only a
 *            parser that has accounted for all its bytes may serve another scan. Otherwise bytes
 *            that expat consumed without a report (part of a token, an open section) would become
 *            part of that scan.
 * nested     started with an element of our own (the header of the scope that declares nothing), in
 *            which one root after the other is read as a child. This saves a reset for each root.
 * settled    has accounted for every byte, and is between two elements or after the root
 * section    <![CDATA[...]]>
 */
#include <expat.h>
#include <sys/queue.h>

#include "common/xml-memory.h"
#include "common/xml-scope.h"
#include "common/xml-token.h"

/* A part of xml_parser.text, which may move while expat runs. */
struct xml_range {
	size_t start, n;
};

struct xml_raw_attribute {
	int ns;
	struct xml_range name, value;
};

struct xml_raw_child {
	int ns;
	size_t start, end; /* positions */
	size_t n_qname, n_prefix;
};

struct xml_raw_item {
	struct xml_item item;
	size_t start, end; /* positions */
	size_t n_skipped;  /* in the parser, before it */
	size_t n_qname;
	struct xml_range name; /* of a root */
};

struct xml_parser {
	SLIST_ENTRY(xml_parser) in_pool;
	struct xml_pool *pool;
	struct xml_scopes *scopes; /* the pool's */
	const struct xml_scan_options *options;
	XML_Parser expat;
	int error; /* the first one: XML_E_* or -ENOMEM */

	/* Bytes fed before this scan: the inherited scope's header and elements of other scans. */
	size_t n_header;
	size_t n_fed;     /* bytes fed after them */
	size_t n_skipped; /* of these */
	size_t accounted;
	size_t n_rescanned;
	struct xml_token token; /* in which expat is */
	struct buffer held;     /* of that token: bytes that expat has not been given */
	struct xml_memory memory;
	unsigned depth; /* open elements, including the root */
	char first[2];  /* the first bytes fed: they select the encoding */
	bool is_in_header;
	bool is_nested;   /* `depth` does not count the element of our own */
	bool is_complete; /* the root has ended */
	bool is_in_section;
	size_t n_tag_declarations; /* of the start tag that expat is reading */
	/* Stopped after an element, because of XML_ITEMS_MAX, XML_PARSER_BYTES_MAX,
	 * XML_ELEMENT_LARGE or XML_BLOCKS_KEPT. A new parser must go on. */
	bool is_spent;
	/* It goes on behind a parser that had XML_ITEMS_MAX or too many names: another one may have
	 * to do so soon. */
	bool is_among_many;

	struct xml_scope *scope; /* inherited or made by the root; a reference */
	struct xml_range root_prefix[XML_SCOPE_MAX], root_uri[XML_SCOPE_MAX];
	size_t n_root_declarations;

	struct xml_raw_item current; /* the element that is open */
	uint32_t declared;           /* the scope's declarations that its start tag repeats */

	struct xml_raw_item *items;
	size_t n_items, size_items, next_item;
	struct xml_raw_attribute *attributes;
	size_t n_attributes, size_attributes;
	struct xml_raw_child *children;
	size_t n_children, size_children;
	struct buffer text;
};

/* Takes a parser from the pool, or makes one. With @scope, it is already inside a root of that
 * scope. Returns 0 or -ENOMEM. */
_must_check_ int xml_parser_take(struct xml_pool *pool, const struct xml_scan_options *options,
				 struct xml_scope *scope, struct xml_parser **ret_parser);
/* Takes a nested parser. Returns 0 or -ENOMEM. */
_must_check_ int xml_parser_take_nested(struct xml_pool *pool,
					const struct xml_scan_options *options,
					struct xml_parser **ret_parser);
/* Forgets the items, which have all been returned. */
void xml_parser_clear(struct xml_parser *parser);
/* Returns a parser to the pool, or frees it. Takes NULL. */
void xml_parser_give(struct xml_parser *parser);

/* Calls XML_Parse(). Nothing else may, so that the parser's memory is counted. */
enum XML_Status xml_parser_parse(struct xml_parser *parser, const char *data, size_t n);

/* Returns 0, XML_E_* or -ENOMEM. */
_must_check_ int xml_parser_feed(struct xml_parser *parser, const char *data, size_t n);

/* Gives expat what is held. Returns likewise. */
_must_check_ int xml_parser_flush(struct xml_parser *parser);

/* Adds a copy of @raw to the items. Without memory, the parser has failed. */
void xml_parser_push(struct xml_parser *parser, const struct xml_raw_item *raw);

/* The position of the token that expat is at: it has read everything before. */
size_t xml_parser_position(const struct xml_parser *parser);

bool xml_parser_is_settled(const struct xml_parser *parser);

/* Bytes that expat has been given for this scan. */
static inline size_t xml_parser_given(const struct xml_parser *parser)
{
	return parser->n_fed - parser->n_skipped;
}

/* The bytes of @range in the parser's text. They are valid until the text grows. */
static inline struct sv xml_parser_text(const struct xml_parser *parser, struct xml_range range)
{
	return sv_first(sv_skip(buffer_sv(&parser->text), range.start), range.n);
}

/* Whether the peer has used more different names than one parser may have to keep. */
static inline bool xml_parser_has_too_many_names(const struct xml_parser *parser)
{
	return parser->memory.n_blocks > XML_BLOCKS_MAX;
}

/* Whether it has as many items or names as are left to one parser. */
static inline bool xml_parser_has_many(const struct xml_parser *parser)
{
	return parser->n_items >= XML_ITEMS_MAX || parser->memory.n_blocks > XML_BLOCKS_KEPT;
}

/* The scope that declares nothing. Borrowed from the pool. */
struct xml_scope *xml_pool_rootless_scope(struct xml_pool *pool);

/* Sets the handlers of an expat parser that is new or reset, and the salt of its hash tables,
 * EXPAT_SALT_SIZE random bytes. */
void xml_parser_prepare(struct xml_parser *parser, const uint8_t *salt);
