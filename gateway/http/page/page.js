/* SPDX-License-Identifier: MIT */
/*
 * The gateway's test page: a small BOSH client and a small WebSocket client, enough XMPP above them to
 * log in and ping, and the page that shows how it went. From bottom to top: hashes, SASL, XML,
 * the two transports, the connection, the chart, the page.
 */
(() => {
'use strict';

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
const ROUNDS_MAX = 10000000; /* SCRAM: a server that asks for more only wants to keep the browser busy */
const PINGS_KEPT = 3600;
const PINGS_DRAWN = 60;
const PINGS_SPAN_MIN = 20; /* the chart's width in pings while there are few */
const RAW_MAX = 2000; /* characters of a received answer that the page shows */

/* The keys of a session and the words of a login do not belong on the page or into a report. */
const redact = (raw) => raw.replace(/\b(sid|authid)=(["']).*?\2/g, '$1=$2\u2026$2')
	.replace(/(<(?:\w+:)?(?:challenge|success)\b[^>]*>)[^<]*/g, '$1\u2026');

/* What went wrong, for people and for the report: a sentence, [label, value] pairs, the answer as received. */
class Failure extends Error {
	constructor(title, facts = [], { hint = '', raw = '' } = {}) {
		super(title);
		Object.assign(this, { facts, hint, raw: redact(raw).slice(0, RAW_MAX) });
	}
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/* ---- Bytes and hashes: crypto.subtle is missing where the page came over plain HTTP ---- */

const utf8 = (text) => new TextEncoder().encode(text);
const fromUtf8 = (bytes) => new TextDecoder().decode(bytes);
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const fromBase64 = (text) => Uint8Array.from(atob(text.replace(/\s/g, '')), (char) => char.charCodeAt(0));
const random = (n_bytes) => crypto.getRandomValues(new Uint8Array(n_bytes));
const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
const xor = (a, b) => a.map((value, i) => value ^ b[i]);
const equal = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/* A hash is its initial state and the compression of one block of 16 words into a state (FIPS 180-4). */
const sha1 = {
	name: 'SHA-1',
	initial: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
	schedule: new Uint32Array(80),
	compress(state, block) {
		const w = this.schedule;
		w.set(block);
		for (let i = 16; i < 80; i++) {
			const x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
			w[i] = x << 1 | x >>> 31;
		}
		let [a, b, c, d, e] = state;
		for (let i = 0; i < 80; i++) {
			let f;
			if (i < 20) {
				f = (b & c | ~b & d) + 0x5a827999;
			} else if (i < 40) {
				f = (b ^ c ^ d) + 0x6ed9eba1;
			} else if (i < 60) {
				f = (b & c | b & d | c & d) + 0x8f1bbcdc;
			} else {
				f = (b ^ c ^ d) + 0xca62c1d6;
			}
			const next = (a << 5 | a >>> 27) + f + e + w[i] | 0;
			e = d;
			d = c;
			c = b << 30 | b >>> 2;
			b = a;
			a = next;
		}
		state[0] += a;
		state[1] += b;
		state[2] += c;
		state[3] += d;
		state[4] += e;
	},
};

const SHA256_K = Uint32Array.of(
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2);

const sha256 = {
	name: 'SHA-256',
	initial: [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
	schedule: new Uint32Array(64),
	compress(state, block) {
		const w = this.schedule;
		const turn = (x, n) => x >>> n | x << 32 - n;
		w.set(block);
		for (let i = 16; i < 64; i++) {
			const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >>> 3;
			const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >>> 10;
			w[i] = w[i - 16] + s0 + w[i - 7] + s1;
		}
		let [a, b, c, d, e, f, g, h] = state;
		for (let i = 0; i < 64; i++) {
			const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
			const t1 = h + s1 + (e & f ^ ~e & g) + SHA256_K[i] + w[i] | 0;
			const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
			const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
			h = g;
			g = f;
			f = e;
			e = d + t1 | 0;
			d = c;
			c = b;
			b = a;
			a = t1 + t2 | 0;
		}
		[a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] += value; });
	},
};

function wordsToBytes(words) {
	const view = new DataView(new ArrayBuffer(4 * words.length));
	words.forEach((word, i) => view.setUint32(4 * i, word));
	return new Uint8Array(view.buffer);
}

function bytesToWords(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i));
}

function digest(hash, bytes) {
	const padded = new Uint8Array((bytes.length + 8 >> 6) + 1 << 6);
	padded.set(bytes);
	padded[bytes.length] = 0x80;
	const words = bytesToWords(padded);
	words[words.length - 1] = bytes.length << 3;
	const state = Uint32Array.from(hash.initial);
	for (let i = 0; i < words.length; i += 16) {
		hash.compress(state, words.subarray(i, i + 16));
	}
	return wordsToBytes(state);
}

/* The key of an HMAC (RFC 2104) as one block, XORed with a pad. */
function keyBlock(hash, key, pad) {
	const block = new Uint8Array(64);
	block.set(key.length > 64 ? digest(hash, key) : key);
	return block.map((byte) => byte ^ pad);
}

function hmac(hash, key, bytes) {
	const inner = digest(hash, concat(keyBlock(hash, key, 0x36), bytes));
	return digest(hash, concat(keyBlock(hash, key, 0x5c), inner));
}

/*
 * PBKDF2 (RFC 8018) for one block. Both key blocks are compressed once and not in each round, which
 * halves the work; long computations let the page breathe.
 */
async function pbkdf2(hash, password, salt, rounds) {
	const keyed = (pad) => {
		const state = Uint32Array.from(hash.initial);
		hash.compress(state, bytesToWords(keyBlock(hash, password, pad)));
		return state;
	};
	const inner = keyed(0x36);
	const outer = keyed(0x5c);
	let u = bytesToWords(hmac(hash, password, concat(salt, [0, 0, 0, 1])));
	const result = Uint32Array.from(u);
	const block = new Uint32Array(16);
	block[u.length] = 0x80000000;
	block[15] = 8 * (64 + 4 * u.length);
	let breath = performance.now();
	for (let round = 1; round < rounds; round++) {
		for (const key of [inner, outer]) {
			block.set(u);
			u = key.slice();
			hash.compress(u, block);
		}
		for (let i = 0; i < u.length; i++) {
			result[i] ^= u[i];
		}
		if (round % 1000 === 0 && performance.now() - breath > 30) {
			await pause(0);
			breath = performance.now();
		}
	}
	return wordsToBytes(result);
}

/* ---- SASL: each mechanism answers start(), respond(challenge) and finish(additional data) with bytes ---- */

/* RFC 4013 in short: odd spaces become spaces, what it maps to nothing goes, the rest is NFKC. */
function prepare(text) {
	return text
		.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ')
		.replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '')
		.normalize('NFKC');
}

class Anonymous {
	start() {
		return null;
	}

	respond() {
		return new Uint8Array(0);
	}

	finish() {
		return 'a new identity from the server';
	}
}

class Plain {
	constructor(user, password) {
		this.message = utf8(`\0${user}\0${prepare(password)}`);
	}

	start() {
		return this.message;
	}

	respond() {
		return this.message;
	}

	finish() {
		return 'the password went to the server as it is';
	}
}

/* RFC 5802 without channel binding: what a gateway's client cannot see it cannot bind to. */
class Scram {
	constructor(hash, user, password) {
		this.hash = hash;
		this.password = utf8(prepare(password));
		this.nonce = toBase64(random(18));
		this.bare = `n=${prepare(user).replace(/=/g, '=3D').replace(/,/g, '=2C')},r=${this.nonce}`;
	}

	start() {
		return utf8(`n,,${this.bare}`);
	}

	attributes(message) {
		return new Map(message.split(',').map((part) => [part[0], part.slice(2)]));
	}

	async respond(challenge) {
		const text = fromUtf8(challenge);
		if (this.expected) {
			this.verify(text); /* the server's signature in a last challenge instead of the success */
			return new Uint8Array(0);
		}
		const given = this.attributes(text);
		const rounds = Number(given.get('i'));
		if (given.has('m') || !given.get('r')?.startsWith(this.nonce) || given.get('r') === this.nonce ||
			!given.get('s') || !Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
			throw new Failure('The server\u2019s SCRAM challenge is not acceptable.');
		}
		const began = performance.now();
		const salted = await pbkdf2(this.hash, this.password, fromBase64(given.get('s')), rounds);
		const key = hmac(this.hash, salted, utf8('Client Key'));
		const final = `c=biws,r=${given.get('r')}`;
		const exchange = utf8(`${this.bare},${text},${final}`);
		const proof = xor(key, hmac(this.hash, digest(this.hash, key), exchange));
		this.expected = hmac(this.hash, hmac(this.hash, salted, utf8('Server Key')), exchange);
		this.work = `${rounds} rounds (${showMs(performance.now() - began)} here)`;
		return utf8(`${final},p=${toBase64(proof)}`);
	}

	verify(text) {
		const given = this.attributes(text);
		if (!this.expected || !given.get('v') || !equal(fromBase64(given.get('v')), this.expected)) {
			throw new Failure('The server could not prove that it knows this account.',
				[['SCRAM', given.has('e') ? given.get('e') : 'the server signature is wrong or missing']]);
		}
		this.verified = true;
	}

	finish(data) {
		if (!this.verified) {
			this.verify(fromUtf8(data));
		}
		return `${this.work}, server signature verified`;
	}
}

/* Over plain HTTP a password in the clear could be read on the way; a local page has no way. */
const isSafePage = () => location.protocol === 'https:' || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

function chooseMechanism(offered, plan) {
	const known = plan.anonymous ? [['ANONYMOUS', () => new Anonymous()]] : [
		['SCRAM-SHA-256', () => new Scram(sha256, plan.user, plan.password)],
		['SCRAM-SHA-1', () => new Scram(sha1, plan.user, plan.password)],
		['PLAIN', () => new Plain(plan.user, plan.password)],
	];
	const usable = known.find(([name]) => offered.includes(name));
	const facts = [['Offered', offered.join(', ') || 'no mechanism']];
	if (!usable) {
		throw new Failure(plan.anonymous ? 'The server offers no anonymous login.' :
			'The server offers no login mechanism that this page knows.', facts);
	}
	if (usable[0] === 'PLAIN' && !isSafePage()) {
		throw new Failure('The server takes only PLAIN, and this page came over plain HTTP: the password was not sent.',
			facts, { hint: 'Open this page over https.' });
	}
	return { name: usable[0], exchange: usable[1]() };
}

/* ---- XML ---- */

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' };
const escapeXml = (text) => String(text).replace(/[&<>'"]/g, (char) => ENTITIES[char]);

/* xml`<a b='${value}'/>` escapes its values. */
const xml = (parts, ...values) => String.raw({ raw: parts }, ...values.map(escapeXml));

function parseXml(text) {
	const root = new DOMParser().parseFromString(text, 'text/xml').documentElement;
	return root.getElementsByTagName('parsererror').length || root.localName === 'parsererror' ? null : root;
}

const is = (element, namespace, name) => element.namespaceURI === namespace && element.localName === name;
const child = (element, namespace, name) => [...element.children].find((each) => is(each, namespace, name));

/* Stream, stanza and SASL errors have one shape: a condition, maybe a text, maybe an application's own condition. */
function errorFacts(label, element, namespace) {
	const facts = [];
	for (const each of element.children) {
		if (each.localName === 'text') {
			facts.push(['Text', each.textContent.trim()]);
		} else if (each.namespaceURI === namespace) {
			const content = each.textContent.trim();
			facts.unshift([label, each.localName + (content && `: ${content}`)]);
		} else {
			facts.push(['Application condition', `${each.localName} (${each.namespaceURI})`]);
		}
	}
	return facts.length ? facts : [[label, 'none given']];
}

const SENTENCES = {
	'bad-request': 'The gateway did not accept a request of this page.',
	'connection-timeout': 'The connection was silent for too long.',
	'host-gone': 'The server no longer serves this domain.',
	'host-unknown': 'There is no such XMPP domain to be reached here.',
	'improper-addressing': 'The gateway was given no domain that it can use.',
	'internal-server-error': 'The gateway or the server met an internal error.',
	'item-not-found': 'The gateway does not know this session (any more).',
	'policy-violation': 'A rule of the gateway or the server was broken.',
	'remote-connection-failed': 'The gateway could not connect to the XMPP server.',
	'remote-stream-error': 'The XMPP server ended the stream with an error.',
	'see-other-uri': 'The gateway points to another address.',
	'system-shutdown': 'The gateway or the server is being shut down.',
};

/* ---- Transports ----
 * new Transport(url, domain, on): open() starts it, send(xml) gives it a stanza, restart() begins the stream
 * anew after the login, close() ends it from any state and also while the page goes away. It tells
 * on.opened(text) once the session stands, on.element(element) and, once, on.ended(failure); nothing after close().
 */

class BoshTransport {
	constructor(url, domain, on) {
		Object.assign(this, { url, domain, on });
		this.rid = 1 + new DataView(random(4).buffer).getUint32(0);
		this.awaited = this.rid; /* answers are taken in the order of their requests */
		this.answers = new Map();
		this.queue = [];
		this.requests = new Set();
		this.window = 1;
	}

	open() {
		this.post(xml`to='${this.domain}' xml:lang='en' ver='1.6' hold='1' wait='${BOSH_WAIT}'
			content='text/xml; charset=utf-8' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'`.replace(/\s+/g, ' '));
	}

	send(stanza) {
		this.queue.push(stanza);
		queueMicrotask(() => this.pump());
	}

	restart() {
		this.pump();
		this.post(xml`sid='${this.sid}' to='${this.domain}' xml:lang='en' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'`);
	}

	/* Sends what waits as far as the window of requests allows. */
	pump() {
		if (!this.ended && this.sid && this.queue.length && this.requests.size < this.window) {
			this.post(xml`sid='${this.sid}'`, this.queue.splice(0).join(''));
		}
	}

	/* Gives the gateway a request to hold, but only after all that the last answer set off has been sent. */
	poll() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => {
			if (!this.ended && this.sid && !this.requests.size) {
				this.post(xml`sid='${this.sid}'`);
			}
		}, this.hold ? 0 : 1000 * this.polling);
	}

	async post(attributes, payload = '') {
		const rid = this.rid++;
		const request = new AbortController();
		this.requests.add(request);
		try {
			const body = await this.exchange(`<body rid='${rid}' ${attributes} xmlns='${NS.body}'>${payload}</body>`, request);
			this.requests.delete(request);
			this.answers.set(rid, body);
			while (this.answers.has(this.awaited)) {
				const next = this.answers.get(this.awaited);
				this.answers.delete(this.awaited++);
				this.take(next);
			}
			this.pump();
			this.poll();
		} catch (error) {
			this.end(error);
		}
	}

	/* One request until it is answered: XEP-0124 lets a client repeat what the network lost, with the same rid. */
	async exchange(text, request) {
		for (let attempt = 0; ; attempt++) {
			const limit = setTimeout(() => request.abort(), 1000 * ((this.wait ?? BOSH_WAIT) + 15));
			let response;
			let content;
			try {
				response = await fetch(this.url, {
					method: 'POST',
					headers: { 'Content-Type': 'text/xml; charset=utf-8' },
					body: text,
					cache: 'no-store',
					signal: request.signal,
				});
				content = await response.text();
			} catch (error) {
				if (!this.ended && this.sid && attempt < REPEATS && !request.signal.aborted) {
					await pause(500 * (attempt + 1));
					continue;
				}
				const reason = request.signal.aborted ? 'no answer in time' : error.message;
				throw new Failure('The gateway cannot be reached.', [['Network failure', reason], ['URL', this.url],
					...(attempt ? [['Repeated', `${attempt} times`]] : [])]);
			} finally {
				clearTimeout(limit);
			}
			return this.read(response, content);
		}
	}

	read(response, content) {
		const body = parseXml(content);
		const status = ['HTTP status', `${response.status} ${response.statusText}`.trim()];
		const type = response.headers.get('Content-Type') ?? 'no content type';
		const isBody = body && is(body, NS.body, 'body');
		if (isBody && body.hasAttribute('type')) {
			throw this.failure(body, response.ok ? [] : [status]);
		}
		if (!response.ok) {
			throw new Failure(`The gateway answered with HTTP status ${response.status}.`,
				[status, ['Content type', type], ['URL', this.url]], { raw: content });
		}
		if (!isBody) {
			throw new Failure('What answers at this address does not speak BOSH.',
				[status, ['Content type', type], ['URL', this.url], ['Answer', body ? `<${body.nodeName}> and not a BOSH <body>` :
					'not well-formed XML']], { raw: content });
		}
		return body;
	}

	failure(body, facts) {
		const condition = body.getAttribute('condition');
		const streamError = child(body, NS.stream, 'error');
		const uri = child(body, NS.body, 'uri');
		const text = [...body.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE || node.localName === 'text')
			.map((node) => node.textContent.trim()).join(' ').trim();
		facts.push(['BOSH condition', condition ?? 'none']);
		if (body.getAttribute('type') !== 'terminate') {
			facts.push(['Body type', body.getAttribute('type')]);
		}
		if (text) {
			facts.push(['Text', text]);
		}
		if (uri) {
			facts.push(['Other address', uri.textContent]);
		}
		if (streamError) {
			facts.push(...errorFacts('Stream error', streamError, NS.streams));
		}
		return new Failure(SENTENCES[condition] ?? 'The gateway ended the session.', facts,
			{ raw: new XMLSerializer().serializeToString(body) });
	}

	take(body) {
		if (!this.sid) {
			const number = (name, otherwise) => Number(body.getAttribute(name) ?? otherwise);
			this.sid = body.getAttribute('sid');
			this.wait = number('wait', BOSH_WAIT);
			this.hold = number('hold', 1);
			this.polling = number('polling', 5);
			this.window = Math.min(2, number('requests', this.hold + 1));
			if (!this.sid) {
				throw new Failure('The gateway gave the session no sid.');
			}
			if (this.ended) {
				this.terminate(); /* closed while the session was being created */
				return;
			}
			this.on.opened(['ver', 'wait', 'hold', 'requests', 'polling', 'inactivity', 'from']
				.filter((name) => body.hasAttribute(name)).map((name) => `${name} ${body.getAttribute(name)}`).join(', '));
		}
		for (const element of body.children) {
			if (!this.ended) {
				this.on.element(element);
			}
		}
	}

	end(failure) {
		if (!this.ended) {
			this.ended = true;
			clearTimeout(this.timer);
			this.requests.forEach((request) => request.abort());
			this.on.ended(failure);
		}
	}

	/* A beacon outlives the page. The held request stays: the gateway answers it when the session ends. */
	terminate() {
		const text = `<body rid='${this.rid++}' ${xml`sid='${this.sid}'`} type='terminate' xmlns='${NS.body}'/>`;
		const blob = new Blob([text], { type: 'text/xml; charset=utf-8' });
		if (!navigator.sendBeacon?.(this.url, blob)) {
			fetch(this.url, { method: 'POST', body: blob, keepalive: true }).catch(() => {});
		}
	}

	close() {
		if (!this.ended) {
			this.ended = true;
			clearTimeout(this.timer);
			if (this.sid) {
				this.terminate();
			}
		}
	}
}

const CLOSE_CODES = {
	1000: 'normal', 1001: 'going away', 1002: 'protocol error', 1003: 'unacceptable data', 1005: 'no code given',
	1006: 'closed without a close frame', 1007: 'invalid data', 1008: 'policy violation', 1009: 'message too big',
	1010: 'extension missing', 1011: 'internal error', 1012: 'restart', 1013: 'try again later', 1014: 'bad gateway',
};

class WebSocketTransport {
	constructor(url, domain, on) {
		Object.assign(this, { url, domain, on });
	}

	open() {
		const began = performance.now();
		this.socket = new WebSocket(this.url, 'xmpp');
		this.socket.onopen = () => {
			this.upgraded = `upgrade ${showMs(performance.now() - began)}, subprotocol ${this.socket.protocol || 'none'}`;
			this.restart();
		};
		this.socket.onmessage = (event) => {
			if (!this.ended) {
				this.take(event.data);
			}
		};
		this.socket.onclose = (event) => this.closed(event);
	}

	send(stanza) {
		if (this.socket.readyState === WebSocket.OPEN) {
			this.socket.send(stanza);
		}
	}

	restart() {
		this.send(xml`<open xmlns='${NS.framing}' to='${this.domain}' version='1.0' xml:lang='en'/>`);
	}

	take(text) {
		const element = typeof text === 'string' ? parseXml(text) : null;
		if (!element) {
			this.end(new Failure('The gateway sent a frame that is not an XML element.', [],
				{ raw: typeof text === 'string' ? text : 'a binary frame' }));
		} else if (is(element, NS.framing, 'open')) {
			if (!this.opened) {
				this.opened = true;
				const from = element.getAttribute('from');
				this.on.opened(this.upgraded + (from ? `, from ${from}` : ''));
			}
		} else if (is(element, NS.framing, 'close')) {
			this.closing = element;
			this.send(xml`<close xmlns='${NS.framing}'/>`);
			this.patience();
		} else if (is(element, NS.stream, 'error')) {
			this.error = element;
			this.raw = text;
			this.patience();
		} else {
			this.on.element(element);
		}
	}

	/* After an error or a <close/> the close frame follows, with a code worth telling; if it does not, go on without. */
	patience() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.closed({ code: null }), 1500);
	}

	async closed(event) {
		clearTimeout(this.timer);
		if (this.ended) {
			return;
		}
		const facts = [];
		let title = this.opened ? 'The connection was closed.' : 'The gateway opened no stream.';
		let hint = '';
		if (this.error) {
			const condition = [...this.error.children].find((each) => each.namespaceURI === NS.streams && each.localName !== 'text');
			title = SENTENCES[condition?.localName] ?? 'The stream ended with an error.';
			facts.push(...errorFacts('Stream error', this.error, NS.streams));
		} else if (this.closing) {
			title = 'The stream was closed.';
		}
		if (this.closing?.hasAttribute('see-other-uri')) {
			facts.push(['Other address', this.closing.getAttribute('see-other-uri')]);
		}
		if (event.code === null) {
			facts.push(['WebSocket', 'not closed by the gateway']);
		} else {
			const meaning = CLOSE_CODES[event.code];
			facts.push(['Close code', `${event.code}${meaning ? ` (${meaning})` : ''}`]);
			facts.push(['Close reason', event.reason || 'none']);
		}
		if (!this.upgraded) {
			title = 'The WebSocket could not be opened.';
			facts.push(['URL', this.url]);
			const answer = await this.probe();
			facts.push(['Plain GET', answer.text]);
			hint = answer.ok ? 'The path answers, but the upgrade to WebSocket does not come through: a proxy before the gateway ' +
				'may not pass the Upgrade and Connection headers, or the gateway refuses this page\u2019s origin.' : '';
		}
		this.end(new Failure(title, facts, { hint, raw: this.raw }));
	}

	/* Browsers hide why an upgrade failed; what a plain request gets at the same path often tells. */
	async probe() {
		try {
			const response = await fetch(this.url.replace(/^ws/, 'http'), { cache: 'no-store' });
			return { ok: response.ok, text: `HTTP status ${response.status} ${response.statusText}`.trim() };
		} catch (error) {
			return { ok: false, text: error.message };
		}
	}

	end(failure) {
		if (!this.ended) {
			this.ended = true;
			clearTimeout(this.timer);
			this.socket.close();
			this.on.ended(failure);
		}
	}

	/* RFC 7395: the other side's <close/> is waited for, but not for ever. */
	close() {
		if (!this.ended) {
			this.ended = true;
			clearTimeout(this.timer);
			this.send(xml`<close xmlns='${NS.framing}'/>`);
			setTimeout(() => this.socket.close(), this.upgraded ? 2000 : 0);
			this.socket.onmessage = () => this.socket.close();
		}
	}
}

