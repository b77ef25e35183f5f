// A BOSH client (XEP-0124, XEP-0206) that leaves everything to the test: which connection a request takes, its
// rid, its bytes. Nothing is sent that the test did not ask for.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { HttpConnection } from './http.mjs';
import { breakConnection, within } from './util.mjs';
import { plainResponse } from './ws.mjs';
import { NS, escape, parse } from './xml.mjs';

const attributesText = (attributes) => Object.entries(attributes)
	.filter(([, value]) => value !== undefined)
	.map(([name, value]) => ` ${name}='${escape(String(value))}'`).join('');

export class BoshClient {
	// @connection: 'keep-alive' (connections are used again), 'fresh' (one for each request, so that the kernel
	// may give it to any worker), or an http.Agent. @secure: options of TLS, as tls.connect() takes them.
	constructor(port, { host = '127.0.0.1', target = '/http-bind', connection = 'keep-alive', headers = {}, secure = undefined } = {}) {
		this.host = host;
		this.port = port;
		this.secure = secure;
		this.library = secure ? https : http;
		this.target = target;
		this.headers = { 'Content-Type': 'text/xml; charset=utf-8', ...headers };
		this.agent = connection === 'fresh' ? false
			: connection === 'keep-alive' ? new this.library.Agent({ keepAlive: true, noDelay: true }) : connection;
		this.rid = randomInt(1000000, 100000000);
		this.sid = undefined;
		this.received = [];
	}

	// One HTTP request with these bytes. The promise resolves with { status, headers, text, element, ms }, `element`
	// being the parsed <body/>; its abort() breaks the connection, its breakOff() waits until the gateway has noticed that, too.
	post(bytes, { headers = {}, ms = 20000 } = {}) {
		const started = Date.now();
		const data = Buffer.from(bytes);
		let request;
		const answered = new Promise((resolve, reject) => {
			request = this.library.request({ ...this.secure, host: this.host, port: this.port, path: this.target, method: 'POST', agent: this.agent,
				headers: { ...this.headers, 'Content-Length': data.length, ...headers } });
			request.once('error', reject);
			request.once('response', (response) => {
				const chunks = [];
				response.on('data', (chunk) => chunks.push(chunk)).once('error', reject).once('end', () => {
					const text = Buffer.concat(chunks).toString('utf8');
					resolve({ status: response.statusCode, headers: response.headers, text, ms: Date.now() - started,
						get element() { return parse(text); } });
				});
			});
			request.end(data);
		});
		const result = within(answered, ms, 'an answer to a BOSH request');
		result.catch(() => {});
		result.abort = () => request.destroy();
		result.breakOff = () => breakConnection(request.socket);
		return result;
	}

	bodyText(attributes, payload = '') {
		const text = attributesText({ xmlns: NS.httpbind, ...attributes });
		return payload ? `<body${text}>${payload}</body>` : `<body${text}/>`;
	}

	// A request of the session; takes the next rid unless @attributes name one.
	request(payload = '', attributes = {}, options) {
		const rid = attributes.rid ?? ++this.rid;
		return this.post(this.bodyText({ rid, sid: this.sid, ...attributes }, payload), options);
	}

	// A request of the session whose answer is lost: the connection breaks at its first byte.
	async lose(payload = '', attributes = {}) {
		const body = this.bodyText({ rid: ++this.rid, sid: this.sid, ...attributes }, payload);
		const connection = await HttpConnection.open(this.port);
		connection.write(HttpConnection.requestHead('POST', this.target, { ...this.headers, 'Content-Length': Buffer.byteLength(body) }) + body);
		await connection.take(() => connection.buffer.length || undefined, 'the first byte of an answer');
		connection.close();
	}

	// Asks for a session. Resolves with the answer; the stanzas it carries are kept as received.
	async create(to, attributes = {}, options) {
		const answer = await this.post(this.bodyText({
			rid: this.rid, to, ver: '1.11', wait: 60, hold: 1, 'xml:lang': 'en',
			'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0', ...attributes }), options);
		assert.equal(answer.status, 200, answer.text);
		this.sid = answer.element.attributes.sid;
		this.keep(answer);
		return answer;
	}

	keep(answer) {
		const { element } = answer;
		assert.equal(`${element.ns} ${element.name}`, `${NS.httpbind} body`, answer.text);
		this.received.push(...element.children);
		return element;
	}

	// What @found(element) picks of what has arrived and nobody has taken.
	take(found) {
		const match = this.received.find(found);
		if (match) {
			this.received.splice(this.received.indexOf(match), 1);
		}
		return match;
	}

	// Sends @payload and goes on asking until @found(element) picks one of what arrived. Who only asks ('') gets at once what
	// is there already: a request for it might be held for as long as `wait`.
	async exchange(payload, found, attributes = {}, polls = 30) {
		const early = payload === '' && Object.keys(attributes).length === 0 ? this.take(found) : undefined;
		if (early) {
			return early;
		}
		let answer = await this.request(payload, attributes);
		for (let i = 0; ; i++) {
			const body = this.keep(answer);
			const match = this.take(found);
			if (match) {
				return match;
			}
			assert.notEqual(body.attributes.type, 'terminate', answer.text);
			assert.ok(i < polls, `not found in ${polls} answers`);
			answer = await this.request();
		}
	}

	features() {
		return this.exchange('', (element) => element.name === 'features');
	}

	restart(to) {
		return this.exchange('', (element) => element.name === 'features',
			{ to, 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true', 'xml:lang': 'en' });
	}

	// Anonymous without @user. Resolves with the full JID.
	async login(domain, { user, password, ...attributes } = {}) {
		const created = await this.create(domain, attributes);
		assert.notEqual(created.element.attributes.type, 'terminate', created.text);
		await this.features();
		const auth = user === undefined
			? `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`
			: `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse(user, password)}</auth>`;
		const outcome = await this.exchange(auth, (element) => ['success', 'failure'].includes(element.name));
		assert.equal(outcome.name, 'success');
		await this.restart(domain);
		const bound = await this.exchange(`<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${NS.bind}'/></iq>`,
			(element) => element.name === 'iq' && element.attributes.id === 'bind');
		this.jid = bound.at('bind', 'jid').text;
		return this.jid;
	}

	terminate(payload = '') {
		return this.request(payload, { type: 'terminate' });
	}

	close() {
		if (this.agent) {
			this.agent.destroy();
		}
	}
}
