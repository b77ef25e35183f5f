// XMPP servers that are killed, restarted and stopped under 500 sessions of both transports: a scripted one, and Prosody. Each
// client is told, or goes on; nothing is left of what is over; the gateway dials once for each session that is asked for, and not
// at all by itself.
//
// DOAB_LONG=1 waits for what ends after minutes.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { countingClient } from '../support/counting.mjs';
import { BINARY, Doab } from '../support/doab.mjs';
import { assertStock, leavingNothing, readMetrics, takeStock } from '../support/fault-leftovers.mjs';
import { enterNamespace } from '../support/namespaces.mjs';
import { ANONYMOUS_DOMAIN, Prosody } from '../support/prosody.mjs';
import { freePort, patiently, sleep, startChild, stopAll, stopChild, until, within } from '../support/util.mjs';

const IS_LONG = process.env.DOAB_LONG === '1';
const TIMEOUT = { timeout: patiently(120000) };
const PROGRAM = fileURLToPath(new URL('../support/xmpp-server.mjs', import.meta.url));
const TRANSPORTS = ['bosh', 'websocket'];
const N_SESSIONS = 500;
// So few that a busy machine opens them all within the open_timeout.
const AT_ONCE = 10;
const OPEN_TIMEOUT_S = 10;
// All clients are in one process, which has to answer each of them in time although it may be busy opening others.
const PING_S = 5;
// No test waits for it.
const INACTIVITY_S = 30;
// A client that was taken for lost would have been dropped: a ping is sent in the second after the interval, and waited for likewise.
const STOPPED_MS = (2 * (PING_S + 1) + 1) * 1000;
// What a second wave of sessions may need more memory than the first: the allocator's holes.
// AddressSanitizer gives no memory back at once; ThreadSanitizer has several bytes beside each.
const GROWTH_KB = 4096 * (['__asan_init', '__tsan_init'].some((name) => readFileSync(BINARY).includes(name)) ? 32 : 1);
// Of one client to a server that does not read: more than the gateway keeps for it and its sockets hold.
const N_FLOOD = 120;
const N_FILLING = 1500;
const PENDING_BYTES = 65536;
// Of the kernel for one socket, in a namespace of the test's own: else it takes megabytes, and time.
const SOCKET_BYTES = 131072;

// The scripted server as a process, which can be stopped and killed.
class ScriptedServer {
	static async start() {
		const server = new ScriptedServer();
		server.port = await freePort();
		await server.launch();
		return server;
	}

	async launch() {
		this.child = startChild(process.execPath, [PROGRAM, '--scenario', 'plain', '--port', String(this.port)], { stdio: ['ignore', 'pipe', 'inherit'] });
		await within(new Promise((resolve) => this.child.stdout.once('data', resolve)), 10000, 'the scripted server');
		this.child.stdout.resume();
	}

	domains() {
		return { 'plain.test': { connect: [`127.0.0.1:${this.port}`], tls: 'off' } };
	}

	async stop() {
		await stopChild(this.child, { signal: 'SIGKILL' });
	}
}

const KINDS = {
	'a scripted server': { domain: 'plain.test', isEcho: true, start: () => ScriptedServer.start() },
	Prosody: { domain: ANONYMOUS_DOMAIN, isEcho: false, start: () => Prosody.start() },
};

const { isInside, reason } = await enterNamespace(import.meta.url);
if (isInside) {
	for (const name of ['tcp_rmem', 'tcp_wmem']) {
		writeFileSync(`/proc/sys/net/ipv4/${name}`, `4096 ${SOCKET_BYTES / 2} ${SOCKET_BYTES}`);
	}
}
if (isInside || reason) {
	describe('faults of servers', { concurrency: true }, defineKinds);
}

function defineKinds() {
	for (const [name, { domain, isEcho, start }] of Object.entries(KINDS)) {
		describe(name, { concurrency: 1 }, () => defineTests(domain, isEcho, start));
	}
}

