// TLS to the server: which certificates are believed, and what happens when TLS is not there.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, pinOf, selfSigned, tlsOf } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls';
// Servers that are to be refused must be able to show such keys at all.
const WEAK = { ciphers: 'DEFAULT@SECLEVEL=0' };
let folder;
let stage;
let another; // key of a server that has two
let restless; // keys of the same, too many to be logged

// Offers STARTTLS and answers <starttls/> with these steps.
const answerStartTls = (...steps) => [{ await: 'header' },
	{ header: true, features: `<stream:features><starttls xmlns='${NS_TLS}'/></stream:features>` }, { await: 'starttls' }, ...steps];

// By name of the scenario, which with ".test" behind it is the domain.
function scenarios(trusted, stranger) {
	const ca = { ca_file: trusted.certificate };
	const own = (name) => tlsOf(trusted.issue(name, [`${name}.test`]));
	const starttls = (material, section = ca) => ({ script: 'starttls', tls: material, section });
	const issued = (name, names, options) => starttls(tlsOf(trusted.issue(name, names, options)));
	const weak = (entry) => ({ ...entry, tls: { ...entry.tls, ...WEAK } });
	const direct = (name, more) => ({ script: 'direct-tls', tls: { ...own(name), ...more }, section: { ...ca, tls: 'direct' } });
	const pinned = trusted.issue('pinned', ['pinned.test']);
	const other = trusted.issue('pin-other', ['pin-other.test']);
	const itself = selfSigned(folder, 'itself', ['itself.test']);
	return {
		good: starttls(own('good')),
		odd: { script: 'starttls-odd-features', tls: own('odd'), section: ca },
		direct: direct('direct', { ALPNProtocols: ['xmpp-client'] }),
		'direct-without-alpn': direct('direct-without-alpn'),
		'direct-web': direct('direct-web', { ALPNCallback: () => undefined }),
		injection: { script: 'starttls-injection', tls: own('injection'), section: ca },
		refused: { script: 'starttls-refused', tls: own('refused'), section: ca },
		none: { script: 'plain', section: ca },
		'wildcard.sub': issued('wildcard', ['*.sub.test']),
		'srv-name': issued('srv-name', [], { more: ['otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.srv-name.test'] }),
		'xmpp-addr': issued('xmpp-addr', [], { more: ['otherName:1.3.6.1.5.5.7.8.5;UTF8:xmpp-addr.test'] }),
		'bücher': issued('umlaut', ['xn--bcher-kva.test']),
		itself: starttls(tlsOf(itself), { ca_file: itself.certificate }),
		pinned: starttls(tlsOf(pinned), { ...ca, pin: [pinOf(other), pinOf(pinned)] }),
		'below.pattern': issued('below-pattern', ['below.pattern.test']),

		'other-name': issued('other-name', ['another.test']),
		'common-name': issued('common-name.test', []),
		'too.deep.sub': issued('too-deep', ['*.sub.test']),
		'server-name': issued('server-name', [], { more: ['otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-server.server-name.test'] }),
		expired: issued('expired', ['expired.test'], { days: -1 }),
		early: issued('early', ['early.test'], { days: Infinity }),
		untrusted: starttls(tlsOf(stranger.issue('untrusted', ['untrusted.test']))),
		'self-signed': starttls(tlsOf(selfSigned(folder, 'self-signed', ['self-signed.test']))),
		system: starttls(own('system'), {}),
		'weak-key': weak(issued('weak-key', ['weak-key.test'], { rsaBits: 1024 })),
		'weak-signature': weak(issued('weak-signature', ['weak-signature.test'], { digest: 'sha1' })),
		'client-only': issued('client-only', ['client-only.test'], { purposes: 'clientAuth' }),
		'pin-other': starttls(tlsOf(other), { ...ca, pin: [pinOf(pinned)] }),
		'pin-untrusted': starttls(tlsOf(itself), { ...ca, pin: [pinOf(itself)] }),
		'opportunistic-plain': { script: 'plain', section: { tls: 'opportunistic' } },
		'opportunistic-any': starttls(tlsOf(stranger.issue('any', ['whatever.test'])), { tls: 'opportunistic' }),
		old: starttls({ ...own('old'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ...WEAK }),
		garbage: { script: answerStartTls({ send: `<proceed xmlns='${NS_TLS}'/>` }, { pause: 200 }, { send: 'this is no TLS at all, only some text' }), section: ca },
		'wrong-proceed': { script: answerStartTls({ send: '<proceed xmlns=\'urn:other\'/>' }), section: ca },
		// With keys that stay the same, tickets are good for the next connection.
		changing: starttls(own('changing')),
		resuming: starttls({ secureContext: tls.createSecureContext(own('resuming')) }),
		'resuming-1.2': starttls({ secureContext: tls.createSecureContext({ ...own('resuming-1.2'), maxVersion: 'TLSv1.2' }) }),
	};
}

before(async () => {
	folder = temporaryFolder('tls');
	const authority = new Authority(folder);
	const all = scenarios(authority, new Authority(folder, 'stranger'));
	another = authority.issue('changing-too', ['changing.test']);
	restless = [1, 2, 3, 4, 5].map((i) => tlsOf(authority.issue(`changing-${i}`, ['changing.test'])));
	stage = await Stage.open(all, { open_timeout: 8 });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

test('STARTTLS: required, verified, and out of the client\'s sight', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const answer = await client.create('good.test', { from: 'alice@good.test' });
	assert.ok(answer.element.at('features', 'mechanisms'), answer.text);
	assert.doesNotMatch(answer.text, /starttls|proceed/);
	const connection = await stage.connectionOf('good');
	assert.ok(connection.isSecure);
	assert.equal(connection.socket.servername, 'good.test', 'SNI is the domain');
	assert.equal(connection.headers.length, 2);
	assert.equal(connection.headers[0].attributes.from, undefined, 'who the client is goes out under TLS only');
	assert.equal(connection.headers[1].attributes.from, 'alice@good.test');
});

test('STARTTLS: a WebSocket client sees one <open/>, that of the stream under TLS', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	const { open, features } = await socket.start('good.test');
	assert.equal(open.attributes.id, 'scripted-2');
	assert.equal(features.name, 'features');
	socket.drop();
});

test('STARTTLS: what is offered after it is the gateway\'s business too', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('odd.test');
	assert.doesNotMatch(answer.text, /starttls|features\/compress/);
});

