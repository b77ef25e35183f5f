/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/http-connect.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/ascii.h"

_printf_(2, 3) static void put(struct tunnel_out *out, const char *format, ...)
{
	size_t room = sizeof(out->data) - out->n;
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(out->data + out->n, room, format, arguments);

	va_end(arguments);
	assert(n >= 0 && (size_t)n < room);
	out->n += (size_t)n;
}

static void put_login(const struct egress *egress, struct tunnel_out *out)
{
	char login[2 * EGRESS_LOGIN_MAX + 2];
	int n = snprintf(login, sizeof(login), "%s:%s", egress->user, egress->password);

	assert(n > 0 && (size_t)n < sizeof(login));
	put(out, "Proxy-Authorization: Basic ");
	/* With the NUL that it adds. */
	assert(sizeof(out->data) - out->n > 4 * ((size_t)n + 2) / 3);
	out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->n,
					  (const unsigned char *)login, n);
	explicit_bzero(login, sizeof(login));
	put(out, "\r\n");
}

void http_connect_init(struct http_connect *connect, const struct egress *egress,
		       const struct tunnel_server *server, struct tunnel_out *out)
{
	char place[DOMAIN_MAX + ADDRESS_TEXT_MAX];
	struct address address;

	*connect = (struct http_connect){0};
	if (server->address) {
		address = *server->address;
		address_set_port(&address, server->port);
		address_format(&address, place);
	} else {
		(void)snprintf(place, sizeof(place), "%s:%u", server->host, server->port);
	}
	put(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", place, place);
	if (egress->user) {
		put_login(egress, out);
	}
	put(out, "\r\n");
}

/* "HTTP/1.1 200 Connection established": the status, or 0 if it is not such a line. */
static unsigned status_of(struct sv line)
{
	uint64_t status;
	bool is_http = sv_starts_with(line, SV("HTTP/1.")) && line.n >= 12 && line.data[8] == ' ' &&
		       ascii_is_digit(line.data[7]) && (line.n == 12 || line.data[12] == ' ');

	return is_http && sv_to_u64(sv_first(sv_skip(line, 9), 3), 599, &status) == 0 &&
			       status >= 100
		     ? (unsigned)status
		     : 0;
}

/* What an answer other than 1xx and 2xx says about the server. A proxy that could not connect to it
 * says 502, 503 or 500, and not whether it was refused. */
static enum failure_kind kind_of(unsigned status)
{
	switch (status) {
	case 504:
		return FAILURE_CONNECT_TIMEOUT;
	case 500:
	case 502:
	case 503:
		return FAILURE_CONNECT_UNREACHABLE;
	default:
		return status < 400 ? FAILURE_PROXY_FAILED : FAILURE_PROXY_REFUSED;
	}
}

static enum tunnel_result take_status(struct http_connect *connect, struct failure *failure)
{
	size_t n =
		connect->n_line < HTTP_CONNECT_LINE_MAX ? connect->n_line : HTTP_CONNECT_LINE_MAX;
	struct sv line = {connect->line, n};

	connect->status = status_of(line);
	if (connect->status == 0) {
		failure_set(failure, FAILURE_PROXY_FAILED, "it does not speak HTTP/1");
		return TUNNEL_FAILED;
	}
	if (connect->status >= 300) {
		failure_set(failure, kind_of(connect->status), "the proxy answers %.*s",
			    SV_ARGS(sv_skip(line, 9)));
		return TUNNEL_FAILED;
	}
	return TUNNEL_MORE;
}

static enum tunnel_result take_line(struct http_connect *connect, struct failure *failure)
{
	enum tunnel_result result = TUNNEL_MORE;

	if (connect->status == 0) {
		result = take_status(connect, failure);
	} else if (connect->n_line == 0 && connect->status >= 200) {
		result = TUNNEL_OPEN;
	} else if (connect->n_line == 0) {
		connect->status = 0;
	}
	connect->n_line = 0;
	return result;
}

static enum tunnel_result take_byte(struct http_connect *connect, char c, struct failure *failure)
{
	if (connect->n_head == HTTP_CONNECT_HEAD_MAX) {
		failure_set(failure, FAILURE_PROXY_FAILED, "its answer is too long");
		return TUNNEL_FAILED;
	}
	connect->n_head++;
	if (c == '\n') {
		return take_line(connect, failure);
	}
	if (c == '\r') {
		return TUNNEL_MORE;
	}
	if (connect->status == 0 && connect->n_line < sizeof(connect->line)) {
		connect->line[connect->n_line] = c;
	}
	connect->n_line++;
	return TUNNEL_MORE;
}

enum tunnel_result http_connect_feed(struct http_connect *connect, struct sv bytes,
				     size_t *ret_n_used, struct failure *ret_failure)
{
	enum tunnel_result result = TUNNEL_MORE;
	size_t n = 0;

	while (n < bytes.n && result == TUNNEL_MORE) {
		result = take_byte(connect, bytes.data[n++], ret_failure);
	}
	*ret_n_used = n;
	return result;
}
