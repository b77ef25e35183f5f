/* SPDX-License-Identifier: MIT */
#include "common/xml-scope.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct xml_name xml_name_split(const char *text)
{
	struct sv rest = sv_from(text);
	size_t n = sv_find(rest, XML_NAME_SEPARATOR);

	if (n == rest.n) {
		return (struct xml_name){.local = rest};
	}
	struct xml_name name = {.uri = sv_first(rest, n)};

	rest = sv_skip(rest, n + 1);
	n = sv_find(rest, XML_NAME_SEPARATOR);
	name.local = sv_first(rest, n);
	name.prefix = n < rest.n ? sv_skip(rest, n + 1) : SV_EMPTY;
	return name;
}

struct xml_scope *xml_scope_ref(struct xml_scope *scope)
{
	assert(scope->n_refs > 0);
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

int xml_scopes_namespace(const struct xml_scopes *scopes, struct sv uri)
{
	for (size_t i = 0; i < scopes->n_namespaces; i++) {
		if (sv_eq(uri, sv_from(scopes->namespaces[i]))) {
			return (int)i;
		}
	}
	return XML_NS_OTHER;
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

bool xml_uri_is_writable(struct sv uri)
{
	for (size_t i = 0; i < uri.n; i++) {
		if ((unsigned char)uri.data[i] < ' ') {
			return false;
		}
	}
	return true;
}

void xml_declaration_write(const struct xml_declaration *declaration, struct writer *writer)
{
	writer_put(writer, declaration->prefix.n ? SV(" xmlns:") : SV(" xmlns"));
	writer_put(writer, declaration->prefix);
	writer_put(writer, SV("='"));
	writer_escaped(writer, declaration->uri);
	writer_put(writer, SV("'"));
}

/* Writes "<name xmlns:p='uri' ...>", and tells how long each declaration is in it. Returns 0 or
 * -ENOMEM. */
static int header_write(struct sv name, const struct xml_declaration *declarations,
			size_t n_declarations, struct buffer *buffer,
			size_t ret_lengths[static XML_SCOPE_MAX])
{
	struct writer writer = writer_begin(buffer);

	writer_put(&writer, SV("<"));
	writer_put(&writer, name);
	for (size_t i = 0; i < n_declarations; i++) {
		size_t n_before = buffer->n;

		xml_declaration_write(&declarations[i], &writer);
		ret_lengths[i] = buffer->n - n_before;
	}
	writer_put(&writer, SV(">"));
	return writer_end(&writer);
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

static int scope_new(const struct xml_scopes *scopes, struct sv name,
		     const struct xml_declaration *declarations, size_t n_declarations,
		     struct xml_scope **ret_scope)
{
	_cleanup_(buffer_deinit) struct buffer header = BUFFER_INIT;
	size_t lengths[XML_SCOPE_MAX];

	assert(n_declarations <= XML_SCOPE_MAX);
	int r = header_write(name, declarations, n_declarations, &header, lengths);

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
			.ns = xml_scopes_namespace(scopes, declarations[i].uri),
			.n_written = lengths[i],
		};
	}
	*ret_scope = scope;
	return 0;
}

static bool recall(const struct xml_scopes *scopes, struct sv name,
		   const struct xml_declaration *declarations, size_t n_declarations,
		   struct xml_scope **ret_scope)
{
	for (size_t i = 0; i < XML_SCOPES_REMEMBERED; i++) {
		struct xml_scope *scope = scopes->remembered[i];

		if (scope && scope_is(scope, name, declarations, n_declarations)) {
			*ret_scope = xml_scope_ref(scope);
			return true;
		}
	}
	return false;
}

/* The index at which the next scope is remembered: a free one, or that of the scope with the fewest
 * users. Otherwise a few roots that occur once would displace the one that all sessions share. */
static size_t least_used(const struct xml_scopes *scopes)
{
	size_t least = scopes->next;

	for (size_t i = 0; i < XML_SCOPES_REMEMBERED; i++) {
		size_t at = (scopes->next + i) % XML_SCOPES_REMEMBERED;

		if (!scopes->remembered[at]) {
			return at;
		}
		if (scopes->remembered[at]->n_refs < scopes->remembered[least]->n_refs) {
			least = at;
		}
	}
	return least;
}

int xml_scopes_get(struct xml_scopes *scopes, struct sv name,
		   const struct xml_declaration *declarations, size_t n_declarations,
		   struct xml_scope **ret_scope)
{
	if (recall(scopes, name, declarations, n_declarations, ret_scope)) {
		return 0;
	}
	int r = scope_new(scopes, name, declarations, n_declarations, ret_scope);

	if (r < 0) {
		return r;
	}
	size_t at = least_used(scopes);

	xml_scope_unref(scopes->remembered[at]);
	scopes->remembered[at] = xml_scope_ref(*ret_scope);
	scopes->next = (at + 1) % XML_SCOPES_REMEMBERED;
	return 0;
}

int xml_scopes_init(struct xml_scopes *scopes, const char *const *namespaces, size_t n_namespaces)
{
	*scopes = (struct xml_scopes){.namespaces = namespaces, .n_namespaces = n_namespaces};
	return scope_new(scopes, SV("x"), NULL, 0, &scopes->rootless);
}

void xml_scopes_deinit(struct xml_scopes *scopes)
{
	for (size_t i = 0; i < XML_SCOPES_REMEMBERED; i++) {
		scopes->remembered[i] = xml_scope_unref(scopes->remembered[i]);
	}
	scopes->rootless = xml_scope_unref(scopes->rootless);
}
