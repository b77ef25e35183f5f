// Servers whose TLS is hostile: certificates that cost work, handshakes that never end, ends that come too early. Each fails in its
// own words, to both clients and in the log, and the others are served.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf, withChain } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { TlsPeer } from '../support/tls-peer.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const LIFE_S = 4; // of a certificate that expires under a session
const OPEN_TIMEOUT_S = 4;
const N_ISSUERS = 50;
const N_LETTERS = 9000; // names of a certificate of 28 KB, for which OpenSSL takes 1 MB in each session
// A certificate of 1 MB.
const MANY_NAMES = Array.from({ length: 4000 }, (_, i) => `${String(i).padStart(60, 'a')}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.test`);
// For dNSName "nul.test\0.evil.test", in DER.
const NUL_NAME = 'nul.test\0.evil.test';
const NUL_NAMES = Buffer.from(`\x30${String.fromCharCode(NUL_NAME.length + 2)}\x82${String.fromCharCode(NUL_NAME.length)}${NUL_NAME}`, 'latin1');
// Records that a server sends without end instead of its hello. A client passes over requests to renegotiate within a handshake.
const RECORDS = {
	renegotiates: '160303000400000000',
	warns: '15030300020170', // unrecognized_name
	'sends-nothing': '1603030000',
	'changes-ciphers': '140303000101',
};

let folder;
let authority;
let stage;
let peers;
let raw = [];

function chainOf(authority, name) {
	const issuers = [];
	for (let i = 0, issuer = authority; i < N_ISSUERS; i++) {
		issuer = new Authority(folder, `issuer-${i}`, issuer);
		issuers.push(issuer);
	}
	const own = issuers.at(-1).issue(name, [`${name}.test`]);
	return tlsOf(withChain(own, issuers));
}

// A server that is no XMPP server: gets each connection once something has come.
async function startRaw(onClient) {
	const server = net.createServer({ noDelay: true }, (socket) => socket.on('error', () => {}).once('data', () => onClient(socket)));
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return server;
}

function flood(socket, record) {
	const records = Buffer.concat(Array(10000).fill(Buffer.from(record, 'hex')));
	const more = () => { while (!socket.destroyed && socket.write(records)); };
	socket.on('drain', more);
	more();
}

before(async () => {
	folder = temporaryFolder('tls-hostile');
	authority = new Authority(folder);
	const ca = { ca_file: authority.certificate };
	const own = (name) => tlsOf(authority.issue(name, [`${name}.test`]));
	const starttls = (material) => ({ script: 'starttls', tls: material, section: ca });
	const scenarios = {
		plain: 'plain', // behind the peers
		good: starttls(own('good')),
		expiring: starttls(own('expiring')),
		own: starttls(tlsOf(authority.issue('own', ['own.test', ...Array(N_LETTERS).fill('a')]))),
		large: starttls(tlsOf(authority.issue('large', ['large.test', ...MANY_NAMES]))),
		long: starttls(chainOf(authority, 'long')),
		nul: starttls(tlsOf(authority.issue('nul', [], { more: [`DER:${NUL_NAMES.toString('hex')}`] }))),
	};
	const material = (name, options) => {
		const { certificate: cert, key } = authority.issue(name, [`${name}.test`]);
		return { cert, key, ...options };
	};
	const behind = await Stage.open({ plain: 'plain' });
	peers = { stage: behind };
	const { port } = behind.servers.plain;
	for (const [name, options] of Object.entries({ alpn: { alpn: 'h2' }, 'alpn-old': { alpn: 'h2', version: '1.2' }, drip: { drip: 200 }, ends: {} })) {
		peers[name] = await TlsPeer.serve(port, material(name, options));
	}
	raw = await Promise.all(Object.values(RECORDS).map((record) => startRaw((socket) => flood(socket, record))));
	const domains = Object.fromEntries(Object.entries(peers).filter(([name]) => name !== 'stage').map(([name, peer]) => [`${name}.test`, peer.section(ca)]));
	Object.keys(RECORDS).forEach((name, i) => (domains[`${name}.test`] = { connect: [`127.0.0.1:${raw[i].address().port}`], tls: 'direct' }));
	stage = await Stage.open(scenarios, { open_timeout: OPEN_TIMEOUT_S, domains });
});
after(async () => {
	raw.forEach((server) => server.close());
	await stopAll(stage, ...Object.values(peers ?? {}));
	removeFolder(folder);
});

