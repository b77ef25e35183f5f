// What the run of the tests owes to nobody: programs that are not tested may fail, hang and live on, and ports are for one file alone.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Prosody } from '../support/prosody.mjs';
import { onceMore, patiently, removeFolder, run, startChild, stopChild, temporaryFolder, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const RUNNER = fileURLToPath(new URL('../support/run.mjs', import.meta.url));
const UTIL = new URL('../support/util.mjs', import.meta.url).href;
const N_PROCESSES = 4;
const N_PORTS = 400; // of each: by chance alone some would be given to two
let folder;

before(() => (folder = temporaryFolder('runner')));
after(() => removeFolder(folder));

// Runs a test file with that text.
function runFile(name, text, ...options) {
	const file = path.join(folder, `${name}.test.mjs`);
	writeFileSync(file, `import { test } from 'node:test';\nimport { spawn } from 'node:child_process';\nimport { tellWhenFailed } from '${UTIL}';\n${text}`);
	return run(process.execPath, [RUNNER, '--jobs', '1', ...options, file], { patience: 40000, env: { ...process.env, DOAB_HOOKS_MS: '1000' } });
}

test('a program that outlives a file and holds its output fails that file, and does not hold up the run', TIMEOUT, async () => {
	const { code, stdout } = await runFile('leftover', `test('one', () => {
	spawn('sleep', ['30'], { detached: true, stdio: 'inherit' }).unref();
	});`);
	assert.equal(code, 1, stdout);
	assert.match(stdout, /1 ok .* FAILED\n.*leftover\.test\.mjs\n.*outlived it/);
});

test('a file that fails tells what other programs said; one that does not fail does not', TIMEOUT, async () => {
	const text = (result) => `tellWhenFailed(() => 'the log of a server');\ntest('one', () => { if (${result}) throw new Error('wrong'); });`;
	const failed = await runFile('failed', text(true));
	assert.equal(failed.code, 1);
	assert.match(failed.stdout, /FAILED: one\n.*wrong[^]*the log of a server/);
	const passed = await runFile('passed', text(false));
	assert.equal(passed.code, 0, passed.stdout);
	assert.doesNotMatch(passed.stdout, /the log of a server/);
});

test('so does a file that does not end in its time', TIMEOUT, async () => {
	const { code, stdout } = await runFile('late', `tellWhenFailed(() => 'the log of a server');
	test('one', () => new Promise(() => setInterval(() => {}, 1000)));`, '--limit', '10');
	assert.equal(code, 1);
	assert.match(stdout, /not finished within 10 s[^]*the log of a server/);
});

test('a file whose failed test has left something open ends by itself, after its hooks', TIMEOUT, async () => {
	const { code, stdout } = await runFile('open', `import net from 'node:net';
	import { after } from 'node:test';
	after(() => console.error('the hook of the file'));
	test('one', () => {
		net.createServer().listen(0, '127.0.0.1');
		throw new Error('wrong');
	});
	test('two', () => {});`, '--limit', '120');
	assert.equal(code, 1);
	assert.match(stdout, /1 ok [^]*FAILED: one\n.*wrong[^]*the hook of the file\n.*Still open: .*TCPServerWrap/);
	assert.doesNotMatch(stdout, /not finished within/);
});

test('what is skipped is counted and told with its reason, also a whole suite', TIMEOUT, async () => {
	const { code, stdout } = await runFile('skipped', `import { describe } from 'node:test';
	test('one', { skip: 'not here' }, () => {});
	describe('some', { skip: 'none of them' }, () => test('two', () => {}));
	describe('others', { skip: false }, () => test('three', () => {}));
	describe('nothing', () => {});`);
	assert.equal(code, 0, stdout);
	assert.match(stdout, / 1 ok /);
	assert.deepEqual(stdout.match(/skipped: .*/g), ['skipped: one: not here', 'skipped: some: none of them']);
});

// A test that fails the first @nFailures times, with @error.
const failsTimes = (name, nFailures, error = 'wrong') => `import { appendFileSync, readFileSync } from 'node:fs';
	const file = ${JSON.stringify(path.join(folder, `${name}.times`))};
	test('other', () => {});
	test('one', () => {
		appendFileSync(file, 'x');
		if (readFileSync(file).length <= ${nFailures}) throw new Error(${JSON.stringify(error)});
	});`;

test('a file that failed is run once more where that is asked for, and is told of', TIMEOUT, async () => {
	for (const { name, nFailures, error, isPassed, n, isAsked = true } of [
		{ name: 'never', nFailures: 0, isPassed: true, n: 1 },
		{ name: 'once', nFailures: 1, isPassed: true, n: 2 },
		{ name: 'twice', nFailures: 2, isPassed: false, n: 2 },
		{ name: 'unasked', nFailures: 1, isPassed: false, n: 1, isAsked: false },
		{ name: 'memory', nFailures: 1, error: 'ERROR: AddressSanitizer: heap-use-after-free', isPassed: false, n: 1 },
		{ name: 'killed', nFailures: 1, error: 'time=1 level=error event=server-killed pid=1', isPassed: false, n: 1 },
	]) {
		const files = ['counts', 'failures', 'repeats'].map((what) => path.join(folder, `${name}.${what}`));
		const { code, stdout } = await runFile(name, failsTimes(name, nFailures, error),
			'--counts', files[0], '--failures', files[1], ...isAsked ? ['--repeats', files[2]] : []);
		assert.equal(code, isPassed ? 0 : 1, stdout);
		assert.equal(readFileSync(path.join(folder, `${name}.times`)).length, n, name);
		assert.equal(readFileSync(files[0], 'utf8'), isPassed ? '2 0 0\n' : '1 1 0\n', name);
		assert.match(readFileSync(files[1], 'utf8'), isPassed ? /^$/ : new RegExp(`^.*${name}.test.mjs: one: .*${error ?? 'wrong'}\n$`), name);
		assert.equal(isAsked && readFileSync(files[2], 'utf8').includes('once.test.mjs: one: Error: wrong\n'), name === 'once', name);
	}
});

test('where many files fail, none is run once more', TIMEOUT, async () => {
	const more = Array.from({ length: 3 }, (_, i) => {
		const file = path.join(folder, `more${i}.test.mjs`);
		writeFileSync(file, `import { test } from 'node:test';\n${failsTimes(`more${i}`, 1)}`);
		return file;
	});
	const { code, stdout } = await runFile('many', failsTimes('many', 1), '--repeats', path.join(folder, 'many.repeats'), ...more);
	assert.equal(code, 1, stdout);
	assert.equal(readFileSync(path.join(folder, 'many.times')).length, 1);
});

test('a port is given to one process alone while that lives', TIMEOUT, async () => {
	const script = `import { freePort } from '${UTIL}';
		const ports = [];
		for (let i = 0; i < ${N_PORTS}; i++) ports.push(await freePort());
		console.log(JSON.stringify(ports));
		setInterval(() => {}, 1000);`;
	const children = Array.from({ length: N_PROCESSES }, () =>
		startChild(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] }));
	try {
		const ports = await Promise.all(children.map(async (child) => JSON.parse(await within(once(child.stdout, 'data'), 30000, 'ports'))));
		assert.equal(new Set(ports.flat()).size, N_PROCESSES * N_PORTS);
	} finally {
		await Promise.all(children.map((child) => stopChild(child)));
	}
});

