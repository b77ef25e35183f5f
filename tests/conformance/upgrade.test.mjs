// SIGUSR2: a new server takes over, and no session is lost. SIGTERM: the gateway drains.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { BINARY, configText } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, suspend, temporaryFolder, until, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(120000) };
// A short form by default; the long one with DOAB_LONG=1.
const IS_LONG = process.env.DOAB_LONG === '1';
const N_SESSIONS = IS_LONG ? 100 : 10;
const N_UPGRADES = IS_LONG ? 10 : 3;
const SERVERS_MAX = 16;
const LIMITS = {
	log_level: 'info',
	sessions_per_address: 1000, connections_per_address: 5000, connection_rate: 0, session_rate: 0,
	domain_session_rate: 0, request_rate: 0,
};

const count = (doab, event) => doab.events.filter((line) => line.event === event).length;

async function upgrade(doab, outcome = 'upgraded') {
	const before = count(doab, outcome);
	doab.child.kill('SIGUSR2');
	await until(() => count(doab, outcome) > before, 30000, `event=${outcome}:\n${doab.log.slice(-3000)}`);
}

async function withStage(config, use, options) {
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, ...LIMITS, ...config }, options);
	try {
		await use(stage, stage.doab);
	} finally {
		await stopAll(...stage.doab.isRunning ? [stage] : Object.values(stage.servers));
	}
}

// A client whose echoes are counted: every stanza must come back once.
class Counted {
	// @port and @secure: of a listener with TLS.
	static async open(stage, transport, connection = 'fresh', { port = stage.port, secure } = {}) {
		const counted = new Counted();
		counted.n = 0;
		counted.isBosh = transport === 'bosh';
		counted.client = counted.isBosh ? new BoshClient(port, { connection, secure }) : await openWebSocket(port, { secure });
		await counted.client.login('plain.test');
		return counted;
	}

	async echo() {
		const id = `n${this.n++}`;
		const stanza = `<message xmlns="jabber:client" id="${id}"/>`;
		if (this.isBosh) {
			await this.client.exchange(stanza, ({ attributes }) => attributes.id === id);
		} else {
			this.client.send(stanza);
			assert.equal((await this.client.next(30000)).attributes.id, id);
		}
	}

	// Nothing came twice.
	check() {
		const messages = (this.client.received ?? []).filter(({ name }) => name === 'message');
		assert.deepEqual(messages, []);
	}

	// Ends the session, so that its server need not wait for the client to come back.
	async close() {
		if (this.isBosh) {
			await this.client.request('', { type: 'terminate' }).catch(() => {});
		}
		(this.client.close ?? this.client.drop).call(this.client);
	}
}

test(`${3 * N_SESSIONS} sessions live through ${N_UPGRADES} upgrades under load`, TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const kinds = [['bosh', 'fresh'], ['bosh', 'keep-alive'], ['websocket']];
		const clients = await Promise.all(Array.from({ length: 3 * N_SESSIONS }, (_, i) => Counted.open(stage, ...kinds[i % 3])));
		const { pid } = doab.child;
		let isOver = false;
		let nRequests = 0;
		const talk = clients.map(async (client) => {
			while (!isOver) {
				await client.echo();
				await sleep(20);
			}
		});
		const visits = Array.from({ length: 4 }, async () => {
			while (!isOver) {
				assert.equal((await httpRequest(stage.port, 'GET', '/')).status, 200);
				nRequests++;
			}
		});
		const all = Promise.all([...talk, ...visits]);
		all.catch(() => { isOver = true; });
		for (let i = 0; i < N_UPGRADES && !isOver; i++) {
			await upgrade(doab);
			// Sessions of each server.
			clients.push(await Counted.open(stage, 'bosh'), await Counted.open(stage, 'websocket'));
			await Promise.all(clients.slice(3 * N_SESSIONS).map((client) => client.echo()));
		}
		isOver = true;
		await all;
		for (const client of clients) {
			await client.echo();
			client.check();
		}
		assert.ok(nRequests > N_UPGRADES, `${nRequests} requests`);
		assert.equal(doab.child.pid, pid);
		assert.equal(count(doab, 'session-closed'), 0);
		await Promise.all(clients.map((client) => client.close()));
		// The earlier servers end with their last session.
		await until(() => count(doab, 'stopped') === N_UPGRADES, 30000, 'the end of the earlier servers');
	});
});

