// SIGTERM while the gateway is busy: a server starts, or reads its configuration (a FIFO in the place of a file keeps it there),
// and connections wait; and what it refuses from then on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY, configText, Doab } from '../support/doab.mjs';
import { readMetrics } from '../support/fault-leftovers.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, suspend, temporaryFolder, until } from '../support/util.mjs';
import { NS, parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };

// Puts a FIFO in the place of @file, which whoever opens it waits at.
function block(file) {
	execFileSync('mkfifo', [`${file}.fifo`]);
	renameSync(`${file}.fifo`, file);
}

const ends = (doab) => until(() => !doab.isRunning, 15000, `the end:\n${doab.log}`);

// Whatever comes of the test @t, neither @doab nor the servers of @stage outlive it.
function endWith(t, doab, stage) {
	t.after(async () => {
		doab.child.kill('SIGKILL');
		await stopAll(...Object.values(stage?.servers ?? {}));
		removeFolder(doab.folder);
	});
}

function assertOrderly(doab) {
	assert.equal(doab.child.exitCode, 0, doab.log);
	assert.deepEqual(doab.events.filter(({ event }) => event === 'server-killed'), []);
}

test('SIGTERM while the first server starts', TIMEOUT, async (t) => {
	const folder = temporaryFolder('starting');
	t.after(() => removeFolder(folder));
	const doab = new Doab();
	const file = path.join(folder, 'doab.conf');
	block(file);
	doab.launch(['--config', file]);
	t.after(() => doab.child.kill('SIGKILL'));
	await until(() => doab.serverPid > 0, 15000, 'a server');
	doab.child.kill('SIGTERM');
	await ends(doab);
	assertOrderly(doab);
});

test('SIGTERM at any moment of the start', TIMEOUT, async (t) => {
	const folder = temporaryFolder('moments');
	t.after(() => removeFolder(folder));
	await Promise.all(Array.from({ length: 8 }, async (_, i) => {
		const doab = new Doab();
		const file = path.join(folder, `${i}.conf`);
		writeFileSync(file, configText({ listen: [`127.0.0.1:${await freePort()}`], workers: 2 }));
		doab.launch(['--config', file]);
		t.after(() => doab.child.kill('SIGKILL'));
		await until(() => doab.serverPid > 0, 15000, 'a server');
		await sleep(20 * i);
		doab.child.kill('SIGTERM');
		await ends(doab);
		assertOrderly(doab);
	}));
});

test('SIGTERM while an upgrade is under way', TIMEOUT, async (t) => {
	const doab = await Doab.start();
	endWith(t, doab);
	block(path.join(doab.folder, 'doab.conf'));
	doab.child.kill('SIGUSR2');
	await doab.logged('upgrading');
	doab.child.kill('SIGTERM');
	await ends(doab);
	assertOrderly(doab);
});

test('SIGTERM while the configuration is read anew', TIMEOUT, async (t) => {
	const doab = await Doab.start();
	endWith(t, doab);
	const file = path.join(doab.folder, 'doab.conf');
	block(file);
	doab.child.kill('SIGHUP');
	// Opens when the server has opened it, too.
	let fd;
	await until(() => {
		try {
			fd = openSync(file, 'w', 0o600);
		} catch {
			return false;
		}
		return true;
	}, 15000, 'a reader');
	doab.child.kill('SIGTERM');
	await doab.logged('stopping');
	assert.equal((await httpRequest(doab.port, 'GET', '/')).status, 200, 'the server has not read the order yet');
	writeSync(fd, configText(doab.config));
	closeSync(fd);
	await ends(doab);
	assertOrderly(doab);
});

test('connections that wait to be accepted are served', TIMEOUT, async (t) => {
	const doab = await Doab.start({ workers: 2, exempt: ['127.0.0.1'] });
	endWith(t, doab);
	const { serverPid } = doab;
	// A server that has not reported yet that it serves would not be told to drain.
	doab.child.kill('SIGHUP');
	await doab.logged('reloaded');
	suspend(serverPid);
	const waiting = await Promise.all(Array.from({ length: 50 }, () => HttpConnection.open(doab.port)));
	waiting.forEach((connection) => connection.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
	doab.child.kill('SIGTERM');
	await doab.logged('stopping');
	process.kill(serverPid, 'SIGCONT');
	for (const connection of waiting) {
		assert.equal((await connection.head()).status, 200);
		connection.close();
	}
	await ends(doab);
});

// More work than the worker does before it asks for the first time who still waits, and less than it does in all the time that it
// has then. With ThreadSanitizer it takes ten times as long for it.
test('many requests that have arrived at the end are all served', TIMEOUT, async (t) => {
	const CONNECTIONS = readFileSync(BINARY).includes('__tsan_init') ? 100 : 500;
	const REQUESTS = 3;
	const doab = await Doab.start({ workers: 1, exempt: ['127.0.0.1'], connections_per_address: 2 * CONNECTIONS });
	endWith(t, doab);
	const waiting = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(doab.port)));
	suspend(doab.serverPid);
	waiting.forEach((connection) => connection.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(REQUESTS)));
	doab.child.kill('SIGTERM');
	await doab.logged('stopping');
	process.kill(doab.serverPid, 'SIGCONT');
	for (const connection of waiting) {
		for (let i = 0; i < REQUESTS; i++) {
			assert.equal((await connection.response()).status, 200);
		}
		connection.close();
	}
	await ends(doab);
});

