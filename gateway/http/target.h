/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The grammar of what stands in the head of a request: targets (RFC 9112, 3.2), hosts (RFC 3986,
 * 3.2.2), paths and bytes. An engine.
 *
 * target  what the request line asks for; its form is origin ("/a?b"), absolute ("http://a/b"),
 *         authority ("a:443") or asterisk ("*")
 * escape  a percent sign and two hexadecimal digits, for a byte (RFC 3986, 2.1)
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/sv.h"

/* RFC 9110, 5.6.2. */
bool http_is_token_byte(unsigned char c);

/* Whether @c may stand in the value of a header (RFC 9110, 5.5), or in an extension of a chunk. */
static inline bool http_is_value_byte(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Whether each percent sign of @text begins an escape. */
bool http_escapes_are_valid(struct sv text);

/* Writes @path, whose escapes are valid, without them; @ret_text has room for @path. Returns its
 * length. */
size_t http_path_unescape(struct sv path, char *ret_text);

/* Whether @host is the value of a Host header: a name, which may be empty, an IPv4 address or an
 * IPv6 address in brackets, and perhaps a port. There is no user. */
bool http_host_is_valid(struct sv host);

/* Whether @target has the authority form, as CONNECT takes it: a host and a port. */
bool http_target_is_tunnel(struct sv target);

/* Whether a request for @path is one for @known: doubled slashes count as one, and a slash at the
 * end does not count. */
bool http_path_eq(struct sv path, struct sv known);

/* Takes the scheme and the authority of an absolute-form target away (RFC 9112, 3.2.2), and the
 * query. *ret_authority is empty for other forms. Returns false for a target of no form. */
bool http_target_split(struct sv target, struct sv *ret_path, struct sv *ret_authority);
