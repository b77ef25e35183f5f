// Which web pages may use the gateway: one list for BOSH (CORS), WebSocket and the documents, and the gateway's own page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const FIRST = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
const LIST = ['https://chat.example.org', 'https://*.wild.example', 'http://*.wild.example:8080', 'http://localhost:*', 'http://[2001:DB8::1]:81',
	'https://bücher.example', 'capacitor://localhost'];
const ALLOWED = ['https://chat.example.org', 'https://a.wild.example', 'https://c.b.a.wild.example', 'http://a.wild.example:8080', 'http://localhost',
	'http://localhost:3000', 'http://[2001:db8::1]:81', 'https://xn--bcher-kva.example', 'capacitor://localhost'];
const REFUSED = ['null', 'https://wild.example', 'https://evilwild.example', 'https://wild.example.evil.example', 'https://a.wild.example.evil.example',
	'https://a.wild.example.', 'https://.wild.example', 'https://a.wild.example:8080', 'http://a.wild.example', 'http://chat.example.org',
	'https://chat.example.org:444', 'https://chat.example.org.', 'https://chat.example.org.evil.example', 'https://evilchat.example.org', 'https://localhost',
	'http://localhost.evil.example', 'http://[2001:db8::2]:81', 'http://[2001:db8::1]', 'https://chat.example.org@evil.example', 'file://', '*',
	'https://chat.example.org, https://evil.example', 'junk'];
let all;
let listed;
let strict;
let careful;

before(async () => {
	all = await Stage.open();
	listed = await Stage.open({ plain: 'plain' }, { allow_origins: LIST });
	strict = await Stage.open({ plain: 'plain' }, { allow_origins: LIST, require_origin: true, own_hosts: ['own.example', '*.own.example'] });
	careful = await Stage.open({ plain: 'plain' }, { allow_origins: ['*', LIST[0]], allow_credentials: true, allow_private_network: true });
});
after(() => stopAll(all, listed, strict, careful));

const ask = (stage, method, target, headers, body) => httpRequest(stage.port, method, target, { headers, body });
const post = (stage, headers) => ask(stage, 'POST', '/http-bind', headers, FIRST);
const preflight = (stage, headers) => ask(stage, 'OPTIONS', '/http-bind', { 'Access-Control-Request-Method': 'POST', ...headers });

// Tries every way in with @headers.
async function assertAllowed(stage, headers) {
	const answer = await post(stage, headers);
	assert.match(answer.text, /\bsid=/, JSON.stringify(headers));
	const socket = await openWebSocket(stage.port, { headers });
	assert.ok(!socket.refused, JSON.stringify(headers));
	socket.drop();
	return answer;
}

async function assertRefused(stage, headers, reason) {
	const answer = await post(stage, headers);
	assert.equal(answer.status, 403, JSON.stringify(headers));
	assert.match(answer.text, reason);
	const socket = await openWebSocket(stage.port, { headers });
	assert.equal(socket.status, 403, JSON.stringify(headers));
	assert.match(socket.text, reason);
	return answer;
}

test('pages of listed origins: BOSH, preflight and WebSocket', TIMEOUT, async () => {
	for (const Origin of ALLOWED) {
		const answer = await assertAllowed(listed, { Origin });
		for (const { headers } of [answer, await preflight(listed, { Origin })]) {
			assert.equal(headers['access-control-allow-origin'], Origin);
			assert.equal(headers['access-control-allow-credentials'], undefined);
			assert.match(headers.vary, /\bOrigin\b/);
		}
	}
});

test('pages of other origins: neither BOSH nor preflight nor WebSocket', TIMEOUT, async () => {
	for (const Origin of REFUSED) {
		const answer = await assertRefused(listed, { Origin }, /allow_origins/);
		for (const { headers } of [answer, await preflight(listed, { Origin })]) {
			assert.equal(headers['access-control-allow-origin'], undefined, Origin);
			assert.match(headers.vary, /\bOrigin\b/, Origin);
		}
	}
	await listed.doab.logged('request-refused', { status: 403, origin: 'https://evilwild.example' });
});

