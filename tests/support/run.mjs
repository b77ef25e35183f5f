#!/usr/bin/env node
// Runs the test files, a few at a time, each in a process group of its own with a time limit, and writes the counts.
//
//     node support/run.mjs [--jobs N] [--limit SECONDS] [--counts FILE] [--skips FILE] [--failures FILE] [--repeats FILE] [--name PATTERN] FILE...
//
// --counts appends a line "P F S" (passed, failed, skipped), --skips one for each test that was skipped, with its reason, --failures one
// for each that failed; --name picks tests by name.
//
// --repeats lets files that failed run once more, alone, after the others: tests use browsers, servers and clients of other people, six
// files at a time, and now and then one of those fails. What failed the first time is appended to the file, and is listed at the end of
// a run: it is to be looked into. What a sanitizer reports, or a process that was killed, is a failure however the second time ends.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('..', import.meta.url));
const reporter = new URL('./reporter.mjs', import.meta.url).href;
const ending = new URL('./ending.mjs', import.meta.url).href;
const { values: options, positionals: files } = parseArgs({
	allowPositionals: true,
	options: {
		jobs: { type: 'string', default: '3' },
		limit: { type: 'string', default: '240' },
		counts: { type: 'string' },
		skips: { type: 'string' },
		failures: { type: 'string' },
		repeats: { type: 'string' },
		name: { type: 'string' },
	},
});
const totals = { passed: 0, failed: 0, skipped: 0 };
const skipped = [];
const failed = [];
const toRepeat = [];
const repeated = [];
// Where more files fail, something is broken, and the second time would only take its time.
const REPEATS_MAX = 3;
// What is never the fault of another program, or of a busy machine.
const UNFORGIVEN = /Sanitizer|runtime error:|event"?[=:]"?server-killed|"?signal"?[=:]"?(Segmentation|Aborted)/;
// Those that take longest, twenty seconds and more, are started first: otherwise one of them goes on alone at the end. Those that compute
// stand between those that mostly wait.
const LONGEST = ['conformance/faults', 'conformance/unsent', 'interop/ejabberd', 'conformance/latency', 'conformance/bosh-ending',
	'interop/messages', 'conformance/bosh-rules', 'conformance/standstill', 'interop/ways', 'conformance/bosh-session',
	'interop/browser', 'interop/purple', 'interop/vanished', 'conformance/server-faults', 'conformance/unread', 'conformance/refused',
	'interop/build', 'conformance/soak', 'interop/converse', 'conformance/bosh-streams', 'conformance/session-log', 'interop/libraries',
	'conformance/foreign', 'conformance/dial-network', 'interop/runner', 'conformance/bosh-guard', 'interop/stopped',
	'conformance/tls-floods', 'interop/haproxy-nodes', 'conformance/probe', 'conformance/process-faults', 'interop/proxies',
	'conformance/network-faults', 'conformance/backpressure', 'conformance/ending', 'conformance/websocket-ends'];
// How long after its end a file's output is waited for. Only what it started can still hold it.
const OUTPUT_MS = 10000;
const ERROR_LINES = 60;
const STDERR_LINES = 200;

// A file that was killed may have left half a line at the end.
function parseResults(text) {
	return text.split('\n').slice(0, -1).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

// Resolves with what the file printed, and how it ended.
function runFile(file) {
	return new Promise((resolve) => {
		const args = [`--import=${ending}`, `--test-reporter=${reporter}`, '--test-reporter-destination=stdout', path.resolve(file)];
		const named = options.name ? [`--test-name-pattern=${options.name}`] : [];
		const child = spawn(process.execPath, [...named, ...args], { detached: true, cwd: here, stdio: ['ignore', 'pipe', 'pipe'] });
		const output = { stdout: '', stderr: '', isLate: false, isHeld: false };
		for (const name of ['stdout', 'stderr']) {
			child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
		}
		const kill = (signal) => {
			try {
				process.kill(-child.pid, signal);
			} catch {
				// Gone already.
			}
		};
		const timer = setTimeout(() => {
			output.isLate = true;
			kill('SIGTERM');
			setTimeout(() => kill('SIGKILL'), 5000).unref();
		}, Number(options.limit) * 1000);
		children.add(kill);
		let outputTimer;
		// What the tests started and did not stop goes with them, unless it has made itself a group of its own.
		child.once('exit', () => {
			kill('SIGKILL');
			outputTimer = setTimeout(() => {
				output.isHeld = true;
				child.stdout.destroy();
				child.stderr.destroy();
			}, OUTPUT_MS);
		});
		child.once('close', (code) => {
			clearTimeout(timer);
			clearTimeout(outputTimer);
			children.delete(kill);
			resolve({ ...output, code });
		});
	});
}

const children = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
	process.once(signal, () => {
		children.forEach((kill) => kill('SIGTERM'));
		process.exit(1);
	});
}

