// What systemd is told (sd_notify), and the sockets that it opens.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY, Doab, configText } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, run, startChild, stopAll, stopChild, suspend, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const ACTIVATE = '/usr/bin/systemd-socket-activate';
// Prints each datagram that comes to the socket as one line.
const MANAGER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;
const N_ROUNDS = 4;
let folder;

before(() => {
	folder = temporaryFolder('manager');
});
after(() => removeFolder(folder));

async function startManager(name) {
	const socket = path.join(folder, name);
	const child = startChild('python3', ['-c', MANAGER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
	const lines = [];
	child.stdout.setEncoding('utf8').on('data', (text) => lines.push(...text.split('\n').filter(Boolean)));
	await until(() => lines.length > 0, 15000, 'the socket of the manager');
	lines.shift();
	return { socket, lines, stop: () => stopChild(child, { signal: 'SIGKILL' }),
		told: (what, n = 1) => until(() => lines.filter((line) => line.startsWith(what)).length >= n, 20000, `${what}: ${lines}`) };
}

test('READY, RELOADING and STOPPING are told, and the watchdog is fed', TIMEOUT, async () => {
	const manager = await startManager('notify');
	const doab = await Doab.start({}, { env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '4000000' } });
	await manager.told('READY=1');
	// On a slow machine the watchdog is fed during the start, too.
	assert.equal(manager.lines.find((line) => line !== 'WATCHDOG=1'), 'READY=1');
	await manager.told('WATCHDOG=1', 2);
	doab.child.kill('SIGHUP');
	await doab.logged('reloaded');
	await manager.told('READY=1', 2);
	assert.match(manager.lines.find((line) => line.startsWith('RELOADING=1')), /^RELOADING=1 MONOTONIC_USEC=\d+$/);
	doab.child.kill('SIGUSR2');
	await manager.told('RELOADING=1', 2);
	await manager.told('READY=1', 3);
	await doab.stop();
	await manager.told('STOPPING=1');
	await manager.stop();
});

test('a short watchdog is fed twice in its time', TIMEOUT, async () => {
	const manager = await startManager('short');
	const doab = await Doab.start({}, { env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '1000000' } });
	const feedings = () => manager.lines.filter((line) => line === 'WATCHDOG=1').length;
	await manager.told('WATCHDOG=1');
	// Once in a second would be too late. A busy machine may take some moments off the process: not in each round.
	const rounds = [];
	while (rounds.length < N_ROUNDS && !rounds.some((seconds) => seconds < 10)) {
		const [before, began] = [feedings(), performance.now()];
		await until(() => feedings() - before >= 12, 20000, 'feedings');
		rounds.push((performance.now() - began) / 1000);
	}
	assert.ok(rounds.at(-1) < 10, `${rounds} s for 12 feedings`);
	await doab.stop();
	await manager.stop();
});

test('a worker that hangs is not told to be alive', TIMEOUT, async () => {
	const manager = await startManager('hung');
	const doab = await Doab.start({}, { env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '2000000' } });
	await manager.told('WATCHDOG=1');
	suspend(doab.serverPid);
	const feedings = () => manager.lines.filter((line) => line === 'WATCHDOG=1').length;
	let last;
	await until(async () => {
		const before = feedings();
		await new Promise((resolve) => setTimeout(resolve, 3000));
		last = feedings() - before;
		return last === 0;
	}, 30000, 'the end of the feedings');
	process.kill(doab.serverPid, 'SIGCONT');
	await doab.stop();
	await manager.stop();
});

test('more sockets than can be taken: the start says so', TIMEOUT, async () => {
	const file = path.join(folder, 'many.conf');
	writeFileSync(file, configText({ listen: [`127.0.0.1:${await freePort()}`] }));
	// The process id of the shell stays that of the gateway.
	const { code, stderr } = await run('sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=65 exec "$0" --config "$1"', BINARY, file]);
	assert.equal(code, 1, stderr);
	assert.match(stderr, /event=sockets-refused max=64/);
});

test('the sockets of the service manager take the place of `listen`, also over an upgrade', TIMEOUT, async (t) => {
	if (!existsSync(ACTIVATE)) {
		t.skip(`${ACTIVATE} is not installed`);
		return;
	}
	const port = await freePort();
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2 });
	const { doab } = stage;
	const file = path.join(doab.folder, 'doab.conf');
	const active = new Doab();
	active.folder = temporaryFolder('active');
	active.launch(['--config', file], {}, [ACTIVATE, '-l', `127.0.0.1:${port}`, '--fdname=web']);
	await until(() => httpRequest(port, 'GET', '/').then(({ status }) => status === 200, () => false), 15000, 'the start');
	const client = new BoshClient(port, { connection: 'fresh' });
	await client.login('plain.test');
	active.child.kill('SIGUSR2');
	await active.logged('upgraded');
	await client.exchange('<message xmlns="jabber:client" id="a"/>', ({ attributes }) => attributes.id === 'a');
	for (let i = 0; i < 10; i++) {
		assert.equal((await httpRequest(port, 'GET', '/')).status, 200);
	}
	client.close();
	await active.stop();
	await stopAll(stage);
});
