// How connections leave the machine: from which address, and through which proxy.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { EgressProxy, ScriptedSocks } from '../support/egress-proxies.mjs';
import { openWebSocket } from '../support/http.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, WITHOUT_IPV6 } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const NS_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';
const LOGIN = ['me', 'pass word:@/%'];
const PLAIN_LOGIN = ['me', 'secret'];
const service = (domain) => `_xmpp-client._tcp.${domain}`;
const redirecting = (where) => [{ await: 'header' }, { header: true, features: null },
	{ send: `<stream:error><see-other-host xmlns='${NS_ERRORS}'>${where}</see-other-host></stream:error></stream:stream>` }, { end: true }];

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let zone;
let dns;
let domains;
let config;
let proxies;
let scripted;
let server;
let six;
let doab;
let deadPort;

// Domains of which the gateway finds the server by DNS, and domains whose server the proxy finds.
function addDomains(authority) {
	const far = { tls: 'off', allow_private: true };
	const ca = { ca_file: authority.certificate };
	const add = (name, port, section) => {
		zone[service(`${name}.test`)] = { SRV: [[0, 0, port, `${name}.hosts.test`]] };
		zone[`${name}.hosts.test`] = { A: ['127.0.0.1'] };
		domains[`${name}.test`] = section;
	};
	for (const [name, proxy] of Object.entries(proxies)) {
		add(name, server.port, { ...far, proxy: proxy.url });
		add(`${name}-refused`, deadPort, { ...far, proxy: proxy.url });
		domains[`${name}-named.test`] = { tls: 'off', proxy: proxy.url, proxy_dns: true, connect: [`localhost:${server.port}`] };
	}
	for (const scheme of ['socks5', 'http']) {
		const login = proxies[`${scheme}-login`].url;
		add(`${scheme}-down`, server.port, { ...far, proxy: `${scheme}://127.0.0.1:${deadPort}` });
		add(`${scheme}-wrong`, server.port, { ...far, proxy: login.replace(/:[^:@]*@/, ':wrong@') });
		add(`${scheme}-anonymous`, server.port, { ...far, proxy: login.replace(/me:.*@/, '') });
	}
	add('other-language', server.port, { ...far, proxy: proxies.socks5.url.replace('socks5', 'http') });
	add('named-proxy', server.port, { ...far, proxy: proxies.socks5.url.replace('127.0.0.1', 'localhost') });
	add('lost-proxy', server.port, { ...far, proxy: 'socks5://lost.hosts.test:1080' });
	add('inside', server.port, { tls: 'off', proxy: scripted.url });
	const onion = (name, section) => { domains[name] = { proxy: scripted.url, proxy_dns: true, tls: 'off', ...section }; };
	domains['*.onion'] = { proxy: scripted.url, proxy_dns: true, tls: 'off' };
	domains['*.refusing.test'] = { proxy: scripted.url, proxy_dns: true, tls: 'off' };
	onion('secure.onion', { tls: 'required', ...ca });
	onion('direct.onion', { tls: 'direct', ...ca });
	onion('fallback.test', { connect: ['gone.test:1', 'there.test:2'] });
	onion('localhost', {});
	onion('away.onion', { });
	onion('away-allowed.onion', { allow_private: true });
	onion('away-inside.onion', {});
	domains['*.localhost'] = { proxy: scripted.url, proxy_dns: true, tls: 'off' };
	domains['here.localhost'] = { proxy: scripted.url, proxy_dns: true, tls: 'off' };
	domains['from.test'] = { tls: 'off', connect: [server.address], source_address: ['127.0.0.8', '127.0.0.9'] };
	domains['from-six.test'] = { tls: 'off', connect: [`[::1]:${six.port}`], source_address: ['127.0.0.8'] };
	domains['from-proxy.test'] = { tls: 'off', connect: [server.address], proxy: proxies.socks5.url, source_address: ['192.0.2.77'] };
	domains['from-nowhere.test'] = { tls: 'off', connect: [server.address], source_address: ['192.0.2.77'] };
	domains['default.test'] = { tls: 'off', connect: [server.address] };
	domains['free.test'] = { tls: 'off', connect: [server.address], source_address: ['0.0.0.0'] };
}

