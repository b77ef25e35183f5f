/* SPDX-License-Identifier: MIT */
#include "tests/bench/load.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/check.h"
#include "tests/bench/flow.h"

enum {
	OPENING_MAX = 20, /* at once; more could overflow the listen queue */
	EVENTS_MAX = 64,
	HEAD_SIZE = 1024, /* of a request, and of that part of a message which is looked at */
	SILENCE_MS = 20000,
	RUN_LEAST = 32, /* round trips, however large they are */
	MASK = 0x5a,    /* not 0, which would make unmasking trivial */
	FRAME_LENGTH_16 = 126,
	FRAME_LENGTH_64 = 127,
};

struct text {
	char *data;
	size_t n;
};

struct connection {
	struct session *session;
	struct flow flow;
	bool busy; /* a request is under way */
};

struct session {
	struct load *load;
	struct connection connections[2];
	bool upgraded, logging_in, ready;
	uint64_t rid, sent_ns;
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
	char *text; /* of each stanza */
	struct bytes scratch;
	uint32_t *latencies; /* of the last load_run(), microseconds */
	size_t n_latencies, n_latencies_max;
};

/* Sending. */

static void connection_open(struct session *session, struct connection *connection)
{
	int fd = flow_connect(session->load->port);

	check(fd >= 0, "connect");
	connection->session = session;
	connection->flow.owner = connection;
	flow_init(&connection->flow, session->load->epoll, fd);
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
	char body[HEAD_SIZE], head[HEAD_SIZE];
	int n_body = snprintf(body, sizeof(body),
			      "<body xmlns='http://jabber.org/protocol/httpbind' rid='%" PRIu64
			      "'%s%s%s>",
			      session->rid++, session->sid[0] ? " sid='" : "", session->sid,
			      session->sid[0] ? "'" : attributes);
	size_t n_payload = strlen(payload);
	int n_head = snprintf(head, sizeof(head),
			      "POST /http-bind HTTP/1.1\r\nHost: bench.test\r\nContent-Type: "
			      "text/xml; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
			      (size_t)n_body + n_payload + sizeof("</body>") - 1);
	struct bytes *scratch = &session->load->scratch;

	connection->busy = true;
	scratch->n = 0;
	bytes_add(scratch, head, (size_t)n_head);
	bytes_add(scratch, body, (size_t)n_body);
	bytes_add(scratch, payload, n_payload);
	bytes_add(scratch, "</body>", sizeof("</body>") - 1);
	flow_send(&connection->flow, scratch->data, scratch->n);
}

static void send_frame(struct session *session, const char *text)
{
	size_t n = strlen(text), n_more = n < FRAME_LENGTH_16 ? 0 : n <= UINT16_MAX ? 2 : 8;
	struct bytes *scratch = &session->load->scratch;
	unsigned char head[14] = {0x81};
	size_t code = n_more == 0 ? n : n_more == 2 ? FRAME_LENGTH_16 : FRAME_LENGTH_64;

	head[1] = (unsigned char)(0x80 | code);
	for (size_t i = 0; i < n_more; i++) {
		head[2 + i] = (unsigned char)(n >> 8 * (n_more - 1 - i));
	}
	memset(head + 2 + n_more, MASK, 4);
	scratch->n = 0;
	bytes_add(scratch, head, 2 + n_more + 4);
	bytes_add(scratch, text, n);
	for (size_t i = scratch->n - n; i < scratch->n; i++) {
		scratch->data[i] ^= MASK;
	}
	flow_send(&session->connections[0].flow, scratch->data, scratch->n);
}

static void send_stanza(struct session *session)
{
	struct load *load = session->load;
	char number[16];

	snprintf(number, sizeof(number), "%08" PRIx32, ++session->number);
	memcpy(strstr(load->text, " id='") + 5, number, 8);
	load->n_under_way++;
	session->sent_ns = clock_ns(CLOCK_MONOTONIC);
	switch (load->kind) {
	case LOAD_ECHO:
		flow_send(&session->connections[0].flow, load->text, strlen(load->text));
		break;
	case LOAD_WEBSOCKET:
	case LOAD_BLIND:
		send_frame(session, load->text);
		break;
	default:
		send_request(session, "", load->text);
		break;
	}
}

