// What keeps a BOSH session to its client: where it may be made, who may reach it, and that no client writes the headers of its answers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const PLAIN_TEXT = 'text/plain; charset=utf-8';
const XML = 'text/xml; charset=utf-8';
const ELSEWHERE = 'https://chat.example.org/http-bind?a=1&b=2';
const ROUNDS = 20; // enough for each of the workers to have seen requests of its own and of the others
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain', silent: 'no-features', reset: 'reset-at-once' }, { wait: 8, polling: 2, workers: 3,
		sessions_per_address: 1000, open_timeout: 2, domains: { 'refused.test': { deny: true } } });
});
after(() => stopAll(stage));

const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;
// A stanza that the scripted server answers with nothing.
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const idsOf = ({ element }) => element.children.map((child) => child.attributes.id);

// A client whose requests land on any worker.
const clientOf = (on, headers = {}) => new BoshClient(on.port, { connection: 'fresh', headers });

async function session(on = stage, headers = {}, attributes = {}) {
	const client = clientOf(on, headers);
	const created = await client.create('plain.test', attributes);
	assert.ok(created.element.at('features'), created.text);
	return { client, created, connection: await on.connectionOf('plain') };
}

// The same session, as somebody else asks for it.
function thief(client, headers = {}) {
	const other = clientOf({ port: client.port }, headers);
	return Object.assign(other, { sid: client.sid, rid: client.rid });
}

async function withStage(config, use) {
	const own = await Stage.open({ plain: 'plain' }, { wait: 8, polling: 2, workers: 3, sessions_per_address: 1000, ...config });
	try {
		await use(own);
	} finally {
		await own.stop();
	}
}

async function assertAlive(client) {
	const id = `alive-${client.rid}`;
	assert.deepEqual(idsOf(await client.request(message(id))), [id]);
}

// The type of the answers.

function assertType(answer, type, what) {
	assert.equal(answer.headers['content-type'], type, what);
	assert.equal(answer.headers['x-content-type-options'], 'nosniff', what);
	assert.equal(answer.headers['content-security-policy'], "default-src 'none'; sandbox", what);
}

test('content: a type that is on the list is that of all answers of the session', TIMEOUT, async () => {
	await Promise.all([['text/plain', PLAIN_TEXT], ['TEXT/Plain ; Charset="UTF-8"', PLAIN_TEXT],
		['application/xml', 'application/xml; charset=utf-8'], ['text/html', 'text/html; charset=utf-8'],
		['application/xhtml+xml', 'application/xhtml+xml; charset=utf-8'], ['text/xml; charset=utf-8', XML], [undefined, XML]].map(async ([asked, type]) => {
		const { client, created } = await session(stage, {}, { content: asked });
		assertType(created, type, 'the creation answer');
		assertType(await client.request(message('m')), type, 'a payload');
		assertType(await client.request(message('m'), { rid: client.rid }), type, 'a repeat');
		const id = `h-${client.rid}`;
		const held = client.request(presence(id));
		await until(() => stage.servers.plain.connections.some(({ elements }) => elements.some(({ attributes }) => attributes.id === id)), 10000, id);
		const repeat = client.request(presence(id), { rid: client.rid });
		assertType(await held, type, 'a recoverable error');
		const released = client.request(presence('r'));
		assertType(await repeat, type, 'an empty answer');
		assertType(await client.request(), type, 'policy-violation');
		assertType(await released, type, 'another request of a session that has ended');
	}));
});

test('content: errors have it, too', TIMEOUT, async () => {
	for (const [content, type] of [['text/plain', PLAIN_TEXT], [undefined, XML]]) {
		for (const ver of ['1.11', undefined]) {
			const open = async () => (await session(stage, {}, { content, ver })).client;
			let client = await open();
			const malformed = await client.post(`<body xmlns='${NS.httpbind}' sid='${client.sid}' rid='${client.rid + 1}'><a></body>`);
			assert.equal(malformed.element.attributes.condition, 'bad-request');
			assertType(malformed, type, 'bad-request');
			client = await open();
			assertType(await client.request('', { rid: client.rid + 50 }), type, 'item-not-found');
			client = await open();
			const large = await client.request(`<a>${'x'.repeat(300000)}</a>`);
			assert.equal(large.element.attributes.condition, 'policy-violation');
			assertType(large, type, 'a request too large');
			client = await open();
			assertType(await client.terminate(), type, 'terminate');
			for (const to of ['refused.test', 'no domain', '', 'silent.test', 'reset.test']) {
				const answer = await clientOf(stage).create(to, { content, ver });
				assert.equal(answer.element.attributes.type, 'terminate', to);
				assertType(answer, type, `a session to ${to}`);
			}
			const stray = await clientOf(stage).request('', { sid: 'nobody', content });
			assert.equal(stray.element.attributes.condition, 'item-not-found');
			assertType(stray, type, 'a session that is not there');
		}
	}
	const own = await Stage.open();
	const client = clientOf(own);
	await client.create('plain.test', { content: 'text/plain' });
	const held = client.request();
	await own.doab.hasRequest(client);
	await own.stop();
	assertTypeOfShutdown(await held);
});

