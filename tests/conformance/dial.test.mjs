// Which addresses the gateway dials, in which order, and where it lets a server send it.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BlackHole } from '../support/black-hole.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, WITHOUT_IPV6 } from '../support/util.mjs';
import { FEATURES, SCENARIOS, XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const CONNECT_TIMEOUT_S = 8;
const SLOW_MS = (CONNECT_TIMEOUT_S - 3) * 1000;
const NS_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';
const service = (domain) => `_xmpp-client._tcp.${domain}`;
const secureService = (domain) => `_xmpps-client._tcp.${domain}`;
const randomLoopback = () => `127.${randomInt(1, 254)}.${randomInt(1, 254)}.${randomInt(2, 254)}`;

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let authority;
let servers;
let hole;
let dns;
let deadPort;
let doab;

// A script that says who is to be asked instead, after the steps @first.
const redirecting = (where, first = [{ await: 'header' }, { header: true, features: null }]) => [...first,
	{ send: `<stream:error><see-other-host xmlns='${NS_ERRORS}'>${where}</see-other-host></stream:error></stream:stream>` }, { end: true }];

async function startServers() {
	const own = (name, domain) => {
		const { cert, keyText } = authority.issue(name, [domain]);
		return { cert, key: keyText };
	};
	const target = await started(XmppServer.start('plain'));
	const six = await started(XmppServer.start('plain', { host: WITHOUT_IPV6 ? '127.0.0.1' : '::1' }));
	const list = { target, six };
	const add = async (name, script, options) => (list[name] = await started(XmppServer.start(script, options)));
	await add('other', 'plain');
	await add('named', redirecting(`\n  target.hosts.test:${target.port}\n`));
	await add('address', redirecting(`127.0.0.1:${target.port}`));
	await add('address-six', redirecting(`[::1]:${six.port}`));
	await add('looked-up', redirecting('service.hosts.test'));
	await add('second', redirecting(target.address));
	await add('first', redirecting(list.second.address));
	await add('zeroth', redirecting(list.first.address));
	await add('text', redirecting('&#108;ocalhost'));
	await add('late', [{ await: 'header' }, { header: true, features: FEATURES }, ...redirecting(target.address, [])]);
	deadPort = await freePort();
	await add('nobody', redirecting(`127.0.0.1:${deadPort}`));
	await add('forbidden', redirecting(`127.0.0.1:${list.other.port}`));
	await add('inside', redirecting(target.address));
	await add('inside-six', redirecting(`[::ffff:127.0.0.1]:${target.port}`));
	await add('inside-name', redirecting(`target.hosts.test:${target.port}`));
	// One that names itself.
	await add('loop', [{ pause: 600000 }]);
	list.loop.script = redirecting(list.loop.address);
	// TLS: the certificate of the server that is asked instead is for the domain, or for its own name.
	await add('right', 'starttls', { tls: own('right', 'secure.test') });
	await add('wrong', 'starttls', { tls: own('wrong', 'wrong.hosts.test') });
	await add('secure', redirecting(list.right.address, [...SCENARIOS.starttls.slice(0, 3), { await: 'header' }, { header: true, features: null }]),
		{ tls: own('secure', 'secure.test') });
	await add('clear', redirecting(list.right.address));
	await add('misled', redirecting(list.wrong.address));
	await add('direct-right', 'direct-tls', { tls: own('direct-right', 'direct.test') });
	await add('direct', redirecting(list['direct-right'].address, [{ tls: true }, { await: 'header' }, { header: true, features: null }]),
		{ tls: own('direct', 'direct.test') });
	for (const name of ['both', 'xmpps', 'dead-xmpps']) {
		await add(`${name}-starttls`, 'starttls', { tls: own(`${name}-starttls`, `${name}.test`) });
		await add(`${name}-direct`, 'direct-tls', { tls: own(`${name}-direct`, `${name}.test`) });
	}
	return list;
}

function zone(standardDirect) {
	const { target, other } = servers;
	const local = { A: ['127.0.0.1'] };
	return {
		'target.hosts.test': local,
		[service('service.hosts.test')]: { SRV: [[0, 0, target.port, 'target.hosts.test']] },
		...Object.fromEntries(['default.test', 'xn--bcher-kva.test', 'default-inside.test']
			.map((name) => [service(name), { SRV: [[0, 0, target.port, 'target.hosts.test']] }])),
		[service('smtp.test')]: { SRV: [[0, 0, 25, 'target.hosts.test']] },
		[service('forbidden-port.test')]: { SRV: [[0, 0, other.port, 'target.hosts.test']] },
		[service('second-port.test')]: { SRV: [[0, 0, other.port, 'target.hosts.test'], [1, 0, target.port, 'target.hosts.test']] },
		[service('hole-first.test')]: { SRV: [[0, 0, hole.port, 'target.hosts.test'], [1, 0, target.port, 'target.hosts.test']] },
		[service('starttls-only.test')]: { SRV: [[0, 0, target.port, 'target.hosts.test']] },
		'fallback.test': { A: [standardDirect.host] },
		[service('both.test')]: { SRV: [[0, 0, servers['both-starttls'].port, 'target.hosts.test']] },
		[secureService('both.test')]: { SRV: [[1, 0, servers['both-direct'].port, 'target.hosts.test']] },
		[secureService('xmpps.test')]: { SRV: [[0, 0, servers['xmpps-direct'].port, 'target.hosts.test']] },
		[secureService('xmpps-off.test')]: { SRV: [[0, 0, servers['xmpps-direct'].port, 'target.hosts.test']] },
		[secureService('dead-xmpps.test')]: { SRV: [[0, 0, deadPort, 'target.hosts.test']] },
		[service('dead-xmpps.test')]: { SRV: [[1, 0, servers['dead-xmpps-starttls'].port, 'target.hosts.test']] },
	};
}

let fallback;

before(async () => {
	folder = temporaryFolder('dial');
	authority = new Authority(folder);
	hole = await started(BlackHole.start());
	servers = await startServers();
	const { cert, keyText } = authority.issue('fallback', ['fallback.test']);
	fallback = { host: randomLoopback() };
	// A server of this machine may hold the port on all addresses.
	fallback.server = await started(XmppServer.start('direct-tls', { host: fallback.host, port: 5223, tls: { cert, key: keyText } })).catch((error) => {
		assert.equal(error.code, 'EADDRINUSE');
	});
	dns = await started(DnsServer.start(zone(fallback)));
	const ca = { ca_file: authority.certificate };
	const open = { tls: 'off', allow_private: true };
	const section = (name, more = open) => servers[name].section(more);
	const allowed = Object.entries(servers).filter(([name]) => name !== 'other').map(([, server]) => server.port);
	doab = await started(Doab.start({ resolvers: [dns.address], connect_timeout: CONNECT_TIMEOUT_S, open_timeout: 20, sessions_per_address: 1000,
		allowed_routes: [servers.target.address, `target.hosts.test:${servers.target.port}`, servers.other.address],
		allowed_ports: [...allowed, hole.port, deadPort, '5222-5223'].map(String),
		domains: {
			...Object.fromEntries(['named', 'address', 'address-six', 'looked-up', 'second', 'first', 'zeroth', 'loop', 'text', 'late', 'nobody', 'forbidden']
				.map((name) => [`${name}.test`, section(name)])),
			...Object.fromEntries(['inside', 'inside-six', 'inside-name'].map((name) => [`${name}.test`, section(name, { tls: 'off' })])),
			...Object.fromEntries(['smtp', 'forbidden-port', 'second-port', 'hole-first'].map((name) => [`${name}.test`, open])),
			'routed.test': open,
			'default.test': open,
			'bücher.test': open,
			'default-inside.test': { tls: 'off' },
			'routed-inside.test': { tls: 'off' },
			'starttls-only.test': { tls: 'direct', allow_private: true },
			'fallback.test': { ...ca, tls: 'direct', allow_private: true },
			'both.test': { ...ca, tls: 'direct', allow_private: true },
			'xmpps.test': { ...ca, allow_private: true },
			'xmpps-off.test': { tls: 'off', allow_private: true },
			'dead-xmpps.test': { ...ca, allow_private: true },
			'fixed-port.test': servers.other.section({ tls: 'off' }),
			'fixed-hole.test': { connect: [hole.address, servers.target.address], tls: 'off' },
			'secure.test': section('secure', { ...ca, allow_private: true }),
			'clear.secure.test': section('clear', { ...ca, allow_private: true }),
			'misled.test': section('misled', { ...ca, allow_private: true }),
			'direct.test': section('direct', { ...ca, tls: 'direct', allow_private: true }),
		} }));
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

const create = (domain, attributes = {}) => new BoshClient(doab.port).create(domain, { wait: 30, ...attributes });
const counts = (names) => names.map((name) => servers[name].connections.length);

// A session whose way leads over these servers, one connection each, to features.
async function assertWay(domain, names, attributes) {
	const nBefore = counts(names);
	const answer = await create(domain, attributes);
	assert.ok(answer.element.at('features'), answer.text);
	assert.deepEqual(counts(names).map((n, i) => n - nBefore[i]), names.map(() => 1), `connections of ${names}`);
	return servers[names.at(-1)].connections.at(-1);
}

// Neither transport gets there, and @untouched are not called.
async function assertFails(domain, text, untouched = [], condition = 'remote-connection-failed', streamCondition = condition) {
	const nBefore = counts(untouched);
	const answer = await create(domain);
	assertTerminated(answer, condition);
	assert.match(`${answer.text}\n${answer.element.text}`, text);
	const socket = await openWebSocket(doab.port);
	socket.open(domain);
	await assertStreamError(socket, streamCondition);
	assert.deepEqual(counts(untouched), nBefore, `no connection to ${untouched}`);
	return answer;
}

test('ports: what SRV records name is dialled only when it is allowed', TIMEOUT, async () => {
	await assertFails('smtp.test', /port is refused by this gateway.*target\.hosts\.test:25/s);
	await assertFails('forbidden-port.test', /refused by this gateway's policy/, ['other']);
	await doab.readLog();
	assert.match(doab.log, /port-refused.*smtp\.test|smtp\.test.*port-refused/);
});

test('ports: the next target may have one that is allowed', TIMEOUT, async () => {
	const nBefore = counts(['other']);
	await assertWay('second-port.test', ['target']);
	assert.deepEqual(counts(['other']), nBefore);
});

test('ports: fixed addresses are the operator\'s own words', TIMEOUT, async () => {
	await assertWay('fixed-port.test', ['other']);
});

test('a target on which nobody answers costs a session a moment, not its time-out', TIMEOUT, async () => {
	for (let i = 0; i < 3; i++) {
		const started_ = Date.now();
		await assertWay('hole-first.test', ['target']);
		assert.ok(Date.now() - started_ < SLOW_MS);
	}
});

test('so does a fixed address', TIMEOUT, async () => {
	const started_ = Date.now();
	await assertWay('fixed-hole.test', ['target']);
	assert.ok(Date.now() - started_ < SLOW_MS);
});

test('direct TLS: SRV records for STARTTLS will not do', TIMEOUT, async () => {
	await assertFails('starttls-only.test', /offers no TLS.*no server for direct TLS/s, ['target']);
});

test('direct TLS: SRV records for it are enough, whatever the rule says about STARTTLS', TIMEOUT, async () => {
	const connection = await assertWay('xmpps.test', ['xmpps-direct']);
	assert.equal(connection.socket.servername, 'xmpps.test');
	assert.equal(connection.headers.length, 1);
});

test('direct TLS: where a rule wants it, no other target is dialled, and where none may be, this one is not', TIMEOUT, async () => {
	const nBefore = counts(['both-starttls']);
	await assertWay('both.test', ['both-direct']);
	assert.deepEqual(counts(['both-starttls']), nBefore);
	await assertFails('xmpps-off.test', /servers for direct TLS only/, ['xmpps-direct'], 'host-unknown');
});

test('direct TLS: STARTTLS is the next target', TIMEOUT, async () => {
	const connection = await assertWay('dead-xmpps.test', ['dead-xmpps-starttls']);
	assert.equal(connection.headers.length, 2);
});

test('direct TLS: without SRV records on port 5223', TIMEOUT, async (t) => {
	if (!fallback.server) {
		t.skip('port 5223 is taken on this machine');
		return;
	}
	const answer = await create('fallback.test');
	assert.ok(answer.element.at('features'), answer.text);
	assert.equal(fallback.server.connections.at(-1).socket.servername, 'fallback.test');
});

test('see-other-host: a host and a port', TIMEOUT, async () => {
	const connection = await assertWay('named.test', ['named', 'target'], { from: 'o\'bri<en@named.test', 'xml:lang': 'de-AT' });
	const { attributes } = connection.headers[0];
	assert.equal(attributes.to, 'named.test', 'the domain, not the host');
	assert.equal(attributes.from, 'o\'bri<en@named.test');
	assert.equal(attributes['xml:lang'], 'de-AT');
	const first = servers.named.connections.at(-1);
	await first.end();
	assert.equal(first.streamEnds, 1, 'the farewell');
});

test('see-other-host: an IPv4 address', TIMEOUT, async () => {
	await assertWay('address.test', ['address', 'target']);
});

test('see-other-host: an IPv6 address', { ...TIMEOUT, skip: WITHOUT_IPV6 }, async () => {
	await assertWay('address-six.test', ['address-six', 'six']);
});

test('see-other-host: a host alone is looked up like a domain', TIMEOUT, async () => {
	await assertWay('looked-up.test', ['looked-up', 'target']);
	assert.ok(dns.count(service('service.hosts.test'), 'SRV') >= 1);
});

test('see-other-host: the session is as good as any', TIMEOUT, async () => {
	const client = new BoshClient(doab.port);
	await client.login('address.test', { wait: 30 });
	await client.request('<message xmlns=\'jabber:client\' id=\'1\'/>');
	const connection = servers.target.connections.at(-1);
	assert.equal((await connection.element('message')).attributes.id, '1');
	await client.terminate();
	const socket = await openWebSocket(doab.port);
	const { open, features } = await socket.start('address.test');
	assert.equal(open.attributes.id, 'scripted-1');
	assert.equal(features.name, 'features');
	socket.drop();
});

test('see-other-host: twice, but not three times', TIMEOUT, async () => {
	await assertWay('first.test', ['first', 'second', 'target']);
	const nBefore = counts(['zeroth', 'first', 'second']);
	const answer = await assertFails('zeroth.test', /see-other-host/, ['target'], 'remote-stream-error', 'see-other-host');
	assert.ok(answer.element.at('error', 'see-other-host'), answer.text);
	assert.deepEqual(counts(['zeroth', 'first', 'second']).map((n, i) => n - nBefore[i]), [2, 2, 2], 'for two sessions');
});

test('see-other-host: a server that names itself', TIMEOUT, async () => {
	await assertFails('loop.test', /see-other-host/, [], 'remote-stream-error', 'see-other-host');
	assert.equal(servers.loop.connections.length, 6, 'three for each of two sessions');
});

test('see-other-host: what is no place to go is an error like any other', TIMEOUT, async () => {
	await assertFails('text.test', /see-other-host/, ['target'], 'remote-stream-error', 'see-other-host');
});

test('see-other-host: behind the features it is the client\'s to follow', TIMEOUT, async () => {
	const nBefore = counts(['target']);
	const client = new BoshClient(doab.port);
	let answer = await client.create('late.test', { wait: 30 });
	if (answer.element.attributes.type !== 'terminate') {
		answer = await client.request();
	}
	assertTerminated(answer, 'remote-stream-error');
	assert.ok(answer.element.at('error', 'see-other-host'), answer.text);
	assert.deepEqual(counts(['target']), nBefore);
});

test('see-other-host: a server that is not there', TIMEOUT, async () => {
	await assertFails('nobody.test', /refused the connection/);
});

test('see-other-host: a port that is not allowed', TIMEOUT, async () => {
	await assertFails('forbidden.test', /refused by this gateway's policy/, ['other']);
});

test('see-other-host: fixed addresses open no way into the network', TIMEOUT, async () => {
	for (const name of ['inside', 'inside-six', 'inside-name']) {
		await assertFails(`${name}.test`, /not a public one/, ['target']);
	}
});

test('see-other-host: under TLS, and the certificate has to name the domain', TIMEOUT, async () => {
	const connection = await assertWay('secure.test', ['secure', 'right'], { from: 'alice@secure.test' });
	assert.ok(connection.isSecure);
	assert.equal(connection.socket.servername, 'secure.test', 'SNI is the domain');
	assert.equal(connection.headers[0].attributes.from, undefined, 'TLS is asked for anew');
	assert.equal(connection.headers[1].attributes.from, 'alice@secure.test');
	await assertFails('misled.test', /for another name.*wrong\.hosts\.test/s);
	await assertFails('clear.secure.test', /for another name/);
});

test('see-other-host: from direct TLS to direct TLS', TIMEOUT, async () => {
	const connection = await assertWay('direct.test', ['direct', 'direct-right']);
	assert.ok(connection.isSecure);
});

test('route: a place of the list is dialled instead of what the DNS says, any other is refused', TIMEOUT, async () => {
	const { target, other } = servers;
	await assertWay('routed.test', ['target'], { route: `xmpp:${target.address}` });
	await assertWay('routed.test', ['target'], { route: `xmpp:target.hosts.test:${target.port}` });
	const nBefore = counts(['target', 'other', 'six']);
	for (const [domain, route, condition, text] of [
		['routed.test', `xmpp:${servers.six.address}`, 'host-unknown', /does not take that 'route'/],
		['routed.test', `xmpp:127.0.0.1:${deadPort}`, 'host-unknown', /does not take that 'route'/],
		['routed.test', target.address, 'bad-request', /xmpp:host:port/],
		// In the list, and still not dialled: an address of the inside, a port that is not allowed.
		['routed-inside.test', `xmpp:${target.address}`, 'remote-connection-failed', /not a public one/],
		['routed.test', `xmpp:${other.address}`, 'remote-connection-failed', /port/],
	]) {
		const answer = await create(domain, { route });
		assertTerminated(answer, condition);
		assert.match(answer.element.text, text);
	}
	assert.deepEqual(counts(['target', 'other', 'six']), nBefore);
});

// gloox and others always name the default. What plain `to` does not reach, no spelling of it reaches.
test('route: one that names the domain and the default port is as if it were not there', TIMEOUT, async () => {
	for (const place of ['default.test:5222', 'DEFAULT.test.:5222', 'default.test', 'default.test:', 'default.test:0']) {
		await assertWay('default.test', ['target'], { route: `xmpp:${place}` });
	}
	await assertWay('bücher.test', ['target'], { route: 'xmpp:xn--bcher-kva.test:5222' });
	await assertWay('xn--bcher-kva.test', ['target'], { route: 'xmpp:BÜCHER.test:5222' });
	const nBefore = counts(['target']);
	for (const [domain, place, condition] of [
		['default.test', `default.test:${servers.target.port}`, 'host-unknown'],
		['default.test', 'default.test:5223', 'host-unknown'],
		['default.test', 'bücher.test:5222', 'host-unknown'],
		['default.test', '127.0.0.1:5222', 'host-unknown'],
		['default.test', '[::1]:5222', 'host-unknown'],
		['default.test', 'default.test:70758', 'bad-request'],
		// The DNS leads inside, and must not.
		['default-inside.test', 'default-inside.test:5222', 'remote-connection-failed'],
	]) {
		assertTerminated(await create(domain, { route: `xmpp:${place}` }), condition);
	}
	assert.deepEqual(counts(['target']), nBefore);
});
