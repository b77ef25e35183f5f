// How the gateway finds a domain's server, with a scripted DNS server.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer, encodeMessage, encodeRecord } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { freePort, patiently, sleep, stopAll } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const service = (domain) => `_xmpp-client._tcp.${domain}`;
const directService = (domain) => `_xmpps-client._tcp.${domain}`;
let servers;
let dns;
let doab;
let standard;

// Every domain here may be on loopback and speaks without TLS; what is tested is the way to it.
const randomLoopback = () => `127.${randomInt(1, 254)}.${randomInt(1, 254)}.${randomInt(2, 254)}`;
const STANDARD_HOST = randomLoopback();
const DEAD_HOST = randomLoopback();
const PRIVATE = { allow_private: true, tls: 'off' };

const RESPONSE = 0x8180;
const HOST = 'host.single.test';
const srv = (port, host = HOST) => ({ SRV: [[0, 0, port, host]] });

// The two services (XEP-0368). Whatever becomes of a direct target, none here can be reached that way.
const twoServices = (port, dead) => ({
	[service('both.test')]: { SRV: [[10, 0, port, HOST]] }, [directService('both.test')]: { SRV: [[5, 0, dead, HOST], [20, 0, dead, HOST]] },
	[service('no-direct.test')]: srv(port), [directService('no-direct.test')]: srv(0, '.'),
	[service('neither.test')]: srv(0, '.'), [directService('neither.test')]: srv(0, '.'), 'neither.test': { A: [STANDARD_HOST] },
	[directService('only-no-direct.test')]: srv(0, '.'), 'only-no-direct.test': { A: [STANDARD_HOST] },
	[service('direct-fails.test')]: srv(port), [directService('direct-fails.test')]: 'SERVFAIL',
	[service('direct-silent.test')]: srv(port), [directService('direct-silent.test')]: 'SILENT',
	// There may be records for direct TLS: the domain itself is not to be guessed.
	[directService('unknown-direct.test')]: 'SERVFAIL', 'unknown-direct.test': { A: [STANDARD_HOST] },
});

const caching = (port) => ({
	[service('cached.test')]: srv(port, 'h.cached.test'), 'h.cached.test': { A: ['127.0.0.1'] },
	[service('short.test')]: { ...srv(port, 'h.short.test'), TTL: 1 }, 'h.short.test': { A: ['127.0.0.1'], TTL: 1 },
	[service('many.test')]: srv(port, 'h.many.test'), 'h.many.test': { A: ['127.0.0.1'] },
	[service('truncated.test')]: { ...srv(port), TRUNCATE: true },
	[service('large.test')]: { SRV: Array.from({ length: 30 }, (_, i) => [i ? 9 : 1, 0, port + i, i ? `target-${i}.large.test` : HOST]) },
});

const oddities = (port) => ({
	[service('loop.test')]: { SRV: [[0, 0, port, service('loop.test')], [1, 0, port, 'loop.test']] },
	[service('loop-out.test')]: { SRV: [[0, 0, port, service('loop-out.test')], [1, 0, port, HOST]] },
	[service('ring.test')]: { CNAME: 'ring.test' }, 'ring.test': { CNAME: service('ring.test') },
	[service('srv-alias.test')]: { CNAME: service('single.test') },
	[service('literal.test')]: srv(port, '127.0.0.1'),
	[service('twice.test')]: { SRV: [[0, 0, port, HOST], [1, 0, port, HOST.toUpperCase()]] },
});

// An SRV record of the name that was asked for, with these octets of data.
const rawRecord = (hex) => Buffer.concat([Buffer.from('c00c002100010000003c', 'hex'), Buffer.from([0, hex.length / 2]), Buffer.from(hex, 'hex')]);
const RAW_DATA_AT = 12;
const goodRecord = (question) => encodeRecord(question.name, 'SRV', [0, 0, 1, HOST]);

