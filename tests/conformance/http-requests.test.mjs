// Each rule of RFC 9110 and RFC 9112 for what a server reads, with a request that tries it: on a new connection, and behind requests
// of other kinds on the same connection. A request for another path follows each: it is answered where the connection goes on, and
// not where it must end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const PIECES = 40;
const HOST = 'Host: gw.test\r\n';
const BODY = `<body xmlns='${NS.httpbind}' rid='1' sid='nosuch'/>`;
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const READ = /item-not-found/; // what BODY is answered
const NEXT = `GET /the-next HTTP/1.1\r\n${HOST}\r\n`;
const hex = (n) => n.toString(16);
const chunk = (text, size = hex(text.length)) => `${size}\r\n${text}\r\n`;
const WHOLE = chunk(BODY) + chunk('');
const GZIPPED = zlib.gzipSync(BODY).toString('latin1');
let one;
let several; // workers: each request is looked at for the owner of its session first

before(async () => {
	one = await Stage.open({ plain: 'plain' }, { compression: true, workers: 1 });
	several = await Stage.open({ plain: 'plain' }, { compression: true, workers: 2 });
});
after(() => stopAll(one, several));

const get = (target, headers = '', version = 'HTTP/1.1') => `GET ${target} ${version}\r\n${HOST}${headers}\r\n`;
const post = (headers, body = '', version = 'HTTP/1.1') => `POST /http-bind ${version}\r\n${HOST}${headers}\r\n${body}`;
const line = (text) => `${text}\r\n${HOST}\r\n`;
const BAD = { status: 400, ends: true };
const OK = { status: 200 };
const DONE = { status: 200, text: READ };

// What is on the connection before: requests that are answered, each with its status. Each is tried with several workers, too.
const BEFORE = {
	'a new connection': [],
	'a new connection, in pieces': [],
	'behind a plain request': [[get('/'), 200]],
	'behind a chunked request': [[post(CHUNKED, WHOLE), 200]],
	'behind an escaped path': [[get('/crossdomain%2exml'), 200]],
	'behind a coded body': [[post(`Content-Encoding: gzip\r\nContent-Length: ${GZIPPED.length}\r\n`, GZIPPED), 200]],
};

