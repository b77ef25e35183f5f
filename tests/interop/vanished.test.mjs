// A BOSH client that vanishes, with a real server: what was sent to it is lost by nobody in silence. And several accounts in one session.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const INACTIVITY_S = 5;
let prosody;
let doab;

before(async () => {
	prosody = await Prosody.start();
	doab = await Doab.start({ workers: 2, inactivity: INACTIVITY_S, wait: 5, domains: prosody.domains });
});
after(() => stopAll(doab, prosody));

const message = (to, text) => `<message xmlns='jabber:client' to='${to}' type='chat'><body>${text}</body></message>`;
const presence = '<presence xmlns=\'jabber:client\'/>';
const isMessage = ({ name }) => name === 'message';
const textOf = (element) => element.at('body').text;

async function bosh(user) {
	const client = new BoshClient(doab.port, { connection: 'fresh' });
	await client.login(DOMAIN, { user, password: PASSWORDS[user] });
	return client;
}

// Logs in, and is there for messages to the bare address.
async function online(user) {
	const client = await bosh(user);
	await client.exchange(presence, ({ name }) => name === 'presence');
	return client;
}

async function webSocket(user) {
	const socket = await openWebSocket(doab.port);
	await socket.login(DOMAIN, user, PASSWORDS[user]);
	return socket;
}

// The next element of that name; acknowledgement requests on the way are answered with @handled.
async function nextNamed(socket, name, handled = 0) {
	for (;;) {
		const element = await socket.next();
		if (element.name === name) {
			return element;
		}
		if (element.name === 'r') {
			socket.send(`<a xmlns='${NS.sm}' h='${handled}'/>`);
		}
	}
}

// Says goodbye having acknowledged all, so that the server keeps nothing for the next login.
async function finishManaged(socket, handled) {
	socket.send(`<a xmlns='${NS.sm}' h='${handled}'/>`);
	await socket.finish();
}

// Resolves when the server has dealt with all that @socket has sent before: it does so in order.
async function settled(socket) {
	socket.send('<iq xmlns=\'jabber:client\' type=\'get\' id=\'settled\'><ping xmlns=\'urn:xmpp:ping\'/></iq>');
	assert.equal((await nextNamed(socket, 'iq')).attributes.id, 'settled');
}

// Resolves when the server knows of no session of that account.
const offline = (user) => until(async () => !(await prosody.console('c2s:show()')).includes(`${user}@${DOMAIN}`), 10000, `${user} has gone`);

async function enable(client, attributes) {
	return client.exchange(`<enable xmlns='${NS.sm}'${attributes}/>`, ({ name }) => name === 'enabled');
}

const sessionClosed = (client) => doab.logged('session-closed', { session: client.sid.slice(0, 6) });

test('a message to a BOSH client that vanished comes back to its sender; the next ones wait for the next login', TIMEOUT, async () => {
	const bob = await webSocket('bob');
	const alice = await online('alice');
	bob.send(message(alice.jid, 'too late &lt;for> "you" ä漢😀'));
	const returned = await nextNamed(bob, 'message');
	assert.deepEqual([returned.attributes.type, returned.attributes.from], ['error', alice.jid]);
	assert.equal(textOf(returned), 'too late <for> "you" ä漢😀');
	assert.equal(returned.at('error').attributes.type, 'wait');
	assert.ok(returned.at('error', 'recipient-unavailable'));
	await sessionClosed(alice);
	for (const text of ['stored 1', 'stored 2']) {
		bob.send(message(`alice@${DOMAIN}`, text));
	}
	await settled(bob);
	const again = await bosh('alice');
	for (const [payload, text] of [[presence, 'stored 1'], ['', 'stored 2']]) {
		const stored = await again.exchange(payload, isMessage);
		assert.equal(textOf(stored), text);
		assert.ok(stored.at('delay'), 'from offline storage');
	}
	await again.terminate();
	await bob.finish();
});

test('an IQ to a BOSH client that vanished is answered', TIMEOUT, async () => {
	const bob = await webSocket('bob');
	const alice = await online('alice');
	bob.send(`<iq xmlns='jabber:client' to='${alice.jid}' type='get' id='q1'><ping xmlns='urn:xmpp:ping'/></iq>`);
	const returned = await nextNamed(bob, 'iq');
	assert.deepEqual([returned.attributes.type, returned.attributes.id, returned.attributes.from], ['error', 'q1', alice.jid]);
	assert.ok(returned.at('error', 'service-unavailable'));
	await bob.finish();
});

test('stream management without resumption: what a BOSH client did not get waits for the next login', TIMEOUT, async () => {
	const bob = await webSocket('bob');
	const carol = await online('carol');
	await enable(carol, '');
	for (const text of ['unseen 1', 'unseen 2']) {
		bob.send(message(carol.jid, text));
	}
	await sessionClosed(carol);
	await offline('carol');
	const again = await bosh('carol');
	for (const [payload, text] of [[presence, 'unseen 1'], ['', 'unseen 2']]) {
		const stored = await again.exchange(payload, isMessage);
		assert.equal(textOf(stored), text);
		assert.equal(stored.attributes.type, 'chat');
		assert.ok(stored.at('delay'), 'from offline storage');
	}
	await again.terminate();
	// Nothing was injected: the sender has heard of no error.
	bob.send(message(bob.jid, 'to myself'));
	assert.equal(textOf(await nextNamed(bob, 'message')), 'to myself');
	await bob.finish();
});

