// What connections_per_address bounds where a connection is passed on: to an earlier server while an upgrade is under way, to which a
// client leads as many as it likes by naming sessions of that server; and to what answers Flash.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const CONNECTIONS_MAX = 5;
const N_TRIES = 3 * CONNECTIONS_MAX;
const [CLIENT, TLS_CLIENT, FLASH] = ['127.0.0.9', '127.0.0.10', '127.0.0.11'];
let folder;
let stage;
let tlsPort;
let secure;
let body;

before(async () => {
	folder = temporaryFolder('connection-seats');
	const authority = new Authority(folder);
	const { certificate, key } = authority.issue('front', ['localhost']);
	secure = { ca: readFileSync(authority.certificate), servername: 'localhost' };
	tlsPort = await freePort();
	stage = await Stage.open({ plain: 'plain' }, {
		workers: 2, log_level: 'info', connections_per_address: CONNECTIONS_MAX, connection_rate: 0, request_rate: 0,
		listeners: { [`127.0.0.1:${tlsPort}`]: { tls: { certificate, key } } },
	});
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	stage.doab.child.kill('SIGUSR2');
	await stage.doab.logged('upgraded');
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