// Answers to whatever is asked about the domain of that name.
const GARBAGE = {
	'cut': (question) => encodeMessage(question, RESPONSE, [goodRecord(question)]).subarray(0, -5),
	'counts': (question) => {
		const answer = encodeMessage(question, RESPONSE, [goodRecord(question)]);
		answer.writeUInt16BE(40000, 6);
		return answer;
	},
	'trailing': (question) => Buffer.concat([encodeMessage(question, RESPONSE), Buffer.from('trailing')]),
	'pointer': (question) => encodeMessage(question, RESPONSE, [rawRecord('000000000001ffff')]),
	'self-pointer': (question) => {
		const at = encodeMessage(question, RESPONSE).length + RAW_DATA_AT + 6;
		return encodeMessage(question, RESPONSE, [rawRecord(`000000000001${(0xc000 | at).toString(16)}`)]);
	},
	'no-data': (question) => encodeMessage(question, RESPONSE, [rawRecord('')]),
	'bad-host': (question) => encodeMessage(question, RESPONSE, [encodeRecord(question.name, 'SRV', [0, 0, 1, 'two words.test'])]),
	'formerr': (question) => encodeMessage(question, RESPONSE | 1),
	'no-response': (question) => encodeMessage(question, 0x0100, [goodRecord(question)]),
};
const garbage = (port) => ({
	...Object.fromEntries(Object.entries(GARBAGE).map(([name, answer]) => [service(`${name}.test`), answer])),
	// In one service only.
	[service('half-garbage.test')]: srv(port), [directService('half-garbage.test')]: GARBAGE.counts,
	// A record of somebody else, better than the one that was asked for.
	[service('poison.test')]: (question) => encodeMessage(question, RESPONSE, [encodeRecord(service('single.test'), 'SRV', [0, 0, 1, 'evil.test']),
		encodeRecord(question.name, 'SRV', [5, 0, port, HOST])]),
});

const MORE_ALLOWED = ['both', 'no-direct', 'neither', 'only-no-direct', 'direct-fails', 'direct-silent', 'unknown-direct', 'cached', 'short',
	'many', 'truncated', 'large', 'loop', 'loop-out', 'ring', 'srv-alias', 'literal', 'twice', 'half-garbage', 'poison', 'nowhere-twice',
	...Object.keys(GARBAGE)];

before(async () => {
	servers = { one: await XmppServer.start('plain'), two: await XmppServer.start('plain'), three: await XmppServer.start('plain') };
	// The port that is tried when there is no SRV record. An XMPP server of this machine may hold it on all addresses.
	standard = await XmppServer.start('plain', { host: STANDARD_HOST, port: 5222 }).catch((error) => {
		assert.equal(error.code, 'EADDRINUSE');
	});
	const dead = await freePort();
	const { one, two, three } = servers;
	const local = { A: ['127.0.0.1'] };
	dns = await DnsServer.start({
		[service('single.test')]: { SRV: [[10, 0, one.port, 'host.single.test']] }, 'host.single.test': local,
		[service('priority.test')]: { SRV: [[30, 100, three.port, 'h.priority.test'], [10, 0, two.port, 'h.priority.test'], [20, 100, one.port, 'h.priority.test']] },
		'h.priority.test': local,
		[service('weight.test')]: { SRV: [[10, 0, three.port, 'h.weight.test'], [10, 90, one.port, 'h.weight.test'], [10, 10, two.port, 'h.weight.test']] },
		'h.weight.test': local,
		[service('dead-first.test')]: { SRV: [[0, 0, dead, 'h.dead-first.test'], [5, 0, two.port, 'h.dead-first.test']] }, 'h.dead-first.test': local,
		[service('no-address.test')]: { SRV: [[0, 0, one.port, 'nothing.no-address.test'], [5, 0, two.port, 'h.no-address.test']] }, 'h.no-address.test': local,
		[service('all-dead.test')]: { SRV: [[0, 0, dead, 'h.all-dead.test'], [5, 0, dead, 'h.all-dead.test']] }, 'h.all-dead.test': local,
		[service('not-offered.test')]: { SRV: [[0, 0, 5222, '.']] }, 'not-offered.test': { A: [STANDARD_HOST] },
		'plain-a.test': { A: [STANDARD_HOST] },
		[service('empty-srv.test')]: { TXT: [] }, 'empty-srv.test': { A: [STANDARD_HOST] },
		'second-address.test': { A: [DEAD_HOST, STANDARD_HOST] },
		[service('six.test')]: { SRV: [[0, 0, one.port, 'h.six.test']] }, 'h.six.test': { AAAA: ['::1'], A: ['127.0.0.1'] },
		[service('alias.test')]: { SRV: [[0, 0, one.port, 'alias.alias.test']] }, 'alias.alias.test': { CNAME: 'host.single.test' },
		[service('broken.test')]: 'SERVFAIL', 'broken.test': 'SERVFAIL',
		[service('silent.test')]: 'SILENT', 'silent.test': 'SILENT',
		[service('inside.test')]: { SRV: [[0, 0, one.port, 'h.inside.test']] }, 'h.inside.test': local,
		'inside-a.test': { A: ['127.0.0.1'] }, 'inside-10.test': { A: ['10.0.0.1'] }, 'inside-metadata.test': { A: ['169.254.169.254'] },
		'inside-six.test': { AAAA: ['::1'] }, 'inside-mapped.test': { AAAA: ['::ffff:7f00:1'] }, 'inside-nat64.test': { AAAA: ['64:ff9b::7f00:1'] },
		'inside-zero.test': { A: ['0.0.0.0'] },
		[service('xn--bcher-kva.test')]: { SRV: [[0, 0, one.port, 'host.single.test']] },
		...twoServices(one.port, dead), ...caching(one.port), ...oddities(one.port), ...garbage(one.port),
	});
	const allowed = [...MORE_ALLOWED, 'single', 'priority', 'weight', 'dead-first', 'no-address', 'all-dead', 'not-offered', 'plain-a', 'empty-srv', 'second-address',
		'six', 'alias', 'broken', 'silent', 'xn--bcher-kva', 'nowhere'];
	doab = await Doab.start({ resolvers: [dns.address], connect_timeout: 2, open_timeout: 20, sessions_per_address: 1000,
		domains: { ...Object.fromEntries(allowed.map((name) => [`${name}.test`, PRIVATE])), 'denied.test': { deny: true },
			// A section alone opens nothing.
			'inside-10.test': { tls: 'off' }, 'inside-six.test': { tls: 'off', allow_private: false } } });
});
after(() => stopAll(doab, dns, standard, ...Object.values(servers ?? {})));

