// How a process of the gateway ends: the log says which one and how, the exit status says whether to start it again, and what is not
// the end of a process ends no session. upgrade.test.mjs has the orderly ways.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY } from '../support/doab.mjs';
import { Faults, SUPERVISOR, server } from '../support/faults.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(120000) };
const SKIP = readFileSync(BINARY).includes('__tsan_init') && 'ThreadSanitizer has to be the first library';
// A receiver waits a hundred times for memory, and then says so.
const WAITS = 100;
const NO_MEMORY = { call: 'recvmsg', effect: 'ENOMEM', nth: 1, times: WAITS + WAITS / 2 };

async function withSession(use, { env, copy } = {}) {
	const stage = await Stage.open({ plain: 'plain' }, { sandbox: false, log_level: 'info', inactivity: 300 }, { env, copy });
	const client = new BoshClient(stage.port);
	try {
		await client.login('plain.test');
		await use(stage.doab, client);
	} finally {
		await client.close?.();
		await stopAll(...stage.doab.isRunning ? [stage] : Object.values(stage.servers));
	}
}

async function withFaults(use) {
	const faults = Faults.open();
	try {
		await withSession((doab, client) => use(doab, client, faults), { env: faults.env });
	} finally {
		faults.close();
	}
}

const echo = (client, id) => client.exchange(`<message xmlns="jabber:client" id="${id}"/>`, ({ attributes }) => attributes.id === id);
const hasEnded = (doab) => until(() => !doab.isRunning, 15000, 'the end of the gateway');

test('a server that is killed is named, with the signal', TIMEOUT, async () => {
	await withSession(async (doab) => {
		const pid = doab.serverPid;
		process.kill(pid, 'SIGKILL');
		const line = await doab.logged('server-killed');
		assert.deepEqual([line.level, line.pid, line.signal], ['error', String(pid), 'Killed']);
		assert.match(line.hint, /memory/);
		await hasEnded(doab);
		assert.equal(doab.child.exitCode, 1);
	});
});

test('a server that ends without an order is an error, however well it went', { ...TIMEOUT, skip: SKIP }, async () => {
	await withFaults(async (doab, client, faults) => {
		const pid = doab.serverPid;
		faults.arm({ role: server(0), call: 'recvmsg', effect: 'ENOTCONN', nth: 1 });
		doab.child.kill('SIGUSR1');
		assert.match((await doab.logged('supervisor-gone')).error, /not connected/);
		const line = await doab.logged('server-ended');
		assert.deepEqual([line.level, line.pid, line.status], ['error', String(pid), '0']);
		await hasEnded(doab);
		assert.equal(doab.child.exitCode, 1, 'the service manager has to start it again');
	});
});

test('the end of a retired server is told', TIMEOUT, async () => {
	await withSession(async (doab, client) => {
		const pid = doab.serverPid;
		doab.child.kill('SIGUSR2');
		await doab.logged('upgraded');
		await echo(client, 'still');
		await client.request('', { type: 'terminate' });
		const line = await doab.logged('server-ended', {}, 30000);
		assert.deepEqual([line.level, line.pid, line.status], ['info', String(pid), '0']);
		assert.ok(doab.isRunning);
	});
});

test('an order that waits for memory ends no session', { ...TIMEOUT, skip: SKIP }, async () => {
	await withFaults(async (doab, client, faults) => {
		await echo(client, 'before');
		faults.arm({ role: server(0), ...NO_MEMORY });
		doab.child.kill('SIGUSR1');
		await doab.logged('order-delayed');
		await doab.logged('failures');
		await echo(client, 'after');
	});
});

test('a report that waits for memory ends no session', { ...TIMEOUT, skip: SKIP }, async () => {
	await withFaults(async (doab, client, faults) => {
		for (let i = 1; i <= 2; i++) {
			faults.arm({ role: SUPERVISOR, ...NO_MEMORY });
			doab.child.kill('SIGHUP');
			await until(() => doab.events.filter(({ event }) => event === 'report-delayed').length === i, 15000, 'the delay');
			faults.disarm();
			// A second one is obeyed only after the supervisor has heard of the end of the first.
			await until(() => doab.events.filter(({ event }) => event === 'reloaded').length === i, 15000, 'the reload');
			await echo(client, `after-${i}`);
		}
	});
});

// It takes a minute.
const slowTest = process.env.DOAB_LONG === '1' ? test : () => {};
slowTest('a server that takes too long to start is given up, and the log says so', TIMEOUT, async () => {
	await withSession(async (doab, client) => {
		writeFileSync(`${doab.binary}.new`, '#!/bin/sh\nexec sleep 1000\n');
		chmodSync(`${doab.binary}.new`, 0o755);
		renameSync(`${doab.binary}.new`, doab.binary);
		doab.child.kill('SIGUSR2');
		const { reason } = await doab.logged('upgrade-failed', {}, 90000);
		assert.match(reason, /in time/);
		await echo(client, 'after');
	}, { copy: true });
});
