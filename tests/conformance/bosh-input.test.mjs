// What must not be let through: each kind of bad BOSH request, from clients that gave a version and from those that did
// not. After each the witness, a session beside it, still works.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const BODY_BYTES = 262144;
let stage;
let witness;

before(async () => {
	// The witness says nothing while a test goes on.
	stage = await Stage.open({ plain: 'plain', witness: 'plain' }, { sessions_per_address: 1000, inactivity: 600 });
	witness = new BoshClient(stage.port);
	await witness.create('witness.test');
});
after(() => stopAll(stage));
afterEach(async () => {
	const id = `witness-${Math.random()}`;
	const answer = await witness.request(`<message xmlns='jabber:client' id='${id}'/>`);
	assert.equal(answer.element.children[0]?.attributes.id, id, 'the session beside it noticed');
	assert.ok(stage.doab.isRunning);
});

async function session(attributes = {}) {
	const client = new BoshClient(stage.port);
	await client.create('plain.test', attributes);
	await client.features();
	return client;
}

// What stands inside (or, as a whole, in place of) a <body/> and must be refused, with the conditions allowed.
const BAD = ['bad-request'];
const BAD_OR_POLICY = ['bad-request', 'policy-violation'];
const PAYLOADS = {
	'malformed XML': ['<message xmlns="jabber:client"><a></b></message>', BAD],
	'an element that does not end': ['<message xmlns="jabber:client">', BAD],
	'the end of the stream': ['</stream:stream>', BAD],
	'an end tag too many': ['</body><message xmlns="jabber:client"/><body>', BAD],
	'text between the payloads': ['<message xmlns="jabber:client"/>text', BAD],
	'a comment': ['<!-- c --><message xmlns="jabber:client"/>', BAD],
	'a comment inside a stanza': ['<message xmlns="jabber:client"><body>a<!-- c -->b</body></message>', BAD],
	'a processing instruction': ['<?php no ?><message xmlns="jabber:client"/>', BAD],
	'a processing instruction inside a stanza': ['<message xmlns="jabber:client"><?x y?></message>', BAD],
	'an entity that was not declared': ['<message xmlns="jabber:client"><body>&nbsp;</body></message>', BAD],
	'an entity in an attribute': ['<message xmlns="jabber:client" id="&a;"/>', BAD],
	'a character that XML forbids': ['<message xmlns="jabber:client"><body>&#0;</body></message>', BAD],
	'a control character': ['<message xmlns="jabber:client"><body>\u0001</body></message>', BAD],
	'a prefix without a namespace': ['<x:message/>', BAD],
	'an attribute twice': ['<message xmlns="jabber:client" id="1" id="2"/>', BAD],
	'an attribute without quotes': ['<message xmlns="jabber:client" id=1/>', BAD],
	'a CDATA section between the payloads': ['<![CDATA[text]]>', BAD],
	'an XML declaration inside': ['<?xml version="1.0"?><message xmlns="jabber:client"/>', BAD],
	'a DTD inside': ['<!DOCTYPE message><message xmlns="jabber:client"/>', BAD],
	'<starttls/>': [`<starttls xmlns="${NS.tls}"/>`, BAD_OR_POLICY],
	'<compress/>': ['<compress xmlns="http://jabber.org/protocol/compress"><method>zlib</method></compress>', BAD_OR_POLICY],
	'a stream error of the client': [`<stream:error xmlns:stream="${NS.streams}"/>`, BAD_OR_POLICY],
	'stream features of the client': [`<features xmlns="${NS.streams}"/>`, BAD_OR_POLICY],
	'a stream header': [`<stream:stream xmlns:stream="${NS.streams}"></stream:stream>`, BAD_OR_POLICY],
	'a framing element': [`<open xmlns="${NS.framing}"/>`, BAD_OR_POLICY],
	'bytes that are not UTF-8': [Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0xfe, 0xc3, 0x28, 0x3c, 0x2f, 0x61, 0x3e]), BAD],
	'overlong UTF-8': [Buffer.concat([Buffer.from('<a>'), Buffer.from([0xc0, 0xaf]), Buffer.from('</a>')]), BAD],
	'a surrogate in UTF-8': [Buffer.concat([Buffer.from('<a>'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('</a>')]), BAD],
	'depth without end': ['<a>'.repeat(20000) + '</a>'.repeat(20000), BAD_OR_POLICY],
};

