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
	stage = await Stage.open({ plain: 'plain' }, { allow_origins: ['https://chat.example.org'], header_timeout: 1, admin: `127.0.0.1:${admin}`,
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