function defineTests(domain, isEcho, start) {
	let server;
	let doab;
	let admin;
	let opened = []; // by the test that runs

	before(async () => {
		server = await start();
		admin = await freePort();
		const domains = typeof server.domains === 'function' ? server.domains() : server.domains;
		doab = await Doab.start({ workers: 2, admin: `127.0.0.1:${admin}`, log_level: 'info', domains, open_timeout: OPEN_TIMEOUT_S,
			ping_interval: PING_S, inactivity: INACTIVITY_S, pending_bytes: PENDING_BYTES, sessions_per_address: 10000, connections_per_address: 10000 });
	});
	after(() => stopAll(doab, server));

	// What a failed test leaves behind would make the next ones fail: its clients, and a server that stands still or is gone.
	afterEach(async () => {
		opened.splice(0).forEach((client) => client.stop());
		if (hasEnded(server.child)) {
			await launch();
		} else {
			server.child.kill('SIGCONT');
		}
		await until(async () => await readMetric('doab_sessions') === 0, 2 * INACTIVITY_S * 1000, 'the end of what the test left');
	});

	const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;
	const launch = () => server.launch();
	const kill = () => stopChild(server.child, { signal: 'SIGKILL' });
	const gateway = () => ({ pid: doab.child.pid, admin, port: doab.port });
	const readMemoryKb = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${doab.serverPid}/status`, 'utf8'))[1]);

	const readMetric = async (metric) => (await readMetrics(admin))(metric);

	const testFault = (name, options, body) => test(name, options, (t) => leavingNothing(gateway(), (list) => {
		opened = list;
		return body(t);
	}));

	async function open(nSessions) {
		const clients = [];
		for (let at = 0; at < nSessions; at += AT_ONCE) {
			clients.push(...await Promise.all(Array.from({ length: Math.min(AT_ONCE, nSessions - at) }, (_, i) =>
				countingClient(TRANSPORTS[i % 2], { port: doab.port, domain, isEcho, among: opened }))));
		}
		return clients;
	}

	// Each says something, and hears it.
	async function talk(clients) {
		clients.forEach((client) => client.say(2));
		await Promise.all(clients.map((client) => client.assertComplete(60000)));
	}

	// All clients hear of it, and what is left of them is gone.
	async function killUnder(clients, stock) {
		await kill();
		clients.forEach((client) => client.say());
		await Promise.all(clients.map((client) => client.ended()));
		assert.deepEqual([...new Set(clients.map(({ end }) => end))], ['remote-connection-failed']);
		clients.forEach((client) => client.stop());
		await assertStock(gateway(), stock);
	}

	testFault(`is killed and restarted under ${N_SESSIONS} sessions: all are told, and all can come back at once`, TIMEOUT, async (t) => {
		const stock = await takeStock(gateway());
		const memory = [];
		for (let round = 0; round < 2; round++) {
			const nDials = await readMetric('doab_dial_seconds_count');
			const clients = await open(N_SESSIONS);
			await talk(clients);
			memory.push(readMemoryKb());
			await killUnder(clients, stock);
			// Nobody asks for a session, so nobody is dialled, whether the server is there or not.
			if (round === 0) {
				const answer = await new BoshClient(doab.port, { connection: 'fresh' }).create(domain, { wait: 30 });
				assertTerminated(answer, 'remote-connection-failed');
			}
			await launch();
			await sleep(500);
			assert.equal(await readMetric('doab_dial_seconds_count') - nDials, N_SESSIONS);
		}
		t.diagnostic(`${memory.join(' KB, then ')} KB with ${N_SESSIONS} sessions`);
		assert.ok(memory[1] <= memory[0] + GROWTH_KB, `${memory[0]} KB, then ${memory[1]} KB`);
		assert.ok(doab.events.every(({ level }) => level !== 'error'), doab.log.slice(-2000));
	});

	testFault('is stopped: who waits is kept, and gets all of it when the server goes on', TIMEOUT, async () => {
		const clients = await open(N_SESSIONS);
		await talk(clients);
		server.child.kill('SIGSTOP');
		clients.forEach((client) => client.say(3));
		await sleep(STOPPED_MS);
		clients.forEach((client) => assert.equal(client.end, undefined));
		server.child.kill('SIGCONT');
		await Promise.all(clients.map((client) => client.assertComplete(60000)));
		await Promise.all(clients.map((client) => client.finish()));
	});

	testFault('is stopped: sessions that are asked for meanwhile are told in time, and served afterwards', TIMEOUT, async () => {
		server.child.kill('SIGSTOP');
		const answers = await Promise.all(Array.from({ length: 10 }, () => new BoshClient(doab.port, { connection: 'fresh' })
			.create(domain, { wait: 30 })));
		answers.forEach((answer) => assertTerminated(answer, 'remote-connection-failed'));
		server.child.kill('SIGCONT');
		const clients = await open(4);
		await talk(clients);
		await Promise.all(clients.map((client) => client.finish()));
	});

	if (isEcho) {
		testFault('is stopped under clients that send much: it waits with them, in bounds, and none is taken for lost', reason ? { skip: reason } : TIMEOUT, async (t) => {
			const clients = await open(4);
			const before = readMemoryKb();
			server.child.kill('SIGSTOP');
			clients.forEach((client) => client.say(N_FLOOD, N_FILLING));
			await sleep(STOPPED_MS);
			const grown = readMemoryKb() - before;
			clients.forEach((client) => assert.equal(client.end, undefined));
			server.child.kill('SIGCONT');
			await Promise.all(clients.map((client) => client.assertComplete(60000)));
			t.diagnostic(`${grown} KB more for ${clients.length} clients`);
			assert.ok(grown < 4 * GROWTH_KB / 2, `${grown} KB`);
			await Promise.all(clients.map((client) => client.finish()));
		});
	}

	if (isEcho && IS_LONG) {
		testFault('is stopped for minutes: who waits for it to read is told', { timeout: patiently(240000) }, async () => {
			const clients = await open(4);
			server.child.kill('SIGSTOP');
			clients.forEach((client) => client.say(N_FLOOD, N_FILLING));
			await Promise.all(clients.map((client) => client.ended(200000)));
			assert.deepEqual([...new Set(clients.map(({ end }) => end))], ['remote-connection-failed']);
			server.child.kill('SIGCONT');
		});
	}
}
