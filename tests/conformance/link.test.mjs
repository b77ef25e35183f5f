// Between the gateway and a server: the largest stanza, how much goes out at once, and servers that close half of a connection.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, run, sleep, stopAll, temporaryFolder, until } from '../support/util.mjs';
import { OPCODE, encodeFrame } from '../support/ws.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const STANZA_BYTES = 10000;
const N_TOGETHER = 20;
let folder;
let stage;

before(async () => {
	folder = temporaryFolder('link');
	const authority = new Authority(folder);
	const { cert, keyText: key } = authority.issue('secure', ['secure.test']);
	const secure = { script: 'direct-tls', tls: { cert, key }, section: { tls: 'direct', ca_file: authority.certificate } };
	stage = await Stage.open({ clear: 'plain', secure }, { stanza_bytes: STANZA_BYTES, wait: 20, ping_interval: 0, keepalive: 0 });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

const TRANSPORTS = {
	BOSH: async (name) => {
		const client = new BoshClient(stage.port);
		await client.login(`${name}.test`, { wait: 20 });
		return { client, connection: await stage.connectionOf(name), end: () => client.terminate() };
	},
	WebSocket: async (name) => {
		const socket = await openWebSocket(stage.port);
		await socket.login(`${name}.test`);
		return { socket, connection: await stage.connectionOf(name), end: () => socket.finish() };
	},
};

// Of @n bytes, most of them in characters of two.
function stanzaOf(n) {
	const [head, tail] = ['<message id=\'large\'><body>', '</body></message>'];
	const nBody = n - head.length - tail.length;
	return `${head}${'x'.repeat(nBody % 2)}${'ä'.repeat((nBody - nBody % 2) / 2)}${tail}`;
}

for (const [transport, login] of Object.entries(TRANSPORTS)) {
	for (const pieces of [1, 3]) {
		test(`${transport}: a stanza of stanza_bytes passes, one of a byte more does not, in ${pieces} pieces`, TIMEOUT, async () => {
			const { client, socket, connection } = await login('clear');
			const send = async (text) => {
				const bytes = Buffer.from(text);
				const n = Math.ceil(bytes.length / pieces);
				for (let at = 0; at < bytes.length; at += n) {
					connection.socket.write(bytes.subarray(at, at + n));
					await sleep(pieces > 1 ? 100 : 0);
				}
			};
			const most = stanzaOf(STANZA_BYTES);
			assert.equal(Buffer.byteLength(most), STANZA_BYTES);
			await send(most);
			const text = client ? (await client.request()).text : await socket.nextMessage();
			assert.ok(text.includes(most.slice(most.indexOf('<body>'))), text.slice(0, 200));
			await send(stanzaOf(STANZA_BYTES + 1));
			if (client) {
				const answer = await client.request();
				assertTerminated(answer, 'remote-connection-failed');
				assert.match(answer.text, /larger/);
			} else {
				assert.match((await assertStreamError(socket, 'remote-connection-failed')).text, /larger/);
			}
			client?.close();
			socket?.drop();
		});
	}
}

// Packets with data that the gateway has sent on that connection, as the kernel counts them. With TCP_NODELAY each write makes
// one, unless it is larger than those of loopback (64 KB).
async function countPackets(connection) {
	const { remotePort, localPort } = connection.socket;
	const { stdout } = await run('ss', ['-tinH', `sport = :${remotePort} and dport = :${localPort}`]);
	return Number(/data_segs_out:(\d+)/.exec(stdout)[1]);
}

for (const name of ['clear', 'secure']) {
	test(`the stanzas of a BOSH request go out in one write (${name})`, TIMEOUT, async () => {
		const { client, connection, end } = await TRANSPORTS.BOSH(name);
		const nBefore = await countPackets(connection);
		const payload = Array.from({ length: N_TOGETHER }, (_, i) => `<iq xmlns='jabber:client' type='result' id='o${i}'/>`).join('');
		const held = client.request(payload);
		await connection.element('iq', ({ attributes }) => attributes.id === `o${N_TOGETHER - 1}`);
		assert.equal(await countPackets(connection), nBefore + 1);
		await end();
		await held;
	});

	// What one read of the gateway's does not take of them comes with the next: a few writes, not one for each.
	test(`the stanzas of a WebSocket client go out together, and so do those for it (${name})`, TIMEOUT, async () => {
		const { socket, connection, end } = await TRANSPORTS.WebSocket(name);
		const before = { up: await countPackets(connection), down: await countPackets({ socket: socket.socket }) };
		socket.socket.write(Buffer.concat(Array.from({ length: N_TOGETHER },
			(_, i) => encodeFrame(OPCODE.text, `<iq xmlns='jabber:client' type='result' id='o${i}'/>`))));
		await connection.element('iq', ({ attributes }) => attributes.id === `o${N_TOGETHER - 1}`);
		const nUp = await countPackets(connection) - before.up;
		assert.ok(nUp <= N_TOGETHER / 4, `${nUp} packets to the server`);
		connection.socket.write(Array.from({ length: N_TOGETHER }, (_, i) => `<message id='i${i}'/>`).join(''));
		for (let i = 0; i < N_TOGETHER; i++) {
			assert.equal((await socket.next()).attributes.id, `i${i}`);
		}
		const nDown = await countPackets({ socket: socket.socket }) - before.down;
		assert.ok(nDown <= N_TOGETHER / 4, `${nDown} packets to the client`);
		await end();
	});

	test(`a WebSocket client gets a large stanza in one write (${name})`, TIMEOUT, async () => {
		const { socket, connection, end } = await TRANSPORTS.WebSocket(name);
		const nBefore = await countPackets({ socket: socket.socket });
		connection.socket.write(stanzaOf(STANZA_BYTES));
		assert.equal((await socket.next()).attributes.id, 'large');
		assert.equal(await countPackets({ socket: socket.socket }), nBefore + 1);
		await end();
	});

	test(`stanzas that arrive together are answered together (${name})`, TIMEOUT, async () => {
		const { client, connection, end } = await TRANSPORTS.BOSH(name);
		const held = client.request();
		await stage.doab.hasRequest(client);
		connection.socket.write(Array.from({ length: N_TOGETHER }, (_, i) => `<message id='i${i}'/>`).join(''));
		const { element } = await held;
		assert.deepEqual(element.children.map(({ attributes }) => attributes.id), Array.from({ length: N_TOGETHER }, (_, i) => `i${i}`));
		await end();
	});
}

// Returns what tells whether the gateway still has that connection: what only the kernel has, to end it, is of inode 0.
function watchConnection({ socket }) {
	const [ours, theirs] = [socket.remotePort, socket.localPort].map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
	return function isHeld() {
		const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
		// The kernel may use our port for a connection to another server, too.
		return rows.some(([, local, remote, , , , , , , inode]) => local?.endsWith(ours) && remote.endsWith(theirs) && inode !== '0');
	};
}

test('a server that ends its stream and then does nothing is let go', TIMEOUT, async () => {
	const { socket, connection } = await TRANSPORTS.WebSocket('clear');
	const isHeld = watchConnection(connection);
	// The scripted server would answer the gateway's FIN.
	connection.socket.removeAllListeners('end');
	await connection.send('</stream:stream>');
	assert.equal((await socket.next()).name, 'close');
	await socket.nextClose();
	socket.socket.end();
	await until(() => connection.streamEnds === 1, 5000, 'our </stream:stream>');
	assert.ok(!connection.socket.destroyed && connection.socket.writable, 'the server keeps its half');
	assert.ok(isHeld());
	await until(() => !isHeld(), 15000, 'the end of the connection');
	connection.socket.destroy();
});

test('a server that closes its half in the middle of a session ends it', TIMEOUT, async () => {
	const { client, connection } = await TRANSPORTS.BOSH('clear');
	const isHeld = watchConnection(connection);
	const held = client.request();
	assert.ok(isHeld());
	connection.socket.removeAllListeners('end');
	connection.socket.end('<message id=\'last\'/>');
	const first = await held;
	assert.equal(first.element.children[0]?.attributes.id, 'last', first.text);
	const last = first.element.attributes.type === 'terminate' ? first : await client.request();
	assertTerminated(last, 'remote-connection-failed');
	client.close();
	await until(() => !isHeld(), 15000, 'the end of the connection');
	connection.socket.destroy();
});
