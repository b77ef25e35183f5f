/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the programs that are measured, one process for each:
 *
 *     peer xmpp       an XMPP server that accepts every login and echoes every stanza
 *     peer xmpp-tls CERTIFICATE KEY
 *                     the same with STARTTLS, and tickets to resume a session with
 *     peer xmpp-tls-full CERTIFICATE KEY
 *                     the same without tickets
 *     peer echo       the same as xmpp without XMPP: echoes what ends like a stanza
 *     peer http       a web server that answers a POST with its body
 *     peer websocket  a WebSocket server that echoes every message
 *     peer relay PORT a bare epoll loop between two TCP connections, the yardstick of a gateway
 *
 * Prints the port that it listens on, on the loopback. Echoes only whole messages, as a server
 * does. Ends when its standard input does.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/check.h"
#include "tests/bench/flow.h"

enum {
	EVENTS_MAX = 64,
	FRAME_LENGTH_16 = 126,
	FRAME_LENGTH_64 = 127,
	MASK_SIZE = 4,
};

/* Answers the first message in flow->in. Returns its length; 0: it is incomplete. */
typedef size_t (*answer_function)(struct flow *flow);

static int epoll;
static answer_function answer;
static uint16_t relay_port; /* 0: no relay */
static SSL_CTX *tls;        /* NULL: no STARTTLS */

static void say(struct flow *flow, const char *text)
{
	flow_send(flow, text, strlen(text));
}

static bool starts_with(const struct flow *flow, const char *text)
{
	return flow->in.n >= strlen(text) && memcmp(flow->in.data, text, strlen(text)) == 0;
}

static bool ends_with(const struct flow *flow, const char *text)
{
	size_t n = strlen(text);

	return flow->in.n >= n && memcmp(flow->in.data + flow->in.n - n, text, n) == 0;
}

static size_t answer_stanza(struct flow *flow)
{
	if (!ends_with(flow, "</message>")) {
		return 0;
	}
	flow_send(flow, flow->in.data, flow->in.n);
	return flow->in.n;
}

#define STREAM_HEAD                                                                \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' " \
	"id='b' from='bench.test' xmlns:stream='http://etherx.jabber.org/streams'>"

