/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include "tests/bench/check.h"

/* The answer with the sid also has the server's features. */
static void note_sid(struct session *session, struct text text)
{
	char *start = find_text(text, " sid='");
	char *end =
		start ? memchr(start + 6, '\'', (size_t)(text.data + text.n - start - 6)) : NULL;

	if (!end || end - start - 6 >= (ptrdiff_t)sizeof(session->sid)) {
		die("no session: %.*s", (int)text.n, text.data);
	}
	memcpy(session->sid, start + 6, (size_t)(end - start - 6));
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

bool login_step(struct session *session, struct text text)
{
	bool is_bosh = session->load->kind != LOAD_WEBSOCKET && session->load->kind != LOAD_BLIND;

	if (session->logging_in) {
		if (find_text(text, "<success")) {
			return true;
		}
		if (is_bosh) {
			send_request(session, "", "");
		}
	} else if (is_bosh) {
		note_sid(session, text);
		log_in(session);
	} else if (session->upgraded) {
		if (find_text(text, "features>")) {
			log_in(session);
		}
	} else {
		session->upgraded = true;
		if (session->load->kind == LOAD_BLIND) {
			return true;
		}
		send_frame(session, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				    "to='bench.test' version='1.0'/>");
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
	enum load_kind kind = session->load->kind;

	connection_open(session, &session->connections[0]);
	if (kind == LOAD_HTTP) {
		/* As long as the gateway's. */
		memset(session->sid, 'a', sizeof(session->sid) / 2);
	}
	if (kind == LOAD_ECHO || kind == LOAD_HTTP) {
		return true;
	}
	if (kind == LOAD_WEBSOCKET || kind == LOAD_BLIND) {
		flow_send(&session->connections[0].flow, upgrade, sizeof(upgrade) - 1);
	} else {
		send_request(session,
			     " to='bench.test' wait='60' hold='1' ver='1.6' xml:lang='en'"
			     " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'",
			     "");
	}
	return false;
}