async function create(domain, attributes = {}) {
	const client = new BoshClient(doab.port);
	return client.create(domain, { wait: 30, ...attributes });
}

const needsStandardPort = (t) => standard === undefined && (t.skip('port 5222 is taken on this machine'), true);

async function assertReaches(domain, server) {
	const nBefore = server.connections.length;
	const answer = await create(domain);
	assert.ok(answer.element.at('features'), answer.text);
	assert.equal(server.connections.length, nBefore + 1);
	return server.connections.at(-1);
}

test('one SRV record leads to its host and port', TIMEOUT, async () => {
	const connection = await assertReaches('single.test', servers.one);
	assert.equal(connection.headers[0].attributes.to, 'single.test', 'the domain, not the host');
	assert.ok(dns.count(service('single.test'), 'SRV') >= 1);
	assert.equal(dns.count('single.test', 'A'), 0, 'with SRV records the domain\'s own address does not matter');
});

test('the lowest priority comes first', TIMEOUT, async () => {
	for (let i = 0; i < 3; i++) {
		await assertReaches('priority.test', servers.two);
	}
});

test('weights share the load, a weight of 0 gets next to nothing', TIMEOUT, async () => {
	const counts = () => Object.values(servers).map((server) => server.connections.length);
	const start = counts();
	await Promise.all(Array.from({ length: 60 }, () => create('weight.test')));
	const [one, two, three] = counts().map((count, i) => count - start[i]);
	assert.equal(one + two + three, 60);
	assert.ok(one > two && one >= 40, `${one} for 90, ${two} for 10`);
	assert.ok(three <= 6, `${three} for 0`);
});

test('a dead first target is passed over for the next', TIMEOUT, async () => {
	await assertReaches('dead-first.test', servers.two);
});

test('a target without an address is passed over for the next', TIMEOUT, async () => {
	await assertReaches('no-address.test', servers.two);
});

test('a broken first address is passed over for the second', TIMEOUT, async (t) => {
	await assertReaches('six.test', servers.one);
	if (!needsStandardPort(t)) {
		await assertReaches('second-address.test', standard);
	}
});

