#!/usr/bin/env node
// A scripted XMPP server: gives what a real one will not, and records all it was sent.
//
//     node xmpp-server.mjs --scenario late-features --port 5222
//     node xmpp-server.mjs script.json --port 5222
//
// A script is a list of steps, done once for each connection, in order:
//
//     { "await": "header" | "NAME" }    waits for the stream header, or for a top-level element of that name
//     { "send": TEXT, "times": N }      writes it; {id} and {domain} are filled in
//     { "header": true, "features": TEXT, "prefix": "stream" }
//                                       answers the stream header, with these features (null: none)
//     { "serve": true }                 from here on: SASL (any password but "wrong"), restart, bind, ping, and an echo for each message
//     { "chunk": N, "gap": MS }         from here on writes N bytes at a time, MS apart
//     { "pause": MS }                   does nothing for a while
//     { "starttls": true }              waits for <starttls/>, lets TLS begin; "inject": TEXT goes out with <proceed/>; `before`: a
//                                       function, which is waited for first
//     { "proxy": true, "tls": true }    first of all takes a header of the PROXY protocol: connection.proxy; then TLS
//     { "deaf": true }                  reads no more from the socket
//     { "end": true } { "reset": true } closes the connection with FIN, with RST
//
// SCENARIOS below are such scripts by name. In a test:
//
//     const server = await XmppServer.start('plain');
//     const connection = await server.connection();    // the gateway's first connection
//     await connection.element('message');              // waits; { raw, text, name, attributes }
//     connection.send('<message/>');
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { pathToFileURL } from 'node:url';
import { readProxyHeader } from './proxy-header.mjs';
import { Splitter } from './splitter.mjs';
import { sleep, within } from './util.mjs';

const NS_STREAMS = 'http://etherx.jabber.org/streams';
const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const NS_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';
const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls';
const NS_BIND = 'urn:ietf:params:xml:ns:xmpp-bind';

const MECHANISMS = `<mechanisms xmlns='${NS_SASL}'><mechanism>ANONYMOUS</mechanism><mechanism>PLAIN</mechanism></mechanisms>`;
export const FEATURES = `<stream:features>${MECHANISMS}</stream:features>`;
export const BIND_FEATURES = `<stream:features><bind xmlns='${NS_BIND}'/></stream:features>`;
const STARTTLS = `<starttls xmlns='${NS_TLS}'><required/></starttls>`;
// Blanks, an entity, single and double quotes, an unknown element with an empty prefix of its own: what is not
// taken out has to come through as it is.
export const ODD_FEATURES = `<stream:features  xmlns:x="urn:x" >\n ${MECHANISMS} <starttls xmlns='${NS_TLS}'></starttls>` +
	`<x:new  a="1"  b='&#39;&quot;'/><compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>` +
	`<compression xmlns='urn:x:other'/><ver xmlns='urn:xmpp:features:rosterver'/></stream:features>`;

const awaitHeader = { await: 'header' };
const header = (features = FEATURES, more = {}) => ({ header: true, features, ...more });
const streamError = (condition, text, end = '</stream:stream>') => ({ send: `<stream:error><${condition} xmlns='${NS_ERRORS}'/>` +
	`<text xmlns='${NS_ERRORS}' xml:lang='de'>${text}</text></stream:error>${end}` });
const serve = { serve: true };
const plain = [awaitHeader, header(), serve];

