/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Names and namespaces as expat reports them, and what a root declares for the elements in it.
 * Private to common/xml-*.c.
 *
 * scope   the namespace declarations of one root, with the root's name; shared by all scans that met
 *         the same root, and counted
 * scopes  the namespaces that a pool was told of, and the scopes that it remembers
 */
#include "common/writer.h"
#include "common/xml.h"

enum {
	/* Between a namespace, a local name and a prefix in the names that expat reports; expat
	 * refuses it in URIs. */
	XML_NAME_SEPARATOR = '\n',
	/* Roots remembered: what the common servers and clients declare. */
	XML_SCOPES_REMEMBERED = 8,
};

/* A name, split. Views are into the text that was split. */
struct xml_name {
	struct sv uri, local, prefix;
};

struct xml_declaration {
	struct sv prefix; /* empty: the default namespace */
	struct sv uri;
	int ns;
};

struct xml_scope {
	size_t n_refs; /* scans that hold it, and struct xml_scopes */
	size_t n_declarations;
	struct xml_declaration declarations[XML_SCOPE_MAX]; /* into text */
	struct sv root;   /* the root's name as it was written: its end tag repeats it */
	struct sv header; /* a start tag that makes the same declarations */
	char text[];
};

struct xml_scopes {
	const char *const *namespaces;
	size_t n_namespaces;
	struct xml_scope *remembered[XML_SCOPES_REMEMBERED];
	size_t next; /* index of the first of equals that is given up */
	struct xml_scope *rootless; /* declares nothing */
};

/* @namespaces is borrowed for the scopes' life. Returns 0 or -ENOMEM. */
_must_check_ int xml_scopes_init(struct xml_scopes *scopes, const char *const *namespaces,
				 size_t n_namespaces);
/* May run twice. */
void xml_scopes_deinit(struct xml_scopes *scopes);

/* The index of @uri among the namespaces, or XML_NS_OTHER. */
int xml_scopes_namespace(const struct xml_scopes *scopes, struct sv uri);

/* The scope of a root @name with these declarations: a remembered one, or a new one. The caller
 * gets a reference. Returns 0 or -ENOMEM. */
_must_check_ int xml_scopes_get(struct xml_scopes *scopes, struct sv name,
				const struct xml_declaration *declarations, size_t n_declarations,
				struct xml_scope **ret_scope);

struct xml_scope *xml_scope_ref(struct xml_scope *scope);
/* NULL is fine; returns NULL. */
struct xml_scope *xml_scope_unref(struct xml_scope *scope);

/* Splits "uri\nlocal\nprefix". Without a prefix the last part is missing, without a namespace the
 * first one, too. */
struct xml_name xml_name_split(const char *text);

/* Writes " xmlns:prefix='uri'", or " xmlns='uri'". */
void xml_declaration_write(const struct xml_declaration *declaration, struct writer *writer);