test('what starts is started once, what does not is replaced once', TIMEOUT, async () => {
	for (const [nFailures, nStarts, outcome] of [[0, 1, 'started'], [1, 2, 'started'], [2, 2, 'failed']]) {
		let n = 0;
		const start = async () => {
			if (n++ < nFailures) {
				throw new Error('failed');
			}
			return 'started';
		};
		assert.equal(await onceMore(start).catch(({ message }) => message), outcome);
		assert.equal(n, nStarts);
	}
});

test('a server that ends at its start is replaced by another; one that never listens fails with what it said', TIMEOUT, async () => {
	const usual = process.env.PATH;
	const fake = (text) => {
		writeFileSync(path.join(folder, 'prosody'), `#!/bin/sh\n${text}\n`);
		chmodSync(path.join(folder, 'prosody'), 0o755);
	};
	process.env.PATH = `${folder}:${usual}`;
	try {
		fake(`[ -e '${folder}/began' ] || { >'${folder}/began'; exit 1; }\nexec env PATH='${usual}' prosody "$@"`);
		const server = await Prosody.start();
		assert.match(await server.console('c2s:show()'), /OK/);
		await server.stop();
		fake('echo no such luck; exit 1');
		await assert.rejects(Prosody.start(), /prosody ended[^]*no such luck/);
	} finally {
		process.env.PATH = usual;
	}
});