test('"*" stands in an answer only where it stands in the list', TIMEOUT, async () => {
	for (const Origin of [...ALLOWED, ...REFUSED]) {
		const { headers } = await assertAllowed(all, { Origin });
		assert.equal(headers['access-control-allow-origin'], '*');
		assert.doesNotMatch(headers.vary ?? '', /Origin/);
		assert.notEqual((await ask(listed, 'GET', '/', { Origin })).headers['access-control-allow-origin'], '*');
	}
});

// A name that an attacker has pointed at the gateway's address: Origin and Host are equal.
test('a name is the gateway\'s own only if the operator says so', TIMEOUT, async () => {
	for (const Host of ['rebound.evil.example', 'rebound.evil.example:5280', 'evilown.example', 'own.example.evil.example', 'own.example.', '127.0.0.1.evil.example', 'xown.example']) {
		await assertRefused(strict, { Origin: `http://${Host}`, Host }, /own_hosts/);
		await assertRefused(strict, { Origin: `https://${Host}`, Host }, /own_hosts/);
	}
	for (const Host of ['own.example', 'OWN.example:5280', 'a.b.own.example', `127.0.0.1:${strict.port}`, '127.0.0.1', '[::1]:5280', 'localhost', 'a.localhost:1']) {
		await assertAllowed(strict, { Origin: `http://${Host}`, Host });
		await assertAllowed(strict, { Origin: `https://${Host}`, Host });
	}
	for (const [origin, Host] of [['http://own.example', 'a.own.example'], ['http://own.example:1', 'own.example'], ['ftp://own.example', 'own.example'],
		['http://evil.example', '127.0.0.1'], ['null', 'own.example']]) {
		await assertRefused(strict, { Origin: origin, Host }, /allow_origins/);
	}
	await assertRefused(listed, { Origin: 'http://own.example', Host: 'own.example' }, /own_hosts/);
});

test('require_origin refuses requests without Origin, but not the page and the documents', TIMEOUT, async () => {
	await assertRefused(strict, {}, /require_origin/);
	await assertRefused(strict, { Origin: '' }, /require_origin/);
	await assertAllowed(strict, { Origin: ALLOWED[0] });
	await assertAllowed(listed, {});
	for (const target of ['/', '/http-bind', '/xmpp-websocket', '/crossdomain.xml']) {
		assert.equal((await ask(strict, 'GET', target, {})).status, 200);
	}
	const used = await HttpConnection.open(strict.port);
	await used.request('GET', '/');
	assert.equal((await used.upgrade()).status, 403, 'on a connection that was used before, too');
	used.close();
});

test('a preflight allows the headers that the page asks for', TIMEOUT, async () => {
	for (const [stage, Origin] of [[all, 'https://anywhere.example'], [listed, ALLOWED[1]]]) {
		for (const asked of ['authorization,content-type', 'traceparent, tracestate', 'baggage,sentry-trace', 'x-requested-with']) {
			const { status, headers } = await preflight(stage, { Origin, 'Access-Control-Request-Headers': asked });
			assert.equal(status, 204);
			assert.deepEqual(headers['access-control-allow-headers'].split(', '), asked.split(/, ?/));
		}
		for (const asked of [undefined, '', 'a b', 'a:b', 'x'.repeat(2000), Array(65).fill('a').join(',')]) {
			const { headers } = await preflight(stage, { Origin, ...(asked === undefined ? {} : { 'Access-Control-Request-Headers': asked }) });
			assert.equal(headers['access-control-allow-headers'], 'Content-Type, Content-Encoding, X-Requested-With, Authorization');
		}
	}
});

test('a preflight for a path that is not there succeeds, so that the page can read that it is not there', TIMEOUT, async () => {
	for (const [stage, Origin, expected] of [[all, 'https://anywhere.example', '*'], [listed, ALLOWED[0], ALLOWED[0]], [listed, 'https://evil.example', undefined]]) {
		const { status, headers } = await ask(stage, 'OPTIONS', '/elsewhere', { Origin, 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'authorization' });
		assert.equal(status, 204);
		assert.equal(headers['access-control-allow-origin'], expected);
		assert.equal(headers['access-control-allow-headers'], 'authorization');
		assert.equal((await ask(stage, 'OPTIONS', '/elsewhere', { Origin })).status, 404);
	}
});

