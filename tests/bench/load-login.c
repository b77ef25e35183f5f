/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include "tests/bench/check.h"

static bool is_websocket(const struct session *session)
{
	return session->load->options.kind == LOAD_WEBSOCKET ||
	       session->load->options.kind == LOAD_BLIND;
}

static void copy_between(struct text text, const char *start, char end, char *ret_text,
			 size_t n_max)
{
	char *first = find_text(text, start), *last = NULL;

	if (first) {
		first += strlen(start);
		last = memchr(first, end, (size_t)(text.data + text.n - first));
	}
	if (!last || (size_t)(last - first) >= n_max) {
		die("no %s in %.*s", start, (int)text.n, text.data);
	}
	memcpy(ret_text, first, (size_t)(last - first));
	ret_text[last - first] = '\0';
}

static void send_element(struct session *session, const char *text)
{
	if (is_websocket(session)) {
		send_frame(session, text);
	} else {
		send_request(session, "", text);
	}
}

static void log_in(struct session *session)
{
	session->stage = STAGE_LOGIN;
	send_element(session, session->load->options.binds
				      ? "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
					"mechanism='ANONYMOUS'/>"
				      : "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
					"mechanism='PLAIN'>AGJlbmNoAHdhdGVy</auth>");
}

#define OPEN_FRAME \
	"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='bench.test' version='1.0'/>"

static void restart(struct session *session)
{
	session->stage = STAGE_RESTART;
	if (is_websocket(session)) {
		send_frame(session, OPEN_FRAME);
	} else {
		send_request(session,
			     " xmpp:restart='true' to='bench.test' xmlns:xmpp='urn:xmpp:xbosh'",
			     "");
	}
}

static void bind(struct session *session)
{
	session->stage = STAGE_BIND;
	send_element(session, "<iq xmlns='jabber:client' type='set' id='bind'>"
			      "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
}

static void note_address(struct session *session, struct text text)
{
	char address[256];

	copy_between(text, "<jid>", '<', address, sizeof(address));
	session->text = stanza_new(address, session->load->options.n_text);
}

/* What each stage waits for. */
static const char *awaited(enum stage stage)
{
	switch (stage) {
	case STAGE_LOGIN:
		return "<success";
	case STAGE_BIND:
		return "<jid>";
	default:
		return "features>";
	}
}

/* Returns whether the session is ready. */
static bool go_ahead(struct session *session, struct text text)
{
	switch (session->stage) {
	case STAGE_OPEN:
		log_in(session);
		return false;
	case STAGE_LOGIN:
		if (session->load->options.binds) {
			restart(session);
			return false;
		}
		return true;
	case STAGE_RESTART:
		bind(session);
		return false;
	default:
		note_address(session, text);
		return true;
	}
}

bool login_step(struct session *session, struct text text)
{
	if (session->stage == STAGE_UPGRADE) {
		session->stage = STAGE_OPEN;
		if (session->load->options.kind == LOAD_BLIND) {
			return true;
		}
		send_frame(session, OPEN_FRAME);
		return false;
	}
	if (!is_websocket(session) && !session->sid[0]) {
		copy_between(text, " sid='", '\'', session->sid, sizeof(session->sid));
	}
	if (find_text(text, awaited(session->stage))) {
		return go_ahead(session, text);
	}
	if (!is_websocket(session) && session->n_busy == 0) {
		send_request(session, "", "");
	}
	return false;
}

bool login_start(struct session *session)
{
	static const char upgrade[] =
		"GET /xmpp-websocket HTTP/1.1\r\nHost: bench.test\r\nConnection: "
		"Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Protocol: xmpp\r\n\r\n";
	enum load_kind kind = session->load->options.kind;

	session->stage = is_websocket(session) ? STAGE_UPGRADE : STAGE_OPEN;
	if (kind == LOAD_HTTP) {
		/* As long as the gateway's. */
		memset(session->sid, 'a', sizeof(session->sid) / 2);
		return true;
	}
	if (kind == LOAD_BOSH || kind == LOAD_BOSH_HELD) {
		send_request(session,
			     " to='bench.test' wait='60' hold='1' ver='1.6' xml:lang='en'"
			     " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'",
			     "");
		return false;
	}
	connection_open(session, &session->own[0]);
	if (kind == LOAD_ECHO) {
		return true;
	}
	flow_send(&session->own[0].flow, upgrade, sizeof(upgrade) - 1);
	return false;
}

void login_end(struct session *session)
{
	session->stage = STAGE_END;
	if (is_websocket(session)) {
		send_frame(session, "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
	} else {
		send_request(session, " type='terminate'", "");
	}
}
