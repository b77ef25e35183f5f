/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/check.h"

enum {
	OPENING_MAX = 20, /* at once; more could overflow the listen queue */
	EVENTS_MAX = 64,
	TEXT_SIZE = 4096,
	SILENCE_MS = 10000,
	MASK = 0x5a, /* not 0, which would make unmasking trivial */
	FRAME_LENGTH_16 = 126,
};

struct text {
	char *data;
	size_t n;
};

struct connection {
	struct session *session;
	int fd;
	bool busy; /* a request is under way */
	size_t n;
	char data[TEXT_SIZE];
};

struct session {
	struct load *load;
	struct connection connections[2];
	bool upgraded, ready;
	uint64_t rid;
	uint32_t number; /* of the stanza that was sent last */
	char sid[64];
};

struct load {
	enum load_kind kind;
	uint16_t port;
	int epoll;
	bool sending;
	size_t n_sessions, n_ready, n_under_way;
	uint64_t n_round_trips;
	struct session **held; /* a ring, the session that has waited longest first */
	size_t first_held, n_held;
	size_t n_sessions_max;
	struct session *sessions;
};

/* Sending. */

int load_connect(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	check(fd >= 0, "socket");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void connection_open(struct session *session, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	connection->session = session;
	connection->fd = load_connect(session->load->port);
	check(connection->fd >= 0, "connect");
	check(epoll_ctl(session->load->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0,
	      "epoll_ctl");
}

static void send_text(int fd, const char *data, size_t n)
{
	check(send(fd, data, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
}

/* A connection of the session without a pending request. The second one is opened when it is first
 * needed. */
static struct connection *free_connection(struct session *session)
{
	struct connection *connection = &session->connections[session->connections[0].busy];

	if (connection->busy) {
		die("more requests than connections");
	}
	if (!connection->session) {
		connection_open(session, connection);
	}
	return connection;
}

static void send_request(struct session *session, const char *attributes, const char *payload)
{
	struct connection *connection = free_connection(session);
	char body[TEXT_SIZE / 2], request[TEXT_SIZE];
	int n = snprintf(body, sizeof(body),
			 "<body xmlns='http://jabber.org/protocol/httpbind' rid='%" PRIu64
			 "'%s%s%s>%s</body>",
			 session->rid++, session->sid[0] ? " sid='" : "", session->sid,
			 session->sid[0] ? "'" : attributes, payload);

	connection->busy = true;
	n = snprintf(request, sizeof(request),
		     "POST /http-bind HTTP/1.1\r\nHost: bench.test\r\nContent-Type: text/xml; "
		     "charset=utf-8\r\n"
		     "Content-Length: %d\r\n\r\n%s",
		     n, body);
	send_text(connection->fd, request, (size_t)n);
}

static void send_frame(struct session *session, const char *text)
{
	size_t n = strlen(text), at = 0;
	char frame[TEXT_SIZE];

	frame[at++] = (char)0x81;
	frame[at++] = (char)(0x80 | (n < FRAME_LENGTH_16 ? n : FRAME_LENGTH_16));
	if (n >= FRAME_LENGTH_16) {
		frame[at++] = (char)(n >> 8);
		frame[at++] = (char)(n & 0xff);
	}
	memset(frame + at, MASK, 4);
	at += 4;
	for (size_t i = 0; i < n; i++) {
		frame[at++] = (char)(text[i] ^ MASK);
	}
	send_text(session->connections[0].fd, frame, at);
}

static void send_stanza(struct session *session)
{
	char stanza[TEXT_SIZE / 4];

	snprintf(stanza, sizeof(stanza),
		 "<message xmlns='jabber:client' to='echo@bench.test' type='chat' id='%08" PRIx32
		 "'>"
		 "<body>Two rivers meet below the town, and flow on as one.</body></message>",
		 ++session->number);
	session->load->n_under_way++;
	switch (session->load->kind) {
	case LOAD_ECHO:
		send_text(session->connections[0].fd, stanza, strlen(stanza));
		break;
	case LOAD_WEBSOCKET:
		send_frame(session, stanza);
		break;
	default:
		send_request(session, "", stanza);
		break;
	}
}

/* Sends a request to be held, unless the one that carried the stanza is still under way. */
static void hold_request(struct session *session)
{
	struct load *load = session->load;

	if (!session->connections[0].busy && !session->connections[1].busy) {
		send_request(session, "", "");
	}
	load->held[(load->first_held + load->n_held++) % load->n_sessions_max] = session;
}

static struct session *take_held(struct load *load)
{
	struct session *session = load->held[load->first_held];

	load->first_held = (load->first_held + 1) % load->n_sessions_max;
	load->n_held--;
	return session;
}

/* The echo of the stanza of @session has arrived. */
static void go_on(struct session *session)
{
	struct load *load = session->load;

	if (load->kind == LOAD_BOSH_HELD) {
		hold_request(session);
	}
	if (load->sending) {
		send_stanza(load->kind == LOAD_BOSH_HELD ? take_held(load) : session);
	}
}

/* Receiving. */

static char *find(struct text text, const char *needle)
{
	return memmem(text.data, text.n, needle, strlen(needle));
}

/* Each returns the first message in @all and its length, 0 when the message is incomplete. */

static size_t take_answer(struct text all, struct text *ret_message)
{
	static const char name[] = "Content-Length: ";
	char *end = find(all, "\r\n\r\n"), *length = find(all, name);
	size_t n = 0;

	if (!end) {
		return 0;
	}
	for (length = length ? length + sizeof(name) - 1 : end; *length >= '0' && *length <= '9';
	     length++) {
		n = n * 10 + (size_t)(*length - '0');
	}
	*ret_message = (struct text){end + 4, n};
	return (size_t)(end + 4 - all.data) + n;
}

static size_t take_frame(struct text all, struct text *ret_message)
{
	const unsigned char *bytes = (const unsigned char *)all.data;
	size_t n_head = all.n > 1 && bytes[1] == FRAME_LENGTH_16 ? 4 : 2;

	if (all.n < n_head) {
		return 0;
	}
	size_t n = n_head == 4 ? (size_t)bytes[2] << 8 | bytes[3] : bytes[1];

	*ret_message = (struct text){all.data + n_head, n};
	return n_head + n;
}

static size_t take_echo(struct text all, struct text *ret_message)
{
	static const char end[] = "</message>";
	char *at = find(all, end);

	*ret_message = all;
	return at ? (size_t)(at - all.data) + sizeof(end) - 1 : 0;
}

static size_t take(const struct session *session, struct text all, struct text *ret_message)
{
	switch (session->load->kind) {
	case LOAD_ECHO:
		return take_echo(all, ret_message);
	case LOAD_WEBSOCKET:
		return session->upgraded ? take_frame(all, ret_message)
					 : take_answer(all, ret_message);
	default:
		return take_answer(all, ret_message);
	}
}

/* The answer with the sid also has the server's features. */
static void note_sid(struct session *session, struct text text)
{
	char *start = find(text, " sid='");
	char *end =
		start ? memchr(start + 6, '\'', (size_t)(text.data + text.n - start - 6)) : NULL;

	if (!end || end - start - 6 >= (ptrdiff_t)sizeof(session->sid)) {
		die("no session: %.*s", (int)text.n, text.data);
	}
	memcpy(session->sid, start + 6, (size_t)(end - start - 6));
}

static void set_ready(struct session *session)
{
	session->ready = true;
	session->load->n_ready++;
	if (session->load->kind == LOAD_BOSH_HELD) {
		hold_request(session);
	}
}

static void on_opening(struct session *session, struct text text)
{
	if (session->load->kind != LOAD_WEBSOCKET) {
		note_sid(session, text);
		set_ready(session);
	} else if (!session->upgraded) {
		session->upgraded = true;
		send_frame(session, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				    "to='bench.test' version='1.0'/>");
	} else if (find(text, "features>")) {
		set_ready(session);
	}
}

static void on_message(struct session *session, struct text text)
{
	char id[32];

	if (find(text, "terminate") || find(text, "error")) {
		die("the session ended: %.*s", (int)text.n, text.data);
	}
	if (!session->ready) {
		on_opening(session, text);
		return;
	}
	snprintf(id, sizeof(id), " id='%08" PRIx32 "'", session->number);
	if (find(text, id)) {
		session->load->n_under_way--;
		session->load->n_round_trips++;
		go_on(session);
	}
}

static void on_readable(struct connection *connection)
{
	ssize_t r = recv(connection->fd, connection->data + connection->n,
			 sizeof(connection->data) - connection->n, 0);
	struct text message;
	size_t n;

	if (r <= 0) {
		die("the connection ended");
	}
	connection->n += (size_t)r;
	while ((n = take(connection->session, (struct text){connection->data, connection->n},
			 &message)) &&
	       n <= connection->n) {
		connection->busy = false;
		on_message(connection->session, message);
		connection->n -= n;
		memmove(connection->data, connection->data + n, connection->n);
	}
}

static void turn(struct load *load)
{
	struct epoll_event ready[EVENTS_MAX];
	int n = epoll_wait(load->epoll, ready, EVENTS_MAX, SILENCE_MS);

	if (n <= 0) {
		die("%zu stanzas did not come back, %zu sessions did not open", load->n_under_way,
		    load->n_sessions - load->n_ready);
	}
	for (int i = 0; i < n; i++) {
		on_readable(ready[i].data.ptr);
	}
}

/* Lifetime. */

static void open_session(struct load *load)
{
	static const char upgrade[] =
		"GET /xmpp-websocket HTTP/1.1\r\nHost: bench.test\r\nConnection: "
		"Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Protocol: xmpp\r\n\r\n";
	struct session *session = &load->sessions[load->n_sessions++];

	*session = (struct session){.load = load, .rid = 1};
	connection_open(session, &session->connections[0]);
	if (load->kind == LOAD_ECHO) {
		set_ready(session);
	} else if (load->kind == LOAD_WEBSOCKET) {
		send_text(session->connections[0].fd, upgrade, sizeof(upgrade) - 1);
	} else {
		send_request(session,
			     " to='bench.test' wait='60' hold='1' ver='1.6' xml:lang='en'"
			     " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'",
			     "");
	}
}

struct load *load_new(enum load_kind kind, uint16_t port, size_t n_sessions_max)
{
	struct load *load = calloc(1, sizeof(*load));

	check(load, "load");
	load->kind = kind;
	load->port = port;
	load->n_sessions_max = n_sessions_max;
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->sessions = calloc(n_sessions_max, sizeof(*load->sessions));
	load->held = calloc(n_sessions_max, sizeof(struct session *));
	check(load->epoll >= 0 && load->sessions && load->held, "load");
	return load;
}

struct load *load_free(struct load *load)
{
	for (size_t i = 0; i < load->n_sessions; i++) {
		for (size_t j = 0; j < 2; j++) {
			if (load->sessions[i].connections[j].session) {
				close(load->sessions[i].connections[j].fd);
			}
		}
	}
	close(load->epoll);
	free(load->sessions);
	free(load->held);
	free(load);
	return NULL;
}

void load_open(struct load *load, size_t n)
{
	while (load->n_ready < n) {
		if (load->n_sessions < n && load->n_sessions - load->n_ready < OPENING_MAX) {
			open_session(load);
		} else {
			turn(load);
		}
	}
}

static void start(struct load *load)
{
	bool held = load->kind == LOAD_BOSH_HELD;
	size_t n = held ? load->n_sessions / 2 : load->n_sessions;

	load->sending = true;
	for (size_t i = 0; i < n; i++) {
		send_stanza(held ? take_held(load) : &load->sessions[i]);
	}
}

uint64_t load_run(struct load *load, unsigned ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000,
		 n_before = load->n_round_trips;

	if (!load->sending) {
		start(load);
	}
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		turn(load);
	}
	return load->n_round_trips - n_before;
}

void load_drain(struct load *load)
{
	load->sending = false;
	while (load->n_under_way) {
		turn(load);
	}
}
