/* SPDX-License-Identifier: MIT */
#include "policy/domain.h"

#include <assert.h>
#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

#include "common/ascii.h"
#include "common/address.h"

enum {
	DOMAIN_LABEL_MAX = 63, /* RFC 1035 */
	DOMAIN_TEXT_MAX = 253, /* the other two of the 255 bytes on the wire are lengths */
	/* The longest text from a client that is examined: a name of 253 characters of four bytes.
	 * Mapping and normalising a name costs much more than reading it, so a client must not be
	 * able to have a whole request body mapped. */
	DOMAIN_INPUT_MAX = 4 * DOMAIN_TEXT_MAX,
};

/* Converts ASCII letters only; libidn2 maps all others. */
static void lower(struct sv text, char *ret_text)
{
	for (size_t i = 0; i < text.n; i++) {
		ret_text[i] = ascii_lower(text.data[i]);
	}
	ret_text[text.n] = '\0';
}

/* @more are characters besides letters, digits and hyphens. */
static bool label_is_valid(struct sv label, const char *more)
{
	if (label.n == 0 || label.n > DOMAIN_LABEL_MAX) {
		return false;
	}
	for (size_t i = 0; i < label.n; i++) {
		char c = label.data[i];

		if (!ascii_is_alphanumeric(c) && c != '-' && !(c && strchr(more, c))) {
			return false;
		}
	}
	return label.data[0] != '-' && label.data[label.n - 1] != '-';
}

/* Whether the C library and browsers would take a name that ends with @label for an IPv4 address
 * ("127.1", "0x7f.0x1"). */
static bool label_is_number(struct sv label)
{
	bool is_hex = label.n >= 2 && label.data[0] == '0' && label.data[1] == 'x';

	for (size_t i = is_hex ? 2 : 0; i < label.n; i++) {
		char c = label.data[i];

		if (!(is_hex ? ascii_hex_digit(c) >= 0 : ascii_is_digit(c))) {
			return false;
		}
	}
	return true;
}

/* Whether @ascii consists of valid labels and does not end like an address. */
static bool labels_are_valid(struct sv ascii, const char *more)
{
	struct sv rest = ascii;
	struct sv label = SV_EMPTY;

	if (ascii.n == 0 || ascii.n > DOMAIN_TEXT_MAX) {
		return false;
	}
	while (rest.data) {
		size_t n = sv_find(rest, '.');

		label = sv_first(rest, n);
		if (!label_is_valid(label, more)) {
			return false;
		}
		rest = n < rest.n ? sv_skip(rest, n + 1) : SV_EMPTY;
	}
	return !label_is_number(label);
}

static bool domain_is_valid(struct sv ascii)
{
	bool has_dot = sv_has(ascii, '.');

	return labels_are_valid(ascii, "") && (has_dot || sv_eq(ascii, SV("localhost")));
}

static bool host_is_valid(struct sv ascii)
{
	return labels_are_valid(ascii, "_");
}

/* Whether @text needs no conversion by libidn2. Its rules about hyphens are then not applied
 * either: they are for registering names, and existing names break them. */
static bool is_plain_ascii(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.data[i] >= 0x80) {
			return false;
		}
	}
	return !sv_contains(text, SV("xn--"));
}

static int idn_to_ascii(const char *text, char ret_ascii[static DOMAIN_INPUT_MAX + 1])
{
	uint8_t *converted = NULL;
	int r = idn2_lookup_u8((const uint8_t *)text, &converted,
			       IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	if (r != IDN2_OK) {
		return r == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	}
	struct sv view = sv_from((const char *)converted);

	r = view.n <= DOMAIN_INPUT_MAX ? 0 : -EINVAL;
	if (r == 0) {
		lower(view, ret_ascii);
	}
	idn2_free(converted);
	return r;
}

static int to_ascii(struct sv text, bool (*is_valid)(struct sv ascii),
		    char ret_ascii[static DOMAIN_MAX + 1])
{
	char input[DOMAIN_INPUT_MAX + 1];
	char ascii[DOMAIN_INPUT_MAX + 1];

	if (text.n == 0 || text.n > DOMAIN_INPUT_MAX || memchr(text.data, '\0', text.n)) {
		return -EINVAL;
	}
	lower(text, input);
	if (is_plain_ascii((struct sv){input, text.n})) {
		memcpy(ascii, input, text.n + 1);
	} else {
		int r = idn_to_ascii(input, ascii);

		if (r < 0) {
			return r;
		}
	}
	struct sv view = sv_from(ascii);

	/* "example.org." is the same name; the dot only marks it as complete. */
	if (view.n && view.data[view.n - 1] == '.') {
		view.n--;
	}
	if (!is_valid(view)) {
		return -EINVAL;
	}
	memcpy(ret_ascii, view.data, view.n);
	ret_ascii[view.n] = '\0';
	return 0;
}

int domain_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1])
{
	return to_ascii(text, domain_is_valid, ret_ascii);
}

