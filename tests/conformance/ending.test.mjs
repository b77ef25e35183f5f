// How sessions and the gateway end when one of them does not keep to the order of things; and servers without a version.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Doab } from '../support/doab.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, sleep, startChild, stopAll, temporaryFolder, until, within } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const OLD_HEADER = '<?xml version="1.0"?><stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" id="old" from="old.test">';

async function withStage(scenarios, config, use) {
	const stage = await Stage.open(scenarios, config);
	try {
		await use(stage);
	} finally {
		await stopAll(stage);
	}
}

test('a WebSocket on a keep-alive connection, whose client does not answer the close, does not hinder the end', TIMEOUT, async () => {
	const stage = await Stage.open({ plain: 'plain' });
	const connection = await HttpConnection.open(stage.port);
	assert.equal((await connection.request('GET', '/crossdomain.xml')).status, 200);
	const socket = await connection.upgrade();
	await socket.start('plain.test');
	const said = [];
	connection.socket.on('data', (data) => said.push(data));
	await stage.stop(); // fails unless the gateway ends well; the client says nothing
	assert.match(Buffer.concat(said).toString('latin1'), /system-shutdown/);
	assert.doesNotMatch(Buffer.concat(said).toString('latin1'), /HTTP\/1\.1/, 'nothing of HTTP behind the WebSocket');
	connection.close();
});

test('a signal right after the line `ready` is obeyed', TIMEOUT, async () => {
	for (let i = 0; i < 8; i++) {
		const stage = await Stage.open({}, { workers: 2 });
		await stage.stop();
		assert.ok(stage.doab.events.some(({ event }) => event === 'stopped'), stage.doab.log);
	}
});

// How long the gateway takes to stop, by its own log: the best of several, so that a busy machine does not count.
async function shortestStop(n, prepare) {
	const times = [];
	for (let i = 0; i < n; i++) {
		const stage = await Stage.open({ plain: 'plain' }, { workers: 2 });
		const connections = await prepare(stage);
		await stage.stop();
		connections.forEach((connection) => connection.close());
		const [from, to] = ['stopping', 'stopped'].map((name) => stage.doab.events.find(({ event }) => event === name).time);
		times.push(new Date(to) - new Date(from));
	}
	return Math.min(...times);
}

// As a browser does.
async function answerClose(socket) {
	for (let frame = await socket.nextFrame(); frame; frame = await socket.nextFrame()) {
		if (frame.opcode === OPCODE.close) {
			socket.frame(OPCODE.close, frame.payload);
		}
	}
}

const GRACE_MS = 1000;
const QUIET = {
	nobody: async () => [],
	'idle connections': async ({ port }) => {
		const connections = [];
		for (let i = 0; i < 4; i++) {
			connections.push(await HttpConnection.open(port));
			if (i < 3) {
				assert.equal((await connections[i].request('GET', '/')).status, 200);
			}
		}
		return connections;
	},
	'WebSockets whose clients answer the close': async ({ port }) => {
		const upgraded = await HttpConnection.open(port);
		await upgraded.request('GET', '/');
		const sockets = [await openWebSocket(port), await openWebSocket(port), await upgraded.upgrade()];
		for (const socket of sockets) {
			await socket.start('plain.test');
			answerClose(socket);
		}
		return [];
	},
	'a BOSH client whose request is held': async ({ port }) => {
		const client = new BoshClient(port);
		await client.create('plain.test');
		await client.features();
		client.request();
		return [client];
	},
};

for (const [what, prepare] of Object.entries(QUIET)) {
	test(`the gateway gives nobody time who does not need it: ${what}`, TIMEOUT, async () => {
		const ms = await shortestStop(5, prepare);
		assert.ok(ms < GRACE_MS / 2, `${ms} ms`);
	});
}

test('SIGTERM while requests come from all sides ends the gateway in order', TIMEOUT, async () => {
	for (let round = 0; round < 3; round++) {
		const stage = await Stage.open({ plain: 'plain' }, { workers: 3 });
		const clients = [];
		for (let i = 0; i < 12; i++) {
			const client = new BoshClient(stage.port);
			await client.create('plain.test');
			clients.push(client);
		}
		let isStopping = false;
		const loads = clients.map(async (client, i) => {
			while (!isStopping) {
				// A rid that is held again and again, over connections that land on any worker.
				await client.request('', { rid: client.rid + 1 }).catch(() => {});
				await sleep(i % 3);
			}
		});
		await sleep(300);
		await stage.stop();
		isStopping = true;
		await Promise.all(loads);
	}
});

