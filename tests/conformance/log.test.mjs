// The log: whoever reads it, or does not, holds up no session; and what is missing in it is said.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createInterface } from 'node:readline';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY, configText, parseLogLine } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, startChild, stopChild, temporaryFolder, until, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(120000) };
// Makes lines long.
const DOMAIN = `${`${'d'.repeat(60)}.`.repeat(3)}test`;
let folder;

before(() => {
	folder = temporaryFolder('log');
});
after(() => removeFolder(folder));

// The gateway with a pipe for its stderr, which is read only after read() was called.
class Logging {
	static async start(name, config = {}) {
		const logging = new Logging();
		const pipe = path.join(folder, `${name}.pipe`);
		const file = path.join(folder, `${name}.conf`);
		logging.port = await freePort();
		logging.agent = new http.Agent({ keepAlive: true, noDelay: true, maxSockets: 20 });
		const nowhere = `127.0.0.1:${await freePort()}`;
		writeFileSync(file, configText({ listen: [`127.0.0.1:${logging.port}`], workers: 2, sessions_per_address: 100000, session_rate: 0,
			...config,
			domains: { [DOMAIN]: { connect: [nowhere], tls: 'off' } } }));
		execFileSync('mkfifo', [pipe]);
		logging.fd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
		const write = openSync(pipe, constants.O_WRONLY);
		logging.child = startChild(BINARY, ['--config', file], { stdio: ['ignore', 'ignore', write] });
		closeSync(write);
		await until(() => httpRequest(logging.port, 'GET', '/').then(({ status }) => status === 200, () => false), 15000, 'the start');
		return logging;
	}

	// Sessions whose server is not there: three lines each.
	async fail(count) {
		const workers = Array.from({ length: 20 }, async (_, i) => {
			for (; i < count; i += 20) {
				const client = new BoshClient(this.port, { connection: this.agent });
				const { text } = await client.create(DOMAIN);
				assert.match(text, /remote-connection-failed/);
			}
		});
		await Promise.all(workers);
	}

	read() {
		this.events = [];
		const lines = createInterface({ input: new net.Socket({ fd: this.fd }) });
		lines.on('line', (line) => this.events.push(parseLogLine(line)));
		this.ended = new Promise((resolve) => lines.once('close', resolve));
	}

	count(event) {
		return this.events.filter((line) => line.event === event).length;
	}
}

test('a log that nobody reads holds up neither sessions nor the end', TIMEOUT, async () => {
	const logging = await Logging.start('stuck');
	await logging.fail(1000); // 1 MB of lines, of which the pipe takes 64 KB
	assert.equal((await httpRequest(logging.port, 'GET', '/')).status, 200);
	const started = Date.now();
	assert.equal(await stopChild(logging.child, { patience: 30000 }), 0);
	assert.ok(Date.now() - started < 20000);
	closeSync(logging.fd);
});

test('what did not fit in the queue is told of when the log is read again', TIMEOUT, async () => {
	const SESSIONS = 3000;
	const logging = await Logging.start('resumed');
	await logging.fail(SESSIONS);
	logging.read();
	await until(() => logging.count('log-lost'), 20000, 'event=log-lost');
	await logging.fail(1);
	await until(() => logging.events.at(-1).event === 'session-closed', 20000, 'the last session in the log');
	assert.equal(await stopChild(logging.child, { patience: 30000 }), 0);
	await logging.ended;
	const names = ['session-open', 'session-failed', 'session-closed'];
	const seen = names.reduce((sum, name) => sum + logging.count(name), 0);
	const lost = logging.events.filter(({ event }) => event === 'log-lost');
	assert.equal(lost.length, 1, JSON.stringify(lost));
	assert.ok(Number(lost[0].n) > 0);
	assert.equal(lost[0].level, 'error');
	assert.equal(seen + Number(lost[0].n), 3 * (SESSIONS + 1));
	assert.ok(logging.events.every(({ time, level, event }) => time && level && event), 'whole lines');
	// The supervisor's "stopping" may come after the server's "stopped": each has a queue.
	assert.equal(logging.events.at(-1).event, 'server-ended');
	assert.ok(logging.events.slice(-3).some(({ event }) => event === 'stopped'));
});

// Lines of what one client can cause at will, within this time.
const INTERVAL_S = 10;
const LINES_MAX = 10;

// What was logged of @event: { told, suppressed }. The gateway has ended, so that all is summed up.
function sums(doab, event, kind = event) {
	const told = doab.events.filter((line) => line.event === event);
	const sums = doab.events.filter((line) => line.event === 'log-suppressed' && line.kind === kind);
	assert.ok(sums.every(({ client }) => client === '127.0.0.1'), JSON.stringify(sums));
	return { told, suppressed: sums.reduce((sum, { n }) => sum + Number(n), 0) };
}

// How many lines there may be, on a machine however slow.
const most = (perInterval, started) => perInterval * (2 + (Date.now() - started) / 1000 / INTERVAL_S);

// Resolves when @use is through and the gateway has ended.
async function runWith(scenarios, config, use) {
	const stage = await Stage.open(scenarios, config);
	try {
		await use(stage);
	} finally {
		await stage.stop();
	}
	return stage.doab;
}

