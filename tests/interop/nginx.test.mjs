// The shipped nginx configuration, with other ports and paths put in: BOSH and WebSocket through a real nginx.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import WebSocket from 'ws';
import { Doab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { PROXIES, shippedFile } from '../support/proxies.mjs';
import { freePort, patiently, stopAll, until, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { StropheClient } from './clients/strophe.mjs';
import { trust } from './clients/trusting.mjs';

const SHIPPED = shippedFile('nginx.conf');
const TIMEOUT = { timeout: patiently(60000) };
let prosody;
let doab;
let nginx;

before(async () => {
	prosody = await Prosody.start();
	doab = await Doab.start({ workers: 2, compression: true, trusted_proxies: ['127.0.0.1'], domains: prosody.domains,
		public_websocket_url: 'wss://chat.example.org/socket' });
	nginx = await PROXIES.nginx.start(doab.port);
	trust({ ca: nginx.ca, servername: 'chat.example.test' });
});
after(() => stopAll(nginx, doab, prosody));

// Some 15 KB in 100 lines, with 8 KB of cookies, which the configuration leaves out.
const largeHead = () => ({
	Cookie: Array.from({ length: 160 }, (_, i) => `cookie${i}=${'v'.repeat(40)}`).join('; ').slice(0, 8000),
	...Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`X-Header-${i}`, 'v'.repeat(60)])),
});

