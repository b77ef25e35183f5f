// HTTP content coding (XEP-0124, "HTTP Overview"; RFC 9110, 8.4, 12.5.3 and 15.5.16): requests and answers in gzip and
// deflate, by Node's own zlib, and what must not be let through.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { NS, parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const BODY_BYTES = 20000;
const LISTED = 'https://chat.example.org';
// Those of gateway/http/coding.h and coder.h.
const TEXT_MIN = 1024;
const TEXT_MAX = 128 * 1024;
const BLOCKS_FREE = 64;
const DECODE = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync };
let on;
let off;
let large;

before(async () => {
	on = await Stage.open({ plain: 'plain' }, { compression: true, body_bytes: BODY_BYTES, workers: 2, sessions_per_address: 1000 });
	off = await Stage.open({ plain: 'plain' }, { allow_origins: [LISTED] });
	large = await Stage.open({ plain: 'plain' }, { compression: true, allow_origins: [LISTED], body_bytes: 300000 });
});
after(() => stopAll(on, off, large));

// A BOSH client that codes its requests and reads answers in the coding that they say they are in. Each request has a
// connection of its own, so that any worker may get it.
class CodingClient extends BoshClient {
	constructor(port, { encode = (bytes) => bytes, ...headers } = {}) {
		super(port, { headers });
		this.encode = encode;
	}

	async post(bytes, { headers = {}, encode = this.encode } = {}) {
		const answer = await httpRequest(this.port, 'POST', this.target,
			{ body: encode(Buffer.from(bytes)), headers: { ...this.headers, ...headers }, ms: 20000 });
		answer.coding = answer.headers['content-encoding'];
		answer.text = (answer.coding ? DECODE[answer.coding](answer.body) : answer.body).toString('utf8');
		Object.defineProperty(answer, 'element', { get: () => parse(answer.text) });
		return answer;
	}

	// Sends a message whose echo has @n characters, and resolves with the answer that brings it.
	async echo(n, options) {
		const id = `echo-${randomBytes(8).toString('hex')}`;
		const empty = `<message xmlns='jabber:client' id='${id}'><body></body></message>`;
		let answer = await this.request(empty.replace('></body>', `>${'abcdefgh'.repeat(n / 8 + 1).slice(0, n)}</body>`), {}, options);
		for (let i = 0; !answer.text.includes(id); i++) {
			assert.ok(i < 5, `no echo: ${answer.text}`);
			answer = await this.request('', {}, options);
		}
		return answer;
	}

	// The same, for an answer that has @n bytes in all when it is not coded.
	async answerOf(n, options) {
		const around = Buffer.byteLength((await this.echo(100, { headers: { 'Accept-Encoding': '' } })).text) - 100;
		const answer = await this.echo(n - around, options);
		assert.equal(Buffer.byteLength(answer.text), n);
		return answer;
	}
}

async function session(stage, options) {
	const client = new CodingClient(stage.port, options);
	await client.create('plain.test');
	await client.features();
	return client;
}

const CODERS = {
	gzip: { 'Content-Encoding': 'gzip', encode: zlib.gzipSync },
	'GZip, in capitals': { 'Content-Encoding': 'GZip', encode: zlib.gzipSync },
	'x-gzip': { 'Content-Encoding': 'x-gzip', encode: zlib.gzipSync },
	'gzip of several members': { 'Content-Encoding': 'gzip',
		encode: (bytes) => Buffer.concat([bytes.subarray(0, 9), bytes.subarray(9)].map((part) => zlib.gzipSync(part))) },
	'deflate, in zlib\'s format': { 'Content-Encoding': 'deflate', encode: zlib.deflateSync },
	'deflate, bare': { 'Content-Encoding': 'deflate', encode: zlib.deflateRawSync },
	identity: { 'Content-Encoding': 'identity' },
	'a charset by mistake': { 'Content-Encoding': 'UTF-8' },
	'an empty list': { 'Content-Encoding': ', ' },
	'gzip in chunks': { 'Content-Encoding': 'gzip', encode: zlib.gzipSync, 'Transfer-Encoding': 'chunked' },
};