test('connections above the limit: few lines, and a sum that is right', TIMEOUT, async () => {
	const REFUSED = 3000;
	let started;
	const doab = await runWith({}, { connections_per_address: 5, workers: 2 }, async (stage) => {
		for (let i = 0; i < 5; i++) {
			const connection = await HttpConnection.open(stage.port);
			assert.equal((await connection.request('GET', '/crossdomain.xml')).status, 200);
		}
		started = Date.now();
		for (let i = 0; i < REFUSED; i += 50) {
			const connections = await Promise.all(Array.from({ length: 50 }, () => HttpConnection.open(stage.port)));
			await within(Promise.all(connections.map((connection) => connection.closed)), 20000, 'the end of 50 connections');
		}
		// While it runs, too.
		await stage.doab.logged('log-suppressed', { kind: 'connection-refused', client: '127.0.0.1', level: 'warning' }, 30000);
	});
	const { told, suppressed } = sums(doab, 'connection-refused');
	assert.ok(told.length >= LINES_MAX && told.length <= most(LINES_MAX, started), `${told.length} lines`);
	assert.equal(told.length + suppressed, REFUSED);
});

// Of the sessions that are logged all lines, of the others none.
function assertWholeSessions(doab, count, started, perInterval) {
	const { told, suppressed } = sums(doab, 'session-closed', 'session');
	assert.ok(told.length >= perInterval && told.length <= most(perInterval, started), `${told.length} sessions`);
	assert.equal(told.length + suppressed, count);
	const named = (event) => doab.events.filter((line) => line.event === event).map(({ session }) => session).sort();
	assert.deepEqual(named('session-failed'), named('session-closed'));
	return named;
}

test('sessions that fail one after the other are logged whole or only counted', TIMEOUT, async () => {
	const SESSIONS = 100;
	const LIMIT = 3;
	const started = Date.now();
	const dead = { connect: [`127.0.0.1:${await freePort()}`], tls: 'off' };
	const doab = await runWith({}, { sessions_per_address: LIMIT, workers: 2, domains: { 'dead.test': dead } }, async (stage) => {
		for (let i = 0; i < SESSIONS; i++) {
			const client = new BoshClient(stage.port, { connection: 'fresh' });
			assert.match((await client.create('dead.test')).text, /remote-connection-failed/);
		}
	});
	const named = assertWholeSessions(doab, SESSIONS, started, LIMIT);
	assert.deepEqual(named('session-open'), named('session-closed'));
});

test('sessions that are refused one after the other, over WebSocket: few lines, and a sum that is right', TIMEOUT, async () => {
	const SESSIONS = 100;
	const LIMIT = 3;
	const started = Date.now();
	const doab = await runWith({}, { sessions_per_address: LIMIT, workers: 2, domains: { 'refused.test': { deny: true } } }, async (stage) => {
		for (let i = 0; i < SESSIONS; i++) {
			const socket = await openWebSocket(stage.port);
			socket.open('refused.test');
			assert.match(await socket.nextMessage(), /<open/);
			assert.match(await socket.nextMessage(), /<stream:error/);
			socket.drop();
		}
	});
	const { told, suppressed } = sums(doab, 'session-refused');
	assert.ok(told.length >= LINES_MAX && told.length <= most(LINES_MAX, started), `${told.length} lines`);
	assert.equal(told.length + suppressed, SESSIONS);
	assert.deepEqual(doab.events.filter(({ event }) => /^session-(open|failed|closed)$/.test(event)), []);
});

test('one session that adds streams in vain: few lines, and a sum that is right', TIMEOUT, async () => {
	const STREAMS = 100;
	const LIMIT = 3;
	const started = Date.now();
	const doab = await runWith({ plain: 'plain' }, { sessions_per_address: LIMIT, domains: { 'refused.test': { deny: true } } }, async (stage) => {
		const client = new BoshClient(stage.port);
		await client.create('plain.test');
		for (let i = 0; i < STREAMS; i++) {
			const { element } = await client.request('', { to: 'refused.test', 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0' });
			assert.ok(element.attributes.stream);
			assert.match((await client.request()).text, /host-unknown/);
		}
	});
	const { told, suppressed } = sums(doab, 'session-refused');
	assert.ok(told.length >= LINES_MAX && told.length <= most(LINES_MAX, started), `${told.length} lines`);
	assert.equal(told.length + suppressed, STREAMS);
});

test('sessions above the limit, and requests for a session of somebody else: few lines each', TIMEOUT, async () => {
	const REQUESTS = 100;
	const started = Date.now();
	const doab = await runWith({ plain: 'plain' }, { sessions_per_address: 1, trusted_proxies: ['127.0.0.1'] }, async (stage) => {
		const client = new BoshClient(stage.port, { headers: { 'X-Forwarded-Proto': 'https' } });
		await client.create('plain.test');
		for (let i = 0; i < REQUESTS; i++) {
			assert.match((await new BoshClient(stage.port, { connection: 'fresh' }).create('plain.test')).text, /policy-violation/);
			// The session was made over TLS, this request was not.
			const other = new BoshClient(stage.port, { connection: 'fresh' });
			assert.match((await other.post(other.bodyText({ sid: client.sid, rid: 1 }))).text, /item-not-found/);
		}
	});
	for (const event of ['session-refused', 'session-guarded']) {
		const { told, suppressed } = sums(doab, event);
		assert.ok(told.length >= LINES_MAX && told.length <= most(LINES_MAX, started), `${told.length} lines`);
		assert.equal(told.length + suppressed, REQUESTS);
	}
});
