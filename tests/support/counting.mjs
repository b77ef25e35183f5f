// Clients that number the messages they send, note what comes, and note how they were told that their session is over. They
// go on by themselves, as a browser's library does: a BOSH client always has a request held, and repeats one whose connection broke.
//
//     const client = await countingClient('bosh', { port, domain: 'plain.test' });      // or 'websocket'
//     client.say();                      // message 1; to itself where the server needs an address
//     client.got                         // the numbers of the messages that came, in the order of their coming
//     client.end                         // undefined, or how the session ended: a condition, or 'broken' without a word
//     client.stop()                      // breaks its connections, even while it opens
//
// A message that comes back as an error counts in .returned instead.
import assert from 'node:assert/strict';
import { BoshClient } from './bosh.mjs';
import { openWebSocket } from './http.mjs';
import { sleep, until } from './util.mjs';
import { OPCODE } from './ws.mjs';
import { NS, parse } from './xml.mjs';

const WINDOW = 2; // hold='1'
const BATCH_BYTES = 100000; // of a request; the gateway takes no more than body_bytes
const REPEATS_MAX = 8;
const REPEAT_MS = 300;
const FILLING = 'abc&lt;漢字 ';

export const messageText = (id, to, nFilling) => `<message xmlns='jabber:client' id='${id}'${to ? ` to='${to}'` : ''} type='chat'>` +
	`<body>${FILLING.repeat(nFilling)}</body></message>`;

class CountingClient {
	constructor(options) {
		Object.assign(this, { options, nSent: 0, got: [], returned: [], end: undefined });
	}

	say(n = 1, nFilling = 3) {
		for (let i = 0; i < n; i++) {
			this.transmit(messageText(++this.nSent, this.options.isEcho === false ? this.jid : undefined, nFilling));
		}
	}

	noteElement(element) {
		if (element.name === 'message') {
			const list = element.attributes.type === 'error' ? this.returned : this.got;
			list.push(Number(element.attributes.id));
		} else if (element.name === 'error' && element.ns === NS.streams) {
			this.end = element.children.find(({ ns }) => ns === NS.errors)?.name ?? 'unknown';
		}
	}

	// Resolves when all that was said has come back; the numbers must be in order.
	async assertComplete(ms, first = 1) {
		await until(() => this.end || this.got.length + first > this.nSent, ms, `the echo of ${this.nSent} messages (${this.got.length} came)`)
			.catch((error) => assert.fail(`${error.message}; got ${this.got.slice(-5)}; end ${this.end}`));
		assert.equal(this.end, undefined, `the session ended; ${this.got.length} of ${this.nSent} messages had come`);
		assert.deepEqual(this.got, Array.from({ length: this.nSent - first + 1 }, (_, i) => first + i));
	}

	ended(ms = 30000) {
		return until(() => this.end, ms, 'the end of the session');
	}

	stop() {
		this.isStopped = true;
		this.disconnect();
	}
}

class CountingWebSocket extends CountingClient {
	async open() {
		const { port, host, domain, user, password } = this.options;
		this.socket = await openWebSocket(port, { host });
		this.jid = await this.socket.login(domain, user, password);
		this.listen();
	}

	async listen() {
		for (;;) {
			const frame = await this.socket.nextFrame(600000).catch(() => undefined);
			if (!frame || frame.opcode === OPCODE.close) {
				this.end ??= frame && frame.payload.length >= 2 ? `closed ${frame.payload.readUInt16BE()}` : 'broken';
				return;
			}
			if (frame.opcode === OPCODE.text) {
				this.noteElement(parse(frame.payload.toString()));
			}
		}
	}

	transmit(text) {
		this.socket.send(text);
	}

	async finish() {
		this.socket.send(`<close xmlns='${NS.framing}'/>`);
		await this.ended();
		this.socket.drop();
	}

	disconnect() {
		this.socket?.drop();
	}
}

class CountingBosh extends CountingClient {
	async open() {
		const { port, host, domain, user, password, wait = 10 } = this.options;
		this.client = new BoshClient(port, { host });
		Object.assign(this, { outbox: [], nUnderWay: 0, answers: new Map() });
		this.jid = await this.client.login(domain, { user, password, wait });
		this.nextRid = this.client.rid + 1; // that is to be processed
		this.pump();
	}

	transmit(text) {
		this.outbox.push(text);
		this.pump();
	}

	// All that the rules allow now: as many requests as the window has, and one that waits.
	pump() {
		while (!this.end && this.nUnderWay < WINDOW && (this.outbox.length || this.nUnderWay === 0)) {
			this.request(this.batch());
		}
	}

	batch() {
		let text = '';
		while (this.outbox.length && (text === '' || text.length + this.outbox[0].length < BATCH_BYTES)) {
			text += this.outbox.shift();
		}
		return text;
	}

	async request(payload, attributes = {}) {
		const rid = ++this.client.rid;
		this.nUnderWay++;
		for (let i = 0; !this.end; i++) {
			try {
				const answer = await this.client.request(payload, { ...attributes, rid }, { ms: 30000 });
				this.nUnderWay--;
				this.answers.set(rid, answer);
				break;
			} catch (error) {
				if (i === REPEATS_MAX || this.isStopped) {
					this.end ??= 'broken';
					return;
				}
				await sleep(REPEAT_MS);
			}
		}
		this.process();
		this.pump();
	}

	// Answers may overtake each other; the rids say in which order they are read.
	process() {
		for (let answer = this.answers.get(this.nextRid); answer && !this.end; answer = this.answers.get(this.nextRid)) {
			this.answers.delete(this.nextRid++);
			if (answer.status !== 200) {
				this.end = `status ${answer.status}`;
				return;
			}
			const body = answer.element;
			body.children.forEach((child) => this.noteElement(child));
			if (body.attributes.type === 'terminate') {
				this.end ??= body.attributes.condition ?? 'closed';
			}
		}
	}

	async finish() {
		this.request('', { type: 'terminate' });
		await this.ended();
		this.stop();
	}

	disconnect() {
		this.client?.close();
	}
}

export const COUNTING = { bosh: CountingBosh, websocket: CountingWebSocket };

// Opens a session and logs in: anonymous without user and password. @isEcho: whether the server sends messages back by
// itself, as the scripted one does. @among: a list to which the client is added before it opens, for who has to stop all that a
// failed test leaves behind.
export async function countingClient(transport, { among, ...options }) {
	const client = new COUNTING[transport](options);
	among?.push(client);
	try {
		await client.open();
	} catch (error) {
		client.stop();
		throw error;
	}
	if (client.isStopped) {
		client.disconnect(); // what it opened since
	}
	return client;
}
