/* SPDX-License-Identifier: MIT */
/*
 * The gateway's test page: a small BOSH client and a small WebSocket client, enough XMPP above them to
 * log in and ping, and the page that shows how it went. From bottom to top: hashes, SASL, XML,
 * the two transports, the connection, the chart, the page. The files are one module, in the order of page_scripts
 * in gateway/meson.build.
 */

const NS = {
	bind: 'urn:ietf:params:xml:ns:xmpp-bind',
	body: 'http://jabber.org/protocol/httpbind',
	client: 'jabber:client',
	framing: 'urn:ietf:params:xml:ns:xmpp-framing',
	ping: 'urn:xmpp:ping',
	sasl: 'urn:ietf:params:xml:ns:xmpp-sasl',
	session: 'urn:ietf:params:xml:ns:xmpp-session',
	stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas',
	stream: 'http://etherx.jabber.org/streams',
	streams: 'urn:ietf:params:xml:ns:xmpp-streams',
};

const BOSH_WAIT = 60; /* seconds; the gateway may shorten it */
const REPEATS = 2; /* of a BOSH request that the network lost */
const ANSWER_LIMIT = 60; /* seconds: more than the gateway takes to give up on a server */
const PING_INTERVAL = 1000; /* milliseconds */
const PING_LIMIT = 30000;
const COMPARED_PINGS = 8; /* when both transports are tried: enough for a median, in two seconds each */
const COMPARED_INTERVAL = 250;
const ROUNDS_MAX = 10000000; /* SCRAM: a server that asks for more only wants to keep the browser busy */
const PINGS_KEPT = 3600;
const PINGS_DRAWN = 60;
const PINGS_SPAN_MIN = 20; /* the chart's width in pings while there are few */
const RAW_MAX = 2000; /* characters of a received answer that the page shows */

/* The keys of a session and the words of a login do not belong on the page or into a report. */
const redact = (raw) => raw.replace(/\b(sid|authid)=(["']).*?\2/g, '$1=$2\u2026$2')
	.replace(/(<(?:\w+:)?(?:challenge|success)\b[^>]*>)[^<]*/g, '$1\u2026');

/* What went wrong, for people and for the report: a sentence, [label, value] pairs, what to do, the answer as received; and for an
 * operator, the gateway's name for it and where a probe shows it (failures.js; null: not known). */
class Failure extends Error {
	constructor(title, facts = [], { hint = '', raw = '', name = '', look = null } = {}) {
		super(title);
		Object.assign(this, { facts, hint, name, look, raw: redact(raw).slice(0, RAW_MAX) });
	}
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
