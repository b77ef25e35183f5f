/* SPDX-License-Identifier: MIT */
#include "common/xml-token.h"

#include "common/ascii.h"

static bool is_in_reference(char c)
{
	return ascii_is_alphanumeric(c) || c == '#' || c == '_' || c == '-' || c == '.' ||
	       c == ':' || (c & 0x80);
}

static enum xml_token_kind kind_of_first(char c)
{
	return c == '<' ? XML_TOKEN_NEW : c == '&' ? XML_TOKEN_REFERENCE : XML_TOKEN_OTHER;
}

/* What the token is whose second byte, behind "<", is @c. */
static enum xml_token_kind kind_of_second(char c)
{
	switch (c) {
	case '/':
		return XML_TOKEN_END_TAG;
	case '?':
		return XML_TOKEN_INSTRUCTION;
	case '!':
		return XML_TOKEN_BANG;
	default:
		return XML_TOKEN_TAG;
	}
}

/* Behind "<!" come "--", or "[CDATA[", which is short. */
static enum xml_token_kind kind_of_bang(const struct xml_token *token, char c)
{
	if (c != '-') {
		return XML_TOKEN_OTHER;
	}
	return token->n == 3 ? XML_TOKEN_COMMENT : XML_TOKEN_BANG;
}

/* Returns whether @c may complete a start tag. */
static bool ends_tag(struct xml_token *token, char c)
{
	if (token->quote && c == token->quote) {
		token->quote = '\0';
		token->n_values++;
		return false;
	}
	if (token->quote) {
		return false;
	}
	token->quote = c == '\'' || c == '"' ? c : '\0';
	return c == '>';
}

/* Returns whether @c completes an instruction: "?>". */
static bool ends_instruction(struct xml_token *token, char c)
{
	bool ends = token->before == '?' && c == '>';

	token->before = c;
	return ends;
}

/* Returns whether expat needs to see the token with @c at its end. */
static bool take(struct xml_token *token, char c)
{
	switch (token->kind) {
	case XML_TOKEN_NONE:
		token->kind = kind_of_first(c);
		break;
	case XML_TOKEN_NEW:
		token->kind = kind_of_second(c);
		break;
	case XML_TOKEN_BANG:
		token->kind = kind_of_bang(token, c);
		break;
	case XML_TOKEN_TAG:
		return ends_tag(token, c);
	case XML_TOKEN_END_TAG:
		return c == '>';
	case XML_TOKEN_REFERENCE:
		return !is_in_reference(c);
	case XML_TOKEN_INSTRUCTION:
		return ends_instruction(token, c);
	case XML_TOKEN_OTHER:
	case XML_TOKEN_COMMENT:
		break;
	}
	return true;
}

void xml_token_begin(struct xml_token *token, struct sv bytes)
{
	*token = (struct xml_token){.kind = XML_TOKEN_NONE};
	for (; token->n < bytes.n; token->n++) {
		(void)take(token, bytes.data[token->n]);
	}
}

/* Whether @c, behind itself, begins such a token again. */
static bool can_repeat(char c)
{
	return c == ']' || c == '\r';
}

size_t xml_token_go_on(struct xml_token *token, struct sv bytes)
{
	size_t n_give = 0;

	if (token->kind == XML_TOKEN_OTHER && bytes.n) {
		n_give = sv_first(bytes, can_repeat(bytes.data[0]) ? XML_TOKEN_SHORT : 1).n;
		token->n += n_give;
		return n_give;
	}
	for (size_t i = 0; i < bytes.n && n_give == 0; i++, token->n++) {
		n_give = take(token, bytes.data[i]) ? i + 1 : 0;
	}
	return n_give == 0 && token->n < XML_TOKEN_LONG ? bytes.n : n_give;
}
