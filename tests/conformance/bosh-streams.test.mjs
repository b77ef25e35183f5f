// XEP-0124, "Multiple Streams", from the outside: several servers behind one BOSH session.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, sleep, stopAll, until } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const STREAMS_MAX = 3;
const INACTIVITY_S = 5;
let stage;

before(async () => {
	stage = await Stage.open({ one: 'plain', two: 'plain', three: 'plain', late: 'late-features', never: 'no-features' },
		{ wait: 8, inactivity: INACTIVITY_S, max_streams: STREAMS_MAX, sessions_per_address: 1000, open_timeout: 4,
			domains: { 'refused.test': { deny: true }, 'dead.test': { connect: [`127.0.0.1:${await freePort()}`], tls: 'off' } } });
});
after(() => stopAll(stage));

const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;
// A stanza that the scripted server answers with nothing.
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const idsOf = ({ element }) => element.children.map((child) => child.attributes.id);
const received = (connection) => connection.elements.map((element) => element.attributes.id);
const version = { 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0' };

async function session(attributes = {}, on = stage) {
	const client = new BoshClient(on.port);
	const created = await client.create('one.test', attributes);
	assert.ok(created.element.at('features'), created.text);
	return { client, created, name: created.element.attributes.stream, connection: await on.connectionOf('one') };
}

function add(client, to, attributes = {}) {
	return client.request('', { to, 'xml:lang': 'en', ...version, ...attributes });
}

// A session with one stream to each of @names, ready to be used. Resolves with { client, streams }, of each its name and connection.
async function sessionWith(names, on = stage) {
	const { client, name, connection } = await session({}, on);
	const streams = { one: { name, connection } };
	for (const which of names) {
		const { element } = await add(client, `${which}.test`);
		const features = await client.request();
		assert.ok(features.element.at('features'), features.text);
		assert.equal(features.element.attributes.stream, element.attributes.stream);
		streams[which] = { name: element.attributes.stream, connection: await on.connectionOf(which) };
	}
	return { client, streams };
}

// Requests until all of @n payloads have come. Resolves with a list of [stream, id].
async function collect(client, n, answers = []) {
	const told = [];
	for (const answer of answers) {
		told.push(...idsOf(answer).map((id) => [answer.element.attributes.stream, id]));
	}
	while (told.length < n) {
		const answer = await client.request();
		assert.equal(answer.element.attributes.type, undefined, answer.text);
		told.push(...idsOf(answer).map((id) => [answer.element.attributes.stream, id]));
	}
	return told;
}

async function assertGoesOn(client, { name, connection }) {
	const id = `on-${client.rid}`;
	assert.deepEqual(await collect(client, 1, [await client.request(message(id), { stream: name })]), [[name, id]]);
	assert.ok(!connection.hasEnded);
}

async function assertOver(client, ...streams) {
	for (const { connection } of streams) {
		await connection.end();
	}
	assert.equal((await client.request()).element.attributes.condition, 'item-not-found', 'the session is over');
}

test('discovery: the creation answer names the first stream, to clients that can know what that is', TIMEOUT, async () => {
	const names = new Set();
	for (let i = 0; i < 5; i++) {
		const { name } = await session();
		assert.ok(name.length >= 16, name);
		names.add(name);
	}
	assert.equal(names.size, 5, 'each is another');
	const legacy = await session({ ver: undefined });
	assert.equal(legacy.name, undefined);
});

test('max_streams = 1: not offered, and to ask for a stream asks for nothing', TIMEOUT, async () => {
	const own = await Stage.open({ one: 'plain', two: 'plain' }, { max_streams: 1, wait: 4 });
	try {
		const { client, name } = await session({}, own);
		assert.equal(name, undefined);
		const answer = await add(client, 'two.test');
		assert.deepEqual([answer.element.attributes.type, answer.element.attributes.stream], [undefined, undefined]);
		assert.deepEqual(idsOf(await client.request(message('m'), { stream: 'whatever' })), ['m']);
		assert.equal(own.servers.two.connections.length, 0);
	} finally {
		await own.stop();
	}
});

test('without a second stream nothing is named', TIMEOUT, async () => {
	const { client, connection } = await session();
	const answer = await client.request(message('m'));
	assert.deepEqual(idsOf(answer), ['m']);
	assert.equal(answer.element.attributes.stream, undefined);
	connection.socket.resetAndDestroy();
	const end = await client.request();
	assertTerminated(end, 'remote-connection-failed');
	assert.equal(end.element.attributes.stream, undefined);
});

test('adding: the request that asked is told the name; features and identity of the server come under it', TIMEOUT, async () => {
	const { client, name } = await session();
	const { element } = await add(client, 'two.test', { from: 'me@two.test', 'xml:lang': 'de' });
	assert.ok(element.attributes.stream && element.attributes.stream !== name);
	assert.equal(element.attributes['xmpp:version'], '1.0');
	for (const attribute of ['sid', 'requests', 'polling', 'hold', 'inactivity', 'maxpause', 'accept', 'charsets', 'ver', 'wait', 'type']) {
		assert.equal(element.attributes[attribute], undefined, attribute);
	}
	const features = (await client.request()).element;
	assert.ok(features.at('features', 'mechanisms'));
	assert.equal(features.at('features').prefix, 'stream');
	assert.equal(features.attributes.stream, element.attributes.stream);
	assert.equal(features.attributes.from, 'two.test');
	assert.equal(features.attributes.authid, 'scripted-1');
	const { attributes } = await (await stage.connectionOf('two')).header();
	assert.deepEqual([attributes.to, attributes.from, attributes['xml:lang'], attributes.version], ['two.test', 'me@two.test', 'de', '1.0']);
});

test('adding: a held request is released first, and a repeat is told the same name', TIMEOUT, async () => {
	const { client } = await session();
	const held = client.request();
	await sleep(2200); // beyond `polling`, for the next one is empty, too
	const nBefore = stage.servers.two.connections.length;
	const added = await add(client, 'two.test');
	const released = await held;
	assert.deepEqual([released.element.attributes.stream, released.element.children.length], [undefined, 0]);
	const again = await add(client, 'two.test', { rid: client.rid });
	assert.equal(again.text, added.text);
	await client.request();
	assert.equal(stage.servers.two.connections.length, nBefore + 1, 'one stream');
});

test('addressing: payloads reach the server of their stream, and no other', TIMEOUT, async () => {
	const { client, streams: { one, two, three } } = await sessionWith(['two', 'three']);
	const answers = [];
	for (let i = 0; i < 10; i++) {
		for (const [which, { name }] of Object.entries({ one, two, three })) {
			answers.push(await client.request(message(`${which}-${i}`), { stream: name }));
		}
	}
	const told = await collect(client, 30, answers);
	for (const [which, { name, connection }] of Object.entries({ one, two, three })) {
		const ids = Array.from({ length: 10 }, (_, i) => `${which}-${i}`);
		assert.deepEqual(received(connection), ids);
		assert.deepEqual(told.filter(([stream]) => stream === name).map(([, id]) => id), ids);
	}
});

test('addressing: payloads without a name reach all servers', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	const answer = await client.request(message('all'));
	const told = await collect(client, 2, [answer]);
	assert.deepEqual(told.sort(), [[one.name, 'all'], [two.name, 'all']].sort());
	assert.deepEqual([received(one.connection), received(two.connection)], [['all'], ['all']]);
});

