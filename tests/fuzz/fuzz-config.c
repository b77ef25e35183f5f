/* SPDX-License-Identifier: MIT */
/*
 * config/lexer.h and config_new(). A text that is refused is refused with a message. One that is
 * taken is dumped; the dump is taken, and dumped as the same.
 *
 * The files that a configuration names (include, lists of clients) are empty here.
 *
 * covers: gateway/config/lexer.c gateway/config/reader.c gateway/config/types.c
 * covers: gateway/config/types-list.c gateway/config/setting.c gateway/config/scope.c
 * covers: gateway/config/unknown.c gateway/config/dump.c gateway/config/keys-domain.c
 * covers: gateway/config/keys-listener.c gateway/config/keys-web.c
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "gateway/config/config.h"
#include "gateway/config/files.h"
#include "gateway/config/lexer.h"

#define MAIN_FILE "main"

static struct sv main_text;

/* These replace those of config/files.c. */

int config_file_read(const char *path, struct buffer *text)
{
	return strcmp(path, MAIN_FILE) == 0 ? buffer_append_sv(text, main_text) : 0;
}

void config_files_deinit(struct config_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->names[i]);
	}
	free(files->names);
	*files = (struct config_files){0};
}

int config_files_add(struct config_files *files, const char *name)
{
	char **names = reallocarray(files->names, files->n + 1, sizeof(*names));

	FUZZ_CHECK(names);
	files->names = names;
	files->names[files->n++] = fuzz_string(sv_from(name));
	return 0;
}

int config_files_match(struct config_files *files, const char *pattern, const char *beside,
		       struct config_errors *errors, struct config_place place)
{
	(void)beside;
	if (strcmp(pattern, MAIN_FILE) == 0 || files->n > 10) {
		config_error(errors, place, "include: expected each file once");
		return -EINVAL;
	}
	return config_files_add(files, pattern);
}

/* Tokens stand in the text in its order; their lines grow. */
static void check_tokens(struct sv text)
{
	struct config_lexer lexer = config_lexer_init(text);
	struct config_token token;
	const char *at = text.data, *what = NULL;
	unsigned line = 1;

	for (size_t i = 0; i <= text.n; i++) {
		if (config_lexer_next(&lexer, &token, &what) < 0) {
			FUZZ_CHECK(what && what[0] && token.line >= line);
			return;
		}
		FUZZ_CHECK(token.line >= line);
		line = token.line;
		if (token.kind == CONFIG_TOKEN_END) {
			return;
		}
		if (token.kind == CONFIG_TOKEN_WORD || token.kind == CONFIG_TOKEN_STRING) {
			char *copy = malloc(token.text.n + 1);

			FUZZ_CHECK(copy && token.text.data >= at &&
				   token.text.data + token.text.n <= text.data + text.n);
			config_token_copy(&token, copy);
			FUZZ_CHECK(strlen(copy) <= token.text.n);
			at = token.text.data + token.text.n;
			free(copy);
		}
	}
	fail_msg("more tokens than bytes");
}

/* Returns whether @text is taken; then @dump has the dump. */
static bool dump(struct sv text, struct buffer *dump_text)
{
	char *messages = NULL;
	size_t n_messages;
	FILE *stream = open_memstream(&messages, &n_messages);

	FUZZ_CHECK(stream);
	main_text = text;
	int r = config_dump(MAIN_FILE, stream, dump_text);

	fclose(stream);
	FUZZ_CHECK(r == 0 || r == -EINVAL);
	FUZZ_CHECK(r == 0 || (n_messages > 0 && messages[n_messages - 1] == '\n'));
	free(messages);
	return r == 0;
}

void fuzz_one(struct sv input)
{
	struct buffer first = BUFFER_INIT, second = BUFFER_INIT;

	check_tokens(input);
	if (dump(input, &first)) {
		if (!dump(buffer_sv(&first), &second)) {
			fail_msg("refused:\n%.*s", SV_ARGS(buffer_sv(&first)));
		}
		if (!sv_eq(buffer_sv(&first), buffer_sv(&second))) {
			fail_msg("first\n%.*s\nthen\n%.*s", SV_ARGS(buffer_sv(&first)),
				 SV_ARGS(buffer_sv(&second)));
		}
	}
	buffer_deinit(&first);
	buffer_deinit(&second);
}
