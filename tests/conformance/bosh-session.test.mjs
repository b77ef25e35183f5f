// XEP-0124 and XEP-0206 from the outside: the life of a session.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, turns, untilRead } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const WAIT_MAX_S = 8;
const INACTIVITY_S = 5;
const POLLING_S = 4; // within which a busy machine comes to the next request
// What "at once" means here: less than any time that a request waits by itself.
const SOON_MS = 5000;
const LATE_MS = 4000;
const LATE = [{ await: 'header' }, { header: true, features: null }, { pause: LATE_MS }, { send: FEATURES }, { serve: true }];
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain', late: LATE },
		{ wait: WAIT_MAX_S, hold: 2, inactivity: INACTIVITY_S, polling: POLLING_S });
});
after(() => stopAll(stage));

const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;
// A stanza that the scripted server answers with nothing.
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;

const inTurn = turns();
const session = (...args) => inTurn(() => openSession(...args));

async function openSession(attributes = {}) {
	const client = new BoshClient(stage.port);
	await client.create('plain.test', attributes);
	await client.features();
	const connection = await stage.connectionOf('plain');
	return { client, connection };
}

test('creation: the answer carries what XEP-0124 asks for, within the limits of both sides', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const { status, headers, element } = await client.create('plain.test', { wait: 60, hold: 1, ver: '1.11' });
	assert.equal(status, 200);
	assert.equal(headers['content-type'].toLowerCase(), 'text/xml; charset=utf-8');
	assert.ok(Number(headers['content-length']) > 0, 'Content-Length, not chunked');
	assert.equal(headers['transfer-encoding'], undefined);
	const { sid, wait, requests, hold, inactivity, polling, ver, from } = element.attributes;
	assert.ok(sid.length >= 22, '128 bits and more');
	assert.equal(wait, String(WAIT_MAX_S), 'no longer than the gateway allows');
	assert.equal(requests, '2');
	assert.equal(hold, '1');
	assert.equal(inactivity, String(INACTIVITY_S));
	assert.equal(polling, String(POLLING_S));
	assert.equal(ver, '1.11');
	assert.equal(from, 'plain.test');
	assert.equal(element.attributes['xmpp:restartlogic'], 'true');
	assert.equal(element.attributes['xmpp:version'], '1.0');
	assert.ok(element.attributes.authid, 'the id of the server\'s stream');
	const features = element.at('features');
	assert.equal(features.ns, NS.streams);
	assert.equal(features.prefix, 'stream');
});

test('creation: ver is the lower of the two, its minor part a number', TIMEOUT, async () => {
	for (const [asked, told] of [['1.6', '1.6'], ['1.5', '1.5'], ['1.10', '1.10'], ['1.99', '1.11'], ['2.0', '1.11']]) {
		const client = new BoshClient(stage.port);
		const { element } = await client.create('plain.test', { ver: asked });
		assert.equal(element.attributes.ver, told, `asked with ${asked}`);
	}
});

test('creation: hold and wait of the client are not exceeded', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const { element } = await client.create('plain.test', { hold: 1, wait: 1 });
	assert.equal(element.attributes.wait, '1');
	const greedy = new BoshClient(stage.port);
	const answer = await greedy.create('plain.test', { hold: 50, wait: 99999999 });
	assert.equal(answer.element.attributes.hold, '2');
	assert.equal(answer.element.attributes.requests, '3');
	assert.equal(answer.element.attributes.wait, String(WAIT_MAX_S));
});

test('creation: each sid is another', TIMEOUT, async () => {
	const sids = await Promise.all(Array.from({ length: 20 }, async () => {
		const client = new BoshClient(stage.port);
		await client.create('plain.test');
		return client.sid;
	}));
	assert.equal(new Set(sids).size, sids.length);
});

test('creation: the answer waits for late features, so that clients find them in it', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const answer = await client.create('late.test');
	assert.ok(answer.ms >= LATE_MS - 500, `answered after ${answer.ms} ms`);
	assert.ok(answer.element.at('features'));
});

