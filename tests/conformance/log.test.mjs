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
import { httpRequest } from '../support/http.mjs';
import { freePort, removeFolder, startChild, stopChild, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: 120000 };
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
		writeFileSync(file, configText({ listen: [`127.0.0.1:${logging.port}`], workers: 2, sessions_per_address: 100000, ...config,
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
	assert.equal(logging.events.at(-1).event, 'stopped');
});