test('credentials and private networks are for listed origins, where a key allows them', TIMEOUT, async () => {
	const asks = { 'Access-Control-Request-Private-Network': 'true' };
	const of = async (stage, Origin, more = asks) => {
		const { headers } = await preflight(stage, { Origin, ...more });
		return [headers['access-control-allow-origin'], headers['access-control-allow-credentials'], headers['access-control-allow-private-network']];
	};
	assert.deepEqual(await of(careful, LIST[0]), [LIST[0], 'true', 'true']);
	assert.deepEqual(await of(careful, LIST[0], {}), [LIST[0], 'true', undefined]);
	assert.deepEqual(await of(careful, 'https://anywhere.example'), ['*', undefined, undefined]);
	assert.deepEqual(await of(careful, 'null'), ['*', undefined, undefined]);
	assert.deepEqual(await of(listed, LIST[0]), [LIST[0], undefined, undefined]);
	assert.deepEqual(await of(all, LIST[0]), ['*', undefined, undefined]);
	const { headers } = await post(careful, { Origin: LIST[0] });
	assert.equal(headers['access-control-allow-credentials'], 'true');
	assert.equal(headers['access-control-allow-origin'], LIST[0]);
	assert.match(headers.vary, /\bOrigin\b/);
	assert.match((await post(careful, { Origin: 'https://anywhere.example' })).headers.vary, /\bOrigin\b/);
});

// WHATWG Fetch, "CORS-preflight fetch".
test('a preflight says what each path takes, for how long, and for whom', TIMEOUT, async () => {
	for (const [target, methods] of [['/http-bind', 'GET, HEAD, OPTIONS, POST'], ['/xmpp-websocket', 'GET, HEAD, OPTIONS'], ['/', 'GET, HEAD, OPTIONS'],
		['/crossdomain.xml', 'GET, HEAD, OPTIONS'], ['/elsewhere', 'GET, HEAD, OPTIONS, POST']]) {
		for (const method of ['POST', 'GET', 'PUT', 'post', 'BREW']) {
			for (const [stage, Origin, expected] of [[all, 'https://anywhere.example', '*'], [all, 'null', '*'], [listed, ALLOWED[0], ALLOWED[0]], [listed, 'null', undefined],
				[careful, LIST[0], LIST[0]], [careful, 'null', '*'], [listed, REFUSED[1], undefined]]) {
				const { status, headers, text } = await ask(stage, 'OPTIONS', target, { Origin, 'Access-Control-Request-Method': method });
				assert.equal(status, 204);
				assert.equal(text, '');
				assert.equal(headers['access-control-allow-origin'], expected);
				assert.equal(headers['access-control-allow-credentials'], stage === careful && expected !== '*' ? 'true' : undefined);
				assert.equal(headers['access-control-allow-methods'], methods);
				assert.equal(headers['access-control-max-age'], '86400');
				assert.equal(headers.vary, stage === all ? undefined : 'Origin');
				assert.equal(headers['cache-control'], 'no-store');
				assert.doesNotMatch(JSON.stringify([headers['access-control-allow-methods'], headers['access-control-allow-headers']]), /\*/);
			}
		}
	}
});

// WICG Private Network Access, 3.2.
test('only "true" asks for a private network, and only a preflight', TIMEOUT, async () => {
	const name = 'access-control-allow-private-network';
	for (const value of ['false', 'TRUE', '1', 'true, true', '']) {
		assert.equal((await preflight(careful, { Origin: LIST[0], 'Access-Control-Request-Private-Network': value })).headers[name], undefined, value);
	}
	for (const method of ['GET', 'POST']) {
		assert.equal((await ask(careful, method, '/http-bind', { Origin: LIST[0], 'Access-Control-Request-Private-Network': 'true' })).headers[name], undefined);
	}
	assert.equal((await preflight(careful, { 'Access-Control-Request-Private-Network': 'true' })).headers[name], undefined);
	assert.equal((await ask(careful, 'OPTIONS', '/elsewhere', { Origin: LIST[0], 'Access-Control-Request-Method': 'GET',
		'Access-Control-Request-Private-Network': 'true' })).headers[name], 'true');
});

