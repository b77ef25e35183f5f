// What waits in the gateway for a WebSocket client that does not read, when the client goes, or its session ends: each stanza reaches it,
// or goes back to its sender, once and in order. The client reads on after its end, so that none is left in a kernel's buffer.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { Authority } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder, until } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const N_BYTES = 8192;
const HIGH_WATER = 256 * 1024;
// More than the kernels keep for a client that does not read, and the gateway; less than what they keep for a server.
const N_STANZAS = 160;
const SEND_BUFFER = 65536;
const RSV1 = 0x40;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const CODED = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } };
const MANAGED = '<enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/>';
let folder;
let stage;
let pinging;
let plain; // the options of clients
let coded;
let secured;

before(async () => {
	folder = temporaryFolder('unsent');
	const authority = new Authority(folder);
	const front = authority.issue('front', ['localhost']);
	const [port, tlsPort, pingPort] = [await freePort(), await freePort(), await freePort()];
	const listeners = {
		[`127.0.0.1:${port}`]: { send_buffer: SEND_BUFFER },
		[`127.0.0.1:${tlsPort}`]: { send_buffer: SEND_BUFFER, tls: { certificate: front.certificate, key: front.key } },
	};
	stage = await Stage.open({ plain: 'no-echo' }, { websocket_compression: true, ping_interval: 0, listeners });
	plain = { port };
	coded = { port, ...CODED };
	secured = { port: tlsPort, secure: { ca: readFileSync(authority.certificate), servername: 'localhost' } };
	pinging = await Stage.open({ plain: 'no-echo' }, { websocket_compression: true, ping_interval: 2,
		listeners: { [`127.0.0.1:${pingPort}`]: { send_buffer: SEND_BUFFER } } });
	pinging.clients = { plain: { port: pingPort }, coded: { port: pingPort, ...CODED } };
});
after(async () => {
	await stopAll(stage, pinging);
	removeFolder(folder);
});

// The text does not become much shorter when it is compressed.
const stanza = (i) => `<message from='a@else.test/x' to='user@plain.test/scripted' id='n${i}'><body>${randomBytes(N_BYTES / 2).toString('hex')}</body></message>`;
const idsUpTo = (n) => Array.from({ length: n }, (_, i) => `n${i}`);

// A session whose client does not read, and whose server has written all that it has to say.
async function fullSession(on, options, first = '', nStanzas = N_STANZAS) {
	const socket = await openWebSocket(options.port, options);
	if (options.headers) {
		assert.match(socket.headers['sec-websocket-extensions'], /^permessage-deflate/);
	}
	socket.answersPings = false;
	await socket.login('plain.test');
	const connection = await on.connectionOf('plain');
	connection.socket.setMaxListeners(0);
	if (first) {
		connection.send(first);
		await socket.nextFrame();
	}
	const nBefore = connection.elements.length;
	socket.socket.pause();
	for (let i = 0; i < nStanzas; i++) {
		connection.send(stanza(i));
	}
	await connection.writes;
	await on.doab.readsNoMoreOf(connection.socket);
	const returned = () => connection.elements.slice(nBefore);
	return { socket, connection, returned };
}

function idOf({ opcode, rsv, payload }) {
	const text = rsv & RSV1 ? zlib.inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.constants.Z_SYNC_FLUSH }) : payload;
	return opcode === OPCODE.text ? /id='(n\d+)'/.exec(text.toString())?.[1] : undefined;
}

// Reads on, to the end. Resolves with the stanzas, and the last frame.
async function received({ socket }) {
	socket.socket.resume();
	const frames = await socket.untilEnd(20000);
	return { ids: frames.map(idOf).filter(Boolean), last: frames.at(-1) };
}

