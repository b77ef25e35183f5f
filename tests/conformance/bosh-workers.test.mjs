// Sessions of two workers on the same kept connections, as a proxy has them: the connection goes to the worker of a session,
// or its requests do.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, within } from '../support/util.mjs';
import { NS, parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const ROW = 16; // requests that take a connection along (gateway/front-owner.c)
let folder;
let stage;
let ca;
let tlsPort;
let sessions; // one of each worker

before(async () => {
	folder = temporaryFolder('workers');
	const authority = new Authority(folder);
	const front = authority.issue('front', ['localhost']);
	ca = readFileSync(authority.certificate);
	tlsPort = await freePort();
	stage = await Stage.open({ plain: 'plain' }, {
		workers: 2, wait: 60, inactivity: 600, request_rate: 0, linger: 0,
		listeners: { [`127.0.0.1:${tlsPort}`]: { tls: { certificate: front.certificate, key: front.key } } },
	});
	const found = new Map();
	while (found.size < 2) {
		const client = new BoshClient(stage.port, { connection: 'fresh' });
		await client.login('plain.test');
		found.set(client.sid.slice(0, 3), client);
	}
	sessions = [...found.values()];
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

async function openTls() {
	const socket = tls.connect({ host: '127.0.0.1', port: tlsPort, ca, servername: 'localhost' });
	await within(new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)), 10000, 'a handshake');
	return new HttpConnection(socket);
}

const bytesOf = (body) => HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': Buffer.byteLength(body) }) + body;
// The next request of a session.
const next = (client, payload = '', attributes = {}) => client.bodyText({ rid: ++client.rid, sid: client.sid, ...attributes }, payload);
// One for a session that its worker does not know.
const unknown = (client) => client.bodyText({ rid: 1, sid: `${client.sid.slice(0, -8)}AAAAAAAA` });
const echo = (id) => `<message xmlns='jabber:client' id='${id}'/>`;

// By its number, the epoll that has the gateway's end of a connection: that of the worker that serves it.
function epollOf(connection) {
	const { serverPid } = stage.doab;
	const fds = readdirSync(`/proc/${serverPid}/fd`).flatMap((fd) => {
		try {
			return [[fd, readlinkSync(`/proc/${serverPid}/fd/${fd}`)]];
		} catch {
			return []; // closed meanwhile
		}
	});
	const [local, remote] = [connection.socket.remotePort, connection.socket.localPort].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
	const row = new RegExp(`^ *\\d+: \\w+:${local} \\w+:${remote} .*`, 'm').exec(['tcp', 'tcp6'].map((file) => readFileSync(`/proc/net/${file}`, 'utf8')).join(''));
	const socket = fds.find(([, link]) => link === `socket:[${row[0].trim().split(/ +/)[9]}]`)[0];
	const isIn = ([fd, link]) => /eventpoll/.test(link) && new RegExp(`^tfd: +${socket} `, 'm').test(readFileSync(`/proc/${serverPid}/fdinfo/${fd}`, 'utf8'));
	return fds.find(isIn)[0];
}

for (const [what, open] of [['', () => HttpConnection.open(stage.port)], [' over TLS', openTls]]) {
	test(`a connection${what} goes to the worker of the first session, and with ${ROW} requests in a row, but not with one less`, TIMEOUT, async () => {
		const connections = await Promise.all(sessions.map(open));
		const [connection] = connections;
		const ask = async (client, on = connection) => {
			on.write(bytesOf(unknown(client)));
			assert.match((await on.response()).text, /item-not-found/);
			return epollOf(on);
		};
		const [here, there] = [await ask(sessions[0]), await ask(sessions[1], connections[1])];
		assert.notEqual(here, there);
		// As a proxy uses it.
		for (let i = 0; i < 2 * ROW; i++) {
			assert.equal(await ask(sessions[i % 2]), here);
		}
		assert.equal(await ask(sessions[0]), here);
		for (let i = 1; i < ROW; i++) {
			assert.equal(await ask(sessions[1]), here);
		}
		assert.equal(await ask(sessions[0]), here);
		for (let i = 1; i < ROW; i++) {
			assert.equal(await ask(sessions[1]), here);
		}
		assert.equal(await ask(sessions[1]), there);
		connections.forEach((each) => each.close());
	});

	test(`each stanza comes once and in order on one connection${what} with requests for both workers, by turns and in rows`, TIMEOUT, async () => {
		const connection = await open();
		const sent = [];
		const send = async (n) => {
			const ids = Array.from({ length: n }, (_, i) => `n${sent.length + i}`);
			sent.push(...ids);
			for (const client of sessions) {
				for (const id of ids) {
					connection.write(bytesOf(next(client, echo(id))));
					client.keep({ element: parse((await connection.response()).text) });
				}
			}
		};
		for (const n of [1, 1, 1, 1, ROW + 1, ROW + 1]) {
			await send(n);
		}
		for (const client of sessions) {
			client.keep(await client.request(echo('end')));
			assert.deepEqual(client.received.map(({ attributes }) => attributes.id), [...sent, 'end']);
			client.received.length = 0;
		}
		connection.close();
	});
}

test('a request behind one that is held is answered in its turn, whichever worker has its session', TIMEOUT, async () => {
	const [held, other] = sessions;
	const connection = await HttpConnection.open(stage.port);
	connection.write(bytesOf(next(held)) + bytesOf(next(other, echo('behind'))));
	// One more request of the session, on another connection, has the first one answered.
	const second = await HttpConnection.open(stage.port);
	second.write(bytesOf(next(held, echo('first'))));
	assert.equal((await connection.response()).text, `<body xmlns='${NS.httpbind}'/>`);
	assert.match((await connection.response()).text, /id='behind'/);
	assert.match((await second.response()).text, /id='first'/);
	// Now nothing is due on the connection.
	connection.write(bytesOf(next(other, echo('last'))));
	assert.match((await connection.response()).text, /id='last'/);
	connection.close();
	second.close();
});

test('a body that comes after its head, byte by byte, and an HTTP/1.0 connection', TIMEOUT, async () => {
	const connection = await HttpConnection.open(stage.port);
	for (const client of [...sessions, ...sessions]) {
		const bytes = bytesOf(unknown(client));
		for (const byte of bytes.slice(0, -1)) {
			connection.write(byte);
			await new Promise(setImmediate);
		}
		connection.write(bytes.slice(-1));
		assert.match((await connection.response()).text, /item-not-found/);
	}
	connection.write(bytesOf(unknown(sessions[0])).replace('HTTP/1.1', 'HTTP/1.0'));
	assert.match((await connection.response()).text, /item-not-found/);
	await within(connection.closed, 10000, 'the end of the connection');
});
