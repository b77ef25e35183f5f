// One HTTP request and its answer, over a socket by hand, with the fate that was chosen for it.
//
// Connections of one client are pooled. A transmission ends in one of two ways: answered(response) or broken(): then
// `mayArrive` tells whether the gateway may have got all of it.
import net from 'node:net';
import tls from 'node:tls';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { sleep } from '../support/util.mjs';

const IDLE_MAX = 3;
// How long one that was given up stays open.
const SILENCE_MS = 30000;
const CRLF2 = Buffer.from('\r\n\r\n');

export class Connections {
	// @secure: { context, servername } where the port speaks TLS.
	constructor(port, secure) {
		this.port = port;
		this.secure = secure;
		this.idle = [];
		this.all = new Set();
		this.abandoned = new Set();
		this.isClosed = false;
	}

	take(isFresh) {
		const kept = isFresh ? undefined : this.idle.pop();
		if (kept) {
			return kept;
		}
		const socket = connectTo(this.port, this.secure);
		this.all.add(socket);
		socket.on('error', () => {});
		socket.once('close', () => {
			this.all.delete(socket);
			this.abandoned.delete(socket);
			this.idle = this.idle.filter((other) => other !== socket);
		});
		return socket;
	}

	give(socket) {
		if (this.idle.length < IDLE_MAX && !socket.destroyed) {
			this.idle.push(socket);
		} else {
			socket.destroy();
		}
	}

	// Neither closes nor reads it any more.
	abandon(socket) {
		this.abandoned.add(socket);
		socket.pause();
		setTimeout(() => socket.destroy(), SILENCE_MS).unref();
	}

	// Reads none, until thaw().
	freeze() {
		this.all.forEach((socket) => socket.pause());
	}

	thaw() {
		this.all.forEach((socket) => this.abandoned.has(socket) || socket.resume());
	}

	close(isReset = false) {
		this.isClosed = true;
		this.all.forEach((socket) => (isReset ? reset(socket) : socket.destroy()));
	}
}

// A connection to the gateway. Over TLS, `carrier` is the socket below.
export function connectTo(port, secure) {
	const carrier = net.connect({ port, host: '127.0.0.1', noDelay: true });
	if (!secure) {
		return carrier;
	}
	carrier.on('error', () => {});
	const socket = tls.connect({ socket: carrier, secureContext: secure.context, servername: secure.servername, session: secure.session });
	// As a browser does: a handshake is resumed where the gateway still has the key of the ticket.
	socket.once('session', (session) => (secure.session = session));
	return Object.assign(socket, { carrier });
}

export function reset(socket) {
	const carrier = socket.carrier ?? socket;
	if (carrier.connecting || carrier.destroyed) {
		socket.destroy();
	} else {
		carrier.resetAndDestroy();
		socket.destroy();
	}
}

const encode = { gzip: gzipSync, deflate: deflateSync };
const decode = { gzip: gunzipSync, deflate: inflateSync };

// What there is of a response: undefined until it is whole.
function parseResponse(bytes) {
	const end = bytes.indexOf(CRLF2);
	if (end < 0) {
		return undefined;
	}
	const head = bytes.subarray(0, end).toString('latin1');
	const header = (name) => new RegExp(`^${name}:[ \t]*(.*)$`, 'im').exec(head)?.[1];
	const length = Number(header('content-length'));
	const body = bytes.subarray(end + CRLF2.length);
	if (body.length < length) {
		return undefined;
	}
	const coding = header('content-encoding');
	const content = body.subarray(0, length);
	return {
		status: Number(head.split(' ')[1]),
		type: header('content-type'),
		isLast: /^close$/i.test(header('connection') ?? ''),
		coding,
		text: (coding ? decode[coding](content) : content).toString(),
		nExcess: body.length - length,
	};
}

export class Transmission {
	constructor(connections, body, fate, { answered, broken }) {
		Object.assign(this, { connections, fate, answered, broken });
		this.body = fate.coding ? encode[fate.coding](body) : Buffer.from(body);
		Object.assign(this, { isOver: false, isSent: false, chunks: [] });
		this.timer = setTimeout(() => this.begin(), fate.delayMs);
	}

	begin() {
		if (this.connections.isClosed) {
			return;
		}
		this.socket = this.connections.take(this.fate.isFresh);
		this.onData = (data) => this.received(data);
		this.onClose = () => this.fail();
		this.socket.on('data', this.onData);
		this.socket.once('close', this.onClose);
		this.send();
	}

	async send() {
		const { cut, isFresh, nPieces, coding, accepts } = this.fate;
		const head = ['POST /http-bind HTTP/1.1', 'Host: 127.0.0.1', 'Content-Type: text/xml; charset=utf-8',
			`Content-Length: ${this.body.length}`, ...(isFresh ? ['Connection: close'] : []),
			...(coding ? [`Content-Encoding: ${coding}`] : []), ...(accepts ? [`Accept-Encoding: ${accepts}`] : [])];
		const whole = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), this.body]);
		const bytes = cut?.where === 'request' ? whole.subarray(0, Math.floor(cut.part * whole.length)) : whole;
		const n = Math.ceil(bytes.length / nPieces) || 1;
		for (let at = 0; at < bytes.length; at += n) {
			if (at > 0) {
				await sleep(5);
			}
			if (this.isOver) {
				return;
			}
			this.isSent = bytes === whole && at + n >= bytes.length;
			this.socket.write(bytes.subarray(at, at + n));
		}
		if (cut?.where === 'request') {
			this.socket.write('', () => this.cutNow());
		} else if (cut?.where === 'silence') {
			this.socket.write('', () => !this.isOver && this.socket.pause());
			this.timer = setTimeout(() => this.cutNow(), cut.ms);
		} else if (cut?.where === 'wait') {
			this.timer = setTimeout(() => this.fate.cut && this.cutNow(), cut.ms);
		}
	}

	// Whether a copy of it may be on its way to the gateway, or in it.
	get mayArrive() {
		return this.isSent;
	}

	received(data) {
		if (this.fate.cut) {
			this.cutNow();
			return;
		}
		this.chunks.push(data);
		const response = parseResponse(this.chunks.length > 1 ? Buffer.concat(this.chunks) : data);
		if (!response) {
			return;
		}
		this.end();
		if (this.fate.isFresh || response.isLast || response.nExcess) {
			this.socket.destroy();
		} else {
			this.connections.give(this.socket);
		}
		this.answered(response);
	}

	// From now on nothing befalls it.
	spare() {
		const { cut } = this.fate;
		const isPartial = this.socket && !this.isSent && cut?.where === 'request';
		if (!this.isOver && !isPartial && cut?.where !== 'silence') {
			this.fate.cut = undefined;
		}
	}

	cutNow() {
		if (this.isOver) {
			return;
		}
		this.end();
		if (this.fate.cut?.where === 'silence') {
			this.connections.abandon(this.socket);
		} else if (this.fate.isReset) {
			reset(this.socket);
		} else {
			this.socket.destroy();
		}
		this.broken();
	}

	// By the gateway, or by an answer that went to a connection which it had closed.
	fail() {
		if (!this.isOver) {
			this.end();
			this.broken();
		}
	}

	end() {
		this.isOver = true;
		clearTimeout(this.timer);
		this.socket?.off('data', this.onData);
		this.socket?.off('close', this.onClose);
	}
}