function assertTypeOfShutdown(answer) {
	assert.equal(answer.element.attributes.condition, 'system-shutdown');
	assertType(answer, PLAIN_TEXT, 'system-shutdown');
}

test('content: a type that is not on the list, or in another encoding, is not taken', TIMEOUT, async () => {
	for (const content of ['text/htm', 'text/html; charset=utf-7', 'image/svg+xml', 'text/javascript', '*/*', '',
		'text/plain; charset=utf-7', 'text/xml; charset=iso-8859-1', 'text/plain; boundary=x', 'text/plain, text/html', 'text/plain\u00a0', 'text', 'x'.repeat(2000)]) {
		const { client, created } = await session(stage, {}, { content });
		assertType(created, XML, content);
		assertType(await client.request(message('m')), XML, content);
		assertType(await client.request('', { rid: client.rid + 50 }), XML, content);
	}
});

// Each attribute of a request whose value might come near a header, or the log.
const ATTRIBUTES = ['content', 'charsets', 'xml:lang', 'from', 'to', 'route', 'ver', 'stream', 'key', 'type', 'sid', 'accept'];
const INJECTIONS = ['&#13;&#10;X-Evil: 1', 'text/plain&#13;&#10;X-Evil: 1', 'text/plain&#10;X-Evil: 1', 'text/plain&#13;X-Evil: 1',
	'text/plain; charset=utf-8&#13;&#10;&#13;&#10;&lt;script>alert(1)&lt;/script>', 'text/xml&#9;&#13;&#10; X-Evil: 1', 'text/xml\r\nX-Evil: 1'];

test('content, and all other attributes: no header is written by the client', TIMEOUT, async () => {
	for (const attribute of ATTRIBUTES) {
		for (const value of INJECTIONS) {
			const attributes = { rid: 77, to: 'plain.test', ver: '1.11', wait: 5, hold: 1, [attribute]: value };
			const text = Object.entries(attributes).map(([name, each]) => ` ${name}='${each}'`).join('');
			const connection = await HttpConnection.open(stage.port);
			connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': Buffer.byteLength(text) + 55 }));
			connection.write(`<body xmlns='${NS.httpbind}'${text}/>`.padEnd(Buffer.byteLength(text) + 55));
			const answer = await connection.response();
			const what = `${attribute}='${value}'`;
			assertType(answer, XML, what);
			assert.deepEqual(Object.keys(answer.headers).sort(), ['access-control-allow-origin', 'cache-control', 'connection', 'content-length', 'content-security-policy',
				'content-type', 'date', 'x-content-type-options'].filter((name) => name in answer.headers), what);
			assert.ok(answer.text.startsWith('<body '), what);
			assert.doesNotMatch(answer.text, /<script/);
			connection.close();
		}
	}
	await stage.doab.readLog();
	assert.equal(stage.doab.lines.some((line) => line.startsWith('X-Evil')), false, 'no line of the log either');
});

test('nosniff: on whatever is answered', TIMEOUT, async () => {
	for (const [method, target, body] of [['GET', '/'], ['HEAD', '/'], ['GET', '/http-bind'], ['GET', '/xmpp-websocket'], ['GET', '/crossdomain.xml'],
		['GET', '/clientaccesspolicy.xml'], ['GET', '/nothing'], ['POST', '/nothing', ''], ['PUT', '/http-bind', 'x'], ['DELETE', '/'],
		['OPTIONS', '/http-bind'], ['POST', '/http-bind', ''], ['POST', '/http-bind', 'hello'], ['POST', '/xmpp-websocket', '']]) {
		const answer = await httpRequest(stage.port, method, target, { body });
		assert.equal(answer.headers['x-content-type-options'], 'nosniff', `${method} ${target}: ${answer.status}`);
	}
});

// Where sessions are made.

const https = { 'X-Forwarded-Proto': 'https' };

