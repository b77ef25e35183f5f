/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/socks.h"

#include <assert.h>
#include <string.h>

enum {
	VERSION = 5,
	LOGIN_VERSION = 1,
	METHOD_NONE = 0,
	METHOD_LOGIN = 2,
	METHOD_REFUSED = 0xff,
	COMMAND_CONNECT = 1,
	KIND_IPV4 = 1,
	KIND_NAME = 3,
	KIND_IPV6 = 4,
	SUCCEEDED = 0,
	ANSWER_SIZE = 2,     /* of the first two messages of a proxy */
	REPLY_HEAD_SIZE = 5, /* up to the first byte of the address */
	PORT_SIZE = 2,
};

static void put(struct tunnel_out *out, const void *data, size_t n)
{
	assert(n <= sizeof(out->data) - out->n);
	memcpy(out->data + out->n, data, n);
	out->n += n;
}

static void put_byte(struct tunnel_out *out, size_t byte)
{
	put(out, &(unsigned char){(unsigned char)byte}, 1);
}

/* With its length. */
static void put_text(struct tunnel_out *out, const char *text)
{
	size_t n = strlen(text);

	assert(n <= UINT8_MAX);
	put_byte(out, n);
	put(out, text, n);
}

void socks_init(struct socks *socks, const struct egress *egress,
		const struct tunnel_server *server, struct tunnel_out *out)
{
	*socks = (struct socks){.egress = egress, .server = *server};
	put_byte(out, VERSION);
	put_byte(out, egress->user ? 2 : 1);
	put_byte(out, METHOD_NONE);
	if (egress->user) {
		put_byte(out, METHOD_LOGIN);
	}
}

static void put_login(const struct egress *egress, struct tunnel_out *out)
{
	put_byte(out, LOGIN_VERSION);
	put_text(out, egress->user);
	put_text(out, egress->password);
}

