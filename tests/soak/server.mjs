// An XMPP server of the soak: it lets everybody log in, counts what each client sends it, and sends numbered stanzas of its own at
// random moments. The stream's `from` ("s17@off.soak.test") tells which session a connection belongs to.
//
// book      what both sides know of the sessions: peers, the server's side of each session, and `steady`, the sessions in which the
//           server says nothing by itself but answers each stanza at once
// restart   all connections end, and for a while nobody listens
// returned  said of a stanza that the gateway could not deliver and sent back as an error (XEP-0206)
import net from 'node:net';
import tls from 'node:tls';
import { Splitter } from '../support/splitter.mjs';
import { sleep } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { BIND_FEATURES, FEATURES } from '../support/xmpp-server.mjs';
import { Chance } from './chance.mjs';
import { Ledger, numberOf, stanzaText } from './stanzas.mjs';
import { Talker } from './talker.mjs';

const STARTTLS_FEATURES = `<stream:features><starttls xmlns='${NS.tls}'><required/></starttls></stream:features>`;
const SHUTDOWN = `<stream:error><system-shutdown xmlns='${NS.errors}'/></stream:error></stream:stream>`;
const LINGER_MS = 2000;
export const RESTARTS = ['error', 'close', 'reset'];

class Peer {
	constructor(server, socket) {
		Object.assign(this, { server, raw: socket, session: undefined, isLoggedIn: false, isSecure: server.mode === 'off' });
		Object.assign(this, { nSent: 0, sentAt: [], sizes: [], returned: new Set(), errors: [] });
		Object.assign(this, { hasSaidGoodbye: false, hasEnded: false, endedAt: undefined, brokeAt: undefined });
		socket.on('error', () => {});
		socket.once('close', () => this.ended());
		if (server.mode === 'direct') {
			this.secure();
		} else {
			this.attach(socket);
		}
	}

	attach(socket) {
		this.socket = socket;
		this.splitter = new Splitter((what, value) => this.received(what, value));
		socket.on('data', (data) => this.splitter.feed(data));
		socket.on('error', () => {});
		socket.once('end', () => socket.end());
		socket.once('close', () => this.raw.destroy());
	}

	secure() {
		this.raw.removeAllListeners('data');
		this.isSecure = true;
		this.attach(new tls.TLSSocket(this.raw, { isServer: true, secureContext: this.server.secureContext }));
	}

	ended() {
		this.hasEnded = true;
		this.endedAt ??= Date.now();
		this.talker?.hush();
		this.server.open.delete(this);
	}

	received(what, value) {
		if (what === 'header') {
			this.header(value.attributes);
		} else if (what === 'element') {
			this.element(value);
		} else if (what === 'end') {
			this.hasSaidGoodbye = true;
			this.endedAt = Date.now();
			this.talker?.hush();
			this.socket.end('</stream:stream>');
		} else if (what !== 'whitespace' && what !== 'restart') {
			this.errors.push(`${what} from the gateway`);
		}
	}

	header({ to, from }) {
		if (this.isSecure && this.session === undefined) {
			this.register(from);
		}
		const features = !this.isSecure ? STARTTLS_FEATURES : this.isLoggedIn ? BIND_FEATURES : FEATURES;
		this.socket.write(`<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='${NS.streams}' ` +
			`id='soak-${this.session}' from='${to}' version='1.0'>${features}`);
		if (this.isLoggedIn && !this.isSteady && !this.isHushed) {
			this.talker = new Talker(this.chance, this.server.meanMs, () => this.say());
		}
	}

	register(from) {
		const { book, seed } = this.server;
		this.session = Number(/^s(\d+)@/.exec(from ?? '')?.[1]);
		this.ledger = new Ledger('up', this.session);
		this.chance = new Chance(seed, 'server', this.session);
		this.isSteady = book.steady.has(this.session);
		if (!(this.session >= 0)) {
			book.errors.push('a stream header without the from of its client');
		} else if (book.peers.has(this.session)) {
			book.errors.push(`session ${this.session}: a second connection from the gateway`);
		}
		book.peers.set(this.session, this);
	}

	element({ name, text, attributes }) {
		if (!this.isSecure && name === 'starttls') {
			this.socket.write(`<proceed xmlns='${NS.tls}'/>`);
			this.secure();
		} else if (!this.isLoggedIn && name === 'auth') {
			this.isLoggedIn = true;
			this.socket.write(`<success xmlns='${NS.sasl}'/>`);
		} else if (attributes.type === 'error') {
			this.takeReturned(attributes.id ?? '');
		} else if (this.ledger) {
			this.ledger.take(text);
			if (this.isSteady && !this.isHushed) {
				this.say();
			}
		}
	}

	takeReturned(id) {
		const n = numberOf(id, 'down', this.session);
		if (!n || n > this.nSent || this.returned.has(n)) {
			this.errors.push(`${id} was returned, ${n ? 'again or unsent' : 'which is not of this session'}`);
		}
		this.returned.add(n);
	}

	say() {
		if (this.endedAt !== undefined || this.brokeAt !== undefined) {
			return;
		}
		const text = Buffer.from(stanzaText('down', this.session, ++this.nSent));
		this.sentAt[this.nSent] = Date.now();
		this.sizes[this.nSent] = text.length;
		// TCP keeps no borders: some arrive in two parts.
		const cut = this.chance.is(0.1) ? this.chance.integer(1, text.length - 1) : text.length;
		this.socket.write(text.subarray(0, cut));
		if (cut < text.length) {
			this.socket.write(text.subarray(cut));
		}
	}

	hush() {
		this.isHushed = true;
		this.talker?.hush();
	}

	// The server goes down: @how is one of RESTARTS.
	break(how) {
		this.brokeAt = Date.now();
		this.hush();
		if (how === 'reset') {
			this.raw.resetAndDestroy();
			return;
		}
		this.socket.end(how === 'error' ? SHUTDOWN : '</stream:stream>');
		setTimeout(() => this.raw.destroy(), LINGER_MS);
	}
}

export class SoakServer {
	// @mode: the key `tls` of the domain: "off", "required" (STARTTLS) or "direct". @material: { cert, key, ca }: texts and a file.
	static async start({ seed, meanMs, book, mode, material }) {
		const server = new SoakServer();
		Object.assign(server, { seed, meanMs, book, mode, open: new Set(), outages: [], ca: material?.ca });
		server.secureContext = material && tls.createSecureContext({ cert: material.cert, key: material.key });
		await server.listen(0);
		server.port = server.listener.address().port;
		return server;
	}

	listen(port) {
		this.listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.open.add(new Peer(this, socket)));
		return new Promise((resolve, reject) => this.listener.once('error', reject).listen(port, '127.0.0.1', resolve));
	}

	async restart(how, downMs) {
		const outage = { from: Date.now(), to: Infinity };
		this.outages.push(outage);
		this.listener.close();
		this.open.forEach((peer) => peer.break(how));
		await sleep(downMs);
		await this.listen(this.port);
		outage.to = Date.now();
	}

	// Whether it was down at some moment from @since until now.
	wasDown(since) {
		return this.outages.some(({ to }) => to >= since);
	}

	get domain() {
		return `${this.mode}.soak.test`;
	}

	section() {
		return { connect: [`127.0.0.1:${this.port}`], tls: this.mode, ...(this.ca ? { ca_file: this.ca } : {}) };
	}

	async stop() {
		this.listener.close();
		this.open.forEach((peer) => peer.raw.destroy());
	}
}
