// While an upgrade is under way: requests whose first bytes do not show which process has their session, and TLS connections that
// the earlier process has accepted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { deflateSync, gzipSync } from 'node:zlib';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const PATH = '/http-bind';
const TYPE = { 'Content-Type': 'text/xml; charset=utf-8' };
let folder;
let securePort;
let stage;

before(async () => {
	folder = temporaryFolder('upgrade');
	const authority = new Authority(folder);
	const front = authority.issue('front', ['localhost']);
	securePort = await freePort();
	stage = await Stage.open({ plain: 'plain' }, { workers: 2, compression: true,
		listeners: { [`127.0.0.1:${securePort}`]: { tls: { certificate: front.certificate, key: front.key } } } });
});
after(() => {
	removeFolder(folder);
	return stopAll(stage);
});

async function upgrade() {
	const { doab } = stage;
	const count = () => doab.events.filter(({ event }) => event === 'upgraded').length;
	const before = count();
	doab.child.kill('SIGUSR2');
	await until(() => count() > before, 30000, 'event=upgraded');
}

const chunk = (bytes) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

// What a client writes for a body: [headers, the pieces of the body, each sent a moment later].
const FORMS = {
	plain: (body) => [{ 'Content-Length': body.length }, [body]],
	gzip: (body) => [{ 'Content-Length': gzipSync(body).length, 'Content-Encoding': 'gzip' }, [gzipSync(body)]],
	'gzip, late': (body) => {
		const coded = gzipSync(body);
		return [{ 'Content-Length': coded.length, 'Content-Encoding': 'gzip' }, [Buffer.alloc(0), coded.subarray(0, 20), coded.subarray(20)]];
	},
	deflate: (body) => [{ 'Content-Length': deflateSync(body).length, 'Content-Encoding': 'deflate' }, [deflateSync(body)]],
	'chunks, late': (body) => [{ 'Transfer-Encoding': 'chunked' },
		[Buffer.alloc(0), chunk(body.subarray(0, 9)), Buffer.concat([chunk(body.subarray(9)), Buffer.from('0\r\n\r\n')])]],
	'gzip in chunks': (body) => [{ 'Transfer-Encoding': 'chunked', 'Content-Encoding': 'gzip' },
		[Buffer.concat([chunk(gzipSync(body)), Buffer.from('0\r\n\r\n')])]],
};

async function exchange(connection, body, form) {
	const [headers, pieces] = FORMS[form](Buffer.from(body));
	connection.write(HttpConnection.requestHead('POST', PATH, { ...TYPE, ...headers }));
	for (const piece of pieces) {
		connection.write(piece);
		await sleep(30);
	}
	return connection.response();
}

// A client with the session of an earlier process, which sends its next request on a connection of its own.
async function askOnce(client, form, how = exchange) {
	const connection = await HttpConnection.open(stage.port);
	const id = `m-${form.replace(/\W/g, '-')}`;
	const body = client.bodyText({ rid: ++client.rid, sid: client.sid }, `<message xmlns='jabber:client' id='${id}'/>`);
	const { text } = await how(connection, body, form);
	connection.close();
	assert.doesNotMatch(text, /item-not-found/, form);
	assert.match(text, new RegExp(id), form);
}

test('a connection that sent chunks before the upgrade goes to the process that has the session of its next request', TIMEOUT, async () => {
	const holder = new BoshClient(stage.port); // keeps the earlier process
	await holder.login('plain.test');
	const kept = await HttpConnection.open(stage.port);
	await exchange(kept, "<body xmlns='urn:none'/>", 'chunks, late');
	await upgrade();
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	const body = client.bodyText({ rid: ++client.rid, sid: client.sid }, "<message xmlns='jabber:client' id='m-kept'/>");
	const { status, text } = await exchange(kept, body, 'plain');
	assert.equal(status, 200);
	assert.match(text, /m-kept/);
	kept.close();
	await askOnce(client, 'plain');
	await client.request('', { type: 'terminate' });
	await holder.request('', { type: 'terminate' });
});

test('a request reaches its session in the earlier process, however its body is sent', TIMEOUT, async () => {
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	await upgrade();
	for (const form of Object.keys(FORMS)) {
		await askOnce(client, form);
	}
	await client.request('', { type: 'terminate' });
});

test('so does one whose body comes only when it is asked for', TIMEOUT, async () => {
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	await upgrade();
	await askOnce(client, 'Expect', async (connection, body) => {
		connection.write(HttpConnection.requestHead('POST', PATH, { ...TYPE, 'Content-Length': body.length, Expect: '100-continue' }));
		assert.equal((await connection.head()).status, 100);
		connection.write(body);
		let response = await connection.response();
		while (response.status === 100) {
			response = await connection.response();
		}
		return response;
	});
	await client.request('', { type: 'terminate' });
});

function connectSecurely() {
	const socket = tls.connect({ port: securePort, host: '127.0.0.1', rejectUnauthorized: false });
	return new Promise((resolve, reject) => socket.once('secureConnect', () => resolve(new HttpConnection(socket))).once('error', reject));
}

test('what comes over a TLS connection to the earlier process is served, and then it ends', TIMEOUT, async () => {
	const holder = new BoshClient(stage.port); // keeps the earlier process
	await holder.login('plain.test');
	const [forBosh, forWebSocket, forPage, used] = await Promise.all([1, 2, 3, 4].map(connectSecurely));
	await used.request('GET', '/');
	await upgrade();

	const created = await exchange(forBosh, new BoshClient(0).bodyText({ rid: 7, to: 'plain.test', ver: '1.6', wait: 10, hold: 1 }), 'plain');
	assert.match(created.text, / sid=/);
	assert.equal(created.headers.connection, 'close');
	await forBosh.closed;
	const socket = await forWebSocket.upgrade();
	assert.equal((await socket.start('plain.test')).features.name, 'features');
	await socket.finish();
	for (const connection of [forPage, used]) {
		const page = await connection.request('GET', '/');
		assert.deepEqual([page.status, page.headers.connection], [200, 'close']);
		await connection.closed;
	}
	await holder.request('', { type: 'terminate' });
});