async function assertEachOnce(session, what) {
	const { connection, returned } = session;
	await until(() => returned().length, 20000, `${what}: something goes back`);
	const { ids, last } = await received(session);
	await connection.end(20000);
	const back = returned();
	const told = back.map(({ attributes }) => attributes.id);
	assert.deepEqual([...ids, ...told], idsUpTo(N_STANZAS), `${what}: up to ${ids.at(-1)}, and from ${told[0]} to ${told.at(-1)}`);
	assert.ok(ids.length && back.length * N_BYTES > HIGH_WATER, `${what}: ${ids.length} received, ${back.length} returned`);
	for (const { name, attributes, text } of back) {
		assert.deepEqual([name, attributes.type, attributes.to], ['message', 'error', 'a@else.test/x'], what);
		assert.match(text, /[0-9a-f]{8}<\/body>.*<recipient-unavailable /);
	}
	assert.equal(connection.streamEnds, 1, what);
	return last;
}

const closeFrame = ({ socket }) => socket.frame(OPCODE.close, Buffer.from([3, 232]));
const isClose = (frame) => frame.opcode === OPCODE.close && frame.payload.readUInt16BE() === 1000;

test('a client that is silent', TIMEOUT, async () => {
	const { clients } = pinging;
	const sessions = { plain: await fullSession(pinging, clients.plain), coded: await fullSession(pinging, clients.coded) };
	await Promise.all(Object.entries(sessions).map(([what, session]) => assertEachOnce(session, what)));
});

test('a client that ends the connection', TIMEOUT, async () => {
	const sessions = { plain: await fullSession(stage, plain), coded: await fullSession(stage, coded), secured: await fullSession(stage, secured) };
	await Promise.all(Object.entries(sessions).map(([what, session]) => {
		session.socket.socket.end();
		return assertEachOnce(session, what);
	}));
});

test('a client that sends a close frame: it gets ours behind what had begun', TIMEOUT, async () => {
	const sessions = { plain: await fullSession(stage, plain), coded: await fullSession(stage, coded), secured: await fullSession(stage, secured) };
	await Promise.all(Object.entries(sessions).map(async ([what, session]) => {
		closeFrame(session);
		assert.ok(isClose(await assertEachOnce(session, what)), what);
	}));
});

// The session ends in order, and its client reads nothing.

const CLOSE = `<close xmlns='${NS.framing}'/>`;
// What a client has to read what waits, and what kernels and the machine take.
const CLOSE_S = 10;
const MARGIN_S = 5;

const sayClose = ({ socket }) => socket.send(CLOSE);
const endSide = ({ socket }) => socket.socket.end();
const ENDS = {
	'it says <close/>': [sayClose],
	'it says <close/>, compressed': [sayClose],
	'it says <close/>, over TLS': [sayClose],
	'it says <close/>, and sends a close frame': [sayClose, closeFrame],
	'it says <close/>, and ends the connection': [sayClose, endSide],
	'all three': [sayClose, closeFrame, endSide],
	'it breaks a rule of XMPP': [({ socket }) => socket.send('<message xmlns="jabber:client"><!-- no --></message>')],
	'it breaks a rule of WebSocket': [({ socket }) => socket.frame(OPCODE.text, 'no mask', { mask: false })],
};

test('a client whose session ends, and that reads nothing', TIMEOUT, async () => {
	const sessions = [];
	for (const [what, steps] of Object.entries(ENDS)) {
		const options = /compressed/.test(what) ? coded : /TLS/.test(what) ? secured : plain;
		sessions.push({ what, steps, session: await fullSession(stage, options) });
	}
	await Promise.all(sessions.map(async ({ what, steps, session }, i) => {
		// One after the other: a busy machine must return each megabyte in the time that there is for it.
		await sleep(1000 * i);
		const started = Date.now();
		steps.forEach((step) => step(session));
		await assertEachOnce(session, what);
		const ms = Date.now() - started;
		assert.ok(ms < patiently((CLOSE_S + MARGIN_S) * 1000), `${what}: ${ms} ms`);
	}));
});

test('a client that says <close/>, and vanishes', TIMEOUT, async () => {
	const { socket, connection, returned } = await fullSession(stage, plain);
	socket.send(CLOSE);
	await sleep(300);
	assert.deepEqual([returned(), connection.streamEnds], [[], 0], 'the client may still read');
	socket.socket.resetAndDestroy();
	await until(() => connection.hasEnded, 5000, 'the end of the stream');
	const ids = returned().map(({ attributes }) => attributes.id);
	assert.ok(ids.length * N_BYTES > HIGH_WATER, `${ids.length} returned`);
	assert.deepEqual(ids, idsUpTo(N_STANZAS).slice(-ids.length));
	assert.equal(connection.streamEnds, 1);
});