test('direct TLS, with SNI and ALPN', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('direct.test');
	assert.ok(answer.element.at('features'), answer.text);
	const connection = await stage.connectionOf('direct');
	assert.equal(connection.socket.servername, 'direct.test');
	assert.equal(connection.socket.alpnProtocol, 'xmpp-client');
});

test('an internationalised domain: the server is told the letters, SNI and certificate have the ASCII form', TIMEOUT, async () => {
	for (const to of ['bücher.test', 'xn--bcher-kva.test', 'BÜCHER.test']) {
		const answer = await new BoshClient(stage.port).create(to);
		assert.ok(answer.element.at('features'), `${to}: ${answer.text}`);
		const connection = await stage.connectionOf('bücher');
		assert.equal(connection.socket.servername, 'xn--bcher-kva.test');
		assert.deepEqual(connection.headers.map(({ attributes }) => attributes.to), ['bücher.test', 'bücher.test']);
		const socket = await openWebSocket(stage.port);
		const { open } = await socket.start(to);
		assert.equal(open.attributes.from, 'bücher.test');
		socket.drop();
	}
});

const ACCEPTED = {
	'wildcard.sub.test': 'a wildcard stands for one label',
	'srv-name.test': 'a certificate for _xmpp-client of the domain',
	'xmpp-addr.test': 'a certificate for the XMPP address',
	'itself.test': 'a certificate that the operator trusts by itself',
	'pinned.test': 'a pinned key',
	'direct-without-alpn.test': 'direct TLS without ALPN at the server',
};

for (const [domain, what] of Object.entries(ACCEPTED)) {
	test(`accepted: ${what}`, TIMEOUT, async () => {
		const answer = await new BoshClient(stage.port).create(domain);
		assert.ok(answer.element.at('features'), answer.text);
	});
}

// Of @n sessions to @name, one after the other: how many resume, and the versions of TLS.
async function resume(name, n) {
	let nResumed = 0;
	const protocols = new Set();
	for (let i = 0; i < n; i++) {
		const socket = await openWebSocket(stage.port);
		await socket.start(`${name}.test`);
		const { socket: secure } = await stage.connectionOf(name);
		nResumed += secure.isSessionReused();
		protocols.add(secure.getProtocol());
		socket.drop();
	}
	return { nResumed, protocols: [...protocols] };
}

test('TLS sessions are resumed: one full handshake for many sessions', TIMEOUT, async () => {
	for (const name of ['resuming', 'resuming-1.2']) {
		const { nResumed, protocols } = await resume(name, 20);
		assert.equal(nResumed, 19, name);
		assert.deepEqual(protocols, [name === 'resuming' ? 'TLSv1.3' : 'TLSv1.2']);
	}
});

test('TLS sessions that the server does not know any more are no failures', TIMEOUT, async () => {
	// Its keys are new for each connection.
	assert.equal((await resume('good', 3)).nResumed, 0);
});

