// The HTTP around it: CORS on every response, methods, the page, the documents for plugins.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(20000) };
const LISTED = 'https://chat.example.org';
const FIRST = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
let open;
let listed;

before(async () => {
	open = await Stage.open();
	listed = await Stage.open({ plain: 'plain' }, { allow_origins: [LISTED, 'http://localhost:8080'] });
});
after(() => stopAll(open, listed));

const ask = (stage, method, target, options) => httpRequest(stage.port, method, target, options);

const ALL = [
	['GET', '/', 200], ['HEAD', '/', 200], ['GET', '/http-bind', 200], ['GET', '/xmpp-websocket', 200], ['GET', '/crossdomain.xml', 200],
	['GET', '/clientaccesspolicy.xml', 200], ['GET', '/elsewhere', 404], ['POST', '/elsewhere', 404], ['PUT', '/http-bind', 405],
	['DELETE', '/', 405], ['POST', '/', 405], ['POST', '/xmpp-websocket', 405], ['PATCH', '/crossdomain.xml', 405], ['POST', '/http-bind', 200, FIRST],
];

for (const [method, target, status, body] of ALL) {
	test(`${method} ${target} is ${status}, with CORS headers`, TIMEOUT, async () => {
		for (const headers of [{}, { Origin: 'https://anywhere.example' }, { Origin: 'null' }]) {
			const answer = await ask(open, method, target, { body, headers });
			assert.equal(answer.status, status, answer.text.slice(0, 300));
			assert.equal(answer.headers['access-control-allow-origin'], '*');
			assert.equal(answer.headers['access-control-allow-credentials'], undefined);
			assert.equal(answer.headers['x-content-type-options'], 'nosniff');
			if (status === 405) {
				assert.match(answer.headers.allow, /\b(GET|POST)\b/);
				assert.ok(!answer.headers.allow.split(/,\s*/).includes(method));
			}
		}
	});
}

test('a bad BOSH request still has CORS headers, so that the page can read why', TIMEOUT, async () => {
	for (const body of ['junk', `<body xmlns='${NS.httpbind}' rid='1' sid='x'/>`, FIRST.replace(' ver=\'1.11\'', '').replace(' to=\'plain.test\'', '')]) {
		const answer = await ask(open, 'POST', '/http-bind', { body });
		assert.equal(answer.headers['access-control-allow-origin'], '*');
		assert.match(answer.headers['content-type'], /^text\/xml/);
	}
});

