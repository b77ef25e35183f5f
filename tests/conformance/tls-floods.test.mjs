// TLS messages that carry no data: what a server or a client may send of them, and what they may not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { TlsPeer } from '../support/tls-peer.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, suspend, temporaryFolder, until, within } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const CONTROLS_MAX = 32; // tls-controls.h
const HEADER_TIMEOUT_S = 8;
const MESSAGE_TIMEOUT_S = 8;
const N_TICKETS = 2; // that OpenSSL sends by itself
const WORDS = /too many TLS messages that carry no data/;
let folder;
let server;
let peers;
let doab;
let tlsPort;

before(async () => {
	folder = temporaryFolder('tls-floods');
	const authority = new Authority(folder);
	const { certificate: cert, key } = authority.issue('server', ['new.test', 'old.test']);
	const listener = { tls: { certificate: cert, key } };
	server = await XmppServer.start('plain');
	peers = { new: await TlsPeer.serve(server.port, { cert, key }), old: await TlsPeer.serve(server.port, { cert, key, version: '1.2' }) };
	const ca = { ca_file: authority.certificate };
	tlsPort = await freePort();
	doab = await Doab.start({ open_timeout: MESSAGE_TIMEOUT_S, header_timeout: HEADER_TIMEOUT_S, domains: { 'new.test': peers.new.section(ca), 'old.test': peers.old.section(ca) }, listeners: { [`127.0.0.1:${tlsPort}`]: listener } });
});
after(async () => {
	await stopAll(doab, ...Object.values(peers ?? {}), server);
	removeFolder(folder);
});

// Opens a session, and resolves with it and the server's connection to it.
async function open(domain) {
	const n = server.connections.length;
	const socket = await openWebSocket(doab.port);
	await socket.login(domain);
	return { socket, connection: await server.connection(n) };
}

async function assertEcho(socket, id) {
	socket.send(`<message xmlns='jabber:client' id='${id}'/>`);
	assert.equal((await socket.next()).attributes.id, id);
}

const FLOODS = [['new', 'key-update'], ['new', 'key-update-asked'], ['new', 'ticket'], ['old', 'hello-request']];

for (const [name, word] of FLOODS) {
	test(`${word}: a flood ends its session and no other`, TIMEOUT, async () => {
		const other = await open('new.test');
		const { socket, connection } = await open(`${name}.test`);
		const nBefore = doab.events.length;
		connection.send(`<?tls ${word} 5000?>`);
		const error = await assertStreamError(socket, 'remote-connection-failed', { open: false });
		assert.match(error.at('text').text, WORDS);
		await assertEcho(other.socket, word);
		other.socket.drop();
		await doab.readLog();
		const lines = doab.events.slice(nBefore).filter(({ failure }) => failure === 'tls-flood');
		assert.equal(lines.length, 1, doab.log.slice(-2000));
	});
}

test('so many are fine, and one more is not', TIMEOUT, async () => {
	const { socket, connection } = await open('new.test');
	connection.send(`<?tls key-update ${CONTROLS_MAX - N_TICKETS}?>`);
	await assertEcho(socket, 'at-the-limit');
	connection.send('<?tls key-update 1?>');
	await assertStreamError(socket, 'remote-connection-failed', { open: false });
});

test('a BOSH client is told the same, and it is counted', TIMEOUT, async () => {
	const n = server.connections.length;
	const client = new BoshClient(doab.port);
	await client.login('new.test');
	(await server.connection(n)).send('<?tls key-update 100?>');
	const answer = await client.request();
	assert.equal(answer.element.attributes.condition, 'remote-connection-failed');
	assert.match(answer.element.text, WORDS);
	await doab.readLog();
	assert.ok(Number(doab.events.findLast(({ event }) => event === 'failures')['tls-flood']) >= FLOODS.length + 2);
});