test('sessions over TLS of the gateway\'s own live through upgrades', TIMEOUT, async () => {
	const folder = temporaryFolder('upgrade');
	const authority = new Authority(folder);
	const { certificate, key } = authority.issue('front', ['localhost']);
	const secure = { ca: readFileSync(authority.certificate), servername: 'localhost' };
	const port = await freePort();
	await withStage({ listeners: { [`127.0.0.1:${port}`]: { tls: { certificate, key } } } }, async (stage, doab) => {
		const kinds = [['bosh', 'fresh'], ['bosh', 'keep-alive'], ['websocket', '']];
		const clients = [];
		const openAll = async () => clients.push(...await Promise.all([...kinds, ...kinds].map((kind) => Counted.open(stage, ...kind, { port, secure }))));
		let isOver = false;
		await openAll();
		const talk = Promise.all(clients.map(async (client) => {
			while (!isOver) {
				await client.echo();
				await sleep(20);
			}
		}));
		talk.catch(() => { isOver = true; });
		for (let i = 0; i < 2 && !isOver; i++) {
			await upgrade(doab);
			assert.equal((await httpRequest(port, 'GET', '/', { secure })).status, 200);
			await openAll();
		}
		isOver = true;
		await talk;
		for (const client of clients) {
			await client.echo();
			client.check();
		}
		assert.equal(count(doab, 'session-closed'), 0);
		await Promise.all(clients.map((client) => client.close()));
		await until(() => count(doab, 'stopped') === 2, 30000, 'the end of the earlier servers');
	});
	removeFolder(folder);
});

test('the number of workers and the listeners may change', TIMEOUT, async () => {
	await withStage({ workers: 3 }, async (stage, doab) => {
		const clients = [];
		for (const workers of [1, 4, 2]) {
			clients.push(...await Promise.all(Array.from({ length: 4 }, () => Counted.open(stage, 'bosh'))));
			writeFileSync(path.join(doab.folder, 'doab.conf'), configText({ ...doab.config, workers }));
			await upgrade(doab);
			for (let i = 0; i < 20; i++) {
				assert.equal((await httpRequest(stage.port, 'GET', '/')).status, 200);
			}
			await Promise.all(clients.map((client) => client.echo()));
		}
		await Promise.all(clients.map((client) => client.close()));
	});
});

test('a new server that does not start leaves the old one serving', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const client = await Counted.open(stage, 'bosh');
		const file = path.join(doab.folder, 'doab.conf');
		writeFileSync(file, 'nonsense = 1\n');
		await upgrade(doab, 'upgrade-failed');
		await client.echo();
		writeFileSync(file, configText(doab.config));
		await upgrade(doab);
		await client.echo();
		await client.close();
	});
});

test('a reload and an upgrade at the same time: one after the other', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const client = await Counted.open(stage, 'bosh');
		doab.child.kill('SIGHUP');
		await upgrade(doab);
		assert.equal(count(doab, 'reloaded'), 1);
		await client.echo();
		await client.close();
	});
});

test('the program is the file of that name as it is now', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const client = await Counted.open(stage, 'bosh');
		const install = (write) => {
			write(`${doab.binary}.new`);
			renameSync(`${doab.binary}.new`, doab.binary);
		};
		install((file) => writeFileSync(file, 'no program\n', { mode: 0o755 }));
		await upgrade(doab, 'upgrade-failed');
		install((file) => writeFileSync(file, '#!/bin/sh\nexit 3\n', { mode: 0o755 }));
		await upgrade(doab, 'upgrade-failed');
		await client.echo();
		install((file) => copyFileSync(BINARY, file));
		await upgrade(doab);
		await client.echo();
		await client.close();
	}, { copy: true });
});

test('the program is what a symbolic link leads to now', TIMEOUT, async () => {
	const through = ['sh', '-c', 'ln -s "$0" "$0.link"; exec "$0.link" "$@"'];
	await withStage({}, async (stage, doab) => {
		const client = await Counted.open(stage, 'bosh');
		const next = `${doab.binary}-next`;
		copyFileSync(BINARY, next);
		symlinkSync(next, `${doab.binary}.link.new`);
		renameSync(`${doab.binary}.link.new`, `${doab.binary}.link`);
		await upgrade(doab);
		assert.equal(readlinkSync(`/proc/${doab.serverPid}/exe`), next);
		await client.echo();
		await client.close();
	}, { copy: true, through });
});

