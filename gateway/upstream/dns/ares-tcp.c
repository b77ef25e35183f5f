/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/ares-tcp.h"

#include <arpa/nameser.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/timeout.h"
#include "common/wake.h"
#include "gateway/upstream/dns/answers.h"
#include "gateway/upstream/dns/ares-bill.h"
#include "gateway/upstream/dns/ares-datagram.h"

enum {
	LENGTH_SIZE = 2, /* length prefix of a message (RFC 1035, 4.2.2) */
	READ_SIZE = 4096,
	/* Header of a message (RFC 1035, 4.1.1): the id, and the octets that hold the flags. */
	ID_SIZE = 2,
	QR_OFFSET = 2,
	QR_BIT = 0x80,
	RCODE_OFFSET = 3,
	RCODE_MASK = 0x0f,
};

struct ares_tcp_stand_in {
	LIST_ENTRY(ares_tcp_stand_in) in_tcp;
	int fd; /* eventfd, readable while there are answers */
	struct address server;
	struct buffer queries; /* the beginning of a query that c-ares has not written completely */
	struct buffer answers; /* to be read by c-ares, each with its length prefix */
};

struct ares_tcp_exchange {
	uv_tcp_t connection;
	struct timeout timer;
	uv_connect_t connect;
	uv_write_t write;
	struct ares_tcp *tcp;
	struct ares_tcp_stand_in *stand_in;
	TAILQ_ENTRY(ares_tcp_exchange) in_tcp;
	struct buffer answer; /* as far as received, with its length prefix */
	unsigned n_handles;   /* not closed yet */
	size_t n_query;
	unsigned char query[]; /* with its length prefix */
};

static size_t message_length(const unsigned char *message)
{
	return (size_t)message[0] << 8 | message[1];
}

/* Answers. */

/* Gives @message, with its length prefix, @n octets in all, to c-ares. When out of memory, c-ares
 * notices by its time-out. */
static void stand_in_answer(struct ares_tcp_stand_in *stand_in, const void *message, size_t n)
{
	if (buffer_append(&stand_in->answers, message, n) == 0) {
		wake_send(stand_in->fd);
	}
}

static ares_ssize_t stand_in_read(struct ares_tcp_stand_in *stand_in, void *data, size_t n)
{
	struct sv answers = buffer_sv(&stand_in->answers);
	size_t n_read = n < answers.n ? n : answers.n;

	if (n_read == 0) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(data, answers.data, n_read);
	buffer_consume(&stand_in->answers, n_read);
	if (n_read == answers.n) {
		wake_take(stand_in->fd);
	}
	return (ares_ssize_t)n_read;
}

/* Exchanges. */

static void on_handle_closed(uv_handle_t *handle)
{
	struct ares_tcp_exchange *exchange = handle->data;

	if (--exchange->n_handles == 0) {
		buffer_deinit(&exchange->answer);
		free(exchange);
	}
}

static void exchange_close(struct ares_tcp_exchange *exchange)
{
	TAILQ_REMOVE(&exchange->tcp->exchanges, exchange, in_tcp);
	exchange->tcp->n_exchanges--;
	exchange->stand_in = NULL;
	uv_close((uv_handle_t *)&exchange->connection, on_handle_closed);
	uv_close((uv_handle_t *)&exchange->timer.uv, on_handle_closed);
}

/* Answers the query with SERVFAIL. */
static void exchange_fail(struct ares_tcp_exchange *exchange)
{
	unsigned char *header = exchange->query + LENGTH_SIZE;

	header[QR_OFFSET] |= QR_BIT;
	header[RCODE_OFFSET] =
		(unsigned char)((header[RCODE_OFFSET] & ~RCODE_MASK) | ns_r_servfail);
	stand_in_answer(exchange->stand_in, exchange->query, exchange->n_query);
	exchange_close(exchange);
}

static void on_timeout(struct timeout *timer)
{
	exchange_fail(CONTAINER_OF(timer, struct ares_tcp_exchange, timer));
}

/* What is done until ares_bill_end() is for the question of @exchange. */
static void exchange_bill_begin(const struct ares_tcp_exchange *exchange)
{
	ares_bill_begin(exchange->tcp->bill);
	ares_bill_message(exchange->tcp->bill, exchange->query + LENGTH_SIZE,
			  exchange->n_query - LENGTH_SIZE);
}

