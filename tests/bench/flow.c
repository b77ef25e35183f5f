/* SPDX-License-Identifier: MIT */
#include "tests/bench/flow.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/check.h"

enum {
	READ_SIZE = 64 * 1024,
};

void bytes_reserve(struct bytes *bytes, size_t n)
{
	if (bytes->size - bytes->n < n) {
		bytes->size = 2 * bytes->size + n;
		bytes->data = realloc(bytes->data, bytes->size);
		check(bytes->data, "memory");
	}
}

void bytes_add(struct bytes *bytes, const void *data, size_t n)
{
	if (n) {
		bytes_reserve(bytes, n);
		memcpy(bytes->data + bytes->n, data, n);
		bytes->n += n;
	}
}

void bytes_drop(struct bytes *bytes, size_t n)
{
	bytes->n -= n;
	if (bytes->n) {
		memmove(bytes->data, bytes->data + n, bytes->n);
	}
}

static void watch(struct flow *flow, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | (flow->waits ? EPOLLOUT : 0u),
				    .data.ptr = flow};

	check(epoll_ctl(flow->epoll, operation, flow->fd, &event) == 0, "epoll_ctl");
}

void flow_init(struct flow *flow, int epoll, int fd)
{
	int one = 1;

	flow->fd = fd;
	flow->epoll = epoll;
	check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch(flow, EPOLL_CTL_ADD);
}

void flow_close(struct flow *flow)
{
	if (flow->fd >= 0) {
		close(flow->fd);
	}
	SSL_free(flow->ssl);
	free(flow->in.data);
	free(flow->out.data);
	flow->in = flow->out = (struct bytes){0};
	flow->ssl = NULL;
	flow->fd = -1;
}

static void check_tls(bool good, const char *what)
{
	if (!good) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		die("%s: %s", what, reason ? reason : "failed");
	}
}

static SSL_CTX *tls_new(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	check_tls(context, "SSL_CTX_new");
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	return context;
}

SSL_CTX *flow_tls_server(const char *certificate, const char *key, bool gives_tickets)
{
	SSL_CTX *context = tls_new(TLS_server_method());

	check_tls(SSL_CTX_use_certificate_chain_file(context, certificate) == 1, certificate);
	check_tls(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, key);
	if (!gives_tickets) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(context, 0);
	}
	return context;
}

SSL_CTX *flow_tls_client(void)
{
	return tls_new(TLS_client_method());
}

void flow_secure(struct flow *flow, SSL_CTX *context)
{
	flow->ssl = SSL_new(context);
	check_tls(flow->ssl && SSL_set_fd(flow->ssl, flow->fd) == 1, "SSL_new");
	if (SSL_is_server(flow->ssl)) {
		SSL_set_accept_state(flow->ssl);
	} else {
		SSL_set_connect_state(flow->ssl);
	}
}

/* Returns as recv() and send() do. */
static ssize_t tls_result(struct flow *flow, int r)
{
	if (r > 0) {
		return r;
	}
	switch (SSL_get_error(flow->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		errno = ECONNRESET;
		return -1;
	}
}

static ssize_t receive(struct flow *flow, void *data, size_t n)
{
	return flow->ssl ? tls_result(flow, SSL_read(flow->ssl, data, (int)n))
			 : recv(flow->fd, data, n, 0);
}

bool flow_read(struct flow *flow)
{
	/* What is idle holds little: the buffer grows with what arrives. */
	static char data[READ_SIZE];
	ssize_t n;

	do {
		n = receive(flow, data, sizeof(data));
		if (n > 0) {
			bytes_add(&flow->in, data, (size_t)n);
		}
		/* What OpenSSL has read already does not make the socket readable. */
	} while (n > 0 && flow->ssl);
	bool is_open = n > 0 || (n < 0 && errno == EAGAIN);

	if (flow->ssl && is_open) {
		/* What could not be sent before the end of the handshake. */
		flow_flush(flow);
	}
	return is_open;
}

/* Returns how much was taken. A record of TLS is 16 KB at most. */
static size_t transmit(struct flow *flow, const char *data, size_t n)
{
	size_t n_all = 0;
	ssize_t r = 0;

	do {
		r = flow->ssl
			  ? tls_result(flow, SSL_write(flow->ssl, data + n_all, (int)(n - n_all)))
			  : send(flow->fd, data, n, MSG_NOSIGNAL);
		n_all += r > 0 ? (size_t)r : 0;
	} while (flow->ssl && r > 0 && n_all < n);
	/* The end of a connection shows when it is read. */
	return r < 0 && errno != EAGAIN ? n : n_all;
}

static void wait_to_send(struct flow *flow)
{
	/* Before the end of a handshake, OpenSSL waits for the other side. */
	bool waits = flow->out.n > 0 && (!flow->ssl || SSL_is_init_finished(flow->ssl));

	if (flow->waits != waits) {
		flow->waits = waits;
		watch(flow, EPOLL_CTL_MOD);
	}
}

void flow_send(struct flow *flow, const void *data, size_t n)
{
	size_t n_sent = flow->out.n ? 0 : transmit(flow, data, n);

	bytes_add(&flow->out, (const char *)data + n_sent, n - n_sent);
	wait_to_send(flow);
}

void flow_flush(struct flow *flow)
{
	if (flow->out.n) {
		bytes_drop(&flow->out, transmit(flow, flow->out.data, flow->out.n));
		wait_to_send(flow);
	}
}

size_t http_length(const char *data, size_t n, size_t *ret_n_head)
{
	static const char end[] = "\r\n\r\n";
	/* HAProxy writes it in small letters. */
	static const char *const names[] = {"Content-Length: ", "content-length: "};
	const char *at = memmem(data, n, end, sizeof(end) - 1);

	if (!at) {
		return 0;
	}
	*ret_n_head = (size_t)(at - data) + sizeof(end) - 1;
	for (size_t i = 0; i < 2; i++) {
		const char *length = memmem(data, *ret_n_head, names[i], strlen(names[i]));

		if (length) {
			return *ret_n_head + strtoul(length + strlen(names[i]), NULL, 10);
		}
	}
	return *ret_n_head;
}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

int flow_listen(uint16_t *ret_port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
		      listen(fd, SOMAXCONN) == 0,
	      "listen");
	check(getsockname(fd, (struct sockaddr *)&address, &n) == 0, "getsockname");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int flow_connect(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(fd >= 0, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