test('upgrades are refused when too many servers still have sessions', TIMEOUT, async () => {
	await withStage({ workers: 1 }, async (stage, doab) => {
		const clients = [await Counted.open(stage, 'websocket')];
		const outcomes = () => count(doab, 'upgraded') + count(doab, 'upgrade-failed');
		// A session may still come to the server before, and then the newest ends when it is retired.
		for (let i = 1; i < 3 * SERVERS_MAX && !count(doab, 'upgrade-failed'); i++) {
			const before = outcomes();
			doab.child.kill('SIGUSR2');
			await until(() => outcomes() > before, 30000, 'an outcome');
			clients.push(await Counted.open(stage, i % 2 ? 'bosh' : 'websocket'));
		}
		assert.equal(count(doab, 'upgrade-failed'), 1);
		// Those that the supervisor had; one without a session may have ended since.
		const servers = doab.events.filter(({ event }) => event === 'upgrading').map((line) => Number(line.servers));
		assert.equal(Math.max(...servers) + 1, SERVERS_MAX);
		await Promise.all(clients.map((client) => client.echo()));
		// The first server may have more than one of them; its end takes a moment.
		while (doab.serverPids.length === SERVERS_MAX) {
			await clients.shift()?.close();
			await sleep(500);
		}
		await upgrade(doab);
		await Promise.all(clients.map((client) => client.echo()));
		await Promise.all(clients.map((client) => client.close()));
	});
});

// Scrapes until @isOver() says so. A scrape may be refused, before any byte of its answer; then it is repeated.
async function scrape(admin, isOver) {
	const counts = { whole: 0, cut: [] };
	while (!isOver()) {
		const connection = await HttpConnection.open(admin);
		let n = 0;
		connection.socket.on('data', (data) => { n += data.length; });
		try {
			const { status, text } = await connection.request('GET', '/metrics');
			assert.equal(status, 200);
			assert.match(text, /\ndoab_draining /);
			counts.whole++;
		} catch (error) {
			if (n) {
				counts.cut.push(error.message);
			}
		}
		connection.close();
	}
	return counts;
}

// Begins a request at the admin listener before an upgrade and completes it when the server that has it is retired.
async function askAcrossUpgrade(doab, admin) {
	const kept = await HttpConnection.open(admin);
	await kept.request('GET', '/metrics');
	const silent = await HttpConnection.open(admin);
	const connection = await HttpConnection.open(admin);
	const before = count(doab, 'retired');
	connection.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n');
	doab.child.kill('SIGUSR2');
	await until(() => count(doab, 'retired') > before, 30000, 'a retired server');
	connection.write('\r\n');
	const answer = await connection.response().catch(() => null);
	// None stays open: neither one that is between two requests, nor one that says nothing, nor one that was answered.
	await within(Promise.all([kept, silent, connection].map(({ closed }) => closed)), 15000, 'the end of idle connections');
	connection.close();
	return answer;
}

test('what the admin listener was asked before an upgrade is answered, and no answer is cut', TIMEOUT, async () => {
	const admin = await freePort();
	await withStage({ admin: `127.0.0.1:${admin}` }, async (stage, doab) => {
		// The earlier servers live on.
		const client = await Counted.open(stage, 'bosh');
		let isOver = false;
		const scrapes = Promise.all(Array.from({ length: 3 }, () => scrape(admin, () => isOver)));
		scrapes.catch(() => {});
		let answer = null;
		// The listener waits for a second, which a test may miss.
		for (let i = 0; i < 3 && !answer; i++) {
			answer = await askAcrossUpgrade(doab, admin);
		}
		isOver = true;
		for (const { whole, cut } of await scrapes) {
			assert.deepEqual(cut, []);
			assert.ok(whole > 0);
		}
		assert.equal(answer?.status, 200, 'the gateway goes on, although this server drains');
		await client.echo();
		await client.close();
	});
});