export const SCENARIOS = {
	plain,
	// What a server sends after the gateway has closed the connection resets that: on a busy machine it would lose what it has not read.
	'no-echo': [awaitHeader, header(), { serve: 'iq' }],
	'late-features': [awaitHeader, header(null), { pause: 1500 }, { send: FEATURES }, serve],
	'no-features': [awaitHeader, header(null)],
	silent: [{ pause: 600000 }],
	'split-bytes': [{ chunk: 1, gap: 0 }, ...plain],
	'error-before-features': [awaitHeader, header(null), streamError('host-unknown', 'Diesen Rechner führen wir nicht: ☂ 漢字'), { end: true }],
	'error-before-header': [{ send: 'HTTP/1.1 400 Bad Request\r\n\r\n' }, { end: true }],
	'error-after-bind': [awaitHeader, header(), { serve: 'iq' }, streamError('conflict', 'Größer als ☂ 漢字 😀'), { end: true }],
	'close-at-once': [{ end: true }],
	'reset-at-once': [{ pause: 50 }, { reset: true }],
	'close-after-header': [awaitHeader, header(null), { end: true }],
	'close-stream-after-bind': [awaitHeader, header(), { serve: 'iq' }, { send: '</stream:stream>' }, { end: true }],
	'close-mid-stanza': [awaitHeader, header(), { serve: 'iq' }, { send: '<message><body>half of it' }, { end: true }],
	'reset-after-bind': [awaitHeader, header(), { serve: 'iq' }, { reset: true }],
	whitespace: [awaitHeader, header(), { serve: 'iq' }, { send: ' \n\t ' }, { send: '<message id=\'w1\'/>' }, { send: ' \n' },
		{ pause: 100 }, { send: ' ' }, { send: '<message id=\'w2\'/> \n ' }, serve],
	'odd-prefixes': [awaitHeader, header(FEATURES.replace(/stream:/g, 's:'), { prefix: 's', declare: ' xmlns:c="jabber:client" xmlns:e=\'urn:e\'' }),
		{ serve: 'iq', prefix: 's' }, { send: '<c:message id="o1"><c:body e:at="1">ä</c:body></c:message><message id="o2"><e:x/></message>' }, { serve: true, prefix: 's' }],
	'odd-features': [awaitHeader, header(ODD_FEATURES), serve],
	'never-reading': [awaitHeader, header(), { serve: 'iq' }, { deaf: true }],
	flood: [awaitHeader, header(), { serve: 'iq' }, { flood: 2000, bytes: 1000 }, serve],
	'huge-stanza': [awaitHeader, header(), { serve: 'iq' }, { huge: 3 * 1024 * 1024 }, serve],
	dtd: [awaitHeader, { send: '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' }, header()],
	comment: [awaitHeader, header(), { serve: 'iq' }, { send: '<message id="c1"><!-- no --></message>' }],
	'processing-instruction': [awaitHeader, header(), { serve: 'iq' }, { send: '<?php no ?><message/>' }],
	entity: [awaitHeader, header(), { serve: 'iq' }, { send: '<message><body>&nbsp;</body></message>' }],
	starttls: [awaitHeader, header(`<stream:features>${STARTTLS}</stream:features>`), { starttls: true }, ...plain],
	'starttls-odd-features': [awaitHeader, header(`<stream:features>${STARTTLS}</stream:features>`), { starttls: true }, awaitHeader, header(ODD_FEATURES), serve],
	'starttls-injection': [awaitHeader, header(`<stream:features>${STARTTLS}</stream:features>`),
		{ starttls: true, inject: '<message id=\'injected\' from=\'evil\'/>' }, ...plain],
	'starttls-refused': [awaitHeader, header(`<stream:features>${STARTTLS}</stream:features>`), { await: 'starttls' },
		{ send: `<failure xmlns='${NS_TLS}'/></stream:stream>` }, { end: true }],
	'direct-tls': [{ tls: true }, ...plain],
	'proxy-plain': [{ proxy: true }, ...plain],
	'proxy-starttls': [{ proxy: true }, awaitHeader, header(`<stream:features>${STARTTLS}</stream:features>`), { starttls: true }, ...plain],
	'proxy-direct-tls': [{ proxy: true, tls: true }, ...plain],
};

// Of PLAIN: the password "wrong" is wrong, each other is right.
const hasWrongPassword = (raw) => Buffer.from(/>([^<]*)</.exec(raw)?.[1] ?? '', 'base64').toString().endsWith('\0wrong');

class Connection extends EventEmitter {
	constructor(server, socket) {
		super();
		this.setMaxListeners(0);
		Object.assign(this, { server, headers: [], elements: [], whitespace: '', restarts: 0, streamEnds: 0, hasEnded: false,
			chunk: 0, gap: 0, prefix: 'stream', declare: '', bytes: [], events: [], cursor: 0, domain: '' });
		this.splitter = new Splitter((what, value) => this.parsed(what, value));
		this.writes = Promise.resolve();
		this.attach(socket);
	}

	attach(socket) {
		this.socket = socket;
		socket.on('data', (data) => {
			this.bytes.push(data);
			this.splitter.feed(data);
		});
		socket.on('error', () => {});
		socket.once('end', () => this.ended());
		socket.once('close', () => this.ended());
	}

	ended() {
		this.hasEnded = true;
		this.emit('change');
	}

	parsed(what, value) {
		if (what === 'header') {
			this.headers.push(value);
			this.events.push({ header: value });
			this.domain = value.attributes.to ?? '';
		} else if (what === 'element') {
			this.elements.push(value);
			this.events.push({ element: value });
		} else if (what === 'whitespace') {
			this.whitespace += value;
		} else if (what === 'restart') {
			this.restarts++;
		} else {
			this.streamEnds++;
		}
		this.emit('change');
	}

	// Everything received, as text.
	get text() {
		return Buffer.concat(this.bytes).toString();
	}

