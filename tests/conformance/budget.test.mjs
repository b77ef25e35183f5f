// The bounds on what clients hold before they have logged in: the oldest slow sender is cut off, the others go on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { assertDated, assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until, untilRead, within } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';
import { parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const KB = 1024;
// A body of which 16,000 bytes are here is held in 16 KB: so many of them fit the limits below.
const BODY = 20000;
const SENT = 16000;
const FIT = 12;
const LIMITS = { body_bytes: BODY, login_message_bytes: BODY, login_bytes_per_address: FIT * 16 * KB, login_bytes: 2 * FIT * 16 * KB };
// What a TLS message counts of which a part has come, and when it counts in a handshake.
const HANDSHAKE = 176 * KB;
const COUNTED_MS = 2000;
const ORIGIN = 'https://chat.example.org';

async function withStage(config, use, scenarios = { plain: 'plain' }) {
	const stage = await Stage.open(scenarios, { workers: 1, ...LIMITS, ...config });
	try {
		await use(stage);
	} finally {
		await stopAll(stage);
	}
}

const HEAD = `<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='nosuch'><m xmlns='jabber:client'>`;
const TAIL = '</m></body>';

// A request of which the end does not come by itself.
async function sendSlowly(port, { from, headers = {}, n = SENT } = {}) {
	const connection = await HttpConnection.open(port, '127.0.0.1', from);
	const text = HEAD + 'x'.repeat(n - HEAD.length);
	connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': n + TAIL.length, Origin: ORIGIN, ...headers }) + text);
	connection.finish = () => {
		connection.write(TAIL);
		return connection.response();
	};
	return connection;
}

async function sendMany(n, port, options) {
	const connections = [];
	for (let i = 0; i < n; i++) {
		connections.push(await sendSlowly(port, options));
		await sleep(2); // so that they arrive in this order
	}
	return connections;
}

const closeAll = (...connections) => connections.flat().forEach((connection) => connection.close());

async function assertCut(connection) {
	const answer = await connection.response();
	assert.equal(answer.status, 503);
	assert.equal(answer.headers.connection, 'close');
	assertDated(answer);
	assert.equal(answer.headers['access-control-allow-origin'], '*');
	assert.match(answer.headers['content-type'], /^text\/plain/);
	assert.match(answer.text, /\w+ \w+/);
	await connection.closed;
}

test('request bodies of one client: n are held, one more cuts off the oldest', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const connections = await sendMany(FIT, stage.port);
		await sleep(300);
		assert.equal(stage.doab.events.some(({ event }) => event === 'request-dropped'), false);
		const last = await sendSlowly(stage.port);
		await assertCut(connections[0]);
		const line = await stage.doab.logged('request-dropped', { client: '127.0.0.1', failure: 'too-many-bytes' });
		assert.equal(line.level, 'warning');
		// What the others sent is not lost.
		for (const connection of [...connections.slice(1), last]) {
			const answer = await connection.finish();
			assertTerminated({ ...answer, element: parse(answer.text) }, 'item-not-found');
		}
		assert.equal(stage.doab.events.filter(({ event }) => event === 'request-dropped').length, 1);
		closeAll(connections, last);
	});
});

test('what is finished is given back', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		for (let round = 0; round < 5; round++) {
			const connections = await sendMany(FIT, stage.port);
			for (const connection of connections) {
				assert.equal((await connection.finish()).status, 200);
			}
			const broken = await sendMany(FIT, stage.port);
			closeAll(connections);
			// Each is closed by the gateway, too, before the next ones come.
			broken.forEach(({ socket }) => socket.end());
			await Promise.all(broken.map(({ closed }) => closed));
		}
		assert.equal(stage.doab.events.some(({ event }) => event === 'request-dropped'), false);
	});
});

test('one client cannot have another one cut off, as long as all together do not hold too much', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const victim = await sendSlowly(stage.port, { from: '127.0.0.2' });
		const attack = await sendMany(3 * FIT, stage.port, { from: '127.0.0.3' });
		for (const connection of attack.slice(0, 2 * FIT)) {
			await assertCut(connection);
		}
		assert.equal((await victim.finish()).status, 200);
		closeAll(attack, victim);
	});
});