/* ---- The connection: the XMPP that both transports carry ---- */

class Connection {
	constructor(Transport, url, domain) {
		this.domain = domain;
		this.events = [];
		this.transport = new Transport(url, domain, {
			opened: (text) => this.give({ opened: text }),
			element: (element) => this.give({ element }),
			ended: (failure) => this.give({ failure }),
		});
	}

	give(event) {
		this.events.push(event);
		this.wake?.();
	}

	/* The next event; a failure stays the last one and is thrown. */
	async next(seconds = ANSWER_LIMIT) {
		if (!this.events.length) {
			let timer;
			await new Promise((resolve) => {
				this.wake = resolve;
				if (seconds) {
					timer = setTimeout(resolve, 1000 * seconds);
				}
			});
			clearTimeout(timer);
		}
		if (!this.events.length) {
			throw new Failure(`No answer came within ${seconds} seconds.`);
		}
		const event = this.events.shift();
		if (event.failure) {
			throw event.failure;
		}
		return event;
	}

	async open() {
		this.transport.open();
		return (await this.next()).opened;
	}

	async element(wanted) {
		for (;;) {
			const { element } = await this.next();
			if (element && wanted(element)) {
				return element;
			}
		}
	}

	features() {
		return this.element((element) => is(element, NS.stream, 'features'));
	}

