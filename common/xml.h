/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Finds the top-level elements in a stream of XML bytes and returns them as slices of those very
 * bytes: no tree, no copy, no serialising. expat checks the syntax, except for that of the simplest
 * elements (xml-simple.h).
 *
 * root       the element that contains all others: <stream:stream>, <body/>. It either comes in the
 *            input, or the scan is given the scope that it would have made.
 * element    a child of the root, returned when it is complete
 * child      a child of an element; reported only for elements of chosen namespaces (features,
 *            errors)
 * scope      the namespace declarations that the root makes and its children inherit
 * completed  an element with the inherited declarations that it uses added to its start tag, so
 *            that it can stand alone
 * pool       the parsers of one worker; a scan has one only while an element is incomplete
 *
 * Use: call xml_scan_feed(), then xml_scan_next() until it returns false, then feed again. Items
 * and what they point to are valid until then. A pool and its scans belong to one thread.
 *
 * What XMPP forbids is refused (RFC 6120, 11.1): DTDs, comments, processing instructions, entities
 * other than the five, and encodings other than UTF-8. So is text between elements, including CDATA
 * sections, even empty ones.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/sv.h"

enum xml_result {
	XML_OK,
	XML_E_SYNTAX,     /* not well-formed, undeclared prefix, bad UTF-8, text between elements */
	XML_E_RESTRICTED, /* well-formed, but forbidden in XMPP */
	XML_E_TOO_LARGE,  /* over a limit: bytes, depth, children, declarations, what
			   * completes elements, work, or memory */
};

enum {
	XML_NS_OTHER = -1, /* a namespace that the pool was not given */
	XML_NS_NONE = -2,  /* no namespace */

	/* Nesting costs memory in the parser, and stack in any program that builds a tree. */
	XML_DEPTH_MAX = 128,
	/* Declarations of a root. Each is compared with every name that follows. */
	XML_SCOPE_MAX = 16,
	/* Bytes up to the end of the root's start tag, to which the limit of elements does not
	 * apply. */
	XML_ROOT_MAX = 8 * 1024,
	/* What completes the elements of a scan may be so many times as long as they are, and
	 * XML_COMPLETION_BASE bytes longer. Otherwise a root with a declaration of 8 KB would make
	 * that of each "<p:a/>" that follows. "<a/>" gets 22 bytes for jabber:client. */
	XML_COMPLETION_FACTOR = 6,
	XML_COMPLETION_BASE = 16 * 1024,
	/* Attributes and declarations of a start tag. expat reads a tag all at once, 0.25 us for
	 * each of them: 256 KB of "a0='' a1=''..." held up everybody else for 9 ms. */
	XML_ATTRIBUTES_MAX = 256,
	/* Reported children of one element: in the list, "<a/>" takes ten times its own bytes. */
	XML_CHILDREN_MAX = 1024,
	/* Bytes of one element that expat may read again, because a token arrives in pieces. What
	 * cannot complete a token is not given to it (xml-token.h), so that no element comes near
	 * this; without both, one huge tag in tiny pieces would cause quadratic work. */
	XML_RESCAN_MAX = 16 * 1024 * 1024,
	/* Memory that expat holds at most, for each byte of the largest element, because of the
	 * other limits. An attribute as large as an element may be makes it hold 3. */
	XML_MEMORY_FACTOR = 4,
	/* Added to that: what a parser may hold when it comes from the pool, and for names. */
	XML_MEMORY_BASE = 256 * 1024,
	/* Blocks of memory that expat may hold: one for each name of an element or an attribute
	 * that is new to it, some for a prefix, and some forty. It finds them in tables. When one
	 * is full, all names move into a larger one, and all are freed at the end: with the 37,000
	 * names that 256 KB can have, each of these held up everybody else for 1.5 ms. */
	XML_BLOCKS_MAX = 4096,
	/* A parser that holds more reads no other element after the one that it is in: that one
	 * would be refused for names that are not its own. Real streams have some hundred. */
	XML_BLOCKS_KEPT = 1024,
	/* expat keeps every name that it has seen until it is reset. A scan that never rests
	 * between two elements gets a new parser after this many bytes, at the next end of an
	 * element. */
	XML_PARSER_BYTES_MAX = 1024 * 1024,
	/* Items that a parser has at once, of 150 bytes each. A new one reads what follows: else a
	 * request of 256 KB that is nothing but "<a/>" would take 19 MB for them, and all of it
	 * would be read before the first element is found to be one too many. */
	XML_ITEMS_MAX = 1024,
	/* Bytes that expat is given at once, except for the rest of a token, by a parser that goes
	 * on behind so many items: expat copies them, and those behind the last item are given to
	 * the next parser again. Others give it all there is, because it counts lines in each part
	 * that it was given; but for the start tag of a root, which may be too long. */
	XML_GIVEN_MAX = 16 * 1024,
	/* After an element of this size a new parser goes on. expat counts lines up to where it
	 * stops, unless it is aborted: a third of the work on a large text. Nobody asks for them.
	 * Below, a new parser costs more than that. */
	XML_ELEMENT_LARGE = 16 * 1024,
	/* When this much of an element has come without its end, much more usually follows, so room
	 * for it is made at once: memory that grows step by step is copied twice. The kernel
	 * provides the pages only when they are written to. */
	XML_ROOM_MIN = 32 * 1024,
	XML_ROOM_FACTOR = 8,
	/* But no more than for a stanza of 256 KB, the limit of many servers, or twice of what has
	 * come: a block that is larger than what others need fits into no place that they leave. */
	XML_ROOM_USUAL = 288 * 1024,
	/* The scan offers no less room than this: each read is a system call. */
	XML_ROOM_READ = 16 * 1024,
	/* Room before and behind it, for the declarations that complete it, and for what its new
	 * owner puts around it. */
	XML_HEADROOM = 256,
	/* A parser goes from one scan to the next of the same scope without a reset, which costs
	 * more than most stanzas. For the reason above, it does so only up to this many bytes. */
	XML_WARM_BYTES_MAX = 256 * 1024,
};

