// Starts the gateway under test with a configuration of its own and listens to what it logs.
//
//     const doab = await Doab.start({ wait: 5, domains: { 'example.test': { connect: ['127.0.0.1:5222'], tls: 'off' } } });
//     await doab.logged('session-open');
//     await doab.stop();          // SIGTERM; throws unless it ended well
//
// DOAB names the binary. What a sanitizer prints fails the test that stops the gateway.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { httpRequest } from './http.mjs';
import { flowOf, freePort, removeFolder, run, startChild, stopChild, temporaryFolder, until, within } from './util.mjs';

const BUILT = fileURLToPath(new URL('../../build/gateway/doab', import.meta.url));
export const BINARY = path.resolve(process.env.DOAB || BUILT);
const SANITIZER = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:/;

const sanitizerOptions = {
	ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=1',
	UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=99',
};

// How often in a row nothing may have moved on a connection when it is taken for standing still.
const STILL_ROUNDS = 3;

const quote = (text) => `"${String(text).replace(/["\\]/g, '\\$&')}"`;

function configValue(value) {
	if (Array.isArray(value)) {
		return `{${value.map(quote).join(', ')}}`;
	}
	return typeof value === 'string' ? quote(value) : String(value);
}

// How much of a session's id is logged (gateway/bosh/sid.h).
const SID_LOG_LENGTH = 6;

// Keys of the section `limits`, which a test may write beside the others.
const LIMITS = new Set(['max_sessions', 'sessions_per_address', 'connections_per_address', 'login_bytes_per_address', 'login_bytes', 'foreign_bytes_per_address', 'foreign_bytes',
	'body_bytes', 'stanza_bytes', 'pending_bytes', 'header_timeout', 'exempt', 'max_connections', 'connection_rate', 'session_rate',
	'domain_session_rate', 'request_rate', 'failed_logins_per_address', 'failed_logins_per_domain', 'login_timeout']);

// The lines of a section; a value that is an object is a section in it.
function sectionLines(head, section) {
	const lines = Object.entries(section).flatMap(([key, value]) =>
		(typeof value === 'object' && !Array.isArray(value) ? sectionLines(key, value) : [`${key} = ${configValue(value)}`]));
	return [`${head} {`, ...lines.map((line) => `\t${line}`), '}'];
}

// The text of a configuration file for an object of keys; `domains` and `listeners` become the sections.
export function configText({ domains = {}, listeners = {}, ...keys }) {
	const text = ([key, value]) => `${key} = ${configValue(value)}`;
	const entries = Object.entries(keys);
	const lines = entries.filter(([key]) => !LIMITS.has(key)).map(text);
	lines.push('limits {', ...entries.filter(([key]) => LIMITS.has(key)).map((entry) => `\t${text(entry)}`), '}');
	for (const [kind, sections] of Object.entries({ domain: domains, listener: listeners })) {
		lines.push(...Object.entries(sections).flatMap(([name, section]) => sectionLines(`${kind} ${quote(name)}`, section)));
	}
	return `${lines.join('\n')}\n`;
}