test('a client that closes its side together with a chunked request is answered and let go', TIMEOUT, async () => {
	const request = `POST /elsewhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
	for (const [body, answers] of [['1\r\nx\r\n0\r\n\r\n', 1], [`1\r\nx\r\n0\r\n\r\n${request}0\r\n\r\n`, 2], ['5\r\nx', 0]]) {
		const socket = net.connect({ port: open.port, host: '127.0.0.1', allowHalfOpen: true });
		let text = '';
		socket.on('data', (data) => (text += data)).on('error', () => {});
		const end = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
		socket.end(request + body);
		await within(end, 2500, 'the end of the connection from the gateway');
		assert.equal(text.split('HTTP/1.1 404').length - 1, answers, text);
		socket.destroy();
	}
});

test('a refused POST does not spoil the connection for the next request', TIMEOUT, async () => {
	const connection = await HttpConnection.open(open.port);
	assert.equal((await connection.request('POST', '/elsewhere', { body: 'x'.repeat(1000) })).status, 404);
	assert.equal((await connection.request('POST', '/http-bind', { body: FIRST })).status, 200);
	connection.close();
});

test('OPTIONS: the preflight of a browser is answered', TIMEOUT, async () => {
	for (const [target, method] of [['/http-bind', 'POST'], ['/http-bind/', 'POST'], ['/xmpp-websocket', 'GET'], ['/', 'GET']]) {
		const { status, headers } = await ask(open, 'OPTIONS', target, { headers: { Origin: 'https://anywhere.example',
			'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' } });
		assert.ok([200, 204].includes(status), `${target}: ${status}`);
		assert.equal(headers['access-control-allow-origin'], '*');
		assert.ok(headers['access-control-allow-methods'].split(/,\s*/).includes(method), headers['access-control-allow-methods']);
		assert.match(headers['access-control-allow-headers'], /content-type/i);
		assert.ok(Number(headers['access-control-max-age']) >= 600);
	}
});

test('OPTIONS *: what the server can do; no other method takes *', TIMEOUT, async () => {
	const { status, headers } = await ask(open, 'OPTIONS', '*');
	assert.equal(status, 204);
	assert.equal(headers.allow, 'GET, HEAD, OPTIONS, POST');
	for (const method of ['GET', 'POST']) {
		assert.notEqual((await ask(open, method, '*', method === 'POST' ? { body: FIRST } : {})).status, 200);
	}
});

test('a list of origins: those in it are named, the others get nothing', TIMEOUT, async () => {
	const yes = await ask(listed, 'POST', '/http-bind', { body: FIRST, headers: { Origin: LISTED } });
	assert.equal(yes.status, 200);
	assert.equal(yes.headers['access-control-allow-origin'], LISTED);
	assert.match(yes.headers.vary, /\bOrigin\b/i);
	for (const Origin of ['https://evil.example', 'https://chat.example.org.evil.example', 'http://chat.example.org', 'https://chat.example.org:444', 'null']) {
		const no = await ask(listed, 'POST', '/http-bind', { body: FIRST, headers: { Origin } });
		assert.equal(no.headers['access-control-allow-origin'], undefined, Origin);
		assert.match(no.headers.vary, /\bOrigin\b/i, 'a cache must know');
		assert.doesNotMatch(no.text, /\bsid=/, `${Origin}: no session for it`);
		const preflight = await ask(listed, 'OPTIONS', '/http-bind', { headers: { Origin, 'Access-Control-Request-Method': 'POST' } });
		assert.equal(preflight.headers['access-control-allow-origin'], undefined, Origin);
	}
	const noBrowser = await ask(listed, 'POST', '/http-bind', { body: FIRST });
	assert.match(noBrowser.text, /sid=/);
});

test('a list of origins: a WebSocket of another one is 403', TIMEOUT, async () => {
	const yes = await openWebSocket(listed.port, { headers: { Origin: LISTED } });
	assert.ok(!yes.refused);
	yes.drop();
	const refused = await openWebSocket(listed.port, { headers: { Origin: 'https://evil.example' } });
	assert.equal(refused.status, 403);
	const noBrowser = await openWebSocket(listed.port);
	assert.ok(!noBrowser.refused);
	noBrowser.drop();
	const again = await HttpConnection.open(listed.port);
	await again.request('GET', '/');
	const late = await again.upgrade('/xmpp-websocket', { headers: { Origin: 'https://evil.example' } });
	assert.equal(late.status, 403, 'on a connection that was used before, too');
	again.close();
});

test('the page is HTML with nothing from elsewhere', TIMEOUT, async () => {
	const texts = [];
	for (const target of ['/', '/http-bind', '/xmpp-websocket', '/http-bind/', '/xmpp-websocket/?room=x']) {
		const { status, headers, text } = await ask(open, 'GET', target, { headers: { Accept: 'image/avif, text/HTML;q=0.9' } });
		assert.equal(status, 200, target);
		assert.match(headers['content-type'], /^text\/html; charset=utf-8$/i);
		assert.match(headers['content-security-policy'] ?? '', /default-src/);
		texts.push(text);
	}
	assert.match(texts[0], /id="form"/);
	assert.doesNotMatch(texts[0], /(src|href)=["']?(https?:)?\/\//);
	assert.doesNotMatch(texts[0], /@(BOSH|WEBSOCKET|VERSION)@/);
	for (const [, target] of texts[0].matchAll(/(?:src|href)="([^"#]+)"/g)) {
		if (!target.startsWith('data:')) {
			const part = await ask(open, 'GET', new URL(target, 'http://x/').pathname);
			assert.equal(part.status, 200, target);
		}
	}
});

test('who does not show a page gets a few bytes at the paths of the transports', TIMEOUT, async () => {
	for (const [target, expected] of [['/xmpp-websocket', 'XMPP over WebSocket\n'], ['/xmpp-websocket/?room=x', 'XMPP over WebSocket\n'], ['/http-bind', 'XMPP over BOSH\n']]) {
		for (const Accept of [undefined, '*/*', 'application/json', 'text/htmlx', 'x-text/html', 'text/html;q=0', '*/*, text/html; level=1; Q=0.000']) {
			const { status, headers, text } = await ask(open, 'GET', target, { headers: Accept ? { Accept } : {} });
			assert.equal(status, 200, target);
			assert.equal(text, expected);
			assert.match(headers['content-type'], /^text\/plain/);
			assert.equal(headers['access-control-allow-origin'], '*');
		}
	}
	const kept = await HttpConnection.open(open.port);
	for (let i = 0; i < 3; i++) {
		assert.equal((await kept.request('HEAD', '/xmpp-websocket')).status, 200);
		assert.equal((await kept.request('GET', '/xmpp-websocket')).status, 200);
	}
	kept.close();
	assert.match((await ask(open, 'GET', '/')).text, /id="form"/);
});

test('HEAD has the headers of GET and no body', TIMEOUT, async () => {
	const connection = await HttpConnection.open(open.port);
	const head = await connection.request('HEAD', '/');
	const get = await connection.request('GET', '/');
	assert.equal(head.status, get.status);
	assert.equal(head.headers['content-length'], get.headers['content-length']);
	assert.equal(head.headers['content-type'], get.headers['content-type']);
	connection.close();
});

test('/crossdomain.xml and /clientaccesspolicy.xml', TIMEOUT, async () => {
	const any = await ask(open, 'GET', '/crossdomain.xml');
	assert.equal(any.headers['content-type'], 'text/x-cross-domain-policy');
	assert.match(any.text, /<allow-access-from domain="\*"/);
	const some = await ask(listed, 'GET', '/crossdomain.xml');
	assert.match(some.text, /chat\.example\.org/);
	assert.doesNotMatch(some.text, /domain="\*"/);
	const silverlight = await ask(listed, 'GET', '/clientaccesspolicy.xml');
	assert.match(silverlight.text, /<domain uri="https:\/\/chat\.example\.org"\/>/);
	assert.match(silverlight.text, /http-bind/);
});

test('a trailing slash and a query are accepted for BOSH', TIMEOUT, async () => {
	for (const target of ['/http-bind/', '/http-bind?room=a', '/http-bind/?a=b&c=d']) {
		const client = new BoshClient(open.port, { target });
		assert.equal(await client.login('plain.test'), 'user@plain.test/scripted', target);
		await client.terminate();
	}
});

test('answers of BOSH must not be kept by caches', TIMEOUT, async () => {
	const { headers } = await ask(open, 'POST', '/http-bind', { body: FIRST });
	assert.match(headers['cache-control'], /no-store/);
});

test('answers of BOSH must not run as documents', TIMEOUT, async () => {
	for (const body of [FIRST, 'junk', '', `<body xmlns='${NS.httpbind}' rid='1' sid='x'/>`]) {
		const { headers } = await ask(open, 'POST', '/http-bind', { body });
		assert.equal(headers['content-security-policy'], "default-src 'none'; sandbox");
		assert.equal(headers['x-content-type-options'], 'nosniff');
	}
});

test('the Content-Type of a request is ignored, Host too', TIMEOUT, async () => {
	for (const headers of [{ 'Content-Type': 'text/plain' }, { 'Content-Type': 'application/x-www-form-urlencoded' }, { Host: 'another.example' }]) {
		const answer = await ask(open, 'POST', '/http-bind', { body: FIRST, headers });
		assert.match(answer.text, /sid=/, JSON.stringify(headers));
	}
});

test('HTTP/1.0 is spoken', TIMEOUT, async () => {
	const connection = await HttpConnection.open(open.port);
	connection.write(`POST /http-bind HTTP/1.0\r\nContent-Length: ${FIRST.length}\r\n\r\n${FIRST}`);
	const answer = await connection.response();
	assert.equal(answer.status, 200);
	assert.match(answer.text, /sid=/);
	await connection.closed;
});

test('Expect: 100-continue is answered', TIMEOUT, async () => {
	const connection = await HttpConnection.open(open.port);
	connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': FIRST.length, Expect: '100-continue' }));
	assert.equal((await connection.head()).status, 100);
	connection.write(FIRST);
	assert.equal((await connection.response()).status, 200);
	connection.close();
});

test('pipelined requests are answered in their order', TIMEOUT, async () => {
	const connection = await HttpConnection.open(open.port);
	connection.write(HttpConnection.requestHead('GET', '/crossdomain.xml', {}) + HttpConnection.requestHead('GET', '/elsewhere', {}) +
		HttpConnection.requestHead('GET', '/', {}));
	assert.match((await connection.response()).text, /cross-domain-policy/);
	assert.equal((await connection.response()).status, 404);
	assert.equal((await connection.response()).status, 200);
	connection.close();
});

test('other paths may be configured', TIMEOUT, async () => {
	const stage = await Stage.open({ plain: 'plain' }, { bosh_path: '/b/c', websocket_path: '/w' });
	try {
		const client = new BoshClient(stage.port, { target: '/b/c' });
		await client.login('plain.test');
		const socket = await openWebSocket(stage.port, { target: '/w' });
		await socket.login('plain.test');
		await socket.finish();
		assert.equal((await ask(stage, 'POST', '/http-bind', { body: FIRST })).status, 404);
	} finally {
		await stage.stop();
	}
});