// By the section of RFC 9112 or RFC 9110: [what, request, expected].
const RULES = {
	'9112, 2.2: lines end with CR LF': [
		['a bare LF', `GET / HTTP/1.1\n${HOST}\r\n`, BAD],
		['a bare LF behind a header', `GET / HTTP/1.1\r\nHost: a\n\r\n`, BAD],
		['a bare LF as the empty line', `GET / HTTP/1.1\r\n${HOST}\n`, BAD],
		['a bare CR in a header', get('/', 'X: a\rb\r\n'), BAD],
		['a bare CR instead of a line\'s end', post(`X: a\rTransfer-Encoding: chunked\r\n`), BAD],
		['an empty line ahead of the request', `\r\n${get('/')}`, OK],
		['white space ahead of the first header', `GET / HTTP/1.1\r\n ${HOST}\r\n`, BAD],
	],
	'9112, 2.3 and 9110, 2.5: versions': [
		['a higher minor version is read as the highest known one', get('/', '', 'HTTP/1.2'), OK],
		['a higher minor version needs a Host', 'GET / HTTP/1.9\r\n\r\n', BAD],
		['another major version', get('/', '', 'HTTP/2.0'), { status: 505, ends: true }],
		['another major version, 0.9', get('/', '', 'HTTP/0.9'), { status: 505, ends: true }],
		['lower case', get('/', '', 'http/1.1'), BAD],
		['two digits', get('/', '', 'HTTP/1.10'), BAD],
		['no minor version', get('/', '', 'HTTP/1'), BAD],
		['none', line('GET /'), BAD],
	],
	'9112, 3: the request line': [
		['two spaces', line('GET  / HTTP/1.1'), BAD],
		['a tab', line('GET\t/ HTTP/1.1'), BAD],
		['a space at its end', line('GET / HTTP/1.1 '), BAD],
		['a space in the target', line('GET /a b HTTP/1.1'), BAD],
		['a fragment', line('GET /#a HTTP/1.1'), BAD],
		['a byte outside ASCII', line('GET /\xe4 HTTP/1.1'), BAD],
	],
	'9112, 3.2: targets': [
		['the absolute form', line('GET http://other.test/crossdomain.xml HTTP/1.1'), OK],
		['the absolute form without a path', line('GET http://other.test HTTP/1.1'), OK],
		['the absolute form of another scheme', line('GET ftp://other.test/ HTTP/1.1'), BAD],
		['the absolute form without a host', line('GET http:/// HTTP/1.1'), BAD],
		['the absolute form with a user', line('GET http://a:b@other.test/ HTTP/1.1'), BAD],
		['the absolute form does not replace a Host', 'GET http://other.test/ HTTP/1.1\r\n\r\n', BAD],
		['the asterisk form', line('OPTIONS * HTTP/1.1'), { status: 204, allow: 'GET, HEAD, OPTIONS, POST' }],
		['the asterisk form of another method', line('GET * HTTP/1.1'), BAD],
		['the authority form', line('CONNECT other.test:443 HTTP/1.1'), { status: 501 }],
		['the authority form without a port', line('CONNECT other.test HTTP/1.1'), BAD],
		['the authority form with an empty port', line('CONNECT other.test: HTTP/1.1'), BAD],
		['the authority form of another method', line('GET other.test:443 HTTP/1.1'), BAD],
		['the origin form of CONNECT', line('CONNECT / HTTP/1.1'), BAD],
	],
	'9112, 3.2: Host': [
		['none', 'GET / HTTP/1.1\r\n\r\n', BAD],
		['two', get('/', HOST), BAD],
		['a list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', BAD],
		['none in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', { status: 200, ends: true }],
		...['a b', 'a/b', 'u@a', 'a:b', 'a:1:2', '[::1', '::1', '[]', '[::1]x', '[g]', 'a:80 b', '%zz', '%4', 'a?b', '"a"', 'a\\b', '\xe4'].map((host) =>
			[`malformed: ${host}`, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, BAD]),
		...['a', 'a:', 'a:80', '127.0.0.1:5280', '[::1]', '[::1]:80', '[v1.a:b]', '', 'a_b', 'a.', '%41', 'a;b=c'].map((host) =>
			[`well-formed: ${host}`, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, OK]),
	],
	'9112, 5: headers': [
		['white space before the colon', get('/', 'X : a\r\n'), BAD],
		['white space before the colon of a length', post(`Content-Length : ${BODY.length}\r\n`, BODY), BAD],
		['a folded line', get('/', 'X: a\r\n b\r\n'), BAD],
		['a folded line with a tab', get('/', 'X: a\r\n\tb\r\n'), BAD],
		['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', WHOLE), BAD],
		['no colon', get('/', 'X\r\n'), BAD],
		['no name', get('/', ': a\r\n'), BAD],
		['NUL', get('/', 'X: a\0b\r\n'), BAD],
		['NUL in a name', get('/', 'X\0: a\r\n'), BAD],
		['DEL', get('/', 'X: a\x7f\r\n'), BAD],
		['an empty value', get('/', 'X:\r\n'), OK],
		['bytes outside ASCII', get('/', 'X: \xe4\xff\r\n'), OK],
		['white space around a value', post(`Content-Length: \t ${BODY.length} \t\r\n`, BODY), DONE],
	],
	'9112, 6.1: Transfer-Encoding': [
		['with a length', post(`${LENGTH}${CHUNKED}`, WHOLE), BAD],
		['with a length behind it', post(`${CHUNKED}${LENGTH}`, WHOLE), BAD],
		['in HTTP/1.0', post(CHUNKED, WHOLE, 'HTTP/1.0'), BAD],
		['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', WHOLE), BAD],
		['chunked in two lines', post(`${CHUNKED}${CHUNKED}`, WHOLE), BAD],
		['chunked that is not the last', post('Transfer-Encoding: chunked, identity\r\n', WHOLE), BAD],
		['chunked that is not in the last line', post(`${CHUNKED}Transfer-Encoding: gzip\r\n`, WHOLE), BAD],
		['no chunked', post('Transfer-Encoding: gzip\r\n', WHOLE), BAD],
		['identity', post('Transfer-Encoding: identity\r\n', WHOLE), BAD],
		['identity with a length', post(`Transfer-Encoding: identity\r\n${LENGTH}`, BODY), BAD],
		['an empty one', post('Transfer-Encoding:\r\n', WHOLE), BAD],
		['an empty item', post('Transfer-Encoding: , chunked\r\n', WHOLE), BAD],
		['a parameter', post('Transfer-Encoding: chunked;a=b\r\n', WHOLE), BAD],
		['quotes', post('Transfer-Encoding: "chunked"\r\n', WHOLE), BAD],
		['a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', WHOLE), BAD],
		['one that is not known', post('Transfer-Encoding: gzip, chunked\r\n', WHOLE), { status: 501, ends: true }],
		['one that is not known in a line ahead', post(`Transfer-Encoding: gzip\r\n${CHUNKED}`, WHOLE), { status: 501, ends: true }],
		['in capitals', post('TRANSFER-ENCODING: CHUNKED\r\n', WHOLE), DONE],
	],
	'9112, 6.2: Content-Length': [
		...['+5', '-5', '0x5', '5 5', '5,6', '5, 5', '5;', '"5"', '', ' ', '1e1', '5.0', '\x0b5', '18446744073709551616', '9223372036854775808',
			'99999999999999999999999999'].map((length) => [`malformed: ${length}`, post(`Content-Length: ${length}\r\n`, 'hello'), BAD]),
		['two different ones', post(`${LENGTH}Content-Length: 1\r\n`, BODY), BAD],
		['two equal ones', post(`${LENGTH}${LENGTH}`, BODY), BAD],
		['zeros ahead', post(`Content-Length: 000${BODY.length}\r\n`, BODY), DONE],
		['none', post(''), { status: 200, text: /bad-request/ }],
	],
	'9112, 7.1: chunks': [
		['several', post(CHUNKED, chunk(BODY.slice(0, 7)) + chunk(BODY.slice(7)) + chunk('')), DONE],
		['zeros ahead of a size', post(CHUNKED, chunk(BODY, `000000000000${hex(BODY.length)}`) + chunk('')), DONE],
		['zeros as the last size', post(CHUNKED, `${chunk(BODY)}0000000000\r\n\r\n`), DONE],
		['capital digits', post(CHUNKED, chunk(BODY.padEnd(0xab), 'AB') + chunk('')), DONE],
		['an extension', post(CHUNKED, `${chunk(BODY, `${hex(BODY.length)};a;b=c;d="e;\\"f"`)}0;g\r\n\r\n`), DONE],
		['an extension with white space', post(CHUNKED, chunk(BODY, `${hex(BODY.length)} ; a = b`) + chunk('')), DONE],
		...['"a', '=', 'a=', 'a b', ';', '\xff'].map((text) => [`an extension is ignored, whatever it says: ${text}`,
			post(CHUNKED, chunk(BODY, `${hex(BODY.length)};${text}`) + chunk('')), DONE]),
		['trailers', post(CHUNKED, `${chunk(BODY)}0\r\nX: a\r\nContent-Length: 5\r\n\r\n`), DONE],
		...['', '-1', '+1', '0x1', ' 1', '1 ', 'g', '1g', '"1"', '1,', ';a', '10000000000000000', 'ffffffffffffffff', '8000000000000000', '000000000000000010000000000000000',
			'1;a\0', '1;a\x7f', '1;a\rb', '1\t'].map((size) => [`a size that is none: ${JSON.stringify(size)}`, post(CHUNKED, chunk('x', size) + chunk('')), BAD]),
		['a line that ends with LF', post(CHUNKED, `${hex(BODY.length)}\n${BODY}\r\n0\r\n\r\n`), BAD],
		['an extension that ends with LF', post(CHUNKED, `${hex(BODY.length)};a\n${BODY}\r\n0\r\n\r\n`), BAD],
		['a chunk that ends with LF', post(CHUNKED, `${hex(BODY.length)}\r\n${BODY}\n0\r\n\r\n`), BAD],
		['a chunk that ends with CR', post(CHUNKED, `${hex(BODY.length)}\r\n${BODY}\r0\r\n\r\n`), BAD],
		['a chunk that ends with other bytes', post(CHUNKED, `${hex(BODY.length)}\r\n${BODY}xx0\r\n\r\n`), BAD],
		['an end with LF', post(CHUNKED, `${chunk(BODY)}0\r\n\n`), BAD],
		['a last size that ends with LF', post(CHUNKED, `${chunk(BODY)}0\n\r\n`), BAD],
		['a trailer that ends with LF', post(CHUNKED, `${chunk(BODY)}0\r\nX: a\n\r\n`), BAD],
		['a trailer without a colon', post(CHUNKED, `${chunk(BODY)}0\r\nX\r\n\r\n`), BAD],
		['a folded trailer', post(CHUNKED, `${chunk(BODY)}0\r\nX: a\r\n b\r\n\r\n`), BAD],
		['NUL in a trailer', post(CHUNKED, `${chunk(BODY)}0\r\nX: a\0\r\n\r\n`), BAD],
		['a chunk in a request that is refused', `POST /nothing HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${WHOLE}`, { status: 404 }],
		['an endless extension', post(CHUNKED, `1;${'a'.repeat(100000)}`), BAD],
		['endless trailers', post(CHUNKED, `${chunk(BODY)}0\r\n${'X: a\r\n'.repeat(20000)}`), BAD],
		['a body of nothing but extensions', post(CHUNKED, `1;${'a'.repeat(200)}\r\nx\r\n`.repeat(2000)), BAD],
	],
	'9112, 9: connections': [
		['close', get('/', 'Connection: close\r\n'), { status: 200, ends: true }],
		['close among others, in capitals', get('/', 'Connection: foo, CLOSE\r\n'), { status: 200, ends: true }],
		['close in another line', get('/', 'Connection: keep-alive\r\nConnection: close\r\n'), { status: 200, ends: true }],
		['close of a chunked request', post(`${CHUNKED}Connection: close\r\n`, WHOLE), { ...DONE, ends: true }],
		['keep-alive', get('/', 'Connection: keep-alive\r\n'), OK],
		['HTTP/1.0', get('/', '', 'HTTP/1.0'), { status: 200, ends: true }],
		['HTTP/1.0 with keep-alive', get('/', 'Connection: keep-alive\r\n', 'HTTP/1.0'), { status: 200, ends: true }],
		['an error goes on', get('/nothing'), { status: 404 }],
	],
	'9110, 6.4 and 9.3.1: a body of any method is read': [
		['GET', `GET / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /`, OK],
		['GET, chunked', `GET / HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${WHOLE}`, OK],
		['HEAD', `HEAD / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /`, { status: 200, method: 'HEAD' }],
		['OPTIONS', `OPTIONS / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /`, { status: 204 }],
		['PUT', `PUT / HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${WHOLE}`, { status: 405, allow: 'GET, HEAD, OPTIONS' }],
	],
	'9110, 7.8: Upgrade': [
		['of HTTP/1.0 is ignored', get('/xmpp-websocket', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
			'Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n', 'HTTP/1.0'), { status: 200, ends: true }],
		['at another path is ignored', get('/', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'), OK],
		['426 says so in Connection, too', get('/xmpp-websocket', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n' +
			'Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'), { status: 426, headers: { upgrade: 'websocket', connection: 'Upgrade' } }],
	],
	'9110, 9.1: methods': [
		['PUT', line('PUT / HTTP/1.1'), { status: 405, allow: 'GET, HEAD, OPTIONS' }],
		['POST where it is not taken', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, { status: 405, allow: 'GET, HEAD, OPTIONS' }],
		['DELETE', line('DELETE /http-bind HTTP/1.1'), { status: 405, allow: 'GET, HEAD, OPTIONS, POST' }],
		['TRACE', line('TRACE / HTTP/1.1'), { status: 405, allow: 'GET, HEAD, OPTIONS' }],
		['PATCH', line('PATCH / HTTP/1.1'), { status: 405, allow: 'GET, HEAD, OPTIONS' }],
		['PUT where nothing is', line('PUT /nothing HTTP/1.1'), { status: 404 }],
		['one that is not known', line('BREW / HTTP/1.1'), { status: 501 }],
		['one that is not known, where nothing is', line('BREW /nothing HTTP/1.1'), { status: 501 }],
		['lower case is another method', line('get / HTTP/1.1'), { status: 501 }],
		['one that is as long as may be', line(`${'A'.repeat(24)} / HTTP/1.1`), { status: 501 }],
		['one that is longer', line(`${'A'.repeat(25)} / HTTP/1.1`), { status: 501, ends: true }],
		['a malformed one', line('G(T / HTTP/1.1'), BAD],
	],
	'9110, 10.1.1: Expect': [
		['100-continue', post(`${LENGTH}Expect: 100-continue\r\n`, ''), { status: 100, then: BODY, finally: DONE }],
		['100-Continue, chunked', post(`${CHUNKED}Expect: 100-Continue\r\n`, ''), { status: 100, then: WHOLE, finally: DONE }],
		['with a part of the body, no 100 is needed', post(`${LENGTH}Expect: 100-continue\r\n`, BODY), { ...DONE, inOnePiece: true }],
		['without a body', get('/', 'Expect: 100-continue\r\n'), OK],
		['without a body, of length 0', `POST /nothing HTTP/1.1\r\n${HOST}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n`, { status: 404 }],
		['of HTTP/1.0 is ignored', post(`${LENGTH}Expect: 100-continue\r\n`, BODY, 'HTTP/1.0'), { ...DONE, ends: true }],
		['something else', post(`${LENGTH}Expect: 200-ok\r\n`, BODY), { status: 417, ends: true }],
		['something else, too', post(`${LENGTH}Expect: 100-continue, 200-ok\r\n`, BODY), { status: 417, ends: true }],
		['a body that is too large is refused at once', post('Content-Length: 99999999\r\nExpect: 100-continue\r\n'), { status: 200, text: /policy-violation/, ends: true }],
	],
	'9110, 8.4: Content-Encoding': [
		['one that is not known', post(`Content-Encoding: br\r\n${LENGTH}`, BODY), { status: 415, headers: { 'accept-encoding': 'gzip, deflate' } }],
		['one that is not known, chunked', post(`Content-Encoding: br\r\n${CHUNKED}`, WHOLE), { status: 415 }],
		['gzip', post(`Content-Encoding: gzip\r\nContent-Length: ${GZIPPED.length}\r\n`, GZIPPED), DONE],
		['gzip in chunks', post(`Content-Encoding: gzip\r\n${CHUNKED}`, chunk(GZIPPED.slice(0, 9)) + chunk(GZIPPED.slice(9)) + chunk('')), DONE],
		['gzip that is none', post(`Content-Encoding: gzip\r\n${LENGTH}`, BODY), { status: 200, text: /bad-request/ }],
		['identity', post(`Content-Encoding: identity\r\n${LENGTH}`, BODY), DONE],
	],
	'9110, 13: conditions': [
		['If-None-Match of another tag', get('/crossdomain.xml', 'If-None-Match: "x"\r\n'), OK],
		['If-None-Match of any tag', get('/crossdomain.xml', 'If-None-Match: *\r\n'), { status: 304 }],
		['If-Match of another tag', get('/crossdomain.xml', 'If-Match: "x"\r\n'), { status: 412 }],
		['If-Match of any tag', get('/crossdomain.xml', 'If-Match: *\r\n'), OK],
		['If-Match where nothing is', get('/nothing', 'If-Match: "x"\r\n'), { status: 404 }],
		['dates are ignored without dates', get('/crossdomain.xml', 'If-Modified-Since: Sat, 29 Oct 2044 19:43:31 GMT\r\nIf-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n'), OK],
		['Range is ignored', get('/crossdomain.xml', 'Range: bytes=0-3\r\nIf-Range: "x"\r\n'), OK],
	],
	'RFC 3986: escapes': [
		['of bytes that need none', get('/crossdomain%2Exml'), OK],
		['of a slash', get('/%2fcrossdomain.xml'), OK],
		['of NUL', get('/crossdomain.xml%00'), { status: 404 }],
		['that are none', get('/crossdomain%2'), BAD],
		['that are none, of digits', get('/crossdomain%zzxml'), BAD],
		['of escapes', get('/crossdomain%252exml'), { status: 404 }],
	],
};

async function answered(connection, expected, what) {
	const answer = await connection.response({ method: expected.method });
	assert.equal(answer.status, expected.status, `${what}: ${answer.text.slice(0, 200)}`);
	assert.match(answer.text, expected.text ?? /(?:)/, what);
	assert.equal(answer.headers.allow, expected.allow ?? answer.headers.allow, what);
	for (const [name, value] of Object.entries(expected.headers ?? {})) {
		assert.equal(answer.headers[name], value, `${what}: ${name}`);
	}
	if (expected.status !== 100) {
		assert.equal(/\bclose\b/.test(answer.headers.connection), Boolean(expected.ends), `${what}: ${answer.headers.connection}`);
	}
	return answer;
}

// Writes @bytes at once, or in up to @n pieces that arrive one by one.
async function write(connection, bytes, n) {
	const size = Math.ceil(bytes.length / n);
	for (let at = 0; at < bytes.length; at += size) {
		connection.write(bytes.subarray(at, at + size));
		await sleep(n > 1 ? 1 : 0);
	}
}

async function tryOne({ stage, before, nPieces }, what, request, expected) {
	const connection = await HttpConnection.open(stage.port);
	try {
		for (const [bytes, status] of before) {
			connection.write(Buffer.from(bytes, 'latin1'));
			await answered(connection, { status }, `${what}, before`);
		}
		if (expected.then) {
			await write(connection, Buffer.from(request, 'latin1'), nPieces);
			await answered(connection, expected, what);
			await write(connection, Buffer.from(expected.then + NEXT, 'latin1'), nPieces);
		} else {
			await write(connection, Buffer.from(request + NEXT, 'latin1'), nPieces);
		}
		const last = expected.finally ?? expected;
		await answered(connection, last, what);
		if (last.ends) {
			await within(connection.closed, 10000, 'the end of the connection');
			assert.equal(connection.buffer.toString('latin1'), '', `${what}: nothing follows`);
		} else {
			await answered(connection, { status: 404 }, `${what}, the next`);
		}
	} finally {
		connection.close();
	}
}

for (const [rule, cases] of Object.entries(RULES)) {
	for (const [way, before] of Object.entries(BEFORE)) {
		test(`${rule}: ${way}`, TIMEOUT, async () => {
			const mistakes = [];
			await Promise.all([one, several].flatMap((stage) => cases.map(async ([what, request, expected]) => {
				try {
					await tryOne({ stage, before, nPieces: way.endsWith('pieces') && !expected.inOnePiece ? PIECES : 1 }, what, request, expected);
				} catch (error) {
					mistakes.push(`${stage === one ? 'one worker' : 'several'}: ${what}: ${error.message.replace(/\n/g, ' ').slice(0, 300)}`);
				}
			})));
			assert.deepEqual(mistakes, []);
		});
	}
}