test('creation: it is answered within wait, features or not; they come with a later answer', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const answer = await client.create('late.test', { wait: 1 });
	assert.equal(answer.element.at('features'), undefined);
	assert.ok(await client.features());
});

test('creation: a client whose server never gives features is told so', { timeout: patiently(60000) }, async () => {
	const own = await Stage.open({ never: 'no-features' }, { open_timeout: 2 });
	try {
		const client = new BoshClient(own.port);
		let answer = await client.create('never.test', { wait: 1 });
		for (let i = 0; i < 5 && answer.element.attributes.type !== 'terminate'; i++) {
			answer = await client.request();
		}
		assertTerminated(answer, 'remote-connection-failed');
		assert.match(answer.element.text, /in time/);
	} finally {
		await own.stop();
	}
});

test('wait: a request without an answer is answered empty when its time is over', TIMEOUT, async () => {
	const { client } = await session({ wait: 1 });
	const answer = await client.request();
	assert.ok(answer.ms >= 900 && answer.ms < SOON_MS, `answered after ${answer.ms} ms`);
	assert.equal(answer.status, 200);
	assert.equal(answer.element.children.length, 0);
	assert.equal(answer.element.attributes.type, undefined);
});

test('hold=1: a second request releases the first at once and is held itself', TIMEOUT, async () => {
	const { client, connection } = await session();
	const first = client.request();
	await stage.doab.hasRequest(client);
	const second = client.request(presence('h1'));
	const released = await first;
	assert.ok(released.ms < SOON_MS, `released after ${released.ms} ms`);
	assert.equal(released.element.children.length, 0);
	await connection.element('presence');
	connection.send('<message id="for-second"/>');
	const answer = await second;
	assert.equal(answer.element.children[0].attributes.id, 'for-second');
});

test('hold=2: two requests are held', TIMEOUT, async () => {
	const { client, connection } = await session({ hold: 2 });
	const first = client.request();
	const second = client.request(presence('h2'));
	await connection.element('presence');
	connection.send('<message id="1"/>');
	assert.equal((await first).element.children[0].attributes.id, '1');
	connection.send('<message id="2"/>');
	assert.equal((await second).element.children[0].attributes.id, '2');
});

test('stanzas for a client that has no request there wait for its next one, in order', TIMEOUT, async () => {
	const { client, connection } = await session();
	await connection.send(Array.from({ length: 50 }, (_, i) => `<message id="q${i}"/>`).join(''));
	await untilRead(connection.socket);
	const ids = [];
	while (ids.length < 50) {
		ids.push(...(await client.request()).element.children.map((child) => child.attributes.id));
	}
	assert.deepEqual(ids, Array.from({ length: 50 }, (_, i) => `q${i}`));
});

test('a repeat of an answered rid gets the same bytes again, and the server nothing', TIMEOUT, async () => {
	const { client, connection } = await session();
	const first = await client.request(message('r1'));
	assert.equal(first.element.children[0].attributes.id, 'r1');
	const again = await client.request(message('r1'), { rid: client.rid });
	assert.equal(again.status, 200);
	assert.equal(again.text, first.text);
	await client.request(message('r2'));
	assert.deepEqual(connection.elements.filter((e) => e.name === 'message').map((e) => e.attributes.id), ['r1', 'r2']);
});

test('a repeat of a held rid: the old request ends with type=error, the new one takes its place', TIMEOUT, async () => {
	const { client, connection } = await session();
	const old = client.request(presence('held'));
	await connection.element('presence');
	const repeat = client.request(presence('held'), { rid: client.rid });
	const answer = await old;
	assert.equal(answer.status, 200);
	assert.equal(answer.element.attributes.type, 'error', answer.text);
	connection.send('<message id="new"/>');
	assert.equal((await repeat).element.children[0].attributes.id, 'new');
	assert.equal((await client.request(message('after'))).element.children[0].attributes.id, 'after');
});