test('addressing: no answer has payloads of two streams, and none is forgotten', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	for (let i = 0; i < 5; i++) {
		one.connection.send(message(`one-${i}`));
		two.connection.send(message(`two-${i}`));
	}
	const told = await collect(client, 10);
	assert.deepEqual(told.filter(([stream]) => stream === one.name).map(([, id]) => id), Array.from({ length: 5 }, (_, i) => `one-${i}`));
	assert.deepEqual(told.filter(([stream]) => stream === two.name).map(([, id]) => id), Array.from({ length: 5 }, (_, i) => `two-${i}`));
});

for (const name of ['whatever', '']) {
	test(`addressing: a name that no stream has (${JSON.stringify(name)}) ends the session; on an empty body it says nothing`, TIMEOUT, async () => {
		const { client, streams: { one, two } } = await sessionWith(['two']);
		const held = client.request('', { stream: name });
		one.connection.send(message('well'));
		assert.deepEqual(idsOf(await held), ['well']);
		assertTerminated(await client.request(presence('lost'), { stream: name }), 'item-not-found');
		await assertOver(client, one, two);
		assert.deepEqual([received(one.connection), received(two.connection)], [[], []]);
	});
}

test('restart: of the stream that is named, or of the first', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	const restart = { 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' };
	for (const { name } of [one, two]) {
		await client.exchange(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`, (element) => element.name === 'success', { stream: name });
	}
	const answer = await client.request('', { ...restart, stream: two.name, to: 'two.test' });
	const features = answer.element.at('features') ? answer : await client.request();
	assert.ok(features.element.at('features'), features.text);
	assert.equal(features.element.attributes.stream, two.name);
	assert.deepEqual([one.connection.headers.length, two.connection.headers.length], [1, 2]);
	await client.request('', restart);
	await one.connection.header(1);
	assert.equal(two.connection.headers.length, 2);
});

test('each stream logs in for itself', TIMEOUT, async () => {
	const { client, streams } = await sessionWith(['two']);
	const jids = {};
	for (const [which, { name }] of Object.entries(streams)) {
		const stream = { stream: name };
		await client.exchange(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`, (element) => element.name === 'success', stream);
		await client.exchange('', (element) => element.at('bind'), { ...stream, 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
		const bound = await client.exchange(`<iq xmlns='jabber:client' type='set' id='b-${which}'><bind xmlns='${NS.bind}'/></iq>`,
			(element) => element.attributes.id === `b-${which}`, stream);
		jids[which] = bound.at('bind', 'jid').text;
	}
	assert.deepEqual(jids, { one: 'user@one.test/scripted', two: 'user@two.test/scripted' });
});

test('closing one: its payload and its end reach its server, the others go on', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	const answer = await client.request(presence('bye'), { stream: two.name, type: 'terminate' });
	assert.deepEqual([answer.element.attributes.type, answer.element.attributes.condition, answer.element.attributes.stream],
		['terminate', undefined, two.name]);
	await two.connection.end();
	assert.match(two.connection.text, /<presence [^>]*id='bye'\/><\/stream:stream>$/);
	assert.deepEqual(received(one.connection), []);
	await assertGoesOn(client, one);
	// The client has only just closed it: what is for it is ignored.
	assert.equal((await client.request(presence('late'), { stream: two.name })).element.attributes.type, undefined);
	await assertGoesOn(client, one);
	assert.equal(one.connection.elements.some(({ attributes }) => attributes.id === 'late'), false);
});

test('closing one with a request held: the held one is told, the other is held', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	const held = client.request();
	await stage.doab.hasRequest(client);
	const closing = client.request('', { stream: two.name, type: 'terminate' });
	assert.deepEqual([(await held).element.attributes.type, (await held).element.attributes.stream], ['terminate', two.name]);
	one.connection.send(message('on'));
	assert.deepEqual(idsOf(await closing), ['on']);
});

