/* SPDX-License-Identifier: MIT */
#include "common/xml-simple.h"

#include "common/ascii.h"
#include "common/xml-text.h"

struct tag {
	struct sv name;
	struct sv uri;
	struct sv attributes[XML_SIMPLE_ATTRIBUTES_MAX]; /* their names */
	size_t n_attributes;
	bool is_empty; /* <name/> */
};

static bool is_name_start(char c)
{
	return ascii_is_letter(c) || c == '_';
}

static bool is_name(char c)
{
	return is_name_start(c) || ascii_is_digit(c) || c == '-' || c == '.';
}

static bool is_value(char c)
{
	return c >= ' ' && c < 0x7f && c != '<' && c != '&';
}

/* The take functions remove what they are named after from the beginning of @rest. */

static bool take(struct sv *rest, struct sv what)
{
	bool is_there = sv_starts_with(*rest, what);

	*rest = sv_skip(*rest, is_there ? what.n : 0);
	return is_there;
}

/* Without a name, returns an empty one. */
static struct sv take_name(struct sv *rest)
{
	size_t n = rest->n && is_name_start(rest->data[0]);

	while (n && n < rest->n && is_name(rest->data[n])) {
		n++;
	}
	struct sv name = sv_first(*rest, n);

	*rest = sv_skip(*rest, n);
	return name;
}

/* With both its quotes. */
static bool take_value(struct sv *rest, struct sv *ret_value)
{
	char quote = rest->n ? rest->data[0] : 0;
	size_t n = 1;

	if (quote != '\'' && quote != '"') {
		return false;
	}
	while (n < rest->n && rest->data[n] != quote && is_value(rest->data[n])) {
		n++;
	}
	if (n >= rest->n || rest->data[n] != quote) {
		return false;
	}
	*ret_value = (struct sv){rest->data + 1, n - 1};
	*rest = sv_skip(*rest, n + 1);
	return true;
}

static bool has_attribute(const struct tag *tag, struct sv name)
{
	for (size_t i = 0; i < tag->n_attributes; i++) {
		if (sv_eq(tag->attributes[i], name)) {
			return true;
		}
	}
	return false;
}

/* All reserved ones begin like this; so may others, for which expat is asked. */
static bool may_be_reserved(struct sv uri)
{
	return uri.n == 0 || sv_starts_with(uri, SV("http://www.w3.org/"));
}

static bool take_attribute(struct sv *rest, struct tag *tag)
{
	struct sv name = SV("xml:lang"), value;

	if (!take(rest, name)) {
		name = take_name(rest);
	}
	if (name.n == 0 || tag->n_attributes == XML_SIMPLE_ATTRIBUTES_MAX ||
	    has_attribute(tag, name) || !take(rest, SV("=")) || !take_value(rest, &value)) {
		return false;
	}
	tag->attributes[tag->n_attributes++] = name;
	if (sv_eq(name, SV("xmlns"))) {
		tag->uri = value;
		return !may_be_reserved(value);
	}
	return true;
}

static bool take_start_tag(struct sv *rest, struct tag *ret_tag)
{
	ret_tag->uri = SV_EMPTY;
	ret_tag->n_attributes = 0;
	if (!take(rest, SV("<"))) {
		return false;
	}
	ret_tag->name = take_name(rest);
	if (ret_tag->name.n == 0) {
		return false;
	}
	for (;;) {
		bool has_space = take(rest, SV(" "));

		while (take(rest, SV(" "))) {
		}
		ret_tag->is_empty = take(rest, SV("/"));
		if (take(rest, SV(">"))) {
			return true;
		}
		if (ret_tag->is_empty || !has_space || !take_attribute(rest, ret_tag)) {
			return false;
		}
	}
}

static bool take_reference(struct sv *rest)
{
	return take(rest, SV("&lt;")) || take(rest, SV("&gt;")) || take(rest, SV("&amp;")) ||
	       take(rest, SV("&apos;")) || take(rest, SV("&quot;"));
}

static void take_text(struct sv *rest)
{
	do {
		*rest = sv_skip(*rest, xml_text_run(*rest));
	} while (take_reference(rest));
}

/* Behind "</". */
static bool take_end_tag(struct sv *rest, struct sv name)
{
	return take(rest, name) && take(rest, SV(">"));
}

/* What is in the element @name, and its end tag. */
static bool take_content(struct sv *rest, struct sv name)
{
	struct sv open[XML_SIMPLE_DEPTH_MAX] = {name};
	size_t depth = 1;

	while (depth) {
		struct tag tag;

		take_text(rest);
		if (take(rest, SV("</"))) {
			if (!take_end_tag(rest, open[--depth])) {
				return false;
			}
			continue;
		}
		if (!take_start_tag(rest, &tag) ||
		    (!tag.is_empty && depth == XML_SIMPLE_DEPTH_MAX)) {
			return false;
		}
		if (!tag.is_empty) {
			open[depth++] = tag.name;
		}
	}
	return true;
}

bool xml_simple_read(struct sv bytes, struct xml_simple *ret_element)
{
	struct sv all = sv_first(bytes, XML_SIMPLE_MAX), rest = all;
	struct tag tag;

	if (!take_start_tag(&rest, &tag)) {
		return false;
	}
	size_t n_open = all.n - rest.n;

	if (!tag.is_empty && !take_content(&rest, tag.name)) {
		return false;
	}
	*ret_element = (struct xml_simple){
		.n = all.n - rest.n, .n_open = n_open, .name = tag.name, .uri = tag.uri};
	return true;
}

size_t xml_simple_open(struct sv bytes)
{
	struct sv all = sv_first(bytes, XML_SIMPLE_MAX), rest = all;
	struct tag tag;

	return take_start_tag(&rest, &tag) && !tag.is_empty ? all.n - rest.n : 0;
}