test('a target that is an alias is followed', TIMEOUT, async () => {
	await assertReaches('alias.test', servers.one);
});

test('without SRV records the domain itself is tried, on port 5222', TIMEOUT, async (t) => {
	if (!needsStandardPort(t)) {
		await assertReaches('plain-a.test', standard);
		await assertReaches('empty-srv.test', standard);
	}
});

test('an internationalised domain is asked for in its ASCII form', TIMEOUT, async () => {
	for (const domain of ['bücher.test', 'BÜCHER.test', 'xn--bcher-kva.test']) {
		await assertReaches(domain, servers.one);
	}
});

test('the case of a domain does not matter', TIMEOUT, async () => {
	await assertReaches('Single.TEST', servers.one);
});

test('both services are asked for, and their priorities count together', TIMEOUT, async () => {
	// The direct target of the best priority is dead, that of the worst is not tried.
	await assertReaches('both.test', servers.one);
	assert.equal(dns.count(service('both.test'), 'SRV'), 1);
	assert.equal(dns.count(directService('both.test'), 'SRV'), 1);
});

test('"." of one service says nothing about the other', TIMEOUT, async (t) => {
	await assertReaches('no-direct.test', servers.one);
	if (!needsStandardPort(t)) {
		await assertReaches('only-no-direct.test', standard);
	}
});

test('when one service fails the other is used', TIMEOUT, async () => {
	await assertReaches('direct-fails.test', servers.one);
	await assertReaches('half-garbage.test', servers.one);
});

test('a service that is not answered does not hold the other up for long', TIMEOUT, async () => {
	const answer = await create('direct-silent.test');
	assert.ok(answer.element.at('features'), answer.text);
	// All its tries would take 10.5 s.
	assert.ok(answer.ms < 8000, `after ${answer.ms} ms`);
});

test('answers are kept for their time', { timeout: patiently(60000) }, async () => {
	const counts = (name) => [dns.count(service(`${name}.test`), 'SRV'), dns.count(directService(`${name}.test`), 'SRV'),
		dns.count(`h.${name}.test`, 'A'), dns.count(`h.${name}.test`, 'AAAA')];
	await assertReaches('short.test', servers.one);
	assert.deepEqual(counts('short'), [1, 1, 1, 1]);
	for (let i = 0; i < 3; i++) {
		await assertReaches('cached.test', servers.one);
	}
	assert.deepEqual(counts('cached'), [1, 1, 1, 1]);
	await sleep(5500); // the least time that any answer is kept is 5 s
	await assertReaches('short.test', servers.one);
	// That there is no direct TLS holds for longer; addresses of both kinds are one answer.
	assert.deepEqual(counts('short'), [2, 1, 2, 2]);
	await assertReaches('cached.test', servers.one);
	assert.deepEqual(counts('cached'), [1, 1, 1, 1]);
});

test('that there is no such name is kept, too', TIMEOUT, async () => {
	for (let i = 0; i < 3; i++) {
		assertTerminated(await create('nowhere-twice.test'), 'host-unknown');
	}
	assert.equal(dns.count(service('nowhere-twice.test'), 'SRV'), 1);
	assert.equal(dns.count(directService('nowhere-twice.test'), 'SRV'), 1);
});

test('however many sessions ask at once: one question', { timeout: patiently(60000) }, async () => {
	const answers = await Promise.all(Array.from({ length: 200 }, () => create('many.test')));
	assert.equal(answers.filter((answer) => answer.element.at('features')).length, 200);
	assert.equal(dns.count(service('many.test'), 'SRV'), 1);
	assert.equal(dns.count(directService('many.test'), 'SRV'), 1);
	assert.equal(dns.count('h.many.test', 'A'), 1);
	assert.equal(dns.count('h.many.test', 'AAAA'), 1);
});

test('a truncated answer is asked for again over TCP', TIMEOUT, async () => {
	for (const domain of ['truncated.test', 'large.test']) {
		await assertReaches(domain, servers.one);
		assert.equal(dns.count(service(domain), 'SRV', 'udp'), 1);
		assert.equal(dns.count(service(domain), 'SRV', 'tcp'), 1);
	}
});

