// Disks that are full or read-only under what the gateway writes: its log, and its sockets in the file system; and a log whose reader
// is gone. Sessions go on, a start or a reload that cannot be says why, and all is well again when there is room.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { COUNTING, countingClient } from '../support/counting.mjs';
import { Doab, configText, runDoab } from '../support/doab.mjs';
import { leavingNothing } from '../support/fault-leftovers.mjs';
import { httpRequest } from '../support/http.mjs';
import { linesOf, runLogging } from '../support/logging.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const INACTIVITY_S = 5;
let folder;
let disk;
let server;
let reason;

const mount = (...options) => execFileSync('mount', [...options, disk], { stdio: 'pipe' });
const remount = (options) => execFileSync('mount', ['-o', `remount,${options}`, disk], { stdio: 'pipe' });
const at = (name) => path.join(disk, name);

before(async () => {
	folder = temporaryFolder('disk-faults');
	disk = path.join(folder, 'disk');
	mkdirSync(disk);
	server = await XmppServer.start('plain');
	try {
		// Three files, the folder included.
		mount('-t', 'tmpfs', '-o', 'size=128k,nr_inodes=4', 'tmpfs');
	} catch (error) {
		reason = `this machine lets nobody mount a small disk here: ${error.message}`;
	}
});
after(async () => {
	if (!reason) {
		execFileSync('umount', [disk]);
	}
	await stopAll(server);
	removeFolder(folder);
});

const testDisk = (name, body) => test(name, TIMEOUT, async (t) => {
	if (reason) {
		t.skip(reason);
		return;
	}
	try {
		await body(t);
	} finally {
		remount('rw');
		readdirSync(disk).forEach((file) => rmSync(at(file)));
	}
});

// No more files can be made; resolves with what ends that.
function fillUp() {
	const files = [];
	assert.throws(() => {
		for (let i = 0; i < 10; i++) {
			files.push(at(`filler${i}`));
			writeFileSync(files.at(-1), '');
		}
	}, /ENOSPC/);
	return () => files.forEach((file) => rmSync(file, { force: true }));
}

const domains = () => ({ 'plain.test': server.section() });
const openBoth = (port, opened) => Promise.all(Object.keys(COUNTING).map((transport) =>
	countingClient(transport, { port, domain: 'plain.test', among: opened })));

function isOpen(file, pid) {
	try {
		return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === file);
	} catch {
		return false; // one of them was closed meanwhile
	}
}

// Runs the gateway with @config while @use does, of which nothing may be left in it.
async function runLeavingNothing(config, use) {
	const admin = await freePort();
	const keys = { inactivity: INACTIVITY_S, admin: `127.0.0.1:${admin}`, domains: domains(), ...config };
	await runLogging(folder, keys, async ({ port, child }) => {
		if (keys.log_to) {
			// The supervisor opens it when the server serves already.
			await until(() => isOpen(keys.log_to, child.pid), 15000, 'the log of the supervisor');
		}
		await leavingNothing({ pid: child.pid, admin, port }, (opened) => use({ port, child, opened }));
	});
}

async function talk(clients) {
	clients.forEach((client) => client.say(2));
	await Promise.all(clients.map((client) => client.assertComplete(20000)));
}

testDisk('the log on a disk without room for a new file: sessions go on, and the log when there is room', async () => {
	const file = at('doab.log');
	await runLeavingNothing({ log_to: file }, async ({ port, child, opened }) => {
		const clients = await openBoth(port, opened);
		await talk(clients);
		await until(() => linesOf(file).some((line) => /event=session-ready/.test(line)), 15000, 'the first lines');
		renameSync(file, at('old.log'));
		const mend = fillUp();
		// The file cannot be opened anew; that must not end anything.
		child.kill('SIGHUP');
		for (let i = 0; i < 3; i++) {
			await talk(clients);
			await talk(await openBoth(port, opened));
		}
		mend();
		child.kill('SIGHUP');
		await until(() => existsSync(file), 15000, 'the new file');
		child.kill('SIGUSR1');
		await until(() => linesOf(file).some((line) => /event=failures/.test(line)), 15000, 'a line in the new file');
		await talk(clients);
		await Promise.all(clients.map((client) => client.finish()));
	});
	rmSync(at('old.log'), { force: true });
});

const SPOILS = {
	'a disk without room for a new file': fillUp,
	'a disk that became read-only': () => {
		remount('ro');
		return () => remount('rw');
	},
};

for (const [what, spoil] of Object.entries(SPOILS)) {
	testDisk(`a socket on ${what}: a start says why, an upgrade leaves the old server, and sessions go on`, async () => {
		const config = { listen: [`127.0.0.1:${await freePort()}`], admin: at('admin.socket'), workers: 1 };
		const file = path.join(folder, 'socket.conf');
		writeFileSync(file, configText(config));
		let mend = spoil();
		const { code, stderr } = await runDoab('--config', file);
		assert.equal(code, 1, stderr);
		assert.match(stderr, /admin\.socket/);
		assert.match(stderr, /No space left on device|Read-only file system/);
		mend();
		const adminPort = await freePort();
		const doab = await Doab.start({ inactivity: INACTIVITY_S, admin: `127.0.0.1:${adminPort}`, domains: domains() });
		const ownFile = path.join(doab.folder, 'doab.conf');
		const upgrade = (place) => {
			writeFileSync(ownFile, configText({ ...doab.config, admin: place }));
			doab.child.kill('SIGUSR2');
		};
		try {
			await leavingNothing({ pid: doab.child.pid, admin: adminPort, port: doab.port }, async (opened) => {
				const clients = await openBoth(doab.port, opened);
				await talk(clients);
				mend = spoil();
				upgrade(at('admin.socket'));
				await doab.logged('upgrade-failed');
				assert.match(doab.log, /admin\.socket/);
				await talk(clients);
				mend();
				await Promise.all(clients.map((client) => client.finish()));
			});
			const clients = await openBoth(doab.port);
			try {
				upgrade(at('admin.socket'));
				await doab.logged('upgraded');
				assert.ok(existsSync(at('admin.socket')));
				await talk(clients);
				await Promise.all(clients.map((client) => client.finish()));
			} finally {
				clients.forEach((client) => client.stop());
			}
		} finally {
			await doab.stop();
		}
	});
}

test('a log whose reader is gone: sessions go on, and the end is as usual', TIMEOUT, async () => {
	await runLeavingNothing({ log_level: 'debug' }, async ({ port, child, opened }) => {
		const clients = await openBoth(port, opened);
		await talk(clients);
		child.stderr.destroy();
		for (let i = 0; i < 3; i++) {
			await talk(clients);
			await talk(await openBoth(port, opened));
		}
		assert.equal((await httpRequest(port, 'GET', '/')).status, 200);
		const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
		assert.ok(pid, 'the server runs');
		await Promise.all(clients.map((client) => client.finish()));
	});
});
