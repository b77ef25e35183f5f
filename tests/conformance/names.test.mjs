// Domains and servers by names that only the operator may use: one label, underscores, addresses; hosts in `connect`; the form
// of the domain in the stream header.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const DESCRIBED = ['chat', 'my_host.test', '192.0.2.55', '[2001:db8::55]'];

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let plain;
let proxied;
let byAddress;
let dns;
let config;
let doab;

before(async () => {
	folder = temporaryFolder('names');
	const authority = new Authority(folder);
	const material = authority.issue('address', ['*.0.2.56'], { more: ['IP:192.0.2.66', 'IP:2001:db8::66'] });
	plain = await started(XmppServer.start('plain'));
	proxied = await started(XmppServer.start('proxy-plain'));
	byAddress = await started(XmppServer.start('starttls', { tls: tlsOf(material) }));
	dns = await started(DnsServer.start({
		prosody: { A: ['127.0.0.1'] },
		'host_one.inside.test': { A: ['127.0.0.1'] },
		'b.inside.test': { AAAA: ['::1'], A: ['127.0.0.1'] },
		'dead.inside.test': { A: ['127.0.0.1'] },
		'silent.inside.test': { A: 'DROP' },
		_: {},
	}));
	const off = (...connect) => ({ tls: 'off', connect });
	const dead = await freePort();
	const secure = byAddress.section({ ca_file: authority.certificate });
	config = { resolvers: [dns.address], dns_timeout: 2000, dns_tries: 1, connect_timeout: 3, open_timeout: 9, domains: {
		'*': off(plain.address),
		...Object.fromEntries(DESCRIBED.map((domain) => [domain, plain.section()])),
		'192.0.2.66': secure, '[2001:db8:0:0::66]': secure, '192.0.2.56': secure,
		'single.test': off(`prosody:${plain.port}`),
		'underscore.test': off(`HOST_one.inside.test:${plain.port}`),
		'both.test': off(`b.inside.test:${plain.port}`),
		'dead-first.test': off(`dead.inside.test:${dead}`, `missing.inside.test:${plain.port}`, plain.address),
		'address-first.test': off(`127.0.0.1:${dead}`, `prosody:${plain.port}`),
		'missing.test': off('missing.inside.test'),
		'refused.test': off(`dead.inside.test:${dead}`),
		'proxied.test': { ...off(`prosody:${proxied.port}`), proxy_protocol: 'v1' },
		'bücher.test': plain.section({ tls: 'off', name_form: 'ascii' }),
		'käse.test': plain.section(),
	} };
	doab = await started(Doab.start(config));
});
after(async () => {
	// Servers first: their sessions need not be closed in order then.
	await stopAll(...[...things].reverse());
	removeFolder(folder);
});

const create = (domain, port = doab.port) => new BoshClient(port).create(domain);

async function assertServed(domain, to = domain, server = plain) {
	const answer = await create(domain);
	assert.ok(answer.element.at('features'), `${domain}: ${answer.text}`);
	assert.equal(server.connections.at(-1).headers[0].attributes.to, to);
	const socket = await openWebSocket(doab.port);
	socket.open(domain);
	assert.equal((await socket.next()).name, 'open', domain);
	assert.equal((await socket.next()).name, 'features', domain);
	assert.equal(server.connections.at(-1).headers[0].attributes.to, to);
	socket.drop();
}

for (const domain of DESCRIBED) {
	test(`${domain} is a domain where a section says where its server is`, TIMEOUT, () => assertServed(domain));
}

test('an address as a domain is compared by its value, and written in one form', TIMEOUT, async () => {
	await assertServed('[2001:DB8:0::0:55]', '[2001:db8::55]');
	await assertServed('CHAT.', 'chat');
});

test('the words of clients have to be domains: no pattern makes others of them', TIMEOUT, async () => {
	for (const domain of ['prosody', 'other', 'your_host.test', '192.0.2.56.', '192.0.2.77', '[2001:db8::77]', '127.1', '[::1%lo]', 'chat:5222']) {
		assertTerminated(await create(domain), 'host-unknown');
		const socket = await openWebSocket(doab.port);
		socket.open(domain);
		await assertStreamError(socket, 'host-unknown', { open: true });
	}
});

