// SIGTERM while the gateway is busy: a server starts, or reads its configuration. A FIFO in the place of a file keeps it there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { configText, Doab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { freePort, patiently, removeFolder, sleep, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };

// Puts a FIFO in the place of @file, which whoever opens it waits at.
function block(file) {
	execFileSync('mkfifo', [`${file}.fifo`]);
	renameSync(`${file}.fifo`, file);
}

async function ends(doab) {
	try {
		await until(() => !doab.isRunning, 15000, `the end:\n${doab.log}`);
	} finally {
		doab.child.kill('SIGKILL');
	}
}

function assertOrderly(doab) {
	assert.equal(doab.child.exitCode, 0, doab.log);
	assert.deepEqual(doab.events.filter(({ event }) => event === 'server-killed'), []);
}

test('SIGTERM while the first server starts', TIMEOUT, async () => {
	const folder = temporaryFolder('starting');
	const doab = new Doab();
	const file = path.join(folder, 'doab.conf');
	block(file);
	doab.launch(['--config', file]);
	await until(() => doab.serverPid > 0, 15000, 'a server');
	doab.child.kill('SIGTERM');
	await ends(doab);
	assertOrderly(doab);
	removeFolder(folder);
});

test('SIGTERM at any moment of the start', TIMEOUT, async () => {
	const folder = temporaryFolder('moments');
	const file = path.join(folder, 'doab.conf');
	writeFileSync(file, configText({ listen: [`127.0.0.1:${await freePort()}`], workers: 2 }));
	await Promise.all(Array.from({ length: 8 }, async (_, i) => {
		const doab = new Doab();
		doab.launch(['--config', file]);
		await until(() => doab.serverPid > 0, 15000, 'a server');
		await sleep(20 * i);
		doab.child.kill('SIGTERM');
		await ends(doab);
		assertOrderly(doab);
	}));
	removeFolder(folder);
});

test('SIGTERM while an upgrade is under way', TIMEOUT, async () => {
	const doab = await Doab.start();
	block(path.join(doab.folder, 'doab.conf'));
	doab.child.kill('SIGUSR2');
	await doab.logged('upgrading');
	doab.child.kill('SIGTERM');
	await ends(doab);
	assertOrderly(doab);
	removeFolder(doab.folder);
});

test('SIGTERM while the configuration is read anew', TIMEOUT, async () => {
	const doab = await Doab.start();
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
	removeFolder(doab.folder);
});
