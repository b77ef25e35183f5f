// More scenarios of what the gateway does while one of its calls fails (fault-scenarios.mjs): what few clients ask for, and the
// ways through proxies.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { selfSigned, tlsOf } from './certificates.mjs';
import { DnsServer } from './dns-server.mjs';
import { Doab } from './doab.mjs';
import { ScriptedConnect, ScriptedSocks } from './egress-proxies.mjs';
import { CONFIG, INACTIVITY_S, assertReturned, boshSession, message, openStage, plain, talk, websocketSession, withId } from './fault-stage.mjs';
import { HttpConnection } from './http.mjs';
import { PersistentBosh, PersistentWebSocket, ToldError, ask } from './persistent.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from './util.mjs';
import { OPCODE, plainResponse } from './ws.mjs';
import { NS, parse } from './xml.mjs';
import { XmppServer } from './xmpp-server.mjs';

// Compression.

const RSV1 = 0x40;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const SYNC = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
// More than what is too short to be compressed.
const LONG = `<message xmlns='jabber:client' id='long'><body>${'abcdefgh'.repeat(300)}</body></message>`;

class CodedBosh extends PersistentBosh {
	async ask(bytes, { ms }) {
		const connection = await HttpConnection.open(this.port);
		try {
			const answer = await connection.request('POST', this.target, { body: zlib.gzipSync(bytes), ms,
				headers: { ...this.headers, 'Content-Encoding': 'gzip', 'Accept-Encoding': 'gzip' } });
			const text = answer.headers['content-encoding'] ? zlib.gunzipSync(answer.body).toString() : answer.text;
			return { ...answer, text, get element() { return parse(text); } };
		} finally {
			connection.close();
		}
	}
}

class CodedWebSocket extends PersistentWebSocket {
	async nextFrame() {
		const frame = await super.nextFrame();
		return frame?.rsv === RSV1 ? { ...frame, rsv: 0, payload: zlib.inflateRawSync(Buffer.concat([frame.payload, TAIL]), SYNC) } : frame;
	}

	send(text) {
		this.socket.frame(OPCODE.text, zlib.deflateRawSync(text, SYNC).subarray(0, -TAIL.length), { rsv: RSV1 });
	}
}