// The Content-Length that HttpConnection puts in would make a chunked request ambiguous.
async function postChunked(client, bytes) {
	const connection = await HttpConnection.open(client.port);
	const data = client.encode(Buffer.from(bytes));
	connection.write(HttpConnection.requestHead('POST', '/http-bind', client.headers));
	for (let at = 0; at < data.length; at += 50) {
		const chunk = data.subarray(at, at + 50);
		connection.write(Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]));
	}
	connection.write('0\r\n\r\n');
	const answer = await connection.response({ ms: 20000 });
	connection.close();
	return { ...answer, element: parse(answer.text) };
}

for (const [what, { ...options }] of Object.entries(CODERS)) {
	test(`a session whose requests are in ${what}`, TIMEOUT, async () => {
		const client = new CodingClient(on.port, options);
		if (options['Transfer-Encoding']) {
			client.post = (bytes) => postChunked(client, bytes);
		}
		assert.equal(await client.login('plain.test'), 'user@plain.test/scripted');
		const stanza = `<message xmlns='jabber:client' to='a@b' id='coded'><body>ä漢😀 ${'x'.repeat(3000)}</body></message>`;
		const echo = await client.exchange(stanza, (element) => element.attributes.id === 'coded');
		assert.equal(echo.at('body').text, `ä漢😀 ${'x'.repeat(3000)}`);
		const connection = await on.connectionOf('plain');
		assert.equal((await connection.element('message', (e) => e.attributes.id === 'coded')).text, stanza, 'the very bytes reach the server');
		await client.terminate();
	});
}

for (const value of ['br', 'zstd', 'compress', 'gzip, gzip', 'deflate, gzip', 'br, gzip', 'gzip;q=1', '*']) {
	test(`a request in '${value}' is 415, which harms no session`, TIMEOUT, async () => {
		const client = await session(on);
		const refused = await client.request('<message xmlns=\'jabber:client\' id=\'no\'/>', {},
			{ headers: { 'Content-Encoding': value, Origin: 'https://anywhere.example' } });
		assert.equal(refused.status, 415);
		assert.equal(refused.headers['accept-encoding'], 'gzip, deflate');
		assert.equal(refused.headers['access-control-allow-origin'], '*');
		client.rid--;
		await client.exchange('<message xmlns=\'jabber:client\' id=\'yes\'/>', (element) => element.attributes.id === 'yes');
		await client.terminate();
	});
}

