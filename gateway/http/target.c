/* SPDX-License-Identifier: MIT */
#include "gateway/http/target.h"

#include <arpa/inet.h>

#include "common/ascii.h"

bool http_is_token_byte(unsigned char c)
{
	return ascii_is_alphanumeric(c) || c == '-' || (c && strchr("!#$%&'*+.^_`|~", c));
}

/* @path without slashes at its end. */
static struct sv without_slash(struct sv path)
{
	while (path.n > 1 && path.data[path.n - 1] == '/') {
		path.n--;
	}
	return path;
}

bool http_path_eq(struct sv path, struct sv known)
{
	size_t i = 0;

	path = path.n ? without_slash(path) : SV("/");
	known = without_slash(known);
	for (size_t j = 0; j < known.n; i++, j++) {
		if (i >= path.n || path.data[i] != known.data[j]) {
			return false;
		}
		while (path.data[i] == '/' && i + 1 < path.n && path.data[i + 1] == '/') {
			i++;
		}
	}
	return i == path.n;
}

bool http_target_split(struct sv target, struct sv *ret_path, struct sv *ret_authority)
{
	size_t n_scheme = 0;
	struct sv rest = target;

	*ret_authority = SV_EMPTY;
	if (sv_eq_nocase(sv_first(target, 7), SV("http://"))) {
		n_scheme = 7;
	} else if (sv_eq_nocase(sv_first(target, 8), SV("https://"))) {
		n_scheme = 8;
	}
	if (n_scheme) {
		rest = sv_skip(target, n_scheme);
		size_t slash = sv_find(rest, '/'), query = sv_find(rest, '?');
		size_t n = slash < query ? slash : query;

		*ret_authority = sv_first(rest, n);
		rest = (struct sv){rest.data + n, rest.n - n};
		if (ret_authority->n == 0) {
			return false;
		}
	} else if (!sv_eq(target, SV("*")) && (target.n == 0 || target.data[0] != '/')) {
		return false;
	}
	*ret_path = sv_first(rest, sv_find(rest, '?'));
	return true;
}

bool http_escapes_are_valid(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.data[i] == '%' &&
		    (text.n - i < 3 || ascii_hex_digit(text.data[i + 1]) < 0 ||
		     ascii_hex_digit(text.data[i + 2]) < 0)) {
			return false;
		}
	}
	return true;
}

size_t http_path_unescape(struct sv path, char *ret_text)
{
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++) {
		char c = path.data[i];

		if (c == '%' && path.n - i >= 3) {
			c = (char)(ascii_hex_digit(path.data[i + 1]) << 4 |
				   ascii_hex_digit(path.data[i + 2]));
			i += 2;
		}
		ret_text[n++] = c;
	}
	return n;
}

/* RFC 3986, 3.2.2: IP-literal, in brackets. */
static bool is_literal(struct sv inner)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	if (inner.n && ascii_lower(inner.data[0]) == 'v') {
		size_t dot = sv_find(inner, '.');

		/* "v", digits, ".", and bytes that http_host_is_valid() has looked at. */
		return dot > 1 && dot + 1 < inner.n && !sv_has(inner, '%');
	}
	if (inner.n >= sizeof(text)) {
		return false;
	}
	memcpy(text, inner.data, inner.n);
	text[inner.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* Whether @text is ":" and a port, which may be empty, or nothing. */
static bool is_port(struct sv text)
{
	uint64_t port;

	return text.n <= 1
		     ? text.n == 0 || text.data[0] == ':'
		     : text.data[0] == ':' && sv_to_u64(sv_skip(text, 1), UINT16_MAX, &port) == 0;
}

/* RFC 9112, 3.2: a host, and perhaps a port. */
bool http_host_is_valid(struct sv host)
{
	for (size_t i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.data[i];

		if (!ascii_is_alphanumeric(c) && (!c || !strchr("-._~%!$&'()*+;=:[]", c))) {
			return false;
		}
	}
	if (host.n && host.data[0] == '[') {
		size_t end = sv_find(host, ']');

		return end < host.n && is_literal(sv_skip(sv_first(host, end), 1)) &&
		       is_port(sv_skip(host, end + 1));
	}
	return !sv_has(host, '[') && !sv_has(host, ']') && http_escapes_are_valid(host) &&
	       is_port(sv_skip(host, sv_find(host, ':')));
}

/* RFC 9112, 3.2.3: the authority form, which has a port. */
bool http_target_is_tunnel(struct sv target)
{
	size_t n_host = target.n;
	uint64_t port;

	while (n_host && target.data[n_host - 1] != ':') {
		n_host--;
	}
	return n_host > 1 && sv_to_u64(sv_skip(target, n_host), UINT16_MAX, &port) == 0 &&
	       http_host_is_valid(target);
}
