// Clocks that jump, and a gateway for which time stood still: no session ends for that, and what was to last a while lasts that
// long, not until some time of day.
//
// A wall clock that jumps ahead while the monotonic clock goes on as before is also what a machine sees that was suspended.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertDated, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { countingClient } from '../support/counting.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { BINARY, Doab } from '../support/doab.mjs';
import { leavingNothing } from '../support/fault-leftovers.mjs';
import { httpRequest } from '../support/http.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, suspend, temporaryFolder, until } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const IS_TSAN = readFileSync(BINARY).includes('__tsan_init') && 'ThreadSanitizer has to be the first library';
const TRANSPORTS = ['bosh', 'websocket'];
const HOUR_MS = 3600 * 1000;
const INACTIVITY_S = 5;
const PING_S = 2;
// One more after a failure in so many seconds; long enough for what a test does meanwhile.
const BAN_S = 6;
const service = (domain) => `_xmpp-client._tcp.${domain}`;

const stoppable = (client) => ({ stop: () => client.close() });
const SKIP = existsSync(FAKETIME) ? {} : { skip: `${FAKETIME} is not installed` };

describe('clocks', { concurrency: true }, () => {
	describe('a wall clock that jumps', { concurrency: 1, ...SKIP }, jumping);
	describe('a gateway that stood still', { concurrency: 1 }, standing);
});

