// What RFC 9110 and RFC 9112 demand of every answer, whoever in the gateway gives it: its reader, the endpoints, the admin listener.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertDated } from '../support/assertions.mjs';
import { Authority } from '../support/certificates.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const HOST = 'Host: a\r\n';
const BODY = `<body xmlns='${NS.httpbind}' rid='1' sid='nosuch'/>`;
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const UPGRADE = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
	'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n';
let stage;
let admin;
let tlsPort;
let folder;

before(async () => {
	folder = temporaryFolder('http-rules');
	admin = await freePort();
	tlsPort = await freePort();
	const { certificate, key } = new Authority(folder).issue('front', ['localhost']);
	stage = await Stage.open({ plain: 'plain' }, { allow_origins: ['https://chat.example.org'], header_timeout: 3, compression: true, public_bosh_url: 'https://a.example/http-bind', admin: `127.0.0.1:${admin}`,
		listeners: { [`127.0.0.1:${tlsPort}`]: { tls: { certificate, key } } } });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

// Sends @text on a connection of its own; resolves with the answer to @method.
async function send(text, { method = text.split(' ')[0], port = stage.port } = {}) {
	const connection = await HttpConnection.open(port);
	connection.write(text);
	try {
		return await connection.response({ method });
	} finally {
		connection.close();
	}
}

const DATED = {
	'the page': [`GET / HTTP/1.1\r\n${HOST}\r\n`, 200],
	'HEAD': [`HEAD /crossdomain.xml HTTP/1.1\r\n${HOST}\r\n`, 200],
	'a document that the client has': [`GET /crossdomain.xml HTTP/1.1\r\n${HOST}If-None-Match: *\r\n\r\n`, 304],
	'a preflight': [`OPTIONS /http-bind HTTP/1.1\r\n${HOST}\r\n`, 204],
	'BOSH': [`POST /http-bind HTTP/1.1\r\n${HOST}${LENGTH}\r\n${BODY}`, 200],
	'another page\'s BOSH': [`POST /http-bind HTTP/1.1\r\n${HOST}Origin: http://b\r\n${LENGTH}\r\n${BODY}`, 403],
	'no such path': [`GET /nothing HTTP/1.1\r\n${HOST}\r\n`, 404],
	'no such method': [`PUT / HTTP/1.1\r\n${HOST}\r\n`, 405],
	'a malformed request': [`GET / HTTP/1.1\r\n\r\n`, 400],
	'a slow request': ['GET / HT', 408],
	'HTTP/1.0': ['GET / HTTP/1.0\r\n\r\n', 200],
	'a WebSocket': [`GET /xmpp-websocket HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 101],
	'a WebSocket of another version': [`GET /xmpp-websocket HTTP/1.1\r\n${HOST}${UPGRADE.replace('13', '8')}\r\n`, 426],
	'an escaped path': [`GET /crossdomain%2exml HTTP/1.1\r\n${HOST}\r\n`, 200],
	'an escaped path, HEAD': [`HEAD /crossdomain%2exml HTTP/1.1\r\n${HOST}\r\n`, 200],
	'an escaped path, a document that the client has': [`GET /crossdomain%2exml HTTP/1.1\r\n${HOST}If-None-Match: *\r\n\r\n`, 304],
	'an escaped path, a WebSocket': [`GET /xmpp%2dwebsocket HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`, 101],
	'HTTP on a listener with TLS': [`GET / HTTP/1.1\r\n${HOST}\r\n`, 400, () => tlsPort],
	'the admin listener': [`GET /healthz HTTP/1.1\r\n${HOST}\r\n`, 200, () => admin],
};

for (const [what, [text, status, port]] of Object.entries(DATED)) {
	test(`an answer has one Date: ${what}`, TIMEOUT, async () => {
		const answer = await send(text, { port: port?.() });
		assert.equal(answer.status, status, answer.text);
		assertDated(answer);
	});
}

test('the answers to requests that were pipelined have a Date, also those that waited for others', TIMEOUT, async () => {
	const connection = await HttpConnection.open(stage.port);
	const create = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
	connection.write(`POST /http-bind HTTP/1.1\r\n${HOST}Content-Length: ${create.length}\r\n\r\n${create}GET /nothing HTTP/1.1\r\n${HOST}\r\n`);
	for (const status of [200, 404]) {
		const answer = await connection.response();
		assert.equal(answer.status, status);
		assertDated(answer);
	}
	connection.close();
});

const READ = ['/', '/http-bind', '/xmpp-websocket', '/crossdomain.xml', '/clientaccesspolicy.xml', '/.well-known/host-meta', '/.well-known/host-meta.json',
	'/nothing', '/crossdomain%2exml'];

// RFC 9110, 9.3.2.
for (const target of READ) {
	test(`HEAD has the headers of GET: ${target}`, TIMEOUT, async () => {
		for (const headers of ['', 'Accept: text/html\r\n', 'Accept-Encoding: gzip\r\n', 'Accept-Encoding: identity;q=0, *\r\n', 'Origin: https://chat.example.org\r\n',
			'If-None-Match: *\r\n', 'If-Match: "x"\r\n', 'Connection: close\r\n']) {
			const [get, head] = await Promise.all(['GET', 'HEAD'].map((method) => send(`${method} ${target} HTTP/1.1\r\n${HOST}${headers}\r\n`)));
			delete get.headers.date;
			delete head.headers.date;
			assert.equal(head.status, get.status);
			assert.deepEqual(head.headers, get.headers, headers);
			assert.equal(head.body.length, 0);
		}
	});
}

// RFC 9110, 12.5.5: what an answer depends on.
for (const [target, vary] of [['/', 'Origin, Accept-Encoding'], ['/http-bind', 'Origin, Accept-Encoding, Accept'], ['/xmpp-websocket/', 'Origin, Accept-Encoding, Accept'],
	['/crossdomain.xml', 'Origin, Accept-Encoding'], ['/nothing', 'Origin, Accept-Encoding']]) {
	test(`Vary: ${target}`, TIMEOUT, async () => {
		for (const headers of ['', 'Accept: text/html\r\n', 'Accept-Encoding: gzip\r\n', 'Origin: https://chat.example.org\r\n', 'Origin: null\r\n', 'If-None-Match: *\r\n']) {
			assert.equal((await send(`GET ${target} HTTP/1.1\r\n${HOST}${headers}\r\n`)).headers.vary, vary, headers);
		}
	});
}

// RFC 9110, 8.6: the length of a body, of which 204 and 304 have none. What a 304 has besides: 15.4.5.
test('Content-Length stands where a body may, and nowhere else', TIMEOUT, async () => {
	for (const [text, status, length] of [['OPTIONS /http-bind', 204], ['OPTIONS *', 204], ['GET /crossdomain.xml', 304], ['HEAD /', 304], ['GET /crossdomain%2exml', 304]]) {
		const { status: found, headers, text: body } = await send(`${text} HTTP/1.1\r\n${HOST}If-None-Match: *\r\n\r\n`);
		assert.equal(found, status, text);
		assert.equal(headers['content-length'], length, text);
		assert.equal(headers['content-type'], undefined, text);
		assert.equal(body, '');
	}
	const [whole, known] = await Promise.all(['', 'If-None-Match: *\r\n'].map((headers) => send(`GET /crossdomain.xml HTTP/1.1\r\n${HOST}${headers}\r\n`)));
	for (const name of ['etag', 'vary', 'cache-control']) {
		assert.ok(whole.headers[name]);
		assert.equal(known.headers[name], whole.headers[name], name);
	}
});

// RFC 9110, 13.2.2: If-Match comes before If-None-Match; 13.1: neither counts where the answer is no 2xx anyway.
test('the order of conditions', TIMEOUT, async () => {
	for (const [text, headers, status] of [['GET /crossdomain.xml', 'If-Match: "x"\r\nIf-None-Match: *\r\n', 412], ['GET /crossdomain.xml', 'If-Match: *\r\nIf-None-Match: *\r\n', 304],
		['GET /xmpp-websocket', 'If-Match: "x"\r\n', 412], ['GET /nothing', 'If-Match: "x"\r\nIf-None-Match: *\r\n', 404], ['PUT /', 'If-Match: "x"\r\n', 405],
		['OPTIONS /', 'If-Match: "x"\r\n', 204]]) {
		assert.equal((await send(`${text} HTTP/1.1\r\n${HOST}${headers}\r\n`)).status, status, `${text} ${headers}`);
	}
});

// RFC 9112, 9.6: who closes says so; 4: each status has its reason.
test('each refusal that ends the connection says so, with a length and a reason', TIMEOUT, async () => {
	for (const [text, status, reason] of [[`GET / HTTP/1.1\r\n\r\n`, 400, 'Bad Request'], ['GET / HT', 408, 'Request Timeout'], [`GET /${'x'.repeat(9000)} HTTP/1.1\r\n`, 414, 'URI Too Long'],
		[`GET / HTTP/1.1\r\n${HOST}Expect: x\r\n\r\n`, 417, 'Expectation Failed'], [`GET / HTTP/1.1\r\nX: ${'x'.repeat(17000)}`, 431, 'Request Header Fields Too Large'],
		[`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: x, chunked\r\n\r\n`, 501, 'Not Implemented'], [`GET / HTTP/2.0\r\n${HOST}\r\n`, 505, 'HTTP Version Not Supported']]) {
		const connection = await HttpConnection.open(stage.port);
		connection.write(text);
		await connection.closed;
		const answer = connection.buffer.toString('latin1');
		assert.ok(answer.startsWith(`HTTP/1.1 ${status} ${reason}\r\n`), answer.slice(0, 60));
		assert.match(answer, /\r\nConnection: close\r\n/);
		assert.equal(Number(/\r\nContent-Length: (\d+)\r\n/.exec(answer)[1]), answer.split('\r\n\r\n')[1].length);
	}
});