test('a client that broke its connection while held loses nothing: a repeat brings it', TIMEOUT, async () => {
	const { client, connection } = await session();
	const held = client.request();
	await stage.doab.hasRequest(client);
	await held.breakOff();
	await connection.send('<message id="kept"/>');
	await untilRead(connection.socket);
	const repeat = await client.request('', { rid: client.rid });
	assert.equal(repeat.element.children[0].attributes.id, 'kept');
});

test('requests out of order reach the server in the order of their rids', TIMEOUT, async () => {
	const { client, connection } = await session();
	const rid = client.rid;
	const late = client.request(presence('second'), { rid: rid + 2 });
	await stage.doab.hasRequest(client, rid + 2);
	assert.equal(connection.elements.filter((e) => e.name === 'presence').length, 0, 'held back');
	const early = await client.request(presence('first'), { rid: rid + 1 });
	assert.equal(early.element.children.length, 0);
	await connection.element('presence', (e) => e.attributes.id === 'second');
	assert.deepEqual(connection.elements.filter((e) => e.name === 'presence').map((e) => e.attributes.id), ['first', 'second']);
	connection.send('<message id="x"/>');
	assert.equal((await late).element.children[0].attributes.id, 'x');
});

for (const [what, offset] of [['above', 3], ['far above', 1000000], ['below', -50]]) {
	test(`a rid ${what} the window ends the session with item-not-found`, TIMEOUT, async () => {
		const { client, connection } = await session();
		await client.request(message('w'));
		assertTerminated(await client.request('', { rid: client.rid + offset }), 'item-not-found');
		assertTerminated(await client.request('', { rid: client.rid + 1 }), 'item-not-found');
		await connection.end();
	});
}

test('a rid that is no number up to 2^53-1 is bad-request or item-not-found', TIMEOUT, async () => {
	for (const rid of ['0', '-1', 'abc', '1.5', '', '9007199254740992', '99999999999999999999999', '1e3', ' 7']) {
		const client = new BoshClient(stage.port);
		const answer = await client.post(client.bodyText({ rid, to: 'plain.test', ver: '1.11', wait: 1, hold: 1 }));
		assertTerminated(answer, ['bad-request', 'item-not-found']);
	}
	const { client } = await session();
	assertTerminated(await client.request('', { rid: 'x' }), ['bad-request', 'item-not-found']);
});

test('the largest rid works', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	client.rid = 9007199254740989;
	await client.create('plain.test');
	assert.equal((await client.request(message('big'))).element.children[0].attributes.id, 'big');
	assert.equal((await client.request(message('big2'))).element.children[0].attributes.id, 'big2');
});

test('terminate: its payload reaches the server before the end of the stream; the oldest request hears of it', TIMEOUT, async () => {
	const { client, connection } = await session();
	const held = client.request();
	await stage.doab.hasRequest(client);
	const ended = client.terminate('<presence xmlns=\'jabber:client\' type=\'unavailable\'/>');
	const answers = await Promise.all([held, ended]);
	assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
	assert.equal(answers[0].element.attributes.type, 'terminate', answers[0].text);
	assert.equal(answers[0].element.attributes.condition, undefined);
	await connection.end();
	assert.match(connection.text, /<presence [^>]*type='unavailable'\/>\s*<\/stream:stream>\s*$/);
	assert.equal(connection.streamEnds, 1);
	assert.equal((await client.request()).element.attributes.condition, 'item-not-found');
});

test('terminate: with nothing held the request itself is answered with type=terminate', TIMEOUT, async () => {
	const { client } = await session();
	const answer = await client.terminate();
	assert.equal(answer.element.attributes.type, 'terminate');
});

const pollingSession = (...args) => inTurn(() => openPollingSession(...args));

// Gives the features to a client that polls, no more often than it may.
async function openPollingSession(attributes = {}) {
	const client = new BoshClient(stage.port);
	const created = await client.create('plain.test', { hold: 0, ...attributes });
	assert.equal(created.element.attributes.hold, '0');
	assert.ok(Number(created.element.attributes.inactivity) > INACTIVITY_S + POLLING_S);
	if (!created.element.at('features')) {
		await sleep(POLLING_S * 1000 + 200);
		assert.ok((await client.request()).element.at('features'));
	}
	return { client, connection: await stage.connectionOf('plain') };
}