for (const [when, wait] of [['after the gateway gave the session up', sessionClosed], ['while the gateway still has the session', () => sleep(1000)]]) {
	test(`a BOSH session is resumed over a WebSocket, ${when}: nothing lost, nothing twice`, TIMEOUT, async () => {
		const bob = await webSocket('bob');
		const alice = await online('alice');
		const enabled = await enable(alice, ' resume=\'true\'');
		assert.ok(enabled.attributes.id, 'the server offers resumption');
		bob.send(message(alice.jid, 'seen'));
		assert.equal(textOf(await alice.exchange('', isMessage)), 'seen');
		await alice.request(message(bob.jid, 'one'));
		assert.equal(textOf(await nextNamed(bob, 'message')), 'one');
		for (const text of ['while away 1', 'while away 2', 'while away 3']) {
			bob.send(message(alice.jid, text));
		}
		await wait(alice);

		const again = await openWebSocket(doab.port);
		await again.start(DOMAIN);
		again.send(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('alice', PASSWORDS.alice)}</auth>`);
		assert.equal((await again.next()).name, 'success');
		await again.start(DOMAIN);
		again.send(`<resume xmlns='${NS.sm}' previd='${enabled.attributes.id}' h='1'/>`);
		const resumed = await nextNamed(again, 'resumed');
		assert.equal(resumed.attributes.h, '1', 'the server counted one stanza of the client: the gateway added none');
		for (const text of ['while away 1', 'while away 2', 'while away 3']) {
			assert.equal(textOf(await nextNamed(again, 'message', 1)), text);
		}
		again.send(message(bob.jid, 'two'));
		assert.equal(textOf(await nextNamed(bob, 'message')), 'two');
		bob.send(message(alice.jid, 'after all'));
		assert.equal(textOf(await nextNamed(again, 'message', 4)), 'after all');
		await finishManaged(again, 5);
		await bob.finish();
	});
}

test('a WebSocket session is resumed over BOSH, and that one over a WebSocket again', TIMEOUT, async () => {
	const bob = await webSocket('bob');
	const first = await webSocket('alice');
	first.send(`<enable xmlns='${NS.sm}' resume='true'/>`);
	const { id } = (await nextNamed(first, 'enabled')).attributes;
	first.drop();
	bob.send(message(first.jid, 'one'));

	const second = new BoshClient(doab.port, { connection: 'fresh' });
	await second.create(DOMAIN);
	await second.exchange(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('alice', PASSWORDS.alice)}</auth>`, ({ name }) => name === 'success');
	await second.restart(DOMAIN);
	await second.exchange(`<resume xmlns='${NS.sm}' previd='${id}' h='0'/>`, ({ name }) => name === 'resumed');
	assert.equal(textOf(await second.exchange('', isMessage)), 'one');
	bob.send(message(first.jid, 'two'));
	await sessionClosed(second);

	const third = await openWebSocket(doab.port);
	await third.start(DOMAIN);
	third.send(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('alice', PASSWORDS.alice)}</auth>`);
	assert.equal((await third.next()).name, 'success');
	await third.start(DOMAIN);
	third.send(`<resume xmlns='${NS.sm}' previd='${id}' h='1'/>`);
	await nextNamed(third, 'resumed');
	assert.equal(textOf(await nextNamed(third, 'message', 1)), 'two');
	await finishManaged(third, 2);
	await bob.finish();
});

test('two accounts in one BOSH session talk to each other', TIMEOUT, async () => {
	const client = new BoshClient(doab.port, { connection: 'fresh' });
	const accounts = ['alice', 'bob'].map((user) => ({ user }));
	for (const account of accounts) {
		const { user } = account;
		const to = { to: DOMAIN, 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0', 'xml:lang': 'en' };
		const opened = await (client.sid ? client.request('', to) : client.create(DOMAIN));
		account.stream = opened.element.attributes.stream;
		const stream = { stream: account.stream };
		await client.features();
		await client.exchange(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse(user, PASSWORDS[user])}</auth>`, ({ name }) => name === 'success', stream);
		await client.exchange('', ({ name }) => name === 'features', { ...to, ...stream, 'xmpp:restart': 'true' });
		const bound = await client.exchange(`<iq xmlns='jabber:client' type='set' id='${user}'><bind xmlns='${NS.bind}'/></iq>`,
			({ attributes }) => attributes.id === user, stream);
		account.jid = bound.at('bind', 'jid').text;
		assert.match(account.jid, new RegExp(`^${user}@${DOMAIN}/`));
	}
	const [alice, bob] = accounts;
	const n = 50;
	const received = { [alice.stream]: [], [bob.stream]: [] };
	const take = ({ element }) => received[element.attributes.stream]?.push(...element.children.filter(isMessage).map(textOf));
	for (let i = 0; i < n; i++) {
		take(await client.request(message(bob.jid, `there ${i}`), { stream: alice.stream }));
		take(await client.request(message(alice.jid, `back ${i}`), { stream: bob.stream }));
	}
	while (received[alice.stream].length + received[bob.stream].length < 2 * n) {
		take(await client.request());
	}
	assert.deepEqual(received[bob.stream], Array.from({ length: n }, (_, i) => `there ${i}`));
	assert.deepEqual(received[alice.stream], Array.from({ length: n }, (_, i) => `back ${i}`));
	// One says goodbye, the other goes on.
	const closed = await client.request('', { stream: alice.stream, type: 'terminate' });
	assert.equal(closed.element.attributes.stream, alice.stream);
	const pong = await client.exchange('<iq xmlns="jabber:client" type="get" id="p"><ping xmlns="urn:xmpp:ping"/></iq>',
		({ attributes }) => attributes.id === 'p', { stream: bob.stream });
	assert.equal(pong.attributes.type, 'result');
	await client.terminate();
});