static char *make_text(size_t n)
{
	static const char words[] = "Two rivers meet below the town, and flow on as one. ";
	struct bytes text = {0};
	static const char head[] = "<message xmlns='jabber:client' to='echo@bench.test' "
				   "type='chat' id='00000000'><body>";

	bytes_add(&text, head, sizeof(head) - 1);
	while (n > 0) {
		size_t n_part = n < sizeof(words) - 1 ? n : sizeof(words) - 1;

		bytes_add(&text, words, n_part);
		n -= n_part;
	}
	bytes_add(&text, "</body></message>", sizeof("</body></message>"));
	return text.data;
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

/* What is looked for stands near the beginning. */
static char *find(struct text text, const char *needle)
{
	text.n = text.n < HEAD_SIZE ? text.n : HEAD_SIZE;
	return memmem(text.data, text.n, needle, strlen(needle));
}

/* Each returns the first message in @all and its length, 0 when the message is incomplete. */

static size_t take_answer(struct text all, struct text *ret_message)
{
	size_t n_head = 0, n = http_length(all.data, all.n, &n_head);

	*ret_message = (struct text){all.data + n_head, n - n_head};
	return n;
}

static size_t take_frame(struct text all, struct text *ret_message)
{
	const unsigned char *bytes = (const unsigned char *)all.data;
	size_t code = all.n > 1 ? bytes[1] : 0, n = 0;
	size_t n_more = code == FRAME_LENGTH_16 ? 2 : code == FRAME_LENGTH_64 ? 8 : 0;

	if (all.n < 2 + n_more) {
		return 0;
	}
	for (size_t i = 0; i < n_more; i++) {
		n = n << 8 | bytes[2 + i];
	}
	n = n_more ? n : code;
	*ret_message = (struct text){all.data + 2 + n_more, n};
	return 2 + n_more + n;
}

/* There is one at a time. */
static size_t take_echo(struct text all, struct text *ret_message)
{
	static const char end[] = "</message>";
	size_t n = sizeof(end) - 1;

	*ret_message = all;
	return all.n >= n && memcmp(all.data + all.n - n, end, n) == 0 ? all.n : 0;
}

static size_t take(const struct session *session, struct text all, struct text *ret_message)
{
	switch (session->load->kind) {
	case LOAD_ECHO:
		return take_echo(all, ret_message);
	case LOAD_WEBSOCKET:
	case LOAD_BLIND:
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

static void log_in(struct session *session)
{
	static const char auth[] = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
				   "mechanism='PLAIN'>AGJlbmNoAHdhdGVy</auth>";

	session->logging_in = true;
	if (session->load->kind == LOAD_WEBSOCKET) {
		send_frame(session, auth);
	} else {
		send_request(session, "", auth);
	}
}

static void on_opening(struct session *session, struct text text)
{
	bool is_bosh = session->load->kind != LOAD_WEBSOCKET && session->load->kind != LOAD_BLIND;

	if (session->logging_in) {
		if (find(text, "<success")) {
			set_ready(session);
		} else if (is_bosh) {
			send_request(session, "", "");
		}
	} else if (is_bosh) {
		note_sid(session, text);
		log_in(session);
	} else if (session->upgraded) {
		if (find(text, "features>")) {
			log_in(session);
		}
	} else {
		session->upgraded = true;
		if (session->load->kind == LOAD_BLIND) {
			set_ready(session);
			return;
		}
		send_frame(session, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				    "to='bench.test' version='1.0'/>");
	}
}

static void note_latency(struct session *session)
{
	struct load *load = session->load;

	if (load->n_latencies == load->n_latencies_max) {
		load->n_latencies_max = load->n_latencies_max * 2 + 1024;
		load->latencies =
			realloc(load->latencies, load->n_latencies_max * sizeof(*load->latencies));
		check(load->latencies, "memory");
	}
	load->latencies[load->n_latencies++] =
		(uint32_t)((clock_ns(CLOCK_MONOTONIC) - session->sent_ns) / 1000);
}

static void on_message(struct session *session, struct text text)
{
	char id[32];

	if (find(text, "terminate") || find(text, "error")) {
		die("the session ended: %.*s", (int)(text.n < HEAD_SIZE ? text.n : HEAD_SIZE),
		    text.data);
	}
	if (!session->ready) {
		on_opening(session, text);
		return;
	}
	snprintf(id, sizeof(id), " id='%08" PRIx32 "'", session->number);
	if (find(text, id)) {
		session->load->n_under_way--;
		session->load->n_round_trips++;
		note_latency(session);
		go_on(session);
	}
}

static void on_readable(struct connection *connection)
{
	struct bytes *in = &connection->flow.in;
	struct text message;
	size_t n;

	if (!flow_read(&connection->flow)) {
		die("the connection ended");
	}
	while (in->n && (n = take(connection->session, (struct text){in->data, in->n}, &message)) &&
	       n <= in->n) {
		connection->busy = false;
		on_message(connection->session, message);
		bytes_drop(in, n);
	}
}

static void on_event(struct flow *flow, uint32_t events)
{
	if (events & EPOLLOUT) {
		flow_flush(flow);
	}
	if (events & ~(uint32_t)EPOLLOUT) {
		on_readable(flow->owner);
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
		on_event(ready[i].data.ptr, ready[i].events);
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
	if (load->kind == LOAD_HTTP) {
		/* As long as the gateway's. */
		memset(session->sid, 'a', sizeof(session->sid) / 2);
	}
	if (load->kind == LOAD_ECHO || load->kind == LOAD_HTTP) {
		set_ready(session);
	} else if (load->kind == LOAD_WEBSOCKET || load->kind == LOAD_BLIND) {
		flow_send(&session->connections[0].flow, upgrade, sizeof(upgrade) - 1);
	} else {
		send_request(session,
			     " to='bench.test' wait='60' hold='1' ver='1.6' xml:lang='en'"
			     " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'",
			     "");
	}
}

struct load *load_new(enum load_kind kind, uint16_t port, size_t n_sessions_max, size_t n_text)
{
	struct load *load = calloc(1, sizeof(*load));

	check(load, "load");
	load->kind = kind;
	load->port = port;
	load->n_sessions_max = n_sessions_max;
	load->text = make_text(n_text);
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
				flow_close(&load->sessions[i].connections[j].flow);
			}
		}
	}
	close(load->epoll);
	free(load->sessions);
	free(load->held);
	free(load->text);
	free(load->scratch.data);
	free(load->latencies);
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

	load->n_latencies = 0;
	if (!load->sending) {
		start(load);
	}
	while (clock_ns(CLOCK_MONOTONIC) < end || load->n_round_trips - n_before < RUN_LEAST) {
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

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

uint32_t load_latency(struct load *load, unsigned percent)
{
	if (load->n_latencies == 0) {
		return 0;
	}
	qsort(load->latencies, load->n_latencies, sizeof(*load->latencies), compare);
	return load->latencies[(load->n_latencies - 1) * percent / 100];
}
