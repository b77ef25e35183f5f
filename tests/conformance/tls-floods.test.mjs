// TLS messages that carry no data: what a server may send of them, and what it may not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { TlsPeer } from '../support/tls-peer.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const CONTROLS_MAX = 32; // tls-controls.h
const N_TICKETS = 2; // that OpenSSL sends by itself
const WORDS = /too many TLS messages that carry no data/;
let folder;
let server;
let peers;
let doab;

before(async () => {
	folder = temporaryFolder('tls-floods');
	const authority = new Authority(folder);
	const { certificate: cert, key } = authority.issue('server', ['new.test', 'old.test']);
	server = await XmppServer.start('plain');
	peers = { new: await TlsPeer.serve(server.port, { cert, key }), old: await TlsPeer.serve(server.port, { cert, key, version: '1.2' }) };
	const ca = { ca_file: authority.certificate };
	doab = await Doab.start({ open_timeout: 5, domains: { 'new.test': peers.new.section(ca), 'old.test': peers.old.section(ca) } });
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

test('a message has to be finished in time, for all of it is kept until then', TIMEOUT, async () => {
	const { socket, connection } = await open('new.test');
	// Of 20,000 bytes and some, in two records.
	connection.send('<?tls half-ticket 18000?>');
	const error = await assertStreamError(socket, 'remote-connection-failed', { open: false });
	assert.match(error.at('text').text, /a TLS message did not arrive completely in time/);
});
