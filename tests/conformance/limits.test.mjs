// Limits on how much one client, and all of them, may have; and who the client is.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const SESSIONS = 5;
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { sessions_per_address: SESSIONS, max_sessions: 8, trusted_proxies: ['127.0.0.0/8'], workers: 2 });
});
after(() => stopAll(stage));

const from = (address) => ({ 'X-Forwarded-For': address });

test('sessions_per_address counts both transports, and a place is given back', TIMEOUT, async () => {
	const clients = [];
	for (let i = 0; i < SESSIONS - 1; i++) {
		const client = new BoshClient(stage.port, { headers: from('192.0.2.1') });
		await client.create('plain.test');
		clients.push(client);
	}
	const socket = await openWebSocket(stage.port, { headers: from('192.0.2.1') });
	await socket.login('plain.test');
	assertTerminated(await new BoshClient(stage.port, { headers: from('192.0.2.1') }).create('plain.test'), 'policy-violation');
	const legacy = new BoshClient(stage.port, { headers: from('192.0.2.1') });
	assertTerminated(await legacy.post(legacy.bodyText({ rid: 5, to: 'plain.test' })), 'policy-violation', 403);
	const refused = await openWebSocket(stage.port, { headers: from('192.0.2.1') });
	refused.open('plain.test');
	await assertStreamError(refused, 'policy-violation', { open: true });
	const neighbour = new BoshClient(stage.port, { headers: from('192.0.2.2') });
	assert.equal((await neighbour.create('plain.test')).element.attributes.type, undefined);
	await socket.finish();
	await until(async () => {
		const client = new BoshClient(stage.port, { headers: from('192.0.2.1') });
		const answer = await client.create('plain.test');
		clients.push(client);
		return answer.element.attributes.sid;
	}, 5000, 'the place of the session that ended');
	for (const client of [...clients, neighbour]) {
		await client.terminate().catch(() => {});
	}
});

test('max_sessions bounds all clients together', TIMEOUT, async () => {
	await sleep(300);
	const clients = [];
	let refused;
	for (let i = 0; i < 12 && !refused; i++) {
		const client = new BoshClient(stage.port, { headers: from(`198.51.100.${i}`) });
		const answer = await client.create('plain.test');
		if (answer.element.attributes.type === 'terminate') {
			refused = answer;
		} else {
			clients.push(client);
		}
	}
	assert.equal(clients.length, 8);
	assertTerminated(refused, ['policy-violation', 'internal-server-error']);
	for (const client of clients) {
		await client.terminate();
	}
});

test('the client\'s address comes from X-Forwarded-For: the right-most that is no trusted proxy', TIMEOUT, async () => {
	await sleep(300);
	const client = new BoshClient(stage.port, { headers: from('203.0.113.66, 203.0.113.7, 127.0.0.9') });
	await client.create('plain.test');
	await stage.doab.readLog();
	assert.match(stage.doab.log, /client="?203\.0\.113\.7\b/);
	assert.doesNotMatch(stage.doab.log, /client="?203\.0\.113\.66\b/);
	await client.terminate();
});

test('X-Forwarded-For of a peer that is no trusted proxy is not believed', TIMEOUT, async () => {
	const own = await Stage.open();
	try {
		const client = new BoshClient(own.port, { headers: from('203.0.113.8') });
		await client.create('plain.test');
		const socket = await openWebSocket(own.port, { headers: from('203.0.113.8') });
		await socket.login('plain.test');
		socket.drop();
		await own.doab.readLog();
		assert.doesNotMatch(own.doab.log, /203\.0\.113\.8/);
		assert.match(own.doab.log, /client="?127\.0\.0\.1/);
	} finally {
		await own.stop();
	}
});

test('connections_per_address: those above it are closed, those that end make room', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { connections_per_address: 10 });
	try {
		const connections = [];
		for (let i = 0; i < 10; i++) {
			const connection = await HttpConnection.open(own.port);
			assert.equal((await connection.request('GET', '/crossdomain.xml')).status, 200);
			connections.push(connection);
		}
		const late = await HttpConnection.open(own.port);
		const answer = await late.request('GET', '/crossdomain.xml', { ms: 5000 }).catch(() => ({ status: 'closed' }));
		assert.ok(['closed', 429, 503].includes(answer.status), `status ${answer.status}`);
		late.close();
		connections.forEach((connection) => connection.close());
		await until(async () => {
			const connection = await HttpConnection.open(own.port);
			const again = await connection.request('GET', '/crossdomain.xml', { ms: 5000 }).catch(() => ({}));
			connection.close();
			return again.status === 200;
		}, 5000, 'room again');
	} finally {
		await own.stop();
	}
});