	wait(take, what, ms = 10000) {
		const found = new Promise((resolve, reject) => {
			const check = () => {
				const value = take();
				if (value !== undefined) {
					this.off('change', check);
					resolve(value);
				} else if (this.hasEnded) {
					this.off('change', check);
					reject(new Error(`the gateway closed the connection before ${what}; it had sent: ${this.text}`));
				}
			};
			this.on('change', check);
			check();
		});
		return within(found, ms, `${what} from the gateway; it had sent: ${this.text.slice(-2000)}`);
	}

	// The first element with that name (of all those received), now or later.
	element(name, matches = () => true, ms) {
		return this.wait(() => this.elements.find((e) => e.name === name && matches(e)), `<${name}/>`, ms);
	}

	header(n = 0, ms) {
		return this.wait(() => this.headers[n], `stream header ${n}`, ms);
	}

	end(ms = 10000) {
		const over = new Promise((resolve) => {
			const check = () => this.hasEnded && resolve();
			this.on('change', check);
			check();
		});
		return within(over, ms, 'the end of the connection from the gateway');
	}

	send(text) {
		const bytes = Buffer.from(text);
		this.writes = this.writes.then(() => this.write(bytes));
		return this.writes;
	}

	async write(bytes) {
		const n = this.chunk || bytes.length;
		for (let at = 0; at < bytes.length && !this.socket.destroyed; at += n) {
			const isRoom = this.socket.write(bytes.subarray(at, at + n));
			if (!isRoom) {
				await this.roomOrEnd();
			} else if (this.chunk) {
				await (this.gap ? sleep(this.gap) : new Promise(setImmediate));
			}
		}
	}

	roomOrEnd() {
		const { socket } = this;
		return new Promise((resolve) => {
			const go = () => {
				socket.off('drain', go).off('close', go);
				resolve();
			};
			socket.on('drain', go).on('close', go);
		});
	}

	sendHeader({ features, prefix = this.prefix, declare = this.declare }) {
		Object.assign(this, { prefix, declare });
		this.send(`<?xml version='1.0'?><${prefix}:stream xmlns='jabber:client' xmlns:${prefix}='${NS_STREAMS}'${declare} ` +
			`id='scripted-${this.headers.length}' from='${this.domain}' version='1.0' xml:lang='en'>`);
		return features === null ? undefined : this.send(features);
	}

	// The next element or header that no step has looked at yet.
	nextEvent() {
		return this.wait(() => (this.cursor < this.events.length ? this.events[this.cursor++] : undefined), 'anything', 600000);
	}

	async serve({ serve: last, prefix = this.prefix }) {
		for (;;) {
			const { header: isHeader, element } = await this.nextEvent();
			if (isHeader) {
				this.sendHeader({ features: this.isAuthenticated ? BIND_FEATURES.replace(/stream:/g, `${prefix}:`) : FEATURES, prefix });
				continue;
			}
			this.answer(element);
			if (element.name === last) {
				return;
			}
		}
	}

	answer(element) {
		if (element.name === 'auth' && hasWrongPassword(element.raw)) {
			this.send(`<failure xmlns='${NS_SASL}'><not-authorized/><text xml:lang='en'>no</text></failure>`);
		} else if (element.name === 'auth') {
			this.isAuthenticated = true;
			this.send(`<success xmlns='${NS_SASL}'/>`);
		} else if (element.name === 'iq' && element.text.includes(NS_BIND)) {
			this.send(`<iq type='result' id='${element.attributes.id}'><bind xmlns='${NS_BIND}'><jid>user@${this.domain}/scripted</jid></bind></iq>`);
		} else if (element.name === 'iq' && ['get', 'set'].includes(element.attributes.type)) {
			this.send(`<iq type='result' id='${element.attributes.id}'/>`);
		} else if (element.name === 'message') {
			this.send(element.raw);
		}
	}

	startTls({ inject = '' }) {
		this.splitter.restart();
		this.socket.removeAllListeners('data');
		const plainSocket = this.socket;
		plainSocket.write(`<proceed xmlns='${NS_TLS}'/>${inject}`);
		return this.wrapTls(plainSocket);
	}

	wrapTls(plainSocket) {
		plainSocket.removeAllListeners('data');
		const secure = new tls.TLSSocket(plainSocket, { isServer: true, ...this.server.tls });
		secure.once('secure', () => (this.isSecure = true));
		// As without TLS: see accept().
		secure.once('end', () => this.writes.then(() => secure.end()));
		this.attach(secure);
	}

