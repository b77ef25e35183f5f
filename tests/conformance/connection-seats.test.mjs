// What connections_per_address bounds where a connection is passed on: to an earlier server while an upgrade is under way, to which a
// client leads as many as it likes by naming sessions of that server; and to what answers Flash. What an earlier server passes on is not
// judged again.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const CONNECTIONS_MAX = 5;
const N_TRIES = 3 * CONNECTIONS_MAX;
const [CLIENT, TLS_CLIENT, FLASH, BUSY] = ['127.0.0.9', '127.0.0.10', '127.0.0.11', '127.0.0.12'];
let folder;
let stage;
let tlsPort;
let secure;
let files;
let body;

const openStage = (port, config) => Stage.open({ plain: 'plain' }, {
	workers: 2, connections_per_address: CONNECTIONS_MAX, connection_rate: 0, request_rate: 0, listeners: { [`127.0.0.1:${port}`]: { tls: files } }, ...config,
});

async function upgrade({ doab }) {
	doab.child.kill('SIGUSR2');
	await doab.logged('upgraded');
}

before(async () => {
	folder = temporaryFolder('connection-seats');
	const authority = new Authority(folder);
	const { certificate, key } = authority.issue('front', ['localhost']);
	files = { certificate, key };
	secure = { ca: readFileSync(authority.certificate), servername: 'localhost' };
	tlsPort = await freePort();
	stage = await openStage(tlsPort, { log_level: 'info' });
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	await upgrade(stage);
	// A session that the earlier server does not have: it says so, and the connection stays.
	const sid = client.sid.slice(0, -4) + (client.sid.endsWith('AAAA') ? 'BBBB' : 'AAAA');
	body = `<body rid='1' sid='${sid}' xmlns='http://jabber.org/protocol/httpbind'/>`;
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

// Connections of @client, one after the other, which the earlier server answers. Resolves with those that stay open.
async function openAll(isSecure, client) {
	const open = [];
	for (let i = 0; i < N_TRIES; i++) {
		const connection = await HttpConnection.open(isSecure ? tlsPort : stage.port, '127.0.0.1', client, isSecure ? secure : undefined).catch(() => undefined);
		const answer = await connection?.request('POST', '/http-bind', { body, ms: 5000 }).catch(() => undefined);
		if (answer) {
			assert.match(answer.text, /item-not-found/);
			open.push(connection);
		}
	}
	assert.ok(open.every(({ isOpen }) => isOpen));
	return open;
}

for (const isSecure of [false, true]) {
	const client = isSecure ? TLS_CLIENT : CLIENT;
	test(`${isSecure ? 'with' : 'without'} TLS: no more than to one server, and those that end make room`, TIMEOUT, async () => {
		const open = await openAll(isSecure, client);
		assert.equal(open.length, CONNECTIONS_MAX);
		await stage.doab.logged('connection-refused', { client, limit: 'connections_per_address' });
		for (const connection of open) {
			connection.close();
		}
		let again = [];
		await until(async () => {
			again = await openAll(isSecure, client);
			for (const connection of again) {
				connection.close();
			}
			return again.length === CONNECTIONS_MAX;
		}, 10000, 'room for as many as before');
	});
}

test('a policy request over TLS takes no seat away, and leaves none', TIMEOUT, async () => {
	for (let i = 0; i < 2 * CONNECTIONS_MAX; i++) {
		const connection = await HttpConnection.open(tlsPort, '127.0.0.1', FLASH, secure);
		connection.write('<policy-file-request/>\0');
		assert.match(await connection.take(() => (connection.buffer.includes('\0') ? connection.buffer.toString() : undefined), 'a policy'), /^<\?xml/);
		connection.close();
	}
	await until(async () => {
		const open = await openAll(true, FLASH);
		for (const connection of open) {
			connection.close();
		}
		assert.ok(open.length <= CONNECTIONS_MAX, `${open.length} connections`);
		return open.length === CONNECTIONS_MAX;
	}, 10000, 'room for as many as before');
});

// One connection of @client, which has been answered; undefined if it was refused.
async function openAnswered(port, client) {
	const connection = await HttpConnection.open(port, '127.0.0.1', client).catch(() => undefined);
	const answer = await connection?.request('GET', '/', { ms: 5000 }).catch(() => undefined);
	if (!answer) {
		connection?.close();
	}
	return answer && connection;
}

// As many connections of @client as there may be. The earlier server may get the first ones, and refuses them.
async function takeAllSeats(port, client) {
	const open = [];
	await until(async () => {
		open.push(...[await openAnswered(port, client)].filter((connection) => connection));
		return open.length === CONNECTIONS_MAX;
	}, 15000, 'as many connections as there may be');
	return open;
}

for (const isSecure of [false, true]) {
	test(`${isSecure ? 'with' : 'without'} TLS: a client that has all its seats at the new server loses no connection to the earlier one`, TIMEOUT, async () => {
		const port = await freePort();
		const own = await openStage(port);
		const options = isSecure ? { secure } : {};
		const newClient = (connection) => new BoshClient(isSecure ? port : own.port, { ...options, connection });
		const { Agent } = isSecure ? https : http;
		const clients = Array.from({ length: CONNECTIONS_MAX }, () => newClient(new Agent({ keepAlive: true, maxSockets: 1, localAddress: BUSY })));
		try {
			await Promise.all(clients.map((client) => client.login('plain.test')));
			const held = clients.map((client) => client.request());
			await Promise.all(clients.map((client) => own.doab.hasRequest(client)));
			const links = [...own.servers.plain.connections];
			await upgrade(own);
			const newer = newClient('fresh');
			await newer.login('plain.test');
			const open = await takeAllSeats(own.port, BUSY);
			assert.equal(await openAnswered(own.port, BUSY), undefined, 'one more connection');

			links.forEach((link) => link.send("<message from='a@b' id='pushed'/>"));
			for (const answer of await Promise.all(held)) {
				assert.match(answer.text, /pushed/);
			}
			for (const [i, { agent }] of clients.entries()) {
				newer.agent = agent;
				await newer.exchange(`<message xmlns='jabber:client' id='m${i}'/>`, ({ attributes }) => attributes.id === `m${i}`);
			}
			assert.ok(open.every(({ isOpen }) => isOpen));
			assert.equal(await openAnswered(own.port, BUSY), undefined, 'one more connection');

			open.forEach((connection) => connection.close());
			clients.forEach((client) => client.close());
			await takeAllSeats(own.port, BUSY);
			assert.equal(await openAnswered(own.port, BUSY), undefined, 'one more connection than before');
		} finally {
			clients.forEach((client) => client.close());
			await own.stop();
		}
	});
}