test('connections of a proxy that wait at the end: those that have said all are served, the others closed', TIMEOUT, async (t) => {
	const port = await freePort();
	const doab = await Doab.start({ workers: 2, exempt: ['127.0.0.1'],
		listeners: { [`127.0.0.1:${port}`]: { proxy_protocol: 'v1', proxy_peers: ['127.0.0.1'] } } });
	endWith(t, doab);
	const { serverPid } = doab;
	const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n';
	const silent = await Promise.all(Array.from({ length: 5 }, () => HttpConnection.open(port)));
	silent.slice(1).forEach((connection) => connection.write(header.slice(0, 20)));
	doab.child.kill('SIGHUP');
	await doab.logged('reloaded');
	suspend(serverPid);
	const waiting = await Promise.all(Array.from({ length: 20 }, () => HttpConnection.open(port)));
	waiting.forEach((connection) => connection.write(`${header}GET / HTTP/1.1\r\nHost: a\r\n\r\n`));
	doab.child.kill('SIGTERM');
	await doab.logged('stopping');
	process.kill(serverPid, 'SIGCONT');
	for (const connection of waiting) {
		assert.equal((await connection.head()).status, 200);
		connection.close();
	}
	await Promise.all(silent.map((connection) => connection.closed));
	await ends(doab);
	assertOrderly(doab);
});

// XEP-0124, 17: "The connection manager is being shut down". A proxy with another gateway tries that one upon 503.
function assertTold({ status, text }, expected) {
	const { name, ns, attributes } = parse(text);
	assert.deepEqual([status, name, ns, attributes.type, attributes.condition], [expected, 'body', NS.httpbind, 'terminate', 'system-shutdown'], text);
	assert.match(text, /being shut down/);
}

// A request of which the gateway has only a part. The promise resolves with a function that sends the rest, and resolves with the answer.
async function begin(port, body) {
	const connection = await HttpConnection.open(port);
	const text = HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': Buffer.byteLength(body) }) + body;
	connection.write(text.slice(0, -10));
	return async () => {
		connection.write(text.slice(-10));
		const answer = await connection.response();
		connection.close();
		return answer;
	};
}

for (const workers of [1, 2]) {
	test(`requests that come when the sessions have ended are told why, with ${workers} workers`, TIMEOUT, async (t) => {
		const admin = await freePort();
		const stage = await Stage.open({ plain: 'plain' }, { workers, admin: `127.0.0.1:${admin}` });
		endWith(t, stage.doab, stage);
		const clients = [];
		for (let i = 0; i < 4; i++) {
			const client = new BoshClient(stage.port, { connection: 'fresh' });
			await client.login('plain.test');
			clients.push(client);
		}
		const [held, ...others] = clients;
		const answer = held.request();
		const bodies = others.map((client) => client.bodyText({ rid: client.rid + 1, sid: client.sid }));
		const late = await Promise.all(bodies.map((body) => begin(stage.port, body)));
		const unknown = await begin(stage.port, held.bodyText({ rid: 5, sid: `${held.sid.slice(0, -8)}AAAAAAAA` }));
		const creation = await begin(stage.port, held.bodyText({ rid: 7, to: 'plain.test', ver: '1.11', wait: 5, hold: 1 }));
		await stage.doab.hasRequest(held);
		await until(async () => await (await readMetrics(admin))('doab_connections') === 1 + late.length + 2, 15000, 'all connections');
		await sleep(300); // for what they have sent
		stage.doab.child.kill('SIGTERM');
		assertTold(await answer, 200);
		const answers = [...late, unknown].map((finish) => finish());
		const refusal = creation();
		(await Promise.all(answers)).forEach((each) => assertTold(each, 200));
		assertTold(await refusal, 503);
		await ends(stage.doab);
		assertOrderly(stage.doab);
	});
}

test('a gateway that drains opens no session on the connections that it still has', TIMEOUT, async (t) => {
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, drain_timeout: 3600 });
	endWith(t, stage.doab, stage);
	const client = new BoshClient(stage.port, { connection: new http.Agent({ keepAlive: true, maxSockets: 1 }) });
	await client.login('plain.test');
	const late = await openWebSocket(stage.port);
	stage.doab.child.kill('SIGTERM');
	await until(() => httpRequest(stage.port, 'GET', '/').then(() => false, ({ code }) => code === 'ECONNREFUSED'), 15000, 'a refusal');
	const creation = await client.post(client.bodyText({ rid: 7, to: 'plain.test', ver: '1.11', wait: 5, hold: 1 }));
	assertTold(creation, 503);
	// A WebSocket that was there already, and has opened nothing.
	late.open('plain.test');
	await late.next();
	assert.ok((await late.next()).at('system-shutdown'));
	await client.exchange('<message xmlns="jabber:client" id="on"/>', ({ attributes }) => attributes.id === 'on');
	await client.terminate();
	await ends(stage.doab);
});