test('a client that says <close/>, and reads: it gets everything, then the stream ends', TIMEOUT, async () => {
	const { socket, connection, returned } = await fullSession(stage, plain);
	socket.send(CLOSE);
	await sleep(300);
	socket.socket.resume();
	let last;
	const ids = [];
	for (let frame = await socket.nextFrame(); frame?.opcode === OPCODE.text; frame = await socket.nextFrame()) {
		last = frame;
		ids.push(idOf(frame));
	}
	await connection.end();
	// What had not been read of the server yet comes too late.
	const back = returned().map(({ attributes }) => attributes.id);
	assert.match(last.payload.toString(), /^<close /);
	assert.deepEqual([...ids.filter(Boolean), ...back], idsUpTo(N_STANZAS));
	assert.ok(ids.length * N_BYTES > HIGH_WATER, `${ids.length} received`);
	assert.equal(connection.streamEnds, 1);
});

test('the server closes its stream, and takes what comes until ours is closed (RFC 6120, 4.4)', TIMEOUT, async () => {
	const first = await fullSession(stage, plain);
	first.socket.socket.resetAndDestroy();
	await first.connection.end(5000);
	// The gateway reads the end of the stream only where there was never more than HIGH_WATER that waited, and what the kernels keep
	// differs from one session to the next, by 80 KB: some of these sessions are right.
	const nKernels = N_STANZAS - first.returned().length;
	const sessions = [];
	for (const nMore of [4, 8, 12, 16, 20, 24]) {
		sessions.push({ ...await fullSession(stage, plain, '', nKernels + nMore), n: nKernels + nMore });
	}
	sessions.forEach(({ connection }) => connection.send('</stream:stream>'));
	await until(() => sessions.some(({ returned }) => returned().length), 20000, 'something goes back');
	await Promise.all(sessions.map(async (session) => {
		const { connection, returned, n } = session;
		const { ids } = await received(session);
		await connection.end();
		const back = returned().map(({ attributes }) => attributes.id);
		assert.deepEqual([...ids, ...back], idsUpTo(n));
		assert.ok(back.length * N_BYTES < HIGH_WATER, `${back.length} returned`);
		assert.equal(connection.streamEnds, 1);
	}));
});

test('the gateway stops: likewise, before it is gone', TIMEOUT, async () => {
	const port = await freePort();
	const own = await Stage.open({ plain: 'no-echo' }, { websocket_compression: true, ping_interval: 0,
		listeners: { [`127.0.0.1:${port}`]: { send_buffer: SEND_BUFFER } } });
	let isStopped = false;
	try {
		const sessions = { plain: await fullSession(own, { port }), coded: await fullSession(own, { port, ...CODED }) };
		const stopped = own.doab.stop();
		isStopped = true;
		await Promise.all(Object.entries(sessions).map(([what, session]) => assertEachOnce(session, what)));
		await stopped;
	} finally {
		await (isStopped ? stopAll(...Object.values(own.servers)) : own.stop());
	}
});

test('the server manages the stream (XEP-0198), and the client says <close/>: nothing goes back, and the stream ends at once', TIMEOUT, async () => {
	const { socket, connection, returned } = await fullSession(stage, plain, MANAGED);
	socket.send(CLOSE);
	await until(() => connection.hasEnded, 5000, 'the end of the stream');
	assert.deepEqual(returned(), []);
	assert.equal(connection.streamEnds, 1);
});

test('the server manages the stream (XEP-0198): nothing goes back, and the stream does not end', TIMEOUT, async () => {
	const session = await fullSession(stage, plain, MANAGED);
	session.socket.socket.resetAndDestroy();
	await until(() => session.connection.hasEnded, 20000, 'the end of the connection');
	assert.deepEqual(session.returned(), []);
	assert.equal(session.connection.streamEnds, 0);
});