/* Begins the bill that on_read() ends: libuv calls that next, whatever it has read. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_space)
{
	struct ares_tcp_exchange *exchange = handle->data;

	(void)suggested;
	exchange_bill_begin(exchange);
	*ret_space = uv_buf_init(NULL, 0);
	if (buffer_reserve(&exchange->answer, READ_SIZE) == 0) {
		*ret_space = uv_buf_init(buffer_end(&exchange->answer), READ_SIZE);
	}
}

/* Whether @message, of @n octets, answers the query. c-ares would ignore one that does not, and
 * wait. */
static bool exchange_matches(const struct ares_tcp_exchange *exchange, const unsigned char *message,
			     size_t n)
{
	return n >= NS_HFIXEDSZ && memcmp(message, exchange->query + LENGTH_SIZE, ID_SIZE) == 0;
}

/* Ends the exchange with @message, of @n octets, if it answers the query. @message has room for its
 * length before it. */
static void exchange_end(struct ares_tcp_exchange *exchange, unsigned char *message, size_t n)
{
	if (n) {
		ns_put16((unsigned)n, message - LENGTH_SIZE);
		stand_in_answer(exchange->stand_in, message - LENGTH_SIZE, LENGTH_SIZE + n);
		exchange_close(exchange);
	} else {
		exchange_fail(exchange);
	}
}

/* Looks at the beginning of a long answer, once or twice: it may hold all that is used. */
static void exchange_begun(struct ares_tcp_exchange *exchange, unsigned char *message, size_t n)
{
	size_t n_cut = 0;

	if (n <= READ_SIZE && exchange_matches(exchange, message, n)) {
		n_cut = dns_answers_cut_begun(message, n);
	}
	if (n_cut) {
		exchange_end(exchange, message, n_cut);
	}
}

static void exchange_read(struct ares_tcp_exchange *exchange, ssize_t n_read)
{
	struct buffer *answer = &exchange->answer;

	if (n_read < 0) {
		exchange_fail(exchange);
		return;
	}
	answer->n += (size_t)n_read;
	if (answer->n < LENGTH_SIZE) {
		return;
	}
	unsigned char *message = (unsigned char *)buffer_end(answer) - answer->n + LENGTH_SIZE;
	size_t n = message_length(message - LENGTH_SIZE), n_there = answer->n - LENGTH_SIZE;

	if (n_there < n) {
		exchange_begun(exchange, message, n_there);
	} else {
		exchange_end(exchange, message,
			     exchange_matches(exchange, message, n) ? dns_answers_cut(message, n)
								    : 0);
	}
}

static void on_read(uv_stream_t *connection, ssize_t n_read, const uv_buf_t *space)
{
	struct ares_tcp_exchange *exchange = connection->data;

	(void)space;
	exchange_read(exchange, n_read);
	ares_bill_end(exchange->tcp->bill);
}

/* If the exchange is closing, c-ares has its answer already. */
static void on_written(uv_write_t *write, int status)
{
	struct ares_tcp_exchange *exchange = write->handle->data;

	if (status < 0 && exchange->stand_in) {
		exchange_fail(exchange);
	}
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct ares_tcp_exchange *exchange = connect->handle->data;
	uv_buf_t query = uv_buf_init((char *)exchange->query, (unsigned)exchange->n_query);

	if (!exchange->stand_in) {
		return;
	}
	exchange_bill_begin(exchange);
	if (status < 0 || uv_read_start(connect->handle, on_alloc, on_read) < 0 ||
	    uv_write(&exchange->write, connect->handle, &query, 1, on_written) < 0) {
		exchange_fail(exchange);
	}
	ares_bill_end(exchange->tcp->bill);
}

/* @query has its length prefix. When out of memory, c-ares notices by its time-out. */
static void exchange_start(struct ares_tcp *tcp, struct ares_tcp_stand_in *stand_in,
			   struct sv query)
{
	struct ares_tcp_exchange *exchange = calloc(1, sizeof(*exchange) + query.n);

