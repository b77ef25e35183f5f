// Request heads: large ones, ill-formed ones, those that come slowly, in pieces, or behind each other; and what is no HTTP at all.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, within } from '../support/util.mjs';
import { WebSocketClient } from '../support/ws.mjs';
import { NS, parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const HEAD_MAX = 16384;
const TARGET_MAX = 8192;
const LINES_MAX = 128;
const PIPELINE_MAX = 8;
const FIRST = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
const ORIGIN = 'https://chat.example.org';
const POST = 'POST /http-bind HTTP/1.1\r\n';
const HOST = 'Host: gw.test\r\n';
let stage;
let slow;
let n_clients = 0;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { wait: 20, hold: 1, inactivity: 30, workers: 2, allow_origins: [ORIGIN] });
	slow = await Stage.open({ plain: 'plain' }, { header_timeout: 3 });
});
after(() => stopAll(stage, slow));

// Each test is a client of its own, for each may cause a few lines of the log only.
const newClient = () => `127.0.1.${++n_clients}`;

async function connect(to = stage) {
	const client = newClient();
	return { client, http: await HttpConnection.open(to.port, '127.0.0.1', client) };
}

// Headers of @n bytes in all, in @lines lines, half of them cookies.
function filler(n, lines) {
	let text = '';
	for (let i = 0; i < lines; i++) {
		const name = i < lines / 2 ? 'Cookie' : `X-Header-${i}`;
		const left = Math.floor((n - text.length) / (lines - i));
		text += `${name}: c${i}=${'v'.repeat(left - name.length - `: c${i}=\r\n`.length)}\r\n`;
	}
	return text;
}

// A head of @n bytes with @lines header lines.
function bigHead(start, n = HEAD_MAX, lines = 100) {
	return `${start}${filler(n - start.length - 2, lines - (start.split('\r\n').length - 2))}\r\n`;
}

const start = (line, headers = '') => `${line}\r\n${HOST}Origin: ${ORIGIN}\r\n${headers}`;

async function assertRefused({ client, http }, status, reason) {
	const answer = await http.response();
	assert.equal(answer.status, status, answer.text);
	assert.match(answer.headers.connection, /close/);
	assert.ok(answer.text.length > 10);
	await within(http.closed, 10000, 'the end of the connection');
	await stage.doab.readLog();
	const line = await stage.doab.logged('request-refused', { client });
	assert.equal(line.reason, reason);
	assert.equal(line.status, String(status));
	return answer;
}

const LARGE = {
	'BOSH': [start('POST /http-bind HTTP/1.1', `Content-Length: ${FIRST.length}\r\n`), FIRST, 200],
	'BOSH, chunked': [start('POST /http-bind HTTP/1.1', 'Transfer-Encoding: chunked\r\n'), `${FIRST.length.toString(16)}\r\n${FIRST}\r\n0\r\n\r\n`, 200],
	'the page': [start('GET / HTTP/1.1'), '', 200],
};

for (const [what, [begin, body, status]] of Object.entries(LARGE)) {
	test(`a head of 16 KB with 8 KB of cookies in 100 lines: ${what}`, TIMEOUT, async () => {
		const { http } = await connect();
		http.write(bigHead(begin) + body);
		const answer = await http.response();
		assert.equal(answer.status, status, answer.text.slice(0, 200));
		http.close();
	});
}

test('a head of 16 KB with 8 KB of cookies in 100 lines: a WebSocket', TIMEOUT, async () => {
	const { http } = await connect();
	const { request } = WebSocketClient.handshake('/xmpp-websocket', 'xmpp', { Origin: ORIGIN });
	http.write(bigHead(request.slice(0, -2)));
	assert.equal((await http.head()).status, 101);
	http.close();
});

for (const [what, head, status, reason] of [
	['16 KB and a byte', bigHead(start('GET / HTTP/1.1'), HEAD_MAX + 1), 431, 'head-too-large'],
	['a head that never ends', bigHead(start('GET / HTTP/1.1'), HEAD_MAX + 100).slice(0, -4), 431, 'head-too-large'],
	['129 lines', bigHead(start('GET / HTTP/1.1'), 8000, LINES_MAX + 1), 431, 'too-many-headers'],
	['a target of 8 KB and a byte', `GET /${'x'.repeat(TARGET_MAX)} HTTP/1.1\r\n${HOST}\r\n`, 414, 'target-too-long'],
]) {
	test(`${what}: ${status}`, TIMEOUT, async () => {
		const connection = await connect();
		connection.http.write(head);
		const answer = await assertRefused(connection, status, reason);
		if (status === 431) {
			assert.equal(answer.headers['access-control-allow-origin'], ORIGIN);
		}
	});
}