test('a ticket that is longer than that many messages is too much: it would be kept as long as the session', TIMEOUT, async () => {
	const { socket, connection } = await open('new.test');
	connection.send('<?tls long-ticket 12000?>');
	await assertEcho(socket, 'a-long-ticket');
	const second = await open('new.test');
	second.connection.send('<?tls long-ticket 16000?>');
	const error = await assertStreamError(second.socket, 'remote-connection-failed', { open: false });
	assert.match(error.at('text').text, WORDS);
});

test('a message has to be finished in time, for all of it is kept until then', TIMEOUT, async () => {
	const { socket, connection } = await open('new.test');
	// Of 12,000 bytes and some, in two records.
	connection.send('<?tls half-ticket 9000?>');
	const error = await assertStreamError(socket, 'remote-connection-failed', { open: false });
	assert.match(error.at('text').text, /a TLS message did not arrive completely in time/);
});

test('the rest of a message may follow a standstill of the gateway', TIMEOUT, async () => {
	const { socket, connection } = await open('new.test');
	connection.send('<?tls half-ticket 9000?>');
	await sleep(500);
	suspend(doab.serverPid);
	await sleep(MESSAGE_TIMEOUT_S * 1000 + 2000);
	process.kill(doab.serverPid, 'SIGCONT');
	// It goes on when it answers, and has seen that it is late.
	assert.equal((await httpRequest(doab.port, 'GET', '/')).status, 200);
	connection.send('<?tls rest?>');
	await assertEcho(socket, 'after-the-standstill');
});

// Resolves with what the gateway has answered when it has ended the connection.
function heard(client) {
	let text = '';
	client.stdout.on('data', (data) => (text += data));
	return within(new Promise((resolve) => client.once('exit', () => resolve(text))), 15000, 'the end of the connection');
}

const countLogged = (event) => doab.events.filter((line) => line.event === event).length;
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

for (const word of ['key-update', 'key-update-asked']) {
	test(`${word}: a client's flood ends its connection and no other`, TIMEOUT, async () => {
		const { socket } = await open('new.test');
		const nBefore = countLogged('tls-flood');
		const client = TlsPeer.connect(tlsPort);
		client.stdin.on('error', () => {}).write(`<?tls ${word} 5000?>${REQUEST}`);
		assert.equal(await heard(client), '');
		await until(() => countLogged('tls-flood') === nBefore + 1, 15000, 'event=tls-flood in the log');
		const fine = TlsPeer.connect(tlsPort);
		const answer = heard(fine);
		fine.stdin.write(`<?tls ${word} ${CONTROLS_MAX / 2}?>${REQUEST.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')}`);
		assert.match(await answer, /^HTTP\/1\.1 200 /);
		await assertEcho(socket, word);
		socket.drop();
	});
}

test('a client that drips its handshake has the time of a header', TIMEOUT, async () => {
	const client = TlsPeer.connect(tlsPort, { drip: 100 });
	assert.equal(await heard(client), '');
	await doab.logged('handshake-failed', { reason: 'no complete handshake in time' });
});

// A record with the beginning of a hello that says how long it is.
const helloOf = (n) => Buffer.from([22, 3, 1, 0, 4, 1, n >> 16, n >> 8 & 255, n & 255]);

test('a hello that claims to be large is refused before there is room for it', TIMEOUT, async () => {
	const HELLO_MAX = 16384;
	const [fine, large] = await Promise.all([HELLO_MAX, HELLO_MAX + 1].map(async (n) => {
		const socket = net.connect(tlsPort, '127.0.0.1');
		socket.on('error', () => {});
		await once(socket, 'connect');
		socket.closed_ = once(socket, 'close');
		socket.resume();
		socket.write(helloOf(n));
		return socket;
	}));
	await within(large.closed_, HEADER_TIMEOUT_S * 1000 / 2, 'the end of the connection');
	assert.equal(fine.destroyed, false);
	await doab.logged('handshake-failed', { reason: "the client's hello is too large" });
	fine.destroy();
});
