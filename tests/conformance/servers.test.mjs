// A domain with several servers, of which some come to nothing behind their TCP; and certificates that signed DNS speaks of (DANE).
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, selfSigned, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let servers;
let doab;

const service = (domain) => `_xmpp-client._tcp.${domain}`;
const secureService = (domain) => `_xmpps-client._tcp.${domain}`;
const spki = ({ keyText }) => createPublicKey(createPrivateKey(keyText)).export({ type: 'spki', format: 'der' });
// DANE-EE of the key, by its SHA-256.
const keyRecord = (material) => [3, 1, 1, createHash('sha256').update(spki(material)).digest('hex')];
// A usage, a selector and a digest's length that do not exist.
const UNUSABLE_RECORDS = [[7, 1, 1, '00'.repeat(32)], [3, 9, 1, '00'.repeat(32)], [3, 1, 1, '00']];
const WRONG_RECORD = [3, 1, 1, '00'.repeat(32)];

// A domain whose servers stand in this order in the DNS, with what else the zone has.
function domainOf(zone, name, list, more = {}) {
	zone[service(`${name}.test`)] = { SRV: list.map((server, i) => [i, 0, servers[server].port, `${name}.hosts.test`]), ...more };
	zone[`${name}.hosts.test`] = { A: ['127.0.0.1'] };
}

const tlsaName = (name, server) => `_${servers[server].port}._tcp.${name}.hosts.test`;

