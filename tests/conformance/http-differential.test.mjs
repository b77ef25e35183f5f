// What the gateway's engines accept as the head of a request and as chunks, Node's strict parser reads in the same way, or refuses: a
// corpus, and random variants of it with a fixed seed. (libmicrohttpd beside it: tests/unit/gateway/http/test-head-mhd.c.)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { BINARY } from '../support/doab.mjs';
import { patiently } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const JUDGE = path.join(path.dirname(BINARY), '../tests/judge-head');
const VARIANTS = 6000;
const HOST = 'Host: gw.test\r\n';
const CORPUS = [
	`GET / HTTP/1.1\r\n${HOST}\r\n`,
	'GET /a?b=c HTTP/1.0\r\nUser-Agent: x\r\n\r\n',
	`OPTIONS /http-bind HTTP/1.1\r\n${HOST}Origin: https://a.test\r\nAccess-Control-Request-Method: POST\r\n\r\n`,
	`POST /http-bind HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
	'POST //http-bind/ HTTP/1.1\r\nhost:\tgw.test:5280 \r\ncontent-length:5\r\nCookie: a=b\r\nCookie: e=f\r\n\r\nhello',
	`POST http://gw.test/http-bind?x HTTP/1.1\r\n${HOST}Connection: keep-alive\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`,
	`POST /http-bind HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
	`POST /http-bind HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n03\r\nllo\r\n0\r\nX: y\r\n\r\n`,
	`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nA;a=b;c="d"\r\n0123456789\r\n00\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`,
	`PUT /x HTTP/1.1\r\n${HOST}X-Empty:\r\nX-Tabs: a\tb\r\nX-High: \xe4\xff\r\nContent-Length: 0\r\n\r\n`,
	`POST /http-bind HTTP/1.1\r\n${HOST}Content-Length: 5\r\nX: y\r\n\r\nhelloGET /next HTTP/1.1\r\n${HOST}\r\n`,
].map((text) => Buffer.from(text, 'latin1'));
const BYTES = Buffer.from('\r\n \t:,;/?%\0\x7f\xff0159aZ-_.*"(', 'latin1');

// mulberry32
function randomFrom(seed) {
	let state = seed;
	return (n) => {
		state = (state + 0x6D2B79F5) | 0;
		let x = Math.imul(state ^ (state >>> 15), 1 | state);
		x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
		return ((x ^ (x >>> 14)) >>> 0) % n;
	};
}

function vary(text, random) {
	const bytes = [...text];
	for (let i = 1 + random(3); i > 0; i--) {
		const at = random(bytes.length);
		const byte = BYTES[random(BYTES.length)];
		[() => { bytes[at] = byte; }, () => bytes.splice(at, 0, byte), () => bytes.splice(at, 1),
			() => bytes.splice(at, 0, ...bytes.slice(at, at + 20))][random(4)]();
	}
	return Buffer.from(bytes);
}

function judgeAll(requests) {
	const input = Buffer.concat(requests.flatMap((request) => {
		const n = Buffer.alloc(4);
		n.writeUInt32LE(request.length);
		return [n, request];
	}));
	const { status, stdout, error } = spawnSync(JUDGE, { input, maxBuffer: 1 << 24 });
	assert.equal(status, 0, String(error));
	return stdout.toString('latin1').trimEnd().split('\n');
}

// One connection to a server of Node's, without a network: what it reads first, and whether it reads that to its end.
function readByNode(bytes) {
	const seen = { requests: [], isRefused: false };
	const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 1 << 16 }, (request, response) => {
		const one = { request, body: '', isWhole: false };
		seen.requests.push(one);
		request.setEncoding('latin1').on('data', (text) => { one.body += text; }).on('end', () => { one.isWhole = true; }).on('error', () => {});
		response.on('error', () => {});
	});
	server.on('clientError', () => { seen.isRefused = true; });
	server.on('checkContinue', (request) => seen.requests.push({ request, body: '', isWhole: false }));
	const socket = new Duplex({ read() {}, write(chunk, encoding, done) { done(); } });
	socket.setTimeout = () => socket;
	server.emit('connection', socket);
	socket.push(bytes);
	return new Promise((resolve) => setImmediate(() => setImmediate(() => {
		socket.destroy();
		resolve(seen);
	})));
}

const pathOf = (url) => url.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?.*$/, '');

// Compares how both read @bytes. Returns whether both have accepted it.
async function compare(line, bytes, mustBeRead) {
	if (line === '-') {
		assert.ok(!mustBeRead, `refused: ${bytes.toString('latin1')}`);
		return false;
	}
	const [method, where, minor, nHead, nBody, isChunked, isWholeHere, data] = line.split(' ');
	const { requests, isRefused } = await readByNode(bytes);
	const what = JSON.stringify(bytes.toString('latin1'));
	if (!requests.length || (isRefused && !requests[0].isWhole)) {
		assert.ok(!mustBeRead, `Node refuses ${what}`);
		return false;
	}
	const { request, body, isWhole } = requests[0];
	assert.equal(request.method, method, what);
	assert.equal(pathOf(request.url), where, what);
	assert.equal(request.httpVersion, `1.${minor}`, what);
	assert.equal(request.headers['transfer-encoding'] !== undefined, isChunked === '1', what);
	if (isChunked === '0') {
		const rest = bytes.subarray(Number(nHead));
		assert.equal(isWhole, rest.length >= Number(nBody), what);
		assert.equal(body, rest.subarray(0, Number(nBody)).toString('latin1'), what);
	} else {
		assert.equal(body, Buffer.from(data.slice(1, -1), 'hex').toString('latin1'), what);
		assert.equal(isWhole, isWholeHere === '1', what);
	}
	return true;
}

test('the corpus is read in the same way', TIMEOUT, async () => {
	const lines = judgeAll(CORPUS);
	for (let i = 0; i < CORPUS.length; i++) {
		await compare(lines[i], CORPUS[i], true);
	}
});

test(`${VARIANTS} variants are read in the same way, or refused by one`, TIMEOUT, async () => {
	const random = randomFrom(7);
	const variants = Array.from({ length: VARIANTS }, () => vary(CORPUS[random(CORPUS.length)], random));
	const lines = judgeAll(variants);
	let nBoth = 0;
	for (let i = 0; i < VARIANTS; i++) {
		nBoth += await compare(lines[i], variants[i], false) ? 1 : 0;
	}
	assert.ok(nBoth > VARIANTS / 10, `${nBoth} were compared`);
});
