/* SPDX-License-Identifier: MIT */
#include "gateway/config/types.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ascii.h"
#include "common/writer.h"
#include "gateway/config/similar.h"

int config_refuse(const struct config_setting *setting, const struct config_value *value,
		  const char *expected)
{
	config_error(setting->errors, value->place, "%s: expected %s, got '%s'", setting->key->name,
		     expected, value->text);
	return -EINVAL;
}

int config_check_count(const struct config_setting *setting)
{
	if (setting->n_values <= (size_t)setting->key->max) {
		return 0;
	}
	config_error(setting->errors, setting->values[setting->key->max].place,
		     "%s: expected at most %d entries", setting->key->name, (int)setting->key->max);
	return -EINVAL;
}

int config_set_text(void *member, const char *text)
{
	char **place = member;
	char *copy = strdup(text);

	if (!copy) {
		return -ENOMEM;
	}
	free(*place);
	*place = copy;
	return 0;
}

void config_text_deinit(void *member)
{
	char **place = member;

	free(*place);
	*place = NULL;
}

/* The reader reads the files when it has read the key. */
static int set_include(const struct config_setting *setting, void *member)
{
	(void)member;
	for (size_t i = 0; i < setting->n_values; i++) {
		if (!setting->values[i].text[0]) {
			return config_refuse(setting, &setting->values[i],
					     "the name of a file, or a pattern");
		}
	}
	return 0;
}

const struct config_type config_type_include = {
	.is_list = true, .is_directive = true, .set = set_include};

static int set_bool(const struct config_setting *setting, void *member)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	struct sv text = sv_from(setting->values->text);

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		if (sv_eq_nocase(text, sv_from(words[i]))) {
			*(bool *)member = i % 2;
			return 0;
		}
	}
	return config_refuse(setting, setting->values, "true or false");
}

const struct config_type config_type_bool = {.is_bare = true, .set = set_bool};

/* Reads decimal digits only, so that nobody's 010 is eight. */
static int set_number(const struct config_setting *setting, void *member)
{
	const struct config_key *key = setting->key;
	const struct config_value *value = setting->values;
	uint64_t number;

	if (sv_to_u64(sv_from(value->text), (uint64_t)key->max, &number) < 0 ||
	    (int64_t)number < key->min) {
		config_error(setting->errors, value->place,
			     "%s: expected a number from %lld to %lld, got %s", key->name,
			     (long long)key->min, (long long)key->max, value->text);
		return -EINVAL;
	}
	switch (key->size) {
	case sizeof(uint8_t):
		*(uint8_t *)member = (uint8_t)number;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)member = (uint16_t)number;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)member = (uint32_t)number;
		break;
	default:
		assert(key->size == sizeof(uint64_t));
		*(uint64_t *)member = number;
	}
	return 0;
}

const struct config_type config_type_number = {.is_bare = true, .set = set_number};

int config_names_find(const char *text, const char *const *names, size_t n_names)
{
	for (size_t i = 0; i < n_names; i++) {
		if (strcmp(text, names[i]) == 0) {
			return (int)i;
		}
	}
	return -EINVAL;
}

static int refuse_choice(const struct config_setting *setting)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;
	struct writer writer = writer_begin(&list);
	struct similar similar = similar_init(sv_from(setting->values->text));
	size_t n = setting->key->n_names;

	for (size_t i = 0; i < n; i++) {
		writer_put(&writer, i == 0 ? SV_EMPTY : i + 1 < n ? SV(", ") : SV(" or "));
		writer_put(&writer, sv_from(setting->key->names[i]));
		similar_offer(&similar, setting->key->names[i]);
	}
	writer_put(&writer, SV("\0"));
	int r = writer_end(&writer);

	if (r < 0) {
		return r;
	}
	config_error(setting->errors, setting->values->place, "%s: expected %s, got '%s'%s%s%s",
		     setting->key->name, buffer_sv(&list).data, setting->values->text,
		     similar.name ? ": did you mean '" : "", similar.name ? similar.name : "",
		     similar.name ? "'?" : "");
	return -EINVAL;
}

static int set_choice(const struct config_setting *setting, void *member)
{
	int i = config_names_find(setting->values->text, setting->key->names,
				  setting->key->n_names);

	if (i < 0) {
		return refuse_choice(setting);
	}
	*(unsigned *)member = (unsigned)i; /* enums are unsigned ints (GCC, Clang) */
	return 0;
}

const struct config_type config_type_choice = {.set = set_choice};

static int set_text(const struct config_setting *setting, void *member)
{
	return config_set_text(member, setting->values->text);
}

const struct config_type config_type_text = {.set = set_text, .deinit = config_text_deinit};