	async login({ name, exchange }) {
		const say = (tag, bytes, attributes = '') => this.transport.send(
			`<${tag} xmlns='${NS.sasl}'${attributes}>${bytes && (toBase64(bytes) || '=')}</${tag}>`);
		say('auth', exchange.start() ?? '', ` mechanism='${name}'`);
		for (;;) {
			const answer = await this.element((element) => element.namespaceURI === NS.sasl);
			const data = answer.localName === 'failure' || answer.textContent.trim() === '=' ? '' : answer.textContent;
			if (answer.localName === 'failure') {
				throw new Failure('The server refused the login.',
					[...errorFacts('SASL failure', answer, NS.sasl), ['Mechanism', name]]);
			} else if (answer.localName === 'success') {
				return exchange.finish(fromBase64(data));
			}
			const response = await exchange.respond(fromBase64(data));
			this.transport.send(`<response xmlns='${NS.sasl}'>${toBase64(response)}</response>`);
		}
	}

	/* An IQ's result; its error is a Failure. */
	async iq(type, payload, to = '') {
		const id = `doab-${toBase64(random(6))}`;
		this.transport.send(`<iq ${xml`type='${type}' id='${id}'`}${to && xml` to='${to}'`} xmlns='${NS.client}'>${payload}</iq>`);
		const answer = await this.element((element) => is(element, NS.client, 'iq') && element.getAttribute('id') === id);
		if (answer.getAttribute('type') !== 'result') {
			throw new Failure('The server refused a request.',
				errorFacts('Stanza error', child(answer, NS.client, 'error') ?? answer, NS.stanzas));
		}
		return answer;
	}

