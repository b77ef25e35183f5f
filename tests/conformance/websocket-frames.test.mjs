// RFC 6455 to the letter, group by group: what a client sends as raw frames, and how the gateway ends or goes on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll } from '../support/util.mjs';
import { OPCODE, encodeFrame } from '../support/ws.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const RSV = { 1: 0x40, 2: 0x20, 3: 0x10 };
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { ping_interval: 0, sessions_per_address: 1000 });
});
after(() => stopAll(stage));

async function loggedIn() {
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	return { socket, connection: await stage.connectionOf('plain') };
}

const text = (id) => encodeFrame(OPCODE.text, `<message xmlns='jabber:client' id='${id}'/>`);
const close = (code, reason = '') => encodeFrame(OPCODE.close, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
const bytes = (...values) => Buffer.from(values);
const NO_KEY = [0, 0, 0, 0];

// What is behind the mistake must have no effect.
const BEHIND = Buffer.concat([encodeFrame(OPCODE.ping, 'behind'), text('behind'), close(1000)]);

// [bytes, status of the close frame]
const MISTAKES = {
	'masking: a message without a mask': [encodeFrame(OPCODE.text, '<a xmlns="b"/>', { mask: false }), 1002],
	'masking: a ping without a mask': [encodeFrame(OPCODE.ping, 'x', { mask: false }), 1002],
	'masking: a close frame without a mask': [encodeFrame(OPCODE.close, bytes(3, 232), { mask: false }), 1002],
	'masking: an empty message without a mask': [encodeFrame(OPCODE.text, '', { mask: false }), 1002],
	'lengths: 125 in two bytes': [bytes(0x81, 0xfe, 0, 125, ...NO_KEY), 1002],
	'lengths: 5 in eight bytes': [bytes(0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, ...NO_KEY), 1002],
	'lengths: 65535 in eight bytes': [bytes(0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...NO_KEY), 1002],
	'lengths: the top bit': [bytes(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, ...NO_KEY), 1002],
	'control frames: a ping of 126 bytes': [encodeFrame(OPCODE.ping, 'p'.repeat(126)), 1002],
	'control frames: a close frame of 126 bytes': [encodeFrame(OPCODE.close, Buffer.alloc(126, 3)), 1002],
	'control frames: a fragmented ping': [encodeFrame(OPCODE.ping, 'p', { fin: false }), 1002],
	'control frames: a fragmented close frame': [encodeFrame(OPCODE.close, bytes(3, 232), { fin: false }), 1002],
	'fragmentation: a continuation of nothing': [encodeFrame(OPCODE.continuation, 'x'), 1002],
	'fragmentation: a first fragment that continues nothing': [encodeFrame(OPCODE.continuation, 'x', { fin: false }), 1002],
	'fragmentation: a message within a message': [Buffer.concat([encodeFrame(OPCODE.text, '<a xmlns="b">', { fin: false }), text('inner')]), 1002],
	'UTF-8: a byte that begins nothing': [encodeFrame(OPCODE.text, bytes(0x3c, 0xff)), 1007],
	'UTF-8: an overlong form': [encodeFrame(OPCODE.text, bytes(0xc0, 0xaf)), 1007],
	'UTF-8: a surrogate': [encodeFrame(OPCODE.text, bytes(0xed, 0xa0, 0x80)), 1007],
	'UTF-8: above U+10FFFF': [encodeFrame(OPCODE.text, bytes(0xf4, 0x90, 0x80, 0x80)), 1007],
	'UTF-8: half a character at the end': [encodeFrame(OPCODE.text, bytes(0x20, 0xe6, 0xbc)), 1007],
	'UTF-8: half a character at the end of the last fragment': [Buffer.concat([encodeFrame(OPCODE.text, ' ', { fin: false }), encodeFrame(OPCODE.continuation, bytes(0xe6, 0xbc))]), 1007],
	'close: one byte': [encodeFrame(OPCODE.close, bytes(3)), 1002],
	'close: a reason that is not UTF-8': [encodeFrame(OPCODE.close, bytes(3, 232, 0xff)), 1007],
	'close: a reason that ends in half a character': [encodeFrame(OPCODE.close, bytes(3, 232, 0x41, 0xe6, 0xbc)), 1007],
};
for (const [bit, rsv] of Object.entries(RSV)) {
	MISTAKES[`reserved: RSV${bit} on a message`] = [encodeFrame(OPCODE.text, '<a xmlns="b"/>', { rsv }), 1002];
	MISTAKES[`reserved: RSV${bit} on a ping`] = [encodeFrame(OPCODE.ping, 'p', { rsv }), 1002];
	MISTAKES[`reserved: RSV${bit} on a continuation`] = [Buffer.concat([encodeFrame(OPCODE.text, '<a xmlns="b"', { fin: false }), encodeFrame(OPCODE.continuation, '/>', { rsv })]), 1002];
}
for (const opcode of [3, 7, 11, 15]) {
	MISTAKES[`reserved: opcode ${opcode}`] = [encodeFrame(opcode, 'x'), 1002];
	MISTAKES[`reserved: opcode ${opcode}, empty`] = [encodeFrame(opcode), 1002];
}
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) {
	MISTAKES[`close: status ${code}`] = [close(code), 1002];
}

function assertCloseFrame(frame, code) {
	assert.equal(frame.opcode, OPCODE.close);
	assert.ok(frame.fin && frame.rsv === 0);
	assert.equal(frame.payload.readUInt16BE(), code);
	assert.ok(frame.payload.length <= 125);
	new TextDecoder('utf-8', { fatal: true }).decode(frame.payload.subarray(2));
}

