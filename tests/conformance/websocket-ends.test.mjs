// The life of a WebSocket beside its messages: who is alive, how much may come when, what is said at the end, and that
// the client can read it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';
import { OPCODE, WebSocketClient, encodeFrame } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// Longer than this process, which answers pings, may be busy.
const PING_S = 3;
const LOGIN_BYTES = 8192;
const BODY_BYTES = 20000;
const ELSEWHERE = 'wss://chat.example.org/xmpp-websocket?a&b';
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain', mute: 'no-features', deaf: 'never-reading', slow: 'late-features' },
		{ ping_interval: PING_S, body_bytes: BODY_BYTES, sessions_per_address: 1000, open_timeout: 60 });
});
after(() => stopAll(stage));

const auth = (bytes) => `<auth xmlns='${NS.sasl}' mechanism='X'>${'x'.repeat(bytes)}</auth>`;
const ofSize = (n, text = "<message xmlns='jabber:client' id='size'><body></body></message>") => text.replace(/(?=<\/)/, 'x'.repeat(n - text.length));

// What takes its time. Each test has sessions of its own, so they wait together.
describe('time', { concurrency: 4 }, () => {
	test('a client that does not answer pings is dropped; whatever it sends counts as an answer', TIMEOUT, async () => {
		const [silent, talking] = await Promise.all([0, 1].map(async () => {
			const socket = await openWebSocket(stage.port);
			await socket.login('plain.test');
			socket.answersPings = false;
			return socket;
		}));
		const talk = setInterval(() => talking.send(' '), 300);
		const frames = await silent.untilEnd(20000);
		assert.deepEqual(frames.map(({ opcode }) => opcode), [OPCODE.ping], 'one ping, and the end');
		assert.ok(talking.isOpen);
		clearInterval(talk);
		await talking.finish();
	});

	test('while the server has not answered, pongs are seen and missed', TIMEOUT, async () => {
		const sockets = await Promise.all([true, false].map(async (answersPings) => {
			const socket = await openWebSocket(stage.port);
			socket.open('mute.test');
			socket.answersPings = answersPings;
			return socket;
		}));
		await until(() => !sockets[1].isOpen, 20000, 'the end of the one that does not answer');
		await sleep(2500);
		assert.ok(sockets[0].isOpen, 'the one that answers');
		sockets[0].drop();
	});

	test('while the server does not read, pongs are seen and missed', TIMEOUT, async () => {
		const big = ofSize(BODY_BYTES);
		const sockets = await Promise.all([true, false].map(async (answersPings) => {
			const socket = await openWebSocket(stage.port);
			await socket.login('deaf.test');
			// Until the gateway takes no more.
			while (socket.socket.writableLength < 200000) {
				socket.send(big);
				await sleep(0);
			}
			socket.answersPings = answersPings;
			return socket;
		}));
		await sleep((2 * (PING_S + 1) + 1) * 1000);
		// Neither is known to be gone: what they sent waits.
		assert.ok(sockets[0].isOpen);
		sockets.forEach((socket) => socket.drop());
	});

	test('a client that never answers the close frame loses the connection', TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		socket.send(`<close xmlns='${NS.framing}'/>`);
		const frames = await socket.untilEnd(20000);
		assert.equal(frames.at(-1).opcode, OPCODE.close);
	});
});

test('a client that goes while its server has not answered ends the session at once', TIMEOUT, async () => {
	const ways = {
		'a close frame': (socket) => socket.frame(OPCODE.close, Buffer.from([3, 232])),
		'the end of TCP': (socket) => socket.socket.end(),
		'a reset': (socket) => socket.socket.resetAndDestroy(),
	};
	for (const [what, go] of Object.entries(ways)) {
		const { connections } = stage.servers.mute;
		const nBefore = connections.length;
		const socket = await openWebSocket(stage.port);
		socket.open('mute.test');
		await until(() => connections.length > nBefore, 10000, 'a connection');
		const connection = connections.at(-1);
		await connection.header();
		go(socket);
		await connection.end().catch((error) => assert.fail(`${what}: ${error.message}`));
	}
});

