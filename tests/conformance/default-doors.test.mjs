// These tests attack a gateway that has the configuration of the packages. They try where it listens, whom it trusts and where it connects.
// They run in a network namespace of their own. Its resolver names inner addresses, and its inner servers must never be reached.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { enterNamespace } from '../support/namespaces.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder, within } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const CONFIG = fileURLToPath(new URL('../../conf/doab.conf', import.meta.url));
const PORT = 5280;
const FAILED = 'remote-connection-failed';
// The addresses of this machine: inside, and one that the gateway takes for public.
const INSIDE = ['10.9.8.7', 'fd00::7'];
const OUTSIDE = '11.0.0.1';
const service = (domain) => `_xmpp-client._tcp.${domain}`;

// Where each domain leads.
const LOOPS = ['127.0.0.1', '127.5.5.5', '0.0.0.0', ...INSIDE, '::1', '::', '::ffff:10.9.8.7', '64:ff9b::a09:807', '2002:a09:807::1', '169.254.169.254', 'fe80::1'];
const ADDRESSES = Object.fromEntries(LOOPS.map((address, i) => [`n${i}.test`, address]));
// What a client may call a domain to name an address. The last ones are digits of other scripts, and dots.
const NAMES = ['localhost.', '127.0.0.1', '10.9.8.7', '[::1]', '[fd00::7]', '[::ffff:10.9.8.7]', '127.1', '2130706433', '0x7f000001', '0', '0.0.0.0', '[::]',
	'localhost:5222', 'a@localhost', 'ip6-localhost', 'x.test/../localhost', '\uff11\uff12\uff17.0.0.1', '127\u30020\u30020\u30021'];

// Sockets of the gateway that listen or that anything can be sent to: "tcp 0100007F:14A0".
function openSockets(doab) {
	const pids = [doab.child.pid, ...doab.serverPids];
	const own = new Set(pids.flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => {
		try {
			return readlinkSync(`/proc/${pid}/fd/${fd}`);
		} catch {
			return '';
		}
	})));
	const lines = (table) => readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/));
	const found = ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6'].flatMap((table) => lines(table)
		.filter(([, , , state, , , , , , inode]) => own.has(`socket:[${inode}]`) && (!table.startsWith('tcp') || state === '0A'))
		.map(([, local]) => `${table} ${local}`));
	const named = lines('unix').filter(([, , , , , , inode, name]) => name && own.has(`socket:[${inode}]`)).map(([, , , , , , , name]) => `unix ${name}`);
	return [...new Set([...found, ...named])].sort();
}

// What comes back for @bytes until the gateway closes the connection, or for a moment.
async function exchange(bytes, host = '127.0.0.1') {
	const socket = net.connect({ host, port: PORT });
	const chunks = [];
	socket.on('data', (chunk) => chunks.push(chunk));
	const ended = new Promise((resolve) => socket.once('close', () => resolve('closed')).once('error', ({ code }) => resolve(code)));
	socket.write(bytes);
	const how = await within(ended, 20000, 'the end of a connection');
	return { how, text: Buffer.concat(chunks).toString('latin1') };
}

const { isInside, reason } = await enterNamespace(import.meta.url);
const TIMEOUT = reason ? { skip: reason } : { timeout: patiently(60000) };
if (isInside || reason) {
	defineTests();
}