	// Bytes of TLS must not be read before it is there to take them.
	async takeProxyHeader({ tls: isDirect }) {
		this.socket.removeAllListeners('data');
		this.proxy = await readProxyHeader(this.socket);
		if (isDirect) {
			this.wrapTls(this.socket);
		} else {
			this.attach(this.socket);
			this.socket.resume();
		}
	}

	async step(step) {
		if (step.chunk !== undefined) {
			Object.assign(this, { chunk: step.chunk, gap: step.gap ?? 0 });
		} else if (step.await) {
			const { header: streamHeader, element } = await this.nextEvent();
			if (step.await === 'header' ? !streamHeader : element?.name !== step.await) {
				throw new Error(`${step.await} expected, not ${(element ?? streamHeader).text}`);
			}
		} else if (step.header) {
			await this.sendHeader(step);
		} else if (step.send !== undefined) {
			await this.send(step.send.replaceAll('{domain}', this.domain).replaceAll('{id}', 'scripted').repeat(step.times ?? 1));
		} else if (step.serve) {
			await this.serve(step);
		} else if (step.pause !== undefined) {
			await new Promise((resolve) => setTimeout(resolve, step.pause).unref()); // keeps no test waiting
		} else if (step.starttls) {
			await this.step({ await: 'starttls' });
			await step.before?.();
			this.startTls(step);
		} else if (step.proxy) {
			await this.takeProxyHeader(step);
		} else if (step.tls) {
			this.wrapTls(this.socket);
		} else if (step.flood) {
			for (let i = 0; i < step.flood; i++) {
				await this.send(`<message id='f${i}'><body>${'x'.repeat(step.bytes)}</body></message>`);
			}
		} else if (step.huge) {
			await this.send(`<message id='huge'><body>${'h'.repeat(step.huge)}</body></message>`);
		} else if (step.deaf) {
			this.socket.pause();
		} else if (step.end) {
			await this.writes;
			this.socket.end();
		} else if (step.reset) {
			await this.writes;
			this.socket.resetAndDestroy();
		} else {
			throw new Error(`unknown step ${JSON.stringify(step)}`);
		}
	}

	async play(script) {
		for (const step of script) {
			await this.step(step);
		}
	}
}

export class XmppServer {
	// @script: a scenario's name or a list of steps. @tls: { cert, key } for the steps that begin TLS.
	static async start(script = 'plain', { port = 0, host = '127.0.0.1', tls: material } = {}) {
		const server = new XmppServer();
		server.script = Array.isArray(script) ? script : SCENARIOS[script];
		if (!server.script) {
			throw new Error(`no scenario ${script}; there are: ${Object.keys(SCENARIOS).join(', ')}`);
		}
		server.tls = material;
		server.connections = [];
		server.errors = [];
		server.changes = new EventEmitter().setMaxListeners(0);
		server.listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.accept(socket));
		await new Promise((resolve, reject) => server.listener.once('error', reject).listen(port, host, resolve));
		server.port = server.listener.address().port;
		return server;
	}

	accept(socket) {
		const connection = new Connection(this, socket);
		this.connections.push(connection);
		this.changes.emit('connection');
		connection.play(this.script).catch((error) => {
			this.errors.push(error);
			if (!/closed the connection/.test(error.message)) {
				socket.destroy();
			}
		});
		socket.once('end', () => connection.writes.then(() => connection.socket.end()));
	}

	async connection(n = 0, ms = 10000) {
		const there = new Promise((resolve) => {
			const check = () => this.connections[n] && resolve(this.connections[n]);
			this.changes.on('connection', check);
			check();
		});
		return within(there, ms, `connection ${n} from the gateway`);
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	// A `domain` section that leads the gateway here.
	section(more = { tls: 'off' }) {
		return { connect: [this.address], ...more };
	}

	async stop() {
		for (const connection of this.connections) {
			connection.socket.destroy();
		}
		await new Promise((resolve) => this.listener.close(resolve));
	}
}

async function main(args) {
	const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
	const file = args.find((argument) => argument.endsWith('.json'));
	const script = file ? JSON.parse(readFileSync(file, 'utf8')) : option('--scenario') ?? 'plain';
	const material = option('--cert') && { cert: readFileSync(option('--cert')), key: readFileSync(option('--key')) };
	const server = await XmppServer.start(script, { port: Number(option('--port') ?? 0), tls: material });
	console.log(`listening on ${server.address}`);
	server.changes.on('connection', () => {
		const connection = server.connections.at(-1);
		connection.splitter.emit = (what, value) => {
			console.log(what, value?.text ?? JSON.stringify(String(value ?? '')));
			connection.parsed(what, value);
		};
	});
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	await main(process.argv.slice(2));
}
