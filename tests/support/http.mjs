// One TCP connection that speaks HTTP/1.1 by hand: what is sent is exactly what the test says, and the
// connection can become a WebSocket after any number of requests.
import net from 'node:net';
import tls from 'node:tls';
import { within } from './util.mjs';
import { WebSocketClient } from './ws.mjs';

const CRLF2 = Buffer.from('\r\n\r\n');

export class HttpConnection {
	// @from: the client's own address. @secure: options of TLS, as tls.connect() takes them.
	static async open(port, host = '127.0.0.1', from = undefined, secure = undefined) {
		const to = { port, host, noDelay: true, localAddress: from };
		const socket = secure ? tls.connect({ ...to, ...secure }) : net.connect(to);
		await within(new Promise((resolve, reject) => socket.once(secure ? 'secureConnect' : 'connect', resolve).once('error', reject)), 5000, 'connect');
		return new HttpConnection(socket);
	}

	constructor(socket) {
		this.socket = socket;
		this.buffer = Buffer.alloc(0);
		this.isOpen = true;
		this.wake = () => {};
		this.onData = (data) => {
			this.buffer = Buffer.concat([this.buffer, data]);
			this.wake();
		};
		socket.on('data', this.onData);
		socket.on('error', () => {});
		this.closed = new Promise((resolve) => socket.once('close', resolve));
		socket.once('close', () => {
			this.isOpen = false;
			this.wake();
		});
		socket.once('end', () => {
			this.isOpen = false;
			this.wake();
		});
	}

	write(data) {
		this.socket.write(data);
	}

	close() {
		this.socket.destroy();
	}

	// Resolves with what @take makes of the bytes received, when it makes something of them.
	take(take, what, ms = 10000) {
		const taken = new Promise((resolve, reject) => {
			this.wake = () => {
				const result = take();
				if (result !== undefined) {
					this.wake = () => {};
					resolve(result);
				} else if (!this.isOpen) {
					reject(new Error(`the connection ended before ${what}: ${this.buffer.toString('latin1')}`));
				}
			};
			this.wake();
		});
		return within(taken, ms, what);
	}

	async head(ms) {
		const text = await this.take(() => {
			const end = this.buffer.indexOf(CRLF2);
			if (end < 0) {
				return undefined;
			}
			const head = this.buffer.subarray(0, end).toString('latin1');
			this.buffer = this.buffer.subarray(end + CRLF2.length);
			return head;
		}, 'an HTTP response', ms);
		const [first, ...lines] = text.split('\r\n');
		const headers = {};
		for (const line of lines) {
			const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line);
			headers[name.toLowerCase()] = headers[name.toLowerCase()] === undefined ? value : `${headers[name.toLowerCase()]}, ${value}`;
		}
		return { status: Number(first.split(' ')[1]), headers };
	}

	async response({ method = 'GET', ms } = {}) {
		const { status, headers } = await this.head(ms);
		const n = method === 'HEAD' || status === 204 || status === 304 ? 0 : Number(headers['content-length'] ?? 0);
		const body = await this.take(() => {
			if (this.buffer.length < n) {
				return undefined;
			}
			const bytes = this.buffer.subarray(0, n);
			this.buffer = this.buffer.subarray(n);
			return bytes;
		}, `${n} bytes of a response`, ms);
		return { status, headers, body, text: body.toString('utf8') };
	}

	static requestHead(method, target, headers) {
		const lines = Object.entries({ Host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`);
		return `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
	}

	async request(method, target, { headers = {}, body, ms } = {}) {
		const bytes = body === undefined ? undefined : Buffer.from(body);
		const all = bytes === undefined ? headers : { 'Content-Length': bytes.length, ...headers };
		this.write(HttpConnection.requestHead(method, target, all));
		if (bytes?.length) {
			this.write(bytes);
		}
		return this.response({ method, ms });
	}

	// Asks for a WebSocket on this connection. Resolves with it, or with the response that refused it.
	async upgrade(target = '/xmpp-websocket', { protocol = 'xmpp', headers = {}, ms } = {}) {
		const { key, request } = WebSocketClient.handshake(target, protocol, headers);
		this.write(request);
		const { status, headers: answer } = await this.head(ms);
		if (status !== 101) {
			const n = Number(answer['content-length'] ?? 0);
			const body = await this.take(() => (this.buffer.length >= n ? this.buffer.subarray(0, n) : undefined), 'a refusal', ms);
			return { refused: true, status, headers: answer, text: body.toString('utf8') };
		}
		this.socket.off('data', this.onData);
		return new WebSocketClient(this.socket, this.buffer, { headers: answer, key });
	}
}

// One request on a connection of its own.
export async function httpRequest(port, method, target, options = {}) {
	const connection = await HttpConnection.open(port, undefined, undefined, options.secure);
	try {
		return await connection.request(method, target, { ...options, headers: { Connection: 'close', ...options.headers } });
	} finally {
		connection.close();
	}
}

export async function openWebSocket(port, options = {}) {
	const connection = await HttpConnection.open(port, options.host, options.from, options.secure);
	const socket = await connection.upgrade(options.target, options);
	if (socket.refused) {
		connection.close();
	}
	return socket;
}