function bodyAround(client, payload, rid) {
	return Buffer.concat([Buffer.from(`<body xmlns='${NS.httpbind}' sid='${client.sid}' rid='${rid}'>`), Buffer.from(payload), Buffer.from('</body>')]);
}

for (const [what, [payload, conditions]] of Object.entries(PAYLOADS)) {
	test(`a session with ver: ${what}`, TIMEOUT, async () => {
		const client = await session();
		const connection = await stage.connectionOf('plain');
		const nBefore = connection.elements.length;
		assertTerminated(await client.post(bodyAround(client, payload, ++client.rid)), conditions);
		assert.equal((await client.request()).element.attributes.condition, 'item-not-found', 'the session is over');
		await connection.end();
		assert.deepEqual(connection.elements.slice(nBefore).map((e) => e.text).filter((text) => !text.startsWith('<message')), [],
			'nothing but stanzas before the fault may have been forwarded');
		assert.equal(connection.restarts, 0);
	});
}

const WHOLE = {
	'not XML at all': 'hello',
	'an empty request': '',
	'a wrong root': `<soap xmlns='${NS.httpbind}' rid='5' to='plain.test'/>`,
	'no namespace': '<body rid=\'5\' to=\'plain.test\' ver=\'1.11\'/>',
	'a wrong namespace': '<body xmlns=\'urn:x\' rid=\'5\' to=\'plain.test\' ver=\'1.11\'/>',
	'no rid': `<body xmlns='${NS.httpbind}' to='plain.test' ver='1.11'/>`,
	'two roots': `<body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/><body/>`,
	'text after the end': `<body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>x`,
	'a DTD': `<!DOCTYPE body [<!ENTITY a "b">]><body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>`,
	'a billion laughs': `<!DOCTYPE b [<!ENTITY a "${'a'.repeat(100)}">${Array.from({ length: 9 }, (_, i) => `<!ENTITY a${i} "${`&a${i ? i - 1 : ''};`.repeat(10)}">`).join('')}]><body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'>&a8;</body>`,
	'an external entity': `<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]><body xmlns='${NS.httpbind}' rid='5' to='plain.test'>&x;</body>`,
	'another encoding': `<?xml version='1.0' encoding='ISO-8859-1'?><body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>`,
	'UTF-16': Buffer.from(`\ufeff<body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>`, 'utf16le'),
	'half a body': `<body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'>`,
	'a comment before': `<!-- c --><body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>`,
	'a processing instruction before': `<?x y?><body xmlns='${NS.httpbind}' rid='5' to='plain.test' ver='1.11'/>`,
};

for (const [what, bytes] of Object.entries(WHOLE)) {
	test(`a first request: ${what}`, TIMEOUT, async () => {
		const nBefore = stage.servers.plain.connections.length;
		const answer = await new BoshClient(stage.port).post(bytes);
		assert.ok([200, 400].includes(answer.status), `status ${answer.status}`);
		assertTerminated(answer, BAD, answer.status);
		// A connection of that request would come before that of this session.
		const client = new BoshClient(stage.port);
		await client.login('plain.test');
		assert.equal(stage.servers.plain.connections.length, nBefore + 1, 'no server was called');
		await client.terminate();
		client.close();
	});
}

test('a UTF-8 declaration and a byte order mark are fine', TIMEOUT, async () => {
	for (const start of ['<?xml version="1.0" encoding="UTF-8"?>', '<?xml version=\'1.0\'?>\n', '\ufeff', '\n  ']) {
		const client = new BoshClient(stage.port);
		const bytes = `${start}${client.bodyText({ rid: 5, to: 'plain.test', ver: '1.11', hold: 1, wait: 5 })}\n`;
		const answer = await client.post(bytes);
		assert.equal(answer.element.attributes.type, undefined, `${JSON.stringify(start)}: ${answer.text}`);
	}
});

test('a legacy client gets 400 for a bad request, 404 for an unknown item', TIMEOUT, async () => {
	const client = await session({ ver: undefined });
	assertTerminated(await client.post(bodyAround(client, '<a></b>', ++client.rid)), 'bad-request', 400);
	const other = await session({ ver: undefined });
	assertTerminated(await other.request('', { rid: other.rid + 1000 }), 'item-not-found', 404);
});