	if (!exchange) {
		return;
	}
	if (tcp->n_exchanges == ARES_TCP_EXCHANGES_MAX) {
		assert(!TAILQ_EMPTY(&tcp->exchanges));
		exchange_fail(TAILQ_FIRST(&tcp->exchanges));
	}
	exchange->tcp = tcp;
	exchange->stand_in = stand_in;
	exchange->n_query = query.n;
	memcpy(exchange->query, query.data, query.n);
	exchange->n_handles = 2;
	uv_tcp_init(tcp->loop, &exchange->connection);
	timeout_init(&exchange->timer, tcp->loop);
	exchange->connection.data = exchange;
	exchange->timer.uv.data = exchange;
	TAILQ_INSERT_TAIL(&tcp->exchanges, exchange, in_tcp);
	tcp->n_exchanges++;
	timeout_start(&exchange->timer, on_timeout, ARES_TCP_TIMEOUT_MS);
	if (uv_tcp_connect(&exchange->connect, &exchange->connection, &stand_in->server.any,
			   on_connected) < 0) {
		exchange_fail(exchange);
	}
}

/* Starts an exchange for each complete query. */
static void stand_in_send(struct ares_tcp *tcp, struct ares_tcp_stand_in *stand_in)
{
	struct sv rest = buffer_sv(&stand_in->queries);

	while (rest.n >= LENGTH_SIZE + NS_HFIXEDSZ) {
		size_t n = LENGTH_SIZE + message_length((const unsigned char *)rest.data);

		if (rest.n < n) {
			break;
		}
		assert(n >= LENGTH_SIZE + NS_HFIXEDSZ); /* ares_send() refuses less */
		exchange_start(tcp, stand_in, sv_first(rest, n));
		rest = sv_skip(rest, n);
	}
	buffer_consume(&stand_in->queries, stand_in->queries.n - rest.n);
}

static void stand_in_close(struct ares_tcp *tcp, struct ares_tcp_stand_in *stand_in)
{
	struct ares_tcp_exchange *exchange = TAILQ_FIRST(&tcp->exchanges);

	while (exchange) {
		struct ares_tcp_exchange *next = TAILQ_NEXT(exchange, in_tcp);

		if (exchange->stand_in == stand_in) {
			exchange_close(exchange);
		}
		exchange = next;
	}
	LIST_REMOVE(stand_in, in_tcp);
	buffer_deinit(&stand_in->queries);
	buffer_deinit(&stand_in->answers);
	free(stand_in);
}

/* Replacements for system calls of c-ares. Errors go into errno. */

static struct ares_tcp_stand_in *stand_in_find(const struct ares_tcp *tcp, ares_socket_t fd)
{
	struct ares_tcp_stand_in *stand_in;

	LIST_FOREACH(stand_in, &tcp->stand_ins, in_tcp) {
		if (stand_in->fd == fd) {
			break;
		}
	}
	return stand_in;
}

static ares_socket_t stand_in_new(struct ares_tcp *tcp)
{
	struct ares_tcp_stand_in *stand_in = calloc(1, sizeof(*stand_in));

	if (!stand_in) {
		return ARES_SOCKET_BAD;
	}
	stand_in->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (stand_in->fd < 0) {
		free(stand_in);
		return ARES_SOCKET_BAD;
	}
	LIST_INSERT_HEAD(&tcp->stand_ins, stand_in, in_tcp);
	return stand_in->fd;
}