struct xml_pool;
struct xml_parser;
struct xml_scope;

/* @namespaces, at most 32 URIs, are borrowed; items give their namespace as an index into them.
 * Returns 0 or a negative errno. */
_must_check_ int xml_pool_new(const char *const *namespaces, size_t n_namespaces,
			      struct xml_pool **ret_pool);
struct xml_pool *xml_pool_free(struct xml_pool *pool);
/* Frees the parsers that no scan uses. Each consists of some forty small blocks; where they were
 * made for a crowd, they lie between all that it had, whose memory then cannot go back. */
void xml_pool_trim(struct xml_pool *pool);

struct xml_scan_options {
	size_t n_element_max;     /* bytes of one element */
	uint32_t with_attributes; /* bit i: report attributes of elements of namespace i */
	uint32_t with_children;   /* bit i: report children of elements of namespace i */
	/* Bit i: an element is complete without the declaration of namespace i as the default one:
	 * its receiver has it as default already, or takes it for that. */
	uint32_t without_default;
};

struct xml_scan {
	struct xml_pool *pool;
	const struct xml_scan_options *options; /* borrowed */
	struct xml_parser *parser;              /* NULL between elements */
	bool is_whole;                          /* the root comes in one feed */
	struct xml_scope *scope;                /* of the root; NULL before it */
	size_t n_elements, n_completion;        /* bytes of all so far, and what completes them */
	struct buffer partial;                  /* the bytes of the incomplete element */
	struct sv view;                         /* items are slices of it */
};

enum xml_item_kind {
	XML_ITEM_ROOT, /* the root's start tag: name, ns and attributes (always reported) */
	XML_ITEM_ELEMENT,
	XML_ITEM_ROOT_END,
};

struct xml_item {
	enum xml_item_kind kind;
	int ns;
	struct sv name;   /* without prefix */
	struct sv text;   /* the element's bytes */
	size_t n_prefix;  /* bytes of the prefix in the start tag, with the colon, or 0 */
	size_t n_open;    /* bytes of the start tag */
	uint32_t missing; /* bit i: uses declaration i of the scope and does not repeat it */
	size_t first_attribute, n_attributes;
	size_t first_child, n_children;
};

struct xml_child {
	int ns;
	struct sv name;
	struct sv text;
};

/* Prepares a scan whose root comes in the input. @options is borrowed for the scan's life. */
void xml_scan_init(struct xml_scan *scan, struct xml_pool *pool,
		   const struct xml_scan_options *options);