	async bind() {
		this.transport.restart();
		const features = await this.features();
		if (!child(features, NS.bind, 'bind')) {
			throw new Failure('The server offers no resource binding after the login.');
		}
		const bound = child(await this.iq('set', `<bind xmlns='${NS.bind}'/>`), NS.bind, 'bind');
		const session = child(features, NS.session, 'session');
		if (session && !child(session, NS.session, 'optional')) {
			await this.iq('set', `<session xmlns='${NS.session}'/>`);
		}
		return bound?.textContent.trim() ?? '';
	}

	/* Pings for as long as the connection lives; tell(milliseconds) hears of each answer. */
	async stay(tell) {
		let ping = null;
		const beat = () => {
			if (ping && performance.now() - ping.sent > PING_LIMIT) {
				this.give({ failure: new Failure(`A ping had no answer within ${PING_LIMIT / 1000} seconds.`) });
			} else if (!ping && document.visibilityState === 'visible') {
				ping = { id: `ping-${toBase64(random(6))}`, sent: performance.now() };
				this.transport.send(xml`<iq type='get' id='${ping.id}' to='${this.domain}' xmlns='${NS.client}'>` +
					`<ping xmlns='${NS.ping}'/></iq>`);
			}
		};
		const timer = setInterval(beat, PING_INTERVAL);
		try {
			for (beat(); ;) {
				const { element } = await this.next(0);
				if (!element || !is(element, NS.client, 'iq')) {
					continue;
				}
				if (['get', 'set'].includes(element.getAttribute('type'))) {
					this.refuse(element);
				} else if (ping && element.getAttribute('id') === ping.id) {
					const { sent } = ping;
					ping = null;
					tell(performance.now() - sent, element.getAttribute('type') === 'error');
				}
			}
		} finally {
			clearInterval(timer);
		}
	}

