/* SPDX-License-Identifier: MIT */
#include "gateway/config/lexer.h"

#include <errno.h>

#include "common/ascii.h"

static const char *const names[] = {
#define X(name, text) [CONFIG_TOKEN_##name] = text,
	CONFIG_TOKENS(X)
#undef X
};

const char *config_token_name(enum config_token_kind kind)
{
	return names[kind];
}

struct config_lexer config_lexer_init(struct sv text)
{
	return (struct config_lexer){text, 1};
}

static char peek(const struct config_lexer *lexer, size_t offset)
{
	return offset < lexer->rest.n ? lexer->rest.data[offset] : '\0';
}

static bool is_control(char c)
{
	return (c >= 0 && c < ' ' && !ascii_is_white(c)) || c == 0x7f;
}

static void skip(struct config_lexer *lexer, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		lexer->line += lexer->rest.data[i] == '\n';
	}
	lexer->rest = sv_skip(lexer->rest, n);
}

static bool begins_line_comment(const struct config_lexer *lexer)
{
	return peek(lexer, 0) == '#' || (peek(lexer, 0) == '/' && peek(lexer, 1) == '/');
}

/* Skips white space and comments. Returns false at a comment that is not closed. */
static bool skip_blank(struct config_lexer *lexer)
{
	for (;;) {
		if (lexer->rest.n && ascii_is_white(peek(lexer, 0))) {
			skip(lexer, 1);
		} else if (begins_line_comment(lexer)) {
			skip(lexer, sv_find(lexer->rest, '\n'));
		} else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
			size_t n = sv_find_sv(sv_skip(lexer->rest, 2), SV("*/"));

			if (2 + n == lexer->rest.n) {
				return false;
			}
			skip(lexer, 2 + n + 2);
		} else {
			return true;
		}
	}
}

static int read_string(struct config_lexer *lexer, struct config_token *token,
		       const char **ret_what)
{
	char quote = peek(lexer, 0);
	size_t n = 1;

	while (n < lexer->rest.n && peek(lexer, n) != quote && peek(lexer, n) != '\n') {
		char c = peek(lexer, n);
		char next = peek(lexer, n + 1);

		if (quote == '"' && c == '$' && next == '{') {
			*ret_what = "${...} is not expanded: expected the value itself";
			return -EINVAL;
		}
		if (c == '\\' && next != quote && next != '\\') {
			*ret_what = "in a string, \\ is allowed only before a quote or another \\";
			return -EINVAL;
		}
		if (is_control(c)) {
			*ret_what = "expected text, got a control character";
			return -EINVAL;
		}
		n += c == '\\' ? 2 : 1;
	}
	if (n >= lexer->rest.n || peek(lexer, n) != quote) {
		*ret_what = "this string is not closed";
		return -EINVAL;
	}
	token->kind = CONFIG_TOKEN_STRING;
	token->text = (struct sv){lexer->rest.data + 1, n - 1};
	skip(lexer, n + 1);
	return 0;
}

/* Whether the @n-th byte has a meaning in other programs' files, but none here. */
static bool is_reserved(const struct config_lexer *lexer, size_t n)
{
	char c = peek(lexer, n);
	char next = peek(lexer, n + 1);

	return c == '*' || (c == '$' && next == '{') || (c == '+' && next != '=');
}

static bool ends_word(char c)
{
	return ascii_is_white(c) || is_control(c) || strchr("{}()=+,\"'#*", c);
}

static int read_word(struct config_lexer *lexer, struct config_token *token, const char **ret_what)
{
	size_t n = 0;

	while (n < lexer->rest.n && !ends_word(peek(lexer, n)) && !is_reserved(lexer, n)) {
		n++;
	}
	if (is_reserved(lexer, n)) {
		*ret_what = "*, + and ${ are allowed in quotes only";
		return -EINVAL;
	}
	if (n == 0) {
		*ret_what = "expected text, got a control character";
		return -EINVAL;
	}
	token->kind = CONFIG_TOKEN_WORD;
	token->text = sv_first(lexer->rest, n);
	skip(lexer, n);
	return 0;
}

static int read_mark(struct config_lexer *lexer, enum config_token_kind kind, size_t n,
		     struct config_token *token)
{
	token->kind = kind;
	token->text = sv_first(lexer->rest, n);
	skip(lexer, n);
	return 0;
}

int config_lexer_next(struct config_lexer *lexer, struct config_token *ret_token,
		      const char **ret_what)
{
	ret_token->line = lexer->line;
	if (!skip_blank(lexer)) {
		ret_token->line = lexer->line;
		*ret_what = "this comment is not closed";
		return -EINVAL;
	}
	ret_token->line = lexer->line;
	if (lexer->rest.n == 0) {
		return read_mark(lexer, CONFIG_TOKEN_END, 0, ret_token);
	}
	switch (peek(lexer, 0)) {
	case '"':
	case '\'':
		return read_string(lexer, ret_token, ret_what);
	case '=':
		return read_mark(lexer, CONFIG_TOKEN_EQUALS, 1, ret_token);
	case '{':
		return read_mark(lexer, CONFIG_TOKEN_OPEN, 1, ret_token);
	case '}':
		return read_mark(lexer, CONFIG_TOKEN_CLOSE, 1, ret_token);
	case ',':
		return read_mark(lexer, CONFIG_TOKEN_COMMA, 1, ret_token);
	case '(':
	case ')':
		return read_mark(lexer, CONFIG_TOKEN_PARENTHESIS, 1, ret_token);
	default:
		if (peek(lexer, 0) == '+' && peek(lexer, 1) == '=') {
			return read_mark(lexer, CONFIG_TOKEN_PLUS_EQUALS, 2, ret_token);
		}
		return read_word(lexer, ret_token, ret_what);
	}
}

bool config_token_is_text(const struct config_token *token)
{
	return token->kind == CONFIG_TOKEN_WORD || token->kind == CONFIG_TOKEN_STRING;
}

void config_token_copy(const struct config_token *token, char *ret_text)
{
	size_t n = 0;

	for (size_t i = 0; i < token->text.n; i++) {
		if (token->kind == CONFIG_TOKEN_STRING && token->text.data[i] == '\\') {
			i++;
		}
		ret_text[n++] = token->text.data[i];
	}
	ret_text[n] = '\0';
}
