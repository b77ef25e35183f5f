// The XMPP server of the soak: no login, no answers. It counts what each client sends it, and sends numbered stanzas of its
// own at random moments. The stream's `from` ("s17@soak.test") tells which session a connection belongs to.
import net from 'node:net';
import { Splitter } from '../support/splitter.mjs';
import { NS } from '../support/xml.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';
import { Chance } from './chance.mjs';
import { Ledger, stanzaText } from './stanzas.mjs';
import { Talker } from './talker.mjs';

class Peer {
	constructor(server, socket) {
		Object.assign(this, { server, socket, session: undefined, nSent: 0, errors: [] });
		Object.assign(this, { hasSaidGoodbye: false, hasEnded: false });
		this.splitter = new Splitter((what, value) => this.received(what, value));
		socket.on('data', (data) => this.splitter.feed(data));
		socket.on('error', () => {});
		socket.once('close', () => {
			this.hasEnded = true;
			this.talker?.hush();
		});
	}

	received(what, value) {
		if (what === 'header') {
			this.open(value.attributes);
		} else if (what === 'element' && this.ledger) {
			this.ledger.take(value.text);
		} else if (what === 'end') {
			this.hasSaidGoodbye = true;
			this.socket.end('</stream:stream>');
		} else if (what !== 'whitespace') {
			this.errors.push(`session ${this.session}: ${what} from the gateway`);
		}
	}

	open({ to, from }) {
		this.session = Number(/^s(\d+)@/.exec(from ?? '')?.[1]);
		this.ledger = new Ledger('up', this.session);
		this.chance = new Chance(this.server.seed, 'server', this.session);
		this.server.opened(this);
		this.socket.write(`<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='${NS.streams}' ` +
			`id='soak-${this.session}' from='${to}' version='1.0'>${FEATURES}`);
		this.talker = new Talker(this.chance, this.server.meanMs, () => this.say());
	}

	say() {
		const text = Buffer.from(stanzaText('down', this.session, ++this.nSent));
		// TCP keeps no borders: some arrive in two parts.
		const cut = this.chance.is(0.1) ? this.chance.integer(1, text.length - 1) : text.length;
		this.socket.write(text.subarray(0, cut));
		this.socket.write(text.subarray(cut));
	}
}

export class SoakServer {
	static async start({ seed, meanMs }) {
		const server = new SoakServer();
		Object.assign(server, { seed, meanMs, peers: new Map(), errors: [] });
		server.sockets = new Set();
		server.listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
			server.sockets.add(socket);
			new Peer(server, socket);
		});
		await new Promise((resolve, reject) => server.listener.once('error', reject).listen(0, '127.0.0.1', resolve));
		server.port = server.listener.address().port;
		return server;
	}

	opened(peer) {
		if (!(peer.session >= 0)) {
			this.errors.push('a stream header without the from of its client');
		} else if (this.peers.has(peer.session)) {
			this.errors.push(`session ${peer.session}: a second connection from the gateway`);
		}
		this.peers.set(peer.session, peer);
	}

	peer(session) {
		return this.peers.get(session);
	}

	hush() {
		this.peers.forEach((peer) => peer.talker?.hush());
	}

	section() {
		return { connect: [`127.0.0.1:${this.port}`], tls: 'off' };
	}

	async stop() {
		this.hush();
		this.sockets.forEach((socket) => socket.destroy());
		await new Promise((resolve) => this.listener.close(resolve));
	}
}
