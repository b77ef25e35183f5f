// Who does not read stops whoever writes to him: the gateway keeps what its limits say and no more, and loses nothing.
//
// Each test offers far more than all limits and the kernel's buffers together, looks at what the process has grown by while
// nobody reads, and then reads all of it. Kernel buffers do not count as the process's memory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder, until, untilStill, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const MEGABYTE = 1024 * 1024;
const N_SESSIONS = 3;
// More than kernels take: Linux lets a socket's buffer grow to 32 MB, and there are two connections.
const N_STANZAS = 800;
const N_BYTES = 64 * 1024;
const SETTLE_MS = 1500;
const PENDING_BYTES = 262144;
// Of a server, at once. What is read when less is pending than that, and an element that began before, comes on top of it.
const READ_BYTES = 288 * 1024;
const ANSWER_BYTES = PENDING_BYTES + READ_BYTES + N_BYTES + 1024;
// What one session may hold, at most: a queue up to its high water (256 KB), the stanza above it, one that is half there, and
// what allocating in powers of two adds; and the rest of the process.
const SESSION_BYTES = MEGABYTE;
const PROCESS_BYTES = 4 * MEGABYTE;
let folder;
let stage;

before(async () => {
	folder = temporaryFolder('backpressure');
	const authority = new Authority(folder);
	const { cert, keyText: key } = authority.issue('secure', ['secure.test']);
	stage = await Stage.open(
		{ clear: 'plain', secure: { script: 'direct-tls', tls: { cert, key }, section: { tls: 'direct', ca_file: authority.certificate } } },
		{ pending_bytes: PENDING_BYTES, ping_interval: 0, log_level: 'info', wait: 20 });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

const status = (key) => 1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${stage.doab.serverPid}/status`, 'utf8'))[1]);

// A sanitizer reserves terabytes of addresses, and keeps what is freed: there is nothing to see then.
const isMeasurable = () => status('VmSize') < 1024 * 1024 * MEGABYTE;

function assertBounded(rssBefore) {
	const grown = status('VmRSS') - rssBefore;
	const most = N_SESSIONS * SESSION_BYTES + PROCESS_BYTES;
	assert.ok(!isMeasurable() || grown <= most, `grown by ${grown} bytes, expected at most ${most}`);
}

const sessions = async (open) => {
	const all = [];
	for (let i = 0; i < N_SESSIONS; i++) {
		all.push(await open());
	}
	return all;
};

async function connectionOf(name) {
	const connection = await stage.connectionOf(name);
	connection.socket.setMaxListeners(0);
	return connection;
}

// The server writes; resolves when all is out. stanzas.sent tells how far it is.
function flood(connection) {
	const stanzas = { sent: 0 };
	stanzas.done = (async () => {
		for (; stanzas.sent < N_STANZAS; stanzas.sent++) {
			await connection.send(`<message id='b${stanzas.sent}'><body>${'y'.repeat(N_BYTES)}</body></message>`);
		}
	})();
	return stanzas;
}

const expectedIds = (letter) => Array.from({ length: N_STANZAS }, (_, i) => `${letter}${i}`);
// It is not echoed.
const upward = (i) => `<iq xmlns='jabber:client' type='result' id='u${i}'><q xmlns='urn:x'>${'x'.repeat(N_BYTES)}</q></iq>`;

// The server reads on: resolves with the ids of the @n stanzas that it gets. They are not taken apart as they come: a slow
// reader on loopback lets the kernel wait for whole seconds.
async function readIds(connection, n) {
	const chunks = [];
	let nBytes = 0;
	connection.socket.removeAllListeners('data');
	connection.socket.on('data', (data) => {
		chunks.push(data);
		nBytes += data.length;
	});
	connection.socket.resume();
	await until(() => nBytes >= n * upward(0).length, 60000, `${n} stanzas`);
	return [...Buffer.concat(chunks).toString().matchAll(/<iq [^>]* id='(\w+)'/g)].map(([, id]) => id);
}

async function openBosh() {
	const client = new BoshClient(stage.port);
	await client.login('clear.test', { wait: 20 });
	return { client, connection: await connectionOf('clear') };
}

for (const name of ['clear', 'secure']) {
	const openSocket = async () => {
		const socket = await openWebSocket(stage.port);
		await socket.login(`${name}.test`);
		return { socket, connection: await connectionOf(name) };
	};

	test(`WebSocket clients that do not read stop their server (${name})`, TIMEOUT, async () => {
		const all = await sessions(openSocket);
		const rssBefore = status('VmRSS');
		all.forEach(({ socket }) => socket.socket.pause());
		const floods = all.map(({ connection }) => flood(connection));
		await untilStill(() => floods.map(({ sent }) => sent).join(), 'what is sent');
		floods.forEach(({ sent }) => assert.ok(sent < N_STANZAS, 'all of it went somewhere'));
		assertBounded(rssBefore);
		for (const { socket } of all) {
			socket.socket.resume();
			const ids = [];
			while (ids.length < N_STANZAS) {
				ids.push(/ id='(\w+)'/.exec(await socket.nextMessage())[1]);
			}
			assert.deepEqual(ids, expectedIds('b'));
			await socket.finish();
		}
		await Promise.all(floods.map(({ done }) => done));
	});

	test(`a server that does not read stops its WebSocket clients (${name})`, TIMEOUT, async () => {
		const all = await sessions(openSocket);
		const rssBefore = status('VmRSS');
		all.forEach(({ connection }) => connection.socket.pause());
		for (const { socket } of all) {
			for (let i = 0; i < N_STANZAS; i++) {
				socket.send(upward(i));
			}
		}
		await untilStill(() => all.map(({ socket }) => socket.socket.writableLength).join(), 'what waits to be sent');
		all.forEach(({ socket }) => assert.ok(socket.socket.writableLength > MEGABYTE, 'all of it went somewhere'));
		assertBounded(rssBefore);
		await Promise.all(all.map(async ({ socket, connection }) => {
			assert.deepEqual(await readIds(connection, N_STANZAS), expectedIds('u'));
			await socket.finish();
		}));
	});
}

test('BOSH clients that are away stop their server', TIMEOUT, async () => {
	const all = await sessions(openBosh);
	const rssBefore = status('VmRSS');
	const floods = all.map(({ connection }) => flood(connection));
	await untilStill(() => floods.map(({ sent }) => sent).join(), 'what is sent');
	floods.forEach(({ sent }) => assert.ok(sent < N_STANZAS, 'all of it went somewhere'));
	assertBounded(rssBefore);
	for (const { client } of all) {
		const ids = [];
		while (ids.length < N_STANZAS) {
			const { text } = await client.request();
			const found = [...text.matchAll(/<message[^>]* id='(\w+)'/g)].map(([, id]) => id);
			assert.ok(text.length <= ANSWER_BYTES, `an answer of ${text.length} bytes`);
			ids.push(...found);
		}
		assert.deepEqual(ids, expectedIds('b'));
		await client.terminate();
	}
	await Promise.all(floods.map(({ done }) => done));
});

test('a server that does not read lets its BOSH clients wait for their answers', TIMEOUT, async () => {
	const all = await sessions(openBosh);
	const rssBefore = status('VmRSS');
	const answeredInTime = (request) => Promise.race([request.then(() => true), sleep(SETTLE_MS).then(() => false)]);
	for (const one of all) {
		one.connection.socket.pause();
		// A request is answered when the next comes, unless the server is behind.
		one.n = 1;
		one.request = one.client.request(upward(0));
		for (let isAnswered = true; isAnswered && one.n < N_STANZAS; one.n++) {
			const next = one.client.request(upward(one.n));
			isAnswered = await answeredInTime(one.request);
			one.request = isAnswered ? next : Promise.all([one.request, next]);
		}
		assert.ok(one.n < N_STANZAS, 'all of it went somewhere');
	}
	assertBounded(rssBefore);
	await Promise.all(all.map(async ({ client, connection, request, n }) => {
		assert.deepEqual(await readIds(connection, n), expectedIds('u').slice(0, n));
		const ended = client.terminate();
		await within(request, 10000, 'the answers that waited');
		await ended;
	}));
});