	/* A server may ping its clients too, and ends those that stay silent; an error is an answer. */
	refuse(request) {
		const to = request.getAttribute('from');
		const head = `<iq ${xml`id='${request.getAttribute('id') ?? ''}'`}${to ? xml` to='${to}'` : ''} xmlns='${NS.client}'`;
		this.transport.send(child(request, NS.ping, 'ping') ? `${head} type='result'/>` :
			`${head} type='error'><error type='cancel'><service-unavailable xmlns='${NS.stanzas}'/></error></iq>`);
	}

	/* Whoever waits for an event must come to an end too. */
	close() {
		this.transport.close();
		this.give({ failure: new Failure('The connection was closed here.') });
	}
}

/* ---- The chart ---- */

function showMs(ms) {
	return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/* The next of 1, 2, 5, 10 ... above: a scale that people can read and that seldom changes. */
function roundUp(value) {
	const unit = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 5, 10].find((step) => step * unit >= value) * unit;
}

function drawChart(svg, values) {
	const { width, height } = svg.getBoundingClientRect();
	if (!width || !values.length) {
		return;
	}
	const left = 48;
	const drawn = values.slice(-PINGS_DRAWN);
	const span = Math.max(PINGS_SPAN_MIN, drawn.length);
	const top = roundUp(Math.max(1, ...drawn));
	const bottom = height - 6;
	const x = (i) => left + (width - left - 8) * i / (span - 1);
	const y = (value) => bottom - (bottom - 10) * value / top;
	const points = drawn.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`);
	const last = drawn.length - 1;
	const add = (name, attributes, text = '') => {
		const node = document.createElementNS('http://www.w3.org/2000/svg', name);
		Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
		node.textContent = text;
		svg.append(node);
	};
	svg.replaceChildren();
	svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
	for (const value of [0, top / 2, top]) {
		add('line', { class: 'grid', x1: left, x2: width, y1: y(value), y2: y(value) });
		add('text', { x: left - 8, y: y(value) + 4, 'text-anchor': 'end' }, `${value} ms`);
	}
	const middle = y(Math.min(median(values), top));
	add('path', { class: 'area', d: `M${x(0)} ${bottom}L${points.join('L')}L${x(last)} ${bottom}Z` });
	add('line', { class: 'median', x1: left, x2: width, y1: middle, y2: middle });
	add('path', { class: 'trace', d: `M${points.join('L')}` });
	add('circle', { class: 'last', cx: x(last), cy: y(drawn[last]), r: 4.5 });
}

/* ---- The page ---- */

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const TRANSPORTS = {
	bosh: { name: 'BOSH', make: BoshTransport, scheme: location.protocol },
	websocket: { name: 'WebSocket', make: WebSocketTransport, scheme: location.protocol.replace('http', 'ws') },
};
const paths = { bosh: root.dataset.bosh, websocket: root.dataset.websocket };
const version = root.dataset.version;

/* The page stands at each of its paths, and a proxy may have put all of them below a prefix. */
function findPlace() {
	const bare = (path) => path.replace(/\/+$/, '');
	const here = bare(location.pathname);
	const kind = ['bosh', 'websocket'].sort((a, b) => paths[b].length - paths[a].length)
		.find((each) => bare(paths[each]) && here.endsWith(bare(paths[each])));
	const prefix = kind ? here.slice(0, here.length - bare(paths[kind]).length) : here;
	for (const each of ['bosh', 'websocket']) {
		TRANSPORTS[each].url = `${TRANSPORTS[each].scheme}//${location.host}${prefix}${paths[each]}`;
	}
	return kind;
}

