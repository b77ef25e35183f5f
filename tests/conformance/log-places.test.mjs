// Where the log goes, and in which form: standard error, a file that is renamed, a syslog daemon, systemd's journal; and that
// what clients send stays one line of printable ASCII in each of them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, fstatSync, openSync, closeSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { configText, parseLogLine, runDoab } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { linesOf, runLogging, startSyslog } from '../support/logging.mjs';
import { freePort, patiently, removeFolder, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// What a client sends to forge a line or to write to a terminal: line ends, escapes, quotes, and bytes that are not UTF-8.
const EVIL = Buffer.from('\n\r\u0085\u2028\u202e\x1b[31m" event=forged x="\\', 'utf8');
const ASCII = /^[\x20-\x7e]*$/;
let folder;

before(() => {
	folder = temporaryFolder('log-places');
	chmodSync(folder, 0o755);
});
after(() => removeFolder(folder));

const running = (config, use, options) => runLogging(folder, config, use, options);

// Causes lines with what a client sent: a domain in the log of a refused session, a path in that of a refused request.
async function provoke(port) {
	const socket = await openWebSocket(port);
	socket.open(EVIL.toString('utf8').replace(/\x1b/, '')); // XML has no U+001B
	assert.match(await socket.nextMessage(), /<open/);
	await socket.nextMessage();
	socket.drop();
	const connection = await HttpConnection.open(port);
	connection.write(Buffer.concat([Buffer.from('GET /no%0Asuch/'), Buffer.from([0xff, 0xfe, 0xc3, 0x28]), Buffer.from('"x HTTP/1.1\r\nHost: a\r\nOrigin: \xff\x80"\r\n\r\n', 'latin1')]));
	await connection.head().catch(() => {});
	connection.close();
}

function assertLogfmt(lines) {
	assert.ok(lines.length);
	for (const line of lines) {
		assert.match(line, ASCII);
		assert.ok(parseLogLine(line).event, line);
	}
	assert.ok(!lines.some((line) => parseLogLine(line).event === 'forged'));
	assert.ok(lines.some((line) => parseLogLine(line).event === 'session-refused'));
}

test('a file: lines are appended, and SIGHUP opens it anew after it was renamed', TIMEOUT, async () => {
	const file = path.join(folder, 'doab.log');
	const before = path.join(folder, 'doab.log.1');
	const stderr = await running({ log_to: file }, async ({ port, child }) => {
		await until(() => existsSync(file) && linesOf(file).some((line) => / event=ready /.test(line)), 15000, 'event=ready');
		assert.equal(statSync(file).mode & 0o007, 0, 'others cannot read it');
		await provoke(port);
		await until(() => linesOf(file).some((line) => /session-refused/.test(line)), 15000, 'a line of the session');
		renameSync(file, before);
		child.kill('SIGHUP');
		await until(() => existsSync(file), 15000, 'the new file');
		child.kill('SIGUSR1');
		await until(() => linesOf(file).some((line) => / event=failures/.test(line)), 15000, 'a line in the new file');
	});
	// What the supervisor says goes there, too.
	assert.deepEqual(stderr, []);
	assert.ok(linesOf(file).some((line) => / event=stopping /.test(line)));
	assertLogfmt(linesOf(before));
	assert.ok(linesOf(file).some((line) => / event=stopped /.test(line)));
	assert.ok(linesOf(before).some((line) => / event=ready /.test(line)));
	assert.ok(!linesOf(before).some((line) => / event=stopped /.test(line)));
});

test('a file that cannot be opened keeps the gateway from starting, and standard error says why', TIMEOUT, async () => {
	const file = path.join(folder, 'bad.conf');
	writeFileSync(file, configText({ listen: [`127.0.0.1:${await freePort()}`], log_to: path.join(folder, 'no/such/folder/log') }));
	const { code, stderr } = await runDoab('--config', file);
	assert.equal(code, 1);
	assert.match(stderr, /level=error event=failed error="No such file or directory"/);
});

test('JSON: each line is an object of printable ASCII, with what the client sent', TIMEOUT, async () => {
	const stderr = await running({ log_format: 'json', log_level: 'debug' }, ({ port }) => provoke(port));
	const events = stderr.map((line) => {
		assert.match(line, ASCII);
		return JSON.parse(line);
	});
	assert.ok(events.every(({ time, level, event }) => /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time) && level && event));
	assert.ok(!events.some(({ event }) => event === 'forged'));
	const refused = events.find(({ event }) => event === 'session-refused');
	assert.equal(refused.failure, 'domain-malformed');
	assert.match(refused.detail, /\u2028\u202e\[31m" event=forged x="\\/);
	assert.equal(typeof events.find(({ event }) => event === 'ready').workers, 'number');
});

test('logfmt on standard error: what the client sent stays within its line', TIMEOUT, async () => {
	assertLogfmt(await running({}, ({ port }) => provoke(port)));
});

test('syslog: each line is a message with a priority, also after the daemon was restarted', TIMEOUT, async () => {
	const socket = path.join(folder, 'syslog.socket');
	const file = path.join(folder, 'syslog.txt');
	const FORM = /^<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d doab\[(\d+)\]: (level=(\w+) event=.*)$/;
	const PRIORITIES = { error: 27, warning: 28, info: 30, debug: 31 };
	let daemon = await startSyslog(socket, file);
	let pid;
	try {
		await running({ log_to: `syslog:${socket}`, log_level: 'debug' }, async ({ port, child }) => {
			pid = child.pid;
			await provoke(port);
			await until(() => existsSync(file) && linesOf(file).some((line) => /session-refused/.test(line)), 15000, 'the session');
			await daemon.stop();
			daemon = await startSyslog(socket, file);
			child.kill('SIGUSR1');
			await until(() => linesOf(file).some((line) => /event=failures/.test(line)), 20000, 'a line at the new daemon');
		});
		await until(() => linesOf(file).some((line) => /event=stopped/.test(line)) &&
			linesOf(file).some((line) => /event=stopping/.test(line)), 15000, 'the last lines');
	} finally {
		await daemon.stop();
	}
	const lines = linesOf(file);
	for (const line of lines) {
		const [, priority, , , level] = FORM.exec(line) ?? assert.fail(line);
		assert.match(line, ASCII);
		assert.equal(Number(priority), PRIORITIES[level], line);
	}
	// The supervisor and the server.
	assert.ok(pid && new Set(lines.map((line) => FORM.exec(line)[2])).size === 2);
	assert.ok(lines.some((line) => FORM.exec(line)[2] === String(pid) && /event=stopping/.test(line)));
	assertLogfmt(lines.map((line) => FORM.exec(line)[3]));
});

test('systemd\'s journal: a priority and no time, if JOURNAL_STREAM names standard error', TIMEOUT, async () => {
	for (const isJournal of [true, false]) {
		const file = path.join(folder, `journal-${isJournal}`);
		const fd = openSync(file, 'a');
		const { dev, ino } = fstatSync(fd);
		const env = { JOURNAL_STREAM: `${dev}:${isJournal ? ino : ino + 1}` };
		await running({}, ({ port }) => provoke(port), { stdio: fd, env });
		closeSync(fd);
		for (const line of linesOf(file)) {
			assert.match(line, isJournal ? /^<[3467]>level=\w+ event=/ : /^time=\S+ level=\w+ event=/);
		}
	}
});

test('the levels of parts: one is louder, one is quieter than the others', TIMEOUT, async () => {
	const stderr = await running({ log_level: 'error', log_levels: ['admission=warning', 'http=info', 'main=warning'] },
		({ port }) => provoke(port));
	const events = stderr.map((line) => parseLogLine(line).event);
	assert.ok(events.includes('session-refused'), stderr.join('\n'));
	assert.ok(!events.includes('ready'), stderr.join('\n'));
	assert.ok(!events.includes('stopped'));
});

test('a full disk: nothing waits for it, and what is missing is told when there is room', TIMEOUT, async (context) => {
	const disk = path.join(folder, 'disk');
	execFileSync('mkdir', [disk]);
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'pipe' });
	} catch {
		context.skip('this machine lets nobody mount a small disk here');
		return;
	}
	try {
		const file = path.join(disk, 'doab.log');
		const filler = path.join(disk, 'filler');
		await running({ log_to: file, workers: 2 }, async ({ port, child }) => {
			await until(() => existsSync(file) && linesOf(file).length, 15000, 'the first lines');
			assert.throws(() => writeFileSync(filler, Buffer.alloc(1024 * 1024)), /ENOSPC/);
			for (let i = 0; i < 10; i++) {
				await provoke(port);
				assert.equal((await httpRequest(port, 'GET', '/')).status, 200);
			}
			execFileSync('rm', [filler]);
			child.kill('SIGUSR1');
			await until(() => linesOf(file).some((line) => /event=failures/.test(line)), 20000, 'the lines that waited');
		});
		const lines = linesOf(file);
		assertLogfmt(lines);
		assert.equal(lines.filter((line) => /event=session-refused/.test(line)).length, 10, 'the queue has kept them');
	} finally {
		execFileSync('umount', [disk]);
	}
});