test('nginx: a head of 15 KB with 8 KB of cookies in 100 lines, on both transports', TIMEOUT, async () => {
	const body = `<body xmlns='${NS.httpbind}' rid='9' to='${DOMAIN}' ver='1.11' wait='5' hold='1'/>`;
	const created = await nginx.request('POST', '/http-bind', { headers: largeHead(), body });
	assert.match(created.text, / sid='/);
	assert.match(await talkOverWebSocket(largeHead()), /<jid>/);
});

test('nginx: strophe.js logs in over BOSH and gets its own message back', TIMEOUT, async () => {
	const client = await within(StropheClient.connect({ url: `https://127.0.0.1:${nginx.port}/http-bind`, domain: DOMAIN, user: 'alice', password: PASSWORDS.alice }), 15000, 'login');
	const received = new Promise((resolve) => client.once('message', resolve));
	client.sendMessage(client.jid, 'through nginx');
	assert.equal((await within(received, 10000, 'the message')).body, 'through nginx');
	await client.disconnect();
});

test('nginx: what is coded passes as it is, both ways', TIMEOUT, async () => {
	const body = zlib.gzipSync(`<body xmlns='${NS.httpbind}' rid='9' to='${DOMAIN}' ver='1.11' wait='5' hold='1'/>`);
	const created = await nginx.request('POST', '/http-bind', { headers: { 'Content-Encoding': 'gzip' }, body });
	assert.match(created.text, / sid='/);
	const headers = { 'Accept-Encoding': 'gzip, identity;q=0' };
	const coded = await nginx.request('POST', '/http-bind', { headers, body: `<body xmlns='${NS.httpbind}' rid='9' to='no-such-domain.invalid' ver='1.11'/>` });
	assert.equal(coded.headers['content-encoding'], 'gzip');
	assert.match(coded.headers.vary, /Accept-Encoding/);
	assert.match(zlib.gunzipSync(coded.bytes).toString(), /type='terminate'/);
});

// A WebSocket through nginx, logged in anonymously; resolves when a stanza came back.
function talkOverWebSocket(headers = {}) {
	const socket = new WebSocket(`wss://127.0.0.1:${nginx.port}/xmpp-websocket`, 'xmpp', { ca: nginx.ca, servername: 'chat.example.test', headers });
	const open = `<open xmlns='${NS.framing}' to='${ANONYMOUS_DOMAIN}' version='1.0'/>`;
	const replies = {
		mechanisms: `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`,
		'<success': open,
		'urn:ietf:params:xml:ns:xmpp-bind\'': `<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='${NS.bind}'/></iq>`,
	};
	return within(new Promise((resolve, reject) => {
		socket.once('error', reject).once('open', () => socket.send(open)).on('message', (data) => {
			const text = data.toString();
			if (text.includes('<jid>')) {
				socket.close();
				resolve(text);
				return;
			}
			const [, answer] = Object.entries(replies).find(([part]) => text.includes(part)) ?? [];
			if (answer) {
				socket.send(answer);
			}
		});
	}), 15000, 'a WebSocket login through nginx');
}

test('nginx: a WebSocket login, over and over, on connections that BOSH has used', TIMEOUT, async () => {
	for (let i = 0; i < 5; i++) {
		const created = await nginx.request('POST', '/http-bind', { body: `<body xmlns='${NS.httpbind}' rid='7' to='${ANONYMOUS_DOMAIN}' ver='1.11' wait='5' hold='1'/>` });
		assert.equal(created.status, 200);
		assert.match(created.text, /mechanisms/);
		assert.match(await talkOverWebSocket(), /@anon\.example\.test/);
	}
});

test('nginx: the client\'s address and not nginx\' own is in the log', TIMEOUT, async () => {
	const headers = { 'X-Forwarded-For': '203.0.113.200' };
	await nginx.request('POST', '/http-bind', { headers, body: `<body xmlns='${NS.httpbind}' rid='7' to='${ANONYMOUS_DOMAIN}' ver='1.11' wait='5' hold='1'/>` });
	await talkOverWebSocket(headers);
	// nginx adds the address it saw, 127.0.0.1, which is trusted as a proxy here: the next to the left counts.
	await until(() => doab.events.filter(({ event, client }) => event === 'session-open' && client?.startsWith('203.0.113.200')).length === 2, 5000, 'two sessions of 203.0.113.200');
});

test('nginx: preflight and errors come through with their CORS headers', TIMEOUT, async () => {
	const preflight = await nginx.request('OPTIONS', '/http-bind', { headers: { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST' } });
	assert.ok([200, 204].includes(preflight.status));
	assert.equal(preflight.headers['access-control-allow-origin'], '*');
	const bad = await nginx.request('POST', '/http-bind', { body: 'junk' });
	assert.equal(bad.headers['access-control-allow-origin'], '*');
	for (const [path, text] of [['crossdomain.xml', 'cross-domain-policy'], ['clientaccesspolicy.xml', 'access-policy'],
		['.well-known/host-meta', 'wss://chat.example.org/socket'], ['.well-known/host-meta.json', 'wss://chat.example.org/socket']]) {
		assert.ok((await nginx.request('GET', `/${path}`)).text.includes(text), path);
	}
});

test('nginx: the page comes through at the root', TIMEOUT, async () => {
	const page = await nginx.request('GET', '/');
	assert.equal(page.status, 200);
	assert.match(page.headers['content-type'], /^text\/html/);
	assert.equal(page.text, (await httpRequest(doab.port, 'GET', '/')).text);
});

test('nginx: without the gateway its own answers have CORS headers, and so has a body that it refuses', TIMEOUT, async () => {
	const alone = await PROXIES.nginx.start(await freePort());
	try {
		const bosh = await alone.request('POST', '/http-bind', { headers: { Origin: 'https://a.example' }, body: `<body xmlns='${NS.httpbind}'/>` });
		assert.equal(bosh.status, 502);
		assert.equal(bosh.headers['access-control-allow-origin'], '*');
		assert.match(bosh.headers['content-type'], /^text\/plain/);
		const preflight = await alone.request('OPTIONS', '/http-bind', { headers: { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' } });
		assert.equal(preflight.status, 204);
		assert.equal(preflight.headers['access-control-allow-origin'], '*');
		assert.match(preflight.headers['access-control-allow-methods'], /POST/);
		assert.match(preflight.headers['access-control-allow-headers'], /Content-Type/);
		const large = await alone.request('POST', '/http-bind', { headers: { Origin: 'https://a.example' }, body: 'x'.repeat(310 * 1024) });
		assert.equal(large.status, 413);
		assert.equal(large.headers['access-control-allow-origin'], '*');
	} finally {
		await alone.stop();
	}
});

// An HTTP server in the gateway's place. It holds requests until answer() is called; .requests has those that came.
async function recorder() {
	const requests = [];
	const held = [];
	const server = http.createServer((request, response) => {
		requests.push(request);
		held.push(response);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { requests, port: server.address().port, stop: async () => server.close(),
		answer: () => held.splice(0).forEach((response) => response.end('held')) };
}

test('nginx: the client\'s cookies are not passed on, what the gateway asks for is', TIMEOUT, async () => {
	const server = await recorder();
	const front = await PROXIES.nginx.start(server.port);
	try {
		for (const target of ['/http-bind', '/xmpp-websocket', '/', '/crossdomain.xml']) {
			const answered = front.request('GET', target, { headers: { Cookie: `a=${'b'.repeat(1000)}`, 'X-Forwarded-For': '192.0.2.1' } });
			const { url, headers } = await until(() => server.requests.shift(), 10000, `the request for ${target}`);
			server.answer();
			assert.equal((await answered).status, 200);
			assert.equal(url, target);
			assert.equal(headers.cookie, undefined);
			assert.equal(headers.host, 'chat.example.test');
			assert.equal(headers['x-forwarded-for'], '192.0.2.1, 127.0.0.1');
			assert.equal(headers['x-forwarded-proto'], 'https');
			assert.notEqual(headers.connection, 'close');
		}
	} finally {
		await stopAll(front, server);
	}
});

const N_HELD = 1100;
const STREAMS_MAX = 100; // of one connection over HTTP/2: nginx takes 128

const NOT_ENOUGH_FILES = (() => {
	const wanted = Number(/worker_rlimit_nofile (\d+);/.exec(readFileSync(SHIPPED, 'utf8'))?.[1] ?? 4 * N_HELD);
	const allowed = Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
	return allowed < wanted ? `no more than ${allowed} open files are allowed here` : undefined;
})();

test(`nginx: one worker holds ${N_HELD} requests, which take more files than a service may have by default`, { ...TIMEOUT, skip: NOT_ENOUGH_FILES }, async () => {
	const server = await recorder();
	const front = await PROXIES.nginx.start(server.port);
	const connections = Array.from({ length: N_HELD / STREAMS_MAX }, () =>
		http2.connect(`https://127.0.0.1:${front.port}`, { ca: front.ca, servername: 'chat.example.test' }));
	try {
		const answers = Array.from({ length: N_HELD }, (_, i) => new Promise((resolve, reject) => {
			connections[i % connections.length].request({ ':path': '/http-bind', ':authority': 'chat.example.test' })
				.once('error', reject).once('response', (headers) => resolve(headers[':status'])).resume();
		}));
		const refused = Promise.race(answers).then((status) => assert.fail(`answered with ${status}: ${front.output.slice(-1000)}`));
		await Promise.race([refused, until(() => server.requests.length === N_HELD, 30000, `${N_HELD} held requests`)]);
		refused.catch(() => {});
		server.answer();
		assert.deepEqual([...new Set(await Promise.all(answers))], [200]);
	} finally {
		connections.forEach((connection) => connection.destroy());
		await stopAll(front, server);
	}
});