test('closing the last one ends the session, the first one being closed before', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	assert.equal((await client.request('', { stream: one.name, type: 'terminate' })).element.attributes.stream, one.name);
	await one.connection.end();
	await assertGoesOn(client, two);
	const end = await client.request(presence('bye'), { stream: two.name, type: 'terminate' });
	assert.equal(end.element.attributes.type, 'terminate');
	await assertOver(client, one, two);
	assert.equal(two.connection.streamEnds, 1);
});

test('terminate without a name ends all, its payload reaches all', TIMEOUT, async () => {
	const { client, streams: { one, two, three } } = await sessionWith(['two', 'three']);
	const answer = await client.terminate(presence('bye'));
	assert.deepEqual([answer.element.attributes.type, answer.element.attributes.stream], ['terminate', undefined]);
	await assertOver(client, one, two, three);
	for (const { connection } of [one, two, three]) {
		assert.match(connection.text, /<presence [^>]*id='bye'\/><\/stream:stream>$/);
	}
});

for (const which of ['one', 'two']) {
	test(`a server that resets: its stream (${which}) is over by name, the session goes on; with the last one it ends`, TIMEOUT, async () => {
		const { client, streams } = await sessionWith(['two']);
		const failing = streams[which];
		const other = streams[which === 'one' ? 'two' : 'one'];
		const held = client.request();
		await failing.connection.send(message('last-words'));
		const words = await held;
		assert.deepEqual([words.element.attributes.stream, idsOf(words)], [failing.name, ['last-words']]);
		failing.connection.socket.resetAndDestroy();
		const told = await client.request();
		assertTerminated(told, 'remote-connection-failed');
		assert.equal(told.element.attributes.stream, failing.name);
		assert.match(told.element.text, /broke|closed/);
		await assertGoesOn(client, other);
		other.connection.socket.resetAndDestroy();
		const end = await client.request();
		assertTerminated(end, 'remote-connection-failed');
		assert.equal(end.element.attributes.stream, undefined, 'the session is over');
		await assertOver(client);
	});
}