before(async () => {
	folder = temporaryFolder('servers');
	const authority = new Authority(folder);
	const stranger = selfSigned(folder, 'stranger', ['unrelated.test']);
	const names = ['expired', 'wrong', 'clear', 'closing', 'garbage', 'three', 'all', 'signed', 'forged', 'unsigned', 'bogus', 'plainzone', 'nodane', 'second',
		'selfsigned', 'early', 'mute', 'mitm', 'mitm-port', 'unusable', 'half-usable', 'misread']
		.map((name) => `${name}.test`);
	const good = authority.issue('good', [...names, 'alone.test']);
	servers = {};
	const add = async (name, script, material) => (servers[name] = await started(XmppServer.start(script, { tls: material && tlsOf(material) })));
	await add('good', 'starttls', good);
	await add('expired', 'starttls', authority.issue('expired', names, { days: -1 }));
	await add('wrong', 'starttls', authority.issue('wrong', ['elsewhere.test']));
	await add('clear', 'plain');
	await add('closing', 'close-after-header');
	await add('garbage', 'error-before-header');
	await add('stranger', 'starttls', stranger);
	await add('ending', 'error-before-features');
	await add('selfsigned', 'starttls', selfSigned(folder, 'selfsigned', names));
	await add('early', 'starttls', authority.issue('early', names, { days: Infinity }));
	await add('mute', [{ await: 'header' }]);
	const mitm = (where) => [{ await: 'header' }, { header: true, features: null },
		{ send: `<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${where}</see-other-host></stream:error></stream:stream>` }, { end: true }];
	await add('mitm', mitm('evil.test'));
	await add('mitm-port', mitm(`host.evil.test:${servers.stranger.port}`));

	const zone = {};
	for (const name of ['expired', 'wrong', 'clear', 'closing', 'garbage', 'selfsigned', 'early', 'mute']) {
		domainOf(zone, name, [name, 'good']);
	}
	domainOf(zone, 'three', ['wrong', 'clear', 'good']);
	domainOf(zone, 'all', ['wrong', 'clear', 'closing', 'good']);
	domainOf(zone, 'alone', ['clear']);
	domainOf(zone, 'speaking', ['ending', 'good']);
	// DANE: what is signed leads to a server that no authority vouches for, to one with another key, ...
	const tlsa = (name, server, record, more = {}) => { zone[tlsaName(name, server)] = { TLSA: [record], AD: true, ...more }; };
	domainOf(zone, 'signed', ['stranger'], { AD: true });
	tlsa('signed', 'stranger', keyRecord(stranger));
	domainOf(zone, 'forged', ['good'], { AD: true });
	tlsa('forged', 'good', WRONG_RECORD);
	// ... what was not signed says nothing, neither the records nor what led to them, ...
	domainOf(zone, 'unsigned', ['good'], { AD: true });
	tlsa('unsigned', 'good', WRONG_RECORD, { AD: false });
	domainOf(zone, 'plainzone', ['good']);
	tlsa('plainzone', 'good', WRONG_RECORD);
	// ... and records that cannot be had may have been kept from us.
	domainOf(zone, 'bogus', ['good'], { AD: true });
	zone[tlsaName('bogus', 'good')] = 'SERVFAIL';
	// Mistakes: records that no client can use, one of them beside a wrong one, and the digest of the wrong part.
	domainOf(zone, 'unusable', ['good'], { AD: true });
	zone[tlsaName('unusable', 'good')] = { TLSA: UNUSABLE_RECORDS, AD: true };
	domainOf(zone, 'half-usable', ['good'], { AD: true });
	zone[tlsaName('half-usable', 'good')] = { TLSA: [...UNUSABLE_RECORDS, WRONG_RECORD], AD: true };
	domainOf(zone, 'misread', ['good'], { AD: true });
	tlsa('misread', 'good', [3, 0, 1, keyRecord(good)[3]]);
	// Who answers in the server's place sends the client on to a zone of his own, all of it signed.
	for (const name of ['mitm', 'mitm-port']) {
		domainOf(zone, name, [name], { AD: true });
	}
	zone[service('evil.test')] = { SRV: [[0, 0, servers.stranger.port, 'host.evil.test']], AD: true };
	zone['host.evil.test'] = { A: ['127.0.0.1'], AD: true };
	zone[`_${servers.stranger.port}._tcp.host.evil.test`] = { TLSA: [keyRecord(stranger)], AD: true };
	domainOf(zone, 'second', ['good', 'stranger'], { AD: true });
	tlsa('second', 'good', WRONG_RECORD);
	tlsa('second', 'stranger', keyRecord(stranger));
	const dns = await started(DnsServer.start(zone));
	const section = { ca_file: authority.certificate, allow_private: true };
	const domains = Object.fromEntries([...names, 'alone.test', 'speaking.test'].map((name) => [name, section]));
	domains['speaking.test'] = { tls: 'off', allow_private: true };
	const config = { resolvers: [dns.address], domains, sessions_per_address: 1000, open_timeout: 12 };
	doab = { off: await started(Doab.start(config)), on: await started(Doab.start({ ...config, trust_dnssec: true })) };
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

const create = (name, which = 'off') => new BoshClient(doab[which].port).create(`${name}.test`, { wait: 30 });
const nOf = (names) => names.map((name) => servers[name].connections.length);

async function assertWay(name, way, which, dialled = way.map(() => 1)) {
	const nBefore = nOf(way);
	const answer = await create(name, which);
	assert.ok(answer.element.at('features'), answer.text);
	assert.deepEqual(nOf(way).map((n, i) => n - nBefore[i]), dialled, `connections of ${way}`);
}

for (const [name, what] of Object.entries({ expired: 'whose certificate has expired', wrong: 'whose certificate is for another name', clear: 'without TLS',
	closing: 'that hangs up', garbage: 'that speaks no XMPP', selfsigned: 'whose certificate it has signed itself',
	early: 'whose certificate is not valid yet', mute: 'that says nothing' })) {
	test(`a server ${what} is passed over for the next one of the domain`, TIMEOUT, async () => {
		await assertWay(name, [name, 'good']);
		// Next time it comes behind the other, but for a stream that ended: a client may have been
		// the reason.
		const isFirst = ['closing', 'garbage'].includes(name);
		await assertWay(name, [name, 'good'], 'off', [isFirst ? 1 : 0, 1]);
	});
}

test('a server that one domain passes over may be right for another domain', TIMEOUT, async () => {
	await assertWay('three', ['wrong', 'clear', 'good']);
	await assertWay('three', ['wrong', 'clear', 'good'], 'off', [0, 0, 1]);
});

test('up to three servers are connected to, and the first failure is told when none will do', TIMEOUT, async () => {
	await assertWay('three', ['wrong', 'clear', 'good'], 'on');
	const nBefore = servers.good.connections.length;
	const answer = await create('all', 'on');
	assertTerminated(answer, 'remote-connection-failed');
	assert.equal(servers.good.connections.length, nBefore, 'the fourth server was not called');
	const alone = await create('alone', 'on');
	assertTerminated(alone, 'remote-connection-failed');
	assert.match(alone.text, /offers no TLS/);
});

test('what a server says itself is told to the client: no other is asked', TIMEOUT, async () => {
	const nBefore = servers.good.connections.length;
	const answer = await create('speaking');
	assertTerminated(answer, 'remote-stream-error');
	assert.equal(servers.good.connections.length, nBefore);
});

test('DANE: a key that signed DNS names is believed, whoever signed its certificate', TIMEOUT, async () => {
	assert.ok((await create('signed', 'on')).element.at('features'));
	// Not where the resolvers are not trusted so far.
	assertTerminated(await create('signed', 'off'), 'remote-connection-failed');
});

test('DANE: a key that signed DNS does not name is refused, though its certificate is valid', TIMEOUT, async () => {
	const answer = await create('forged', 'on');
	assertTerminated(answer, 'remote-connection-failed');
	await doab.on.logged('session-failed', { domain: 'forged.test', failure: 'certificate-dane' });
	assert.ok((await create('forged', 'off')).element.at('features'));
});

test('DANE: records, or SRV records, that were not signed say nothing', TIMEOUT, async () => {
	assert.ok((await create('unsigned', 'on')).element.at('features'));
	assert.ok((await create('plainzone', 'on')).element.at('features'));
});

test('DANE: records that cannot be had are no reason to go on without them', TIMEOUT, async () => {
	const answer = await create('bogus', 'on');
	assertTerminated(answer, 'remote-connection-failed');
	assert.match(answer.text, /TLSA records of bogus\.hosts\.test/);
	assert.ok((await create('bogus', 'off')).element.at('features'));
});

test('DANE: records that cannot be used are as if they were not there; beside one that can be, that one counts', TIMEOUT, async () => {
	assert.ok((await create('unusable', 'on')).element.at('features'));
	for (const name of ['half-usable', 'misread']) {
		assertTerminated(await create(name, 'on'), 'remote-connection-failed');
		await doab.on.logged('session-failed', { domain: `${name}.test`, failure: 'certificate-dane' });
	}
});

test('DANE: the next server of the domain may be the right one', TIMEOUT, async () => {
	await assertWay('second', ['good', 'stranger'], 'on');
});

test('DANE: a redirection before TLS leads to nobody whose own DNS vouches for him', TIMEOUT, async () => {
	for (const name of ['mitm', 'mitm-port']) {
		const nBefore = servers.stranger.connections.length;
		const answer = await create(name, 'on');
		assertTerminated(answer, 'remote-connection-failed');
		assert.equal(servers.stranger.connections.length, nBefore + 1, 'it was followed');
		assert.equal(answer.element.at('features'), undefined);
	}
});