/* One attempt, from Connect to its end: what the page shows and what the report says. */
class Run {
	constructor(plan) {
		this.plan = plan;
		this.began = new Date();
		this.steps = Object.fromEntries(stepNodes.map((node) => [node.dataset.step, { state: 'pending', text: '' }]));
		this.pings = [];
		this.count = 0;
		this.min = Infinity;
		this.refused = 0;
		const transport = TRANSPORTS[plan.transport];
		this.connection = new Connection(transport.make, transport.url, plan.domain);
	}

	step(name, state, text = '', { chips = [], ms = performance.now() - this.since } = {}) {
		if (state === 'running') {
			this.now = name;
			this.since = performance.now();
		}
		Object.assign(this.steps[name], { state, text, ms: state === 'done' || state === 'failed' ? ms : null });
		showStep(name, this.steps[name], chips);
	}

	ping(ms, refused) {
		if (!this.count) {
			const text = refused ? 'answered with an error, which is a round trip too' : `answered by ${this.plan.domain}`;
			this.step('ping', 'done', text, { ms });
			showState('online');
		}
		this.count++;
		this.refused += refused;
		this.min = Math.min(this.min, ms);
		this.pings.push(ms);
		this.pings.splice(0, this.pings.length - PINGS_KEPT);
		showPings(this);
	}