test('128 lines and a target of 8 KB are served', TIMEOUT, async () => {
	const { http } = await connect();
	http.write(bigHead(start('GET / HTTP/1.1'), 8000, LINES_MAX));
	assert.equal((await http.response()).status, 200);
	http.write(`GET /${'x'.repeat(TARGET_MAX - 1)} HTTP/1.1\r\n${HOST}\r\n`);
	assert.equal((await http.response()).status, 404);
	http.close();
});

for (const [what, request, status, reason] of [
	['no Host', `${POST}\r\n`, 400, 'bad-host'],
	['two Hosts', `${POST}${HOST}${HOST}\r\n`, 400, 'bad-host'],
	['NUL in a header', `${POST}${HOST}X: a\0b\r\n\r\n`, 400, 'control-byte'],
	['a control byte in a header', `${POST}${HOST}X: a\x01b\r\n\r\n`, 400, 'control-byte'],
	['a folded header', `${POST}${HOST}X: a\r\n b\r\n\r\n`, 400, 'folded-header'],
	['a bare LF', `${POST}${HOST}X: a\n\r\n`, 400, 'bad-line-end'],
	['a space before the colon', `${POST}${HOST}Content-Length : 1\r\n\r\n`, 400, 'bad-header-name'],
	['two lengths', `${POST}${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400, 'ambiguous-length'],
	['a length and chunks', `${POST}${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400, 'ambiguous-length'],
	['another transfer coding', `${POST}${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501, 'unknown-transfer-coding'],
	['HTTP/2.0', `POST /http-bind HTTP/2.0\r\n${HOST}\r\n`, 505, 'bad-version'],
	['no path', `GET http-bind HTTP/1.1\r\n${HOST}\r\n`, 400, 'bad-target'],
	['a method that is no token', `G(T / HTTP/1.1\r\n${HOST}\r\n`, 400, 'bad-method'],
]) {
	test(`ill-formed, ${what}: ${status}, on a new connection and on a used one`, TIMEOUT, async () => {
		const connection = await connect();
		connection.http.write(request);
		await assertRefused(connection, status, reason);
		const used = await connect();
		assert.equal((await used.http.request('GET', '/', {})).status, 200);
		used.http.write(request);
		await assertRefused(used, status, reason);
	});
}

for (const [what, bytes, reason] of [
	['TLS', '\x16\x03\x01\x02\x00\x01\x00', /TLS/],
	['an XMPP stream', '<?xml version=\'1.0\'?><stream:stream>', /XMPP/],
	['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', /SSH/],
	['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /HTTP\/2/],
	['a PROXY header', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n', /PROXY/],
	['bytes', '\xff\xfe\x00', /unknown/],
]) {
	test(`no HTTP, ${what}: closed at once, with a line`, TIMEOUT, async () => {
		const { client, http } = await connect();
		http.write(Buffer.from(bytes, 'latin1'));
		await within(http.closed, 5000, 'the end of the connection');
		assert.equal(http.buffer.length, 0);
		assert.match((await stage.doab.logged('not-http', { client })).reason, reason);
	});
}

for (const target of ['http://gw.test/http-bind', 'HTTPS://other.test:81/http-bind?x=http://y', '//http-bind', '///http-bind//', '/http%2Dbind']) {
	test(`BOSH at ${target}`, TIMEOUT, async () => {
		const { http } = await connect();
		const answer = await http.request('POST', target, { body: FIRST });
		assert.match(answer.text, /sid=/);
		http.close();
	});
}

for (const target of ['http://gw.test/xmpp-websocket', '//xmpp-websocket/', '/xmpp%2Dwebsocket']) {
	test(`a WebSocket at ${target}`, TIMEOUT, async () => {
		const { http } = await connect();
		assert.ok(!(await http.upgrade(target)).refused);
		http.close();
	});
}

test('the lists of a handshake may stand in several lines', TIMEOUT, async () => {
	const { http } = await connect();
	http.write(`GET /xmpp-websocket HTTP/1.1\r\n${HOST}Connection: keep-alive\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
		+ 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
		+ 'Sec-WebSocket-Protocol: xmpp\r\n\r\n');
	assert.equal((await http.head()).status, 101);
	http.close();
});

test('a slow head and a slow body are cut off, with 408 and a line; a connection without a byte just ends', TIMEOUT, async () => {
	const [head, body, idle] = [await connect(slow), await connect(slow), await connect(slow)];
	head.http.write(`POST /http-bind HTTP/1.1\r\n${HOST}X: `);
	body.http.write(`POST /http-bind HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\n<bod`);
	for (const { client, http } of [head, body]) {
		const answer = await http.response();
		assert.equal(answer.status, 408);
		assert.equal(answer.headers['access-control-allow-origin'], '*');
		await within(http.closed, 10000, 'the end of the connection');
		assert.equal((await slow.doab.logged('request-refused', { client })).reason, 'too-slow');
	}
	await within(idle.http.closed, 10000, 'the end of an idle connection');
	assert.equal(slow.doab.events.filter(({ client }) => client === idle.client).length, 0);
});

test('one that drips its request does not get more time', TIMEOUT, async () => {
	const { http } = await connect(slow);
	const drip = setInterval(() => http.isOpen && http.write('x'), 100);
	http.write(`POST /http-bind HTTP/1.1\r\n${HOST}X: `);
	assert.equal((await http.response()).status, 408);
	clearInterval(drip);
	http.close();
});

// A session, and the bytes of its next request for a connection by hand.
async function session() {
	const client = new BoshClient(stage.port);
	await client.create('plain.test');
	await client.features();
	return { client, connection: await stage.connectionOf('plain') };
}

function nextBytes(client, payload = '') {
	const body = client.bodyText({ rid: ++client.rid, sid: client.sid }, payload);
	return HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': Buffer.byteLength(body) }) + body;
}

test('requests behind a held one are read, and answered in their order', TIMEOUT, async () => {
	const { client, connection } = await session();
	const { http } = await connect();
	http.write(nextBytes(client));
	await stage.doab.hasRequest(client);
	// With hold='1' the second releases the first; what it brings reaches the server at once.
	http.write(nextBytes(client, '<presence xmlns="jabber:client" id="second"/>') + HttpConnection.requestHead('GET', '/elsewhere', {}));
	await connection.element('presence', (element) => element.attributes.id === 'second');
	assert.equal(parse((await http.response()).text).children.length, 0);
	// The page's answer is ready, and waits for its turn.
	await sleep(100);
	assert.equal(http.buffer.length, 0);
	connection.send('<message id="m"/>');
	assert.equal(parse((await http.response()).text).children[0].attributes.id, 'm');
	assert.equal((await http.response()).status, 404);
	http.close();
});

test('more requests than are read ahead, of all kinds, in one packet', TIMEOUT, async () => {
	const { client, connection } = await session();
	const { http } = await connect();
	const get = (target) => HttpConnection.requestHead('GET', target, {});
	const chunked = `${POST}${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\n<junk\r\n0\r\n\r\n`;
	http.write(nextBytes(client) + get('/elsewhere').repeat(2 * PIPELINE_MAX) + get('/') + chunked + get('/http-bind'));
	await stage.doab.hasRequest(client);
	connection.send('<message id="m"/>');
	assert.equal(parse((await http.response()).text).children[0].attributes.id, 'm');
	for (let i = 0; i < 2 * PIPELINE_MAX; i++) {
		assert.equal((await http.response()).status, 404);
	}
	assert.equal((await http.response()).status, 200);
	assert.match((await http.response()).text, /bad-request/);
	assert.equal((await http.response()).status, 200);
	http.close();
});

test('a WebSocket behind a held request waits until that is answered', TIMEOUT, async () => {
	const { client, connection } = await session();
	const { http } = await connect();
	const { request } = WebSocketClient.handshake('/xmpp-websocket', 'xmpp', {});
	http.write(nextBytes(client) + request);
	await stage.doab.hasRequest(client);
	connection.send('<message id="m"/>');
	assert.equal(parse((await http.response()).text).children[0].attributes.id, 'm');
	assert.equal((await http.head()).status, 101);
	http.close();
});

test('a preflight and then requests on the same connection, which is not closed', TIMEOUT, async () => {
	const { client } = await session();
	const { http } = await connect();
	assert.equal((await http.request('OPTIONS', '/http-bind', { headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' } })).status, 204);
	http.write(nextBytes(client, '<message xmlns="jabber:client" id="e"/>'));
	const answer = await http.response();
	assert.equal(answer.headers.connection, undefined);
	assert.equal(parse(answer.text).children[0].attributes.id, 'e');
	http.close();
});

test('a request byte by byte, and a body in pieces behind its head', TIMEOUT, async () => {
	const { client } = await session();
	const { http } = await connect();
	for (const byte of nextBytes(client, '<message xmlns="jabber:client" id="b"/>')) {
		http.write(byte);
		await sleep(1);
	}
	assert.equal(parse((await http.response()).text).children[0].attributes.id, 'b');
	const bytes = nextBytes(client, `<message xmlns="jabber:client" id="c"><body>${'x'.repeat(40000)}</body></message>`);
	for (let at = 0; at < bytes.length; at += 7000) {
		http.write(bytes.slice(at, at + 7000));
		await sleep(2);
	}
	assert.equal(parse((await http.response()).text).children[0].attributes.id, 'c');
	http.close();
});
