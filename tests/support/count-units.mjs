#!/usr/bin/env node
// Counts the test cases that cmocka and the rules named (in TAP) in the log of a `meson test`: prints "P F S" (passed, failed, skipped).
//
//     node support/count-units.mjs meson-logs/testlog.json SKIPS FAILURES
//
// A line "program: test: reason" is added to the file SKIPS for each that was skipped, and "program: test" to FAILURES for each that
// failed. A program that failed without naming a test counts as one.
import { appendFileSync, readFileSync } from 'node:fs';

const [log, skips, failures] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };

// cmocka 1.1.5 writes "not ok 1 # SKIP name"; the reason stands in the line of tests/unit/skip.h before it.
function skippedIn(lines) {
	let reason;
	const found = [];
	for (const line of lines) {
		reason = /^# skipped: (.*)/.exec(line)?.[1] ?? reason;
		const [, name] = /^(?:not )?ok \d+ # SKIP (.*)/.exec(line) ?? [];
		if (name !== undefined) {
			found.push(`${name}: ${reason ?? 'no reason was given'}`);
			reason = undefined;
		}
	}
	return found;
}

for (const line of readFileSync(log, 'utf8').split('\n').filter(Boolean)) {
	const { stdout = '', result, name } = JSON.parse(line);
	const lines = stdout.split('\n');
	const cases = lines.filter((text) => /^(not )?ok \d+ /.test(text));
	const place = `unit/${name.replace(/^.* \/ /, '')}`;
	const skipped = skippedIn(lines);
	const failed = lines.flatMap((text) => /^not ok \d+ (?!# SKIP)(?:- )?(.*)/.exec(text)?.[1] ?? []);
	const nPassed = cases.length ? cases.length - failed.length - skipped.length : Number(result === 'OK');
	if (result !== 'OK' && !failed.length) {
		failed.push(`ended with ${result}`);
	}
	sum.passed += nPassed;
	sum.failed += failed.length;
	sum.skipped += skipped.length;
	appendFileSync(skips, skipped.map((text) => `${place}: ${text}\n`).join(''));
	appendFileSync(failures, failed.map((text) => `${place}: ${text}\n`).join(''));
}
console.log(sum.passed, sum.failed, sum.skipped);