describe('time', { concurrency: 6 }, () => {
	test('inactivity: a session without a request ends, on the server too', TIMEOUT, async () => {
		const { client, connection } = await session();
		const started = Date.now();
		await client.request(message('last'));
		await connection.end(INACTIVITY_S * 1000 + 4000);
		assert.ok(Date.now() - started >= INACTIVITY_S * 1000 - 300, 'not before its time');
		const answer = await client.request();
		assert.equal(answer.element.attributes.condition, 'item-not-found');
	});

	test('inactivity: a held request keeps the session alive for longer than that', TIMEOUT, async () => {
		const { client } = await session({ wait: WAIT_MAX_S });
		const answer = await client.request();
		assert.ok(answer.ms > INACTIVITY_S * 1000, `answered after ${answer.ms} ms`);
		assert.equal(answer.element.attributes.type, undefined, answer.text);
		assert.equal((await client.request(message('alive'))).element.children[0].attributes.id, 'alive');
	});

	test('polling: with hold=0 a request is answered at once, and stanzas wait for it', TIMEOUT, async () => {
		const { client, connection } = await pollingSession();
		const sent = await client.request(presence('p'));
		assert.ok(sent.ms < SOON_MS, `answered after ${sent.ms} ms`);
		await connection.send('<message id="polled"/>');
		await sleep(INACTIVITY_S * 1000 + 500);
		assert.equal((await client.request()).element.children[0].attributes.id, 'polled');
	});

	for (const [ver, status] of [['1.11', 200], [undefined, 403]]) {
		test(`polling: empty requests too often are a policy-violation (status ${status} with ver=${ver})`, TIMEOUT, async () => {
			const { client } = await pollingSession({ ver });
			await sleep(POLLING_S * 1000 + 200);
			assert.equal((await client.request()).element.attributes.type, undefined);
			assertTerminated(await client.request(), 'policy-violation', status);
		});
	}
});

test('an unknown sid is item-not-found and harms nobody', TIMEOUT, async () => {
	const { client } = await session();
	for (const sid of ['nonsense', '', 'A'.repeat(5000), '漢', `${client.sid}x`, client.sid.slice(0, -1), '../../etc']) {
		const answer = await client.request('', { rid: 5, sid });
		assert.ok([200, 404].includes(answer.status), `status ${answer.status} for ${sid.slice(0, 20)}`);
		assert.equal(answer.element.attributes.type, 'terminate');
		assert.match(answer.element.attributes.condition, /item-not-found|bad-request|policy-violation/);
	}
	assert.equal((await client.request(message('well'))).element.children[0].attributes.id, 'well');
});

test('restart: a new stream on the same connection, features in the answer', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const jid = await client.login('plain.test');
	assert.equal(jid, 'user@plain.test/scripted');
	const connection = await stage.connectionOf('plain');
	assert.equal(connection.headers.length, 2);
	assert.equal(connection.streamEnds, 0);
});

test('a request without to is refused', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const answer = await client.post(client.bodyText({ rid: 5, ver: '1.11', wait: 1, hold: 1 }));
	assertTerminated(answer, 'improper-addressing');
});

test('a connection that carries many sessions in turn serves each', TIMEOUT, async () => {
	const http = await HttpConnection.open(stage.port);
	for (let i = 0; i < 10; i++) {
		const created = await http.request('POST', '/http-bind', { body: `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>` });
		const sid = /sid=['"]([^'"]+)/.exec(created.text)[1];
		const ended = await http.request('POST', '/http-bind', { body: `<body xmlns='${NS.httpbind}' rid='8' sid='${sid}' type='terminate'/>` });
		assert.match(ended.text, /terminate/);
	}
	http.close();
});
