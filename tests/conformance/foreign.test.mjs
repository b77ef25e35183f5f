// What sessions hold after the login at a server that no section of the configuration names: it may be the attacker's own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { freePort, patiently, sleep, startChild, stopAll, stopChild, until, untilRead, untilStill } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const KB = 1024;
const MB = KB * KB;
const STANZA = 20000;
// A stanza of 18,000 bytes of which the end does not come is held in 32 KB: so many of them fit the limits below.
const FIT = 12;
const LIMITS = { stanza_bytes: STANZA, foreign_bytes_per_address: FIT * 32 * KB, foreign_bytes: 2 * FIT * 32 * KB };
// The DNS knows it, and no section names it.
const DOMAIN = 'foreign.test';

async function withStage(config, use) {
	const stage = { server: await XmppServer.start('plain') };
	const named = stage.server.section();
	stage.dns = await DnsServer.start({
		[`_xmpp-client._tcp.${DOMAIN}`]: { SRV: [[0, 0, stage.server.port, 'host.test']] },
		'host.test': { A: ['127.0.0.1'] },
	});
	try {
		stage.doab = await Doab.start({ resolvers: [stage.dns.address], wait: 20, ping_interval: 0, log_level: 'info', ...config,
			domains: { '*': { allow_private: true, tls: 'off' }, 'named.test': named, ...config.domains } });
		stage.port = stage.doab.port;
		await use(stage);
	} finally {
		await stopAll(stage.doab, stage.dns, stage.server);
	}
}