for (const [what, [sent, code]] of Object.entries(MISTAKES)) {
	test(what, TIMEOUT, async () => {
		const { socket, connection } = await loggedIn();
		const nBefore = connection.elements.length;
		socket.write(Buffer.concat([sent, BEHIND]));
		const frames = await socket.untilEnd();
		assert.equal(frames.length, 1, 'one frame, and nothing behind it');
		assertCloseFrame(frames[0], code);
		assert.ok(frames[0].payload.length > 2, 'a reason');
		assert.equal(socket.error, undefined, 'the connection was reset');
		await connection.end();
		assert.equal(connection.elements.length, nBefore, 'nothing of it reached the server');
	});
}

test('UTF-8 byte by byte: the connection fails at the byte that is wrong, before the message is complete', TIMEOUT, async () => {
	const rows = [[0x80], [0xc0], [0xc1], [0xe0, 0x9f], [0xed, 0xa0], [0xf0, 0x8f], [0xf4, 0x90], [0xf5], [0xe6, 0xbc, 0x41]];
	await Promise.all(rows.map(async (row) => {
		const socket = await openWebSocket(stage.port);
		const sent = [0x3c, ...row];
		socket.write(bytes(0x81, 0xfe, 0x10, 0x00, ...NO_KEY));
		for (const byte of sent) {
			assert.equal(socket.frames.length, 0, 'too early');
			socket.write(bytes(byte));
			await sleep(20);
		}
		const frames = await socket.untilEnd();
		assert.equal(frames.length, 1, `${row}`);
		assertCloseFrame(frames[0], 1007);
	}));
});

test('UTF-8 byte by byte and in fragments of a byte: every valid sequence is carried', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	const message = (id) => Buffer.from(`<message xmlns="jabber:client" id="${id}"><body>\u007f\u0080\u07ff\u0800\ud7ff\ue000\ufffc\u{10000}\u{10ffff}</body></message>`);
	const arrived = async (id) => {
		const { raw } = await connection.element('message', ({ attributes }) => attributes.id === id);
		assert.ok(raw.equals(message(id)), id);
	};
	for (const byte of encodeFrame(OPCODE.text, message('bytes'))) {
		socket.write(bytes(byte));
	}
	await arrived('bytes');
	await socket.next();
	const whole = message('fragments');
	whole.forEach((byte, i) => socket.frame(i ? OPCODE.continuation : OPCODE.text, bytes(byte), { fin: i === whole.length - 1 }));
	await arrived('fragments');
	await socket.next();
	await socket.finish();
});

test('close: a status that may be sent is echoed, and TCP ends in order', TIMEOUT, async () => {
	const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
	await Promise.all(codes.map(async (code) => {
		const socket = await openWebSocket(stage.port);
		socket.write(Buffer.concat([close(code, 'Ende ä'), encodeFrame(OPCODE.ping, 'behind')]));
		const frames = await socket.untilEnd();
		assert.equal(frames.length, 1, `${code}`);
		assertCloseFrame(frames[0], code);
		assert.equal(socket.error, undefined);
	}));
	const socket = await openWebSocket(stage.port);
	socket.frame(OPCODE.close);
	assertCloseFrame((await socket.untilEnd())[0], 1000);
});

test('close within a fragmented message', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	socket.write(Buffer.concat([encodeFrame(OPCODE.text, '<message xmlns="jabber:client">', { fin: false }), close(1001), encodeFrame(OPCODE.continuation, '</message>')]));
	const frames = await socket.untilEnd();
	assert.equal(frames.length, 1);
	assertCloseFrame(frames[0], 1001);
	await connection.end();
	assert.equal(connection.elements.filter(({ name }) => name === 'message').length, 0);
});

test('several pings that arrive together: each is answered in order, the last one in any case', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	socket.write(Buffer.concat(['1', '2', '3'].map((payload) => encodeFrame(OPCODE.ping, payload))));
	const seen = [];
	while (seen.at(-1) !== '3') {
		const { opcode, payload } = await socket.nextFrame();
		assert.equal(opcode, OPCODE.pong);
		seen.push(payload.toString());
	}
	assert.deepEqual(seen, ['1', '2', '3'].filter((payload) => seen.includes(payload)));
	await socket.finish();
});

test('pings of a client that does not read cost no memory, and the last one is answered', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	const N = 40000;
	socket.socket.pause();
	for (let i = 0; i <= N; i++) {
		socket.frame(OPCODE.ping, `${i}`.padStart(125, 'p'));
	}
	await sleep(500);
	socket.socket.resume();
	for (let frame = await socket.nextFrame(); !frame.payload.toString().endsWith(`p${N}`); frame = await socket.nextFrame()) {
		assert.equal(frame.opcode, OPCODE.pong);
	}
	socket.drop();
});

test('a frame behind the gateway\'s close frame has no effect; the client\'s close frame ends the connection', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	const nBefore = connection.elements.length;
	socket.write(Buffer.concat([encodeFrame(OPCODE.text, '<a xmlns="b"></c>'), text('behind'), encodeFrame(OPCODE.ping, 'behind')]));
	assert.equal((await socket.next()).name, 'error');
	assert.equal((await socket.next()).name, 'close');
	assertCloseFrame(await socket.nextFrame(), 1008);
	socket.write(Buffer.concat([text('late'), close(1008)]));
	assert.equal((await socket.untilEnd()).length, 0);
	assert.equal(socket.error, undefined);
	assert.equal(connection.elements.length, nBefore);
});