test('Content-Encoding twice is two codings', TIMEOUT, async () => {
	const connection = await HttpConnection.open(on.port);
	const body = zlib.gzipSync(zlib.gzipSync('x'));
	connection.write(`POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
	connection.write(body);
	assert.equal((await connection.response()).status, 415);
	connection.close();
});

test('an unknown coding does not hide that a path or a method is wrong', TIMEOUT, async () => {
	const headers = { 'Content-Encoding': 'br' };
	assert.equal((await httpRequest(on.port, 'POST', '/elsewhere', { headers, body: 'x' })).status, 404);
	assert.equal((await httpRequest(on.port, 'PUT', '/http-bind', { headers, body: 'x' })).status, 405);
	assert.equal((await httpRequest(on.port, 'GET', '/http-bind', { headers })).status, 200);
});

// With the byte at @at, from the end when it is negative, changed.
function flip(bytes, at) {
	const copy = Buffer.from(bytes);
	copy[at < 0 ? copy.length + at : at] ^= 0x55;
	return copy;
}

const BROKEN = {
	'nothing': () => Buffer.alloc(0),
	'a text that is not coded at all': (text) => text,
	'half of it': (text, encode) => encode(text).subarray(0, 60),
	'all but the last byte': (text, encode) => encode(text).subarray(0, -1),
	'something behind its end': (text, encode) => Buffer.concat([encode(text), Buffer.from('x')]),
	'zeros behind its end': (text, encode) => Buffer.concat([encode(text), Buffer.alloc(10)]),
	'a wrong check': (text, encode) => flip(encode(text), encode === zlib.gzipSync ? -5 : -1),
	'a coding within the coding': (text, encode) => encode(encode(text)),
};

for (const [what, breakIt] of Object.entries(BROKEN)) {
	for (const [coding, encode] of [['gzip', zlib.gzipSync], ['deflate', zlib.deflateSync]]) {
		test(`a body in ${coding} that is broken: ${what}`, TIMEOUT, async () => {
			const client = await session(on);
			const connection = await on.connectionOf('plain');
			const nBefore = connection.elements.length;
			const answer = await client.request('<message xmlns=\'jabber:client\' id=\'broken\'/>', {},
				{ encode: (text) => breakIt(text, encode), headers: { 'Content-Encoding': coding, Origin: 'https://anywhere.example' } });
			const named = ['all but the last byte', 'something behind its end', 'zeros behind its end', 'a wrong check'].includes(what);
			assertTerminated(answer, 'bad-request', named ? 200 : answer.status);
			assert.equal(answer.headers['access-control-allow-origin'], '*');
			assert.equal(connection.elements.length, nBefore, 'nothing of it reached the server');
			if (named) {
				// The session can be read in what is there, and is over as with every bad request.
				await connection.end();
			}
		});
	}
}

// A request of exactly @n bytes, of a session.
const padded = (client, n) => {
	const text = client.bodyText({ rid: ++client.rid, sid: client.sid }, '<message xmlns=\'jabber:client\' id=\'padded\'/>');
	return text + ' '.repeat(n - text.length);
};

for (const [coding, encode] of [['gzip', zlib.gzipSync], ['deflate', zlib.deflateSync], ['deflate', zlib.deflateRawSync]]) {
	test(`the bound of body_bytes is on the text: n and n + 1, by ${encode.name}`, TIMEOUT, async () => {
		const client = await session(on);
		const options = { encode, headers: { 'Content-Encoding': coding } };
		const answer = await client.post(padded(client, BODY_BYTES), options);
		assert.equal(answer.element.attributes.type, undefined, answer.text);
		const connection = await on.connectionOf('plain');
		await connection.element('message', (e) => e.attributes.id === 'padded');
		assertTerminated(await client.post(padded(client, BODY_BYTES + 1), options), 'policy-violation');
		await connection.end();
	});

	test(`a bomb is not expanded, by ${encode.name}`, TIMEOUT, async () => {
		const client = await session(large);
		const connection = await large.connectionOf('plain');
		const memory = () => Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${large.doab.serverPid}/status`, 'utf8'))[1]);
		const before = memory();
		const head = client.bodyText({ rid: ++client.rid, sid: client.sid }, '<a/>').replace('<a/></body>', '');
		const bomb = encode(Buffer.concat([Buffer.from(head), Buffer.alloc(200 * 1024 * 1024, ' ')]), { level: 9 });
		assert.ok(bomb.length < 300000, `${bomb.length} bytes`);
		assertTerminated(await client.post(bomb, { encode: (bytes) => bytes, headers: { 'Content-Encoding': coding } }), 'policy-violation');
		assert.ok(memory() - before < 30000, `${memory() - before} KB more than before`);
		await connection.end();
	});
}

test('blocks that bring no text are a policy-violation', TIMEOUT, async () => {
	const block = Buffer.from([0, 0, 0, 0xff, 0xff]);
	const text = (client, n) => Buffer.concat([...Array(n).fill(block),
		zlib.deflateRawSync(client.bodyText({ rid: ++client.rid, sid: client.sid }, '<message xmlns=\'jabber:client\' id=\'b\'/>'))]);
	const options = { encode: (bytes) => bytes, headers: { 'Content-Encoding': 'deflate' } };
	const few = await session(on);
	assert.equal((await few.post(text(few, BLOCKS_FREE), options)).element.attributes.type, undefined);
	const many = await session(on);
	assertTerminated(await many.post(text(many, BLOCKS_FREE + 1), options), 'policy-violation');
});

test('a coded request that is too large as it is sent ends its session, too', TIMEOUT, async () => {
	const client = await session(on);
	const connection = await on.connectionOf('plain');
	const text = client.bodyText({ rid: ++client.rid, sid: client.sid }, `<message xmlns='jabber:client'>${randomBytes(BODY_BYTES).toString('base64')}</message>`);
	const data = zlib.gzipSync(text, { level: 0 });
	assert.ok(data.length > BODY_BYTES);
	assertTerminated(await client.post(data, { encode: (bytes) => bytes, headers: { 'Content-Encoding': 'gzip' } }), 'policy-violation');
	await connection.end();
});

// Answers.