test('a stream error of one server: told under its name with the stanzas before it, kept for the next request', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	await two.connection.send(`${message('before')}<stream:error><conflict xmlns='${NS.errors}'/></stream:error></stream:stream>`);
	await two.connection.end();
	const told = await client.request();
	assertTerminated(told, 'remote-stream-error');
	assert.equal(told.element.attributes.stream, two.name);
	assert.deepEqual(told.element.children.map(({ name }) => name), ['message', 'error']);
	assert.ok(told.element.at('error', 'conflict'));
	await assertGoesOn(client, one);
});

// Domain, condition, what the text says.
for (const [to, condition, text] of [
	['refused.test', 'host-unknown', /does not serve/],
	['no domain', 'host-unknown', /not the name of a domain/],
	['127.0.0.1', 'host-unknown', /not the name of a domain/],
]) {
	test(`adding ${JSON.stringify(to)} is refused under the name it was given, and the session goes on`, TIMEOUT, async () => {
		const { client, name, connection } = await session();
		const added = await add(client, to);
		const told = added.element.attributes.type ? added : await client.request();
		assertTerminated(told, condition);
		assert.match(told.element.text, text);
		assert.ok(told.element.attributes.stream && told.element.attributes.stream !== name);
		assert.equal(told.element.attributes.stream, added.element.attributes.stream);
		await assertGoesOn(client, { name, connection });
	});
}

for (const [to, text] of [['dead.test', /refused the connection/], ['never.test', /in time/]]) {
	test(`a further stream that cannot be opened (${to}) is over under its name, in words, and the others go on`, TIMEOUT, async () => {
		const { client, name, connection } = await session();
		const added = await add(client, to);
		const told = await client.request();
		assertTerminated(told, 'remote-connection-failed');
		assert.match(told.element.at('text').text, text);
		assert.equal(told.element.attributes.stream, added.element.attributes.stream);
		await assertGoesOn(client, { name, connection });
	});
}

test('a stream that is not open yet: what is for all does not reach it, and does not harm it', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	// The client cannot know yet that there is a second stream to tell from the first.
	const adding = add(client, 'late.test');
	const sent = client.request(message('early'));
	const late = (await adding).element.attributes.stream;
	assert.deepEqual(await collect(client, 1, [await sent]), [[name, 'early']]);
	const restarting = client.request('', { 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
	const told = await collect(client, 2, [await restarting]);
	assert.deepEqual(told.sort(), [[name, undefined], [late, undefined]].sort(), 'features of both');
	assert.equal(connection.headers.length, 1, 'nobody has logged in');
	const later = await stage.connectionOf('late');
	assert.deepEqual([received(later), later.headers.length], [[], 1]);
	await assertGoesOn(client, { name: late, connection: later });
	await assertGoesOn(client, { name, connection });
});

test('a stream that is not open yet: what is for it by name waits for it', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	const late = (await add(client, 'late.test')).element.attributes.stream;
	const answers = [];
	for (const id of ['e1', 'e2', 'e3']) {
		answers.push(await client.request(message(id), { stream: late }));
	}
	// The features, and the echo of each.
	const told = await collect(client, 4, answers);
	assert.deepEqual(told, [undefined, 'e1', 'e2', 'e3'].map((id) => [late, id]));
	assert.deepEqual(received(await stage.connectionOf('late')), ['e1', 'e2', 'e3']);
	await assertGoesOn(client, { name, connection });
});

test('a stream that never opens: what waited for it is lost with it, and no other stream is', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	const never = (await add(client, 'never.test')).element.attributes.stream;
	let told = await client.request(message('lost'), { stream: never });
	while (told.element.attributes.type === undefined) {
		told = await client.request();
	}
	assertTerminated(told, 'remote-connection-failed');
	assert.equal(told.element.attributes.stream, never);
	assert.match(told.element.at('text').text, /did not open its stream in time/);
	assert.deepEqual(received(await stage.connectionOf('never')), []);
	await assertGoesOn(client, { name, connection });
});

test('a stream that is not open yet can be closed', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	const late = (await add(client, 'late.test')).element.attributes.stream;
	const closed = await client.request('', { stream: late, type: 'terminate' });
	assert.deepEqual([closed.element.attributes.type, closed.element.attributes.stream], ['terminate', late]);
	await assertGoesOn(client, { name, connection });
	await (await stage.connectionOf('late')).end();
});

test('a route is refused for a further stream as it is for the first', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	const nBefore = stage.servers.two.connections.length;
	await add(client, 'two.test', { route: `xmpp:127.0.0.1:${stage.servers.two.port}` });
	assertTerminated(await client.request(), 'host-unknown');
	assert.equal(stage.servers.two.connections.length, nBefore);
	await assertGoesOn(client, { name, connection });
});

