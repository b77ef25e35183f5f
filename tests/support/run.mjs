#!/usr/bin/env node
// Runs the test files, a few at a time, each in a process group of its own with a time limit, and writes the counts.
//
//     node support/run.mjs [--jobs N] [--limit SECONDS] [--counts FILE] [--skips FILE] [--name PATTERN] FILE...
//
// --counts appends a line "P F S" (passed, failed, skipped), --skips one for each test that was skipped, with its reason;
// --name picks tests by name.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('..', import.meta.url));
const reporter = new URL('./reporter.mjs', import.meta.url).href;
const { values: options, positionals: files } = parseArgs({
	allowPositionals: true,
	options: {
		jobs: { type: 'string', default: '3' },
		limit: { type: 'string', default: '240' },
		counts: { type: 'string' },
		skips: { type: 'string' },
		name: { type: 'string' },
	},
});
const totals = { passed: 0, failed: 0, skipped: 0 };
const skipped = [];
// Those that take longest, half a minute and more, are started first: otherwise one of them goes on alone at the end. Those that compute
// stand between those that mostly wait.
const LONGEST = ['interop/messages', 'conformance/probe', 'interop/ejabberd', 'conformance/bosh-guard', 'conformance/bosh-ending',
	'interop/browser', 'conformance/bosh-rules', 'interop/ways', 'conformance/bosh-session', 'conformance/faults', 'interop/purple',
	'interop/vanished', 'interop/build', 'conformance/soak', 'interop/libraries', 'conformance/unread', 'interop/proxies',
	'conformance/bosh-streams', 'conformance/session-log', 'conformance/refused', 'conformance/dial-network', 'interop/converse'];
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
		const args = [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout', path.resolve(file)];
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

function report(file, { stdout, stderr, isLate, isHeld, code }, seconds) {
	const results = parseResults(stdout);
	const failures = results.filter(({ outcome }) => outcome === 'failed');
	if (isLate) {
		failures.push({ name: path.basename(file), error: `not finished within ${options.limit} s` });
	} else if (isHeld) {
		failures.push({ name: path.basename(file), error: 'a program that it started outlived it, and held its output' });
	} else if (code !== 0 && failures.length === 0) {
		failures.push({ name: path.basename(file), error: `the file ended with status ${code}` });
	}
	const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
	totals.passed += count('passed');
	totals.skipped += count('skipped');
	totals.failed += failures.length;
	const state = failures.length ? 'FAILED' : 'ok';
	console.log(`  ${path.relative(here, file).padEnd(40)} ${String(count('passed')).padStart(4)} ok  ${seconds.toFixed(1).padStart(6)} s  ${state}`);
	for (const { name, error } of failures) {
		console.log(`    FAILED: ${name}\n${indent(String(error).split('\n').slice(0, ERROR_LINES))}`);
	}
	if (failures.length && stderr) {
		console.log(`    It printed, and so did what it started:\n${indent(stderr.trimEnd().split('\n').slice(-STDERR_LINES))}`);
	}
	for (const { name, reason } of options.name ? [] : results.filter(({ outcome }) => outcome === 'skipped')) {
		console.log(`    skipped: ${name}: ${reason}`);
		skipped.push(`${path.relative(here, file)}: ${name}: ${reason}`);
	}
	for (const { note } of results.filter((result) => result.note)) {
		console.log(`    ${note}`);
	}
}

async function worker(queue) {
	for (let file = queue.shift(); file; file = queue.shift()) {
		const started = Date.now();
		const outcome = existsSync(file) ? await runFile(file) : { stdout: '', stderr: 'no such file', code: 1 };
		report(path.resolve(file), outcome, (Date.now() - started) / 1000);
	}
}

function rankOf(file) {
	const place = LONGEST.indexOf(path.relative(here, path.resolve(file)).replace('.test.mjs', ''));
	return place === -1 ? LONGEST.length : place;
}

const queue = [...files].sort((a, b) => rankOf(a) - rankOf(b));
await Promise.all(Array.from({ length: Number(options.jobs) }, () => worker(queue)));
if (options.counts) {
	appendFileSync(options.counts, `${totals.passed} ${totals.failed} ${totals.skipped}\n`);
}
if (options.skips) {
	appendFileSync(options.skips, skipped.map((line) => `${line}\n`).join(''));
}
process.exitCode = totals.failed ? 1 : 0;