const indent = (lines) => lines.map((line) => `      ${line}`).join('\n');

// What failed in @file.
function failuresOf(file, results, { isLate, isHeld, code }) {
	const failures = results.filter(({ outcome }) => outcome === 'failed');
	if (isLate) {
		failures.push({ name: path.basename(file), error: `not finished within ${options.limit} s` });
	} else if (isHeld) {
		failures.push({ name: path.basename(file), error: 'a program that it started outlived it, and held its output' });
	} else if (code !== 0 && failures.length === 0) {
		failures.push({ name: path.basename(file), error: `the file ended with status ${code}` });
	}
	return failures;
}

function printResults(file, results, failures, stderr, seconds) {
	const n = results.filter(({ outcome }) => outcome === 'passed').length;
	const state = failures.length ? 'FAILED' : 'ok';
	console.log(`  ${path.relative(here, file).padEnd(40)} ${String(n).padStart(4)} ok  ${seconds.toFixed(1).padStart(6)} s  ${state}`);
	for (const { name, error } of failures) {
		console.log(`    FAILED: ${name}\n${indent(String(error).split('\n').slice(0, ERROR_LINES))}`);
	}
	if (failures.length && stderr) {
		console.log(`    It printed, and so did what it started:\n${indent(stderr.trimEnd().split('\n').slice(-STDERR_LINES))}`);
	}
	for (const { note } of results.filter((result) => result.note)) {
		console.log(`    ${note}`);
	}
}

const linesOf = (file, failures) => failures.map(({ name, error }) => `${path.relative(here, file)}: ${name}: ${String(error).split('\n')[0]}`);

function count(file, results, failures) {
	totals.passed += results.filter(({ outcome }) => outcome === 'passed').length;
	totals.failed += failures.length;
	failed.push(...linesOf(file, failures));
	for (const { name, reason } of results.filter(({ outcome }) => outcome === 'skipped')) {
		totals.skipped++;
		if (!options.name) {
			console.log(`    skipped: ${name}: ${reason}`);
			skipped.push(`${path.relative(here, file)}: ${name}: ${reason}`);
		}
	}
}

const isForgiven = (failures, stderr) => !failures.some(({ error }) => UNFORGIVEN.test(error)) && !UNFORGIVEN.test(stderr);

// Runs @file, the second time if @isSecond.
async function judge(file, isSecond) {
	const started = Date.now();
	const outcome = existsSync(file) ? await runFile(file) : { stdout: '', stderr: 'no such file', code: 1 };
	const results = parseResults(outcome.stdout);
	const failures = failuresOf(file, results, outcome);
	printResults(file, results, failures, outcome.stderr, (Date.now() - started) / 1000);
	if (options.repeats && !isSecond && failures.length && !outcome.isLate && isForgiven(failures, outcome.stderr)) {
		toRepeat.push({ file, results, failures });
	} else {
		count(file, results, failures);
	}
	return failures.length === 0;
}

async function worker(queue) {
	for (let file = queue.shift(); file; file = queue.shift()) {
		await judge(path.resolve(file), false);
	}
}

async function repeat() {
	const isBroken = toRepeat.length > REPEATS_MAX;
	for (const { file, results, failures } of toRepeat) {
		if (isBroken) {
			count(file, results, failures);
			continue;
		}
		console.log(`  Once more: ${path.relative(here, file)}`);
		if (await judge(file, true)) {
			repeated.push(...linesOf(file, failures));
		}
	}
}

function rankOf(file) {
	const place = LONGEST.indexOf(path.relative(here, path.resolve(file)).replace('.test.mjs', ''));
	return place === -1 ? LONGEST.length : place;
}

const queue = [...files].sort((a, b) => rankOf(a) - rankOf(b));
await Promise.all(Array.from({ length: Number(options.jobs) }, () => worker(queue)));
await repeat();
if (options.counts) {
	appendFileSync(options.counts, `${totals.passed} ${totals.failed} ${totals.skipped}\n`);
}
for (const [name, lines] of [[options.skips, skipped], [options.failures, failed], [options.repeats, repeated]]) {
	if (name) {
		appendFileSync(name, lines.map((line) => `${line}\n`).join(''));
	}
}
process.exitCode = totals.failed ? 1 : 0;