test('a route that names the default is taken for a further stream as it is for the first', TIMEOUT, async () => {
	const { client, name, connection } = await session();
	const nBefore = stage.servers.two.connections.length;
	const added = await add(client, 'two.test', { route: 'xmpp:TWO.test:5222' });
	const features = await client.request();
	assert.ok(features.element.at('features'), features.text);
	assert.equal(features.element.attributes.stream, added.element.attributes.stream);
	assert.equal(stage.servers.two.connections.length, nBefore + 1);
	await assertGoesOn(client, { name, connection });
});

test(`max_streams: ${STREAMS_MAX} are served, one more is a policy-violation of its own; who closes one has room`, TIMEOUT, async () => {
	const { client, streams: { one, two, three } } = await sessionWith(['two', 'three']);
	const nBefore = stage.servers.two.connections.length;
	const refused = await add(client, 'two.test');
	assertTerminated(refused, 'policy-violation');
	assert.ok(![undefined, one.name, two.name, three.name].includes(refused.element.attributes.stream));
	for (const stream of [one, two, three]) {
		await assertGoesOn(client, stream);
	}
	await client.request('', { stream: two.name, type: 'terminate' });
	const added = await add(client, 'two.test');
	assert.equal(added.element.attributes.type, undefined, added.text);
	assert.ok((await client.request()).element.at('features'));
	assert.equal(stage.servers.two.connections.length, nBefore + 1);
});

test('sessions_per_address: each stream counts like a session, and gives its place back', TIMEOUT, async () => {
	const own = await Stage.open({ one: 'plain', two: 'plain', three: 'plain' }, { sessions_per_address: 2, wait: 8 });
	try {
		const { client, streams: { one, two } } = await sessionWith(['two'], own);
		await add(client, 'three.test');
		const refused = await client.request();
		assertTerminated(refused, 'policy-violation');
		assert.match(refused.element.text, /too many/);
		assertTerminated(await new BoshClient(own.port).create('one.test'), 'policy-violation');
		await client.request('', { stream: two.name, type: 'terminate' });
		await assertGoesOn(client, one);
		const other = new BoshClient(own.port);
		assert.ok((await other.create('one.test')).element.attributes.sid, 'the place of the stream that was closed');
		assert.equal((await new BoshClient(own.port).create('one.test')).element.attributes.condition, 'policy-violation');
		await other.terminate();
		await client.terminate();
		await until(async () => {
			const again = new BoshClient(own.port);
			const { sid } = (await again.create('one.test')).element.attributes;
			const more = sid && (await add(again, 'two.test')).element.attributes.stream;
			await again.terminate();
			return more;
		}, 5000, 'both places');
	} finally {
		await own.stop();
	}
});

test('inactivity: all servers hear of the end, and what waited of each goes back to it', TIMEOUT, async () => {
	const { client, streams: { one, two } } = await sessionWith(['two']);
	// Before the login nothing goes back.
	for (const { name, connection } of [one, two]) {
		const { text } = await client.request(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`, { stream: name });
		assert.match(text, /<success /);
		connection.elements.length = 0;
	}
	for (const [which, { connection }] of Object.entries({ one, two })) {
		await connection.send(`<message from='${which}@else.test' to='user@${which}.test' id='for-${which}'><body>?</body></message>`);
	}
	for (const [which, { connection }] of Object.entries({ one, two })) {
		await connection.end((INACTIVITY_S + 6) * 1000);
		const [bounced, ...more] = connection.elements;
		assert.deepEqual([bounced.attributes.id, bounced.attributes.to, bounced.attributes.type, more], [`for-${which}`, `${which}@else.test`, 'error', []]);
		assert.equal(connection.streamEnds, 1);
	}
	await assertOver(client);
});

test('system-shutdown: one answer for all streams, each of which is closed', TIMEOUT, async () => {
	const own = await Stage.open({ one: 'plain', two: 'plain' }, { workers: 2 });
	let isStopped = false;
	try {
		const { client, streams: { one, two } } = await sessionWith(['two'], own);
		const held = client.request();
		await own.doab.hasRequest(client);
		await own.doab.stop();
		isStopped = true;
		assertTerminated(await held, 'system-shutdown');
		assert.equal((await held).element.attributes.stream, undefined);
		for (const { connection } of [one, two]) {
			await connection.end();
			assert.equal(connection.streamEnds, 1);
		}
	} finally {
		await (isStopped ? stopAll(...Object.values(own.servers)) : own.stop());
	}
});