for (const [accept, expected] of Object.entries({ gzip: 'gzip', deflate: 'deflate', 'gzip, deflate, br, zstd': 'gzip', 'deflate, gzip;q=0.5': 'deflate',
	'*': 'gzip', 'br, *;q=0.1': 'gzip', 'gzip;q=0': undefined, 'gzip;q=0.5, identity': undefined, identity: undefined, '': undefined, br: undefined,
	'X-GZIP': 'gzip' })) {
	test(`an answer for 'Accept-Encoding: ${accept}' is in ${expected ?? 'no coding'}`, TIMEOUT, async () => {
		const client = await session(on, { 'Accept-Encoding': accept });
		const answer = await client.echo(3000);
		assert.equal(answer.coding, expected);
		assert.equal(Number(answer.headers['content-length']), answer.body.length);
		assert.equal(answer.headers.vary, 'Accept-Encoding');
		assert.match(answer.headers['content-type'], /^text\/xml; charset=utf-8$/i);
		assert.equal(answer.element.all('message').at(-1).at('body').text.length, 3000);
		assert.ok(!expected || answer.body.length < 1000, `${answer.body.length} bytes`);
		await client.terminate();
	});
}

test('Accept-Encoding may be in several lines, or absent', TIMEOUT, async () => {
	for (const [lines, expected] of [['Accept-Encoding: br\r\nAccept-Encoding: gzip;q=0.5\r\n', 'gzip'], ['', undefined]]) {
		const connection = await HttpConnection.open(on.port);
		connection.write(`GET / HTTP/1.1\r\nHost: x\r\n${lines}\r\n`);
		assert.equal((await connection.response()).headers['content-encoding'], expected);
		connection.close();
	}
});

test('answers below and above the sizes that are worth it are not coded', TIMEOUT, async () => {
	const client = await session(large, { 'Accept-Encoding': 'gzip' });
	assert.equal((await client.answerOf(TEXT_MIN - 1)).coding, undefined);
	assert.equal((await client.answerOf(TEXT_MIN)).coding, 'gzip');
	assert.equal((await client.answerOf(TEXT_MAX)).coding, 'gzip');
	assert.equal((await client.answerOf(TEXT_MAX + 1)).coding, undefined);
	await client.terminate();
});

test('a client that refuses identity gets even a short answer coded', TIMEOUT, async () => {
	const client = await session(on, { 'Accept-Encoding': 'gzip, identity;q=0' });
	assert.equal((await client.echo(1)).coding, 'gzip');
	await client.terminate();
});

test('what is said during login is too short to be coded', TIMEOUT, async () => {
	const client = new CodingClient(on.port, { 'Accept-Encoding': 'gzip' });
	const codings = [];
	const post = client.post.bind(client);
	client.post = async (...args) => {
		const answer = await post(...args);
		codings.push(answer.coding);
		return answer;
	};
	await client.login('plain.test');
	assert.ok(codings.length >= 4);
	assert.deepEqual(codings.filter(Boolean), []);
	await client.terminate();
});

test('a repeat gets the same answer in the coding that it asks for itself', TIMEOUT, async () => {
	const client = await session(on);
	const text = (await client.echo(3000, { headers: { 'Accept-Encoding': 'gzip' } })).text;
	for (const [accept, coding] of [['', undefined], ['deflate', 'deflate'], ['gzip', 'gzip'], ['', undefined]]) {
		const repeat = await client.request('', { rid: client.rid }, { headers: { 'Accept-Encoding': accept } });
		assert.equal(repeat.coding, coding);
		assert.equal(repeat.text, text);
	}
	await client.terminate();
});

test('Vary names what an answer depends on', TIMEOUT, async () => {
	const ask = async (stage, method, target) => (await httpRequest(stage.port, method, target, { body: method === 'POST' ? 'x' : undefined })).headers.vary;
	for (const [method, target] of [['GET', '/'], ['GET', '/crossdomain.xml'], ['POST', '/http-bind'], ['GET', '/elsewhere'], ['HEAD', '/']]) {
		assert.equal(await ask(on, method, target), 'Accept-Encoding', `${method} ${target}`);
		assert.equal(await ask(large, method, target), 'Origin, Accept-Encoding', `${method} ${target}`);
		assert.equal(await ask(off, method, target), 'Origin', `${method} ${target}`);
	}
	assert.equal(await ask(on, 'OPTIONS', '/http-bind'), undefined);
	assert.equal(await ask(large, 'OPTIONS', '/http-bind'), 'Origin');
});

