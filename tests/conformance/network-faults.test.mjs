// A bad network on either side of the gateway: packets that are lost, late, out of order, doubled, too long, and a network that
// falls apart for seconds. What both ends can still have, they get, once and in order; who cannot be served is told.
//
// Each test has links of its own, so that all of them wait at the same time. DOAB_LONG=1 adds one that waits for minutes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BadLink, LINK_SEED, whyNoLinks } from '../support/bad-link.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { countingClient } from '../support/counting.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { leavingNothing } from '../support/fault-leftovers.mjs';
import { openWebSocket } from '../support/http.mjs';
import { enterNamespace } from '../support/namespaces.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder, until, within } from '../support/util.mjs';
import { SCENARIOS, XmppServer } from '../support/xmpp-server.mjs';

const TRANSPORTS = ['bosh', 'websocket'];
const IS_LONG = process.env.DOAB_LONG === '1';
// Linux repeats a lost SYN after one second, and again after one or two more.
const CONNECT_TIMEOUT_S = 5;
// Leaves as much for another server, behind one that takes all the time of a connection.
const OPEN_TIMEOUT_S = 2 * CONNECT_TIMEOUT_S;
const INACTIVITY_S = 5;
const PING_S = 2;
const SHORT = { open_timeout: OPEN_TIMEOUT_S, connect_timeout: CONNECT_TIMEOUT_S, inactivity: INACTIVITY_S, ping_interval: PING_S };
// For tests that wait for none of these: lost packets are repeated after ever longer pauses.
const LONG = { open_timeout: 60, connect_timeout: 30, inactivity: 30, ping_interval: 30 };
const CUT_MS = 2000;
// Of an IPv4 packet; a TLS handshake and the stanzas called long here need more, all else needs less.
const HOLE_BYTES = 600;
const N_LONG = 200; // times the filling
const BAD = { loss: 0.03, delay: 10, jitter: 10, reorder: 0.1, double: 0.03 };
const CUT = { cut: true };
const HOLE = { mtu: HOLE_BYTES };

const { isInside, reason: noNamespace } = await enterNamespace(import.meta.url);
const reason = noNamespace ?? (isInside ? whyNoLinks() : undefined);
const TIMEOUT = reason ? { skip: reason } : { timeout: patiently(90000) };
if (isInside || reason) {
	describe('bad networks', { concurrency: true }, defineTests);
}

