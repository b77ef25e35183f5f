// A connection with TLS whose bytes are passed on through a pair of sockets (gateway/wire/pump.c) within one server is one connection:
// it is served where there is room for no other.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { readMetrics } from '../support/fault-leftovers.mjs';
import { Faults, server, stackText } from '../support/faults.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const CONNECTIONS_MAX = 8;
const PATIENCE_S = 120;
const CLIENT = '127.0.0.9';
const NEXT_GENERATION = 1;
let folder;
let faults;
let stage;
let tlsPort;
let admin;
let secure;
let body;

before(async () => {
	folder = temporaryFolder('pumped-seats');
	faults = Faults.open();
	const authority = new Authority(folder);
	const { certificate, key } = authority.issue('front', ['localhost']);
	secure = { ca: readFileSync(authority.certificate), servername: 'localhost' };
	tlsPort = await freePort();
	admin = await freePort();
	stage = await Stage.open({ plain: 'plain' }, {
		workers: 1, log_level: 'info', max_connections: CONNECTIONS_MAX, header_timeout: PATIENCE_S, inactivity: PATIENCE_S,
		admin: `127.0.0.1:${admin}`,
		listeners: { [`127.0.0.1:${tlsPort}`]: { tls: { certificate, key } } },
	}, { env: faults.env });
	// The earlier server stays while it has this session.
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	stage.doab.child.kill('SIGUSR2');
	await stage.doab.logged('upgraded');
	const sid = client.sid.slice(0, -4) + (client.sid.endsWith('AAAA') ? 'BBBB' : 'AAAA');
	body = `<body rid='1' sid='${sid}' xmlns='http://jabber.org/protocol/httpbind'/>`;
});
after(async () => {
	await stopAll(stage);
	faults?.close();
	removeFolder(folder);
});

const openSecure = () => HttpConnection.open(tlsPort, '127.0.0.1', CLIENT, secure);

// Calls @run with a connection over TLS, which @prepare has readied, beside which the server takes no other: connections from @from
// have the rest of the seats.
async function whileFull(from, run, prepare = async () => {}) {
	const isFull = () => stage.doab.events.some((line) => line.event === 'connection-refused' && line.client === from && line.limit === 'max_connections');
	const all = [];
	try {
		let pumped;
		await until(async () => (pumped = await openSecure().catch(() => undefined)), 30000, 'a seat');
		all.push(pumped);
		await prepare(pumped);
		await until(async () => {
			all.push(await HttpConnection.open(stage.port, '127.0.0.1', from));
			return isFull();
		}, 30000, 'the last seat is taken');
		await run(pumped);
	} finally {
		for (const connection of all) {
			connection.close();
		}
	}
}

test('a policy request over TLS is answered', TIMEOUT, () => whileFull('127.0.0.10', async (connection) => {
	connection.write('<policy-file-request/>\0');
	assert.match(await connection.take(() => (connection.buffer.includes('\0') ? connection.buffer.toString() : undefined), 'a policy'), /^<\?xml/);
}));

test('they leave room for as many as before', TIMEOUT, () => until(async () => {
	const all = [];
	for (let i = 0; i < CONNECTIONS_MAX; i++) {
		const connection = await openSecure().catch(() => undefined);
		if (!connection) {
			break;
		}
		all.push(connection);
	}
	for (const connection of all) {
		connection.close();
	}
	return all.length === CONNECTIONS_MAX;
}, 30000, 'room for all'));

test('a request that an earlier server could not be passed is served', TIMEOUT, () => whileFull('127.0.0.11', async (connection) => {
	faults.arm({ role: server(NEXT_GENERATION), call: 'sendmsg', effect: 'ENOBUFS', nth: 1 });
	const answer = connection.request('POST', '/http-bind', { body });
	assert.match((await answer).text, /item-not-found/);
	assert.match(await stackText(faults.disarm().stack), /doors_pass/);
}, async (connection) => {
	// Its bytes are read and TLS has nothing more to send, which would be the call that fails.
	assert.equal((await connection.request('GET', '/')).status, 200);
}));

test('each of them was counted once, and is no longer', TIMEOUT, () => until(async () => await (await readMetrics(admin))('doab_connections') === 0, 30000,
	'no connection'));