function defineTests() {
	let folder;
	let dns;
	let doab;
	let sockets;
	const servers = [];

	before(async () => {
		if (reason) {
			return;
		}
		for (const address of [`${INSIDE[0]}/24`, `${INSIDE[1]}/64`, `${OUTSIDE}/24`]) {
			execFileSync('ip', ['addr', 'add', address, 'dev', 'lo']);
		}
		folder = temporaryFolder('default');
		const resolver = path.join(folder, 'resolv.conf');
		writeFileSync(resolver, 'nameserver 127.0.0.1\n');
		dns = await DnsServer.start({
			...Object.fromEntries(Object.entries(ADDRESSES).map(([name, address]) => [name, net.isIPv6(address) ? { AAAA: [address] } : { A: [address] }])),
			[service('service.test')]: { SRV: [[0, 0, 5222, 'n3.test'], [1, 0, 5222, 'n0.test']] },
			[service('ports.test')]: { SRV: [[0, 0, 22, 'outside.test'], [1, 0, 25, 'outside.test']] },
			'outside.test': { A: [OUTSIDE] },
		}, { port: 53 });
		for (const port of [22, 25]) {
			servers.push(await XmppServer.start('plain', { host: '::', port }));
		}
		servers.push(await XmppServer.start('plain', { host: '::', port: 5222 }));
		doab = new Doab();
		doab.port = PORT;
		doab.folder = folder;
		doab.launch(['--config', CONFIG], {}, ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolver]);
		await doab.logged('ready');
		// Before the resolver has sockets, by which answers come.
		sockets = openSockets(doab);
	});
	after(async () => {
		await stopAll(doab, dns, ...servers);
		if (folder) {
			removeFolder(folder);
		}
	});

	const dialled = () => servers.flatMap(({ connections }) => connections).length;

	test('it listens on the loopback addresses and nowhere else', TIMEOUT, async () => {
		assert.deepEqual(sockets, ['tcp 0100007F:14A0', 'tcp6 00000000000000000000000001000000:14A0']);
		for (const host of [...INSIDE, OUTSIDE]) {
			assert.equal((await exchange('', host)).how, 'ECONNREFUSED', host);
		}
	});

	test('nothing is served but the page, its documents and the two transports', TIMEOUT, async () => {
		for (const target of ['/metrics', '/status', '/sessions', '/healthz', '/readyz', '/kick', '/../etc/passwd', '/%2e%2e/etc/passwd', '/doab.conf',
			'/.well-known/host-meta']) {
			assert.equal((await httpRequest(PORT, 'GET', target)).status, 404, target);
		}
		assert.match((await exchange('CONNECT 10.9.8.7:22 HTTP/1.1\r\nHost: 10.9.8.7:22\r\nConnection: close\r\n\r\n')).text, /^HTTP\/1\.1 501 /);
		for (const method of ['TRACE', 'PUT', 'DELETE']) {
			assert.equal((await httpRequest(PORT, method, '/http-bind')).status, 405, method);
		}
	});

	test('nobody is believed who says for whom he speaks', TIMEOUT, async () => {
		for (const header of ['PROXY TCP4 203.0.113.9 127.0.0.1 1 5280\r\n', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\0\x01\x14\xa0']) {
			const { text } = await exchange(Buffer.from(`${header}GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n`, 'latin1'));
			assert.doesNotMatch(text, /^HTTP\/1\.1 (200|404)/);
		}
		await new BoshClient(PORT, { headers: { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9;proto=https' } }).create('n0.test');
		await doab.readLog();
		assert.doesNotMatch(doab.log, /203\.0\.113\.9/);
		assert.ok(doab.events.some(({ event, client }) => event === 'session-failed' && client === '127.0.0.1'));
	});

	for (const [what, domains] of [['domains whose addresses are inside', [...Object.keys(ADDRESSES), 'service.test']],
		['a server at a port of another service', ['ports.test']], ['names that are addresses', NAMES]]) {
		test(`no connection is made for ${what}`, TIMEOUT, async () => {
			for (const domain of domains) {
				const answer = await new BoshClient(PORT).create(domain);
				assertTerminated(answer, [FAILED, 'host-unknown']);
				assert.ok(LOOPS.every((address) => domain.includes(address) || !answer.text.includes(address)), answer.text);
			}
			assert.equal(dialled(), 0);
		});
	}

	test('no connection is made to where a client says that the server is', TIMEOUT, async () => {
		for (const attributes of [{ route: 'xmpp:127.0.0.1:5222' }, { route: 'xmpp:[fd00::7]:5222' }, { route: 'xmpp:n3.test:5222' }, { hostname: '127.0.0.1', port: 5222 }]) {
			assertTerminated(await new BoshClient(PORT).create('nowhere.test', attributes), [FAILED, 'host-unknown']);
		}
		assert.equal(dialled(), 0);
	});

	test('a server without TLS is not spoken to', TIMEOUT, async () => {
		const answer = await new BoshClient(PORT).create('outside.test');
		assertTerminated(answer, FAILED);
		assert.match(answer.text, /TLS/);
		assert.equal(dialled(), 1);
		await doab.logged('session-failed', { domain: 'outside.test', failure: 'tls-not-offered' });
	});
}