	async go() {
		const { connection, plan } = this;
		this.step('session', 'running');
		this.step('session', 'done', await connection.open());
		this.step('features', 'running');
		const mechanismsOf = (features) => [...child(features, NS.sasl, 'mechanisms')?.children ?? []]
			.map((each) => each.textContent.trim());
		const offered = mechanismsOf(await connection.features());
		this.step('features', 'done', offered.join(', ') || 'no login mechanism', { chips: offered });
		this.step('login', 'running');
		const mechanism = chooseMechanism(offered, plan);
		markMechanism(mechanism.name);
		this.step('login', 'done', `${mechanism.name}: ${await connection.login(mechanism)}`);
		delete plan.password;
		this.step('bind', 'running');
		this.step('bind', 'done', await connection.bind());
		this.step('ping', 'running');
		await connection.stay((ms, refused) => this.ping(ms, refused));
	}

	fail(error) {
		this.failure = error instanceof Failure ? error : new Failure('This page met an error of its own.', [['Error', String(error)]]);
		if (this.count) {
			this.step(this.now, 'failed', `the connection ended after ${this.count} ping${this.count === 1 ? '' : 's'}`, { ms: null });
		} else {
			this.step(this.now, 'failed');
		}
	}

	end() {
		this.connection.close();
		delete this.plan.password;
		for (const [name, step] of Object.entries(this.steps)) {
			if (step.state === 'running') {
				this.step(name, 'pending', 'stopped');
			}
		}
	}

	describe() {
		const { plan } = this;
		return `${TRANSPORTS[plan.transport].name} to ${plan.domain}, ${plan.anonymous ? 'anonymous' : `as ${plan.user}`}`;
	}

	report() {
		const lines = [['Gateway', `Doab ${version}`], ['Time', this.began.toISOString()],
			['Page', location.origin + location.pathname],
			['Endpoint', TRANSPORTS[this.plan.transport].url],
			['Test', this.describe()], ['State', root.dataset.state],
			['Browser', navigator.userAgent], ['', ''],
			...Object.entries(this.steps).map(([name, { state, ms, text }]) => [name,
				[state, typeof ms === 'number' ? showMs(ms) : '', text].filter(Boolean).join(', ')])];
		if (this.count) {
			lines.push(['pings', `${this.count}: ${summary(this).map(([label, value]) => `${label.toLowerCase()} ${value}`).join(', ')}`]);
		}
		if (this.failure) {
			lines.push(['', ''], ['Failure', this.failure.message], ...this.failure.facts);
			if (this.failure.raw) {
				lines.push(['As received', this.failure.raw.trim()]);
			}
		}
		return lines.map(([label, value]) => (label ? `${label}: `.padEnd(16) + value : '')).join('\n') + '\n';
	}
}

const stepNodes = [...$('steps').children];
let run = null;
const medians = {}; /* of the last run by each transport: { domain, value } */

const make = (name, text = '', className = '') => Object.assign(document.createElement(name), { textContent: text, className });

function showState(state) {
	root.dataset.state = state;
	const busy = state === 'running' || state === 'online';
	$('fields').disabled = busy;
	$('status').hidden = !busy;
	$('status-word').textContent = { running: 'Connecting', online: 'Online' }[state] ?? '';
	$('status-plan').textContent = busy ? run.describe() : '';
}

function showStep(name, { state, ms, text }, chips) {
	const node = stepNodes.find((each) => each.dataset.step === name);
	node.dataset.state = state;
	node.querySelector('.state').textContent = { running: ': under way', done: ': done', failed: ': failed' }[state] ?? '';
	node.querySelector('.time').textContent = typeof ms === 'number' ? showMs(ms) : '';
	const detail = node.querySelector('.detail');
	if (chips.length) {
		detail.replaceChildren(make('div', '', 'chips'));
		chips.forEach((chip) => detail.firstChild.append(make('code', chip), ' '));
	} else {
		detail.replaceChildren(name === 'bind' ? make('code', text) : text);
	}
}

function markMechanism(name) {
	document.querySelectorAll('.chips code').forEach((chip) => chip.classList.toggle('used', chip.textContent === name));
}

function summary({ pings, count, min }) {
	return [['Last', showMs(pings[pings.length - 1])], ['Median', showMs(median(pings))], ['Min', showMs(min)],
		['Count', String(count)]];
}

function showPings(each) {
	const rival = each.plan.transport === 'bosh' ? 'websocket' : 'bosh';
	const other = medians[rival];
	const middle = median(each.pings);
	medians[each.plan.transport] = { domain: each.plan.domain, value: middle };
	$('live').hidden = false;
	$('pings').replaceChildren(...summary(each).map(([label, value]) => {
		const pair = make('div');
		pair.append(make('dt', label), ' ', make('dd', value), ' ');
		return pair;
	}));
	$('chart').setAttribute('aria-label', `Ping round trips over time, median ${showMs(middle)}`);
	drawChart($('chart'), each.pings);
	$('compared').hidden = !other || other.domain !== each.plan.domain;
	if (!$('compared').hidden) {
		$('compared').textContent = `Before, over ${TRANSPORTS[rival].name}: median ${showMs(other.value)}.`;
	}
}

