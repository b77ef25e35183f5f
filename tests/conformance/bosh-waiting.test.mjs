// What a BOSH client sends before the features of its stream have come: it waits for them. The servers of these tests give features
// when the test says so.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { BIND_FEATURES, FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const WAITING_MAX = 64 * 1024;
const header = (features) => [{ await: 'header' }, { header: true, features }];
const login = [...header(FEATURES), { await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` }, ...header(null)];
let stage;

before(async () => {
	stage = await Stage.open({ one: header(null), two: header(null), login },
		{ wait: 1, polling: 2, linger: 0, max_streams: 3, sessions_per_address: 1000, log_level: 'debug' });
});
after(() => stopAll(stage));

const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const received = (connection) => connection.elements.map((element) => element.attributes.id);

// A session that was created without features.
async function early(domain = 'one.test') {
	const client = new BoshClient(stage.port);
	const server = stage.servers[domain.split('.')[0]];
	const nBefore = server.connections.length;
	const { element } = await client.create(domain);
	assert.equal(element.at('features'), undefined);
	return { client, connection: await server.connection(nBefore), name: element.attributes.stream };
}

async function assertReceived(connection, ids) {
	await connection.element('presence', ({ attributes }) => attributes.id === ids.at(-1));
	assert.deepEqual(received(connection), ids);
}

test('payloads before the features wait for them, in order, and the features are told', TIMEOUT, async () => {
	const { client, connection } = await early();
	const ids = Array.from({ length: 10 }, (_, i) => `w${i}`);
	let held = client.request(presence(ids[0]));
	for (const id of ids.slice(1)) {
		const next = client.request(presence(id));
		assert.equal((await held).element.attributes.type, undefined);
		held = next;
	}
	assert.equal((await held).element.attributes.type, undefined);
	assert.deepEqual(received(connection), []);
	await connection.send(FEATURES);
	await assertReceived(connection, ids);
	assert.ok(await client.features());
	client.request(presence('on'));
	await assertReceived(connection, [...ids, 'on']);
	client.close();
});

test('payloads behind a restart wait for the features of the new stream', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	await client.create('login.test');
	await client.exchange(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`, ({ name }) => name === 'success');
	client.received.length = 0;
	const connection = await stage.connectionOf('login');
	const restarting = client.request('', { 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
	const sent = client.request(presence('bind'));
	await connection.header(1);
	// What the server has got in the meantime is told by what it has got when the features are out.
	for (const answer of await Promise.all([restarting, sent])) {
		assert.equal(answer.element.attributes.type, undefined, answer.text);
	}
	assert.deepEqual(connection.elements.map(({ name }) => name), ['auth']);
	await connection.send(BIND_FEATURES);
	await connection.element('presence');
	assert.ok((await client.features()).at('bind'));
	client.close();
});

test('payloads for all wait for each stream, while none is open', TIMEOUT, async () => {
	const { client, connection: one } = await early();
	const added = await client.request('', { to: 'two.test' });
	assert.ok(added.element.attributes.stream);
	const two = await stage.connectionOf('two');
	await client.request(presence('all'));
	await two.send(FEATURES);
	await assertReceived(two, ['all']);
	assert.deepEqual(received(one), []);
	await one.send(FEATURES);
	await assertReceived(one, ['all']);
	client.close();
});

test('a stream that ends before its features: the client is told, and nothing is sent', TIMEOUT, async () => {
	const { client, connection } = await early();
	await client.request(presence('lost'));
	connection.send(`<stream:error><host-unknown xmlns='${NS.errors}'/></stream:error></stream:stream>`);
	await stage.doab.hasFailed(client);
	assertTerminated(await client.request(presence('later')), 'remote-stream-error');
	assert.deepEqual(received(connection), []);
	await stage.doab.logged('session-failed', { failure: 'stream-error', session: client.sid.slice(0, 6) });
	client.close();
});

test(`as much as ${WAITING_MAX} bytes may wait`, TIMEOUT, async () => {
	for (const more of [0, 1]) {
		const { client, connection } = await early();
		const n = WAITING_MAX + more - presence('').length;
		const answer = await client.request(presence('x'.repeat(n)));
		if (more) {
			assertTerminated(answer, 'policy-violation');
			assert.match(answer.element.at('text').text, /too much was sent before the features/);
			await stage.doab.logged('session-ended', { rule: 'too-much-too-early', session: client.sid.slice(0, 6) });
		} else {
			assert.equal(answer.element.attributes.type, undefined, answer.text);
			await connection.send(FEATURES);
			await connection.element('presence');
			assert.equal(connection.elements[0].attributes.id.length, n);
		}
		client.close();
	}
});