test('the page is coded, for GET and HEAD alike', TIMEOUT, async () => {
	const ask = (method, accept) => httpRequest(on.port, method, '/', { headers: { 'Accept-Encoding': accept } });
	const plain = await ask('GET', '');
	assert.equal(plain.headers['content-encoding'], undefined);
	for (const coding of ['gzip', 'deflate']) {
		const get = await ask('GET', coding);
		assert.equal(get.headers['content-encoding'], coding);
		assert.equal(Number(get.headers['content-length']), get.body.length);
		assert.equal(DECODE[coding](get.body).toString(), plain.text);
		assert.ok(get.body.length < plain.body.length / 2);
		const head = await ask('HEAD', coding);
		assert.equal(head.headers['content-encoding'], coding);
		assert.equal(head.headers['content-length'], get.headers['content-length']);
		assert.equal(head.headers.vary, get.headers.vary);
	}
	assert.equal((await ask('HEAD', '')).headers['content-length'], plain.headers['content-length']);
});

test('policy files are coded when they are long enough', TIMEOUT, async () => {
	const origins = Array.from({ length: 100 }, (_, i) => `https://site${i}.example.org`);
	const stage = await Stage.open({}, { compression: true, allow_origins: origins });
	try {
		for (const target of ['/crossdomain.xml', '/clientaccesspolicy.xml']) {
			const plain = await httpRequest(stage.port, 'GET', target);
			const coded = await httpRequest(stage.port, 'GET', target, { headers: { 'Accept-Encoding': 'gzip' } });
			assert.equal(coded.headers['content-encoding'], 'gzip');
			assert.equal(zlib.gunzipSync(coded.body).toString(), plain.text);
			const short = await httpRequest(on.port, 'GET', target, { headers: { 'Accept-Encoding': 'gzip' } });
			assert.equal(short.headers['content-encoding'], undefined);
		}
	} finally {
		await stage.stop();
	}
});

test('HTTP/1.0 both ways', TIMEOUT, async () => {
	const client = await session(on);
	const text = client.bodyText({ rid: ++client.rid, sid: client.sid }, `<message xmlns='jabber:client' id='old'><body>${'x'.repeat(2000)}</body></message>`);
	const body = zlib.gzipSync(text);
	const connection = await HttpConnection.open(on.port);
	connection.write(`POST /http-bind HTTP/1.0\r\nAccept-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
	connection.write(body);
	const answer = await connection.response({ ms: 20000 });
	await connection.closed;
	assert.equal(answer.headers['content-encoding'], 'gzip');
	assert.equal(Number(answer.headers['content-length']), answer.body.length);
	assert.match(zlib.gunzipSync(answer.body).toString(), /id='old'/);
	await client.terminate();
});

test('without the key nothing is coded: requests are 415, answers as they are', TIMEOUT, async () => {
	const client = await session(off, { 'Accept-Encoding': 'gzip, deflate' });
	const answer = await client.echo(3000);
	assert.equal(answer.coding, undefined);
	assert.equal(answer.headers.vary, 'Origin');
	const refused = await client.request('', {}, { encode: zlib.gzipSync, headers: { 'Content-Encoding': 'gzip', Origin: LISTED } });
	assert.equal(refused.status, 415);
	assert.equal(refused.headers['accept-encoding'], 'identity');
	assert.equal(refused.headers['access-control-allow-origin'], LISTED);
	client.rid--;
	assert.equal((await client.echo(2000, { headers: { 'Content-Encoding': 'identity' } })).coding, undefined);
	assert.equal((await httpRequest(off.port, 'GET', '/', { headers: { 'Accept-Encoding': 'gzip' } })).headers['content-encoding'], undefined);
	await client.terminate();
});

test('a client that asks for codings by itself reads what it gets: fetch()', TIMEOUT, async () => {
	const client = new CodingClient(on.port);
	client.post = async (bytes) => {
		const response = await fetch(on.doab.boshUrl, { method: 'POST', body: bytes });
		const text = await response.text();
		return { status: response.status, coding: response.headers.get('content-encoding'), text, element: parse(text) };
	};
	await client.login('plain.test');
	const answer = await client.echo(3000);
	assert.equal(answer.coding, 'gzip');
	await client.terminate();
});
