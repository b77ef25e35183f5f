// A BOSH session over the HTTP connections that there are: kept, shared, slow, doubled, broken.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until, untilRead, within } from '../support/util.mjs';
import { parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const INACTIVITY_S = 8;
const WAIT_S = 20;
const ANSWER_BYTES = 400000;
let stage;

before(async () => {
	// Each request may come to another worker than the session's.
	stage = await Stage.open({ plain: 'plain' },
		{ workers: 4, wait: WAIT_S, hold: 2, inactivity: INACTIVITY_S, polling: 2, linger: 0, max_repeats: 20 });
});
after(() => stopAll(stage));

const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;
// A stanza that the scripted server answers with nothing.
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const idsOf = (elements) => elements.map((element) => element.attributes.id);
const sentTo = (connection, name) => idsOf(connection.elements.filter((element) => element.name === name));

async function session(attributes = {}) {
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.create('plain.test', attributes);
	await client.features();
	return { client, connection: await stage.connectionOf('plain') };
}

// The bytes of the next request of @client, for a connection by hand.
function nextBytes(client, payload = '', attributes = {}) {
	const body = client.bodyText({ rid: ++client.rid, sid: client.sid, ...attributes }, payload);
	return HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': Buffer.byteLength(body) }) + body;
}

// The server got these stanzas and no others. The last may still be on its way when a request is answered.
async function expectSent(connection, ids) {
	await until(() => sentTo(connection, 'presence').length >= ids.length, 10000, `the stanzas ${ids}`);
	assert.deepEqual(sentTo(connection, 'presence'), ids);
}

test('what belongs to the creation is in no later answer', TIMEOUT, async () => {
	const { client, connection } = await session({ wait: 1 });
	const answers = [await client.request(), await client.request(message('c1')), await client.request(message('c1'), { rid: client.rid })];
	const held = client.request();
	await stage.doab.hasRequest(client);
	connection.send('<message id="c2"/>');
	answers.push(await held, await client.terminate());
	for (const { element } of answers) {
		assert.deepEqual(Object.keys(element.attributes).filter((name) => !['xmlns', 'xmlns:stream', 'type'].includes(name)), []);
	}
});

test('two connections that are kept carry a session: they change roles with each request', TIMEOUT, async () => {
	const { client, connection } = await session();
	const pair = [await HttpConnection.open(stage.port), await HttpConnection.open(stage.port)];
	pair[0].write(nextBytes(client));
	for (let i = 1; i <= 20; i++) {
		pair[i % 2].write(nextBytes(client, presence(`p${i}`)));
		const { text, headers } = await pair[(i + 1) % 2].response();
		assert.equal(parse(text).children.length, 0, text);
		assert.doesNotMatch(headers.connection ?? '', /close/i);
	}
	await expectSent(connection, Array.from({ length: 20 }, (_, i) => `p${i + 1}`));
	connection.send('<message id="last"/>');
	assert.equal(parse((await pair[0].response()).text).children[0].attributes.id, 'last');
	pair.forEach((http) => http.close());
});

test('HTTP/1.0: a request that is held is answered whole, and its connection closed', TIMEOUT, async () => {
	const { client, connection } = await session();
	const http = await HttpConnection.open(stage.port);
	http.write(nextBytes(client).replace('HTTP/1.1', 'HTTP/1.0'));
	await stage.doab.hasRequest(client);
	connection.send('<message id="old"/>');
	const { text, headers } = await http.response();
	assert.equal(headers['transfer-encoding'], undefined);
	assert.equal(parse(text).children[0].attributes.id, 'old');
	await within(http.closed, 5000, 'the end of the connection');
});

test('hold=2: stanzas that come one by one go to the requests in the order of their rids', TIMEOUT, async () => {
	const { client, connection } = await session({ hold: 2 });
	const rid = client.rid;
	const second = client.request(presence('o2'), { rid: rid + 2 });
	await stage.doab.hasRequest(client, rid + 2);
	const first = client.request(presence('o1'), { rid: rid + 1 });
	await connection.element('presence', (element) => element.attributes.id === 'o2');
	connection.send('<message id="1"/>');
	await first;
	connection.send('<message id="2"/>');
	assert.deepEqual([(await first).element, (await second).element].map((element) => element.children[0].attributes.id), ['1', '2']);
	await expectSent(connection, ['o1', 'o2']);
});

test('a request that drips in holds back those behind it, and no other session', TIMEOUT, async () => {
	const [{ client, connection }, other] = [await session(), await session()];
	const slow = await HttpConnection.open(stage.port);
	const bytes = nextBytes(client, presence('slow'));
	slow.write(bytes.slice(0, bytes.length / 2));
	const quick = client.request(presence('quick'));
	assert.equal((await other.client.request(message('other'))).element.children[0].attributes.id, 'other');
	assert.deepEqual(sentTo(connection, 'presence'), []);
	for (const byte of bytes.slice(bytes.length / 2)) {
		slow.write(byte);
		await sleep(2);
	}
	assert.equal(parse((await slow.response()).text).children.length, 0);
	await connection.element('presence', (element) => element.attributes.id === 'quick');
	await expectSent(connection, ['slow', 'quick']);
	connection.send('<message id="end"/>');
	assert.equal((await quick).element.children[0].attributes.id, 'end');
	slow.close();
});

test('a repeat that overtakes its original: what is left of that is the repeat then', TIMEOUT, async () => {
	const { client, connection } = await session();
	const slow = await HttpConnection.open(stage.port);
	const bytes = nextBytes(client, presence('once'));
	slow.write(bytes.slice(0, -1));
	const repeat = client.request(presence('once'), { rid: client.rid });
	await connection.element('presence');
	slow.write(bytes.slice(-1));
	assert.equal((await repeat).element.attributes.type, 'error');
	connection.send('<message id="back"/>');
	assert.equal(parse((await slow.response()).text).children[0].attributes.id, 'back');
	await expectSent(connection, ['once']);
	slow.close();
});

test('the same request from many sides at once reaches the server once, and is answered on the last', TIMEOUT, async () => {
	const { client, connection } = await session();
	client.rid++;
	const copies = Array.from({ length: 10 }, () => client.request(presence('same'), { rid: client.rid }));
	const settled = [];
	copies.forEach((copy) => copy.then((answer) => settled.push(answer.element), () => {}));
	await until(() => settled.length === copies.length - 1, 10000, 'all copies but one answered');
	assert.ok(settled.every(({ attributes }) => attributes.type === 'error'), 'they are told to be repeated');
	connection.send('<message id="one"/>');
	await Promise.all(copies);
	assert.equal(settled.at(-1).children[0].attributes.id, 'one');
	await expectSent(connection, ['same']);
});

for (const [what, end] of [['closed', (http) => http.close()], ['reset', (http) => http.socket.resetAndDestroy()]]) {
	test(`an answer of ${ANSWER_BYTES} bytes that the client did not read, its connection ${what}, comes again whole`, TIMEOUT, async () => {
		const { client, connection } = await session();
		const text = 'ä'.repeat(ANSWER_BYTES / 2);
		const http = await HttpConnection.open(stage.port);
		http.socket.pause();
		http.write(nextBytes(client));
		await untilRead(http.socket);
		connection.send(`<message id="large"><body>${text}</body></message>`);
		await sleep(500);
		end(http);
		const [stanza] = (await client.request('', { rid: client.rid })).element.children;
		assert.equal(stanza.attributes.id, 'large');
		assert.ok(stanza.text === text, 'all of it');
		assert.equal((await client.request(message('on'))).element.children[0].attributes.id, 'on');
	});
}

test('a request whose predecessor never comes is told when the session ends for it', TIMEOUT, async () => {
	const { client, connection } = await session();
	const early = client.request(presence('early'), { rid: client.rid + 2 });
	await connection.end(INACTIVITY_S * 1000 + 5000);
	assertTerminated(await early, 'item-not-found');
	assert.deepEqual(sentTo(connection, 'presence'), [], 'not out of its turn');
});

test('a request before its turn is a sign of life', TIMEOUT, async () => {
	const { client, connection } = await session();
	const rid = client.rid;
	// Twice half of it, and a little more: the rest is for what takes its time on a slow machine.
	await sleep(INACTIVITY_S * 520);
	const early = client.request(presence('2'), { rid: rid + 2 });
	await sleep(INACTIVITY_S * 520);
	assert.equal((await client.request(presence('1'), { rid: rid + 1 })).element.attributes.type, undefined);
	await connection.element('presence', (element) => element.attributes.id === '2');
	connection.send('<message id="alive"/>');
	assert.equal((await early).element.children[0].attributes.id, 'alive');
});

// What Pidgin's library does, and no other: its media type in Content-Encoding, attributes that are of no specification.
test('a first request as libpurple writes it', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const body = '<body content=\'text/xml; charset=utf-8\' secure=\'true\' to=\'plain.test\' xml:lang=\'en\' xmpp:version=\'1.0\' ' +
		`ver='1.6' xmlns:xmpp='urn:xmpp:xbosh' rid='${client.rid}' wait='60' hold='1' xmlns='http://jabber.org/protocol/httpbind'/>`;
	const { status, element } = await client.post(body, { headers: { 'Content-Encoding': 'text/xml; charset=utf-8' } });
	assert.equal(status, 200);
	assert.ok(element.attributes.sid);
	assert.ok(element.at('features'), 'in the first answer: libpurple waits for them there');
});
