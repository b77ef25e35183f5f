/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Names and namespaces as expat reports them, and the namespace declarations that a root makes for
 * the elements in it. Private to common/xml-*.c.
 *
 * scope   the namespace declarations of one root, with the root's name; shared by all scans of
 *         equal roots, and counted
 * scopes  the namespaces that the pool was given, and the scopes that it remembers
 */
#include "common/writer.h"
#include "common/xml.h"

enum {
	/* Separates namespace, local name and prefix in the names that expat reports. expat refuses
	 * a URI that contains it. */
	XML_NAME_SEPARATOR = '\n',
	/* Enough for the roots of the common servers and clients. */
	XML_SCOPES_REMEMBERED = 8,
};

/* The parts are views into the text that was split. */
struct xml_name {
	struct sv uri, local, prefix;
};

struct xml_declaration {
	struct sv prefix; /* empty: the default namespace */
	struct sv uri;
	int ns;
	size_t n_written; /* bytes that xml_declaration_write() writes; set in a scope */
};

struct xml_scope {
	size_t n_refs; /* held by scans, parsers and struct xml_scopes */
	size_t n_declarations;
	struct xml_declaration declarations[XML_SCOPE_MAX]; /* into text */
	struct sv root;   /* the root's name as written, which its end tag repeats */
	struct sv header; /* a start tag that makes the same declarations */
	char text[];
};

struct xml_scopes {
	const char *const *namespaces;
	size_t n_namespaces;
	struct xml_scope *remembered[XML_SCOPES_REMEMBERED];
	size_t next; /* of scopes with equally few users, the first from here on is replaced */
	struct xml_scope *rootless; /* declares nothing */
};

/* @namespaces is borrowed for the scopes' life. Returns 0 or -ENOMEM. */
_must_check_ int xml_scopes_init(struct xml_scopes *scopes, const char *const *namespaces,
				 size_t n_namespaces);
/* May run twice. */
void xml_scopes_deinit(struct xml_scopes *scopes);

/* The index of @uri among the namespaces, or XML_NS_OTHER. */
int xml_scopes_namespace(const struct xml_scopes *scopes, struct sv uri);

/* Returns a reference to the scope of a root @name with these declarations, at most XML_SCOPE_MAX:
 * a remembered one or a new one. Returns 0 or -ENOMEM. */
_must_check_ int xml_scopes_get(struct xml_scopes *scopes, struct sv name,
				const struct xml_declaration *declarations, size_t n_declarations,
				struct xml_scope **ret_scope);

struct xml_scope *xml_scope_ref(struct xml_scope *scope);
/* Takes NULL; returns NULL. */
struct xml_scope *xml_scope_unref(struct xml_scope *scope);

/* Splits "uri\nlocal\nprefix". A name without a prefix has no third part; one without a namespace
 * is only the local name. */
struct xml_name xml_name_split(const char *text);

/* Whether @uri can be written into a declaration. A control character can only come from a
 * character reference: where the declaration is written again, a parser would read a space. */
bool xml_uri_is_writable(struct sv uri);

/* Writes " xmlns:prefix='uri'", or " xmlns='uri'". */
void xml_declaration_write(const struct xml_declaration *declaration, struct writer *writer);
