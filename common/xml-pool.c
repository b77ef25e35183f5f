/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "common/xml-expat.h"
#include "common/xml-parser.h"

enum {
	/* Parsers of each kind that are kept: as many as elements are usually incomplete at
	 * once. */
	POOL_PARSERS_MAX = 32,
	/* Larger lists of a parser are freed when it returns to the pool. */
	KEEP_BYTES_MAX = 64 * 1024,
	/* A parser whose expat holds more is freed. expat buffers up to twice what it is fed at
	 * once: a parser that was fed 64 KB is kept. One that was fed more is seldom, and a new one
	 * costs little beside so many bytes. */
	KEEP_EXPAT_MAX = 192 * 1024,
	/* A parser is not kept either if expat still has more blocks than this after a reset. A
	 * reset frees names, but not the blocks of open elements and of namespaces; one element can
	 * have 3,000 of these. They would count against the next user's limit on names
	 * (XML_BLOCKS_MAX). */
	KEEP_BLOCKS_MAX = 256,
};

/* Up to POOL_PARSERS_MAX parsers in one state. */
struct shelf {
	SLIST_HEAD(, xml_parser) parsers;
	size_t n;
};

struct xml_pool {
	struct shelf reset;  /* have read nothing */
	struct shelf warm;   /* after an element; for another scan with the same scope */
	struct shelf nested; /* nested parsers after a root; for another root */
	struct xml_scopes scopes;
	/* keeps peers from choosing names that collide in expat's tables */
	uint8_t salt[EXPAT_SALT_SIZE];
};

static bool shelf_push(struct shelf *shelf, struct xml_parser *parser)
{
	if (shelf->n >= POOL_PARSERS_MAX) {
		return false;
	}
	SLIST_INSERT_HEAD(&shelf->parsers, parser, in_pool);
	shelf->n++;
	return true;
}

/* Takes a parser, with @scope one of that scope. Returns NULL when there is none. */
static struct xml_parser *shelf_pop(struct shelf *shelf, const struct xml_scope *scope)
{
	struct xml_parser *parser;

	SLIST_FOREACH(parser, &shelf->parsers, in_pool) {
		if (!scope || parser->scope == scope) {
			SLIST_REMOVE(&shelf->parsers, parser, xml_parser, in_pool);
			shelf->n--;
			return parser;
		}
	}
	return NULL;
}

/* Takes the parser that was pushed first. The shelf must not be empty. */
static struct xml_parser *shelf_pop_last(struct shelf *shelf)
{
	struct xml_parser *parser = SLIST_FIRST(&shelf->parsers);

	assert(parser);
	while (SLIST_NEXT(parser, in_pool)) {
		parser = SLIST_NEXT(parser, in_pool);
	}
	SLIST_REMOVE(&shelf->parsers, parser, xml_parser, in_pool);
	shelf->n--;
	return parser;
}

static void parser_free(struct xml_parser *parser)
{
	if (parser->expat) {
		XML_ParserFree(parser->expat);
	}
	xml_scope_unref(parser->scope);
	buffer_deinit(&parser->text);
	buffer_deinit(&parser->held);
	free(parser->items);
	free(parser->attributes);
	free(parser->children);
	free(parser);
}

static void shelf_clear(struct shelf *shelf)
{
	struct xml_parser *parser;

	while ((parser = shelf_pop(shelf, NULL))) {
		parser_free(parser);
	}
}

