// How many servers are sought for one client at the same time: the others wait, and are served.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlackHole } from '../support/black-hole.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { patiently, sleep, stopAll } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// DIAL_PLACES_MAX
const PLACES = 32;
const LONG_MS = 700;

async function withStage(config, use) {
	const server = await XmppServer.start('plain');
	const hole = await BlackHole.start();
	const srv = (port) => ({ SRV: [[0, 0, port, 'host.test']] });
	const dns = await DnsServer.start({
		'_xmpp-client._tcp.here.test': srv(server.port), '_xmpp-client._tcp.silent.test': srv(hole.port), 'host.test': { A: ['127.0.0.1'] },
	});
	let doab;
	try {
		doab = await Doab.start({ resolvers: [dns.address], connect_timeout: 50, open_timeout: 50, trusted_proxies: ['127.0.0.0/8'], ...config,
			domains: { '*': { allow_private: true, tls: 'off' }, 'named.test': server.section() } });
		await use(doab.port);
	} finally {
		await stopAll(doab, dns, hole, server);
	}
}

const CLIENT = '192.0.2.1';

async function open(port, domain, client = CLIENT) {
	const socket = await openWebSocket(port, { headers: { 'X-Forwarded-For': client } });
	socket.open(domain);
	return socket;
}

const openSilent = (port, n) => Promise.all(Array.from({ length: n }, () => open(port, 'silent.test')));

const isServed = async (first) => (await Promise.race([first, sleep(LONG_MS)]))?.name === 'open';

test('searches of one client: beside n - 1 there is room, behind n one waits until another ends', TIMEOUT, async () => {
	await withStage({}, async (port) => {
		const silent = await openSilent(port, PLACES - 1);
		await sleep(300);
		const beside = await open(port, 'here.test');
		assert.ok(await isServed(beside.next()), 'it is served at once');
		silent.push(...await openSilent(port, 1));
		await sleep(300);
		const behind = await open(port, 'here.test');
		const first = behind.next();
		assert.equal(await isServed(first), false, 'it waits');
		const other = await open(port, 'here.test', '192.0.2.2');
		assert.ok(await isServed(other.next()), 'other clients do not wait');
		const named = await open(port, 'named.test');
		assert.ok(await isServed(named.next()), 'servers that a section names are not waited for');
		silent.pop().drop();
		assert.equal((await first).name, 'open');
		[...silent, beside, behind, other, named].forEach((socket) => socket.drop());
	});
});

test('a client that is exempt does not wait', TIMEOUT, async () => {
	await withStage({ exempt: [CLIENT] }, async (port) => {
		const silent = await openSilent(port, PLACES + 1);
		await sleep(300);
		const socket = await open(port, 'here.test');
		assert.ok(await isServed(socket.next()));
		[...silent, socket].forEach((each) => each.drop());
	});
});

test('who waits is served when the time of the others is over', TIMEOUT, async () => {
	await withStage({ open_timeout: 3 }, async (port) => {
		const silent = await openSilent(port, PLACES);
		await sleep(500);
		const socket = await open(port, 'here.test');
		assert.equal((await socket.next()).name, 'open');
		assert.equal((await socket.next()).name, 'features');
		[...silent, socket].forEach((each) => each.drop());
	});
});
