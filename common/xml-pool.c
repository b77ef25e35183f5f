/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "common/xml-parser.h"

enum {
	/* Parsers kept for the next element: as many as elements are usually incomplete at once. */
	POOL_PARSERS_MAX = 32,
	/* Roots remembered: what the common servers and clients declare. */
	POOL_SCOPES = 8,
	/* What a parser in the pool may keep of the memory that a large input made it take. */
	KEEP_BYTES_MAX = 64 * 1024,
};

struct xml_pool {
	SLIST_HEAD(, xml_parser) parsers; /* reset */
	size_t n_parsers;
	SLIST_HEAD(, xml_parser) warm; /* behind an element: for another scan with the same scope */
	size_t n_warm;
	SLIST_HEAD(, xml_parser) nested; /* behind a root: for another one */
	size_t n_nested;
	struct xml_scope *scopes[POOL_SCOPES];
	size_t next_scope; /* the place that is given up next */
	struct xml_scope *rootless;
	const char *const *namespaces;
	size_t n_namespaces;
	unsigned long salt; /* against chosen names that collide in expat's tables */
};

static int scope_new(const struct xml_pool *pool, struct sv name,
		     const struct xml_declaration *declarations, size_t n_declarations,
		     struct xml_scope **ret_scope);

static struct xml_parser *pop(struct xml_pool *pool)
{
	struct xml_parser *parser = SLIST_FIRST(&pool->parsers);

	if (parser) {
		SLIST_REMOVE_HEAD(&pool->parsers, in_pool);
		pool->n_parsers--;
	}
	return parser;
}

static bool push(struct xml_pool *pool, struct xml_parser *parser)
{
	if (pool->n_parsers >= POOL_PARSERS_MAX) {
		return false;
	}
	SLIST_INSERT_HEAD(&pool->parsers, parser, in_pool);
	pool->n_parsers++;
	return true;
}

static void parser_free(struct xml_parser *parser)
{
	if (parser->expat) {
		XML_ParserFree(parser->expat);
	}
	xml_scope_unref(parser->scope);
	buffer_deinit(&parser->text);
	free(parser->items);
	free(parser->attributes);
	free(parser->children);
	free(parser);
}

int xml_pool_new(const char *const *namespaces, size_t n_namespaces, struct xml_pool **ret_pool)
{
	struct xml_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		return -ENOMEM;
	}
	SLIST_INIT(&pool->parsers);
	pool->namespaces = namespaces;
	pool->n_namespaces = n_namespaces;
	int r = random_bytes(&pool->salt, sizeof(pool->salt));

	if (r == 0) {
		r = scope_new(pool, SV("x"), NULL, 0, &pool->rootless);
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
	struct xml_parser *parser;

	if (!pool) {
		return NULL;
	}
	while ((parser = pop(pool))) {
		parser_free(parser);
	}
	while ((parser = SLIST_FIRST(&pool->warm))) {
		SLIST_REMOVE_HEAD(&pool->warm, in_pool);
		parser_free(parser);
	}
	while ((parser = SLIST_FIRST(&pool->nested))) {
		SLIST_REMOVE_HEAD(&pool->nested, in_pool);
		parser_free(parser);
	}
	for (size_t i = 0; i < POOL_SCOPES; i++) {
		xml_scope_unref(pool->scopes[i]);
	}
	xml_scope_unref(pool->rootless);
	free(pool);
	return NULL;
}

int xml_pool_namespace(const struct xml_pool *pool, struct sv uri)
{
	for (size_t i = 0; i < pool->n_namespaces; i++) {
		if (sv_eq(uri, sv_from(pool->namespaces[i]))) {
			return (int)i;
		}
	}
	return XML_NS_OTHER;
}

struct xml_scope *xml_pool_rootless_scope(struct xml_pool *pool)
{
	return pool->rootless;
}

static bool scope_is(const struct xml_scope *scope, struct sv name,
		     const struct xml_declaration *declarations, size_t n_declarations)
{
	if (scope->n_declarations != n_declarations || !sv_eq(scope->root, name)) {
		return false;
	}
	for (size_t i = 0; i < n_declarations; i++) {
		if (!sv_eq(scope->declarations[i].prefix, declarations[i].prefix) ||
		    !sv_eq(scope->declarations[i].uri, declarations[i].uri)) {
			return false;
		}
	}
	return true;
}