/* The same for a root that comes in one feed, which begins with its start tag: an XML declaration
 * or a byte order mark before it is refused with XML_E_SYNTAX. Cheaper, because the parser need not
 * be reset after each root. */
void xml_scan_init_whole(struct xml_scan *scan, struct xml_pool *pool,
			 const struct xml_scan_options *options);

/* Prepares a scan without a root (a WebSocket message): every byte belongs to an element, and
 * elements inherit nothing. */
void xml_scan_init_rootless(struct xml_scan *scan, struct xml_pool *pool,
			    const struct xml_scan_options *options);
void xml_scan_deinit(struct xml_scan *scan);

/* Room behind the bytes that the scan keeps of a large element: what is read there, up to
 * *ret_n_room bytes, and fed from there next, is not copied. NULL: there is none. */
char *xml_scan_room(struct xml_scan *scan, size_t *ret_n_room);

/* Feeds @n bytes, borrowed until xml_scan_next() returns false. Returns 0, XML_E_* or -ENOMEM.
 * After a failure xml_scan_next() still returns the items before it; then the scan can only be
 * deinitialised. */
_must_check_ int xml_scan_feed(struct xml_scan *scan, const char *data, size_t n);

/* No more will follow what was fed: also judges the beginning of a token that was held back until
 * its end comes. Call it after xml_scan_feed() and before xml_scan_next(). Returns likewise. */
_must_check_ int xml_scan_flush(struct xml_scan *scan);

/* Returns the next item. Returns false when there is none; the scan has then copied the bytes that
 * it still needs, and *ret_r is 0, the failure of the feed, XML_E_TOO_LARGE when the incomplete
 * element is over the limit already, or -ENOMEM. XML_E_TOO_LARGE also when what completes the next
 * element is over the limit: that comes before the failure of the feed. */
_must_check_ bool xml_scan_next(struct xml_scan *scan, struct xml_item *ret_item, int *ret_r);

/* Whether the scan is between two elements: nothing but white space was fed after the last one.
 * Valid after xml_scan_next() has returned false. */
bool xml_scan_is_idle(const struct xml_scan *scan);

/* Whether the root has ended and nothing but white space was fed after it. Valid after
 * xml_scan_next() has returned false. */
bool xml_scan_is_complete(const struct xml_scan *scan);

/* Bytes of memory that the scan holds for an incomplete element; 0 between elements. Valid after
 * xml_scan_next() has returned false. */
size_t xml_scan_held(const struct xml_scan *scan);

/* The decoded value of an attribute; its data is NULL when there is none. @ns is XML_NS_NONE for an
 * attribute without a prefix. */
struct sv xml_item_attribute(const struct xml_scan *scan, const struct xml_item *item, int ns,
			     struct sv name);

/* Child @i of @item, less than item->n_children. */
struct xml_child xml_item_child(const struct xml_scan *scan, const struct xml_item *item, size_t i);

/* Appends the declarations that complete @item, each as an attribute after a space. Returns 0 or
 * -ENOMEM. */
_must_check_ int xml_item_write_missing(const struct xml_scan *scan, const struct xml_item *item,
					struct buffer *buffer);

/* Whether the element is complete as it is. */
bool xml_item_is_complete(const struct xml_scan *scan, const struct xml_item *item);

/* The completed element in two parts: appends the first one, which may be empty, and gives the
 * other one as it stands in the element. Returns 0 or -ENOMEM. */
_must_check_ int xml_item_split(const struct xml_scan *scan, const struct xml_item *item,
				struct buffer *buffer, struct sv *ret_rest);

/* Appends the completed element. Returns 0 or -ENOMEM. */
_must_check_ int xml_item_write(const struct xml_scan *scan, const struct xml_item *item,
				struct buffer *buffer);

/* Puts the completed element into @buffer, without what was there; @item is then what stands there.
 * If the scan keeps the element's bytes and has no other behind them, @buffer takes their memory,
 * unless more than half of it is empty or was others'.
 * Around a large element there is room, so that something can be added without another copy.
 * Items that were returned before are no longer valid. Returns 0 or -ENOMEM. */
_must_check_ int xml_item_take(struct xml_scan *scan, struct xml_item *item, struct buffer *buffer);
