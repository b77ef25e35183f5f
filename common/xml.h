/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Finds the top-level elements in a stream of XML bytes and hands them out as slices of those very bytes: no
 * tree, no copy, no serialising. expat does the checking.
 *
 * root       the element that wraps all: <stream:stream>, <body/>. Either it comes in the input, or the scan is
 *            told the scope it would have made.
 * element    a child of the root, handed out when it is complete
 * child      a child of an element; told only for elements of chosen namespaces (features, errors)
 * scope      the namespace declarations that the root made and its children inherit
 * completed  said of an element to which the inherited declarations that it uses have been added, so that it
 *            stands alone
 * pool       a worker's parsers: a scan has one only while an element is incomplete
 *
 * Use: xml_scan_feed(), then xml_scan_next() until it says false, then feed again. Items and what they point to
 * are valid until that false. Not for concurrent use; a pool and its scans belong to one thread.
 *
 * What XMPP restricts is refused (RFC 6120, 11.1): DTDs, comments, processing instructions, entities but the five, encodings
 * other than UTF-8; and text between elements, CDATA sections included, even empty ones.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/sv.h"

enum xml_result {
	XML_OK,
	XML_E_SYNTAX,     /* not well-formed, undeclared prefix, bad UTF-8, text between elements */
	XML_E_RESTRICTED, /* well-formed, but what XMPP does not allow */
	XML_E_TOO_LARGE,  /* an element over the limit of bytes, depth, children, declarations or work */
};

enum {
	XML_NS_OTHER = -1, /* none of the namespaces that the pool was told of */
	XML_NS_NONE = -2,  /* no namespace */

	/* Nesting costs memory in the parser and stack in whoever builds a tree from it later. */
	XML_DEPTH_MAX = 128,
	/* Inherited declarations: each one is compared with each name that follows. */
	XML_SCOPE_MAX = 16,
	/* What comes up to the end of the root's start tag, which no element limit covers. */
	XML_ROOT_MAX = 8 * 1024,
	/* Children told of one element: "<a/>" of a peer costs the list ten times its bytes. */
	XML_CHILDREN_MAX = 1024,
	/* An incomplete token is scanned anew with each piece that arrives; a peer that sends one huge tag in tiny
	 * pieces would buy quadratic work. So many bytes may be scanned again for one element. */
	XML_RESCAN_MAX = 64 * 1024 * 1024,
	/* Names seen are kept by the parser until it is reset; a scan that never comes to rest gives its parser back
	 * after so many bytes, at the next end of an element. */
	XML_PARSER_BYTES_MAX = 1024 * 1024,
	/* A parser goes from one scan to another of the same scope without being reset, which costs more than most
	 * stanzas; but for the same reason only for so many bytes. */
	XML_WARM_BYTES_MAX = 256 * 1024,
};

struct xml_pool;
struct xml_parser;
struct xml_scope;

/* @namespaces: the URIs that items tell by index; borrowed, at most 32. Returns 0 or -ENOMEM. */
_must_check_ int xml_pool_new(const char *const *namespaces, size_t n_namespaces,
			      struct xml_pool **ret_pool);
struct xml_pool *xml_pool_free(struct xml_pool *pool);

struct xml_scan_options {
	size_t n_element_max;       /* bytes of one element */
	uint32_t with_attributes;   /* bit i: tell attributes of elements of namespace i (the root's always) */
	uint32_t with_children;     /* bit i: tell children of elements of namespace i */
};

struct xml_scan {
	struct xml_pool *pool;
	const struct xml_scan_options *options; /* borrowed */
	struct xml_parser *parser;              /* NULL between elements */
	bool whole;                             /* the root and all in it come in one feed */
	struct xml_scope *scope;                /* what the root declared; NULL until it came */
	struct buffer partial;                  /* the bytes of the incomplete element */
	struct sv view;                         /* the bytes that items are slices of */
};

enum xml_item_kind {
	XML_ITEM_ROOT,     /* the root's start tag; name, ns, attributes */
	XML_ITEM_ELEMENT,
	XML_ITEM_ROOT_END,
};

struct xml_item {
	enum xml_item_kind kind;
	int ns;
	struct sv name;    /* without prefix */
	struct sv text;    /* the element's bytes */
	size_t n_prefix;   /* bytes of the prefix in the start tag, colon included; 0 without */
	size_t n_open;     /* bytes of the start tag */
	uint32_t missing;  /* the scope's declarations that it uses and does not make itself */
	size_t first_attribute, n_attributes;
	size_t first_child, n_children;
};

struct xml_child {
	int ns;
	struct sv name;
	struct sv text;
};

/* Prepares a scan whose root comes in the input. @options is borrowed for the scan's life. */
void xml_scan_init(struct xml_scan *scan, struct xml_pool *pool, const struct xml_scan_options *options);

/* The same for a root that comes whole, in one feed that begins with its start tag: a declaration or a byte order mark before it is
 * refused with XML_E_SYNTAX. Cheaper, for there may be a parser that has read others of the kind. */
void xml_scan_init_whole(struct xml_scan *scan, struct xml_pool *pool, const struct xml_scan_options *options);

/* Prepares a scan without a root: each fed byte belongs to an element (a WebSocket message), and nothing is
 * inherited. */
_must_check_ int xml_scan_init_rootless(struct xml_scan *scan, struct xml_pool *pool,
					const struct xml_scan_options *options);
void xml_scan_deinit(struct xml_scan *scan);

/* Feeds @n bytes, borrowed until xml_scan_next() says false. Returns 0, XML_E_*, or -ENOMEM. After anything but 0 the
 * items that were complete before are still told; then the scan is dead and only deinit is left. */
_must_check_ int xml_scan_feed(struct xml_scan *scan, const char *data, size_t n);

/* Tells the next item. False: there is none, and the scan has put away what it needs to go on; *ret_r then is 0,
 * what the feed said, XML_E_TOO_LARGE when the incomplete element is over the limit already, or -ENOMEM. */
_must_check_ bool xml_scan_next(struct xml_scan *scan, struct xml_item *ret_item, int *ret_r);

/* Whether the scan stands between two elements: nothing incomplete was fed but white space. Asked after next said
 * false. */
bool xml_scan_is_idle(const struct xml_scan *scan);

/* Whether the root has ended and nothing but white space was fed after it. Asked after next said
 * false. */
bool xml_scan_is_complete(const struct xml_scan *scan);

/* An attribute's value, decoded; data is NULL when there is none. @ns XML_NS_NONE for one without prefix. */
struct sv xml_item_attribute(const struct xml_scan *scan, const struct xml_item *item, int ns,
			     struct sv name);

/* Child @i of @item. */
struct xml_child xml_item_child(const struct xml_scan *scan, const struct xml_item *item, size_t i);

/* Appends the scope's declarations that @item misses, as attributes with a leading space each. The default namespace is
 * left out when its bit is in @except (bit i: namespace i of the pool): what the receiver's scope
 * declares anyway. Returns 0 or -ENOMEM. */
_must_check_ int xml_item_write_missing(const struct xml_scan *scan, const struct xml_item *item,
					uint32_t except, struct buffer *buffer);

/* Appends the element completed; @except as above, a bit for each namespace. */
_must_check_ int xml_item_write(const struct xml_scan *scan, const struct xml_item *item, uint32_t except,
				struct buffer *buffer);