int xml_pool_scope(struct xml_pool *pool, struct sv name, const struct xml_declaration *declarations,
		   size_t n_declarations, struct xml_scope **ret_scope)
{
	for (size_t i = 0; i < POOL_SCOPES; i++) {
		struct xml_scope *scope = pool->scopes[i];

		if (scope && scope_is(scope, name, declarations, n_declarations)) {
			*ret_scope = xml_scope_ref(scope);
			return 0;
		}
	}
	int r = scope_new(pool, name, declarations, n_declarations, ret_scope);

	if (r < 0) {
		return r;
	}
	xml_scope_unref(pool->scopes[pool->next_scope]);
	pool->scopes[pool->next_scope] = xml_scope_ref(*ret_scope);
	pool->next_scope = (pool->next_scope + 1) % POOL_SCOPES;
	return 0;
}

/* Writes "<name xmlns:p='uri' ...>" and tells where each part came to stand. */
static int header_write(struct sv name, const struct xml_declaration *declarations, size_t n_declarations,
			struct buffer *buffer)
{
	int r = buffer_printf(buffer, "<%.*s", SV_ARGS(name));

	for (size_t i = 0; r == 0 && i < n_declarations; i++) {
		const struct xml_declaration *declaration = &declarations[i];

		r = buffer_printf(buffer, " xmlns%s%.*s='", declaration->prefix.n ? ":" : "",
				  SV_ARGS(declaration->prefix));
		if (r == 0) {
			r = buffer_append_escaped(buffer, declaration->uri);
		}
		if (r == 0) {
			r = buffer_append_sv(buffer, SV("'"));
		}
	}
	return r < 0 ? r : buffer_append_sv(buffer, SV(">"));
}

static struct sv text_put(char **at, struct sv view)
{
	struct sv copy = {*at, view.n};

	if (view.n) {
		memcpy(*at, view.data, view.n);
	}
	*at += view.n;
	return copy;
}

static int scope_new(const struct xml_pool *pool, struct sv name,
		     const struct xml_declaration *declarations, size_t n_declarations,
		     struct xml_scope **ret_scope)
{
	_cleanup_(buffer_deinit) struct buffer header = BUFFER_INIT;
	int r = header_write(name, declarations, n_declarations, &header);

	if (r < 0) {
		return r;
	}
	size_t n_text = header.n + name.n;

	for (size_t i = 0; i < n_declarations; i++) {
		n_text += declarations[i].prefix.n + declarations[i].uri.n;
	}
	struct xml_scope *scope = malloc(sizeof(*scope) + n_text);

	if (!scope) {
		return -ENOMEM;
	}
	char *at = scope->text;

	scope->n_refs = 1;
	scope->n_declarations = n_declarations;
	scope->header = text_put(&at, buffer_sv(&header));
	scope->root = text_put(&at, name);
	for (size_t i = 0; i < n_declarations; i++) {
		scope->declarations[i] = (struct xml_declaration){
			.prefix = text_put(&at, declarations[i].prefix),
			.uri = text_put(&at, declarations[i].uri),
			.ns = xml_pool_namespace(pool, declarations[i].uri),
		};
	}
	*ret_scope = scope;
	return 0;
}

struct xml_scope *xml_scope_ref(struct xml_scope *scope)
{
	scope->n_refs++;
	return scope;
}

struct xml_scope *xml_scope_unref(struct xml_scope *scope)
{
	if (scope && --scope->n_refs == 0) {
		free(scope);
	}
	return NULL;
}

/* Parsers: from the pool, and back to it. */

static int parser_new(struct xml_pool *pool, struct xml_parser **ret_parser)
{
	struct xml_parser *parser = calloc(1, sizeof(*parser));

	if (!parser) {
		return -ENOMEM;
	}
	parser->pool = pool;
	parser->expat = XML_ParserCreateNS("UTF-8", XML_NAME_SEPARATOR);
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
	parser->in_header = true;
	enum XML_Status status = XML_Parse(parser->expat, header.data, (int)header.n, 0);
	parser->in_header = false;
	if (status != XML_STATUS_OK) {
		return -ENOMEM; /* it was parsed before: nothing else can be wrong */
	}
	parser->n_header = header.n;
	return 0;
}