test('what a client sent before it went is still delivered when its server answers', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	socket.open('slow.test');
	const connection = await stage.connectionOf('slow');
	await connection.header();
	socket.send(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`);
	socket.frame(OPCODE.close, Buffer.from([3, 232]));
	await connection.element('auth');
	await connection.end();
	assert.equal((await socket.untilEnd()).at(-1).opcode, OPCODE.close);
});

// Sizes.

test(`before the login a message of ${LOGIN_BYTES} bytes is taken, one more is a policy-violation`, TIMEOUT, async () => {
	for (const [more, isOpened] of [[0, false], [1, false], [0, true], [1, true]]) {
		const socket = await openWebSocket(stage.port);
		if (isOpened) {
			await socket.start('plain.test');
		}
		const element = isOpened ? `<iq xmlns='jabber:client' type='get' id='i'><a xmlns='b'/></iq>` : `<open xmlns='${NS.framing}' to='plain.test' version='1.0'/>`;
		socket.send(element + ' '.repeat(LOGIN_BYTES - element.length + more));
		if (more) {
			await assertStreamError(socket, 'policy-violation', { open: !isOpened });
		} else {
			assert.equal((await socket.next()).name, isOpened ? 'iq' : 'open');
		}
		socket.drop();
	}
});

test('after the login the limit is body_bytes', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	socket.send(ofSize(BODY_BYTES));
	assert.equal((await socket.next()).name, 'message');
	socket.send(ofSize(BODY_BYTES + 1));
	await assertStreamError(socket, 'policy-violation', { open: false });
});

test('a failed login does not raise the limit', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.start('plain.test');
	const connection = await stage.connectionOf('plain');
	connection.send(`<failure xmlns='${NS.sasl}'><not-authorized/></failure>`);
	assert.equal((await socket.next()).name, 'failure');
	socket.send(auth(LOGIN_BYTES));
	await assertStreamError(socket, 'policy-violation', { open: false });
});

test('who is told while sending that it is too much can read that, and is not reset', TIMEOUT, async () => {
	for (const inFragments of [false, true]) {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		const chunk = "<a xmlns='b'/>   ".padEnd(16384);
		const nChunks = 200;
		let error;
		const told = assertStreamError(socket, 'policy-violation', { open: false }).then((element) => {
			error = element;
		});
		if (!inFragments) {
			const size = Buffer.alloc(8);
			size.writeBigUInt64BE(BigInt(nChunks * chunk.length));
			socket.write(Buffer.concat([Buffer.from([0x81, 0xff]), size, Buffer.alloc(4)]));
		}
		for (let i = 0; i < nChunks; i++) {
			if (inFragments) {
				socket.frame(i ? OPCODE.continuation : OPCODE.text, i ? ' '.repeat(chunk.length) : chunk, { fin: i === nChunks - 1 });
			} else {
				socket.write(i ? ' '.repeat(chunk.length) : chunk);
			}
			await sleep(2);
		}
		await told;
		assert.match(error.at('text').text, /larger than this gateway accepts/);
		socket.frame(OPCODE.close, Buffer.from([3, 241]));
		assert.equal((await socket.untilEnd()).length, 0);
		assert.equal(socket.error, undefined, 'the connection was reset');
	}
});

// What is said at the end.

const LAST_WORDS = {
	'a binary message': [encodeFrame(OPCODE.binary, '<presence xmlns="jabber:client"/>'), 'bad-format', 1003],
	'two elements': [encodeFrame(OPCODE.text, '<a xmlns="b"/><a xmlns="b"/>'), 'bad-format', 1008],
	'text between two elements': [encodeFrame(OPCODE.text, '<a xmlns="b"/>x<a xmlns="b"/>'), ['bad-format', 'not-well-formed'], 1008],
	'a stream header': [encodeFrame(OPCODE.text, `<stream:stream xmlns:stream='${NS.streams}' to='a'/>`), 'unsupported-stanza-type', 1008],
	'a DTD': [encodeFrame(OPCODE.text, '<!DOCTYPE a><a xmlns="b"/>'), 'restricted-xml', 1008],
	'a processing instruction': [encodeFrame(OPCODE.text, '<?a b?><a xmlns="b"/>'), 'restricted-xml', 1008],
	'a comment': [encodeFrame(OPCODE.text, '<!-- a --><a xmlns="b"/>'), 'restricted-xml', 1008],
	'an XML declaration of another encoding': [encodeFrame(OPCODE.text, '<?xml version="1.0" encoding="ISO-8859-1"?><a xmlns="b"/>'), ['restricted-xml', 'not-well-formed', 'unsupported-encoding'], 1008],
	'a size': [encodeFrame(OPCODE.text, ' '.repeat(BODY_BYTES + 1)), 'policy-violation', 1009],
};

for (const [what, [sent, condition, code]] of Object.entries(LAST_WORDS)) {
	test(`the stream error, <close/>, the close frame with a reason, and nothing behind it: ${what}`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		socket.write(Buffer.concat([sent, encodeFrame(OPCODE.ping, 'x'), encodeFrame(OPCODE.text, '<presence xmlns="jabber:client"/>')]));
		const messages = [];
		let frame = await socket.nextFrame();
		for (; frame.opcode === OPCODE.text || frame.opcode === OPCODE.ping; frame = await socket.nextFrame()) {
			messages.push(frame.payload.toString());
		}
		assert.match(messages.at(-2), new RegExp(`^<stream:error .*<(${[condition].flat().join('|')}) `));
		assert.equal(messages.at(-1), `<close xmlns='${NS.framing}'/>`);
		assert.equal(frame.opcode, OPCODE.close);
		assert.equal(frame.payload.readUInt16BE(), code);
		const reason = new TextDecoder('utf-8', { fatal: true }).decode(frame.payload.subarray(2));
		assert.ok(reason && messages.at(-2).includes(reason), reason);
		assert.ok(frame.payload.length <= 125);
		socket.frame(OPCODE.close, frame.payload);
		assert.equal((await socket.untilEnd()).length, 0);
		assert.equal(socket.error, undefined);
	});
}

// Streams.

test('a second <open/> before the login brings the features again, and the server sees one header', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	const first = await socket.start('plain.test');
	const connection = await stage.connectionOf('plain');
	const second = await socket.start('plain.test');
	assert.equal(second.features.raw ?? second.features.text, first.features.raw ?? first.features.text);
	assert.equal(second.open.attributes.id, first.open.attributes.id);
	assert.equal(connection.headers.length, 1);
	await socket.login('plain.test');
	assert.equal(connection.headers.length, 2);
	await socket.finish();
});

test('websocket_see_other_uri: who came without TLS is sent elsewhere; who came over TLS is served', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { websocket_see_other_uri: ELSEWHERE, trusted_proxies: ['127.0.0.1'] });
	try {
		for (const headers of [{}, { 'X-Forwarded-Proto': 'http' }]) {
			const socket = await openWebSocket(own.port, { headers: { 'X-Forwarded-For': '192.0.2.1', ...headers } });
			socket.open('plain.test');
			assert.equal((await socket.next()).name, 'open');
			const close = await socket.next();
			assert.equal(close.name, 'close');
			assert.equal(close.attributes['see-other-uri'], ELSEWHERE);
			assert.equal((await socket.nextClose()).code, 1000);
			assert.equal(own.servers.plain.connections.length, 0);
		}
		const socket = await openWebSocket(own.port, { headers: { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https' } });
		await socket.login('plain.test');
		await socket.finish();
	} finally {
		await stopAll(own);
	}
});

// The handshake.

async function shake(lines, { isSecond } = {}) {
	const connection = await HttpConnection.open(stage.port);
	if (isSecond) {
		assert.equal((await connection.request('GET', '/')).status, 200);
	}
	const { key } = WebSocketClient.handshake('/xmpp-websocket', 'xmpp');
	connection.write(`GET /xmpp-websocket HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
	const { status, headers } = await connection.head();
	connection.close();
	return { status, headers };
}

test('list headers count over several lines and in any case; the subprotocol is echoed as xmpp', TIMEOUT, async () => {
	const accepted = [
		['Connection: keep-alive', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: xmpp'],
		['connection: UPGRADE', 'UPGRADE: WebSocket', 'sec-websocket-protocol: foo', 'sec-websocket-protocol: bar , xmpp'],
		['Connection: close, upgrade', 'Upgrade: h2c', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: xmpp'],
	];
	const refused = [
		['Connection: keep-alive', 'Connection: close', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: xmpp'],
		['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: foo', 'Sec-WebSocket-Protocol: XMPP'],
		['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: xmpp', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
		['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Protocol: xmpp', 'Sec-WebSocket-Version: 8'],
	];
	for (const isSecond of [false, true]) {
		for (const lines of accepted) {
			const { status, headers } = await shake(lines, { isSecond });
			assert.equal(status, 101, lines.join());
			assert.equal(headers['sec-websocket-protocol'], 'xmpp');
		}
		for (const lines of refused) {
			assert.ok([400, 426].includes((await shake(lines, { isSecond })).status), lines.join());
		}
	}
});