test('all clients together: the oldest of all goes', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const first = await sendMany(8, stage.port, { from: '127.0.0.2' });
		const others = await sendMany(8, stage.port, { from: '127.0.0.3' });
		others.push(...await sendMany(8, stage.port, { from: '127.0.0.4' }));
		await sleep(300);
		assert.equal(stage.doab.events.some(({ event }) => event === 'request-dropped'), false);
		others.push(await sendSlowly(stage.port, { from: '127.0.0.5' }));
		await assertCut(first[0]);
		await stage.doab.logged('request-dropped', { client: '127.0.0.2' });
		for (const connection of [...first.slice(1), ...others]) {
			assert.equal((await connection.finish()).status, 200);
		}
		closeAll(first, others);
	});
});

test('clients behind a trusted proxy are told apart', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.0/8'] }, async (stage) => {
		const attack = await sendMany(FIT, stage.port, { headers: { 'X-Forwarded-For': '192.0.2.1' } });
		const neighbour = await sendSlowly(stage.port, { headers: { 'X-Forwarded-For': '192.0.2.2' } });
		const last = await sendSlowly(stage.port, { headers: { 'X-Forwarded-For': '192.0.2.1' } });
		await assertCut(attack[0]);
		await stage.doab.logged('request-dropped', { client: '192.0.2.1' });
		assert.equal((await neighbour.finish()).status, 200);
		closeAll(attack, neighbour, last);
	});
});

test('a slow sender on another worker is cut off, too', TIMEOUT, async () => {
	await withStage({ workers: 4 }, async (stage) => {
		const connections = await sendMany(4 * FIT, stage.port);
		// Each worker reads its own in their order, but not all together: how many are cut off is certain, not which.
		const isAnswered = ({ buffer }) => buffer.length > 0;
		await until(() => connections.filter(isAnswered).length >= 3 * FIT, 15000, 'answers to all that do not fit');
		const cut = connections.filter(isAnswered);
		for (const connection of cut) {
			await assertCut(connection);
		}
		const others = connections.filter((connection) => !cut.includes(connection));
		assert.equal(others.length, FIT);
		for (const connection of others) {
			assert.equal((await connection.finish()).status, 200);
		}
		closeAll(connections);
	});
});

test('a client that is cut off and goes on sending is not read for ever', TIMEOUT, async () => {
	await withStage({ header_timeout: 60 }, async (stage) => {
		// Unlike others, this one does not end its own side when it has read the answer.
		const slow = net.connect({ port: stage.port, host: '127.0.0.1', allowHalfOpen: true });
		const gone = new Promise((resolve) => slow.once('close', resolve).once('error', resolve));
		let answer = '';
		slow.setEncoding('latin1').on('data', (data) => (answer += data));
		const chunk = `${(4 * KB).toString(16)}\r\n${'x'.repeat(4 * KB)}\r\n`;
		slow.write(HttpConnection.requestHead('POST', '/http-bind', { 'Transfer-Encoding': 'chunked' }) + chunk.repeat(3));
		await untilRead(slow);
		const others = await sendMany(FIT, stage.port);
		await until(() => answer.includes('503'), 10000, 'an answer');
		const drip = setInterval(() => slow.write(chunk), 100);
		await within(gone, 20000, 'the end of the connection');
		clearInterval(drip);
		closeAll(others);
	});
});

test('bodies that are too large keep no memory but for their beginning', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const connections = [];
		for (let i = 0; i < 2 * FIT; i++) {
			const connection = await HttpConnection.open(stage.port);
			connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': 5 * BODY }) + 'x'.repeat(2 * BODY));
			connections.push(connection);
		}
		await sleep(300);
		assert.equal(stage.doab.events.some(({ event }) => event === 'request-dropped'), false);
		closeAll(connections);
	});
});

test('clients are served while others attack from one address and from many', TIMEOUT, async () => {
	await withStage({ workers: 2 }, async (stage) => {
		let isOver = false;
		const attack = async (from) => {
			const connections = [];
			while (!isOver) {
				connections.push(await sendSlowly(stage.port, { from }).catch(() => ({ close() {} })));
				if (connections.length > 60) {
					connections.shift().close();
				}
				await sleep(1);
			}
			closeAll(connections);
		};
		const attacks = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'].map(attack);
		await stage.doab.logged('request-dropped');
		for (let i = 0; i < 5; i++) {
			const client = new BoshClient(stage.port);
			await client.login('plain.test');
			const message = `<message xmlns='jabber:client' id='m${i}'><body>${'y'.repeat(15000)}</body></message>`;
			await client.exchange(message, ({ name, attributes }) => name === 'message' && attributes.id === `m${i}`);
			await client.terminate();
			client.close();
		}
		isOver = true;
		await Promise.all(attacks);
	});
});