/* A parser that stands behind an element of the same scope is as good as one that has just read the scope's header. */
static struct xml_parser *pop_warm(struct xml_pool *pool, const struct xml_scope *scope)
{
	struct xml_parser *parser;

	SLIST_FOREACH(parser, &pool->warm, in_pool) {
		if (parser->scope == scope) {
			SLIST_REMOVE(&pool->warm, parser, xml_parser, in_pool);
			pool->n_warm--;
			return parser;
		}
	}
	return NULL;
}

int xml_parser_take(struct xml_pool *pool, const struct xml_scan_options *options,
		    struct xml_scope *scope, struct xml_parser **ret_parser)
{
	struct xml_parser *parser = scope ? pop_warm(pool, scope) : NULL;
	int r;

	if (parser) {
		parser->options = options;
		*ret_parser = parser;
		return 0;
	}
	parser = pop(pool);
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
	struct xml_parser *parser = SLIST_FIRST(&pool->nested);
	int r;

	if (parser) {
		SLIST_REMOVE_HEAD(&pool->nested, in_pool);
		pool->n_nested--;
		parser->options = options;
		*ret_parser = parser;
		return 0;
	}
	r = xml_parser_take(pool, options, NULL, &parser);
	if (r < 0) {
		return r;
	}
	r = feed_header(parser, pool->rootless->header);
	if (r < 0) {
		parser_free(parser);
		return r;
	}
	parser->nested = true;
	/* That element is no part of what is scanned. */
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

/* What the last scan left; not what expat knows. */
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
	parser->accounted = 0;
	parser->n_rescanned = 0;
	parser->n_root_declarations = 0;
	parser->declared = 0;
}

static bool keep_warm(struct xml_parser *parser)
{
	struct xml_pool *pool = parser->pool;

	if (!xml_parser_is_settled(parser) || parser->complete ||
	    pool->n_warm >= POOL_PARSERS_MAX ||
	    parser->n_header + parser->n_fed > XML_WARM_BYTES_MAX) {
		return false;
	}
	/* All that was read is history, like the header: positions begin anew. */
	parser->n_header += parser->n_fed;
	forget_scan(parser);
	SLIST_INSERT_HEAD(&pool->warm, parser, in_pool);
	pool->n_warm++;
	return true;
}

/* Likewise one that stands behind a root in an element of ours. */
static bool keep_nested(struct xml_parser *parser)
{
	struct xml_pool *pool = parser->pool;

	if (!xml_parser_is_settled(parser) || !parser->complete ||
	    pool->n_nested >= POOL_PARSERS_MAX ||
	    parser->n_header + parser->n_fed > XML_WARM_BYTES_MAX) {
		return false;
	}
	parser->n_header += parser->n_fed;
	forget_scan(parser);
	parser->scope = xml_scope_unref(parser->scope);
	parser->complete = false;
	SLIST_INSERT_HEAD(&pool->nested, parser, in_pool);
	pool->n_nested++;
	return true;
}

void xml_parser_give(struct xml_parser *parser)
{
	if (!parser || (parser->nested ? keep_nested(parser) : keep_warm(parser))) {
		return;
	}
	/* Where memory ran out, expat may have stopped in the middle of anything. */
	bool unfit = parser->n_fed > XML_PARSER_BYTES_MAX || parser->error == -ENOMEM;

	/* Told by XML_ParserReset(), the encoding would be lost in silence where memory is short. */
	if (unfit || !XML_ParserReset(parser->expat, NULL) ||
	    XML_SetEncoding(parser->expat, "UTF-8") != XML_STATUS_OK ||
	    !push(parser->pool, parser)) {
		parser_free(parser);
		return;
	}
	xml_parser_prepare(parser, parser->pool->salt);
	forget_scan(parser);
	parser->scope = xml_scope_unref(parser->scope);
	parser->error = 0;
	parser->n_header = 0;
	parser->depth = 0;
	parser->complete = false;
	parser->nested = false;
	parser->spent = false;
}