static bool path_characters_are_valid(struct sv path)
{
	for (size_t i = 0; i < path.n; i++) {
		char c = path.data[i];

		if (!ascii_is_alphanumeric(c) && !strchr("-._~/", c)) {
			return false;
		}
	}
	return true;
}

/* Browsers and proxies normalise other paths before they send them. */
static bool path_segments_are_valid(struct sv path)
{
	struct sv rest = sv_skip(path, 1);
	struct sv segment;

	while (sv_split(&rest, '/', &segment)) {
		bool is_last = !rest.data;

		if ((segment.n == 0 && !is_last) || sv_eq(segment, SV(".")) ||
		    sv_eq(segment, SV(".."))) {
			return false;
		}
	}
	return true;
}

static int set_path(const struct config_setting *setting, void *member)
{
	static const char *const fixed[] = {"/", "/crossdomain.xml", "/clientaccesspolicy.xml",
					    "/.well-known/host-meta",
					    "/.well-known/host-meta.json"};
	const char *text = setting->values->text;
	struct sv path = sv_from(text);

	if (!sv_starts_with(path, SV("/")) || path.n > CONFIG_PATH_MAX ||
	    !path_characters_are_valid(path) || !path_segments_are_valid(path)) {
		return config_refuse(setting, setting->values,
				     "a path of \"/\", letters, digits and -._~, at most 128 long");
	}
	if (config_names_find(text, fixed, ARRAY_LENGTH(fixed)) >= 0) {
		return config_refuse(setting, setting->values,
				     "a path that is not one of the gateway's own documents");
	}
	return config_set_text(member, text);
}

const struct config_type config_type_path = {.set = set_path, .deinit = config_text_deinit};

/* Whether @text is a percent sign and two digits, which stand for a byte. */
static bool is_escape(struct sv text)
{
	return text.n == 3 && text.data[0] == '%' && ascii_hex_digit(text.data[1]) >= 0 &&
	       ascii_hex_digit(text.data[2]) >= 0;
}

bool config_uri_is_valid(struct sv uri, struct sv scheme)
{
	for (size_t i = 0; i < uri.n; i++) {
		unsigned char c = (unsigned char)uri.data[i];

		if (!ascii_is_alphanumeric(c) &&
		    (c == '\0' || !strchr("-._~:/?#[]@!$&()*+,;=", c)) &&
		    !is_escape(sv_first(sv_skip(uri, i), 3))) {
			return false;
		}
	}
	return uri.n > scheme.n && uri.n <= CONFIG_URI_MAX && sv_starts_with(uri, scheme);
}

/* An https URI, or an empty text. */
static int set_uri(const struct config_setting *setting, void *member)
{
	struct sv uri = sv_from(setting->values->text);

	if (uri.n && !config_uri_is_valid(uri, SV("https://"))) {
		return config_refuse(setting, setting->values,
				     "a URI as in \"https://chat.example.org/http-bind\"");
	}
	return config_set_text(member, setting->values->text);
}

const struct config_type config_type_uri = {.set = set_uri, .deinit = config_text_deinit};

/* A wss URI, an https URI (of BOSH), or an empty text. */
static int set_websocket_uri(const struct config_setting *setting, void *member)
{
	struct sv uri = sv_from(setting->values->text);

	if (uri.n && !config_uri_is_valid(uri, SV("wss://")) &&
	    !config_uri_is_valid(uri, SV("https://"))) {
		return config_refuse(setting, setting->values,
				     "a URI as in \"wss://chat.example.org/xmpp-websocket\"");
	}
	return config_set_text(member, setting->values->text);
}

const struct config_type config_type_websocket_uri = {.set = set_websocket_uri,
						      .deinit = config_text_deinit};

/* Returns 0 or a negative errno. */
static int file_is_readable(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = 0;

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &status) < 0) {
		r = -errno;
	} else if (S_ISDIR(status.st_mode)) {
		r = -EISDIR;
	}
	close(fd);
	return r;
}

static int set_file(const struct config_setting *setting, void *member)
{
	const char *path = setting->values->text;

	if (!path[0]) {
		config_text_deinit(member);
		return 0;
	}
	int r = config_note_file(setting->errors, path);

	if (r < 0) {
		return r;
	}
	r = file_is_readable(path);
	if (r < 0) {
		config_error(setting->errors, setting->values->place,
			     "%s: expected a file that can be read, got '%s' (%s)",
			     setting->key->name, path, strerror(-r));
		return -EINVAL;
	}
	return config_set_text(member, path);
}

const struct config_type config_type_file = {.set = set_file, .deinit = config_text_deinit};