test('a legacy client is served like any other', TIMEOUT, async () => {
	const client = await session({ ver: undefined });
	assert.equal((await client.request('<message xmlns=\'jabber:client\' id=\'l\'/>')).element.children[0].attributes.id, 'l');
});

// A request body of exactly @n bytes.
function bodyOf(client, n, rid) {
	const around = bodyAround(client, '<message xmlns=\'jabber:client\' id=\'size\'><body></body></message>', rid);
	const at = around.indexOf('</body></message>');
	return Buffer.concat([around.subarray(0, at), Buffer.alloc(n - around.length, 'x'), around.subarray(at)]);
}

test(`a request of ${BODY_BYTES} bytes is carried, one of ${BODY_BYTES + 1} ends the session`, TIMEOUT, async () => {
	const client = await session();
	const answer = await client.post(bodyOf(client, BODY_BYTES, ++client.rid));
	assert.equal(answer.element.attributes.type, undefined, answer.text.slice(0, 300));
	const connection = await stage.connectionOf('plain');
	assert.ok((await connection.element('message')).raw.length > BODY_BYTES - 200);
	client.keep(answer);
	await client.exchange('', ({ attributes }) => attributes.id === 'size');
	const refused = await client.post(bodyOf(client, BODY_BYTES + 1, ++client.rid));
	assertTerminated(refused, BAD_OR_POLICY);
});

test('a request far too large is refused without being read to its end', TIMEOUT, async () => {
	const connection = await HttpConnection.open(stage.port);
	connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': 10 ** 12, 'Content-Type': 'text/xml' }));
	connection.write(Buffer.alloc(64 * 1024, 'x'));
	const answer = await connection.response();
	assert.ok([200, 400, 403, 413].includes(answer.status), `status ${answer.status}`);
	assert.equal(answer.headers['access-control-allow-origin'], '*');
	connection.close();
});

test('a chunked request is read like any other, within the limit', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const chunked = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
	const body = client.bodyText({ rid: 5, to: 'plain.test', ver: '1.11', hold: 1, wait: 5 });
	const connection = await HttpConnection.open(stage.port);
	connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Transfer-Encoding': 'chunked' }));
	connection.write(chunked(body.slice(0, 20)));
	await sleep(20);
	connection.write(`${chunked(body.slice(20))}0\r\n\r\n`);
	const answer = await connection.response();
	assert.equal(answer.status, 200);
	assert.match(answer.text, /sid=/);
	connection.write(HttpConnection.requestHead('POST', '/http-bind', { 'Transfer-Encoding': 'chunked' }));
	const piece = 'x'.repeat(32768);
	for (let i = 0; i < 40 && connection.isOpen; i++) {
		connection.write(chunked(piece));
	}
	// It is answered in the middle of the request, which is not read to its end.
	const refusal = await connection.response();
	assert.equal(refusal.status, 200);
	assert.match(refusal.text, /type='terminate' condition='policy-violation'.*larger than this gateway accepts/);
	assert.equal(refusal.headers.connection, 'close');
	connection.close();
});