const statusOf = (stage, key) => KB * Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${stage.doab.serverPid}/status`, 'utf8'))[1]);
const residentBytes = (stage) => statusOf(stage, 'VmRSS');
const virtualBytes = (stage) => statusOf(stage, 'VmSize');

async function openSocket(stage, domain = DOMAIN) {
	const socket = await openWebSocket(stage.port);
	await socket.login(domain);
	return { socket, connection: stage.server.connections.at(-1) };
}

async function openBosh(stage, domain = DOMAIN, attributes = {}, headers = {}) {
	const client = new BoshClient(stage.port, { headers });
	await client.login(domain, { wait: 20, ...attributes });
	return { client, connection: stage.server.connections.at(-1) };
}
const message = (n, id = 'm') => `<message xmlns='jabber:client' id='${id}'><body>${'y'.repeat(n)}</body></message>`;


const HALF = `<message xmlns='jabber:client' id='half'><body>${'y'.repeat(18000)}`;
const END = '</body></message>';
// Told to clients that have logged in.
const REASON = /the gateway holds too much data that is incomplete or not read yet/;
const wasEvicted = (stage) => /too-many-bytes/.test(stage.doab.log);

async function sendHalf({ connection }) {
	await connection.send(HALF);
	await untilRead(connection.socket);
}

// Opens sessions whose servers begin a stanza and do not end it, until one has to go.
async function addUntilEvicted(stage, open) {
	const all = [];
	while (!wasEvicted(stage)) {
		assert.ok(all.length <= FIT, `${all.length} of them, and nothing was evicted`);
		all.push(await open());
		await sendHalf(all.at(-1));
		await stage.doab.readLog();
	}
	assert.ok(all.length >= FIT / 3, `only ${all.length} of them, and one was evicted`);
	return all;
}

test('WebSocket: the session that holds most is told why it has to go, the others go on', TIMEOUT, async () => {
	await withStage(LIMITS, async (stage) => {
		const small = await openSocket(stage);
		const large = await openSocket(stage);
		await sendHalf(large);
		large.socket.frame(OPCODE.text, `<message xmlns='jabber:client'><body>${'x'.repeat(12000)}`, { fin: false });
		await untilRead(large.socket.socket);
		const all = await addUntilEvicted(stage, () => openSocket(stage));
		const error = await assertStreamError(large.socket, 'policy-violation', { open: false });
		assert.match(JSON.stringify(error), REASON);
		await stage.doab.logged('session-failed', { transport: 'websocket', failure: 'too-many-bytes', domain: DOMAIN });
		for (const { connection } of all) {
			connection.send(END);
		}
		for (const { socket } of all) {
			assert.equal((await socket.next()).attributes.id, 'half');
		}
		small.socket.send(message(1000));
		assert.equal((await small.socket.next()).attributes.id, 'm');
		all.concat(small, large).forEach(({ socket }) => socket.drop());
	});
});

test('BOSH: a session that holds much is told why it has to go', TIMEOUT, async () => {
	await withStage(LIMITS, async (stage) => {
		const all = await addUntilEvicted(stage, async () => {
			const one = await openBosh(stage);
			one.waiting = one.client.request();
			return one;
		});
		// Of sessions that hold the same, the oldest.
		const answer = await all[0].waiting;
		assertTerminated(answer, 'policy-violation');
		assert.match(answer.text, REASON);
		await stage.doab.logged('session-failed', { transport: 'bosh', failure: 'too-many-bytes', domain: DOMAIN });
		all.at(-1).connection.send(END);
		assert.match((await all.at(-1).waiting).text, /id='half'/);
		all.forEach(({ client }) => client.close());
	});
});

for (const [what, config, domain] of [
	['of a domain that a section names', {}, 'named.test'],
	['of a client that is exempt', { exempt: ['127.0.0.0/8'] }, DOMAIN],
]) {
	test(`a session ${what} is not bounded`, TIMEOUT, async () => {
		await withStage({ ...LIMITS, ...config }, async (stage) => {
			const all = [];
			for (let i = 0; i < 2 * FIT; i++) {
				all.push(await openSocket(stage, domain));
				await sendHalf(all.at(-1));
			}
			await stage.doab.readLog();
			assert.equal(wasEvicted(stage), false);
			for (const { connection, socket } of all) {
				connection.send(END);
				assert.equal((await socket.next()).attributes.id, 'half');
				socket.drop();
			}
			assert.equal(wasEvicted(stage), false);
		});
	});
}

test('clients of another address keep what they have', TIMEOUT, async () => {
	await withStage({ ...LIMITS, trusted_proxies: ['127.0.0.0/8'] }, async (stage) => {
		const openFrom = async (client) => {
			const socket = await openWebSocket(stage.port, { headers: { 'X-Forwarded-For': client } });
			await socket.login(DOMAIN);
			return { socket, connection: stage.server.connections.at(-1) };
		};
		const other = await openFrom('192.0.2.9');
		await sendHalf(other);
		const all = await addUntilEvicted(stage, () => openFrom('192.0.2.1'));
		other.connection.send(END);
		assert.equal((await other.socket.next()).attributes.id, 'half');
		all.concat(other).forEach(({ socket }) => socket.drop());
	});
});

test('200 sessions behind one address notice nothing at the default limits', TIMEOUT, async () => {
	await withStage({ workers: 2 }, async (stage) => {
		await Promise.all(Array.from({ length: 200 }, async (_, i) => {
			if (i % 2) {
				const client = new BoshClient(stage.port);
				await client.login(DOMAIN);
				await client.exchange(message(30000, `m${i}`), ({ name, attributes }) => name === 'message' && attributes.id === `m${i}`);
				await client.terminate();
				client.close();
				return;
			}
			const socket = await openWebSocket(stage.port);
			await socket.login(DOMAIN);
			socket.send(message(30000, `m${i}`));
			assert.equal((await socket.next()).attributes.id, `m${i}`);
			await socket.finish();
		}));
		assert.equal(wasEvicted(stage), false);
	});
});

// What one client address may hold by default, and what the process needs besides.
const MOST = 32 * MB + 16 * MB;
// A session that has to go holds memory until it has ended.
const settledMb = (stage) => untilStill(() => Math.round(residentBytes(stage) / MB), 'the memory');

for (const [what, open] of [['WebSocket', openSocket], ['BOSH', openBosh]]) {
	test(`${what}: clients of one address that do not read fill no memory at the default limits`, TIMEOUT, async (t) => {
		await withStage({}, async (stage) => {
			const all = [];
			for (let i = 0; i < 40; i++) {
				all.push(await open(stage));
			}
			const before = residentBytes(stage);
			if (virtualBytes(stage) > MB * MB) {
				t.skip('under a sanitizer memory is not given back at once');
				return;
			}
			for (const { socket, connection } of all) {
				socket?.socket.pause();
				connection.send(message(500 * KB));
				for (let i = 0; i < (socket ? 20 : 4); i++) {
					connection.send(message(900 * KB));
				}
				await sleep(30);
			}
			await until(() => wasEvicted(stage), 20000, 'that a session has to go');
			const grown = await settledMb(stage) * MB - before;
			assert.ok(grown < MOST, `${grown / MB} MB more`);
			all.forEach(({ socket, client }) => (socket ? socket.drop() : client.close()));
		});
	});
}

const SLOW_READERS = fileURLToPath(new URL('../support/slow-readers.py', import.meta.url));

// What a client has acknowledged is kept for no repeat, but for the connection that it was sent on.
for (const [what, domain, proxied] of [
	['', DOMAIN],
	[', also from a server that a section names, and the operator is told', 'named.test'],
	[', also behind a proxy', 'named.test', '192.0.2.7'],
]) {
	test(`BOSH: answers that are acknowledged elsewhere and not read fill no memory at the default limits${what}`, TIMEOUT, async (t) => {
		const admin = await freePort();
		await withStage({ admin: `127.0.0.1:${admin}`, trusted_proxies: proxied ? ['127.0.0.0/8'] : [] }, async (stage) => {
			const { client, connection } = await openBosh(stage, domain, { ack: 1 }, proxied ? { 'X-Forwarded-For': proxied } : {});
			const before = residentBytes(stage);
			if (virtualBytes(stage) > MB * MB) {
				t.skip('under a sanitizer memory is not given back at once');
				return;
			}
			const readers = startChild('python3', [SLOW_READERS, String(stage.port), ...(proxied ? [`X-Forwarded-For: ${proxied}`] : [])], { stdio: ['pipe', 'pipe', 'inherit'] });
			const answers = createInterface(readers.stdout)[Symbol.asyncIterator]();
			for (let i = 0; i < 80; i++) {
				client.rid++;
				readers.stdin.write(`${client.bodyText({ rid: client.rid, sid: client.sid, ack: client.rid - 1 })}\n`);
				connection.send(message(1000 * KB));
				// One that comes ahead of those before it would be beyond the window.
				await answers.next();
			}
			const grown = await settledMb(stage) * MB - before;
			await stopChild(readers);
			client.close();
			assert.ok(grown < MOST, `${grown / MB} MB more`);
			// At a foreign server the session has to go first, which holds most.
			if (domain !== DOMAIN) {
				const line = await stage.doab.logged('answer-dropped', { client: proxied ?? '127.0.0.1', failure: 'too-many-bytes' });
				assert.deepEqual([line.level, line.limit], ['warning', 'foreign_bytes_per_address']);
				assert.ok(stage.doab.events.filter(({ event }) => event === 'answer-dropped').length <= 20);
				const { text } = await httpRequest(admin, 'GET', '/metrics');
				assert.match(text, /^doab_refusals_total\{limit="foreign_bytes_per_address"\} [1-9]/m);
				assert.match(text, /^doab_refusals_total\{limit="foreign_bytes"\} 0$/m);
			}
		});
	});
}
