/* SPDX-License-Identifier: MIT */
#include "gateway/config-text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/sv.h"

enum {
	READ_SIZE = 64 * 1024,
};

static int read_all(int fd, struct buffer *text)
{
	while (text->n <= CONFIG_TEXT_MAX) {
		int r = buffer_reserve(text, READ_SIZE);

		if (r < 0) {
			return r;
		}
		ssize_t n = read(fd, buffer_end(text), READ_SIZE);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		if (n == 0) {
			return 0;
		}
		text->n += (size_t)n;
	}
	return -EFBIG;
}

int config_text_read(const char *path, char **ret_text, size_t *ret_n)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = read_all(fd, &text);

	close(fd);
	if (r < 0) {
		return r;
	}
	r = buffer_append(&text, "", 1);
	if (r < 0) {
		return r;
	}
	/* Nothing has been consumed, so the bytes begin at the start of the allocation. */
	*ret_text = text.data;
	*ret_n = text.n - 1;
	text = BUFFER_INIT;
	return 0;
}

/* A pass over a raw text. */
struct walk {
	char *text;
	size_t n;
	size_t at;
	unsigned line;
	bool in_word;       /* comments other than # cannot start inside a word */
	size_t n_open;      /* braces */
	unsigned open_line; /* of the outermost open brace */
	const char *what;
	unsigned what_line;
};

static bool walk_fail(struct walk *walk, unsigned line, const char *what)
{
	walk->what = what;
	walk->what_line = line;
	return false;
}

static char walk_peek(const struct walk *walk, size_t offset)
{
	return walk->at + offset < walk->n ? walk->text[walk->at + offset] : '\0';
}

static void walk_blank(struct walk *walk)
{
	if (walk->text[walk->at] == '\n') {
		walk->line++;
	} else {
		walk->text[walk->at] = ' ';
	}
	walk->at++;
}

static void blank_line(struct walk *walk)
{
	while (walk->at < walk->n && walk->text[walk->at] != '\n') {
		walk_blank(walk);
	}
}

static bool blank_comment(struct walk *walk)
{
	unsigned start = walk->line;

	walk_blank(walk);
	walk_blank(walk);
	while (walk->at < walk->n) {
		if (walk->text[walk->at] == '*' && walk_peek(walk, 1) == '/') {
			walk_blank(walk);
			walk_blank(walk);
			return true;
		}
		walk_blank(walk);
	}
	return walk_fail(walk, start, "this comment is not closed");
}

static bool pass_string(struct walk *walk)
{
	unsigned start = walk->line;
	char quote = walk->text[walk->at++];

	while (walk->at < walk->n) {
		char c = walk->text[walk->at];

		if (c == '\n') {
			return walk_fail(walk, start, "this string is not closed");
		}
		if (quote == '"' && c == '$' && walk_peek(walk, 1) == '{') {
			return walk_fail(walk, start,
					 "${...} is not expanded: expected the value itself");
		}
		walk->at++;
		if (c == quote) {
			return true;
		}
		/* Others are escape sequences of C. A bad one makes libconfuse lose track of where
		 * it is for good. */
		if (c == '\\' && walk_peek(walk, 0) != quote && walk_peek(walk, 0) != '\\') {
			return walk_fail(
				walk, start,
				"in a string, \\ is allowed only before a quote or another \\");
		}
		if (c == '\\') {
			walk->at++;
		}
	}
	return walk_fail(walk, start, "this string is not closed");
}

/* libconfuse would accept the end of the file as the end of a section. A brace that closes
 * nothing is an error to it, too. */
static void count_brace(struct walk *walk, char c)
{
	if (c == '{' && walk->n_open++ == 0) {
		walk->open_line = walk->line;
	} else if (c == '}' && walk->n_open) {
		walk->n_open--;
	}
}

