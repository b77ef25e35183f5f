// A WebSocket client of the soak (RFC 7395). After a break of its connection the session is over, and what was under way may be
// lost; until then nothing may.
import { attributesOf } from '../support/splitter.mjs';
import { NS } from '../support/xml.mjs';
import { encodeFrame, OPCODE, WebSocketClient } from '../support/ws.mjs';
import { AUTH, SoakSession } from './session.mjs';
import { inBody } from './stanzas.mjs';
import { connectTo, reset } from './transmission.mjs';

const CRLF2 = '\r\n\r\n';
const SILENCE_MS = 30000;
const FRAGMENT_LEAST = 200;

export class SoakWebSocket extends SoakSession {
	constructor(options) {
		super(options);
		this.waiting = []; // said while asleep
		this.phase = 'upgrade';
	}

	open() {
		const { key, request } = WebSocketClient.handshake('/xmpp-websocket', 'xmpp');
		this.socket = connectTo(this.port, this.secure);
		let head = Buffer.alloc(0);
		const onData = (data) => {
			head = Buffer.concat([head, data]);
			const end = head.indexOf(CRLF2);
			if (end >= 0) {
				this.socket.off('data', onData);
				this.upgraded(head.subarray(0, end).toString('latin1'), head.subarray(end + CRLF2.length), key);
			}
		};
		this.socket.on('data', onData);
		this.socket.on('error', () => {});
		this.socket.once('close', () => this.closed());
		this.socket.write(request);
		return new Promise((resolve, reject) => {
			this.opened = resolve;
			this.openFailed = reject;
		});
	}

	upgraded(head, early, key) {
		const headers = Object.fromEntries(head.split('\r\n').slice(1).map((line) => line.toLowerCase().split(/: */)));
		headers['sec-websocket-accept'] = /^sec-websocket-accept: *(\S+)/im.exec(head)?.[1];
		if (!head.startsWith('HTTP/1.1 101')) {
			this.openFailed(new Error(head));
			return;
		}
		this.ws = new WebSocketClient(this.socket, early, { headers, key });
		this.ws.wake = () => this.drain();
		this.phase = 'open';
		this.hello();
	}

	hello() {
		this.ws.send(`<open xmlns='${NS.framing}' to='${this.domain}' from='${this.from}' version='1.0' xml:lang='en'/>`);
	}

	drain() {
		for (let frame = this.ws.frames.shift(); frame && !this.isOver; frame = this.ws.frames.shift()) {
			if (frame.opcode === OPCODE.text) {
				this.message(frame.payload.toString());
			} else if (frame.opcode === OPCODE.close) {
				this.note('a close frame');
				this.socket.end(encodeFrame(OPCODE.close, frame.payload.subarray(0, 2)));
			}
		}
	}

	message(text) {
		const tag = text.slice(0, text.indexOf('>') + 1);
		const name = /^<(?:[\w.-]+:)?([\w.-]+)/.exec(tag)?.[1];
		if (name === 'error') {
			this.condition = /<([\w-]+) xmlns=['"]urn:ietf:params:xml:ns:xmpp-streams/.exec(text)?.[1] ?? text;
			this.note(text);
		} else if (name === 'close') {
			this.isClosedByGateway = true;
			this.note('<close/>');
		} else if (this.hasStarted) {
			this.take({ text, attributes: attributesOf(tag) });
		} else {
			this.greeted(name);
		}
	}

	greeted(name) {
		if (name === 'features' && this.phase === 'open') {
			this.phase = 'login';
			this.opened();
			this.ws.send(AUTH);
		} else if (name === 'success') {
			this.phase = 'restart';
			this.hello();
		} else if (name === 'features') {
			this.start();
		} else if (name !== 'open') {
			this.fail(`<${name}/> before the login`);
		}
	}

	say() {
		const text = inBody(this.nextStanza());
		this.waiting.push({ text, n: this.nSent });
		this.flush();
	}

	flush() {
		while (this.waiting.length && !this.isAsleep && !this.isOver) {
			const { text, n } = this.waiting.shift();
			this.ridOf[n] = 'none';
			this.write(Buffer.from(text), n);
		}
	}

	// Now and then in two fragments.
	write(bytes, n) {
		const cut = bytes.length > FRAGMENT_LEAST && this.chance.is(0.1) ? this.chance.integer(1, bytes.length - 1) : 0;
		if (cut) {
			this.ws.frame(OPCODE.text, bytes.subarray(0, cut), { fin: false });
		}
		this.socket.write(encodeFrame(cut ? OPCODE.continuation : OPCODE.text, bytes.subarray(cut)), () => this.settle(n));
	}

	get maySleep() {
		return this.hasStarted;
	}

	freeze() {
		this.socket.pause();
	}

	thaw() {
		this.socket.resume();
		this.flush();
	}

	tick() {
		// It has nothing that is done by the clock.
	}

	get isSettled() {
		return this.isOver || this.waiting.length === 0;
	}

	// Ends the stream, with a last stanza.
	close() {
		this.isTerminating = true;
		this.say();
		this.ws.send(`<close xmlns='${NS.framing}'/>`);
	}

	// The connection has ended.
	closed() {
		if (this.phase !== 'restart' && this.phase !== 'login') {
			this.openFailed(new Error(`the connection ended: ${this.condition ?? ''}`));
		}
		if (!this.isOver && !this.isClosedByGateway) {
			this.fail('the gateway closed the connection without <close/>');
		}
		this.end();
	}

	// @isSilent: the connection stays open for a while, unread.
	vanish({ isSilent, isReset }) {
		this.vanishedAt = Date.now();
		this.end();
		if (isSilent) {
			this.socket.pause();
			setTimeout(() => this.socket.destroy(), SILENCE_MS).unref();
		} else if (isReset) {
			reset(this.socket);
		} else {
			this.socket.end();
			this.socket.destroySoon?.();
		}
	}

	stop() {
		this.end();
		this.socket?.destroy();
	}
}
