/* SPDX-License-Identifier: MIT */
#include "policy/egress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ascii.h"
#include "policy/domain.h"

static const char *const schemes[] = {
#define X(name, scheme) [EGRESS_##name] = scheme,
	EGRESS_KINDS(X)
#undef X
};

/* Decodes %XX into a text of its own. Returns 0, -ENOMEM, or -EINVAL when @text is empty, too long,
 * or has control characters. */
static int decode(struct sv text, char **ret_text)
{
	char decoded[EGRESS_LOGIN_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int c = (unsigned char)text.data[i];

		if (c == '%') {
			int high = i + 2 < text.n ? ascii_hex_digit(text.data[i + 1]) : -1;
			int low = i + 2 < text.n ? ascii_hex_digit(text.data[i + 2]) : -1;

			c = high < 0 || low < 0 ? -1 : high * 16 + low;
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n == EGRESS_LOGIN_MAX) {
			return -EINVAL;
		}
		decoded[n++] = (char)c;
	}
	decoded[n] = '\0';
	if (n == 0) {
		return -EINVAL;
	}
	*ret_text = strdup(decoded);
	explicit_bzero(decoded, sizeof(decoded));
	return *ret_text ? 0 : -ENOMEM;
}

static int read_login(struct sv text, struct egress *egress)
{
	size_t n_user = sv_find(text, ':');
	int r = decode(sv_first(text, n_user), &egress->user);

	if (r == 0) {
		r = decode(sv_skip(text, n_user + 1), &egress->password);
	}
	return r == 0 && egress->kind == EGRESS_HTTP && strchr(egress->user, ':') ? -EINVAL : r;
}

static int read_place(struct sv text, struct egress *egress)
{
	size_t n_host = sv_find(text, ':');
	char ascii[DOMAIN_MAX + 1];
	uint64_t port;

	if (address_parse(text, -1, &egress->address) == 0) {
		return address_port(&egress->address) ? 0 : -EINVAL;
	}
	if (sv_to_u64(sv_skip(text, n_host + 1), UINT16_MAX, &port) < 0 || port == 0) {
		return -EINVAL;
	}
	int r = domain_host_to_ascii(sv_first(text, n_host), ascii);

	if (r < 0) {
		return r;
	}
	egress->port = (uint16_t)port;
	egress->host = strdup(ascii);
	return egress->host ? 0 : -ENOMEM;
}

/* Reads the scheme and returns what follows it; without data if it is none that is known. */
static struct sv read_scheme(struct sv text, enum egress_kind *ret_kind)
{
	size_t n = sv_find_sv(text, SV("://"));

	for (enum egress_kind kind = EGRESS_SOCKS5; kind <= EGRESS_HTTP; kind++) {
		if (n < text.n && sv_eq_nocase(sv_first(text, n), sv_from(schemes[kind]))) {
			*ret_kind = kind;
			return sv_skip(text, n + 3);
		}
	}
	return SV_EMPTY;
}

int egress_parse(struct sv text, struct egress *ret_egress)
{
	struct egress egress = {0};
	struct sv rest = read_scheme(text, &egress.kind);
	size_t n_login = sv_find(rest, '@');
	int r = rest.n ? 0 : -EINVAL;

	if (r == 0 && n_login < rest.n) {
		r = read_login(sv_first(rest, n_login), &egress);
		rest = sv_skip(rest, n_login + 1);
	}
	if (r == 0 && rest.n && rest.data[rest.n - 1] == '/') {
		rest.n--;
	}
	if (r == 0) {
		r = read_place(rest, &egress);
	}
	if (r < 0) {
		egress_deinit(&egress);
		return r;
	}
	*ret_egress = egress;
	return 0;
}

static void free_secret(char *secret)
{
	if (secret) {
		explicit_bzero(secret, strlen(secret));
	}
	free(secret);
}

void egress_deinit(struct egress *egress)
{
	free_secret(egress->user);
	free_secret(egress->password);
	free(egress->host);
	*egress = (struct egress){0};
}

const char *egress_format(const struct egress *egress, char text[static EGRESS_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX];
	const char *scheme = schemes[egress->kind];

	if (egress->host) {
		(void)snprintf(text, EGRESS_TEXT_MAX, "%s://%s:%u", scheme, egress->host,
			       egress->port);
	} else {
		(void)snprintf(text, EGRESS_TEXT_MAX, "%s://%s", scheme,
			       address_format(&egress->address, address));
	}
	return text;
}

const struct address *egress_source(const struct egress_sources *sources, int family, unsigned turn)
{
	const struct address *found[EGRESS_SOURCES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sources->n; i++) {
		if (sources->addresses[i].any.sa_family == family) {
			found[n++] = &sources->addresses[i];
		}
	}
	return n ? found[turn % n] : NULL;
}
