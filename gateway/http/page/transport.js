/* SPDX-License-Identifier: MIT */
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

const conditionOf = (element, namespace) => [...element.children]
	.find((each) => each.namespaceURI === namespace && each.localName !== 'text')?.localName;

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
					...(attempt ? [['Repeated', `${attempt} times`]] : [])], { look: '' });
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
			throw statusFailure(response.status, [status, ['Content type', type], ['URL', this.url]], content);
		}
		if (!isBody) {
			throw new Failure('What answers at this address does not speak BOSH.',
				[status, ['Content type', type], ['URL', this.url], ['Answer', body ? `<${body.nodeName}> and not a BOSH <body>` :
					'not well-formed XML']], { raw: content, look: '' });
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
		let title = BOSH_CONDITIONS[condition] ?? 'The gateway ended the session.';
		if (streamError) {
			facts.push(...errorFacts('Stream error', streamError, NS.streams));
			title = STREAM_CONDITIONS[conditionOf(streamError, NS.streams)] ?? title;
		}
		return toldFailure(text, condition, title, facts, new XMLSerializer().serializeToString(body));
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
		let text = '';
		if (this.error) {
			title = STREAM_CONDITIONS[conditionOf(this.error, NS.streams)] ?? 'The stream ended with an error.';
			text = child(this.error, NS.streams, 'text')?.textContent.trim() ?? '';
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
		const elsewhere = this.closing?.hasAttribute('see-other-uri') ? 'see-other-uri' : '';
		this.end(this.upgraded ? toldFailure(text, elsewhere, title, facts, this.raw) : await this.notUpgraded(facts));
	}

	async notUpgraded(facts) {
		const answer = await this.ask();
		facts.push(['URL', this.url], ['Plain GET', answer.text]);
		if (answer.status in HTTP_STATUSES) {
			return statusFailure(answer.status, facts, '');
		}
		return new Failure('The WebSocket could not be opened.', facts, { look: '', hint: answer.status === 200 ?
			'The path answers, but the upgrade to WebSocket does not come through: a proxy before the gateway ' +
			'may not pass the Upgrade and Connection headers, or the gateway refuses this page\u2019s origin.' : '' });
	}

	/* Browsers hide why an upgrade failed; what a plain request gets at the same path often tells. */
	async ask() {
		try {
			const { status, statusText } = await fetch(this.url.replace(/^ws/, 'http'), { cache: 'no-store' });
			return { status, text: `HTTP status ${status} ${statusText}`.trim() };
		} catch (error) {
			return { status: 0, text: error.message };
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
