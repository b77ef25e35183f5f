// `doab --probe`: what it shows of domains of every kind, and whether its exit status says what a session would come to.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { BlackHole } from '../support/black-hole.mjs';
import { Authority, pinOf, selfSigned, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { runDoab } from '../support/doab.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, WITHOUT_IPV6 } from '../support/util.mjs';
import { SCENARIOS, XmppServer } from '../support/xmpp-server.mjs';

const CONNECT_TIMEOUT_S = 2;
const TIMEOUT = { timeout: patiently(60000) };
const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const NS_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';
const FALSE_VERDICT = 'A session would work: yes';
const OLD = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
const starttlsService = (domain) => `_xmpp-client._tcp.${domain}`;
const directService = (domain) => `_xmpps-client._tcp.${domain}`;
const spki = ({ keyText }) => createPublicKey(createPrivateKey(keyText)).export({ type: 'spki', format: 'der' });
const keyRecord = (material) => [3, 1, 1, createHash('sha256').update(spki(material)).digest('hex')];

const mechanisms = (...names) => `<mechanisms xmlns='${NS_SASL}'>${names.map((name) => `<mechanism>${name}</mechanism>`).join('')}</mechanisms>`;
const offering = (features) => [{ await: 'header' }, { header: true, features: `<stream:features>${features}</stream:features>` }, { pause: 600000 }];
const underTls = (script) => [...SCENARIOS.starttls.slice(0, 3), ...script];

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let authority;
let zone;
let dns;
let domains; // sections of the configuration
let hole;
let fallback;

// A domain of its own with one server: @where says which service leads there.
async function add(name, script, { material, tls = material && tlsOf(material), section = {}, service = starttlsService, srv = {}, host = {} } = {}) {
	const server = await started(XmppServer.start(script, { tls }));
	const domain = `${name}.test`;
	zone[service(domain)] = { SRV: [[10, 5, server.port, `${name}.hosts.test`]], TTL: 300, ...srv };
	zone[`${name}.hosts.test`] = { A: ['127.0.0.1'], ...host };
	domains[domain] = { allow_private: true, ca_file: authority.certificate, ...section };
	return server;
}

const issue = (name, names = [`${name}.test`], options) => authority.issue(name, names, options);

async function addCertificates() {
	const stranger = new Authority(folder, 'stranger');
	const starttls = (name, material, section) => add(name, 'starttls', { material, section });
	await starttls('expired', issue('expired', undefined, { days: -1 }));
	await starttls('early', issue('early', undefined, { days: Infinity }));
	await starttls('misnamed', issue('misnamed', ['another.test', '*.misnamed.test']));
	await starttls('common-name', issue('common-name.test', []));
	await starttls('untrusted', stranger.issue('untrusted', ['untrusted.test']));
	await starttls('self-signed', selfSigned(folder, 'self-signed', ['self-signed.test']));
	await starttls('many', issue('many', ['many.test', ...Array.from({ length: 99 }, (_, i) => `name-${i}.example`)]));
	await starttls('hostile-name', issue('hostile-name', [], { more: [`otherName:1.3.6.1.5.5.7.8.5;UTF8:x\u001b[31m\u202e`] }));
	const pinned = issue('pinned');
	await starttls('pinned', pinned, { pin: [pinOf(pinned)] });
	await starttls('pin-other', issue('pin-other'), { pin: [pinOf(pinned)] });
	await starttls('any', stranger.issue('any', ['whatever.test']), { tls: 'opportunistic' });
	await add('old', 'starttls', { tls: { ...tlsOf(issue('old')), ...OLD } });
}

async function addStreams() {
	const off = { section: { tls: 'off' } };
	await add('clear', 'plain');
	await add('refusing', 'starttls-refused');
	await add('off', 'plain', off);
	await add('late', 'no-features', off);
	await add('silent', 'silent', off);
	await add('error', 'error-before-features', off);
	await add('web', 'error-before-header', off);
	await add('gone-at-once', 'close-at-once', off);
	await add('garbage', [...SCENARIOS.starttls.slice(0, 2), { await: 'starttls' },
		{ send: '<proceed xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/>' }, { pause: 200 }, { send: 'this is no TLS' }]);
	await add('weak', offering(mechanisms('PLAIN', 'ANONYMOUS')), off);
	await add('strong', offering(`${mechanisms('PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS')}<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>` +
		'<register xmlns=\'http://jabber.org/features/iq-register\'/><novelty xmlns=\'urn:x\'/>'), off);
	await add('bound', offering(mechanisms('SCRAM-SHA-1-PLUS', 'EXTERNAL')), off);
	await add('closed', offering(''), off);
	await add('legacy', offering('<auth xmlns=\'http://jabber.org/features/iq-auth\'/>'), off);
	await add('ancient', [{ await: 'header' }, { send: '<stream:stream xmlns=\'jabber:client\' xmlns:stream=\'http://etherx.jabber.org/streams\' id=\'old\'>' },
		{ pause: 600000 }], off);
	await add('hostile', [{ await: 'header' }, { send: '<stream:stream xmlns=\'jabber:client\' xmlns:stream=\'http://etherx.jabber.org/streams\' ' +
		`version='1.0' id='\u202e&#10;\u009b2J' from='x&#13;&#10;A session would work'><stream:features>${mechanisms('PLAIN\u202e', `\n\n${FALSE_VERDICT}\n`, 'X'.repeat(5000))}` +
		`<\u00e9vil xmlns='urn:x'/>${mechanisms(...Array.from({ length: 400 }, (_, i) => `M${i}`))}</stream:features>` }, { pause: 600000 }], off);
	await add('hostile-error', [{ await: 'header' }, { header: true, features: null },
		{ send: `<stream:error><host-unknown xmlns='${NS_ERRORS}'/><text xmlns='${NS_ERRORS}'>\u202e\n\n${FALSE_VERDICT}</text></stream:error>` }], off);
}

async function addWays() {
	const good = issue('good', ['good.test', '*.good.test'], { more: ['otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.good.test',
		'otherName:1.3.6.1.5.5.7.8.5;UTF8:good.test'], days: 30 });
	await add('good', underTls(offering(mechanisms('SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'))), { material: good });
	await add('direct', 'direct-tls', { material: issue('direct'), service: directService, tls: { ...tlsOf(issue('direct')), ALPNProtocols: ['xmpp-client'] } });
	const both = await add('both', 'starttls', { material: issue('both') });
	zone[directService('both.test')] = { SRV: [[20, 0, both.port, 'both.hosts.test'], [30, 1, 9, 'both.hosts.test']] };
	const umlaut = await add('xn--bcher-kva', 'starttls', { material: issue('umlaut', ['xn--bcher-kva.test']) });
	assert.ok(umlaut.port);
	zone[starttlsService('dot.test')] = { SRV: [[0, 0, 0, '.']] };
	zone[starttlsService('broken.test')] = 'SERVFAIL';
	zone[directService('broken.test')] = 'SERVFAIL';
	zone[starttlsService('mute.test')] = 'SILENT';
	zone[directService('mute.test')] = 'SILENT';
	await add('half', 'plain', { section: { tls: 'off' } });
	zone[directService('half.test')] = 'SILENT';
	const dead = await freePort();
	const plain = await add('target', 'plain', { section: { tls: 'off' } });
	const open = { tls: 'off', allow_private: true };
	const way = (name, ...ports) => {
		zone[starttlsService(`${name}.test`)] = { SRV: ports.map((port, i) => [i, 0, port, `${name}.hosts.test`]) };
		zone[`${name}.hosts.test`] = { A: ['127.0.0.1'] };
		domains[`${name}.test`] = open;
	};
	way('refused', dead);
	way('hole', hole.port);
	way('smtp', 25);
	way('second', dead, plain.port);
	way('slow', hole.port, plain.port);
	way('nowhere', plain.port);
	delete zone['nowhere.hosts.test'];
	way('private', plain.port);
	domains['private.test'] = { tls: 'off' };
	way('six', plain.port);
	zone['six.hosts.test'] = { A: ['127.0.0.1'], AAAA: ['::1'] };
	way('wanting', plain.port);
	domains['wanting.test'] = { tls: 'direct', allow_private: true };
	domains['denied.test'] = { deny: true };
	domains['gone.test'] = { gone: true };
	domains['fixed.test'] = { tls: 'off', connect: [`127.0.0.1:${dead}`, plain.address] };
	domains['*.pattern.test'] = { tls: 'off', connect: [plain.address] };
	const redirecting = (where) => [{ await: 'header' }, { header: true, features: null },
		{ send: `<stream:error><see-other-host xmlns='${NS_ERRORS}'>${where}</see-other-host></stream:error></stream:stream>` }, { end: true }];
	await add('moved', redirecting(plain.address), { section: { tls: 'off' } });
	await add('moved-name', redirecting('target.test'), { section: { tls: 'off' } });
	fallback = { host: `127.${randomInt(1, 254)}.${randomInt(1, 254)}.${randomInt(2, 254)}` };
	zone['alone.test'] = { A: [fallback.host] };
	domains['alone.test'] = open;
	// A server of this machine may hold the port on all addresses.
	fallback.server = await started(XmppServer.start('plain', { host: fallback.host, port: 5222 })).catch((error) => {
		assert.equal(error.code, 'EADDRINUSE');
	});
}

// A server whose certificate will not do, and one behind it; and what signed DNS says of certificates.
async function addServers() {
	const names = ['several.test', 'all.test', 'vouched.test', 'forged.test', 'unsigned.test', 'unsigned-way.test', 'bogus.test', 'none.test'];
	const stranger = selfSigned(folder, 'vouched', ['unrelated.test']);
	const good = await add('several', 'starttls', { material: issue('several', names) });
	const bad = await add('all', 'starttls', { material: issue('all', ['elsewhere.test']) });
	zone[starttlsService('several.test')].SRV.unshift([1, 0, bad.port, 'all.hosts.test']);
	const signed = async (name, material, record, { way = true, records = true } = {}) => {
		const server = await add(name, 'starttls', { material, srv: { AD: way } });
		zone[`_${server.port}._tcp.${name}.hosts.test`] = typeof record === 'string' ? record : { TLSA: record, AD: records };
	};
	const wrong = [3, 1, 1, '00'.repeat(32)];
	const trusted = issue('trusted', names);
	await signed('vouched', stranger, [wrong, keyRecord(stranger)]);
	await signed('forged', trusted, [wrong]);
	await signed('unsigned', trusted, [wrong], { records: false });
	await signed('unsigned-way', trusted, [wrong], { way: false });
	await signed('bogus', trusted, 'SERVFAIL');
	await signed('none', trusted, []);
	assert.ok(good.port);
}

before(async () => {
	folder = temporaryFolder('probe-stage');
	authority = new Authority(folder);
	zone = {};
	domains = {};
	hole = await started(BlackHole.start());
	await addCertificates();
	await addStreams();
	await addWays();
	await addServers();
	dns = await started(DnsServer.start(zone));
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

const look = (domain, config = {}) => probe(domain, { resolvers: [dns.address], allowed_ports: ['443', '1024-65535'], connect_timeout: CONNECT_TIMEOUT_S, open_timeout: 6, dns_timeout: 1000, dns_tries: 2,
	trust_dnssec: true, domains, ...config });


const shows = (found, what, ...patterns) => patterns.forEach((pattern) => assert.match(found, pattern, what));

// A domain that works, and what is shown beside these labels.
async function assertWorks(domain, verdict, lines = {}, config = {}) {
	const found = await look(domain, config);
	assert.equal(found.code, 0, found.stdout);
	shows(found.verdict, found.stdout, /^A session would work: /, verdict);
	Object.entries(lines).forEach(([label, pattern]) => shows(found.line(label) ?? '', `${label}\n${found.stdout}`, pattern));
	return found;
}

async function assertFails(domain, verdict, lines = {}, config = {}) {
	const found = await look(domain, config);
	assert.equal(found.code, 1, found.stdout);
	shows(found.verdict, found.stdout, /^No session would work: /, verdict);
	assert.equal(found.advice, '', 'no advice besides');
	Object.entries(lines).forEach(([label, pattern]) => shows(found.line(label) ?? '', `${label}\n${found.stdout}`, pattern));
	return found;
}

test('works over STARTTLS: every step of it', TIMEOUT, async () => {
	const found = await assertWorks('good.test', /^A session would work: TLS 1\.3, certificate valid until \d{4}-\d\d-\d\d, SCRAM-SHA-256 and 2 more\.$/, {
		configuration: /doab\.conf, domain "good\.test": tls = "required", ca_file, allow_private$/,
		'_xmpp-client._tcp': /^1 target, TTL 300 s 10 +5 +good\.hosts\.test:\d+$/,
		'_xmpps-client._tcp': /^none$/,
		order: /^1\. good\.hosts\.test:\d+, STARTTLS$/,
		'good.hosts.test': /^127\.0\.0\.1$/,
		STARTTLS: /^offered/,
		handshake: /^TLS 1\.3, TLS_AES_\w+, /,
		subject: /^good$/,
		names: /^good\.test, \*\.good\.test, SRV _xmpp-client\.good\.test, XMPP good\.test$/,
		issuer: /^doab tests authority$/,
		valid: /^\d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d, (29|30) days left$/,
		key: /^EC, 256 bits/,
		pin: /^sha256\/\//,
		chain: /^leads to doab tests authority, which ca_file trusts$/,
		name: /^is for good\.test$/,
		accepted: /^yes$/,
		SASL: /^SCRAM-SHA-256, SCRAM-SHA-1, PLAIN$/,
	});
	assert.match(found.stdout, /^good\.test\n/);
	assert.match(found.stdout, /^ {2}127\.0\.0\.1:\d+ +connected +[\d.]+ ms +[\d.]+ ms$/m);
	assert.equal(found.lines('header').length, 2);
	assert.match(found.advice, /^! There is no direct TLS[^\n]*$/);
});

test('works over direct TLS', TIMEOUT, async () => {
	const found = await assertWorks('direct.test', /TLS 1\.3/, { '_xmpp-client._tcp': /^none$/, order: /, direct TLS$/, handshake: /ALPN xmpp-client$/ });
	assert.equal(found.line('STARTTLS'), undefined);
	assert.equal(found.lines('header').length, 1);
	assert.doesNotMatch(found.advice, /no direct TLS/);
});

test('both services: the sets, and the order of all', TIMEOUT, async () => {
	await assertWorks('both.test', /TLS 1\.3/, {
		'_xmpps-client._tcp': /^2 targets, TTL 60 s +20 +0 +both\.hosts\.test:\d+ +30 +1 +both\.hosts\.test:9$/,
		order: /^1\. \S+, STARTTLS 2\. \S+, direct TLS 3\. both\.hosts\.test:9, direct TLS$/,
	});
});

test('an internationalised domain: in letters, and as the DNS has it', TIMEOUT, async () => {
	for (const domain of ['b\u00fccher.test', 'xn--bcher-kva.test', 'B\u00dcCHER.test']) {
		const found = await assertWorks(domain, /TLS 1\.3/, { header: /^from xn--bcher-kva\.test, / });
		assert.match(found.stdout, /^b\u00fccher\.test \(xn--bcher-kva\.test\)\n/);
	}
});

test('without SRV records the domain itself', TIMEOUT, async (t) => {
	if (!fallback.server) {
		t.skip('port 5222 is taken on this machine');
		return;
	}
	await assertWorks('alone.test', /without TLS/, { 'no SRV record': /domain itself/, order: /^1\. alone\.test:5222/ });
});

test('the DNS: no such domain, "no such service", failures, time-outs', TIMEOUT, async () => {
	await assertFails('nothing.test', /there is no such domain in the DNS: nothing\.test\.$/, { 'no SRV record': /./, 'nothing.test': /^none$/ });
	await assertFails('dot.test', /offers no XMPP: dot\.test\.$/, { '_xmpp-client._tcp': /^"\.": not offered/ });
	await assertFails('broken.test', /DNS lookup failed/, { '_xmpp-client._tcp': /failed/, '_xmpps-client._tcp': /failed/ });
	await assertFails('mute.test', /DNS did not answer in time/, { '_xmpp-client._tcp': /did not answer in time/ });
	await assertFails('nowhere.test', /no such domain.*nowhere\.hosts\.test/, { 'nowhere.hosts.test': /^none$/ });
});

test('a service about which the DNS says nothing', TIMEOUT, async () => {
	const found = await assertWorks('half.test', /without TLS/, { '_xmpps-client._tcp': /^no answer yet/ });
	assert.match(found.advice, /did not answer about one of the two services/);
});

test('addresses: refused, black hole, not public, a port that is not allowed', TIMEOUT, async () => {
	const found = await assertFails('refused.test', /^No session would work: the server refused the connection: refused\.hosts\.test 127\.0\.0\.1:\d+\.$/);
	assert.match(found.stdout, /^ {2}127\.0\.0\.1:\d+ +the server refused the connection +[\d.]+ ms +[\d.]+ ms$/m);
	const hole = await assertFails('hole.test', /did not answer in time/);
	const [, ms] = /^ {2}127\S+ +the server did not answer in time +(\d+) ms/m.exec(hole.stdout);
	assert.ok(Number(ms) >= CONNECT_TIMEOUT_S * 1000 - 100, `${ms} ms`);
	await assertFails('private.test', /not a public one.*private\.hosts\.test 127\.0\.0\.1/);
	await assertFails('smtp.test', /port is refused by this gateway's policy: smtp\.hosts\.test 127\.0\.0\.1:25/);
});

test('the time for all runs out while addresses are tried', TIMEOUT, async () => {
	const found = await assertFails('hole.test', /the server did not answer in time/, {}, { connect_timeout: 8, open_timeout: 1 });
	assert.match(found.stdout, /^ {2}127\S+ +no answer +\d+ ms/m);
});

test('addresses that cost sessions time are told of', TIMEOUT, async () => {
	const found = await assertWorks('second.test', /without TLS/);
	assert.match(found.advice, /^! second\.hosts\.test 127\.0\.0\.1:\d+: the server refused the connection\.$/m);
	const slow = await assertWorks('slow.test', /without TLS/);
	assert.match(slow.stdout, /no answer before another one connected/);
	assert.match(slow.advice, /^! slow\.hosts\.test 127\.0\.0\.1:\d+: it is slow, or does not answer\.$/m);
	assert.doesNotMatch(slow.advice, /IPv6/);
});

test('IPv6 that does not work', { ...TIMEOUT, skip: WITHOUT_IPV6 }, async () => {
	const found = await assertWorks('six.test', /without TLS/, { 'six.hosts.test': /::1/ });
	assert.match(found.stdout, /^ {2}\[::1\]:\d+ +the server refused the connection/m);
	assert.match(found.advice, /^! IPv6 does not work/m);
});

test('sections: fixed addresses, patterns, denied, gone, direct TLS that the DNS does not know', TIMEOUT, async () => {
	const found = await assertWorks('fixed.test', /without TLS/, { configuration: /domain "fixed\.test": tls = "off", connect$/ });
	assert.doesNotMatch(found.stdout, /^DNS/m);
	assert.doesNotMatch(found.advice, /no direct TLS/);
	await assertWorks('deep.pattern.test', /without TLS/, { configuration: /domain "\*\.pattern\.test"/ });
	await assertFails('denied.test', /this gateway does not serve that domain\.$/, { configuration: /, deny$/ });
	await assertFails('gone.test', /no longer served: gone\.test\.$/, { configuration: /, gone$/ });
	await assertFails('wanting.test', /offers no TLS.*no server for direct TLS/);
});

test('see-other-host is followed, before one\'s eyes', TIMEOUT, async () => {
	const found = await assertWorks('moved.test', /without TLS/, { 'see-other-host': /redirects its clients to 127\.0\.0\.1:\d+$/ });
	assert.equal(found.stdout.match(/^Connecting$/gm).length, 2);
	const name = await assertWorks('moved-name.test', /without TLS/, { 'see-other-host': /redirects its clients to target\.test$/ });
	assert.equal(name.stdout.match(/^DNS\b/gm).length, 2);
	assert.equal(name.lines('_xmpp-client._tcp').length, 2);
});

test('a server that will not do, and the next', TIMEOUT, async () => {
	const found = await assertWorks('several.test', /TLS 1\.3/);
	assert.deepEqual(found.lines('accepted'), ['no: the server\'s certificate is for another name', 'yes']);
	assert.match(found.stdout, /^Connecting to another server$/m);
	assert.match(found.advice, /^! all\.hosts\.test 127\.0\.0\.1:\d+: the server's certificate is for another name\.$/m);
	assert.equal(found.lines('_xmpp-client._tcp').length, 1, 'what the DNS said once');
});

// Domain, verdict, what is shown of the certificate.
const CERTIFICATES = [
	['expired.test', /has expired: it expired on 2020-02-01/, { valid: /^2020-01-01 to 2020-02-01: it expired \d+ days ago$/, chain: /expired/, name: /^is for expired\.test$/ }],
	['early.test', /not valid yet: it is valid from 2090-01-01/, { valid: /: not yet$/ }],
	['misnamed.test', /for another name.*wanted: misnamed\.test/, { names: /^another\.test, \*\.misnamed\.test$/, chain: /^leads to/, name: /^none of the names is for misnamed\.test$/ }],
	['common-name.test', /for another name/, { subject: /^common-name\.test$/, names: /^no usable name/ }],
	['untrusted.test', /not signed by a trusted authority/, { issuer: /^doab tests stranger$/, chain: /unable to get local issuer certificate/, name: /^is for/ }],
	['self-signed.test', /signed by itself/, { issuer: /^self-signed$/, chain: /self-signed/ }],
	['pin-other.test', /not one that this gateway's operator has pinned/, { pinned: /^the key is not among those/, chain: /^leads to/, pin: /^sha256\/\// }],
];

for (const [domain, verdict, lines] of CERTIFICATES) {
	test(`certificates: ${domain}`, TIMEOUT, async () => {
		await assertFails(domain, verdict, { ...lines, accepted: /^no: the server's / });
	});
}

test('certificates: accepted ones', TIMEOUT, async () => {
	await assertWorks('pinned.test', /TLS 1\.3/, { pinned: /^the key is among those/ });
	await assertWorks('many.test', /TLS 1\.3/, { names: /^many\.test, name-0\.example, .*, and 76 more$/ });
	await assertWorks('any.test', /TLS 1\.3, certificate not checked, /, { names: /^whatever\.test$/, accepted: /opportunistic/ });
});

test('a certificate that expires soon', TIMEOUT, async () => {
	const found = await assertWorks('pinned.test', /TLS 1\.3/);
	assert.match(found.advice, /^! The certificate expires in 1 day, on \d{4}-\d\d-\d\d\.$/m);
});

test('DANE: what signed DNS says', TIMEOUT, async () => {
	await assertWorks('vouched.test', /TLS 1\.3/, { '_xmpp-client._tcp': /^1 target, TTL \d+ s, signed/, DANE: /^matches TLSA record 3 1 1 \(DANE-EE\)$/,
		chain: /^not checked/, name: /^not checked/, accepted: /^yes$/ });
	await assertFails('forged.test', /not the one that the DNS vouches for/, { DANE: /^1 TLSA record, no match$/, accepted: /^no/ });
	await assertFails('bogus.test', /DNS lookup failed: TLSA records of bogus\.hosts\.test/, { DANE: /DNS lookup failed/ });
});

test('DANE: what is not signed, not there, or not asked for', TIMEOUT, async () => {
	await assertWorks('unsigned.test', /TLS 1\.3/, { DANE: /are not signed$/ });
	await assertWorks('unsigned-way.test', /TLS 1\.3/, { DANE: /^not used: no signed SRV record/ });
	await assertWorks('none.test', /TLS 1\.3/, { DANE: /^no usable TLSA record/ });
	await assertWorks('forged.test', /TLS 1\.3/, { DANE: /^not used \(trust_dnssec is false\)$/ }, { trust_dnssec: false });
});

test('TLS that comes to nothing', TIMEOUT, async () => {
	await assertFails('clear.test', /offers no TLS, and this gateway requires it\.$/, { STARTTLS: /offers no TLS/ });
	await assertFails('refusing.test', /offered TLS and then refused it/, { STARTTLS: /refused it/ });
	// Its alert may be lost to the reset behind it.
	await assertFails('old.test', /no version of TLS|ended the connection/, { handshake: /no version of TLS.*protocol version|ended the connection/ });
	await assertFails('garbage.test', /handshake failed: what the server sent is not TLS/, { handshake: /is not TLS$/ });
});

test('streams that come to nothing', TIMEOUT, async () => {
	await assertFails('silent.test', /did not open its stream in time/, { header: /did not open its stream in time/ });
	await assertFails('late.test', /did not open its stream in time/, { header: /^from late\.test/, features: /did not open its stream in time/ });
	await assertFails('error.test', /ended the stream with an error: host-unknown\.$/, { 'stream error': /^host-unknown: Diesen Rechner f\\xc3\\xbchren wir nicht/ });
	await assertFails('web.test', /not an XMPP stream/, { header: /not an XMPP stream/ });
	await assertFails('gone-at-once.test', /connection to the server broke|closed the stream/, { header: /broke|closed/ });
});

test('features: what is offered, and what is best', TIMEOUT, async () => {
	const strong = await assertWorks('strong.test', /without TLS, SCRAM-SHA-256 and 2 more\.$/, {
		SASL: /^PLAIN, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-256-PLUS$/, 'also offered': /^bind, registration, novelty$/ });
	assert.doesNotMatch(strong.advice, /log in/);
	const weak = await assertWorks('weak.test', /PLAIN and 1 more\.$/);
	assert.match(weak.advice, /^! PLAIN is the best login mechanism/m);
	await assertWorks('legacy.test', /login without SASL/, { 'also offered': /login without SASL/ });
	await assertWorks('ancient.test', /older than XMPP 1\.0/, { header: /^no from, id old$/, features: /^none/ });
});

test('features: no way to log in', TIMEOUT, async () => {
	await assertFails('closed.test', /the server offers no way to log in\.$/);
	await assertFails('bound.test', /no way to log in that works through a gateway/, { SASL: /^SCRAM-SHA-1-PLUS, EXTERNAL$/ });
});

// probe() looks at the shape of all that is printed: ASCII, width. A stranger's words never make a line of their own.
test('strangers\' words reach no terminal', TIMEOUT, async () => {
	const found = await assertWorks('hostile.test', /without TLS/, { header: /^from x\\x0d\\x0aA session would work, id \\xe2\\x80\\xae\\x0a\\xc2\\x9b2J$/,
		SASL: /^PLAIN\\xe2\\x80\\xae, A session would work: yes, X{63}, M0, .*, and \d+ more$/, 'also offered': /^\\xc3\\xa9vil$/ });
	assert.ok(found.stdout.length < 8000);
	await assertFails('hostile-error.test', /host-unknown\.$/, { 'stream error': /^host-unknown: \\xe2\\x80\\xae\\x0a\\x0aA session would work: yes$/ });
	await assertFails('hostile-name.test', /for another name/, { names: /^XMPP x\\x1b\[31m/ });
	for (const domain of ['hostile.test', 'hostile-error.test', 'hostile-name.test']) {
		assert.doesNotMatch((await look(domain)).stdout, /^A session would work: yes/m);
	}
});

test('what is no domain, and too many of them', TIMEOUT, async () => {
	for (const domain of ['', 'a b', '192.0.2.1', '[2001:db8::1]', 'example.org:5222', 'alice@example.org', 'example', '*.example.org', 'a\u001b[31m.example']) {
		const { code, stdout, stderr } = await runDoab('--probe', domain);
		assert.equal(code, 2, domain);
		assert.equal(stdout, '');
		assert.match(stderr, /: not a domain: expected one like example\.org/);
		assert.doesNotMatch(stderr, /\u001b/);
	}
	for (const args of [['--probe'], ['--probe', 'a.test', 'b.test'], ['--probe', 'a.test', '--probe', 'b.test'], ['--probe', 'a.test', '--check', 'x']]) {
		const { code, stdout, stderr } = await runDoab(...args);
		assert.equal(code, 2, args.join(' '));
		assert.equal(stdout, '');
		assert.match(stderr, /Usage/);
	}
});

test('a configuration that cannot be read is no verdict', TIMEOUT, async () => {
	const { code, stdout, stderr } = await runDoab('--config', '/nonexistent/doab.conf', '--probe', 'example.test');
	assert.equal(code, 2);
	assert.equal(stdout, '');
	assert.match(stderr, /nonexistent/);
});

test('without a file the defaults hold: no private address', TIMEOUT, async () => {
	const { code, stdout } = await runDoab('--probe', 'localhost');
	assert.equal(code, 1);
	assert.match(stdout, /^ {2}configuration +the built-in defaults$/m);
	assert.match(stdout, /No session would work: /);
});