const wasEvicted = (doab) => /too-many-bytes/.test(doab.log);

// Adds what @add makes until something had to go, and returns all of them; the oldest first. @add waits until the gateway has it.
async function addUntilEvicted(stage, add, most) {
	const all = [];
	while (!wasEvicted(stage.doab)) {
		assert.ok(all.length < most, `${most} of them, and nothing was evicted`);
		all.push(await add(all.length));
		await stage.doab.readLog();
	}
	return all;
}

async function sendUnfinished(socket) {
	socket.frame(OPCODE.text, `<message xmlns='jabber:client'><body>${'x'.repeat(SENT)}`, { fin: false });
	await untilRead(socket.socket);
	return socket;
}

test('unfinished WebSocket messages: the oldest client is told why it has to go', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const sockets = await addUntilEvicted(stage, async () => {
			const socket = await openWebSocket(stage.port);
			await socket.start('plain.test');
			return sendUnfinished(socket);
		}, FIT);
		const error = await assertStreamError(sockets[0], 'policy-violation', { open: false });
		assert.match(error.at('text').text, /\w+ \w+/);
		await stage.doab.logged('session-failed', { transport: 'websocket', failure: 'too-many-bytes' });
		for (const socket of sockets.slice(1)) {
			socket.frame(OPCODE.continuation, '</body></message>');
			assert.equal((await socket.next()).name, 'message');
		}
		sockets.forEach((socket) => socket.drop());
	});
});

test('unfinished WebSocket messages before <open/>', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const sockets = await addUntilEvicted(stage, () => openWebSocket(stage.port).then(sendUnfinished), FIT);
		await assertStreamError(sockets[0], 'policy-violation', { open: true });
		sockets.forEach((socket) => socket.drop());
	});
});

test('names that cost more memory than they have bytes count as what they cost', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const names = Array.from({ length: 800 }, (_, i) => `<n${i}/>`).join('');
		assert.ok(names.length < SENT / 2);
		const sockets = await addUntilEvicted(stage, async () => {
			const socket = await openWebSocket(stage.port);
			socket.frame(OPCODE.text, `<message xmlns='jabber:client'>${names}`, { fin: false });
			await untilRead(socket.socket);
			return socket;
		}, FIT);
		await assertStreamError(sockets[0], 'policy-violation', { open: true });
		sockets.forEach((socket) => socket.drop());
	});
});

test('what clients send after their login does not count', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const sockets = [];
		const bodies = [];
		for (let i = 0; i < 2 * FIT; i++) {
			const socket = await openWebSocket(stage.port);
			await socket.login('plain.test');
			sockets.push(await sendUnfinished(socket));
			const client = new BoshClient(stage.port);
			await client.login('plain.test');
			// Its predecessor does not come.
			client.request(`<message xmlns='jabber:client'><body>${'y'.repeat(15000)}</body></message>`, { rid: client.rid + 2 });
			bodies.push(client);
		}
		for (const socket of sockets) {
			socket.frame(OPCODE.continuation, '</body></message>');
			assert.equal((await socket.next()).name, 'message');
			socket.drop();
		}
		assert.equal(wasEvicted(stage.doab), false);
		bodies.forEach((client) => client.close());
	});
});

test('BOSH requests whose predecessors do not come: the oldest session is told why it has to go', TIMEOUT, async () => {
	await withStage({}, async (stage) => {
		const sessions = await addUntilEvicted(stage, async () => {
			const client = new BoshClient(stage.port);
			await client.create('plain.test');
			await client.features();
			client.early = client.request(`<message xmlns='jabber:client'><body>${'y'.repeat(15000)}</body></message>`, { rid: client.rid + 2 });
			await stage.doab.hasRequest(client, client.rid + 2);
			return client;
		}, FIT);
		const answer = await sessions[0].early;
		assertTerminated(answer, 'policy-violation');
		await stage.doab.logged('session-failed', { transport: 'bosh', failure: 'too-many-bytes' });
		assertTerminated(await sessions[0].request(), 'item-not-found');
		// The last one: on a slow machine a few more have gone before the first was told.
		assert.equal((await sessions.at(-1).request()).element.attributes.type, undefined);
		sessions.forEach((client) => client.close());
	});
});