export const coded = (env) => openStage(env, plain, { compression: true, websocket_compression: true }, async ({ port }, of) => {
	for (const coding of ['gzip', 'deflate']) {
		assert.equal((await ask(port, 'GET', '/', { headers: { 'Accept-Encoding': coding } })).status, 200);
	}
	const client = new CodedBosh(port);
	await client.login('plain.test', { wait: 5 });
	await client.exchange(LONG, withId('long'));
	await client.terminate();
	const socket = await CodedWebSocket.open(port, undefined, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
	assert.ok(socket.socket.headers['sec-websocket-extensions'], 'permessage-deflate');
	await talk(socket, 'plain.test', of('plain'), LONG);
}, { remembers: true });

// Keys, pauses, several streams.

const sha1 = (text) => createHash('sha1').update(text).digest('hex');

function keySequence(n) {
	const keys = [sha1(randomBytes(20))];
	while (keys.length < n) {
		keys.push(sha1(keys.at(-1)));
	}
	return keys;
}

class KeyedBosh extends PersistentBosh {
	create(to, attributes) {
		this.keys = keySequence(4);
		return super.create(to, { ...attributes, newkey: this.keys.pop() });
	}

	request(payload, attributes, options) {
		const shown = { key: this.keys.pop() };
		if (this.keys.length === 0) {
			this.keys = keySequence(4);
			shown.newkey = this.keys.pop();
		}
		return super.request(payload, { ...attributes, ...shown }, options);
	}
}

export const keysAndStreams = (env) => openStage(env, { plain: 'plain', second: 'plain' }, {}, async ({ port }) => {
	const client = new KeyedBosh(port);
	try {
		await client.login('plain.test', { wait: 5 });
		const { element } = await client.request('', { to: 'second.test', 'xml:lang': 'en', 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0' });
		const second = { stream: element.attributes.stream };
		assert.ok(second.stream, 'the name of the second stream');
		await client.features();
		await client.exchange(message('other'), withId('other'), second);
		// A shorter pause would be over, on a busy machine, while other sweeps of this process have their turn.
		await client.request('', { pause: INACTIVITY_S });
		await client.exchange(message('one'), withId('one'));
		await client.request('', { ...second, type: 'terminate' });
		await client.exchange(message('two'), withId('two'));
		await client.terminate();
	} finally {
		client.close();
	}
}, { remembers: true });

// Logins, of which the first fails.

const auth = (password) => `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('user', password)}</auth>`;
const isOutcome = ({ name }) => name === 'success' || name === 'failure';

export const logins = (env) => openStage(env, plain, { failed_logins_per_address: '100000/1', failed_logins_per_domain: '100000/1' }, async ({ port }) => {
	const client = new PersistentBosh(port);
	try {
		await client.create('plain.test', { wait: 5 });
		await client.features();
		assert.equal((await client.exchange(auth('wrong'), isOutcome)).name, 'failure');
		assert.equal((await client.exchange(auth('right'), isOutcome)).name, 'success');
		await client.restart('plain.test');
		await client.terminate();
	} finally {
		client.close();
	}
	const socket = await PersistentWebSocket.open(port);
	try {
		await socket.start('plain.test');
		socket.send(auth('wrong'));
		await socket.expect('failure');
		socket.send(auth('right'));
		await socket.expect('success');
		await socket.start('plain.test');
		await socket.finish();
	} finally {
		socket.drop();
	}
}, { remembers: true });

// The PROXY protocol, of the clients and to the servers: these learn no other address than the client's.

const CLIENT = '192.0.2.1';
const PEER = { proxy_peers: ['127.0.0.1'] };
const V1 = Buffer.from(`PROXY TCP4 ${CLIENT} 192.0.2.2 4000 5280\r\n`);
const V2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c00002020fa014a0', 'hex');

const behind = (port, header) => async () => {
	const connection = await HttpConnection.open(port);
	connection.write(header);
	return connection;
};

export async function proxiedIn(env) {
	const [first, second] = [await freePort(), await freePort()];
	const listeners = { [`127.0.0.1:${first}`]: { proxy_protocol: 'v1', ...PEER }, [`127.0.0.1:${second}`]: { proxy_protocol: 'v2', ...PEER } };
	const server = (version) => ({ script: 'proxy-plain', section: { tls: 'off', proxy_protocol: version } });
	return openStage(env, { v1: server('v1'), v2: server('v2') }, { listeners }, async (stage, of) => {
		await websocketSession(first, 'v2.test', of('v2'), behind(first, V1));
		await websocketSession(second, 'v1.test', of('v1'), behind(second, V2));
		for (const { proxy } of Object.values(stage.servers).flatMap(({ connections }) => connections)) {
			assert.equal(proxy?.client ?? CLIENT, CLIENT);
		}
	});
}

// Tunnels through proxies.

export async function tunnelled(env) {
	const server = await XmppServer.start('plain');
	const socks = await ScriptedSocks.start({ 'socks.test:5222': server.port });
	const connect = await ScriptedConnect.start();
	const domains = { 'socks.test': { tls: 'off', proxy: socks.url, proxy_dns: true },
		'connect.test': { tls: 'off', proxy: connect.url, proxy_dns: true, connect: [`there.test:${server.port}`] } };
	const stage = await openStage(env, {}, { domains }, async ({ port }) => {
		for (const domain of Object.keys(domains)) {
			await websocketSession(port, domain, () => server.connections.at(-1));
		}
	}).catch((error) => stopAll(server, socks, connect).then(() => { throw error; }));
	return { ...stage, stop: () => stage.stop().finally(() => stopAll(server, socks, connect)) };
}

// DANE: nothing but its TLSA record vouches for the server. Each session is with a domain that was never asked for.

function tlsaOf({ keyText }) {
	const spki = createPublicKey(createPrivateKey(keyText)).export({ type: 'spki', format: 'der' });
	return [3, 1, 1, createHash('sha256').update(spki).digest('hex')];
}

export async function signed(env) {
	const folder = temporaryFolder('faults-dane');
	const material = selfSigned(folder, 'stranger', ['stranger.test']);
	const server = await XmppServer.start('starttls', { tls: tlsOf(material) });
	const zone = await DnsServer.start({});
	const stop = () => stopAll(server, zone).finally(() => removeFolder(folder));
	const doab = await Doab.start({ ...CONFIG, trust_dnssec: true, resolvers: [zone.address], connect_timeout: 2, dns_timeout: patiently(300),
		domains: { '*.zone.test': { allow_private: true } } }, { env }).catch((error) => stop().then(() => { throw error; }));
	let n = 0;
	const run = async () => {
		const domain = `n${n++}.zone.test`;
		zone.set(`_xmpp-client._tcp.${domain}`, { SRV: [[0, 0, server.port, `host.${domain}`]], AD: true });
		zone.set(`host.${domain}`, { A: ['127.0.0.1'], AD: true });
		zone.set(`_${server.port}._tcp.host.${domain}`, { TLSA: [tlsaOf(material)], AD: true });
		await websocketSession(doab.port, domain, () => server.connections.at(-1));
	};
	return { doab, run, isCaching: true, stop: () => doab.stop().finally(stop) };
}

// A client that may not connect, behind a proxy that adds a line of its own: never is it taken for the proxy.

const FORWARDED = { 'X-Forwarded-For': `127.0.0.2\r\nX-Forwarded-For: ${CLIENT}` };

export async function denied(env) {
	const stage = await openStage(env, plain, { trusted_proxies: ['127.0.0.1'], deny_clients: [CLIENT] }, async ({ port }) => {
		const body = `<body xmlns='${NS.httpbind}' rid='1' to='plain.test' ver='1.11' wait='5' hold='1'/>`;
		const { text } = await ask(port, 'POST', '/http-bind', { body, headers: FORWARDED });
		assert.doesNotMatch(text, / sid=/, 'a session of a denied client');
		const socket = await PersistentWebSocket.open(port, undefined, FORWARDED).catch((error) => error);
		if (!(socket instanceof Error)) {
			const error = await socket.start('plain.test').catch((reason) => reason);
			socket.drop();
			assert.ok(error instanceof ToldError, `a session of a denied client: ${error}`);
		}
	});
	return { ...stage, isShort: true };
}

// A client that does not read, and is gone: its server learns what was not delivered.

const N_PUSHED = 12;
const BODY = 'x'.repeat(32 * 1024);

export async function undelivered(env) {
	const port = await freePort();
	const stage = await openStage(env, plain, { listeners: { [`127.0.0.1:${port}`]: { send_buffer: 4096 } } }, async (_, of) => {
		const client = await PersistentWebSocket.open(port);
		try {
			await client.login('plain.test');
			const connection = of('plain')();
			client.socket.socket.pause();
			for (let i = 0; i < N_PUSHED; i++) {
				connection.send(`<message from='a@b' id='m${i}'><body>${BODY}</body></message>`);
			}
			connection.send(`<message from='a@b' id='last'/>`);
			await connection.writes;
			client.drop();
			await assertReturned(connection, 'last');
		} finally {
			client.drop();
		}
	});
	// With these, the stream would end while its server goes on to say something.
	return { ...stage, isShort: true, spares: ['recv', 'send', 'sendmsg'] };
}
