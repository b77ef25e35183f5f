// RFC 7395 and RFC 6455 from the outside.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, within } from '../support/util.mjs';
import { OPCODE, WebSocketClient, encodeFrame } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';

// Longer than this process, which answers pings, may be busy.
const PING_S = 3;
const TIMEOUT = { timeout: patiently(30000) };
const BODY_BYTES = 262144;
const OPEN = `<open xmlns='${NS.framing}' to='plain.test' version='1.0'/>`;
let stage;
let witness;

before(async () => {
	stage = await Stage.open({ plain: 'plain', witness: 'plain' }, { ping_interval: PING_S, sessions_per_address: 1000 });
	witness = await openWebSocket(stage.port);
	await witness.login('witness.test');
});
after(() => stopAll(stage));
afterEach(async () => {
	const id = `witness-${Math.random()}`;
	witness.send(`<message xmlns='jabber:client' id='${id}'/>`);
	assert.equal((await witness.next()).attributes.id, id, 'the session beside it noticed');
	assert.ok(stage.doab.isRunning);
});

async function loggedIn() {
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	return { socket, connection: await stage.connectionOf('plain') };
}

async function assertEcho(socket, id = `echo-${Math.random()}`) {
	socket.send(`<message xmlns='jabber:client' id='${id}'/>`);
	assert.equal((await socket.next()).attributes.id, id);
}

test('the subprotocol xmpp is echoed, alone', TIMEOUT, async () => {
	for (const protocol of ['xmpp', 'foo, xmpp', 'xmpp,bar', 'foo,xmpp , bar']) {
		const socket = await openWebSocket(stage.port, { protocol });
		assert.equal(socket.protocol, 'xmpp', `asked for ${protocol}`);
		assert.equal(socket.headers['sec-websocket-extensions'], undefined);
		socket.drop();
	}
});

test('without the subprotocol xmpp there is no WebSocket', TIMEOUT, async () => {
	for (const protocol of [null, 'foo', 'xmppx', 'XMPP', 'foo, bar']) {
		const refused = await openWebSocket(stage.port, { protocol });
		assert.equal(refused.status, 400, `asked for ${protocol}`);
		assert.equal(refused.headers['access-control-allow-origin'], '*');
	}
});

test('Upgrade and Connection are lists of words in any case', TIMEOUT, async () => {
	for (const headers of [{ Connection: 'keep-alive, Upgrade' }, { Connection: 'upgrade', Upgrade: 'WebSocket' }, { Connection: 'UPGRADE,keep-alive' }]) {
		const socket = await openWebSocket(stage.port, { headers });
		assert.ok(!socket.refused, `${JSON.stringify(headers)}: ${socket.status}`);
		await socket.login('plain.test');
		await socket.finish();
	}
});

test('a trailing slash and a query are accepted', TIMEOUT, async () => {
	for (const target of ['/xmpp-websocket/', '/xmpp-websocket?room=a&prefix=b', '/xmpp-websocket/?x']) {
		const socket = await openWebSocket(stage.port, { target });
		assert.ok(!socket.refused, `${target}: ${socket.status}`);
		await socket.login('plain.test');
		await socket.finish();
	}
});

test('a WebSocket for another path is refused', TIMEOUT, async () => {
	for (const target of ['/', '/http-bind', '/elsewhere', '/xmpp-websocketx']) {
		const refused = await openWebSocket(stage.port, { target });
		assert.ok(refused.refused && refused.status >= 200 && refused.status !== 101, `${target}: ${refused.status}`);
	}
});

test('another version of the protocol is refused', TIMEOUT, async () => {
	const refused = await openWebSocket(stage.port, { headers: { 'Sec-WebSocket-Version': '8' } });
	assert.ok([400, 426].includes(refused.status), `status ${refused.status}`);
});

