// permessage-deflate (RFC 7692): off unless the operator enables it; each message on its own, with a bound on what it expands to.
import assert from 'node:assert/strict';
import zlib from 'node:zlib';
import { after, before, test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const BODY_BYTES = 20000;
const LOGIN_BYTES = 8192;
const RSV1 = 0x40;
const OFFER = 'permessage-deflate; client_max_window_bits';
const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { websocket_compression: true, body_bytes: BODY_BYTES, ping_interval: 0, sessions_per_address: 1000 });
});
after(() => stopAll(stage));

const open = (port = stage.port, offer = OFFER) => openWebSocket(port, { headers: { 'Sec-WebSocket-Extensions': offer } });

async function loggedIn() {
	const socket = await open();
	await socket.login('plain.test');
	return { socket, connection: await stage.connectionOf('plain') };
}

function deflated(text) {
	const coded = zlib.deflateRawSync(Buffer.from(text), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
	assert.ok(coded.subarray(-4).equals(TAIL));
	return coded.subarray(0, -4);
}

const inflated = (payload) => zlib.inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();
const message = (n, id = 'm') => `<message xmlns='jabber:client' id='${id}'><body></body></message>`.replace(/(?=<\/body>)/, () => 'x'.repeat(Math.max(0, n - 60 - id.length)));

test('it is off by default', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' });
	try {
		const socket = await open(own.port);
		assert.equal(socket.headers['sec-websocket-extensions'], undefined);
		socket.frame(OPCODE.text, deflated('<a/>'), { rsv: RSV1 });
		assert.equal((await socket.nextClose()).code, 1002);
	} finally {
		await stopAll(own);
	}
});

test('it is negotiated only if it is offered in a way that can be taken', TIMEOUT, async () => {
	for (const [offer, answer] of [[OFFER, ANSWER], ['permessage-deflate', ANSWER], ['x, permessage-deflate; y, permessage-deflate', ANSWER], ['permessage-deflate; server_max_window_bits=8', undefined], ['x-webkit-deflate-frame', undefined]]) {
		const socket = await open(stage.port, offer);
		assert.equal(socket.headers['sec-websocket-extensions'], answer, offer);
		await socket.login('plain.test');
		await socket.finish();
	}
});

test('compressed messages, whole, in fragments and mixed with others, reach the server as they were', TIMEOUT, async () => {
	const { socket, connection } = await loggedIn();
	const arrived = async (text, wanted) => {
		const { raw } = await connection.element('message', ({ attributes }) => attributes.id === wanted);
		assert.equal(raw.toString(), text);
	};
	for (const n of [100, 1000, 4000, BODY_BYTES]) {
		const whole = message(n, `whole-${n}`);
		socket.frame(OPCODE.text, deflated(whole), { rsv: RSV1 });
		await arrived(whole, `whole-${n}`);
		await socket.nextFrame();
		const cut = message(n, `cut-${n}`);
		const coded = deflated(cut);
		socket.frame(OPCODE.text, coded.subarray(0, 7), { rsv: RSV1, fin: false });
		socket.frame(OPCODE.ping, 'between');
		socket.frame(OPCODE.continuation, coded.subarray(7));
		await arrived(cut, `cut-${n}`);
		assert.equal((await socket.nextFrame()).opcode, OPCODE.pong);
		await socket.nextFrame();
		const bare = message(100, `bare-${n}`);
		socket.send(bare);
		await arrived(bare, `bare-${n}`);
		await socket.nextFrame();
	}
	await socket.finish();
});

test('long messages to the client are compressed, each on its own; short ones are not', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	for (let i = 0; i < 3; i++) {
		socket.send(message(5000));
		const long = await socket.nextFrame();
		assert.equal(long.rsv, RSV1);
		assert.ok(long.payload.length < 500);
		assert.match(inflated(long.payload), /x{4000}/);
		socket.send(message(200));
		const short = await socket.nextFrame();
		assert.equal(short.rsv, 0);
	}
	await socket.finish();
});

test('a bomb is stopped at the limit of a message, before and after the login', TIMEOUT, async () => {
	for (const isLoggedIn of [false, true]) {
		for (const more of [0, 1]) {
			const socket = await open();
			await (isLoggedIn ? socket.login('plain.test') : socket.start('plain.test'));
			const text = message(100) + ' '.repeat((isLoggedIn ? BODY_BYTES : LOGIN_BYTES) - message(100).length + more);
			const coded = deflated(text);
			assert.ok(coded.length < 500);
			socket.frame(OPCODE.text, coded, { rsv: RSV1 });
			if (more) {
				await assertStreamError(socket, 'policy-violation', { open: false });
			} else {
				assert.equal((await socket.nextFrame()).opcode, OPCODE.text);
			}
			socket.drop();
		}
	}
	const socket = await open();
	await socket.login('plain.test');
	socket.frame(OPCODE.text, deflated(Buffer.alloc(50 * 1024 * 1024, ' ')), { rsv: RSV1 });
	await assertStreamError(socket, 'policy-violation', { open: false });
});

test('what cannot be expanded, or is no UTF-8 then, ends with 1007', TIMEOUT, async () => {
	const rows = { 'no deflate': Buffer.from('Hello'), 'the context of another message': Buffer.from([0xf2, 0x00, 0x11, 0x00, 0x00]), 'no UTF-8': deflated(Buffer.from([0x3c, 0xff])) };
	for (const [what, payload] of Object.entries(rows)) {
		const { socket, connection } = await loggedIn();
		socket.frame(OPCODE.text, payload, { rsv: RSV1 });
		assert.equal((await socket.nextClose()).code, 1007, what);
		await connection.end();
	}
});

test('a compressed binary message is a binary message', TIMEOUT, async () => {
	const { socket } = await loggedIn();
	socket.frame(OPCODE.binary, deflated(message(100)), { rsv: RSV1 });
	await assertStreamError(socket, 'bad-format', { open: false });
});