test('a server that shows another key than before is logged, once for each key', TIMEOUT, async () => {
	const materials = [stage.servers.changing.tls, tlsOf(another)];
	const pins = materials.map(({ key }) => pinOf({ keyText: key }));
	for (const which of [0, 0, 1, 1, 0]) {
		stage.servers.changing.tls = materials[which];
		assert.equal((await resume('changing', 1)).nResumed, 0);
	}
	const { pin, before, issuer, level } = await stage.doab.logged('server-key', { domain: 'changing.test' });
	assert.deepEqual([pin, before, level], [pins[1], pins[0], 'info']);
	assert.match(issuer, /CN=/);
	await stage.doab.readLog();
	assert.equal(stage.doab.events.filter(({ event }) => event === 'server-key').length, 1);
});

test('a server with a new key each time: four lines, and a count', TIMEOUT, async () => {
	for (const material of [stage.servers.changing.tls, ...restless]) {
		stage.servers.changing.tls = material;
		await resume('changing', 1);
	}
	const { n } = await stage.doab.logged('server-keys-missed');
	assert.equal(n, '1');
	assert.equal(stage.doab.events.filter(({ event }) => event === 'server-key').length, 4);
});

test('what a server sends in clear behind <proceed/> is not taken for its words', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('injection.test');
	assert.doesNotMatch(answer.text, /injected|evil/);
	const socket = await openWebSocket(stage.port);
	socket.open('injection.test');
	for (let text = ''; !/features|error/.test(text);) {
		text = await socket.nextMessage();
		assert.doesNotMatch(text, /injected|evil/);
	}
	socket.drop();
});

test('opportunistic TLS takes what there is', TIMEOUT, async () => {
	for (const domain of ['opportunistic-plain.test', 'opportunistic-any.test']) {
		const answer = await new BoshClient(stage.port).create(domain);
		assert.ok(answer.element.at('features'), `${domain}: ${answer.text}`);
	}
	assert.ok((await stage.connectionOf('opportunistic-any')).isSecure);
});

// Domain, what the text says, and the failure's name in the log.
const FAILURES = [
	['none.test', /offers no TLS/, 'tls-not-offered'],
	['refused.test', /TLS/, 'tls-'],
	['other-name.test', /another name.*another\.test; wanted: other-name\.test/s, 'certificate-name'],
	['common-name.test', /another name.*: none; wanted/s, 'certificate-name'],
	['too.deep.sub.test', /another name/, 'certificate-name'],
	['server-name.test', /another name.*_xmpp-server\.server-name\.test/s, 'certificate-name'],
	['expired.test', /has expired.*it expired on 2020-02-01/s, 'certificate-expired'],
	['early.test', /not valid yet.*it is valid from 2090-01-01/s, 'certificate-not-yet-valid'],
	['untrusted.test', /not signed by a trusted authority.*doab tests stranger/s, 'certificate-untrusted'],
	['self-signed.test', /signed by itself.*self-signed/s, 'certificate-self-signed'],
	['system.test', /not signed by a trusted authority/, 'certificate-untrusted'],
	['weak-key.test', /too weak.*RSA of 1024 bits/s, 'certificate-weak'],
	['weak-signature.test', /too weak.*SHA1/is, 'certificate-weak'],
	['client-only.test', /not acceptable.*purpose/s, 'certificate-invalid'],
	['pin-other.test', /has pinned.*sha256\/\//s, 'certificate-pin'],
	['pin-untrusted.test', /signed by itself/, 'certificate-self-signed'],
	['direct-web.test', /handshake.*no XMPP there/s, 'tls-handshake'],
	['old.test', /no version of TLS/, 'tls-protocol'],
	['garbage.test', /handshake.*is not TLS/s, 'tls-handshake'],
	['wrong-proceed.test', /TLS|XMPP stream|in time/, ''],
];

for (const [domain, text, name] of FAILURES) {
	test(`${domain}: refused, and why reaches both clients and the log`, TIMEOUT, async () => {
		const answer = await new BoshClient(stage.port).create(domain);
		assertTerminated(answer, 'remote-connection-failed');
		assert.match(answer.element.text, text);
		const socket = await openWebSocket(stage.port);
		socket.open(domain);
		const error = await assertStreamError(socket, 'remote-connection-failed', { open: true });
		assert.match(error.at('text').text, text);
		await stage.doab.readLog();
		assert.ok(stage.doab.lines.some((line) => line.includes(name) && line.includes(domain)), `${name} in the log`);
		for (const connection of stage.servers[domain.replace(/\.test$/, '')].connections) {
			assert.doesNotMatch(connection.text, /<auth/);
		}
	});
}