static bool pass_plain(struct walk *walk, char c)
{
	bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';

	if (c == '\n') {
		walk->line++;
	} else if ((c >= 0 && c < ' ' && !is_space) || c == 0x7f) {
		return walk_fail(walk, walk->line, "expected text, got a control character");
	} else if (c == '*' || (c == '$' && walk_peek(walk, 1) == '{') ||
		   (c == '+' && walk_peek(walk, 1) != '=')) {
		return walk_fail(walk, walk->line, "*, + and ${ are allowed in quotes only");
	}
	count_brace(walk, c);
	walk->in_word = !is_space && !strchr("{}()=+,", c);
	walk->at++;
	return true;
}

static bool walk_step(struct walk *walk)
{
	char c = walk->text[walk->at];

	if (c == '\0') {
		return walk_fail(walk, walk->line, "expected text, got a control character");
	}
	if (c == '"' || c == '\'') {
		walk->in_word = false;
		return pass_string(walk);
	}
	if (c == '#' || (c == '/' && walk_peek(walk, 1) == '/' && !walk->in_word)) {
		walk->in_word = false;
		blank_line(walk);
		return true;
	}
	if (c == '/' && walk_peek(walk, 1) == '*' && !walk->in_word) {
		return blank_comment(walk);
	}
	return pass_plain(walk, c);
}

static bool walk_all(struct walk *walk)
{
	while (walk->at < walk->n) {
		if (!walk_step(walk)) {
			return false;
		}
	}
	return !walk->n_open || walk_fail(walk, walk->open_line, "this { has no matching }");
}

int config_text_prepare(char *text, size_t n, unsigned *ret_line, const char **ret_what)
{
	struct walk walk = {.text = text, .n = n, .line = 1};

	if (!walk_all(&walk)) {
		*ret_line = walk.what_line;
		*ret_what = walk.what;
		return -EINVAL;
	}
	return 0;
}

struct token {
	struct sv text; /* of a string with its quotes */
	unsigned line;
};

static size_t string_length(const char *text)
{
	size_t n = 1;

	while (text[n] && text[n] != text[0]) {
		n += text[n] == '\\' && text[n + 1] ? 2 : 1;
	}
	return text[n] ? n + 1 : n;
}

/* Reads the next token of a prepared text. Returns false at the end. */
static bool token_next(const char **text, unsigned *line, struct token *ret_token)
{
	const char *at = *text;
	size_t n;

	for (; *at && strchr(" \t\r\n", *at); at++) {
		*line += *at == '\n';
	}
	if (!*at) {
		return false;
	}
	if (*at == '"' || *at == '\'') {
		n = string_length(at);
	} else if (strchr("{}()=+,", *at)) {
		n = *at == '+' ? strlen("+=") : 1;
	} else {
		n = strcspn(at, " \t\r\n{}()=+,\"'");
	}
	*ret_token = (struct token){{at, n}, *line};
	*text = at + n;
	return true;
}

static bool is_assignment(struct sv token)
{
	return sv_eq(token, SV("=")) || sv_eq(token, SV("+="));
}

unsigned config_text_key_line(const char *text, const char *key)
{
	struct token token;
	struct token before = {SV(""), 0};
	unsigned line = 1;
	unsigned found = 0;

	while (token_next(&text, &line, &token)) {
		if (is_assignment(token.text) && sv_eq(before.text, sv_from(key))) {
			found = before.line;
		}
		before = token;
	}
	return found;
}

void config_text_section_lines(const char *text, size_t n, unsigned *ret_lines)
{
	struct token token;
	struct token before = {SV(""), 0};
	unsigned line = 1;
	size_t n_found = 0;

	while (n_found < n && token_next(&text, &line, &token)) {
		/* The brace of a list follows an equals sign, that of a section its title. */
		if (sv_eq(token.text, SV("{")) && !is_assignment(before.text)) {
			ret_lines[n_found++] = before.line;
		}
		before = token;
	}
	while (n_found < n) {
		ret_lines[n_found++] = 0;
	}
}