async function assertServed() {
	assert.ok((await new BoshClient(stage.port).create('good.test')).element.at('features'));
}

// Domain, what the text says, and the failure's name in the log.
const FAILURES = [
	['large', /handshake failed.*certificates are too large/s, 'tls-handshake'],
	['own', /not acceptable.*too many bytes/s, 'certificate-invalid'],
	['long', /not acceptable.*certificate chain too long/s, 'certificate-invalid'],
	['nul', /another name.*nul\.test/s, 'certificate-name'],
	['alpn', /handshake failed.*another protocol than XMPP/s, 'tls-handshake'],
	['alpn-old', /handshake failed.*another protocol than XMPP/s, 'tls-handshake'],
	['drip', /in time|too long/, ''],
	['renegotiates', /too many TLS messages that carry no data/, 'tls-flood'],
	// OpenSSL bounds these.
	['warns', /TLS handshake failed/, 'tls-'],
	['sends-nothing', /TLS handshake failed/, 'tls-'],
	['changes-ciphers', /TLS handshake failed/, 'tls-'],
];

for (const [name, text, failure] of FAILURES) {
	test(`${name}: refused, and why reaches both clients and the log`, TIMEOUT, async () => {
		const nBefore = stage.doab.events.length;
		const socket = await openWebSocket(stage.port);
		socket.open(`${name}.test`);
		const [answer, error] = await Promise.all([new BoshClient(stage.port).create(`${name}.test`),
			assertStreamError(socket, 'remote-connection-failed', { open: true })]);
		assertTerminated(answer, 'remote-connection-failed');
		assert.match(answer.element.text, text);
		assert.match(error.at('text').text, text);
		await stage.doab.readLog();
		const lines = stage.doab.events.slice(nBefore).filter((line) => line.event === 'session-failed' && line.domain === `${name}.test`);
		assert.equal(lines.length, 2, stage.doab.log.slice(-2000));
		assert.ok(lines.every((line) => line.failure.includes(failure)), JSON.stringify(lines));
		await assertServed();
	});
}

// Opens a session through the TLS of @name, and resolves with it and the server's connection to it.
async function open(name, server) {
	const n = server.connections.length;
	const socket = await openWebSocket(stage.port);
	await socket.login(`${name}.test`);
	return { socket, connection: await server.connection(n) };
}

for (const [what, sent] of [['between two stanzas', ''], ['within a stanza', '<message><body>half of it']]) {
	test(`close_notify ${what} ends the session`, TIMEOUT, async () => {
		const { socket, connection } = await open('ends', peers.stage.servers.plain);
		connection.send(`${sent}<?tls close-notify?>`);
		const error = await assertStreamError(socket, 'remote-connection-failed', { open: false });
		assert.match(error.at('text').text, /connection to the server broke/);
		await assertServed();
	});
}

// A session to a server whose certificate is valid for @seconds more, and which resumes sessions. Undefined if it took longer.
async function openExpiring(seconds) {
	const end = Date.now() + seconds * 1000;
	stage.servers.expiring.tls = { secureContext: tls.createSecureContext(tlsOf(authority.issue('expiring', ['expiring.test'], { seconds }))) };
	const opened = await open('expiring', stage.servers.expiring).catch(() => undefined);
	return Date.now() < end ? { end, ...opened } : undefined;
}

test('a certificate that expires under a session: it goes on, and no other is opened', TIMEOUT, async () => {
	let expiring;
	for (let seconds = LIFE_S; !(expiring = await openExpiring(seconds)); seconds *= 2);
	const { socket, end } = expiring;
	await sleep(Math.max(0, end - Date.now()) + 1000);
	const answer = await new BoshClient(stage.port).create('expiring.test');
	assertTerminated(answer, 'remote-connection-failed');
	assert.match(answer.element.text, /certificate has expired/);
	socket.send("<message xmlns='jabber:client' id='after'/>");
	assert.equal((await socket.next()).attributes.id, 'after');
});
