// How a BOSH session ends that had something left to say: to the server (XEP-0206, "recipient-unavailable", and XEP-0198), and to the
// client, in words.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated, parseInStream } from '../support/assertions.mjs';
import { BlackHole } from '../support/black-hole.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, sleep, stopAll, turns, untilRead } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const INACTIVITY_S = 8; // within which a busy machine comes to the next step
// More than BOSH_ABSENT_MS (gateway/bosh/session.h).
const ABSENT_MS = 5500;
const UNREAD_REPEATS = 3;
const NS_STANZAS = 'urn:ietf:params:xml:ns:xmpp-stanzas';
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { wait: 8, inactivity: INACTIVITY_S, sessions_per_address: 1000 });
});
after(() => stopAll(stage));

const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const idsOf = ({ element }) => element.children.map((child) => child.attributes.id);

const inTurn = turns();
const session = (...args) => inTurn(() => openSession(...args));

async function openSession(attributes = {}, on = stage) {
	const client = new BoshClient(on.port);
	await client.login('plain.test', attributes);
	const connection = await on.connectionOf('plain');
	connection.nBefore = connection.elements.length;
	return { client, connection };
}

const addressed = 'from="a@else.test/x" to="user@plain.test/scripted"';
// What the server sends, and what it is to be told: [stanza, name, type, what stands in the answer].
const MESSAGE_CONTENT = '<body>Größer &lt; ☂ 😀</body><x xmlns="urn:x" a=\'"\'><y/></x>';
const STANZAS = [
	[`<message ${addressed} id="u1" type="chat" xml:lang="de">${MESSAGE_CONTENT}</message>`, 'message', ['body', 'x', 'error']],
	[`<message ${addressed} id="u2"/>`, 'message', ['error']],
	[`<iq ${addressed} id="u3" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`, 'iq', ['error']],
	[`<iq id='u4' from='plain.test' type='set'><query xmlns='jabber:iq:roster'/></iq>`, 'iq', ['error']],
	[`<presence ${addressed} id="u5"/>`],
	[`<presence ${addressed} id="u6" type="subscribe"/>`],
	[`<iq ${addressed} id="u7" type="result"/>`],
	[`<iq ${addressed} id="u8" type="error"><error type="cancel"/></iq>`],
	[`<message ${addressed} id="u9" type="error"><error type="cancel"/></message>`],
	['<message id="u10"><body>from nobody: no answer would find its way</body></message>'],
	['<r xmlns="urn:xmpp:sm:3"/>'],
];
const EXPECTED = { message: ['wait', 'recipient-unavailable'], iq: ['cancel', 'service-unavailable'] };

const sendAll = (connection) => connection.send(STANZAS.map(([stanza]) => stanza).join(''));