function showFailure(failure) {
	const list = make('dl');
	failure.facts.forEach(([label, value]) => list.append(make('dt', label), make('dd', value)));
	$('error').replaceChildren(make('strong', failure.message));
	if (failure.facts.length) {
		$('error').append(list);
	}
	if (failure.hint) {
		$('error').append(make('p', failure.hint, 'hint'));
	}
	if (failure.raw) {
		const details = make('details');
		details.append(make('summary', 'As received'), make('pre', failure.raw));
		$('error').append(details);
	}
	$('error').hidden = false;
}

function comeIntoView(node) {
	const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
	node.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
}

/* What the form says, or null after pointing at what is missing. */
function readPlan() {
	const anonymous = $('form').elements.login.value === 'anonymous';
	const [, name, jidDomain] = /^(?:([^@/]*)@)?([^/]*)/.exec($('jid').value.trim());
	const local = name ?? jidDomain;
	const domain = $('domain').value.trim() || (anonymous || name === undefined ? '' : jidDomain);
	const missing = !domain && 'domain' || !anonymous && !local && 'jid' || !anonymous && !$('password').value && 'password';
	['domain', 'jid', 'password'].forEach((id) => $(id).setAttribute('aria-invalid', String(id === missing)));
	hint();
	if (missing) {
		$(missing).focus();
		return null;
	}
	const transport = $('form').elements.transport.value;
	const account = anonymous ? {} : { user: local, password: $('password').value };
	return { transport, domain, anonymous, ...account };
}

function hint() {
	const anonymous = $('form').elements.login.value === 'anonymous';
	const missing = $('domain').getAttribute('aria-invalid') === 'true';
	$('domain-hint').classList.toggle('bad', missing);
	$('domain-hint').textContent = missing ? 'Which XMPP domain is to be tested?' : anonymous ?
		'The server must offer anonymous login (SASL ANONYMOUS).' : 'Taken from the JID; change it to connect elsewhere.';
}

async function start() {
	const plan = readPlan();
	if (!plan || run) {
		return;
	}
	run = new Run(plan);
	const mine = run;
	stepNodes.forEach((node) => showStep(node.dataset.step, { state: 'pending', text: '' }, []));
	['error', 'live', 'compared'].forEach((id) => { $(id).hidden = true; });
	$('report').className = 'unseen';
	$('copied').textContent = '';
	$('result').hidden = false;
	showState('running');
	$('stop').focus({ preventScroll: true });
	comeIntoView($('status'));
	try {
		await mine.go();
	} catch (error) {
		if (run !== mine) {
			return;
		}
		mine.fail(error);
		finish('failed');
		showFailure(mine.failure);
		comeIntoView($('error'));
	}
}

let shown = null; /* the run on the page, also after its end */

function finish(state) {
	shown = run;
	run.end();
	run = null;
	showState(state);
}

function stop() {
	if (run) {
		finish('idle');
	}
}

/* navigator.clipboard is missing where the page came over plain HTTP. */
async function copyReport() {
	const area = $('report');
	area.value = (run ?? shown).report();
	try {
		await navigator.clipboard.writeText(area.value);
	} catch {
		area.select();
		const copied = document.execCommand('copy');
		$('copy').focus();
		if (!copied) {
			area.className = 'shown';
			area.removeAttribute('aria-hidden');
			$('copied').textContent = 'This browser does not let the page copy; here it is.';
			return;
		}
	}
	$('copied').textContent = 'Copied.';
}

function showForm() {
	const form = $('form').elements;
	root.dataset.transport = form.transport.value;
	document.querySelectorAll('.account').forEach((node) => { node.hidden = form.login.value === 'anonymous'; });
	hint();
}

/* A password is never taken from the address: addresses are kept and sent about. */
function prefill(kind) {
	const query = new URLSearchParams(location.search);
	const form = $('form').elements;
	const transport = query.get('transport');
	form.transport.value = transport in TRANSPORTS ? transport : kind ?? 'bosh';
	form.login.value = query.has('jid') && query.get('anonymous') !== '1' ? 'password' : 'anonymous';
	$('jid').value = query.get('jid') ?? '';
	$('domain').value = query.get('domain') ?? '';
	showForm();
	if (query.get('start') === '1') {
		start();
	}
}

$('version').textContent = version;
const place = findPlace();
$('bosh-url').textContent = TRANSPORTS.bosh.url;
$('websocket-url').textContent = TRANSPORTS.websocket.url;
prefill(place);

$('form').addEventListener('submit', (event) => {
	event.preventDefault();
	start();
});
$('form').addEventListener('change', showForm);
$('form').addEventListener('input', ({ target }) => {
	target.setAttribute('aria-invalid', 'false');
	const domain = /@([^/]+)/.exec($('jid').value.trim());
	if (target.id === 'jid' && domain) {
		$('domain').value = domain[1];
	}
	hint();
});
$('stop').addEventListener('click', () => {
	stop();
	$('start').focus();
});
$('copy').addEventListener('click', copyReport);
addEventListener('pagehide', stop);
addEventListener('resize', () => drawChart($('chart'), (run ?? shown)?.pings ?? []));
})();