test('see_other_uri: who asks without TLS is sent elsewhere, and no server is called', TIMEOUT, async () => {
	await withStage({ see_other_uri: ELSEWHERE, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		for (const proto of [undefined, 'http', '', 'https, http', 'httpsx', 'on', 'wss']) {
			for (const ver of ['1.11', undefined]) {
				const headers = proto === undefined ? {} : { 'X-Forwarded-Proto': proto };
				const answer = await clientOf(own, headers).create('plain.test', { ver });
				assertTerminated(answer, 'see-other-uri');
				assert.deepEqual(answer.element.children.map(({ ns, name, text }) => [ns, name, text]), [[NS.httpbind, 'uri', ELSEWHERE]], `proto=${proto}`);
				assert.equal(answer.element.attributes.sid, undefined);
			}
		}
		// Also before anything else is looked at.
		assertTerminated(await clientOf(own).create('no domain'), 'see-other-uri');
		// A server that had been called would have been called before this one.
		await session(own, https);
		assert.equal(own.servers.plain.connections.length, 1);
	});
});

test('see_other_uri: who came over TLS, as a trusted proxy says, is served', TIMEOUT, async () => {
	await withStage({ see_other_uri: ELSEWHERE, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		for (const proto of ['https', 'HTTPS', 'http, https', ' https ']) {
			const { client } = await session(own, { 'X-Forwarded-Proto': proto });
			for (let i = 0; i < 3; i++) {
				await assertAlive(client);
			}
			await client.terminate();
		}
	});
});

test('see_other_uri: a peer that is no trusted proxy is not believed', TIMEOUT, async () => {
	for (const proxies of [[], ['192.0.2.0/24', '127.0.0.2']]) {
		await withStage({ see_other_uri: ELSEWHERE, trusted_proxies: proxies }, async (own) => {
			assertTerminated(await clientOf(own, https).create('plain.test'), 'see-other-uri');
			assert.equal(own.servers.plain.connections.length, 0);
		});
	}
});

// Who reaches them.

// Each kind of request with which somebody else could do harm, by name.
const ATTACKS = {
	'an empty one': (other) => other.request(),
	'a payload': (other) => other.request(presence('stolen')),
	terminate: (other) => other.terminate(presence('stolen')),
	pause: (other) => other.request('', { pause: 1 }),
	'a repeat': (other) => other.request('', { rid: other.rid }),
	'a rid outside of the window': (other) => other.request('', { rid: 1 }),
	'a wrong key': (other) => other.request('', { key: 'x' }),
};
const MALFORMED = {
	'no rid': (other) => other.post(`<body xmlns='${NS.httpbind}' sid='${other.sid}'/>`),
	'bad XML': (other) => other.post(`<body xmlns='${NS.httpbind}' sid='${other.sid}' rid='${other.rid + 1}'><a></body>`),
	'too large': (other) => other.request(`<a>${'x'.repeat(300000)}</a>`),
};

// Nothing that @headers of somebody else bring may reach, end or disturb the session of @client, nor learn that there is one.
async function assertGuarded(client, connection, headers) {
	for (let round = 0; round < ROUNDS; round++) {
		const held = client.request(presence(`held-${round}`));
		await connection.element('presence', ({ attributes }) => attributes.id === `held-${round}`);
		for (const [what, attack] of Object.entries(round ? { terminate: ATTACKS.terminate } : { ...ATTACKS, ...MALFORMED })) {
			const answer = await attack(thief(client, headers));
			assertTerminated(answer, what in ATTACKS ? 'item-not-found' : ['bad-request', 'policy-violation', 'item-not-found']);
			const guessing = Object.assign(thief(client, headers), { sid: `${client.sid.slice(0, -4)}AAAA` });
			assert.equal(answer.text, (await attack(guessing)).text, `${what}: as to a sid that is nobody's`);
		}
		connection.send(`<message id='for-${round}'/>`);
		assert.deepEqual(idsOf(await held), [`for-${round}`], 'the client was not disturbed');
	}
	assert.doesNotMatch(connection.text, /stolen/);
	assert.ok(!connection.hasEnded);
}

test('a session made over TLS is not there for a request that came without', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const { client, connection } = await session(own, https);
		await assertGuarded(client, connection, {});
		await assertGuarded(client, connection, { 'X-Forwarded-Proto': 'https, http' });
		await own.doab.readLog();
		assert.match(own.doab.log, /event=session-guarded/);
	});
});