test('a client that vanishes while its session is made leaves no session behind', TIMEOUT, async () => {
	await withStage({ none: 'no-features', plain: 'plain' }, { sessions_per_address: 3, open_timeout: 30, inactivity: 30, wait: 30 }, async (stage) => {
		for (let i = 0; i < 3; i++) {
			const socket = net.connect(stage.port, '127.0.0.1');
			const body = new BoshClient(stage.port).bodyText({ rid: 7, to: 'none.test', ver: '1.11', wait: 30, hold: 1 });
			socket.write(`POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
			const n = i + 1;
			await until(() => stage.doab.events.filter(({ event }) => event === 'session-open').length === n, 15000, `session ${n}`);
			socket.resetAndDestroy();
		}
		// As long as one of the three is counted, a fourth is refused.
		await until(async () => (await new BoshClient(stage.port).create('plain.test')).element.at('features'), 10000, 'room for a session');
	});
});

test('a WebSocket that does not say <open/> is ended', TIMEOUT, async () => {
	await withStage({ plain: 'plain' }, { header_timeout: 2 }, async (stage) => {
		const socket = await openWebSocket(stage.port);
		const started = Date.now();
		await assertStreamError(socket, 'connection-timeout', { open: true });
		assert.ok(Date.now() - started < 8000);
		await stage.doab.logged('session-failed', { transport: 'websocket', failure: 'client-error' }, 5000);
	});
});

test('a request must come whole within header_timeout, however steadily it drips', TIMEOUT, async () => {
	await withStage({ plain: 'plain' }, { header_timeout: 2 }, async (stage) => {
		const connection = await HttpConnection.open(stage.port);
		connection.write('PUT / HTTP/1.1\r\nHost: x\r\nX-Drip: ');
		const drip = setInterval(() => connection.write('x'), 200);
		await within(connection.closed, 10000, 'the end of the connection').finally(() => clearInterval(drip));
	});
});

test('a server without a version has no features, and is served', TIMEOUT, async () => {
	const script = [{ await: 'header' }, { send: OLD_HEADER }, { serve: true }];
	await withStage({ old: script }, { open_timeout: 2, wait: 20 }, async (stage) => {
		const client = new BoshClient(stage.port);
		const answer = await client.create('old.test');
		assert.equal(answer.element.attributes.authid, 'old');
		assert.ok(answer.ms < 15000, `answered after ${answer.ms} ms, not after wait`);
		const socket = await openWebSocket(stage.port);
		socket.open('old.test');
		assert.match(await socket.nextMessage(), /<open/);
		await sleep(3000); // beyond open_timeout
		socket.send('<presence xmlns="jabber:client" id="late"/>');
		assert.equal((await (await stage.connectionOf('old')).element('presence')).attributes.id, 'late');
	});
});

test('failures are counted over all transports and workers, and told by SIGUSR1 and at the end', TIMEOUT, async () => {
	await withStage({ closing: 'close-at-once' }, { workers: 2 }, async (stage) => {
		for (let i = 0; i < 3; i++) {
			const client = new BoshClient(stage.port, { connection: 'fresh' });
			await client.create('closing.test');
			client.close();
		}
		const socket = await openWebSocket(stage.port);
		socket.send('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="closing.test" version="1.0"/>');
		await stage.doab.logged('session-failed', { transport: 'websocket' });
		socket.close?.();
		process.kill(stage.doab.child.pid, 'SIGUSR1');
		const told = await stage.doab.logged('failures', { 'connection-lost': 4 });
		assert.deepEqual(Object.keys(told).sort(), ['connection-lost', 'event', 'level', 'time']);
	});
});

// It has little room, as on a slow link, so that the rest of its answer waits in the gateway.
const READER = `
import socket, sys
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
connection.connect(('127.0.0.1', int(sys.argv[1])))
connection.sendall(b'GET /.well-known/host-meta HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
connection.recv(1, socket.MSG_PEEK)
print('answered', flush=True)
sys.stdin.readline()
sys.stdout.write(b''.join(iter(lambda: connection.recv(65536), b'')).decode())
`;

test('a client that is reading its last answer when the gateway stops gets all of it', TIMEOUT, async () => {
	const folder = temporaryFolder('last-answer');
	const file = path.join(folder, 'host-meta');
	const document = `<XRD>${'x'.repeat(60000)}</XRD>`;
	writeFileSync(file, document);
	const port = await freePort();
	const doab = await Doab.start({ host_meta_file: file, listeners: { [`127.0.0.1:${port}`]: { send_buffer: 16384 } } });
	const reader = startChild('python3', ['-c', READER, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
	let said = '';
	let isOver = false;
	reader.stdout.on('data', (data) => { said += data; }).on('end', () => { isOver = true; });
	await until(() => said, 15000, 'the beginning of the answer');
	const stopped = doab.stop();
	await doab.logged('stopping');
	await sleep(100);
	reader.stdin.end('\n');
	await until(() => isOver, 15000, 'the end of the answer');
	assert.ok(said.endsWith(document), `${said.length} bytes, and the last ones are ${said.slice(-10)}`);
	await stopped;
	removeFolder(folder);
});