static size_t answer_xmpp(struct flow *flow)
{
	size_t n = flow->in.n;

	if (starts_with(flow, "<?xml")) {
		say(flow, tls && !flow->ssl ? STREAM_HEAD
				  "<stream:features><starttls xmlns='urn:ietf:params:"
				  "xml:ns:xmpp-tls'><required/></starttls>"
				  "</stream:features>"
					    : STREAM_HEAD
				  "<stream:features><mechanisms xmlns='urn:ietf:params:"
				  "xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
				  "</mechanisms></stream:features>");
		return n;
	}
	if (starts_with(flow, "<starttls")) {
		say(flow, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
		flow_secure(flow, tls);
		return n;
	}
	if (starts_with(flow, "<auth")) {
		say(flow, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
		return n;
	}
	if (starts_with(flow, "</stream:stream")) {
		say(flow, "</stream:stream>");
		return n;
	}
	return answer_stanza(flow);
}

static size_t answer_http(struct flow *flow)
{
	char head[512];
	size_t n_head = 0, n = http_length(flow->in.data, flow->in.n, &n_head);

	if (n == 0 || n > flow->in.n) {
		return 0;
	}
	/* Of the size of the gateway's. */
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
		 "Content-Type: text/xml; charset=utf-8\r\n"
		 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		 "Content-Security-Policy: default-src 'none'; sandbox\r\n\r\n",
		 n - n_head);
	say(flow, head);
	flow_send(flow, flow->in.data + n_head, n - n_head);
	return n;
}

static size_t answer_upgrade(struct flow *flow)
{
	if (!ends_with(flow, "\r\n\r\n")) {
		return 0;
	}
	/* The clients' key is always that of RFC 6455. */
	say(flow, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		  "Connection: Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\n"
		  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
	return flow->in.n;
}

/* The length of a frame's payload, and in *ret_n_head that of what stands before the mask. */
static size_t frame_length(const unsigned char *data, size_t *ret_n_head)
{
	size_t code = data[1] & 0x7f, n = 0, n_more = 0;

	if (code < FRAME_LENGTH_16) {
		*ret_n_head = 2;
		return code;
	}
	n_more = code == FRAME_LENGTH_16 ? 2 : 8;
	for (size_t i = 0; i < n_more; i++) {
		n = n << 8 | data[2 + i];
	}
	*ret_n_head = 2 + n_more;
	return n;
}

static size_t answer_websocket(struct flow *flow)
{
	unsigned char *data = (unsigned char *)flow->in.data;
	size_t n_head;

	if (data[0] == 'G') {
		return answer_upgrade(flow);
	}
	if (flow->in.n < 2 + 8) {
		return 0;
	}
	size_t n = frame_length(data, &n_head), n_all = n_head + MASK_SIZE + n;

	if (flow->in.n < n_all) {
		return 0;
	}
	unsigned char *payload = data + n_head + MASK_SIZE;

	for (size_t i = 0; i < n; i++) {
		payload[i] ^= data[n_head + i % MASK_SIZE];
	}
	data[1] &= 0x7f;
	flow_send(flow, data, n_head);
	flow_send(flow, payload, n);
	return n_all;
}

static size_t answer_relay(struct flow *flow)
{
	struct flow *other = flow->owner;

	if (other && other->fd >= 0) {
		flow_send(other, flow->in.data, flow->in.n);
	}
	return flow->in.n;
}

static struct flow *open_flow(int fd)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	check(flow && fd >= 0, "connection");
	flow_init(flow, epoll, fd);
	return flow;
}

static void accept_one(int listening)
{
	struct flow *flow = open_flow(accept4(listening, NULL, NULL, SOCK_CLOEXEC));

	if (relay_port) {
		struct flow *other = open_flow(flow_connect(relay_port));

		flow->owner = other;
		other->owner = flow;
	}
}

/* The memory stays: events may still refer to it, and a run does not last long. */
static void end_flow(struct flow *flow)
{
	struct flow *other = relay_port ? flow->owner : NULL;

	flow_close(flow);
	if (other && other->fd >= 0) {
		flow_close(other);
	}
}

static void on_event(struct flow *flow, uint32_t events)
{
	size_t n;

	if (flow->fd < 0) {
		return;
	}
	if (events & EPOLLOUT) {
		flow_flush(flow);
	}
	if (!(events & ~(uint32_t)EPOLLOUT)) {
		return;
	}
	if (!flow_read(flow)) {
		end_flow(flow);
		return;
	}
	while (flow->in.n && (n = answer(flow))) {
		bytes_drop(&flow->in, n);
	}
}

static answer_function role_of(const char *name)
{
	static const struct {
		const char *name;
		answer_function answer;
	} roles[] = {
		{"xmpp", answer_xmpp},   {"xmpp-tls", answer_xmpp}, {"xmpp-tls-full", answer_xmpp},
		{"echo", answer_stanza}, {"http", answer_http},     {"websocket", answer_websocket},
		{"relay", answer_relay},
	};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].name, name) == 0) {
			return roles[i].answer;
		}
	}
	die("there is no role '%s'", name);
}

int main(int argc, char **argv)
{
	struct epoll_event ready[EVENTS_MAX];
	struct epoll_event listens = {.events = EPOLLIN}, ends = {.events = EPOLLIN};
	uint16_t port;

	if (argc < 2) {
		die("usage: peer ROLE [PORT | CERTIFICATE KEY]");
	}
	answer = role_of(argv[1]);
	if (argc == 3) {
		relay_port = (uint16_t)strtoul(argv[2], NULL, 10);
	} else if (argc == 4) {
		tls = flow_tls_server(argv[2], argv[3], strcmp(argv[1], "xmpp-tls") == 0);
	}
	int listening = flow_listen(&port);

	epoll = epoll_create1(EPOLL_CLOEXEC);
	listens.data.ptr = &listening;
	check(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &listens) == 0 &&
		      epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ends) == 0,
	      "epoll");
	printf("%u\n", port);
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, ready, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			if (!ready[i].data.ptr) {
				return EXIT_SUCCESS;
			}
			if (ready[i].data.ptr == &listening) {
				accept_one(listening);
			} else {
				on_event(ready[i].data.ptr, ready[i].events);
			}
		}
	}
}
