/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The part of common/xml.h that listens to expat: one parser, what it has found in the bytes fed since it was
 * taken from the pool (xml-parser.c; fed by xml-feed.c), and the pool itself, which makes parsers and remembers scopes (xml-pool.c).
 * Private to common/xml-*.c.
 *
 * position  a byte's number among those fed to this parser, the header of an inherited scope not counted
 * raw       told by position; becomes a slice when expat has returned
 * accounted the position up to which every byte was reported by expat, in tokens that leave the
 *           parser between two elements or behind the root. Only a parser that has accounted for
 *           all its bytes may serve another scan: whatever expat consumed without a report (part
 *           of a token, an open section) would otherwise become part of that scan.
 */
#include <expat.h>
#include <sys/queue.h>

#include "common/xml-scope.h"

/* Text that grows while expat runs is told by offset into xml_parser.text. */
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
	size_t n_qname;
	struct xml_range name; /* of a root */
};

struct xml_parser {
	SLIST_ENTRY(xml_parser) in_pool;
	struct xml_pool *pool;
	struct xml_scopes *scopes; /* the pool's */
	const struct xml_scan_options *options;
	XML_Parser expat;
	int error; /* XML_E_* or -ENOMEM; the first that came */

	size_t n_header;   /* bytes fed before this scan: the inherited scope's header, elements of other scans */
	size_t n_fed;      /* bytes fed behind it */
	size_t accounted;
	size_t n_rescanned;
	unsigned depth;    /* open elements, the root included */
	char first[2];     /* the first bytes fed: they choose the encoding */
	bool in_header;
	bool nested;       /* the root stands in an element that is ours, and does not count: another root may follow */
	bool complete;     /* the root's end tag came */
	bool spent;        /* stopped behind an element after XML_PARSER_BYTES_MAX: the rest wants a fresh parser */

	struct xml_scope *scope; /* inherited, or made by the root that came; a reference */
	struct xml_range root_prefix[XML_SCOPE_MAX], root_uri[XML_SCOPE_MAX];
	size_t n_root_declarations;

	struct xml_raw_item current; /* the element that is open */
	uint32_t declared;           /* the scope's declarations that its start tag makes anew */

	struct xml_raw_item *items;
	size_t n_items, size_items, next_item;
	struct xml_raw_attribute *attributes;
	size_t n_attributes, size_attributes;
	struct xml_raw_child *children;
	size_t n_children, size_children;
	struct buffer text;
};

/* Takes a parser; with @scope the root is taken as come. Returns 0 or -ENOMEM. */
_must_check_ int xml_parser_take(struct xml_pool *pool, const struct xml_scan_options *options,
				 struct xml_scope *scope, struct xml_parser **ret_parser);
/* Takes one for a root that comes whole. Returns 0 or -ENOMEM. */
_must_check_ int xml_parser_take_nested(struct xml_pool *pool, const struct xml_scan_options *options,
					struct xml_parser **ret_parser);
/* Gives it back; NULL is fine. */
void xml_parser_give(struct xml_parser *parser);

/* Returns 0, XML_E_*, -ENOMEM. */
_must_check_ int xml_parser_feed(struct xml_parser *parser, const char *data, size_t n);

/* The position up to which expat has understood all bytes. */
size_t xml_parser_position(const struct xml_parser *parser);

/* Whether every byte is accounted for: the parser is between two elements, or behind the root. */
bool xml_parser_is_settled(const struct xml_parser *parser);

/* Forgets the items that were told. */
void xml_parser_clear(struct xml_parser *parser);

/* The scope that declares nothing. Borrowed from the pool. */
struct xml_scope *xml_pool_rootless_scope(struct xml_pool *pool);

/* Sets the handlers of an expat parser that is new or reset. */
void xml_parser_prepare(struct xml_parser *parser, unsigned long salt);