function defineTests() {
	const links = {}; // by the name of the test that has it; `x-client` is ahead of the gateway
	const servers = {};
	let folder;
	let dns;
	let domains;

	async function addServer(name, script, material) {
		servers[name] = await XmppServer.start(script, { host: '0.0.0.0', tls: material && tlsOf(material) });
	}

	before(reason ? () => {} : async () => {
		folder = temporaryFolder('network-faults');
		const authority = new Authority(folder);
		const names = ['lossy', 'handshake', 'never', 'hole', 'long'].map((name) => `${name}.test`);
		const certificate = authority.issue('servers', names);
		for (const [i, name] of ['lossy', 'lossy-client', 'creation', 'dead', 'handshake', 'never', 'dns', 'hole', 'hole-next', 'long',
			'gone-client', 'minutes'].entries()) {
			links[name] = await BadLink.open(i);
		}
		for (const name of ['creation', 'dead', 'named', 'gone', 'minutes']) {
			await addServer(name, 'plain');
		}
		for (const name of ['lossy', 'never', 'hole', 'long']) {
			await addServer(name, 'starttls', certificate);
		}
		// The network falls apart as soon as the first stream has asked for TLS, so no handshake begins.
		let cutting;
		const cut = () => (cutting ??= links.handshake.set(CUT));
		await addServer('handshake', SCENARIOS.starttls.map((step) => (step.starttls ? { ...step, before: cut } : step)), certificate);
		// Both of them are the same server; the way to the first has a hole.
		const srv = ['first', 'second'].map((target, i) => [i, 0, servers.hole.port, `${target}.hole.test`]);
		dns = await DnsServer.start({
			'_xmpp-client._tcp.hole.test': { SRV: srv },
			'first.hole.test': { A: [links.hole.far] },
			'second.hole.test': { A: [links['hole-next'].far] },
			...Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`_xmpp-client._tcp.d${i}.named.test`,
				{ SRV: [[0, 0, servers.named.port, 'host.named.test']] }])),
			'host.named.test': { A: ['127.0.0.1'] },
		}, { host: '0.0.0.0' });
		const section = (name, more) => ({ connect: [`${(links[name]?.far ?? '127.0.0.1')}:${servers[name].port}`], ...more });
		const secure = { ca_file: authority.certificate };
		domains = {
			...Object.fromEntries(['lossy', 'handshake', 'never', 'long'].map((name) => [`${name}.test`, section(name, secure)])),
			...Object.fromEntries(['creation', 'dead', 'gone', 'minutes'].map((name) => [`${name}.test`, section(name, { tls: 'off' })])),
			'hole.test': secure,
			'*.named.test': { tls: 'off', allow_private: true },
		};
	});

	after(reason ? () => {} : async () => {
		await stopAll(dns, ...Object.values(servers), ...Object.values(links));
		removeFolder(folder);
	});

	async function startGateway(resolver, admin, keys) {
		const port = await freePort('0.0.0.0');
		const started = await Doab.start({ listen: [`0.0.0.0:${port}`], workers: 2, admin: `127.0.0.1:${admin}`, log_level: 'info',
			resolvers: [`${resolver}:${dns.port}`], sessions_per_address: 1000, connections_per_address: 10000,
			...SHORT, ...keys, domains });
		started.port = port;
		return started;
	}

	// Starts a gateway for the test, and checks that the fault leaves nothing behind in it. @far: the link over which it asks its resolver.
	const testFault = (name, body, { far, keys, ...options } = {}) => test(name, { ...TIMEOUT, ...options }, async (t) => {
		const admin = await freePort();
		const doab = await startGateway(far ? links[far].far : '127.0.0.1', admin, keys);
		try {
			await leavingNothing({ pid: doab.child.pid, admin, port: doab.port }, (opened) => body(doab, opened, t));
			assert.ok(doab.events.every(({ level }) => level !== 'error'), doab.log.slice(-2000));
		} finally {
			await doab.stop();
		}
	});

	async function assertRefused(doab, domain) {
		const client = new BoshClient(doab.port);
		const answer = await client.create(domain, { wait: 30 });
		client.close();
		assertTerminated(answer, 'remote-connection-failed');
		return answer;
	}

	async function isServed(doab, domain) {
		const client = new BoshClient(doab.port);
		const { element } = await client.create(domain, { wait: 30 });
		await client.terminate();
		client.close();
		return element.attributes.type === undefined;
	}

	const openBoth = (doab, opened, name, more) => Promise.all(TRANSPORTS.map((transport) =>
		countingClient(transport, { port: doab.port, domain: `${name}.test`, among: opened, ...more })));
	const finishAll = (clients) => Promise.all(clients.map((client) => client.finish()));
	// That the server has had all of it, once and in order, the echo says.
	const assertAllComplete = (clients, ms = 40000) => Promise.all(clients.map((client) => client.assertComplete(ms)));

	testFault('loss, delay, doubles and disorder on both sides, and a network that falls apart under stanzas', async (doab, opened, t) => {
		t.diagnostic(`DOAB_LINK_SEED=${LINK_SEED}`);
		const more = { host: links['lossy-client'].far };
		const clients = (await Promise.all([1, 2, 3].map(() => openBoth(doab, opened, 'lossy', more)))).flat();
		await Promise.all([links.lossy.set(BAD), links['lossy-client'].set(BAD)]);
		const say = async (n) => {
			for (let i = 0; i < n; i++) {
				clients.forEach((client, k) => client.say(1 + (i + k) % 3, (i * 7 + k * 31) % N_LONG));
				await sleep(40);
			}
		};
		await say(20);
		for (const name of ['lossy', 'lossy-client']) {
			await links[name].set(CUT);
			await say(CUT_MS / 2 / 40);
			await links[name].set(BAD);
			await say(5);
		}
		await assertAllComplete(clients);
		for (const name of ['lossy', 'lossy-client']) {
			const counts = await links[name].heal();
			for (const what of ['lost', 'overtaking', 'doubled', 'cut']) {
				assert.ok(counts.up[what] + counts.down[what] > 0, `${name}: nothing ${what} in ${JSON.stringify(counts)}`);
			}
		}
		await finishAll(clients);
	}, { keys: LONG });

	testFault('a network that falls apart as sessions are created, and heals: they are created', async (doab, opened) => {
		await links.creation.set(CUT);
		const opening = openBoth(doab, opened, 'creation');
		await sleep(CUT_MS);
		await links.creation.heal();
		const clients = await opening;
		clients.forEach((client) => client.say(3));
		await assertAllComplete(clients);
		await finishAll(clients);
	}, { keys: LONG });

	testFault('a server behind a dead network: both transports are told in time, and served after it heals', async (doab, opened) => {
		await links.dead.set(CUT);
		const socket = await openWebSocket(doab.port);
		socket.open('dead.test');
		await Promise.all([assertRefused(doab, 'dead.test'), assertStreamError(socket, 'remote-connection-failed', { open: true })]);
		socket.drop();
		await links.dead.heal();
		const clients = await openBoth(doab, opened, 'dead');
		clients.forEach((client) => client.say(3));
		await assertAllComplete(clients);
		await finishAll(clients);
	});

	testFault('a network that falls apart in a TLS handshake, and heals: the sessions are created', async (doab, opened) => {
		const opening = openBoth(doab, opened, 'handshake');
		await (await servers.handshake.connection()).element('starttls');
		await until(async () => {
			const { up, down } = await links.handshake.set(CUT);
			return up.cut > 0 || down.cut > 0;
		}, 20000, 'packets that are lost');
		await sleep(CUT_MS);
		await links.handshake.heal();
		const clients = await opening;
		clients.forEach((client) => client.say(3));
		await assertAllComplete(clients);
		await finishAll(clients);
	}, { keys: LONG });

	testFault('a TLS handshake whose long packets vanish: told in time', async (doab, opened) => {
		await links.never.set(HOLE);
		await assertRefused(doab, 'never.test');
		assert.ok((await links.never.heal()).down.big > 0);
		const clients = await openBoth(doab, opened, 'never');
		await finishAll(clients);
	});

	testFault('a TLS handshake whose long packets vanish: the next server of the domain is taken', async (doab, opened) => {
		await links.hole.set(HOLE);
		const clients = await openBoth(doab, opened, 'hole');
		assert.ok((await links.hole.heal()).down.big > 0, 'the first server was tried');
		clients.forEach((client) => client.say(3));
		await assertAllComplete(clients);
		await finishAll(clients);
	});

	testFault('a way to the resolver that is cut, and heals: the question is asked again', async (doab, opened) => {
		const openNamed = (i) => openBoth(doab, opened, `d${i}.named`);
		await links.dns.set(CUT);
		const openings = [0, 1].map((i) => openNamed(i));
		await sleep(1000);
		await links.dns.heal();
		const clients = (await Promise.all(openings)).flat();
		// Without a resolver: in words, and at once again when it is back.
		await links.dns.set(CUT);
		const answer = await assertRefused(doab, 'd2.named.test');
		assert.match(answer.element.text, /DNS|name/i);
		await links.dns.heal();
		clients.push(...await openNamed(3));
		// The failure is remembered for some seconds where the last question was over before the network healed.
		await until(() => isServed(doab, 'd2.named.test'), 20000, 'the domain that could not be looked up');
		clients.push(...await openNamed(2));
		clients.forEach((client) => client.say(2));
		await assertAllComplete(clients);
		await finishAll(clients);
	}, { far: 'dns', keys: { ...LONG, open_timeout: OPEN_TIMEOUT_S, workers: 1 } }); // each worker remembers for itself

	testFault('long stanzas that vanish while short ones pass: all of them come when the hole is filled', async (doab, opened) => {
		const clients = await openBoth(doab, opened, 'long');
		clients.forEach((client) => client.say(3));
		await assertAllComplete(clients);
		await links.long.set(HOLE);
		clients.forEach((client) => client.say(2, 3));
		await assertAllComplete(clients);
		clients.forEach((client) => client.say(2, N_LONG));
		await until(async () => (await links.long.set(HOLE)).up.big > 0, 20000, 'long packets that are lost');
		await sleep(CUT_MS);
		clients.forEach((client) => assert.equal(client.end, undefined));
		await links.long.heal();
		await assertAllComplete(clients);
		await finishAll(clients);
	});

	testFault('clients whose network is gone: their sessions end, and what a BOSH client did not get is sent back', async (doab, opened) => {
		const clients = await openBoth(doab, opened, 'gone', { host: links['gone-client'].far, wait: 60 });
		const connections = servers.gone.connections;
		clients.forEach((client) => client.say(1));
		await assertAllComplete(clients);
		await links['gone-client'].set(CUT);
		const n = 5;
		for (const connection of connections) {
			for (let i = 0; i < n; i++) {
				await connection.send(`<message id='down${i}' from='peer@gone.test'><body>${i}</body></message>`);
				await sleep(20);
			}
		}
		await within(Promise.all(connections.map((connection) => connection.end(60000))), 60000, 'the end of both streams');
		const returned = connections.map((connection) => connection.elements.filter(({ attributes }) => attributes.type === 'error')
			.map(({ attributes }) => attributes.id));
		assert.deepEqual(returned.sort((a, b) => a.length - b.length), [[], Array.from({ length: n }, (_, i) => `down${i}`)]);
		assert.ok(connections.every(({ streamEnds }) => streamEnds === 1), 'both streams were closed');
		clients.forEach((client) => client.stop());
		await links['gone-client'].heal();
	});

	// What is not acknowledged for two minutes ends the connection; with another fifteen seconds until a keepalive is due.
	const testLong = IS_LONG ? testFault : () => {};
	testLong('a server whose network is gone for minutes: its clients are told', async (doab, opened) => {
		const clients = await openBoth(doab, opened, 'minutes');
		await links.minutes.set(CUT);
		clients.forEach((client) => client.say(3));
		await Promise.all(clients.map((client) => client.ended(200000)));
		assert.deepEqual(clients.map(({ end }) => end), ['remote-connection-failed', 'remote-connection-failed']);
		await links.minutes.heal();
	}, reason ? {} : { timeout: patiently(240000) });
}
