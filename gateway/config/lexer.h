/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Cuts the text of a configuration file into tokens. Comments (#, // and C's) and white space stand
 * between tokens. What has a meaning in other formats and none here (${...}, \n in a string, a
 * string of several lines) is refused, so that nobody relies on it.
 *
 * word    a text without quotes; it cannot contain white space, quotes or any of {}()=+,#*
 * string  a text in double or single quotes; \ stands before a quote or another \ only
 * line    counted from 1
 */
#include <stdbool.h>

#include "common/sv.h"

/* name, what a message calls it */
#define CONFIG_TOKENS(X)       \
	X(END, "the end")      \
	X(WORD, "a word")      \
	X(STRING, "a text")    \
	X(EQUALS, "'='")       \
	X(PLUS_EQUALS, "'+='") \
	X(OPEN, "'{'")         \
	X(CLOSE, "'}'")        \
	X(COMMA, "','")        \
	X(PARENTHESIS, "a parenthesis")

enum config_token_kind {
#define X(name, text) CONFIG_TOKEN_##name,
	CONFIG_TOKENS(X)
#undef X
};

struct config_token {
	enum config_token_kind kind;
	struct sv text; /* borrowed from the file; of a string without its quotes */
	unsigned line;
};

struct config_lexer {
	struct sv rest; /* borrowed: the part of the file that has not been read */
	unsigned line;
};

/* Begins to read @text, which stays where it is until the last token has been used. */
struct config_lexer config_lexer_init(struct sv text);

/* Reads the next token; at the end of the text always CONFIG_TOKEN_END. Returns 0, or -EINVAL when
 * something is refused; then *ret_what says what is wrong at ret_token->line. */
_must_check_ int config_lexer_next(struct config_lexer *lexer, struct config_token *ret_token,
				   const char **ret_what);

/* Whether the token is a word or a string. */
bool config_token_is_text(const struct config_token *token);

/* Writes the text of a word or string, without the \ of its escapes and with a NUL, to @ret_text,
 * which has token->text.n + 1 bytes. */
void config_token_copy(const struct config_token *token, char *ret_text);

/* What a message calls a token of @kind. */
const char *config_token_name(enum config_token_kind kind);
