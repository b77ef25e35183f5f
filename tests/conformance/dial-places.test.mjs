// How many servers are sought for one client at the same time: the others wait, and are served.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlackHole } from '../support/black-hole.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { patiently, sleep, stopAll, until, within } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// DIAL_PLACES_MAX
const PLACES = 32;
const LONG_MS = 700;
const SOON_MS = 10000; // patiently, it is less than the time-outs below

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
		// Until @n servers are sought.
		const sought = (n) => until(() => doab.events.filter(({ event, address, step }) =>
			event === 'dial' && address === hole.address && step === 'started').length >= n, SOON_MS, `${n} searches`);
		await use(doab.port, sought);
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

// Long before the time of those that are in its way is over.
const assertServed = async (first, what) => assert.equal((await within(first, SOON_MS, what)).name, 'open', what);

test('searches of one client: beside n - 1 there is room, behind n one waits until another ends', TIMEOUT, async () => {
	await withStage({}, async (port, sought) => {
		const silent = await openSilent(port, PLACES - 1);
		await sought(PLACES - 1);
		const beside = await open(port, 'here.test');
		await assertServed(beside.next(), 'it is served at once');
		silent.push(...await openSilent(port, 1));
		await sought(PLACES);
		const behind = await open(port, 'here.test');
		const first = behind.next();
		assert.equal(await Promise.race([first, sleep(LONG_MS)]), undefined, 'it waits');
		const other = await open(port, 'here.test', '192.0.2.2');
		await assertServed(other.next(), 'other clients do not wait');
		const named = await open(port, 'named.test');
		await assertServed(named.next(), 'servers that a section names are not waited for');
		silent.pop().drop();
		assert.equal((await first).name, 'open');
		[...silent, beside, behind, other, named].forEach((socket) => socket.drop());
	});
});

test('a client that is exempt does not wait', TIMEOUT, async () => {
	await withStage({ exempt: [CLIENT] }, async (port, sought) => {
		const silent = await openSilent(port, PLACES + 1);
		await sought(PLACES + 1);
		const socket = await open(port, 'here.test');
		await assertServed(socket.next(), 'it does not wait');
		[...silent, socket].forEach((each) => each.drop());
	});
});

test('who waits is served when the time of the others is over', TIMEOUT, async () => {
	await withStage({ open_timeout: 6 }, async (port, sought) => {
		const silent = await openSilent(port, PLACES);
		await sought(PLACES);
		// The time of who waits runs, too: so much of it is left when that of the others is over.
		await sleep(3000);
		const socket = await open(port, 'here.test');
		assert.equal((await socket.next()).name, 'open');
		assert.equal((await socket.next()).name, 'features');
		[...silent, socket].forEach((each) => each.drop());
	});
});