// RFC 6454, 7.3: there is one. A proxy may believe the other.
test('of two origins none is allowed', TIMEOUT, async () => {
	for (const [first, second] of [[ALLOWED[0], 'https://evil.example'], ['https://evil.example', ALLOWED[0]], [ALLOWED[0], ALLOWED[0]]]) {
		const connection = await HttpConnection.open(listed.port);
		connection.write(`POST /http-bind HTTP/1.1\r\nHost: a\r\nOrigin: ${first}\r\nOrigin: ${second}\r\nContent-Length: ${FIRST.length}\r\n\r\n${FIRST}`);
		const { status, headers } = await connection.response();
		connection.close();
		assert.equal(status, 403);
		assert.equal(headers['access-control-allow-origin'], undefined);
	}
});

// Every answer that the gateway makes, by its status: [method, target, headers, body].
const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
const ANSWERS = {
	'200 of a session': [200, 'POST', '/http-bind', {}, FIRST],
	'200 of a session that is not there': [200, 'POST', '/http-bind', {}, `<body xmlns='${NS.httpbind}' rid='7' sid='x'/>`],
	'200 of a body that is too large': [200, 'POST', '/http-bind', {}, `<body>${'x'.repeat(300000)}</body>`],
	'200 of the page': [200, 'GET', '/', {}],
	'200 of a keep-alive': [200, 'GET', '/xmpp-websocket', {}],
	'204 of a preflight': [204, 'OPTIONS', '/http-bind', { 'Access-Control-Request-Method': 'POST' }],
	'304 of a document': [304, 'GET', '/crossdomain.xml', { 'If-None-Match': '*' }],
	'400 of a request without a length': [400, 'POST', '/http-bind', { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }, '0\r\n\r\n'],
	'400 of a handshake': [400, 'GET', '/xmpp-websocket', { ...upgrade, 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Protocol': 'mqtt' }],
	'400 of no handshake': [400, 'GET', '/xmpp-websocket', { Connection: 'Upgrade', Upgrade: 'h2c' }],
	'400 of a legacy client': [400, 'POST', '/http-bind', {}, `<body xmlns='${NS.httpbind}' rid='${Number.MAX_SAFE_INTEGER}' to='plain.test'/>`],
	'404 of a path': [404, 'GET', '/elsewhere', {}],
	'404 of a path that is posted to': [404, 'POST', '/elsewhere', {}, 'x'],
	'405 of a method': [405, 'PUT', '/http-bind', {}, 'x'],
	'405 of a method at a document': [405, 'DELETE', '/crossdomain.xml', {}],
	'415 of a content coding': [415, 'POST', '/http-bind', { 'Content-Encoding': 'br' }, 'x'],
	'426 of another version': [426, 'GET', '/xmpp-websocket', { ...upgrade, 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Protocol': 'xmpp' }],
};

for (const [name, [status, method, target, headers, body]] of Object.entries(ANSWERS)) {
	test(`a page of an allowed origin can read the ${name}`, TIMEOUT, async () => {
		for (const [stage, Origin, expected] of [[all, 'https://anywhere.example', '*'], [all, 'null', '*'], [listed, ALLOWED[1], ALLOWED[1]], [careful, LIST[0], LIST[0]]]) {
			const answer = await ask(stage, method, target, { ...headers, Origin }, body);
			assert.equal(answer.status, status, answer.text.slice(0, 300));
			assert.equal(answer.headers['access-control-allow-origin'], expected);
			assert.equal(answer.headers['access-control-allow-credentials'], stage === careful ? 'true' : undefined);
			assert.equal(/\bOrigin\b/.test(answer.headers.vary ?? ''), stage !== all, answer.headers.vary);
		}
		const foreign = await ask(listed, method, target, { ...headers, Origin: 'https://evilwild.example' }, body);
		assert.equal(foreign.headers['access-control-allow-origin'], undefined);
	});
}