static void put_address(const struct address *address, struct tunnel_out *out)
{
	if (address->any.sa_family == AF_INET6) {
		put_byte(out, KIND_IPV6);
		put(out, &address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
	} else {
		put_byte(out, KIND_IPV4);
		put(out, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
	}
}

static void put_request(const struct tunnel_server *server, struct tunnel_out *out)
{
	put_byte(out, VERSION);
	put_byte(out, COMMAND_CONNECT);
	put_byte(out, 0);
	if (server->address) {
		put_address(server->address, out);
	} else {
		put_byte(out, KIND_NAME);
		put_text(out, server->host);
	}
	put_byte(out, server->port >> 8);
	put_byte(out, server->port & 0xff);
}

static enum tunnel_result fail(struct failure *failure, enum failure_kind kind, const char *words)
{
	failure_set(failure, kind, "%s", words);
	return TUNNEL_FAILED;
}

/* The next message begins. */
static enum tunnel_result go_on(struct socks *socks, enum socks_state state)
{
	socks->state = state;
	socks->n_message = 0;
	return TUNNEL_MORE;
}

static enum tunnel_result take_method(struct socks *socks, struct tunnel_out *out,
				      struct failure *failure)
{
	unsigned char method = socks->message[1];

	if (method == METHOD_REFUSED) {
		return fail(failure, FAILURE_PROXY_REFUSED,
			    socks->egress->user ? "it takes no login by user and password"
						: "it wants a login");
	}
	if (method == METHOD_NONE) {
		put_request(&socks->server, out);
		return go_on(socks, SOCKS_REPLY);
	}
	if (method != METHOD_LOGIN || !socks->egress->user) {
		return fail(failure, FAILURE_PROXY_FAILED,
			    "it chose a method of login that was not offered");
	}
	put_login(socks->egress, out);
	return go_on(socks, SOCKS_LOGIN);
}

static enum tunnel_result take_login(struct socks *socks, struct tunnel_out *out,
				     struct failure *failure)
{
	if (socks->message[1] != SUCCEEDED) {
		return fail(failure, FAILURE_PROXY_REFUSED, "it refused the login");
	}
	put_request(&socks->server, out);
	return go_on(socks, SOCKS_REPLY);
}

/* RFC 1928, 6. */
static enum tunnel_result refuse(unsigned char reply, struct failure *failure)
{
	static const struct {
		enum failure_kind kind;
		const char *words;
	} replies[] = {
		[1] = {FAILURE_CONNECT_UNREACHABLE, "the proxy reports a general failure"},
		[2] = {FAILURE_PROXY_REFUSED, "its rules forbid the connection"},
		[3] = {FAILURE_CONNECT_UNREACHABLE, "the proxy reports an unreachable network"},
		[4] = {FAILURE_CONNECT_UNREACHABLE, "the proxy reports an unreachable host"},
		[5] = {FAILURE_CONNECT_REFUSED, "as the proxy reports"},
		[6] = {FAILURE_CONNECT_TIMEOUT, "as the proxy reports"},
		[7] = {FAILURE_PROXY_REFUSED, "it does not support CONNECT"},
		[8] = {FAILURE_PROXY_REFUSED, "it does not support this kind of address"},
	};

	if (reply < ARRAY_LENGTH(replies)) {
		return fail(failure, replies[reply].kind, replies[reply].words);
	}
	failure_set(failure, FAILURE_CONNECT_UNREACHABLE, "the proxy reports 0x%02x", reply);
	return TUNNEL_FAILED;
}

/* The size of the reply, whose first five bytes are known; 0 if its address is of no known kind. */
static size_t reply_size(const unsigned char *message)
{
	switch (message[3]) {
	case KIND_IPV4:
		return REPLY_HEAD_SIZE - 1 + sizeof(struct in_addr) + PORT_SIZE;
	case KIND_IPV6:
		return REPLY_HEAD_SIZE - 1 + sizeof(struct in6_addr) + PORT_SIZE;
	case KIND_NAME:
		return REPLY_HEAD_SIZE + message[4] + PORT_SIZE;
	default:
		return 0;
	}
}

/* Whether the connection works is known from the second byte on: a proxy that refuses may send no
 * more. */
static enum tunnel_result take_reply(struct socks *socks, struct failure *failure)
{
	if (socks->message[1] != SUCCEEDED) {
		return refuse(socks->message[1], failure);
	}
	if (socks->n_message < REPLY_HEAD_SIZE) {
		return TUNNEL_MORE;
	}
	size_t size = reply_size(socks->message);

	if (size == 0) {
		return fail(failure, FAILURE_PROXY_FAILED,
			    "it answered with an unknown kind of address");
	}
	return socks->n_message < size ? TUNNEL_MORE : TUNNEL_OPEN;
}

static enum tunnel_result take_byte(struct socks *socks, unsigned char byte, struct tunnel_out *out,
				    struct failure *failure)
{
	unsigned char version = socks->state == SOCKS_LOGIN ? LOGIN_VERSION : VERSION;

	assert(socks->n_message < sizeof(socks->message));
	socks->message[socks->n_message++] = byte;
	if (socks->message[0] != version) {
		return fail(failure, FAILURE_PROXY_FAILED, "it does not speak SOCKS5");
	}
	if (socks->n_message < ANSWER_SIZE) {
		return TUNNEL_MORE;
	}
	switch (socks->state) {
	case SOCKS_METHOD:
		return take_method(socks, out, failure);
	case SOCKS_LOGIN:
		return take_login(socks, out, failure);
	case SOCKS_REPLY:
		break;
	}
	return take_reply(socks, failure);
}

enum tunnel_result socks_feed(struct socks *socks, struct sv bytes, struct tunnel_out *out,
			      size_t *ret_n_used, struct failure *ret_failure)
{
	enum tunnel_result result = TUNNEL_MORE;
	size_t n = 0;

	while (n < bytes.n && result == TUNNEL_MORE) {
		result = take_byte(socks, (unsigned char)bytes.data[n++], out, ret_failure);
	}
	*ret_n_used = n;
	return result;
}
