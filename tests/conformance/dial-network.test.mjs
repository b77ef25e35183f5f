// How the gateway reaches a server over a network that loses packets: several hosts in network namespaces.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { Network, connectionsBegun, enterNamespace } from '../support/namespaces.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const CONNECT_TIMEOUT_S = 8;
// A session that waited for a dead address to time out took longer; one that did not is far below.
const SLOW_MS = (CONNECT_TIMEOUT_S - 2) * 1000;
const service = (domain) => `_xmpp-client._tcp.${domain}`;

// The router drops in silence what goes to these, and refuses what goes to those.
const HOLE = ['11.0.9.0/24', '2a0f:9::/64'];
const WALL = ['11.0.8.0/24', '2a0f:8::/64'];
// Of host a; tests lead them into a hole and out of it.
const SLOW = '11.0.21.101';
const SLOW_TOO = '11.0.21.102';
const REVIVED = '11.0.21.103';

// Addresses of each domain, on port 5222, or SRV records: [priority, address, port]. Host a has 11.0.21.x and [2a0f:21::x],
// host b 11.0.22.x and [2a0f:22::x]. Each domain has its own: what became of an address is remembered, whatever its name.
const DOMAINS = {
	healthy: ['11.0.21.1'],
	both: ['2a0f:21::2', '11.0.22.2'],
	'dead-six': ['2a0f:9::3', '11.0.21.3'],
	'dead-first': ['11.0.9.4', '11.0.9.5', '11.0.21.4'],
	'dead-target': [[0, '11.0.9.6', 5222], [1, '2a0f:9::6', 5222], [2, '11.0.21.6', 5222]],
	'closed-target': [[0, '11.0.21.7', 5999], [1, '11.0.22.7', 5222]],
	'unreachable-first': ['2a0f:8::8', '11.0.22.8'],
	'unreachable-only': ['2a0f:8::9', '11.0.8.9'],
	'dead-only': ['2a0f:9::10', '11.0.9.10'],
	'slow-first': [[0, SLOW, 5222], [1, '11.0.22.11', 5222]],
	'slow-only': [SLOW_TOO],
	revived: [REVIVED],
	'inside-second': [[0, '11.0.9.12', 5222], [1, '127.0.0.1', 5222], [2, '10.1.2.3', 5222], [3, '::1', 5222]],
	'inside-between': [[0, '11.0.9.13', 5222], [1, '127.0.0.1', 5222], [2, '11.0.22.13', 5222]],
	rebinding: ['11.0.21.14'],
	'six-only': ['2a0f:21::16'],
	measured: [[0, '11.0.9.15', 5222], [1, '11.0.21.15', 5222]],
};

function zone() {
	const entries = {};
	const addressesOf = (list) => ({ A: list.filter((text) => !text.includes(':')), AAAA: list.filter((text) => text.includes(':')) });
	for (const [name, list] of Object.entries(DOMAINS)) {
		const domain = `${name}.test`;
		if (typeof list[0] === 'string') {
			entries[domain] = addressesOf(list);
			continue;
		}
		entries[service(domain)] = { SRV: list.map(([priority, , port], i) => [priority, 0, port, `h${i}.${domain}`]) };
		list.forEach(([, address], i) => (entries[`h${i}.${domain}`] = addressesOf([address])));
	}
	return entries;
}

const { isInside, reason } = await enterNamespace(import.meta.url);
const TIMEOUT = reason ? { skip: reason } : { timeout: patiently(60000) };
if (isInside || reason) {
	defineTests();
}