test('<open/>: the answer is a complete element with from, id, version and language', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	socket.open('plain.test', { 'xml:lang': 'de' });
	const text = await socket.nextMessage();
	assert.match(text, /^<open [^<]*\/>$/, 'no XML declaration, no start tag alone');
	assert.match(text, /\bfrom=['"]plain\.test['"]/);
	assert.match(text, /\bid=['"]scripted-1['"]/);
	assert.match(text, /\bversion=['"]1\.0['"]/);
	assert.match(text, /\bxml:lang=['"]\w+/);
	const features = await socket.next();
	assert.equal(`${features.ns} ${features.prefix}:${features.name}`, `${NS.streams} stream:features`);
	socket.drop();
});

test('restart: a second <open/> on the same connection to the server', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	assert.equal(connection.headers.length, 2);
	assert.equal(connection.streamEnds, 0);
	await socket.finish();
});

test('<close/> is answered by <close/> and then a close frame; the server\'s stream ends', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	const { code } = await socket.finish();
	assert.equal(code, 1000);
	await connection.end();
	assert.equal(connection.streamEnds, 1);
});

test('<close/> before anything was opened', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	socket.send(`<close xmlns='${NS.framing}'/>`);
	let element = await socket.next();
	while (element.name !== 'close') {
		element = await socket.next();
	}
	assert.ok(await socket.nextClose());
});

test('a close frame without <close/> ends the session', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	socket.frame(OPCODE.close, Buffer.from([0x03, 0xe8]));
	assert.equal((await socket.nextClose()).code, 1000);
	await connection.end();
});

test('a connection that breaks leaves a managed stream unclosed', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	connection.send(`<enabled xmlns='${NS.sm}' id='x' resume='true'/>`);
	assert.equal((await socket.next()).name, 'enabled');
	socket.drop();
	await connection.end();
	assert.equal(connection.streamEnds, 0);
});

test('fragments, with a ping between them, are one message', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	const text = Buffer.from('<message xmlns="jabber:client" id="frag"><body>ä漢😀</body></message>');
	for (let cut = 1; cut < text.length; cut += 7) {
		socket.frame(OPCODE.text, text.subarray(0, cut), { fin: false });
		socket.frame(OPCODE.ping, 'between');
		socket.frame(OPCODE.continuation, '', { fin: false });
		socket.frame(OPCODE.continuation, text.subarray(cut));
		const pong = await socket.nextFrame();
		assert.equal(pong.opcode, OPCODE.pong);
		assert.equal(pong.payload.toString(), 'between');
		assert.equal((await socket.next()).at('body').text, 'ä漢😀');
	}
	assert.ok(connection.elements.filter((e) => e.name === 'message').every((e) => e.raw.equals(text)));
	await socket.finish();
});

test('several frames in one packet, and a frame byte by byte', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	const frame = (id) => encodeFrame(OPCODE.text, `<message xmlns="jabber:client" id="${id}"/>`);
	socket.write(Buffer.concat([frame('p1'), encodeFrame(OPCODE.ping, 'x'), frame('p2'), frame('p3')]));
	const seen = [];
	while (seen.length < 4) {
		const { opcode, payload } = await socket.nextFrame();
		seen.push(opcode === OPCODE.pong ? 'pong' : /p\d/.exec(payload.toString())[0]);
	}
	assert.deepEqual(seen.filter((what) => what !== 'pong'), ['p1', 'p2', 'p3']);
	for (const byte of frame('slow')) {
		socket.write(Buffer.from([byte]));
		await sleep(1);
	}
	assert.equal((await socket.next()).attributes.id, 'slow');
	await socket.finish();
});

test('every way to give a length', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	for (const n of [0, 1, 124, 125, 126, 127, 128, 255, 256, 4095, 4096, 4097, 32767, 32768, 65534, 65535, 65536, 65537, 131072]) {
		const around = '<message xmlns="jabber:client" id="n"><body></body></message>';
		const body = 'x'.repeat(Math.max(0, n - around.length));
		socket.send(around.replace('</body>', `${body}</body>`));
		assert.equal((await socket.next()).at('body').text.length, body.length);
	}
	await socket.finish();
});