function jumping() {
	let folder;
	let servers;
	let dns;
	let doab;
	let admin;

	const setClock = (offset) => writeFileSync(path.join(folder, 'clock'), `${offset}\n`);

	before(async () => {
		folder = temporaryFolder('clocks');
		setClock('+0');
		const authority = new Authority(folder);
		servers = { plain: await XmppServer.start('plain'),
			secure: await XmppServer.start('direct-tls', { tls: tlsOf(authority.issue('secure', ['secure.test'])) }) };
		dns = await DnsServer.start({
			[service('plain.test')]: { SRV: [[0, 0, servers.plain.port, 'host.test']], TTL: 600 },
			[`_xmpps-client._tcp.plain.test`]: { SRV: [], TTL: 600 },
			'host.test': { A: ['127.0.0.1'], TTL: 600 },
		}, { negativeTtl: 300 });
		admin = await freePort();
		doab = IS_TSAN ? undefined : await Doab.start({ workers: 1, sandbox: false, admin: `127.0.0.1:${admin}`, inactivity: INACTIVITY_S, ping_interval: PING_S, resolvers: [dns.address],
			allowed_ports: ['1-65535'], failed_logins_per_address: `1/${BAN_S}`, trusted_proxies: ['127.0.0.1'],
			domains: { '*.test': { allow_private: true, tls: 'off' },
				'secure.test': servers.secure.section({ tls: 'direct', ca_file: authority.certificate }) } },
		{ env: { LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: path.join(folder, 'clock'), FAKETIME_NO_CACHE: '1',
			FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' } }).catch(() => undefined);
	});
	after(async () => {
		await stopAll(doab, dns, ...Object.values(servers));
		removeFolder(folder);
	});

	// A failed test may have left it elsewhere.
	afterEach(() => setClock('+0'));

	// Where a sanitizer is linked in, it wants to be first. ThreadSanitizer starts as the second, and then misses how the library waits.
	const testFaked = (name, body) => test(name, TIMEOUT, async (t) => (doab
		? leavingNothing({ pid: doab.child.pid, admin, port: doab.port }, body) : t.skip(IS_TSAN || 'the program does not start with libfaketime')));
	const open = (domain, opened) => Promise.all(TRANSPORTS.map((transport) =>
		countingClient(transport, { port: doab.port, domain, among: opened })));
	const lastMs = () => Date.parse(/time=(\S+)/.exec(doab.lines.at(-1))[1]);

	async function talk(clients) {
		clients.forEach((client) => client.say(2));
		await Promise.all(clients.map((client) => client.assertComplete(20000)));
	}

	testFaked('hours ahead and back: sessions go on, names are kept, the log and answers have the new time', async (opened) => {
		const clients = await open('plain.test', opened);
		await talk(clients);
		for (const hours of [4, -4, 0]) {
			setClock(`${hours >= 0 ? '+' : ''}${hours}h`);
			await doab.readLog();
			assert.ok(Math.abs(lastMs() - Date.now() - hours * HOUR_MS) < HOUR_MS, doab.lines.at(-1));
			// So that what is due by now has been done.
			await sleep(PING_S * 1000);
			await talk(clients);
			await talk(await open('plain.test', opened));
			assertDated(await httpRequest(doab.port, 'GET', '/'), Date.now() + hours * HOUR_MS);
		}
		assert.equal(dns.count(service('plain.test'), 'SRV'), 1, 'the answer was kept for its TTL');
		clients.forEach((client) => assert.equal(client.end, undefined));
		await Promise.all(clients.map((client) => client.finish()));
	});

	testFaked('days ahead and back: certificates are judged by the new time, for new sessions', async (opened) => {
		const clients = await open('secure.test', opened);
		for (const [offset, failure] of [['+30d', 'certificate-expired'], ['-30d', 'certificate-not-yet-valid']]) {
			setClock(offset);
			const client = new BoshClient(doab.port);
			opened.push(stoppable(client));
			assertTerminated(await client.create('secure.test', { wait: 30 }), 'remote-connection-failed');
			await doab.logged('session-failed', { domain: 'secure.test', failure });
			client.close();
			await talk(clients);
		}
		setClock('+0');
		clients.push(...await open('secure.test', opened));
		await talk(clients);
		await Promise.all(clients.map((client) => client.finish()));
	});

	testFaked('a ban after a failed login lasts its seconds, whatever the time of day', async (opened) => {
		const create = async () => {
			const client = new BoshClient(doab.port, { headers: { 'X-Forwarded-For': '192.0.2.7' } });
			opened.push(stoppable(client));
			const answer = await client.create('plain.test', { wait: 5 });
			return { client, isRefused: answer.element.attributes.condition === 'policy-violation' };
		};
		const { client } = await create();
		client.request(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('juliet', 'wrong')}</auth>`);
		const began = Date.now();
		await doab.logged('auth-failed');
		for (const offset of ['+4h', '-4h']) {
			setClock(offset);
			const { isRefused } = await create();
			assert.ok(isRefused || Date.now() - began > BAN_S * 1000, `at ${offset}`);
		}
		setClock('+0');
		client.close();
		await until(async () => !(await create()).isRefused, 2 * BAN_S * 1000, 'the end of the ban');
	});
}

function standing() {
	let server;
	let doab;
	let admin;

	before(async () => {
		server = await XmppServer.start('plain');
		admin = await freePort();
		doab = await Doab.start({ workers: 2, admin: `127.0.0.1:${admin}`, inactivity: INACTIVITY_S, ping_interval: PING_S, wait: 10, header_timeout: INACTIVITY_S,
			domains: { 'plain.test': server.section() } });
	});
	after(() => stopAll(doab, server));

	const testStanding = (name, body) => test(name, TIMEOUT, () => leavingNothing({ pid: doab.child.pid, admin, port: doab.port },
		(opened) => body(opened).finally(() => process.kill(doab.serverPid, 'SIGCONT'))));

	testStanding('what came meanwhile counts before what has become due', async (opened) => {
		const clients = (await Promise.all([1, 2, 3].map(() => Promise.all(TRANSPORTS.map((transport) =>
			countingClient(transport, { port: doab.port, domain: 'plain.test', among: opened })))))).flat();
		// No request of theirs is under way when time stands still: one comes over a connection that exists, one over a new one.
		const polling = await Promise.all(['keep-alive', 'fresh'].map(async (connection) => {
			const client = new BoshClient(doab.port, { connection });
			opened.push(stoppable(client));
			await client.login('plain.test', { wait: 10 });
			return client;
		}));
		suspend(doab.serverPid);
		await sleep(1000);
		clients.forEach((client) => client.say(2));
		const answers = polling.map((client) => client.request(`<message xmlns='jabber:client' id='late'/>`));
		await sleep(INACTIVITY_S * 1000 + 1500);
		process.kill(doab.serverPid, 'SIGCONT');
		await Promise.all(clients.map((client) => client.assertComplete(20000)));
		for (const answer of await Promise.all(answers)) {
			assert.equal(answer.element.attributes.type, undefined, answer.text);
		}
		await Promise.all(clients.map((client) => client.finish()));
		polling.forEach((client) => client.close());
	});

	testStanding('who is gone does not stay because the server goes on', async (opened) => {
		const client = new BoshClient(doab.port);
		opened.push(stoppable(client));
		await client.login('plain.test', { wait: 10 });
		client.close();
		const connection = server.connections.at(-1);
		suspend(doab.serverPid);
		await sleep(INACTIVITY_S * 1000 + 1500);
		process.kill(doab.serverPid, 'SIGCONT');
		const talking = setInterval(() => connection.send(`<message xmlns='jabber:client' from='a@plain.test'/>`), 100);
		try {
			await connection.end(20000);
		} finally {
			clearInterval(talking);
		}
	});
}