int xml_pool_new(const char *const *namespaces, size_t n_namespaces, struct xml_pool **ret_pool)
{
	struct xml_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		return -ENOMEM;
	}
	int r = random_bytes(pool->salt, sizeof(pool->salt));

	if (r == 0) {
		r = xml_scopes_init(&pool->scopes, namespaces, n_namespaces);
	}
	if (r < 0) {
		xml_pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

struct xml_pool *xml_pool_free(struct xml_pool *pool)
{
	if (!pool) {
		return NULL;
	}
	xml_pool_trim(pool);
	xml_scopes_deinit(&pool->scopes);
	free(pool);
	return NULL;
}

void xml_pool_trim(struct xml_pool *pool)
{
	shelf_clear(&pool->reset);
	shelf_clear(&pool->warm);
	shelf_clear(&pool->nested);
}

struct xml_scope *xml_pool_rootless_scope(struct xml_pool *pool)
{
	return pool->scopes.rootless;
}

/* Parsers: from the pool, and back to it. */

static int parser_new(struct xml_pool *pool, struct xml_parser **ret_parser)
{
	struct xml_parser *parser = calloc(1, sizeof(*parser));

	if (!parser) {
		return -ENOMEM;
	}
	parser->pool = pool;
	parser->scopes = &pool->scopes;
	xml_memory_count(&parser->memory);
	parser->expat =
		XML_ParserCreate_MM("UTF-8", &xml_memory, (const char[]){XML_NAME_SEPARATOR, '\0'});
	xml_memory_count(NULL);
	if (!parser->expat) {
		parser_free(parser);
		return -ENOMEM;
	}
	xml_parser_prepare(parser, pool->salt);
	*ret_parser = parser;
	return 0;
}

static int feed_header(struct xml_parser *parser, struct sv header)
{
	parser->is_in_header = true;
	enum XML_Status status = xml_parser_parse(parser, header.data, header.n);

	parser->is_in_header = false;
	if (status != XML_STATUS_OK) {
		return -ENOMEM; /* the header is well-formed: nothing else can fail */
	}
	parser->n_header = header.n;
	return 0;
}

int xml_parser_take(struct xml_pool *pool, const struct xml_scan_options *options,
		    struct xml_scope *scope, struct xml_parser **ret_parser)
{
	/* A parser after an element of the same scope is in the same state as one that has just
	 * read the scope's header. */
	struct xml_parser *parser = scope ? shelf_pop(&pool->warm, scope) : NULL;
	int r;

	if (parser) {
		parser->options = options;
		*ret_parser = parser;
		return 0;
	}
	parser = shelf_pop(&pool->reset, NULL);
	if (!parser) {
		r = parser_new(pool, &parser);
		if (r < 0) {
			return r;
		}
	}
	parser->options = options;
	if (scope) {
		parser->scope = xml_scope_ref(scope);
		r = feed_header(parser, scope->header);
		if (r < 0) {
			parser_free(parser);
			return r;
		}
	}
	*ret_parser = parser;
	return 0;
}

int xml_parser_take_nested(struct xml_pool *pool, const struct xml_scan_options *options,
			   struct xml_parser **ret_parser)
{
	struct xml_parser *parser = shelf_pop(&pool->nested, NULL);
	int r;

	if (parser) {
		parser->options = options;
		*ret_parser = parser;
		return 0;
	}
	r = xml_parser_take(pool, options, NULL, &parser);
	if (r < 0) {
		return r;
	}
	r = feed_header(parser, pool->scopes.rootless->header);
	if (r < 0) {
		parser_free(parser);
		return r;
	}
	parser->is_nested = true;
	/* The element of our own is not part of the scan. */
	parser->depth = 0;
	*ret_parser = parser;
	return 0;
}

static void list_trim(void *list, size_t *size, size_t n_one)
{
	void **items = list;

	if (*size * n_one > KEEP_BYTES_MAX) {
		free(*items);
		*items = NULL;
		*size = 0;
	}
}

/* Forgets what the last scan left in the parser. Leaves the state of expat alone. */
static void forget_scan(struct xml_parser *parser)
{
	parser->n_items = 0;
	parser->next_item = 0;
	parser->n_children = 0;
	parser->n_attributes = 0;
	buffer_clear(&parser->text);
	if (parser->text.size > KEEP_BYTES_MAX) {
		buffer_deinit(&parser->text);
	}
	list_trim(&parser->items, &parser->size_items, sizeof(*parser->items));
	list_trim(&parser->attributes, &parser->size_attributes, sizeof(*parser->attributes));
	list_trim(&parser->children, &parser->size_children, sizeof(*parser->children));
	parser->n_fed = 0;
	parser->n_skipped = 0;
	parser->accounted = 0;
	parser->n_rescanned = 0;
	parser->token = (struct xml_token){0};
	buffer_deinit(&parser->held);
	parser->is_among_many = false;
	parser->n_root_declarations = 0;
	parser->n_tag_declarations = 0;
	parser->declared = 0;
}

void xml_parser_clear(struct xml_parser *parser)
{
	parser->n_items = 0;
	parser->next_item = 0;
	/* The children and attributes of an open element or root are kept until the item is
	 * returned. */
	if (parser->depth < 2) {
		parser->n_children = 0;
		parser->n_attributes = 0;
		if (parser->scope) {
			buffer_clear(&parser->text);
		}
	}
}

/* Makes expat forget its input. Returns false if it must not be used again: tables that grew for a
 * large input do not shrink. */
static bool reset_expat(struct xml_parser *parser)
{
	xml_memory_count(&parser->memory);
	/* XML_ParserReset() silently loses the encoding when there is no memory, so set it
	 * again. */
	bool is_reset = XML_ParserReset(parser->expat, NULL) &&
			XML_SetEncoding(parser->expat, "UTF-8") == XML_STATUS_OK;

	xml_memory_count(NULL);
	return is_reset && parser->memory.n_bytes <= KEEP_EXPAT_MAX &&
	       parser->memory.n_blocks <= KEEP_BLOCKS_MAX;
}

/* Resets the parser and puts it back, or frees it. */
static void reset(struct xml_parser *parser)
{
	/* Without memory, expat may have stopped in the middle of anything. */
	bool is_unfit = xml_parser_given(parser) > XML_PARSER_BYTES_MAX || parser->error == -ENOMEM;

	if (is_unfit || !reset_expat(parser) || !shelf_push(&parser->pool->reset, parser)) {
		parser_free(parser);
		return;
	}
	xml_parser_prepare(parser, parser->pool->salt);
	forget_scan(parser);
	parser->scope = xml_scope_unref(parser->scope);
	parser->error = 0;
	parser->n_header = 0;
	parser->depth = 0;
	parser->is_complete = false;
	parser->is_in_section = false;
	parser->is_nested = false;
	parser->is_spent = false;
}

/* Whether another scan may go on with what expat holds and has read. */
static bool is_small(const struct xml_parser *parser)
{
	return parser->memory.n_bytes <= KEEP_EXPAT_MAX &&
	       parser->memory.n_blocks <= XML_BLOCKS_KEPT &&
	       parser->n_header + xml_parser_given(parser) <= XML_WARM_BYTES_MAX;
}

static bool keep_warm(struct xml_parser *parser)
{
	struct xml_pool *pool = parser->pool;

	if (!xml_parser_is_settled(parser) || parser->is_complete || !is_small(parser)) {
		return false;
	}
	if (pool->warm.n >= POOL_PARSERS_MAX) {
		/* Otherwise peers that each send a root of their own could fill the shelf for
		 * good: no other session takes a parser of such a root. */
		reset(shelf_pop_last(&pool->warm));
	}
	/* Everything read so far counts as header; positions start at 0 again. */
	parser->n_header += xml_parser_given(parser);
	forget_scan(parser);
	return shelf_push(&pool->warm, parser);
}

/* The same for a nested parser after a root. */
static bool keep_nested(struct xml_parser *parser)
{
	struct xml_pool *pool = parser->pool;

	if (!xml_parser_is_settled(parser) || !parser->is_complete ||
	    pool->nested.n >= POOL_PARSERS_MAX || !is_small(parser)) {
		return false;
	}
	parser->n_header += xml_parser_given(parser);
	forget_scan(parser);
	parser->scope = xml_scope_unref(parser->scope);
	parser->is_complete = false;
	return shelf_push(&pool->nested, parser);
}

void xml_parser_give(struct xml_parser *parser)
{
	if (parser && !(parser->is_nested ? keep_nested(parser) : keep_warm(parser))) {
		reset(parser);
	}
}