test('ping is answered by a pong with the same bytes, empty and 125 long', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	for (const payload of [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(125, 0xff)]) {
		socket.frame(OPCODE.ping, payload);
		const { opcode, payload: answer } = await socket.nextFrame();
		assert.equal(opcode, OPCODE.pong);
		assert.deepEqual(answer, payload);
	}
	socket.frame(OPCODE.pong, 'unasked');
	await assertEcho(socket);
	await socket.finish();
});

test('the gateway pings an idle client, never through XMPP', { timeout: patiently(20000) }, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	const connection = await stage.connectionOf('plain');
	const nBefore = connection.text.length;
	for (let i = 0; i < 2; i++) {
		const frame = await socket.nextFrame(8000);
		assert.equal(frame.opcode, OPCODE.ping);
	}
	assert.equal(connection.text.length, nBefore);
	await assertEcho(socket);
	await socket.finish();
});

test('whitespace alone is swallowed', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	for (const blank of [' ', '\r\n\r\n', '\n', '\t ']) {
		socket.send(blank);
	}
	await assertEcho(socket);
	assert.equal(connection.whitespace.trim(), '');
	await socket.finish();
});

test('two elements in one message are refused', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	socket.send('<message xmlns="jabber:client"/><message xmlns="jabber:client"/>');
	await assertStreamError(socket, ['bad-format', 'not-well-formed', 'invalid-xml', 'policy-violation']);
});

const BAD = {
	'malformed XML': ['<message xmlns="jabber:client"><a></b></message>', ['not-well-formed', 'bad-format']],
	'half an element': ['<message xmlns="jabber:client">', ['not-well-formed', 'bad-format']],
	'text alone': ['hello', ['not-well-formed', 'bad-format', 'invalid-xml']],
	'text behind the element': ['<message xmlns="jabber:client"/>hello', ['not-well-formed', 'bad-format', 'invalid-xml']],
	'a comment': ['<!-- c --><message xmlns="jabber:client"/>', ['restricted-xml', 'not-well-formed']],
	'a comment inside': ['<message xmlns="jabber:client"><!-- c --></message>', ['restricted-xml', 'not-well-formed']],
	'a processing instruction': ['<?x y?><message xmlns="jabber:client"/>', ['restricted-xml', 'not-well-formed']],
	'a DTD': ['<!DOCTYPE m [<!ENTITY a "b">]><message xmlns="jabber:client">&a;</message>', ['restricted-xml', 'not-well-formed']],
	'an entity': ['<message xmlns="jabber:client">&nbsp;</message>', ['restricted-xml', 'not-well-formed']],
	'a prefix without a namespace': ['<x:message/>', ['not-well-formed', 'bad-namespace-prefix', 'bad-format']],
	'a stream header': [`<stream:stream xmlns:stream='${NS.streams}' to='plain.test'>`, ['not-well-formed', 'bad-format', 'restricted-xml', 'policy-violation', 'invalid-namespace', 'unsupported-stanza-type']],
	'the end of the stream': ['</stream:stream>', ['not-well-formed', 'bad-format']],
	'<starttls/>': [`<starttls xmlns='${NS.tls}'/>`, ['policy-violation', 'unsupported-stanza-type', 'not-authorized', 'invalid-namespace', 'bad-format']],
	'a stream error of the client': [`<stream:error xmlns:stream='${NS.streams}'/>`, ['policy-violation', 'unsupported-stanza-type', 'invalid-namespace', 'bad-format']],
	'an unknown framing element': [`<x xmlns='${NS.framing}'/>`, ['policy-violation', 'unsupported-stanza-type', 'invalid-namespace', 'bad-format', 'invalid-xml']],
	'depth without end': ['<a>'.repeat(20000) + '</a>'.repeat(20000), ['policy-violation', 'not-well-formed']],
};

