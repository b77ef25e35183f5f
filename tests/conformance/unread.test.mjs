// What a server has written to a client that takes nothing, and that the gateway has not read because of back-pressure, when the
// session ends: it goes back to its senders before the end of the stream, and none of it is lost in silence.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, suspend, until, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const PENDING_BYTES = 65536;
const N_BYTES = 8192;
// Beside what may be pending: far less than what two kernels take, so that the server has written all of it.
const N_STANZAS = 100;
const RETURNING_QUIET_MS = 2000; // returning.h

// Gives a gateway of its own to @use: the tests mostly wait, and run beside each other.
async function withStage(use, { inactivity = 60 } = {}) {
	const stage = await Stage.open({ plain: 'no-echo' }, { pending_bytes: PENDING_BYTES, wait: 5, inactivity, ping_interval: 0 });
	try {
		await use(stage);
	} finally {
		await stage.stop();
	}
}

// Where the end of the session is waited for.
const SOON = { inactivity: 5 };

const MANAGED = '<enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/>';
const stanza = (i) => `<message from='a@else.test/x' to='user@plain.test/scripted' id='n${i}'><body>${'y'.repeat(N_BYTES)}</body></message>`;
const idsUpTo = (n) => Array.from({ length: n }, (_, i) => `n${i}`);

async function absentSession(on, first = '') {
	const client = new BoshClient(on.port);
	await client.login('plain.test');
	const connection = await on.connectionOf('plain');
	if (first) {
		connection.send(first);
		await client.request();
	}
	connection.nBefore = connection.elements.length;
	for (let i = 0; i < N_STANZAS; i++) {
		connection.send(stanza(i));
	}
	await connection.writes;
	await on.doab.readsNoMoreOf(connection.socket);
	return { client, connection };
}

const told = (connection) => connection.elements.slice(connection.nBefore);

async function assertAllReturned(connection, n = N_STANZAS) {
	await connection.end(20000);
	assert.deepEqual(told(connection).map(({ attributes }) => attributes.id), idsUpTo(n));
	for (const { name, attributes, text } of told(connection)) {
		assert.deepEqual([name, attributes.type, attributes.to], ['message', 'error', 'a@else.test/x']);
		assert.match(text, /y<\/body>.*<recipient-unavailable /);
	}
	assert.equal(connection.streamEnds, 1);
	assert.match(connection.text.slice(-40), /<\/stream:stream>$/);
}