before(async () => {
	folder = temporaryFolder('egress');
	const authority = new Authority(folder);
	const own = (name) => tlsOf(authority.issue(name, [`${name}.onion`]));
	zone = {};
	domains = {};
	server = await started(XmppServer.start('plain'));
	six = await started(XmppServer.start('plain', { host: WITHOUT_IPV6 ? '127.0.0.1' : '::1' }));
	const secure = await started(XmppServer.start('starttls', { tls: own('secure') }));
	const direct = await started(XmppServer.start('direct-tls', { tls: own('direct') }));
	const away = await started(XmppServer.start(redirecting('target.test:5999')));
	const inside = await started(XmppServer.start(redirecting(server.address)));
	scripted = await started(ScriptedSocks.start({
		'abc.onion:5222': server.port, 'secure.onion:5222': secure.port, 'direct.onion:5223': direct.port,
		'there.test:2': server.port, 'localhost:5222': server.port, 'here.localhost:5222': server.port,
		'away.onion:5222': away.port, 'away-allowed.onion:5222': away.port, 'target.test:5999': server.port, 'away-inside.onion:5222': inside.port,
		...Object.fromEntries([1, 2, 5, 6].map((reply) => [`r${reply}.refusing.test:5222`, { reply }])),
	}));
	proxies = {
		socks5: await started(EgressProxy.socks()),
		'socks5-login': await started(EgressProxy.socks({ login: LOGIN })),
		http: await started(EgressProxy.http()),
		'http-login': await started(EgressProxy.http({ login: PLAIN_LOGIN })),
	};
	deadPort = await freePort();
	addDomains(authority);
	dns = await started(DnsServer.start(zone));
	config = { resolvers: [dns.address], source_address: ['127.0.0.7'], allowed_ports: ['1-65535'], domains };
	doab = await started(Doab.start(config));
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

const create = (domain) => new BoshClient(doab.port).create(domain);

async function works(domain) {
	const answer = await create(domain);
	assert.ok(answer.element.at('features'), answer.text);
	return answer;
}

async function fails(domain, failure, condition = 'remote-connection-failed') {
	const answer = await create(domain);
	assertTerminated(answer, condition);
	const line = await doab.logged('session-failed', { domain, failure }, 5000);
	for (const secret of ['127.0.0.1', 'secret', 'pass word', 'socks5:']) {
		assert.ok(!answer.text.includes(secret), answer.text);
	}
	assert.doesNotMatch(doab.log, /secret|pass(%20| )word/);
	return line;
}

for (const name of ['socks5', 'socks5-login', 'http', 'http-login']) {
	test(`${name}: both transports go through the proxy`, TIMEOUT, async () => {
		const through = new RegExp(name.startsWith('http') ? `CONNECT 127\\.0\\.0\\.1:${server.port}` : `connected to 127\\.0\\.0\\.1:${server.port}`);
		await works(`${name}.test`);
		await proxies[name].said(through);
		const socket = await openWebSocket(doab.port);
		const { features } = await socket.start(`${name}.test`);
		assert.ok(features);
		const line = await doab.logged('session-ready', { domain: `${name}.test`, transport: 'websocket' });
		assert.equal(line.server, server.address, 'the server, not the proxy');
		socket.drop();
	});

	test(`${name}: the proxy looks up names`, TIMEOUT, async () => {
		await works(`${name}-named.test`);
		await proxies[name].said(new RegExp(name.startsWith('http') ? `CONNECT localhost:${server.port}` : `connected to localhost:${server.port}`));
		assert.equal(dns.queries.filter((query) => query.name.includes('named.test')).length, 0);
	});

	test(`${name}: the server refuses the proxy's connection`, TIMEOUT, async () => {
		// HTTP has no status for it.
		await fails(`${name}-refused.test`, name.startsWith('http') ? 'connect-unreachable' : 'connect-refused');
	});
}

for (const scheme of ['socks5', 'http']) {
	test(`${scheme}: the proxy is down, refuses the login, or wants one`, TIMEOUT, async () => {
		await fails(`${scheme}-down.test`, 'proxy-unreachable');
		const { detail } = await fails(`${scheme}-wrong.test`, 'proxy-refused');
		assert.match(detail, new RegExp(`through ${scheme}://127\\.0\\.0\\.1:`));
		await fails(`${scheme}-anonymous.test`, 'proxy-refused');
		const socket = await openWebSocket(doab.port);
		await socket.open(`${scheme}-down.test`);
		await assertStreamError(socket, 'remote-connection-failed');
	});
}

test('a proxy that speaks another language, is found by name, or is not found', TIMEOUT, async () => {
	await fails('other-language.test', 'proxy-failed');
	// It listens on one of the addresses of localhost only.
	await works('named-proxy.test');
	await fails('lost-proxy.test', 'proxy-unreachable');
});

test('what the gateway looks up is judged as without a proxy', TIMEOUT, async () => {
	await fails('inside.test', 'address-refused');
	assert.deepEqual(scripted.asked.filter((name) => name.startsWith('127.')), []);
});

test('.onion domains: the proxy is asked for the domain itself, and no DNS', TIMEOUT, async () => {
	await works('abc.onion');
	await works('secure.onion');
	await works('direct.onion');
	assert.ok(['abc.onion:5222', 'secure.onion:5222', 'direct.onion:5223'].every((name) => scripted.asked.includes(name)), String(scripted.asked));
	assert.deepEqual(dns.queries.filter((query) => query.name.endsWith('onion')), []);
	await fails('missing.onion', 'connect-unreachable');
});

test('.onion domains without a proxy are not looked up', TIMEOUT, async () => {
	const other = await started(Doab.start({ resolvers: [dns.address] }));
	assertTerminated(await new BoshClient(other.port).create('abc.onion'), 'host-unknown');
	await other.logged('session-failed', { domain: 'abc.onion', failure: 'dns-no-name' });
	assert.deepEqual(dns.queries.filter((query) => query.name.endsWith('onion')), []);
});

test('what a SOCKS proxy reports', TIMEOUT, async () => {
	await fails('r1.refusing.test', 'connect-unreachable');
	await fails('r2.refusing.test', 'proxy-refused');
	await fails('r5.refusing.test', 'connect-refused');
	await fails('r6.refusing.test', 'connect-timeout');
});

test('the hosts of a section are tried in turn', TIMEOUT, async () => {
	await works('fallback.test');
	assert.deepEqual(scripted.asked.filter((name) => /^(gone|there)/.test(name)), ['gone.test:1', 'there.test:2']);
});

test('names that lead into the proxy\'s own machine need the operator\'s word', TIMEOUT, async () => {
	await works('localhost');
	await works('here.localhost');
	await fails('client.localhost', 'address-refused');
	await fails('away.onion', 'address-refused');
	await fails('away-inside.onion', 'address-refused');
	assert.ok(!scripted.asked.includes('target.test:5999'));
	await works('away-allowed.onion');
	assert.ok(scripted.asked.includes('target.test:5999'));
});

test('a proxy that says nothing', TIMEOUT, async () => {
	const mute = await started(ScriptedSocks.start({}, { speech: '' }));
	const asked = await started(ScriptedSocks.start({}, { speech: Buffer.from([5, 0]) }));
	const endless = await started(ScriptedSocks.start({}, { speech: `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(5000)}` }));
	const section = (proxy) => ({ tls: 'off', connect: [server.address], proxy });
	const other = await started(Doab.start({ connect_timeout: 4, open_timeout: 8, domains: { 'mute.test': section(mute.url), 'asked.test': section(asked.url),
		'endless.test': section(endless.url.replace('socks5', 'http')) } }));
	for (const [domain, failure] of [['mute.test', 'proxy-failed'], ['asked.test', 'connect-timeout'], ['endless.test', 'proxy-failed']]) {
		assertTerminated(await new BoshClient(other.port).create(domain), 'remote-connection-failed');
		await other.logged('session-failed', { domain, failure });
	}
});

test('source_address: of the configuration, and of a section', TIMEOUT, async () => {
	const from = async (domain) => {
		const before = server.connections.length;
		await works(domain);
		return server.connections.slice(before).map(({ socket }) => socket.remoteAddress.replace('::ffff:', ''));
	};
	assert.deepEqual(await from('default.test'), ['127.0.0.7']);
	assert.deepEqual(await from('free.test'), ['127.0.0.1']);
	assert.deepEqual([...await from('from.test'), ...await from('from.test')].sort(), ['127.0.0.8', '127.0.0.9']);
});

test('source_address: another family is free', { ...TIMEOUT, skip: WITHOUT_IPV6 }, async () => {
	await works('from-six.test');
});

test('source_address: one that this machine does not have', TIMEOUT, async () => {
	const { detail } = await fails('from-nowhere.test', 'source-address', 'internal-server-error');
	assert.match(detail, /from 192\.0\.2\.77: /);
	await fails('from-proxy.test', 'source-address', 'internal-server-error');
	const warning = await doab.logged('source-address');
	assert.equal(warning.level, 'warning');
	assert.match(warning.detail, /192\.0\.2\.77/);
	assert.equal(doab.events.filter(({ event }) => event === 'source-address').length, 1, 'one line for all');
});

test('--probe shows the step through the proxy', TIMEOUT, async () => {
	const found = await probe('socks5.test', config);
	assert.equal(found.code, 0, found.stdout);
	assert.equal(found.line('proxy'), `${proxies.socks5.url}: connected, asked for ${server.address}`);
	assert.equal(found.line(server.address), 'connected through the proxy');
	const named = await probe('abc.onion', config);
	assert.equal(named.code, 0, named.stdout);
	assert.match(named.line('names'), /the proxy looks them up/);
	assert.equal(named.line('proxy'), `${scripted.url}: connected, asked for abc.onion:5222`);
	assert.equal(named.line('abc.onion:5222'), 'connected through the proxy');
	const login = await probe('http-login.test', config);
	assert.ok(!login.stdout.includes('secret'));
	const wrong = await probe('http-wrong.test', config);
	assert.equal(wrong.code, 1, wrong.stdout);
	assert.match(wrong.verdict, /refused the connection: .*the proxy answers 40[17]/);
	const down = await probe('socks5-down.test', config);
	assert.match(down.verdict, /cannot reach the proxy/);
});