static ares_socket_t on_socket(int family, int type, int protocol, void *userdata)
{
	return type == SOCK_STREAM ? stand_in_new(userdata)
				   : socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int on_close(ares_socket_t fd, void *userdata)
{
	struct ares_tcp_stand_in *stand_in = stand_in_find(userdata, fd);

	if (stand_in) {
		stand_in_close(userdata, stand_in);
	}
	return close(fd);
}

static int on_connect(ares_socket_t fd, const struct sockaddr *server, ares_socklen_t n_server,
		      void *userdata)
{
	struct ares_tcp_stand_in *stand_in = stand_in_find(userdata, fd);

	if (!stand_in) {
		return connect(fd, server, n_server);
	}
	if (address_from_sockaddr(server, &stand_in->server) < 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return 0;
}

static ares_ssize_t on_recvfrom(ares_socket_t fd, void *data, size_t size, int flags,
				struct sockaddr *from, ares_socklen_t *n_from, void *userdata)
{
	struct ares_tcp *tcp = userdata;
	struct ares_tcp_stand_in *stand_in = stand_in_find(tcp, fd);
	ares_ssize_t n = stand_in ? stand_in_read(stand_in, data, size)
				  : ares_datagram_receive(fd, data, size, flags, from, n_from);

	/* c-ares 1.18 reads the length from a stand-in first, then the message. 1.34 reads both at
	 * once: no question is found for that, and it pays when it is answered. */
	if (n > LENGTH_SIZE) {
		ares_bill_message(tcp->bill, data, (size_t)n);
	}
	return n;
}

static ares_ssize_t on_sendv(ares_socket_t fd, const struct iovec *parts, int n_parts,
			     void *userdata)
{
	struct ares_tcp_stand_in *stand_in = stand_in_find(userdata, fd);
	ares_ssize_t n = 0;

	if (!stand_in) {
		return ares_datagram_send(fd, parts, n_parts);
	}
	for (int i = 0; i < n_parts; i++) {
		if (buffer_append(&stand_in->queries, parts[i].iov_base, parts[i].iov_len) < 0) {
			break;
		}
		n += (ares_ssize_t)parts[i].iov_len;
	}
	stand_in_send(userdata, stand_in);
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	return n;
}

#ifdef HAVE_ARES_DNSREC
static int on_option(ares_socket_t fd, ares_socket_opt_t option, const void *value,
		     ares_socklen_t n_value, void *userdata)
{
	(void)fd;
	(void)option;
	(void)value;
	(void)n_value;
	(void)userdata;
	errno = ENOSYS;
	return -1;
}

static int on_connect_ex(ares_socket_t fd, const struct sockaddr *server, ares_socklen_t n_server,
			 unsigned flags, void *userdata)
{
	(void)flags;
	return on_connect(fd, server, n_server, userdata);
}

/* All sockets are connected, so there is never an address to send to. */
static ares_ssize_t on_sendto(ares_socket_t fd, const void *data, size_t n, int flags,
			      const struct sockaddr *to, ares_socklen_t n_to, void *userdata)
{
	struct iovec part = {.iov_base = (void *)data, .iov_len = n};

	(void)flags;
	(void)to;
	(void)n_to;
	return on_sendv(fd, &part, 1, userdata);
}

/* c-ares sorts addresses by where this machine would connect from (RFC 6724), and without this
 * function it does not sort them. Of a connection to a DNS server it only has to learn whether the
 * address is still the same (RFC 7873), so a stand-in answers with the server's. */
static int on_own_address(ares_socket_t fd, struct sockaddr *address, ares_socklen_t *n_address,
			  void *userdata)
{
	const struct ares_tcp_stand_in *stand_in = stand_in_find(userdata, fd);

	if (!stand_in) {
		return getsockname(fd, address, n_address);
	}
	*n_address = address_size(&stand_in->server);
	memcpy(address, &stand_in->server.any, *n_address);
	return 0;
}

static void set_functions(struct ares_tcp *tcp, ares_channel_t *channel)
{
	static const struct ares_socket_functions_ex functions = {
		.version = 1,
		.flags = ARES_SOCKFUNC_FLAG_NONBLOCKING,
		.asocket = on_socket,
		.aclose = on_close,
		.asetsockopt = on_option,
		.aconnect = on_connect_ex,
		.arecvfrom = on_recvfrom,
		.asendto = on_sendto,
		.agetsockname = on_own_address,
	};
	ares_status_t status = ares_set_socket_functions_ex(channel, &functions, tcp);

	/* It fails only if one is missing. */
	assert(status == ARES_SUCCESS);
	(void)status;
}
#else
static void set_functions(struct ares_tcp *tcp, ares_channel channel)
{
	static const struct ares_socket_functions functions = {
		.asocket = on_socket,
		.aclose = on_close,
		.aconnect = on_connect,
		.arecvfrom = on_recvfrom,
		.asendv = on_sendv,
	};

	ares_set_socket_functions(channel, &functions, tcp);
}
#endif

void ares_tcp_init(struct ares_tcp *tcp, uv_loop_t *loop, ares_channel channel,
		   struct ares_bill *bill)
{
	tcp->loop = loop;
	tcp->bill = bill;
	LIST_INIT(&tcp->stand_ins);
	TAILQ_INIT(&tcp->exchanges);
	tcp->n_exchanges = 0;
	set_functions(tcp, channel);
}
