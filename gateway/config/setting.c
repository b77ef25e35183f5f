/* SPDX-License-Identifier: MIT */
#include "gateway/config/setting.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/array.h"

static int append(struct config_setting *setting, const struct config_token *token,
		  struct config_place place)
{
	struct config_value *values =
		array_grow(setting->values, setting->n_values, sizeof(*values));

	if (!values) {
		return -ENOMEM;
	}
	setting->values = values;
	char *text = malloc(token->text.n + 1);

	if (!text) {
		return -ENOMEM;
	}
	config_token_copy(token, text);
	place.line = token->line;
	setting->values[setting->n_values++] = (struct config_value){text, place};
	return 0;
}

/* Reads what stands between the braces, and the one that closes. */
static int read_list(struct config_setting *setting, struct config_lexer *lexer,
		     struct config_place place, unsigned *ret_line, const char **ret_what)
{
	unsigned start = *ret_line;
	bool is_after_value = false;

	for (;;) {
		struct config_token token;
		int r = config_lexer_next(lexer, &token, ret_what);

		*ret_line = token.line;
		if (r < 0) {
			return r;
		}
		if (token.kind == CONFIG_TOKEN_CLOSE) {
			return 0;
		}
		if (token.kind == CONFIG_TOKEN_END) {
			*ret_line = start;
			*ret_what = "this { has no matching }";
			return -EINVAL;
		}
		if (config_token_is_text(&token) == is_after_value ||
		    (is_after_value && token.kind != CONFIG_TOKEN_COMMA)) {
			*ret_what = is_after_value ? "expected ',' or '}' after an entry of a list"
						   : "expected an entry of a list or '}'";
			return -EINVAL;
		}
		r = config_token_is_text(&token) ? append(setting, &token, place) : 0;
		if (r < 0) {
			return r;
		}
		is_after_value = !is_after_value;
	}
}

int config_setting_read(struct config_setting *setting, struct config_lexer *lexer,
			struct config_place place, unsigned *ret_line, const char **ret_what)
{
	struct config_token token;
	int r = config_lexer_next(lexer, &token, ret_what);

	*ret_line = token.line;
	if (r < 0) {
		return r;
	}
	setting->is_list = token.kind == CONFIG_TOKEN_OPEN;
	if (setting->is_list) {
		return read_list(setting, lexer, place, ret_line, ret_what);
	}
	if (!config_token_is_text(&token)) {
		*ret_what = token.kind == CONFIG_TOKEN_END
				  ? "expected a value after '=', got the end of the file"
				  : "expected a value after '='";
		return -EINVAL;
	}
	return append(setting, &token, place);
}

void config_setting_clear(struct config_setting *setting)
{
	for (size_t i = 0; i < setting->n_values; i++) {
		free(setting->values[i].text);
	}
	free(setting->values);
	setting->values = NULL;
	setting->n_values = 0;
}

const struct config_setting *config_scope_find(const struct config_scope *scope, const char *name)
{
	size_t i = 0;

	while (strcmp(scope->table->keys[i].name, name) != 0) {
		i++;
		assert(i < scope->table->n_keys);
	}
	return &scope->settings[i];
}