test('a route that names the domain itself has no effect, as for other domains', TIMEOUT, async () => {
	for (const domain of DESCRIBED) {
		const answer = await new BoshClient(doab.port).create(domain, { route: `xmpp:${domain}:5222` });
		assert.ok(answer.element.at('features'), `${domain}: ${answer.text}`);
	}
	assertTerminated(await new BoshClient(doab.port).create('chat', { route: 'xmpp:prosody:5222' }), 'bad-request');
});

test('the certificate of an address has to have that address', TIMEOUT, async () => {
	for (const domain of ['192.0.2.66', '[2001:db8::66]']) {
		const answer = await create(domain);
		assert.ok(answer.element.at('features'), answer.text);
	}
	// "*.0.2.56" is a wildcard for names.
	const answer = await create('192.0.2.56');
	assertTerminated(answer, 'remote-connection-failed');
	assert.match(answer.element.text, /certificate/);
});

test('connect takes hosts: of one label, with underscores, of both families', TIMEOUT, async () => {
	await assertServed('single.test');
	await assertServed('underscore.test');
	await assertServed('both.test');
	assert.ok(!dns.queries.some(({ type }) => type === 'SRV'), 'no SRV records are asked for');
});

test('hosts and addresses are tried in the order of the list', TIMEOUT, async () => {
	await assertServed('dead-first.test');
	await assertServed('address-first.test');
});

test('the PROXY header goes to a server that was named by its host', TIMEOUT, async () => {
	const answer = await create('proxied.test');
	assert.ok(answer.element.at('features'), answer.text);
});

test('the names of servers inside are for the log, not for clients', TIMEOUT, async () => {
	for (const [domain, host] of [['missing.test', 'missing.inside.test'], ['refused.test', 'dead.inside.test']]) {
		const answer = await create(domain);
		assertTerminated(answer, 'remote-connection-failed');
		assert.doesNotMatch(answer.text, /inside/);
		const { detail } = await doab.logged('session-failed', { domain, transport: 'bosh' });
		assert.ok(detail.includes(host), detail);
	}
});

test('name_form says how the domain is written in the stream header', TIMEOUT, async () => {
	await assertServed('bücher.test', 'xn--bcher-kva.test');
	await assertServed('xn--bcher-kva.test');
	await assertServed('käse.test');
	await assertServed('xn--kse-qla.test', 'käse.test');
});

test('--probe knows them, too', TIMEOUT, async () => {
	for (const domain of ['chat', '192.0.2.55', 'single.test', 'dead-first.test']) {
		const { code, stdout } = await probe(domain, config);
		assert.equal(code, 0, stdout);
	}
	assert.match((await probe('bücher.test', config)).stdout, /name_form/);
});

// A file of hosts of its own, in a mount namespace.
test('connect takes hosts of /etc/hosts before those of the DNS', TIMEOUT, async (context) => {
	const hosts = path.join(folder, 'hosts');
	writeFileSync(hosts, '127.0.0.1 localhost\n127.0.0.1 inside-hosts prosody-of-hosts.test\n');
	const through = ['unshare', '--mount', ...(process.getuid() === 0 ? [] : ['--user', '--map-root-user']),
		'sh', '-c', `mount --bind '${hosts}' /etc/hosts && exec "$0" "$@"`];
	try {
		execFileSync(through[0], [...through.slice(1), 'true'], { stdio: 'pipe' });
	} catch {
		context.skip('this machine lets nobody mount a file here');
		return;
	}
	const before = dns.queries.length;
	const domains = { chat: { tls: 'off', connect: [`inside-hosts:${plain.port}`] },
		'a.test': { tls: 'off', connect: [`prosody-of-hosts.test:${plain.port}`] } };
	const other = await started(Doab.start({ resolvers: [dns.address], domains }, { through }));
	for (const domain of ['chat', 'a.test']) {
		const answer = await create(domain, other.port);
		assert.ok(answer.element.at('features'), answer.text);
	}
	assert.equal(dns.queries.length, before);
});
