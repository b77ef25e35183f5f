// Clients for faulty times: they repeat what was not answered, and end when they are told to. What the gateway must not do
// throws any other error than ToldError: an answer that never comes, a stanza that is lost, a session that ends unsaid.
import assert from 'node:assert/strict';
import { BoshClient } from './bosh.mjs';
import { HttpConnection } from './http.mjs';
import { sleep } from './util.mjs';
import { OPCODE } from './ws.mjs';
import { NS } from './xml.mjs';

const TRIES = 4;
const ANSWER_MS = 10000;
// Errors of a connection that has ended, also by an alert of TLS that may come between two keys: they tell a client enough.
const HAS_ENDED = /SSL routines|ECONNRESET|EPIPE|socket hang up|the connection ended|ECONNREFUSED/;

// The gateway has told the client that its session or its request came to nothing.
export class ToldError extends Error {}

const hasEnded = (error) => HAS_ENDED.test(`${error.code} ${error.message}`);

// Repeats @ask while the connection ends without an answer, or the answer is that the gateway cannot serve now.
export async function persist(ask) {
	for (let tries = TRIES; ; tries--) {
		const result = await ask().catch((error) => {
			if (!hasEnded(error)) {
				throw error;
			}
			return { trouble: error.message };
		});
		const trouble = result.trouble ?? (result.status >= 500 ? `status ${result.status}` : undefined);
		if (!trouble) {
			return result;
		}
		if (tries === 1) {
			throw new ToldError(`${TRIES} tries: ${trouble}`);
		}
		await sleep(5);
	}
}

export class PersistentBosh extends BoshClient {
	// One try.
	ask(bytes, options) {
		return super.post(bytes, options);
	}

	async post(bytes, options = {}) {
		const answer = await persist(() => this.ask(bytes, { ms: ANSWER_MS, ...options }));
		if (answer.status !== 200) {
			throw new ToldError(`status ${answer.status}`);
		}
		const { type, condition } = answer.element.attributes;
		if (type === 'terminate' && !/type='terminate'/.test(bytes)) {
			// It may bring the last stanzas.
			this.keep(answer);
			throw new ToldError(`terminated: ${condition}`);
		}
		return answer;
	}
}

const openConnection = (port) => () => HttpConnection.open(port);

// One request on a connection of its own, of @connect where there is one.
export async function ask(port, method, target, { connect = openConnection(port), ...options } = {}) {
	return persist(async () => {
		const connection = await connect();
		try {
			return await connection.request(method, target, { ms: ANSWER_MS, ...options });
		} finally {
			connection.close();
		}
	});
}

export class PersistentWebSocket {
	static async open(port, connect = openConnection(port), headers = {}) {
		return this.of(await persist(async () => {
			const connection = await connect();
			const socket = await connection.upgrade(undefined, { ms: ANSWER_MS, headers }).catch((error) => ({ error }));
			if (socket.refused || socket.error) {
				connection.close();
			}
			if (socket.error) {
				throw socket.error;
			}
			return socket;
		}));
	}

	// @socket: what HttpConnection.upgrade() resolves with.
	static of(socket) {
		if (socket.refused) {
			throw new ToldError(`status ${socket.status}`);
		}
		return Object.assign(new this(), { socket });
	}

	nextFrame() {
		return this.socket.nextFrame(ANSWER_MS);
	}

	// The next message. A close, an error of the stream or the end of the connection tells.
	async next() {
		const frame = await this.nextFrame();
		if (!frame || frame.opcode === OPCODE.close) {
			throw new ToldError(`closed: ${frame?.payload.subarray(2) ?? 'no frame'}`);
		}
		this.socket.frames.unshift(frame);
		const element = await this.socket.next(ANSWER_MS);
		if ((element.ns === NS.streams && element.name === 'error') || (element.ns === NS.framing && element.name === 'close')) {
			throw new ToldError(`${element.name}: ${element.children.map(({ name }) => name)}`);
		}
		return element;
	}

	async expect(name, attributes = {}) {
		const element = await this.next();
		assert.equal(element.name, name, element.text);
		Object.entries(attributes).forEach(([key, value]) => assert.equal(element.attributes[key], value));
		return element;
	}

	async start(domain) {
		this.socket.open(domain);
		await this.expect('open');
		await this.expect('features');
	}

	async login(domain) {
		await this.start(domain);
		this.send(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`);
		await this.expect('success');
		await this.start(domain);
		this.send(`<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${NS.bind}'/></iq>`);
		await this.expect('iq', { id: 'bind', type: 'result' });
	}

	send(text) {
		this.socket.send(text);
	}

	// Ends the stream as RFC 7395 says. An error of the stream instead of the end in order tells, as everywhere.
	async finish() {
		this.send(`<close xmlns='${NS.framing}'/>`);
		const end = await this.next().then((element) => assert.fail(element.name), (error) => error);
		if (!/^clos/.test(end.message)) {
			throw end;
		}
	}

	drop() {
		this.socket.drop();
	}
}