test('SRV records that lead to themselves lead nowhere else', TIMEOUT, async () => {
	assertTerminated(await create('loop.test'), 'host-unknown');
	await assertReaches('loop-out.test', servers.one);
	assertTerminated(await create('ring.test'), 'host-unknown');
	assert.ok(dns.count(service('loop.test'), 'A') >= 1);
});

test('an SRV name that is an alias, a target that is an address, a target named twice', TIMEOUT, async () => {
	await assertReaches('srv-alias.test', servers.one);
	await assertReaches('literal.test', servers.one);
	assert.equal(dns.count('127.0.0.1', 'A'), 0);
	await assertReaches('twice.test', servers.one);
	await assertReaches('poison.test', servers.one);
});

for (const name of Object.keys(GARBAGE)) {
	test(`an answer of garbage is a DNS failure: ${name}`, TIMEOUT, async () => {
		const answer = await create(`${name}.test`);
		// c-ares 1.34 ignores what follows the records, and so this is an answer without any.
		assertTerminated(answer, name === 'trailing' ? ['remote-connection-failed', 'host-unknown'] : 'remote-connection-failed');
		assert.match(answer.element.text, /DNS/);
		await assertReaches('single.test', servers.one);
	});
}

test('time-out and tries are configurable', TIMEOUT, async () => {
	const impatient = await Doab.start({ resolvers: [dns.address], dns_timeout: 100, dns_tries: 2, domains: { 'silent.test': PRIVATE } });
	try {
		const nBefore = dns.count(service('silent.test'), 'SRV');
		const answer = await new BoshClient(impatient.port).create('silent.test', { wait: 30 });
		assertTerminated(answer, 'remote-connection-failed');
		assert.equal(dns.count(service('silent.test'), 'SRV') - nBefore, 2);
		assert.ok(answer.ms < 8000, `after ${answer.ms} ms`);
	} finally {
		await impatient.stop();
	}
});

// Domain, BOSH condition, stream error, what the text says.
const FAILURES = [
	['not-offered.test', 'host-unknown', 'host-unknown', /offers no XMPP/],
	['neither.test', 'host-unknown', 'host-unknown', /offers no XMPP/],
	['unknown-direct.test', 'remote-connection-failed', 'remote-connection-failed', /DNS/],
	['nowhere.test', 'host-unknown', 'host-unknown', /no such domain/],
	['unlisted.test', 'host-unknown', 'host-unknown', /no such domain/],
	['broken.test', 'remote-connection-failed', 'remote-connection-failed', /DNS/],
	['all-dead.test', 'remote-connection-failed', 'remote-connection-failed', /refused the connection/],
	['inside.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-a.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-10.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-metadata.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-six.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-mapped.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-nat64.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['inside-zero.test', 'remote-connection-failed', 'remote-connection-failed', /not a public one/],
	['denied.test', 'host-unknown', 'host-unknown', /does not serve/],
];

for (const [domain, condition, streamCondition, text] of FAILURES) {
	test(`${domain}: ${condition}, in words, for both transports`, TIMEOUT, async () => {
		const reached = Object.values(servers).reduce((sum, server) => sum + server.connections.length, 0);
		const answer = await create(domain);
		assertTerminated(answer, condition);
		assert.match(answer.element.text, text);
		const socket = await openWebSocket(doab.port);
		socket.open(domain);
		const error = await assertStreamError(socket, streamCondition, { open: true });
		assert.match(error.at('text').text, text);
		assert.equal(Object.values(servers).reduce((sum, server) => sum + server.connections.length, 0), reached, 'no server was called');
	});
}

test('a DNS that does not answer is given up in time, and said', { timeout: patiently(60000) }, async () => {
	const answer = await create('silent.test', { wait: 60 });
	assertTerminated(answer, 'remote-connection-failed');
	assert.match(answer.element.text, /DNS|in time/);
	assert.ok(answer.ms < 25000, `after ${answer.ms} ms`);
});

test('failures are logged with their name and domain', TIMEOUT, async () => {
	await create('inside-a.test');
	await doab.readLog();
	assert.match(doab.log, /address-refused.*inside-a\.test|inside-a\.test.*address-refused/);
	assert.match(doab.log, /dns-no-name.*nowhere\.test|nowhere\.test.*dns-no-name/);
});
