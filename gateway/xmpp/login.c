/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/login.h"

#include <limits.h>

#include "common/ascii.h"
#include "gateway/xmpp/namespace.h"

#define LEGACY_NS "jabber:iq:auth"

static const struct sv try_names[] = {
	SV_INIT("auth"),
	SV_INIT("authenticate"),
	SV_INIT("password"),
	SV_INIT("digest"),
};

/* RFC 6120, 6.5: errors that the server gives before it looks at a password. Unknown ones count as
 * failures. */
static const struct sv untried[] = {
	SV_INIT("aborted"),
	SV_INIT("encryption-required"),
	SV_INIT("incorrect-encoding"),
	SV_INIT("invalid-mechanism"),
	SV_INIT("malformed-request"),
	SV_INIT("mechanism-too-weak"),
	SV_INIT("temporary-auth-failure"),
};

/* Of a stanza error in answer to a login by XEP-0078: 401, and the two that mean something else. */
static const struct sv legacy_conditions[] = {
	SV_INIT("not-authorized"),
	SV_INIT("conflict"),
	SV_INIT("not-acceptable"),
};

static bool ends_name(char c)
{
	return ascii_is_white(c) || c == '/' || c == '>';
}

/* Whether a start tag's name, or what could be one, begins at @rest. */
static bool is_try(struct sv rest)
{
	for (size_t i = 0; i < ARRAY_LENGTH(try_names); i++) {
		if (rest.n > try_names[i].n && sv_starts_with(rest, try_names[i]) &&
		    ends_name(rest.data[try_names[i].n])) {
			return true;
		}
	}
	return false;
}

static bool is_mechanism(char c)
{
	return (c >= 'A' && c <= 'Z') || ascii_is_digit(c) || c == '-' || c == '_';
}

/* The value of the attribute `mechanism` in @text; empty if there is none, or if it is not the name
 * of a mechanism. */
static struct sv find_mechanism(struct sv text)
{
	size_t n = 0;

	text = sv_skip(text, sv_find_sv(text, SV("mechanism")));
	text = sv_trim(sv_skip(text, SV("mechanism").n));
	if (text.n == 0 || text.data[0] != '=') {
		return SV_EMPTY;
	}
	text = sv_trim(sv_skip(text, 1));
	char quote = text.n ? text.data[0] : '\0';

	text = sv_skip(text, 1);
	while (n < text.n && is_mechanism(text.data[n])) {
		n++;
	}
	bool is_whole = n < text.n && text.data[n] == quote && (quote == '\'' || quote == '"');

	return is_whole && n <= LOGIN_MECHANISM_MAX ? sv_first(text, n) : SV_EMPTY;
}

static void set_mechanism(struct login *login, struct sv mechanism)
{
	memset(login->mechanism, 0, sizeof(login->mechanism));
	if (mechanism.n) {
		memcpy(login->mechanism, mechanism.data, mechanism.n);
	}
}

size_t login_sent(struct login *login, struct sv elements)
{
	struct sv rest = elements;
	bool is_end_tag = false;
	size_t n_tries = 0;

	for (size_t i = 0; i + 1 < elements.n; i++) {
		char c = elements.data[i];

		if (c == '<') {
			is_end_tag = elements.data[i + 1] == '/';
		}
		if ((c == '<' || (c == ':' && !is_end_tag)) && is_try(sv_skip(elements, i + 1))) {
			rest = sv_skip(elements, i + 1);
			n_tries++;
		}
		is_end_tag = is_end_tag && c != '>';
	}
	if (n_tries) {
		login->is_legacy = sv_contains(elements, SV(LEGACY_NS));
		set_mechanism(login, login->is_legacy ? SV(LEGACY_NS) : find_mechanism(rest));
		n_tries = n_tries < UCHAR_MAX ? n_tries : UCHAR_MAX;
		size_t n_open = login->n_open + n_tries;

		login->n_open = (unsigned char)(n_open < UCHAR_MAX ? n_open : UCHAR_MAX);
	}
	return n_tries;
}

static void decide(struct login *login)
{
	login->n_open -= login->n_open > 0;
}

static struct sv condition_of(const struct xml_scan *scan, const struct xml_item *item)
{
	for (size_t i = 0; i < item->n_children; i++) {
		struct xml_child child = xml_item_child(scan, item, i);

		if (child.ns == NS_SASL && !sv_eq(child.name, SV("text"))) {
			return child.name;
		}
	}
	return SV_EMPTY;
}

static bool is_untried(struct sv condition)
{
	for (size_t i = 0; i < ARRAY_LENGTH(untried); i++) {
		if (sv_eq(condition, untried[i])) {
			return true;
		}
	}
	return false;
}

/* The element has no child: "<iq .../>" or "<iq ...></iq>". */
static bool is_empty(const struct xml_item *item)
{
	return !sv_contains(sv_skip(item->text, item->n_open), SV("<")) ||
	       sv_starts_with(sv_skip(item->text, item->n_open), SV("</"));
}

static bool has_type(const struct xml_item *item, const char *single, const char *twofold)
{
	struct sv tag = sv_first(item->text, item->n_open);

	return sv_contains(tag, sv_from(single)) || sv_contains(tag, sv_from(twofold));
}

/* XEP-0078: the answer has no namespace of its own, and only the order tells what it answers. A
 * success is an empty result. */
static enum login_result legacy_received(struct login *login, const struct xml_item *item,
					 struct sv *ret_condition)
{
	if (has_type(item, "type='result'", "type=\"result\"")) {
		bool is_login = login->is_legacy && login->n_open && is_empty(item);

		decide(login);
		return is_login ? LOGIN_SUCCEEDED : LOGIN_NONE;
	}
	if (login->n_open == 0 || !has_type(item, "type='error'", "type=\"error\"")) {
		return LOGIN_NONE;
	}
	decide(login);
	for (size_t i = 0; i < ARRAY_LENGTH(legacy_conditions); i++) {
		if (sv_contains(item->text, legacy_conditions[i])) {
			*ret_condition = legacy_conditions[i];
			return i == 0 ? LOGIN_FAILED : LOGIN_UNTRIED;
		}
	}
	return LOGIN_NONE;
}

enum login_result login_received(struct login *login, const struct xml_scan *scan,
				 const struct xml_item *item, struct sv *ret_condition)
{
	*ret_condition = SV_EMPTY;
	if (item->ns == NS_CLIENT && sv_eq(item->name, SV("iq"))) {
		return legacy_received(login, item, ret_condition);
	}
	if (item->ns != NS_SASL && item->ns != NS_SASL2) {
		return LOGIN_NONE;
	}
	if (sv_eq(item->name, SV("success"))) {
		decide(login);
		return LOGIN_SUCCEEDED;
	}
	if (!sv_eq(item->name, SV("failure"))) {
		return LOGIN_NONE;
	}
	decide(login);
	*ret_condition = condition_of(scan, item);
	return is_untried(*ret_condition) ? LOGIN_UNTRIED : LOGIN_FAILED;
}