for (const [what, [text, conditions]] of Object.entries(BAD)) {
	test(`refused after login: ${what}`, TIMEOUT, async () => {
		const { socket, connection } = await loggedIn();
		const nBefore = connection.elements.length;
		socket.send(text);
		await assertStreamError(socket, conditions, { open: false });
		await connection.end();
		assert.equal(connection.elements.length, nBefore, 'nothing of it reached the server');
	});

	test(`refused as the first message: ${what}`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		socket.send(text);
		await assertStreamError(socket, [...conditions, 'invalid-namespace', 'bad-format', 'not-authorized'], { open: true });
	});
}

test('a first message that is no <open/> is refused', TIMEOUT, async () => {
	for (const text of ['<message xmlns="jabber:client"/>', `<open xmlns='urn:x' to='plain.test'/>`, `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`]) {
		const socket = await openWebSocket(stage.port);
		socket.send(text);
		await assertStreamError(socket, ['invalid-namespace', 'bad-format', 'not-authorized', 'policy-violation', 'unsupported-stanza-type'], { open: true });
	}
});

test('<open/> with content, without to, or to what is no domain', TIMEOUT, async () => {
	const cases = [`<open xmlns='${NS.framing}' version='1.0'/>`, OPEN.replace('plain.test', '127.0.0.1'), OPEN.replace('plain.test', 'a b'),
		OPEN.replace('plain.test', 'plain.test:22'), OPEN.replace('plain.test', ''), OPEN.replace('plain.test', 'plain.test&#39; x=&#39;')];
	for (const text of cases) {
		const socket = await openWebSocket(stage.port);
		socket.send(text);
		await assertStreamError(socket, ['host-unknown', 'improper-addressing', 'bad-format'], { open: true });
	}
});

// Ends in a way that RFC 6455 and RFC 7395 both know: a stream error and <close/>, or at once a close frame.
async function assertEnds(socket, codes) {
	for (let frame = await socket.nextFrame(); frame; frame = await socket.nextFrame()) {
		if (frame.opcode === OPCODE.close) {
			const code = frame.payload.length ? frame.payload.readUInt16BE() : 1005;
			assert.ok(codes.includes(code), `close code ${code}`);
			return;
		}
		assert.ok(frame.opcode === OPCODE.ping || /error|close/.test(frame.payload.toString()), frame.payload.toString());
	}
}

test('a binary message is refused', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	socket.frame(OPCODE.binary, '<message xmlns="jabber:client" id="binary"/>');
	await assertEnds(socket, [1003, 1000, 1002, 1008]);
	await connection.end();
	assert.doesNotMatch(connection.text, /binary/);
});

test('bytes that are not UTF-8 are refused', TIMEOUT, async () => {
	for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe6, 0xbc]]) {
		const { socket, connection } = await loggedIn();
		socket.frame(OPCODE.text, Buffer.concat([Buffer.from('<message xmlns="jabber:client" id="utf">'), Buffer.from(bytes), Buffer.from('</message>')]));
		await assertEnds(socket, [1007, 1000, 1008]);
		await connection.end();
		assert.doesNotMatch(connection.text, /utf/);
	}
});

test('what RFC 6455 forbids ends the connection', TIMEOUT, async () => {
	const frames = {
		'a reserved bit': encodeFrame(OPCODE.text, '<message xmlns="jabber:client" id="bad"/>', { rsv: 0x40 }),
		'an unknown opcode': encodeFrame(3, 'bad'),
		'an unknown control opcode': encodeFrame(11, 'bad'),
		'a fragmented ping': encodeFrame(OPCODE.ping, 'bad', { fin: false }),
		'a long ping': encodeFrame(OPCODE.ping, 'b'.repeat(126)),
		'a continuation of nothing': encodeFrame(OPCODE.continuation, 'bad'),
	};
	for (const [what, bytes] of Object.entries(frames)) {
		const { socket, connection } = await loggedIn();
		socket.write(bytes);
		await assertEnds(socket, [1002, 1003, 1000, 1007, 1008]).catch((error) => assert.fail(`${what}: ${error.message}`));
		await connection.end().catch((error) => assert.fail(`${what}: ${error.message}`));
		assert.doesNotMatch(connection.text, /bad/, what);
	}
});