test('requests that could be taken for two by different readers are refused', TIMEOUT, async () => {
	const heads = {
		'two lengths': 'Content-Length: 5\r\nContent-Length: 6\r\n',
		'a length and chunks': 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
		'a length that is no number': 'Content-Length: 5x\r\n',
		'a negative length': 'Content-Length: -5\r\n',
	};
	for (const [what, lines] of Object.entries(heads)) {
		const connection = await HttpConnection.open(stage.port);
		connection.write(`POST /http-bind HTTP/1.1\r\nHost: x\r\n${lines}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
		const answer = await connection.response().catch(() => ({ status: 'closed' }));
		assert.ok(answer.status === 'closed' || answer.status >= 400 || /terminate/.test(answer.text ?? ''), `${what}: ${answer.status}`);
		const second = await connection.response({ ms: 500 }).catch(() => undefined);
		assert.equal(second, undefined, `${what}: a second request was seen`);
		connection.close();
	}
});

test('attributes that are odd or huge do no harm', TIMEOUT, async () => {
	for (const attributes of [{ wait: '-1' }, { wait: 'x' }, { hold: '-1' }, { hold: '1.5' }, { ver: 'x' }, { ver: '1' }, { ver: '-1.-1' },
		{ wait: '9'.repeat(100) }, { content: 'text/html\r\nX-Evil: 1' }, { route: 'xmpp:127.0.0.1:22' }, { ack: 'x' }, { charsets: 'x' },
		{ 'xml:lang': 'x'.repeat(10000) }, { newkey: 'zz' }, { stream: 'x' }, { secure: 'true' }, { hostname: '127.0.0.1', port: '22' }]) {
		const client = new BoshClient(stage.port);
		const answer = await client.post(client.bodyText({ rid: 5, to: 'plain.test', ver: '1.11', wait: 1, hold: 1, ...attributes }));
		assert.ok([200, 400, 403, 404].includes(answer.status), `${JSON.stringify(attributes)}: ${answer.status}`);
		assert.equal(answer.headers['x-evil'], undefined);
		assert.doesNotMatch(answer.headers['content-type'], /html/);
		if (answer.element.attributes.type !== 'terminate') {
			client.sid = answer.element.attributes.sid;
			await client.request('', { rid: 6, type: 'terminate' });
		}
	}
});

test('a domain that is no domain is refused before anything is looked up', TIMEOUT, async () => {
	for (const to of ['127.0.0.1', '[::1]', '::1', 'plain.test:22', 'plain.test\' onload=\'x', 'a b', '<', '..', '.', '-', 'a..b', 'x'.repeat(64) + '.test',
		`${'abcdefg.'.repeat(40)}test`, 'user@plain.test', 'plain.test/x', 'pl\u0000ain'.replace('\u0000', '%00'), '2130706433', '0x7f.1']) {
		const client = new BoshClient(stage.port);
		const answer = await client.post(client.bodyText({ rid: 5, to, ver: '1.11', wait: 5, hold: 1 }));
		assertTerminated(answer, ['host-unknown', 'improper-addressing', 'bad-request']);
	}
});

test('a header that never ends and a body that never comes are given up', { timeout: patiently(30000) }, async () => {
	const own = await Stage.open({ plain: 'plain' }, { header_timeout: 1 });
	try {
		for (const bytes of ['POST /http-bind HTTP/1.1\r\nHost: x\r\nX-A', 'P', '', 'POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<body']) {
			const connection = await HttpConnection.open(own.port);
			connection.write(bytes);
			const started = Date.now();
			await connection.closed;
			const ms = Date.now() - started;
			assert.ok(ms < 6000, `${JSON.stringify(bytes)}: closed after ${ms} ms`);
		}
	} finally {
		await own.stop();
	}
});

test('what is no HTTP is refused or closed', TIMEOUT, async () => {
	for (const bytes of ['\u0000\u0000\u0000\u0000\r\n\r\n', 'hello\r\n\r\n', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000', `GET ${'/x'.repeat(20000)} HTTP/1.1\r\n\r\n`,
		`GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(5000)}\r\n`, 'GET / HTTP/9.9\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
		const connection = await HttpConnection.open(stage.port);
		connection.write(Buffer.from(bytes, 'latin1'));
		const answer = await connection.response({ ms: 3000 }).catch(() => undefined);
		assert.ok(answer === undefined || answer.status >= 400, `${JSON.stringify(bytes.slice(0, 30))}: ${answer?.status}`);
		connection.close();
	}
	assert.equal((await httpRequest(stage.port, 'GET', '/')).status, 200);
});

test('what a body declares is not multiplied', TIMEOUT, async () => {
	const memoryKb = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${stage.doab.serverPid}/status`, 'utf8'))[1]);
	const kbBefore = memoryKb();
	const begin = `<body xmlns='${NS.httpbind}' rid='1' sid='unknown' ver='1.11' xmlns:p='urn:${'x'.repeat(7000)}'>`;
	const body = `${begin}${'<p:a/>'.repeat(Math.floor((BODY_BYTES - begin.length - 7) / 6))}</body>`;
	const answer = await httpRequest(stage.port, 'POST', '/http-bind', { body });
	assert.match(answer.text, /policy-violation.*too long or too many attributes/);
	assert.ok(memoryKb() - kbBefore < 32 * 1024, `${memoryKb() - kbBefore} KB`);
});
