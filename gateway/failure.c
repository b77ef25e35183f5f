/* SPDX-License-Identifier: MIT */
#include "gateway/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/ascii.h"
#include "common/address.h"

struct failure_words {
	const char *name;
	const char *bosh;
	const char *stream;
	const char *sentence;
};

static const struct failure_words words[] = {
#define X(id, name, bosh, stream, sentence) [FAILURE_##id] = {name, bosh, stream, sentence},
	FAILURES(X)
#undef X
};

const char *failure_name(enum failure_kind kind)
{
	return words[kind].name;
}

const char *failure_bosh_condition(enum failure_kind kind)
{
	return words[kind].bosh;
}

const char *failure_stream_condition(enum failure_kind kind)
{
	return words[kind].stream;
}

const char *failure_sentence(enum failure_kind kind)
{
	return words[kind].sentence;
}

/* Shortens @n, a length to which @text is cut, so that no UTF-8 sequence is split. */
static size_t cut(const char *text, size_t n)
{
	while (n && ((unsigned char)text[n - 1] & 0xc0) == 0x80) {
		n--;
	}
	return n && (unsigned char)text[n - 1] >= 0xc0 ? n - 1 : n;
}

static void write_detail(char detail[static FAILURE_DETAIL_MAX], const char *format,
			 va_list arguments)
{
	int n = vsnprintf(detail, FAILURE_DETAIL_MAX, format, arguments);

	if (n >= FAILURE_DETAIL_MAX) {
		detail[cut(detail, FAILURE_DETAIL_MAX - 1)] = '\0';
	}
}

/* Addresses. */

static bool is_address(struct sv text)
{
	struct address address;

	if (address_parse(text, 0, &address) == 0) {
		return true;
	}
	/* address_parse() does not take an interface that this machine does not have. */
	struct sv host = sv_first(text, sv_find(text, '%'));
	char last = text.data[text.n - 1];

	if (host.n == text.n || !(ascii_is_alphanumeric(last) || last == ']')) {
		return false;
	}
	return address_parse(sv_starts_with(host, SV("[")) ? sv_skip(host, 1) : host, 0,
			     &address) == 0;
}

/* The length of the address, with its port, that @text begins with; 0 if there is none. */
static size_t address_length(struct sv text)
{
	size_t n = 0;

	while (n < text.n && n < ADDRESS_TEXT_MAX &&
	       (ascii_is_alphanumeric(text.data[n]) || memchr(".:[]%-", text.data[n], 6))) {
		n++;
	}
	for (; n > 1; n--) {
		bool is_whole = n == text.n || !ascii_is_alphanumeric(text.data[n]);

		if (is_whole && is_address(sv_first(text, n))) {
			return n;
		}
	}
	return 0;
}

/* Copies @detail with its addresses replaced. */
static void mask_addresses(const char *detail, char ret_masked[static FAILURE_DETAIL_MAX])
{
	static const struct sv mask = SV_INIT("(address)");
	struct sv rest = sv_from(detail);
	bool is_start = true; /* not inside a word or number */
	size_t n_masked = 0;

	while (rest.n) {
		size_t n = is_start ? address_length(rest) : 0;
		struct sv piece = n ? mask : sv_first(rest, 1);

		if (n_masked + piece.n >= FAILURE_DETAIL_MAX) {
			n_masked = cut(ret_masked, n_masked);
			break;
		}
		memcpy(ret_masked + n_masked, piece.data, piece.n);
		n_masked += piece.n;
		is_start = n || !ascii_is_alphanumeric(rest.data[0]);
		rest = sv_skip(rest, n ? n : 1);
	}
	ret_masked[n_masked] = '\0';
}

void failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
{
	va_list arguments;

	failure->kind = kind;
	failure->detail[0] = '\0';
	failure->public_detail[0] = '\0';
	if (!format) {
		return;
	}
	va_start(arguments, format);
	write_detail(failure->detail, format, arguments);
	va_end(arguments);
	mask_addresses(failure->detail, failure->public_detail);
}

void failure_set_public(struct failure *failure, const char *format, ...)
{
	char detail[FAILURE_DETAIL_MAX];
	va_list arguments;

	failure->public_detail[0] = '\0';
	if (!format) {
		return;
	}
	va_start(arguments, format);
	write_detail(detail, format, arguments);
	va_end(arguments);
	mask_addresses(detail, failure->public_detail);
}