// One line of the log as an object: bare and "quoted" values.
export function parseLogLine(line) {
	const fields = {};
	for (const [, key, quoted, bare] of line.matchAll(/([\w.-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)) {
		fields[key] = quoted ?? bare;
	}
	return fields;
}

export async function runDoab(...args) {
	return run(BINARY, args, { env: { ...process.env, ...sanitizerOptions } });
}

export class Doab {
	// @env: environment variables to set beside those of this process. @through: a command and arguments that become the gateway
	// when its own path and arguments are appended, as unshare(1) does.
	// @copy: runs a copy of the binary, this.binary, which the test may replace.
	static async start(config = {}, { env = {}, through = [], copy = false } = {}) {
		assert.ok(existsSync(BINARY), `${BINARY} is not built`);
		const doab = new Doab();
		doab.port = await freePort();
		doab.folder = temporaryFolder('gateway');
		if (copy) {
			doab.binary = path.join(doab.folder, 'doab');
			copyFileSync(BINARY, doab.binary);
		}
		doab.config = { listen: [`127.0.0.1:${doab.port}`], workers: 1, log_level: 'debug',
			// A test is one client, and opens sessions as fast as it can.
			session_rate: 0, ...config };
		const file = path.join(doab.folder, 'doab.conf');
		writeFileSync(file, configText(doab.config));
		doab.launch(['--config', file], env, through);
		await doab.logged('ready').catch((error) => {
			doab.child.kill('SIGKILL');
			throw error;
		});
		return doab;
	}

	constructor() {
		this.binary = BINARY;
		this.lines = [];
		this.events = [];
		this.waiting = new Set();
		this.partial = '';
		this.exited = null;
	}

	launch(args, env = {}, through = []) {
		const [command, ...rest] = [...through, this.binary, ...args];
		this.child = startChild(command, rest, {
			stdio: ['ignore', 'ignore', 'pipe'],
			env: { ...process.env, ...sanitizerOptions, ...env },
		});
		this.child.stderr.setEncoding('utf8').on('data', (text) => this.read(text));
		this.exited = new Promise((resolve) => this.child.once('close', resolve));
		// Not at 'exit', behind which the last lines may still come.
		this.child.once('close', () => {
			this.hasEnded = true;
			this.wake();
		});
		this.child.once('error', (error) => {
			this.startError = error;
			this.wake();
		});
	}

	read(text) {
		const lines = (this.partial + text).split('\n');
		this.partial = lines.pop();
		for (const line of lines) {
			this.lines.push(line);
			this.events.push(parseLogLine(line));
		}
		this.wake();
	}

	wake() {
		for (const check of [...this.waiting]) {
			check();
		}
	}

	get log() {
		return this.lines.join('\n');
	}

	// The first logged line with this event whose fields match, now or later.
	logged(event, fields = {}, ms = 15000) {
		const matches = (line) => line.event === event &&
			Object.entries(fields).every(([key, value]) => line[key] === String(value));
		const found = new Promise((resolve, reject) => {
			const check = () => {
				const line = this.events.find(matches);
				if (line) {
					this.waiting.delete(check);
					resolve(line);
				} else if (this.startError || this.hasEnded) {
					this.waiting.delete(check);
					reject(this.startError ?? new Error(`doab ended before event=${event}:\n${this.log}\n${this.partial}`));
				}
			};
			this.waiting.add(check);
			check();
		});
		return within(found, ms, `event=${event} ${JSON.stringify(fields)} in the log:\n${this.lines.slice(-20).join('\n')}`);
	}

	// Resolves when the gateway has read the latest request of @client, a BOSH client, or that with @rid. It logs that at `debug`.
	// A request that is repeated with the same rid cannot be waited for: the line of the first one is there.
	async hasRequest(client, rid = client.rid) {
		await this.logged('bosh-request', { session: client.sid.slice(0, SID_LOG_LENGTH), rid });
	}

	// Resolves when the session of @client, a BOSH client, has failed, whether or not its client has been told.
	async hasFailed(client) {
		await this.logged('session-failed', { session: client.sid.slice(0, SID_LOG_LENGTH) });
	}

	// Whether a BOSH request has come that is not answered yet, as far as the log tells. It logs that at `debug`.
	get holdsRequest() {
		const keysOf = (event) => this.events.filter((line) => line.event === event).map(({ session, request }) => `${session} ${request}`);
		const answered = new Set(keysOf('bosh-answer'));
		return keysOf('bosh-request').some((key) => !answered.has(key));
	}

	// Resolves when all that has been logged so far is in @lines: a thread of the gateway's writes it a moment later.
	async readLog() {
		const count = () => this.events.filter(({ event }) => event === 'failures').length;
		const before = count();
		this.child.kill('SIGUSR1');
		await until(() => count() > before, 15000, 'event=failures in the log');
	}

	// Resolves when the gateway, which has one worker, takes no more from @socket, of a server: nothing moves while the worker answers
	// others, and so has had the time for it.
	async readsNoMoreOf(socket) {
		let before;
		let nRounds = 0;
		await until(async () => {
			const now = flowOf(socket);
			nRounds = now === before ? nRounds + 1 : 0;
			before = now;
			await httpRequest(this.port, 'GET', '/');
			return nRounds === STILL_ROUNDS;
		}, 20000, 'that the gateway reads no more');
	}

	http(target) {
		return `http://127.0.0.1:${this.port}${target}`;
	}

	get boshUrl() {
		return this.http('/http-bind');
	}

	get websocketUrl() {
		return `ws://127.0.0.1:${this.port}/xmpp-websocket`;
	}

	// The processes that serve clients, the newest last: children of the supervisor, which is this.child.
	get serverPids() {
		const { pid } = this.child;
		return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
	}

	get serverPid() {
		return this.serverPids.at(-1);
	}

	get isRunning() {
		return this.child.exitCode === null && this.child.signalCode === null;
	}

	async stop(signal = 'SIGTERM') {
		const wasRunning = this.isRunning;
		const code = await stopChild(this.child, { signal, patience: 20000 });
		await within(this.exited, 5000, 'the end of the log');
		removeFolder(this.folder);
		const output = `${this.log}\n${this.partial}`;
		const report = output.search(SANITIZER);
		assert.equal(report, -1, `a sanitizer spoke:\n${output.slice(Math.max(0, report - 200), report + 6000)}`);
		assert.ok(wasRunning, `doab had ended by itself (${code}):\n${output.slice(-4000)}`);
		assert.equal(code, 0, `exit status after ${signal}:\n${output.slice(-4000)}`);
	}
}