function defineTests() {
	let network;
	let hosts;
	let inside;
	let dns;
	let doab;

	before(reason ? () => {} : async () => {
		network = await Network.open();
		hosts = { a: await network.addHost(1), b: await network.addHost(2) };
		HOLE.forEach((name) => network.route('blackhole', name));
		WALL.forEach((name) => network.route('unreachable', name));
		// Who should never be called: the gateway's own host.
		inside = await XmppServer.start('plain', { host: '::', port: 5222 });
		dns = await DnsServer.start(zone());
		doab = await Doab.start({ resolvers: [dns.address], connect_timeout: CONNECT_TIMEOUT_S, open_timeout: 20,
			sessions_per_address: 1000,
			// No address but public ones: what is a section for here is the stream without TLS.
			domains: Object.fromEntries(Object.keys(DOMAINS).map((name) => [`${name}.test`, { tls: 'off' }])) });
	});
	after(() => stopAll(doab, dns, inside, network));

	// One session: how long it took, how many addresses were dialled for it, and which one it came to.
	async function session(name) {
		const nBefore = connectionsBegun();
		const nReached = { a: hosts.a.connections.length, b: hosts.b.connections.length };
		const answer = await new BoshClient(doab.port).create(`${name}.test`, { wait: 30 });
		return { answer, ms: answer.ms, nDialled: connectionsBegun() - nBefore - 1,
			get reached() { return ['a', 'b'].flatMap((host) => hosts[host].connections.slice(nReached[host])); } };
	}

	async function assertReaches(name, address, nDialled) {
		const result = await session(name);
		assert.ok(result.answer.element.at('features'), result.answer.text);
		// The host is another process, and may tell a moment later.
		await until(() => result.reached.includes(address), 15000, `a connection to ${address}`);
		if (nDialled !== undefined) {
			assert.equal(result.nDialled, nDialled, 'addresses dialled');
		}
		return result;
	}

	async function assertFails(name, text) {
		const result = await session(name);
		assertTerminated(result.answer, 'remote-connection-failed');
		assert.match(result.answer.element.text, text);
		return result;
	}

	test('one address, one connection', TIMEOUT, async () => {
		assert.ok((await assertReaches('healthy', '11.0.21.1', 1)).ms < SLOW_MS);
	});

	test('IPv6 comes first, and where it works IPv4 is not dialled', TIMEOUT, async () => {
		await assertReaches('both', '2a0f:21::2', 1);
	});

	test('dead IPv6 costs the first session a moment, and the next ones nothing', TIMEOUT, async () => {
		assert.ok((await assertReaches('dead-six', '11.0.21.3', 2)).ms < SLOW_MS);
		assert.ok((await assertReaches('dead-six', '11.0.21.3', 1)).ms < SLOW_MS);
	});

	test('several dead addresses before the one that works', TIMEOUT, async () => {
		assert.ok((await assertReaches('dead-first', '11.0.21.4')).ms < SLOW_MS);
		await assertReaches('dead-first', '11.0.21.4', 1);
	});

	test('dead targets before the one that works', TIMEOUT, async () => {
		assert.ok((await assertReaches('dead-target', '11.0.21.6', 3)).ms < SLOW_MS);
		await assertReaches('dead-target', '11.0.21.6', 1);
	});

	test('a target that refuses is passed over at once, and then not asked again', TIMEOUT, async () => {
		assert.ok((await assertReaches('closed-target', '11.0.22.7', 2)).ms < SLOW_MS);
		await assertReaches('closed-target', '11.0.22.7', 1);
	});

	test('an address that cannot be reached is passed over at once', TIMEOUT, async () => {
		assert.ok((await assertReaches('unreachable-first', '11.0.22.8', 2)).ms < SLOW_MS);
		await assertReaches('unreachable-first', '11.0.22.8', 1);
	});

	test('no address that can be reached: in words, before any time-out', TIMEOUT, async () => {
		assert.ok((await assertFails('unreachable-only', /cannot be reached/)).ms < SLOW_MS);
	});

	test('only dead addresses: given up in time, side by side', TIMEOUT, async () => {
		const { ms, nDialled } = await assertFails('dead-only', /did not answer in time/);
		assert.equal(nDialled, 2);
		assert.ok(ms < 2 * CONNECT_TIMEOUT_S * 1000 - 2000, `after ${ms} ms`);
	});

	// The kernel repeats what was lost after a second; by then the hole is open.
	async function openLater(address) {
		network.route('blackhole', `${address}/32`);
		await sleep(500);
		network.unroute(`${address}/32`);
	}

	test('a slow first address loses to the second', TIMEOUT, async () => {
		const opened = openLater(SLOW);
		const { ms, reached } = await assertReaches('slow-first', '11.0.22.11', 2);
		await opened;
		assert.ok(ms < SLOW_MS);
		assert.deepEqual(reached, ['11.0.22.11']);
	});

	test('a slow address without another one is waited for', TIMEOUT, async () => {
		const opened = openLater(SLOW_TOO);
		assert.ok((await assertReaches('slow-only', SLOW_TOO, 1)).ms < SLOW_MS);
		await opened;
	});

	test('an address that failed lately is not left out: it may work again', TIMEOUT, async () => {
		network.route('unreachable', `${REVIVED}/32`);
		await assertFails('revived', /cannot be reached/);
		network.unroute(`${REVIVED}/32`);
		await assertReaches('revived', REVIVED, 1);
	});

	test('private addresses between public ones are never dialled, whatever the race', TIMEOUT, async () => {
		const { nDialled } = await assertFails('inside-second', /not answer in time|not a public one/);
		assert.equal(nDialled, 1);
		await assertReaches('inside-between', '11.0.22.13', 2);
		assert.equal(inside.connections.length, 0);
	});

	test('a name that was public and then is not: what counts is the address that is dialled', TIMEOUT, async () => {
		await assertReaches('rebinding', '11.0.21.14', 1);
		dns.zone['rebinding.test'] = { A: ['127.0.0.1', '10.0.0.1'], AAAA: ['::1', '::ffff:7f00:1'] };
		for (let i = 0; i < 3; i++) {
			const answer = await new BoshClient(doab.port).create('rebinding.test', { wait: 30 });
			assert.ok(answer.element.at('features') || /not a public one/.test(answer.element.text), answer.text);
		}
		assert.equal(inside.connections.length, 0);
	});

	// The DNS of an attacker answers each question otherwise. Each session asks another name, for answers are kept for seconds.
	test('names that lead outside and inside in turn, with a TTL of 0: no connection goes inside', TIMEOUT, async () => {
		let nAsked = 0;
		const ways = ['11.0.21.17', '127.0.0.1'];
		const host = { A: [ways[0]], AAAA: [], TTL: 0, AFTER: async () => { host.A = [ways[(++nAsked >> 1) % 2]]; } };
		const seen = { 'offers no TLS': 0, 'not a public one': 0 };
		for (let i = 0; i < 8; i++) {
			dns.set(service(`turning${i}.test`), { SRV: [[0, 0, 5222, `h.turning${i}.test`]], TTL: 0 });
			dns.set(`h.turning${i}.test`, host);
			const answer = await new BoshClient(doab.port).create(`turning${i}.test`, { wait: 30 });
			// The one outside is reached, and has no TLS.
			const [what] = /offers no TLS|not a public one/.exec(answer.element.text) ?? assert.fail(answer.text);
			seen[what]++;
		}
		assert.ok(Object.values(seen).every((n) => n), JSON.stringify(seen));
		assert.equal(inside.connections.length, 0);
	});

	// In a suite, so that what it says is printed.
	describe('figures', () => test('time to features with a dead first address', TIMEOUT, async (t) => {
		const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
		const repeat = async (name) => {
			const times = [];
			for (let i = 0; i < 25; i++) {
				times.push((await session(name)).ms);
			}
			return median(times);
		};
		const healthy = await repeat('healthy');
		const first = (await session('measured')).ms;
		const later = await repeat('measured');
		t.diagnostic(`time to features: healthy ${healthy} ms; dead first address: first session ${first} ms, later ones ${later} ms ` +
			`(${(later / healthy).toFixed(1)} x healthy)`);
		assert.ok(first < SLOW_MS && later < SLOW_MS, `${first} ms, then ${later} ms`);
	}));

	// The last one: IPv6 does not come back.
	test('where IPv6 is switched off, an IPv6 server cannot be reached, and that is no fault of the gateway', TIMEOUT, async () => {
		await assertReaches('six-only', '2a0f:21::16', 1);
		network.endIpv6();
		await assertFails('six-only', /cannot be reached/);
	});
}