test('SIGTERM closes the listeners at once, and sessions go on for drain_timeout', TIMEOUT, async () => {
	await withStage({ drain_timeout: 3600 }, async (stage, doab) => {
		const clients = [await Counted.open(stage, 'bosh', 'keep-alive'), await Counted.open(stage, 'websocket')];
		doab.child.kill('SIGTERM');
		await until(() => httpRequest(stage.port, 'GET', '/').then(() => false, ({ code }) => code === 'ECONNREFUSED'), 15000, 'a refusal');
		await Promise.all(clients.map((client) => client.echo()));
		assert.ok(doab.isRunning);
		// A second one ends the sessions now; clients are told.
		doab.child.kill('SIGTERM');
		assert.equal((await clients[1].client.next(15000)).name, 'error');
		await until(() => !doab.isRunning, 15000, 'the end');
		assert.equal(doab.child.exitCode, 0);
		clients.forEach(({ client }) => (client.close ?? client.drop).call(client));
	});
});

test('draining ends with the last session', TIMEOUT, async () => {
	await withStage({ drain_timeout: 3600 }, async (stage, doab) => {
		const client = await Counted.open(stage, 'websocket');
		doab.child.kill('SIGTERM');
		await doab.logged('stopping');
		await client.echo();
		await client.close();
		await until(() => !doab.isRunning, 15000, 'the end');
		assert.equal(doab.child.exitCode, 0);
	});
});

test('a server that is killed ends the gateway, and one without a supervisor ends itself', TIMEOUT, async () => {
	for (const kills of ['server', 'supervisor']) {
		await withStage({}, async (stage, doab) => {
			const pids = { server: doab.serverPid, supervisor: doab.child.pid };
			process.kill(pids[kills], 'SIGKILL');
			await until(() => !doab.isRunning, 15000, 'the end');
			await until(() => httpRequest(stage.port, 'GET', '/').then(() => false, ({ code }) => code === 'ECONNREFUSED'), 15000, 'a refusal');
			if (kills === 'server') {
				assert.equal(doab.child.exitCode, 1);
				await doab.logged('server-killed').catch(() => assert.fail(doab.log));
			}
		});
	}
});

// What one thread of @pid ran of the time in which it could run, while @ms passed: that of the busiest.
async function busiest(pid, ms) {
	const measure = () => new Map(readdirSync(`/proc/${pid}/task`).map((task) => [
		task, readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ').map((ns) => ns / 1e6),
	]));
	const before = measure();
	const start = performance.now();
	await sleep(ms);
	const after = measure();
	const passed = performance.now() - start;
	return Math.max(...[...before].map(([task, [ran, waited]]) => (after.get(task)[0] - ran) / (passed - (after.get(task)[1] - waited))));
}

test('a server that takes no connections does not keep the other one busy', TIMEOUT, async () => {
	await withStage({ workers: 1 }, async (stage, doab) => {
		const client = await Counted.open(stage, 'bosh');
		const body = `<body rid='1' sid='${client.client.sid.slice(0, -8)}AAAAAAAA' xmlns='http://jabber.org/protocol/httpbind'/>`;
		const stopped = doab.serverPid;
		await upgrade(doab);
		// Stops the server before, and has it asked on more connections than fit into the socket between the two.
		const whileStopped = async (use) => {
			const connections = await Promise.all(Array.from({ length: 300 }, () => HttpConnection.open(stage.port)));
			suspend(stopped);
			const answers = connections.map((connection) => connection.request('POST', '/http-bind', { body, ms: 30000 }));
			const all = Promise.all(answers);
			all.catch(() => {});
			try {
				await use(answers);
			} finally {
				process.kill(stopped, 'SIGCONT');
			}
			const statuses = (await all).map(({ status }) => status);
			connections.forEach((connection) => connection.close());
			return new Set(statuses);
		};

		assert.deepEqual(await whileStopped(async () => {
			await sleep(500);
			const share = await busiest(doab.serverPid, 1000);
			assert.ok(share < 0.3, `it ran ${share} of the time`);
			// Others are served meanwhile.
			assert.equal((await httpRequest(stage.port, 'GET', '/')).status, 200);
		}), new Set([200]));
		assert.deepEqual(await whileStopped(async (answers) => {
			const refused = await Promise.any(answers);
			assert.equal(refused.status, 503);
			assert.match(refused.text, /does not respond/);
		}), new Set([200, 503]));
		await client.echo();
		await client.close();
	});
});
