// A WebSocket client (RFC 6455) with every frame in the test's hand.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { within } from './util.mjs';
import { NS, escape, parse } from './xml.mjs';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function encodeFrame(opcode, payload = '', { fin = true, mask = true, rsv = 0 } = {}) {
	const data = Buffer.from(payload);
	const head = [(fin ? 0x80 : 0) | rsv | opcode];
	const bit = mask ? 0x80 : 0;
	let extended = Buffer.alloc(0);
	if (data.length < 126) {
		head.push(bit | data.length);
	} else if (data.length < 0x10000) {
		head.push(bit | 126);
		extended = Buffer.alloc(2);
		extended.writeUInt16BE(data.length);
	} else {
		head.push(bit | 127);
		extended = Buffer.alloc(8);
		extended.writeBigUInt64BE(BigInt(data.length));
	}
	if (!mask) {
		return Buffer.concat([Buffer.from(head), extended, data]);
	}
	const key = randomBytes(4);
	const masked = Buffer.from(data.map((byte, i) => byte ^ key[i % 4]));
	return Buffer.concat([Buffer.from(head), extended, key, masked]);
}

// Takes the first whole frame off @buffer: { frame, rest } or undefined.
function decodeFrame(buffer) {
	if (buffer.length < 2) {
		return undefined;
	}
	let n = buffer[1] & 0x7f;
	let at = 2;
	if (n === 126) {
		if (buffer.length < 4) {
			return undefined;
		}
		n = buffer.readUInt16BE(2);
		at = 4;
	} else if (n === 127) {
		if (buffer.length < 10) {
			return undefined;
		}
		n = Number(buffer.readBigUInt64BE(2));
		at = 10;
	}
	assert.equal(buffer[1] & 0x80, 0, 'a server masks nothing');
	if (buffer.length < at + n) {
		return undefined;
	}
	const frame = { fin: Boolean(buffer[0] & 0x80), rsv: buffer[0] & 0x70, opcode: buffer[0] & 0x0f, payload: buffer.subarray(at, at + n) };
	return { frame, rest: buffer.subarray(at + n) };
}

export class WebSocketClient {
	static handshake(target, protocol, headers = {}) {
		const key = randomBytes(16).toString('base64');
		const all = { Host: '127.0.0.1', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': key, ...(protocol === null ? {} : { 'Sec-WebSocket-Protocol': protocol }), ...headers };
		const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('');
		return { key, request: `GET ${target} HTTP/1.1\r\n${lines}\r\n` };
	}

	constructor(socket, early, { headers, key }) {
		assert.equal(headers['sec-websocket-accept'], createHash('sha1').update(key + GUID).digest('base64'));
		this.socket = socket;
		this.headers = headers;
		this.protocol = headers['sec-websocket-protocol'];
		this.buffer = early;
		this.frames = [];
		this.isOpen = true;
		this.answersPings = true; // as a browser does, whether anybody reads messages or not
		this.wake = () => {};
		socket.on('data', (data) => this.read(data));
		socket.on('error', (error) => {
			this.error = error;
		});
		for (const event of ['end', 'close', 'error']) {
			socket.on(event, () => {
				this.isOpen = false;
				this.wake();
			});
		}
		this.read(Buffer.alloc(0));
	}

	read(data) {
		this.buffer = Buffer.concat([this.buffer, data]);
		for (let found = decodeFrame(this.buffer); found; found = decodeFrame(this.buffer)) {
			this.frames.push(found.frame);
			if (found.frame.opcode === OPCODE.ping && this.answersPings) {
				this.frame(OPCODE.pong, found.frame.payload);
			}
			this.buffer = found.rest;
		}
		this.wake();
	}

	write(bytes) {
		this.socket.write(bytes);
	}

	frame(opcode, payload, options) {
		this.write(encodeFrame(opcode, payload, options));
	}

	send(text) {
		this.frame(OPCODE.text, text);
	}

	// The next frame, or undefined when the connection has ended.
	nextFrame(ms = 10000) {
		const found = new Promise((resolve) => {
			this.wake = () => {
				if (this.frames.length || !this.isOpen) {
					this.wake = () => {};
					resolve(this.frames.shift());
				}
			};
			this.wake();
		});
		return within(found, ms, 'a WebSocket frame');
	}

	// The frames that still come, up to the end of the connection.
	async untilEnd(ms) {
		const all = [];
		for (let frame = await this.nextFrame(ms); frame; frame = await this.nextFrame(ms)) {
			all.push(frame);
		}
		return all;
	}

	// The text of the next message.
	async nextMessage(ms = 10000) {
		let text = Buffer.alloc(0);
		for (;;) {
			const frame = await this.nextFrame(ms);
			assert.ok(frame, 'the connection ended where a message was expected');
			if (frame.opcode === OPCODE.ping) {
				continue;
			}
			assert.ok(frame.opcode === OPCODE.text || frame.opcode === OPCODE.continuation,
				`opcode ${frame.opcode} where a message was expected: ${frame.payload.subarray(2)}`);
			text = Buffer.concat([text, frame.payload]);
			if (frame.fin) {
				return new TextDecoder('utf-8', { fatal: true }).decode(text);
			}
		}
	}

	async next(ms) {
		return parse(await this.nextMessage(ms));
	}

	// Resolves with the close frame's { code, reason }, or undefined when TCP ended without one.
	async nextClose(ms = 10000) {
		const frame = await this.nextFrame(ms);
		if (!frame) {
			return undefined;
		}
		assert.equal(frame.opcode, OPCODE.close, `a close frame, not ${frame.payload}`);
		return { code: frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005, reason: frame.payload.subarray(2).toString() };
	}

	open(domain, attributes = {}) {
		const all = Object.entries({ to: domain, version: '1.0', ...attributes }).map(([k, v]) => ` ${k}='${escape(v)}'`).join('');
		this.send(`<open xmlns='${NS.framing}'${all}/>`);
	}

	// Opens the stream: resolves with the <open/> and the features.
	async start(domain, attributes) {
		this.open(domain, attributes);
		const open = await this.next();
		assert.equal(`${open.ns} ${open.name}`, `${NS.framing} open`);
		return { open, features: await this.next() };
	}

	// Anonymous without @user. Resolves with the full JID.
	async login(domain, user, password) {
		await this.start(domain);
		this.send(user === undefined
			? `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`
			: `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse(user, password)}</auth>`);
		const success = await this.next();
		assert.equal(success.name, 'success', success.text);
		await this.start(domain);
		this.send(`<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${NS.bind}'/></iq>`);
		const bound = await this.next();
		this.jid = bound.at('bind', 'jid').text;
		return this.jid;
	}

	// Ends the stream as RFC 7395 says; resolves with the close frame.
	async finish() {
		this.send(`<close xmlns='${NS.framing}'/>`);
		let answer;
		do {
			answer = await this.next();
		} while (answer.name !== 'close');
		const close = await this.nextClose();
		this.socket.end();
		return close;
	}

	// Breaks the connection under the WebSocket.
	drop() {
		this.socket.destroy();
	}
}

export const plainResponse = (user, password) => Buffer.from(`\0${user}\0${password}`).toString('base64');
