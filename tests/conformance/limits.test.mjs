// Limits on how much one client, and all of them, may have; and who the client is.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { readMetrics } from '../support/fault-leftovers.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, stopAll, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const SESSIONS = 5;
let stage;
let admin;

before(async () => {
	admin = await freePort();
	stage = await Stage.open({ plain: 'plain' }, { sessions_per_address: SESSIONS, max_sessions: 8, trusted_proxies: ['127.0.0.0/8'], workers: 2,
		admin: `127.0.0.1:${admin}` });
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

// The clients of the test before are not counted any more.
const allPlacesAreFree = () => until(async () => await (await readMetrics(admin))('doab_sessions') === 0, 15000, 'the end of all sessions');

test('max_sessions bounds all clients together', TIMEOUT, async () => {
	await allPlacesAreFree();
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
	await allPlacesAreFree();
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

test('behind a trusted proxy, a client\'s WebSockets are its connections before they say a word', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { connections_per_address: 3, trusted_proxies: ['127.0.0.1'] });
	try {
		const sockets = [];
		for (let i = 0; i < 3; i++) {
			sockets.push(await openWebSocket(own.port, { headers: from('192.0.2.1') }));
		}
		const refused = await openWebSocket(own.port, { headers: from('192.0.2.1') });
		assert.equal(refused.status, 503);
		await own.doab.logged('connection-refused', { client: '192.0.2.1', limit: 'connections_per_address' });
		const neighbour = await openWebSocket(own.port, { headers: from('192.0.2.2') });
		await neighbour.start('plain.test');
		sockets[0].drop();
		await until(() => openWebSocket(own.port, { headers: from('192.0.2.1') })
			.then((socket) => !socket.refused && sockets.push(socket)), 5000, 'room again');
		[...sockets, neighbour].forEach((socket) => socket.drop());
	} finally {
		await own.stop();
	}
});

test('9,000 connections of one address: it gets what one may have, and another client is served', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { workers: 2 });
	try {
		const open = new Set();
		const connect = () => new Promise((resolve) => {
			const socket = net.connect({ port: own.port, host: '127.0.0.1', localAddress: '127.0.0.66' });
			socket.on('connect', () => open.add(socket) && resolve()).on('error', resolve).on('close', () => open.delete(socket) && resolve());
			// Who is refused learns it by the end of the connection.
			socket.resume();
		});
		const flood = (async () => {
			for (let i = 0; i < 9000; i += 300) {
				await Promise.all(Array.from({ length: 300 }, connect));
			}
		})();
		for (let i = 0; i < 5; i++) {
			const client = new BoshClient(own.port);
			await client.login('plain.test');
			await client.terminate();
		}
		await flood;
		await own.doab.logged('connection-refused', { client: '127.0.0.66', limit: 'connections_per_address' });
		await until(() => open.size <= 500, 10000, 'the end of those above the limit');
		open.forEach((socket) => socket.destroy());
	} finally {
		await own.stop();
	}
});

test('connection_rate, session_rate and domain_session_rate: at the limit and one above', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain', other: 'plain' },
		{ connection_rate: '20/3600', session_rate: '3/3600', domain_session_rate: '5/3600', trusted_proxies: ['127.0.0.1'] });
	try {
		const create = async (client, domain) => (await new BoshClient(own.port, { headers: from(client) }).create(domain)).element;
		for (let i = 0; i < 3; i++) {
			assert.equal((await create('192.0.2.1', 'plain.test')).attributes.type, undefined);
		}
		const fourth = await create('192.0.2.1', 'other.test');
		assert.equal(fourth.attributes.condition, 'policy-violation');
		assert.match(fourth.text, /too many new sessions within a short time; try again later$/);
		await own.doab.logged('session-refused', { client: '192.0.2.1', failure: 'too-fast', detail: 'of this client' });
		for (let i = 0; i < 2; i++) {
			assert.equal((await create('192.0.2.2', 'plain.test')).attributes.type, undefined);
		}
		assert.equal((await create('192.0.2.3', 'plain.test')).attributes.condition, 'policy-violation');
		await own.doab.logged('session-refused', { client: '192.0.2.3', failure: 'too-fast', detail: 'to this domain' });
		assert.equal((await create('192.0.2.3', 'other.test')).attributes.type, undefined);
		const connect = () => HttpConnection.open(own.port, '127.0.0.1', '127.0.0.9');
		for (let i = 0; i < 20; i++) {
			const connection = await connect();
			assert.equal((await connection.request('GET', '/crossdomain.xml')).status, 200);
			connection.close();
		}
		await assert.rejects(connect().then((connection) => connection.request('GET', '/crossdomain.xml', { ms: 5000 })));
		await own.doab.logged('connection-refused', { client: '127.0.0.9', limit: 'connection_rate' });
	} finally {
		await own.stop();
	}
});

test('request_rate ends a session that is too fast, over both transports', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { request_rate: '20/3600' });
	try {
		const client = new BoshClient(own.port);
		await client.create('plain.test');
		await client.features();
		let answer;
		let n = 0;
		do {
			answer = await client.request(`<message xmlns='jabber:client' id='m${n}'/>`);
		} while (answer.element.attributes.type !== 'terminate' && ++n < 40);
		assertTerminated(answer, 'policy-violation');
		assert.match(answer.element.text, /requests follow each other faster/);
		assert.ok(n >= 15 && n <= 20, `${n} requests`);
		const socket = await openWebSocket(own.port);
		await socket.login('plain.test');
		// <open/> twice, <auth/> and <iq/> were messages, too.
		for (let i = 0; i < 16; i++) {
			socket.send(`<message xmlns='jabber:client' id='m${i}'/>`);
			assert.equal((await socket.next()).attributes.id, `m${i}`);
		}
		socket.send("<message xmlns='jabber:client' id='late'/>");
		await assertStreamError(socket, 'policy-violation', { open: false });
	} finally {
		await own.stop();
	}
});

test('max_connections bounds all clients together', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { max_connections: 4 });
	try {
		const connect = (i) => HttpConnection.open(own.port, '127.0.0.1', `127.0.0.${i + 1}`);
		const connections = [];
		for (let i = 0; i < 4; i++) {
			connections.push(await connect(i));
			assert.equal((await connections[i].request('GET', '/crossdomain.xml')).status, 200);
		}
		const late = await connect(4);
		await assert.rejects(late.request('GET', '/crossdomain.xml', { ms: 5000 }));
		await own.doab.logged('connection-refused', { client: '127.0.0.5', limit: 'max_connections' });
		connections.forEach((connection) => connection.close());
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
