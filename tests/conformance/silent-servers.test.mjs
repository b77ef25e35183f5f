// Servers that take a connection and then say nothing, or only late, or cannot do TLS: the others of
// their domain, and what is remembered.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder } from '../support/util.mjs';
import { FEATURES, SCENARIOS, XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const OPEN_TIMEOUT_S = 12;
// One of several servers has a third of that; this is longer.
const SLOW_MS = 6000;
// By then a server on this machine is connected, and the next name is being looked up.
const LOOKUP_MS = 1500;
const service = (domain) => `_xmpp-client._tcp.${domain}`;
const slow = [{ await: 'header' }, { pause: SLOW_MS }, { header: true, features: FEATURES },
	{ serve: true }];
const noFeatures = [{ await: 'header' }, { header: true, features: null }, { pause: 600000 }];
const noHello = [...SCENARIOS.starttls.slice(0, 2), { await: 'starttls' },
	{ send: '<proceed xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/>' }, { pause: 600000 }];

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
const zone = {};
const domains = {};
let folder;
let config;
let doab;

// A domain with @scripts' servers, one for each, in the order in which they are to be tried. Each
// has a name of its own; those behind the first take a while to be looked up. A number is a port,
// and null a name without an address.
async function add(domain, scripts, { section = { tls: 'off' }, tls = [] } = {}) {
	const servers = [];
	const records = [];
	for (const [i, script] of scripts.entries()) {
		const isScript = typeof script === 'string' || Array.isArray(script);
		const server = isScript ? await started(XmppServer.start(script, { tls: tls[i] })) : script;
		servers.push(server);
		records.push([i, 0, server?.port ?? server ?? 1, `h${i}.${domain}`]);
		const after = i ? { AFTER: () => sleep(LOOKUP_MS) } : {};
		zone[`h${i}.${domain}`] = { A: server === null ? [] : ['127.0.0.1'], ...after };
	}
	zone[service(domain)] = { SRV: records };
	domains[domain] = { allow_private: true, ...section };
	return servers;
}

const create = (domain, attributes = {}) => new BoshClient(doab.port)
	.create(domain, { wait: 30, ...attributes });
const counts = (servers) => servers.map((server) => server.connections.length);

// One session: which servers it connected to, each how often.
async function session(domain, servers, attributes) {
	const nBefore = counts(servers);
	const answer = await create(domain, attributes);
	return { answer, dialled: counts(servers).map((n, i) => n - nBefore[i]) };
}

async function assertWay(domain, servers, dialled, attributes) {
	const result = await session(domain, servers, attributes);
	assert.ok(result.answer.element.at('features'), result.answer.text);
	assert.deepEqual(result.dialled, dialled, domain);
}

let sets;

before(async () => {
	folder = temporaryFolder('silent');
	const authority = new Authority(folder);
	const material = tlsOf(authority.issue('hello', ['hello.test']));
	const trusting = { section: { ca_file: authority.certificate } };
	const dead = await freePort();
	sets = {
		first: await add('first.test', ['silent', 'plain']),
		websocket: await add('websocket.test', ['silent', 'plain']),
		two: await add('two.test', ['silent', noFeatures, 'plain']),
		all: await add('all.test', ['silent', 'silent']),
		alone: await add('alone.test', [slow, null]),
		beside: await add('beside.test', [slow, dead]),
		stranger: await add('stranger.test', ['silent', 'plain']),
		version: await add('version.test', [noFeatures, 'plain']),
		hello: await add('hello.test', [noHello, 'starttls'], { ...trusting, tls: [material, material] }),
		recovered: await add('recovered.test', ['silent', dead]),
		fixed: [await started(XmppServer.start('silent')), await started(XmppServer.start('plain'))],
		probed: await add('probed.test', ['silent', 'plain']),
		'probed-slow': await add('probed-slow.test', [slow, null]),
	};
	// The same first server for another domain.
	sets.victim = await add('victim.test', [sets.stranger[0], 'plain']);
	domains['fixed.test'] = { tls: 'off', connect: sets.fixed.map((server) => server.address) };
	const dns = await started(DnsServer.start(zone));
	config = { resolvers: [dns.address], connect_timeout: 6, open_timeout: OPEN_TIMEOUT_S,
		sessions_per_address: 1000, allowed_ports: ['1-65535'], domains };
	doab = await started(Doab.start(config));
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

describe('servers that are connected and of no use', { concurrency: true }, () => {
	test('the second is tried though it was still being looked up, and then comes first', TIMEOUT, async () => {
		await assertWay('first.test', sets.first, [1, 1]);
		await assertWay('first.test', sets.first, [0, 1]);
		await assertWay('first.test', sets.first, [0, 1]);
	});

	test('so it is over WebSocket, and for both transports', TIMEOUT, async () => {
		const socket = await openWebSocket(doab.port);
		const { features } = await socket.start('websocket.test');
		assert.equal(features.name, 'features');
		assert.deepEqual(counts(sets.websocket), [1, 1]);
		socket.drop();
		await assertWay('websocket.test', sets.websocket, [0, 1]);
	});

	test('and the third, behind one that sends a header without features', TIMEOUT, async () => {
		await assertWay('two.test', sets.two, [1, 1, 1]);
		await assertWay('two.test', sets.two, [0, 0, 1]);
	});

	test('when all are silent the next session tries them all the same', TIMEOUT, async () => {
		for (let i = 0; i < 2; i++) {
			const { answer, dialled } = await session('all.test', sets.all);
			assertTerminated(answer, 'remote-connection-failed');
			assert.match(answer.element.text, /did not open its stream in time/);
			assert.deepEqual(dialled, [1, 1]);
		}
	});

	test('a slow server has all the time when there is no other', TIMEOUT, async () => {
		await assertWay('alone.test', [sets.alone[0]], [1]);
		await assertWay('alone.test', [sets.alone[0]], [1]);
	});

	test('also when the other one cannot be connected to', TIMEOUT, async () => {
		await assertWay('beside.test', [sets.beside[0]], [1]);
		await assertWay('beside.test', [sets.beside[0]], [1]);
	});

	test('among fixed addresses, too', TIMEOUT, async () => {
		await assertWay('fixed.test', sets.fixed, [1, 1]);
		await assertWay('fixed.test', sets.fixed, [0, 1]);
	});

	test('a server that does not answer the TLS handshake', TIMEOUT, async () => {
		await assertWay('hello.test', sets.hello, [1, 1]);
		await assertWay('hello.test', sets.hello, [0, 1]);
	});

	test('a stranger\'s domain does not move somebody\'s server out of its place', TIMEOUT, async () => {
		// It has nothing to say for the stranger's domain.
		await assertWay('stranger.test', sets.stranger, [1, 1]);
		const [server] = sets.stranger;
		server.script = SCENARIOS.plain;
		await assertWay('victim.test', sets.victim, [1, 0]);
		await assertWay('stranger.test', sets.stranger, [0, 1]);
	});

	test('nor does a client that asks for another version of XMPP', TIMEOUT, async () => {
		await assertWay('version.test', sets.version, [1, 1], { 'xmpp:version': '0.9' });
		sets.version[0].script = SCENARIOS.plain;
		await assertWay('version.test', sets.version, [1, 0]);
	});

	test('one that is silent no more is used again as soon as it has served', TIMEOUT, async () => {
		const [server] = sets.recovered;
		assertTerminated(await create('recovered.test'), 'remote-connection-failed');
		server.script = SCENARIOS.plain;
		await assertWay('recovered.test', [server], [1]);
		await assertWay('recovered.test', [server], [1]);
	});

	test('the probe says that it looks for another one, and finds it', TIMEOUT, async () => {
		const { code, lines, stdout, advice } = await probe('probed.test', config);
		assert.equal(code, 0, stdout);
		assert.match(lines('header')[0], /^no answer yet, looking for another server/, stdout);
		assert.match(lines('header')[1], /^from probed\.test/, stdout);
		assert.match(advice, /h0\.probed\.test.*did not open its stream in time/s);
	});

	test('the probe of a server that is slow, and the only one', TIMEOUT, async () => {
		const { code, lines, stdout } = await probe('probed-slow.test', config);
		assert.equal(code, 0, stdout);
		assert.match(lines('header')[0], /^no answer yet/, stdout);
		assert.match(lines('header')[1], /^from probed-slow\.test/, stdout);
	});
});