test('a session made without TLS may go on over it', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const { client } = await session(own);
		await assertAlive(client);
		client.headers = { ...client.headers, ...https };
		await assertAlive(client);
		client.headers['X-Forwarded-Proto'] = 'http';
		await assertAlive(client);
	});
});

test('a session that an untrusted peer claims to have made over TLS is an ordinary one', TIMEOUT, async () => {
	await withStage({}, async (own) => {
		const { client } = await session(own, https);
		client.headers['X-Forwarded-Proto'] = 'http';
		await assertAlive(client);
	});
});

const from = (address) => ({ 'X-Forwarded-For': address });

test('session_bound_to_address: a session is there for the address that made it, and for no other', TIMEOUT, async () => {
	await withStage({ session_bound_to_address: true, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		for (const [owner, others] of [
			['192.0.2.1', ['192.0.2.2', '2001:db8::1', '192.0.2.1, 192.0.2.2', '::ffff:192.0.2.2', '']],
			['2001:db8:1:2::1', ['2001:db8:1:3::1', '192.0.2.1']],
		]) {
			const { client, connection } = await session(own, from(owner));
			for (const other of others) {
				await assertGuarded(client, connection, from(other));
			}
			await client.terminate();
		}
	});
});

test('session_bound_to_address: what is the same client may come from elsewhere: another port, another address of its /64', TIMEOUT, async () => {
	await withStage({ session_bound_to_address: true, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		for (const [owner, also] of [['192.0.2.1', ['192.0.2.1:4711', '::ffff:192.0.2.1', '198.51.100.7, 192.0.2.1']],
			['2001:db8:1:2::1', ['2001:db8:1:2:ffff::5', '[2001:db8:1:2::9]:4711']]]) {
			const { client } = await session(own, from(owner));
			for (const address of also) {
				client.headers = { ...client.headers, ...from(address) };
				await assertAlive(client);
			}
		}
	});
});

test('session_bound_to_address: without it the address may change; an untrusted peer cannot change its own', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const { client } = await session(own, from('192.0.2.1'));
		client.headers = { ...client.headers, ...from('192.0.2.2') };
		await assertAlive(client);
	});
	await withStage({ session_bound_to_address: true }, async (own) => {
		const { client } = await session(own, from('192.0.2.1'));
		client.headers = { ...client.headers, ...from('192.0.2.2') };
		await assertAlive(client);
	});
});

test('both guards together', TIMEOUT, async () => {
	await withStage({ session_bound_to_address: true, see_other_uri: ELSEWHERE, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const { client, connection } = await session(own, { ...https, ...from('192.0.2.1') });
		await assertGuarded(client, connection, from('192.0.2.1'));
		await assertGuarded(client, connection, { ...https, ...from('192.0.2.2') });
		await assertAlive(client);
	});
});

// RFC 9110, 5.3: a header that stands in several lines is one list. Some proxies (HAProxy's "option forwardfor") add a line of their own
// behind the client's; it is the right-most item, the one to be believed.

test('X-Forwarded-Proto in two lines: the last one is the proxy\'s', TIMEOUT, async () => {
	await withStage({ see_other_uri: ELSEWHERE, trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const answer = await clientOf(own, { 'X-Forwarded-Proto': ['https', 'http'] }).create('plain.test');
		assertTerminated(answer, 'see-other-uri');
		await session(own, { 'X-Forwarded-Proto': ['http', 'https'] });
	});
});

test('X-Forwarded-For in two lines: the client does not choose its address, for BOSH', TIMEOUT, async () => {
	await withStage({ session_bound_to_address: true, trusted_proxies: ['127.0.0.1', '127.0.0.2'] }, async (own) => {
		const { client, connection } = await session(own, from(['203.0.113.66', '192.0.2.1']));
		await own.doab.readLog();
		assert.match(own.doab.log, /event=session-open client="?192\.0\.2\.1"? /);
		await assertGuarded(client, connection, from(['192.0.2.1', '192.0.2.2']));
		// The right-most that is no proxy, over all lines.
		client.headers = { ...client.headers, ...from(['203.0.113.66, 192.0.2.1', '127.0.0.2']) };
		await assertAlive(client);
	});
});

test('X-Forwarded-For in two lines: the client does not choose its address, for WebSockets', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const socket = await openWebSocket(own.port, { headers: { 'X-Forwarded-For': '203.0.113.66\r\nX-Forwarded-For: 192.0.2.1' } });
		await socket.start('plain.test');
		await own.doab.readLog();
		assert.match(own.doab.log, /event=session-open client="?192\.0\.2\.1"? /);
		socket.drop();
	});
});