// A server that sends a part of its features, and no more.
const HALF = [{ await: 'header' }, { send: '<?xml version="1.0"?><stream:stream xmlns="jabber:client" ' +
	'xmlns:stream="http://etherx.jabber.org/streams" id="half" version="1.0"><stream:features><x xmlns="urn:x">' + 'z'.repeat(60000) }, { pause: 600000 }];

test('what a server sends before the login counts for the client', TIMEOUT, async () => {
	await withStage({ open_timeout: 60 }, async (stage) => {
		const sockets = await addUntilEvicted(stage, async (i) => {
			const socket = await openWebSocket(stage.port);
			socket.open('half.test');
			const connection = await stage.servers.half.connection(i);
			await until(() => connection.socket.bytesWritten > 60000, 15000, 'a part of the features');
			await untilRead(connection.socket);
			return socket;
		}, FIT);
		await assertStreamError(sockets[0], 'policy-violation', { open: true });
		sockets.forEach((socket) => socket.drop());
	}, { half: HALF });
});

// TLS from the first byte. The server announces a long message, and does not send it.
async function startHalfHandshakes() {
	const MESSAGE = Buffer.from('16030300280200400303', 'hex'); // a record of 40 bytes with the beginning of a ServerHello of 16 KB
	const sockets = [];
	const server = net.createServer((socket) => {
		sockets.push(socket);
		socket.on('error', () => {}).once('data', () => socket.write(Buffer.concat([MESSAGE, Buffer.alloc(34)])));
	});
	await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
	return { port: server.address().port, sockets, stop: () => { server.close(); sockets.forEach((socket) => socket.destroy()); } };
}

test('handshakes that servers begin and do not end: n are held, one more ends the oldest session', TIMEOUT, async () => {
	const server = await startHalfHandshakes();
	const config = { login_bytes_per_address: (FIT + 0.5) * HANDSHAKE, login_bytes: 2 * FIT * HANDSHAKE, log_level: 'info', open_timeout: 60,
		domains: { 'half.test': { connect: [`127.0.0.1:${server.port}`], tls: 'direct' } } };
	const open = async (stage) => {
		const socket = await openWebSocket(stage.port);
		socket.open('half.test');
		return socket;
	};
	try {
		await withStage(config, async (stage) => {
			const sockets = await Promise.all(Array.from({ length: FIT }, () => open(stage)));
			await until(() => server.sockets.length === FIT, 10000, 'the connections to the server');
			await sleep(COUNTED_MS);
			assert.ok(!stage.doab.log.includes('session-failed'), stage.doab.log.slice(-1000));
			sockets.push(await open(stage));
			const failure = await stage.doab.logged('session-failed');
			assert.equal(failure.failure, 'too-many-bytes');
			sockets.forEach((socket) => socket.drop());
		});
	} finally {
		server.stop();
	}
});

test('200 clients behind one address are served at the default limits', TIMEOUT, async () => {
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, log_level: 'info' });
	try {
		const message = (i) => `<message xmlns='jabber:client' id='m${i}'><body>${'y'.repeat(30000)}</body></message>`;
		await Promise.all(Array.from({ length: 200 }, async (_, i) => {
			if (i % 2) {
				const client = new BoshClient(stage.port);
				await client.login('plain.test');
				await client.exchange(message(i), ({ name, attributes }) => name === 'message' && attributes.id === `m${i}`);
				await client.terminate();
				client.close();
				return;
			}
			const socket = await openWebSocket(stage.port);
			await socket.login('plain.test');
			socket.send(message(i));
			assert.equal((await socket.next()).attributes.id, `m${i}`);
			await socket.finish();
		}));
		assert.equal(wasEvicted(stage.doab), false);
	} finally {
		await stage.stop();
	}
	assert.equal(wasEvicted(stage.doab), false);
});

const residentMb = (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / KB;
const virtualMb = (pid) => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / KB;

test('hundreds of slow bodies of one address do not stay in memory at the default limits', TIMEOUT, async (t) => {
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, log_level: 'info' });
	const pid = stage.doab.serverPid;
	try {
		if (virtualMb(pid) > KB * KB) {
			t.skip('under the address sanitizer memory is not given back at once');
			return;
		}
		const before = residentMb(pid);
		const n = 250 * KB;
		const connections = await sendMany(490, stage.port, { n });
		await stage.doab.logged('request-dropped');
		await sleep(500);
		const grown = residentMb(pid) - before;
		assert.ok(grown < 490 * n / KB / KB / 2, `${grown} MB more`);
		closeAll(connections);
	} finally {
		await stage.stop();
	}
});