test(`a message of ${BODY_BYTES} bytes is carried, one of ${BODY_BYTES + 1} is a policy-violation`, TIMEOUT, async () => {
	const around = '<message xmlns="jabber:client" id="size"><body></body></message>';
	const ofSize = (n) => around.replace('</body>', `${'x'.repeat(n - around.length)}</body>`);
	const { socket, connection } = await loggedIn();
	socket.send(ofSize(BODY_BYTES));
	assert.equal((await connection.element('message')).raw.length, BODY_BYTES);
	assert.equal((await socket.nextMessage()).length >= BODY_BYTES, true);
	socket.send(ofSize(BODY_BYTES + 1));
	await assertStreamError(socket, 'policy-violation', { open: false });
	await connection.end();
	assert.equal(connection.elements.filter((e) => e.name === 'message').length, 1);
});

test('a message in many fragments does not get round the limit', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	socket.frame(OPCODE.text, '<message xmlns="jabber:client"><body>', { fin: false });
	for (let i = 0; i < 80 && socket.isOpen; i++) {
		socket.frame(OPCODE.continuation, 'x'.repeat(8192), { fin: false });
	}
	await assertStreamError(socket, 'policy-violation', { open: false });
	await connection.end();
});

test('a WebSocket on a connection that has served BOSH requests', TIMEOUT, async () => {
	for (const nRequests of [1, 3]) {
		const connection = await HttpConnection.open(stage.port);
		for (let i = 0; i < nRequests; i++) {
			const created = await connection.request('POST', '/http-bind', { body: `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>` });
			assert.equal(created.status, 200);
		}
		const socket = await connection.upgrade();
		assert.ok(!socket.refused, `${socket.status}`);
		await socket.login('plain.test');
		for (let i = 0; i < 50; i++) {
			await assertEcho(socket, `after-${i}`);
		}
		const { code } = await socket.finish();
		assert.equal(code, 1000);
		await within(connection.closed, 5000, 'the end of the TCP connection');
	}
});

test('such a connection that breaks, or whose WebSocket is refused, leaves nothing behind', TIMEOUT, async () => {
	const first = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
	const connection = await HttpConnection.open(stage.port);
	await connection.request('POST', '/http-bind', { body: first });
	const socket = await connection.upgrade();
	await socket.login('plain.test');
	const upstream = await stage.connectionOf('plain');
	socket.drop();
	await upstream.end();
	const second = await HttpConnection.open(stage.port);
	await second.request('POST', '/http-bind', { body: first });
	const refused = await second.upgrade('/xmpp-websocket', { protocol: 'foo' });
	assert.equal(refused.status, 400);
	second.close();
});

test('an early <auth/> right behind <open/> is not lost', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	socket.write(Buffer.concat([encodeFrame(OPCODE.text, OPEN), encodeFrame(OPCODE.text, `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`)]));
	assert.equal((await socket.next()).name, 'open');
	assert.equal((await socket.next()).name, 'features');
	assert.equal((await socket.next()).name, 'success');
	socket.drop();
});

test('the first frame in the same packet as the handshake is not lost', TIMEOUT, async () => {
	const connection = await HttpConnection.open(stage.port);
	const { key, request } = WebSocketClient.handshake('/xmpp-websocket', 'xmpp');
	connection.write(Buffer.concat([Buffer.from(request), encodeFrame(OPCODE.text, OPEN)]));
	const { status, headers } = await connection.head();
	assert.equal(status, 101);
	connection.socket.off('data', connection.onData);
	const socket = new WebSocketClient(connection.socket, connection.buffer, { headers, key });
	assert.equal((await socket.next()).name, 'open');
	socket.drop();
});