/* Writes the one form of an address in which it is compared. Returns false for other texts. */
static bool address_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1])
{
	bool has_brackets = sv_starts_with(text, SV("[")) && text.data[text.n - 1] == ']';
	bool has_port = !has_brackets && sv_has(text, ':');
	char host[ADDRESS_TEXT_MAX];
	struct address address;

	/* A zone means something on this machine only. */
	if (has_port || sv_has(text, '%') || address_parse(text, 0, &address) < 0) {
		return false;
	}
	address_format_host(&address, host);
	/* An IPv4 address that is mapped into IPv6 has none any more. */
	has_brackets = strchr(host, ':');
	(void)snprintf(ret_ascii, DOMAIN_MAX + 1, "%s%s%s", has_brackets ? "[" : "", host,
		       has_brackets ? "]" : "");
	return true;
}

int domain_host_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1])
{
	return address_to_ascii(text, ret_ascii) ? 0 : to_ascii(text, host_is_valid, ret_ascii);
}

bool domain_is_address(const char *ascii)
{
	/* No name ends with a number. */
	const char *dot = strrchr(ascii, '.');

	return ascii[0] == '[' ||
	       (dot && ascii_is_digit(dot[1]) && label_is_number(sv_from(dot + 1)));
}

int domain_to_unicode(const char *ascii, char ret_unicode[static DOMAIN_UNICODE_MAX + 1])
{
	char *converted = NULL;
	char again[DOMAIN_MAX + 1];
	struct sv text = sv_from(ascii);
	int r = 0;

	if (!is_plain_ascii(text)) {
		r = idn2_to_unicode_8z8z(ascii, &converted, 0);
		if (r == IDN2_MALLOC) {
			return -ENOMEM;
		}
		struct sv unicode = sv_from(r == IDN2_OK ? converted : NULL);

		r = domain_to_ascii(unicode, again);
		if (r == 0 && unicode.n <= DOMAIN_UNICODE_MAX && strcmp(again, ascii) == 0) {
			text = unicode;
		}
	}
	assert(text.n <= DOMAIN_UNICODE_MAX);
	memcpy(ret_unicode, text.data, text.n);
	ret_unicode[text.n] = '\0';
	idn2_free(converted);
	return r == -ENOMEM ? r : 0;
}

int domain_pattern_parse(struct sv text, char ret_name[static DOMAIN_MAX + 1], bool *ret_is_pattern)
{
	char input[DOMAIN_INPUT_MAX + 1];
	char ascii[DOMAIN_MAX + 1];

	if (sv_eq(text, SV("*"))) {
		ret_name[0] = '\0';
		*ret_is_pattern = true;
		return 0;
	}
	bool is_pattern = sv_starts_with(text, SV("*."));

	if (text.n == 0 || text.n > DOMAIN_INPUT_MAX) {
		return -EINVAL;
	}
	/* With a label in place of the star, a valid pattern becomes a name that it matches. */
	memcpy(input, text.data, text.n);
	if (is_pattern) {
		input[0] = 'a';
	}
	struct sv view = {input, text.n};
	int r = is_pattern ? domain_to_ascii(view, ascii) : domain_host_to_ascii(view, ascii);

	if (r < 0) {
		return r;
	}
	struct sv name = sv_skip(sv_from(ascii), is_pattern ? 2 : 0);

	memcpy(ret_name, name.data, name.n);
	ret_name[name.n] = '\0';
	*ret_is_pattern = is_pattern;
	return 0;
}