// The server has heard of all STANZAS what XEP-0206 says, in their order, and then the end of the stream.
async function assertReturned(connection) {
	await connection.end((INACTIVITY_S + 6) * 1000);
	const told = connection.elements.slice(connection.nBefore).map(({ text }) => parseInStream(connection.headers.at(-1), text));
	const expected = STANZAS.filter(([, name]) => name);
	assert.deepEqual(told.map(({ attributes }) => attributes.id), expected.map(([stanza]) => /id=["'](\w+)/.exec(stanza)[1]), connection.text);
	for (const [i, element] of told.entries()) {
		const [stanza, name, children] = expected[i];
		assert.equal(`${element.ns} ${element.name}`, `jabber:client ${name}`);
		assert.deepEqual([element.attributes.type, element.attributes.to, element.attributes.from],
			['error', /from=["']([^"']*)/.exec(stanza)[1], undefined], 'the server knows whose stream it is');
		assert.deepEqual(element.children.map((child) => child.name), children);
		const error = element.at('error');
		const [type, condition] = EXPECTED[name];
		assert.deepEqual([error.ns, error.attributes.type], ['jabber:client', type]);
		assert.deepEqual(error.children.map((child) => [child.ns, child.name]), [[NS_STANZAS, condition]]);
	}
	assert.ok(connection.text.includes(MESSAGE_CONTENT), 'the content of the message, to the byte');
	assert.equal(connection.streamEnds, 1);
	assert.match(connection.text, /<\/stream:stream>$/);
}

// The connection of a held request ends, and the gateway has seen it.
async function breakHeld(client) {
	const held = client.request();
	await stage.doab.hasRequest(client);
	await held.breakOff();
}

describe('what is returned', { concurrency: 6 }, () => {
	test('a client that is gone: what the server sent to it goes back as errors, then the stream is closed', TIMEOUT, async () => {
		const { client, connection } = await session();
		const started = Date.now();
		await breakHeld(client);
		await sendAll(connection);
		await assertReturned(connection);
		assert.ok(Date.now() - started > (INACTIVITY_S - 1) * 1000, 'not before its time');
		assert.equal((await client.request()).element.attributes.condition, 'item-not-found');
	});

	test('what comes while no request is there goes back, too; what an answer took that a request followed does not', TIMEOUT, async () => {
		const { client, connection } = await session();
		const held = client.request();
		connection.send(`<message ${addressed} id='taken'><body/></message>`);
		assert.deepEqual(idsOf(await held), ['taken']);
		await breakHeld(client);
		await sendAll(connection);
		await assertReturned(connection);
	});

	// With it in hand the client would have sent another request: perhaps the connection was dead, and nobody saw it.
	test('what the last answer took goes back as well, when nothing was heard of the client since', TIMEOUT, async () => {
		const { client, connection } = await session();
		const held = client.request();
		await stage.doab.hasRequest(client);
		await sendAll(connection);
		assert.ok(idsOf(await held).length > 0);
		await assertReturned(connection);
	});

	test('a client that acknowledges: what it has not acknowledged goes back, what it has does not', TIMEOUT, async () => {
		const { client, connection } = await session({ ack: 1 });
		const stanza = (id) => `<message ${addressed} id='${id}'><body/></message>`;
		connection.send(stanza('taken'));
		while (!connection.taken) {
			connection.taken = idsOf(await client.request()).includes('taken');
		}
		const acknowledged = client.rid;
		connection.send(stanza('lost'));
		await client.lose('', { ack: acknowledged });
		connection.send(stanza('waiting'));
		await untilRead(connection.socket);
		await client.request('', { ack: acknowledged, pause: 2 });
		await connection.end(INACTIVITY_S * 1000);
		assert.deepEqual(connection.elements.slice(connection.nBefore).map(({ attributes }) => [attributes.id, attributes.type]),
			[['lost', 'error'], ['waiting', 'error']]);
		assert.equal(connection.streamEnds, 1);
	});
});

// As much waits for the server as the client can bring about; what goes back has to find room all the same.
// Returns how much of it the server was told.
async function endUnread() {
	const own = await Stage.open({ plain: 'plain' },
		{ wait: 60, inactivity: INACTIVITY_S, body_bytes: 65536, pending_bytes: 524288, request_rate: 0 });
	try {
		const { client, connection } = await session({}, own);
		const large = `<message xmlns='jabber:client' to='b@else.test'><body>${'x'.repeat(64000)}</body></message>`;
		const send = () => client.request(large, {}, { ms: 60000 });
		connection.socket.pause();
		let [held, next] = [send(), send()];
		while (await Promise.race([held.then(() => true), sleep(patiently(1000))])) {
			[held, next] = [next, send()];
		}
		await Promise.all([held.breakOff(), next.breakOff()]);
		const content = 'y'.repeat(4000);
		const ids = Array.from({ length: 60 }, (_, i) => `n${i}`);
		for (const id of ids) {
			connection.send(`<message ${addressed} id='${id}'><body>${content}</body></message>`);
		}
		await own.doab.logged('session-closed');
		connection.socket.resume();
		await connection.end();
		const told = connection.elements.filter(({ attributes }) => attributes.type === 'error').map(({ attributes }) => attributes.id);
		assert.deepEqual(told, ids.slice(0, told.length));
		return told.length;
	} finally {
		await own.stop();
	}
}

test('a server that does not read: what its client did not get goes back', TIMEOUT, async () => {
	// A busy machine may not read all of it in the few seconds that the gateway waits, but some of it in one of a few rounds.
	for (let round = 0; !await endUnread(); round++) {
		assert.ok(round < UNREAD_REPEATS, 'nothing goes back');
	}
});

test('a session that ends by the client\'s fault: what waited goes back', TIMEOUT, async () => {
	const { client, connection } = await session();
	await sendAll(connection);
	await untilRead(connection.socket);
	assertTerminated(await client.request('', { rid: client.rid + 100 }), 'item-not-found');
	await assertReturned(connection);
});

test('gloox says goodbye by another word: its session ends, too', TIMEOUT, async () => {
	const { client, connection } = await session();
	const held = client.request();
	const end = await client.request('', { type: 'terminal' });
	assert.deepEqual([(await held).element.attributes.type, end.element.attributes.type], ['terminate', undefined]);
	await connection.end();
	assert.equal(connection.streamEnds, 1);
	assert.equal((await client.request()).element.attributes.condition, 'item-not-found');
});

test('a client that says goodbye is told all that waited, and nothing goes back', TIMEOUT, async () => {
	const { client, connection } = await session();
	await sendAll(connection);
	await untilRead(connection.socket);
	const end = await client.terminate(presence('bye'));
	assert.deepEqual(idsOf(end), STANZAS.map((_, i) => (i < 10 ? `u${i + 1}` : undefined)));
	assert.equal(end.element.attributes.type, 'terminate');
	await connection.end();
	assert.deepEqual(connection.elements.slice(connection.nBefore).map(({ attributes }) => attributes.id), ['bye']);
	assert.equal(connection.streamEnds, 1);
});

describe('a stream that is managed', { concurrency: 6 }, () => {
	for (const [what, element] of [['enabled', '<enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/>'],
		['enabled without resumption', '<enabled xmlns="urn:xmpp:sm:3"/>'], ['resumed', '<resumed xmlns=\'urn:xmpp:sm:3\' h=\'0\' previd=\'x\'/>'],
		['enabled, of version 2', '<enabled xmlns=\'urn:xmpp:sm:2\'/>'],
		// XEP-0386 and XEP-0388: with Bind 2 it comes inside the outcome of SASL2.
		['enabled inline', '<success xmlns=\'urn:xmpp:sasl:2\'><authorization-identifier>user@plain.test/scripted</authorization-identifier>' +
			'<bound xmlns=\'urn:xmpp:bind:0\'><enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/></bound></success>'],
		['resumed inline', '<success xmlns="urn:xmpp:sasl:2"><authorization-identifier>user@plain.test/scripted</authorization-identifier>' +
			'<resumed xmlns="urn:xmpp:sm:3" h="0" previd="x"/></success>']]) {
		test(`XEP-0198 ${what}: nothing is injected, and the connection ends without the end of the stream`, TIMEOUT, async () => {
			const { client, connection } = await session();
			connection.send(element);
			await client.request();
			await sendAll(connection);
			await untilRead(connection.socket);
			await client.request('', { pause: 2 });
			await connection.end(INACTIVITY_S * 1000);
			assert.deepEqual(connection.elements.slice(connection.nBefore).map(({ text }) => text), []);
			assert.equal(connection.streamEnds, 0);
			assert.doesNotMatch(connection.text, /<\/stream:stream>/);
		});
	}
});

test('XEP-0198 <failed/>, or <enabled/> in another namespace, manages nothing', TIMEOUT, async () => {
	await Promise.all(['<failed xmlns=\'urn:xmpp:sm:3\'/>', '<success xmlns=\'urn:xmpp:sasl:2\'><failed xmlns=\'urn:xmpp:sm:3\'/></success>',
		'<success xmlns=\'urn:xmpp:sasl:2\'><bound xmlns=\'urn:xmpp:bind:0\'><failed xmlns=\'urn:xmpp:sm:3\'/></bound></success>',
		'<enabled xmlns=\'urn:x\'/>', '<message><enabled xmlns=\'urn:xmpp:sm:3\'/></message>'].map(async (element) => {
		const { client, connection } = await session();
		connection.send(element);
		await client.request();
		await sendAll(connection);
		await untilRead(connection.socket);
		await client.request('', { pause: 2 });
		await assertReturned(connection);
	}));
});

test('XEP-0198: a goodbye is one', TIMEOUT, async () => {
	const { client, connection } = await session();
	connection.send('<enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/>');
	await client.request();
	await client.terminate(presence('bye'));
	await connection.end();
	assert.match(connection.text, /id='bye'\/><\/stream:stream>$/);
});

// What the last answer took goes back only where its client has had the time for another request.
test('system-shutdown: all requests are told, and servers too: what waited, the end, or nothing where they manage the stream', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { workers: 3 });
	let isStopped = false;
	try {
		const held = await session({}, own);
		const answer = held.client.request();
		const absent = await session({}, own);
		await sendAll(absent.connection);
		const lost = await session({}, own);
		await sendAll(lost.connection);
		await lost.client.request();
		const managed = await session({}, own);
		managed.connection.send('<enabled xmlns=\'urn:xmpp:sm:3\' id=\'x\' resume=\'true\'/>');
		await managed.client.request();
		await sendAll(managed.connection);
		await sleep(ABSENT_MS);
		const present = await session({}, own);
		await sendAll(present.connection);
		await present.client.request();
		await own.doab.stop();
		isStopped = true;
		assertTerminated(await answer, 'system-shutdown');
		assert.match((await answer).element.text, /being shut down/);
		await held.connection.end();
		assert.equal(held.connection.streamEnds, 1);
		await assertReturned(absent.connection);
		await assertReturned(lost.connection);
		await present.connection.end();
		assert.deepEqual(present.connection.elements.slice(present.connection.nBefore), []);
		await managed.connection.end();
		assert.equal(managed.connection.streamEnds, 0);
		assert.equal(managed.connection.elements.length, managed.connection.nBefore);
	} finally {
		await (isStopped ? stopAll(...Object.values(own.servers)) : own.stop());
	}
});

// What the client is told.

const ERROR = `<stream:error><system-shutdown xmlns='${NS.errors}'/><text xmlns='${NS.errors}' xml:lang='de'>Größer ☂ 😀</text>` +
	'<own:reason xmlns:own="urn:own" own:a="1">why &amp; how</own:reason></stream:error>';

function assertStreamErrorToldWith(answer, ids) {
	assertTerminated(answer, 'remote-stream-error');
	const { children } = answer.element;
	assert.deepEqual(children.map(({ name }) => name), [...ids.map(() => 'message'), 'error']);
	assert.deepEqual(children.slice(0, -1).map(({ attributes }) => attributes.id), ids);
	const error = children.at(-1);
	assert.equal(`${error.ns} ${error.prefix}`, `${NS.streams} stream`);
	assert.deepEqual(error.children.map(({ ns, name }) => `${ns} ${name}`), [`${NS.errors} system-shutdown`, `${NS.errors} text`, 'urn:own reason']);
	assert.equal(error.at('text').text, 'Größer ☂ 😀');
	assert.equal(error.at('text').attributes['xml:lang'], 'de');
	assert.match(answer.text, /^<body [^>]*xmlns:stream='http:\/\/etherx\.jabber\.org\/streams'/);
}

test('remote-stream-error: the stanzas before it and the server\'s own words, kept for the next request', TIMEOUT, async () => {
	const { client, connection } = await session();
	await connection.send(`<message id='before1'/>${ERROR.replace(/^/, '<message id="before2"/>')}</stream:stream>`);
	await connection.end();
	assert.equal(connection.streamEnds, 1, 'the server is answered');
	await sleep(1000);
	assertStreamErrorToldWith(await client.request(presence('late')), ['before1', 'before2']);
	assert.equal((await client.request()).element.attributes.condition, 'item-not-found', 'the session is over');
});

test('remote-stream-error: with a request held it is told at once, on the oldest', TIMEOUT, async () => {
	const { client, connection } = await session();
	const held = client.request();
	await stage.doab.hasRequest(client);
	await connection.send(`<message id='before'/>${ERROR}`);
	assertStreamErrorToldWith(await held, ['before']);
	await connection.end();
});

test('remote-stream-error: a client whose connection broke finds it when it repeats its request', TIMEOUT, async () => {
	const { client, connection } = await session();
	await breakHeld(client);
	await connection.send(`<message id='before'/>${ERROR}</stream:stream>`);
	await connection.end();
	assertStreamErrorToldWith(await client.request('', { rid: client.rid }), ['before']);
});

test('remote-connection-failed: what the server sent before is told with it, kept for the next request', TIMEOUT, async () => {
	for (const [finish, text] of [[(socket) => socket.end(), /broke/], [(socket) => socket.resetAndDestroy(), /broke/],
		[(socket) => socket.end('</stream:stream>'), /closed the stream/]]) {
		const { client, connection } = await session();
		await connection.send('<message id="before"/>');
		await untilRead(connection.socket);
		finish(connection.socket);
		await stage.doab.hasFailed(client);
		const answer = await client.request();
		assertTerminated(answer, 'remote-connection-failed');
		assert.equal(answer.element.children[0].attributes.id, 'before');
		const words = answer.element.at('text');
		assert.equal(words.ns, NS.errors);
		assert.match(words.text, text);
	}
});

// Reasons that need a stage of their own; those of DNS are in dns.test.mjs, those of TLS and certificates in tls.test.mjs.

async function assertReason(section, config, condition, text) {
	const own = await Stage.open({}, { ...config, domains: { 'reason.test': { tls: 'off', ...section } } });
	try {
		const answer = await new BoshClient(own.port).create('reason.test', { wait: 30 });
		assertTerminated(answer, condition);
		assert.equal(answer.element.at('text').ns, NS.errors);
		assert.match(answer.element.at('text').text, text);
	} finally {
		await own.stop();
	}
}

test('in words: the server refused the connection', TIMEOUT, async () => {
	await assertReason({ connect: [`127.0.0.1:${await freePort()}`] }, {}, 'remote-connection-failed', /refused the connection/);
});

test('in words: the server did not answer in time', TIMEOUT, async () => {
	const hole = await BlackHole.start();
	try {
		await assertReason({ connect: [hole.address] }, { connect_timeout: 1, open_timeout: 20 }, 'remote-connection-failed', /server did not answer in time/);
	} finally {
		await hole.stop();
	}
});

test('in words: the server did not open its stream in time', TIMEOUT, async () => {
	for (const script of [[{ await: 'header' }, { await: 'nothing' }], 'no-features']) {
		const server = await XmppServer.start(script);
		try {
			await assertReason({ connect: [server.address] }, { open_timeout: 1 }, 'remote-connection-failed', /did not open its stream in time/);
		} finally {
			await server.stop();
		}
	}
});

test('in words: the domain is refused, is none, or is missing', TIMEOUT, async () => {
	await assertReason({ deny: true }, {}, 'host-unknown', /does not serve that domain/);
	for (const [to, condition, text] of [['a b', 'host-unknown', /not the name of a domain/], [undefined, 'improper-addressing', /needs a 'to'/]]) {
		const answer = await new BoshClient(stage.port).create(to);
		assertTerminated(answer, condition);
		assert.match(answer.element.at('text').text, text);
	}
});