describe('unread', { concurrency: true }, () => {
	test('BOSH, a client that is gone: all goes back, each once and in order, then the stream ends', TIMEOUT, () => withStage(async (stage) => {
		const { connection } = await absentSession(stage);
		await assertAllReturned(connection);
	}, SOON));

	test('BOSH, a client that breaks a rule: likewise', TIMEOUT, () => withStage(async (stage) => {
		const { client, connection } = await absentSession(stage);
		await client.request('', { rid: client.rid + 100 });
		await assertAllReturned(connection);
	}));

	test('BOSH, the gateway stands still while all goes back: what comes meanwhile is not taken for silence', TIMEOUT, () => withStage(async (stage) => {
		const { client, connection } = await absentSession(stage);
		const stopped = new Promise((resolve) => {
			// At once: when the last has gone back there is only a moment until the stream ends.
			const look = () => {
				if (told(connection).length) {
					connection.off('change', look);
					resolve(suspend(stage.doab.serverPid));
				}
			};
			connection.on('change', look);
		});
		await client.request('', { rid: client.rid + 100 });
		await within(stopped, 20000, 'the first that goes back');
		connection.send(stanza(N_STANZAS));
		await connection.writes;
		await sleep(RETURNING_QUIET_MS + 500);
		process.kill(stage.doab.serverPid, 'SIGCONT');
		await assertAllReturned(connection, N_STANZAS + 1);
	}));

	test('BOSH, a client that says goodbye: it is told what was read, and the rest goes back', TIMEOUT, () => withStage(async (stage) => {
		const { client, connection } = await absentSession(stage);
		const end = await client.terminate();
		const received = end.element.children.map(({ attributes }) => attributes.id);
		await connection.end(20000);
		const returned = told(connection).map(({ attributes }) => attributes.id);
		assert.ok(received.length && returned.length, `${received.length} received, ${returned.length} returned`);
		assert.deepEqual([...received, ...returned], idsUpTo(N_STANZAS));
		assert.equal(connection.streamEnds, 1);
	}));

	test('BOSH, the gateway stops: likewise, before it is gone', TIMEOUT, async () => {
		const own = await Stage.open({ plain: 'no-echo' }, { pending_bytes: PENDING_BYTES });
		let isStopped = false;
		try {
			const { connection } = await absentSession(own);
			await own.doab.stop();
			isStopped = true;
			await assertAllReturned(connection);
		} finally {
			await (isStopped ? stopAll(...Object.values(own.servers)) : own.stop());
		}
	});

	test('BOSH, the server manages the stream (XEP-0198): nothing goes back, and the stream does not end', TIMEOUT, () => withStage(async (stage) => {
		const { connection } = await absentSession(stage, MANAGED);
		await connection.end(20000);
		assert.deepEqual(told(connection), []);
		assert.equal(connection.streamEnds, 0);
	}, SOON));

	// Servers that go on sending would otherwise keep the connections of ever more clients that are gone.
	test('so many sessions of a worker return at a time, and one more ends the oldest', TIMEOUT, async () => {
		const header = readFileSync(new URL('../../gateway/xmpp/link-env.h', import.meta.url), 'utf8');
		const nMax = Number(/LINK_RETURNING_MAX = (\d+)/.exec(header)[1]);
		const own = await Stage.open({ plain: 'no-echo' }, { pending_bytes: PENDING_BYTES, workers: 1 });
		const sessions = [];
		for (let i = 0; i <= nMax; i++) {
			const client = new BoshClient(own.port);
			await client.login('plain.test');
			const connection = await own.connectionOf('plain');
			for (let j = 0; j * N_BYTES <= PENDING_BYTES; j++) {
				connection.send(stanza(j));
			}
			sessions.push({ client, connection });
		}
		const pulse = setInterval(() => sessions.forEach(({ connection }) => connection.send('<presence/>')), 200);
		const ended = () => sessions.flatMap(({ connection }, i) => (connection.streamEnds ? [i] : []));
		try {
			for (const { client } of sessions.slice(0, nMax)) {
				await client.terminate();
			}
			assert.deepEqual(ended(), []);
			await sessions[nMax].client.terminate();
			await until(() => ended().length, 5000, 'a stream ends');
			assert.deepEqual(ended(), [0]);
		} finally {
			clearInterval(pulse);
			await own.stop();
		}
	});

	// What had been passed on to the client's kernel, or waits for it, is not known to be lost, and does not go back.
	test('WebSocket, a client that is gone: what was not read for it goes back', TIMEOUT, () => withStage(async (stage) => {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		const connection = await stage.connectionOf('plain');
		connection.socket.setMaxListeners(0);
		connection.nBefore = connection.elements.length;
		socket.socket.pause();
		let n = 0;
		// Until nobody takes more.
		for (; connection.socket.writableLength < N_BYTES; n++) {
			connection.send(stanza(n));
			await sleep(0);
		}
		await stage.doab.readsNoMoreOf(connection.socket);
		socket.socket.resetAndDestroy();
		await until(() => connection.hasEnded, 20000, 'the end of the stream');
		const returned = told(connection).map(({ attributes }) => attributes.id);
		const all = idsUpTo(n);
		const first = all.indexOf(returned[0]);
		assert.ok(first > 0 && returned.length > 32, `${returned[0]} to ${returned.at(-1)} of ${n}`);
		assert.deepEqual(returned, all.slice(first, first + returned.length), 'without a gap');
		told(connection).forEach(({ attributes }) => assert.equal(attributes.type, 'error'));
		assert.equal(connection.streamEnds, 1);
	}));
});
