// The answer that ends a session may be lost with its connection: the repeat of its request gets it again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const CONFLICT = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { workers: 2 });
});
after(() => stopAll(stage));

// A session whose client has lost the answer that ended it.
async function loseConflict() {
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	const connection = await stage.connectionOf('plain');
	const lost = client.lose();
	connection.send(CONFLICT);
	await lost;
	await stage.doab.logged('session-closed', { session: client.sid.slice(0, 6) });
	return client;
}

const again = (client, attributes = {}) => client.request('', { rid: client.rid, ...attributes });

function assertConflict(answer) {
	const { attributes, children } = answer.element;
	assert.equal(answer.status, 200);
	assert.equal(`${attributes.type} ${attributes.condition}`, 'terminate remote-stream-error', answer.text);
	assert.equal(children[0].children[0].name, 'conflict', answer.text);
}

function assertNotFound(answer) {
	assert.equal(answer.element.attributes.condition, 'item-not-found', answer.text);
	assert.doesNotMatch(answer.text, /conflict/);
}

test('a lost conflict is told again, to each repeat and on any worker', TIMEOUT, async () => {
	const client = await loseConflict();
	for (let i = 0; i < 8; i++) {
		assertConflict(await again(client));
	}
});

test('no other request gets it', TIMEOUT, async () => {
	const client = await loseConflict();
	assertNotFound(await again(client, { rid: client.rid + 1 }));
	assertNotFound(await again(client, { rid: client.rid - 3 }));
	assertNotFound(await again(client, { key: 'a'.repeat(40) }));
	assertNotFound(await again(client, { sid: `${client.sid.slice(0, -1)}${client.sid.endsWith('A') ? 'B' : 'A'}` }));
	assertConflict(await again(client));
});

// The client gets nothing of the answer to its request: it has other requests open, and then the session ends.
test('a lost answer is given again after the session has ended', TIMEOUT, async () => {
	for (const attributes of [{}, { ack: '1' }]) {
		const client = new BoshClient(stage.port, { connection: 'fresh' });
		await client.login('plain.test', attributes);
		const connection = await stage.connectionOf('plain');
		const lost = client.lose();
		connection.send("<message from='peer@plain.test/x'><body>do not lose me</body></message>");
		await lost;
		const { rid } = client;
		// As a client with two connections does; without an acknowledgement of what it has not got.
		const next = client.lose('', attributes.ack ? { ack: String(rid - 1) } : {});
		connection.send(CONFLICT);
		await next;
		await stage.doab.logged('session-closed', { session: client.sid.slice(0, 6) });
		for (let i = 0; i < 3; i++) {
			const { element, status } = await again(client, { rid });
			assert.equal(status, 200);
			assert.equal(element.attributes.type, undefined);
			assert.equal(element.children[0].children[0].text, 'do not lose me');
		}
		assertConflict(await again(client));
	}
});

test('the answer to a lost goodbye and a lost refusal are told again, too', TIMEOUT, async () => {
	const goodbye = new BoshClient(stage.port);
	await goodbye.login('plain.test');
	await goodbye.lose('', { type: 'terminate' });
	const answer = await again(goodbye, { type: 'terminate' });
	assert.equal(answer.element.attributes.type, 'terminate');
	assert.equal(answer.element.attributes.condition, undefined, answer.text);
	const refused = new BoshClient(stage.port);
	await refused.login('plain.test');
	await refused.lose('', { pause: '99999' });
	const policy = await again(refused, { pause: '99999' });
	assert.equal(policy.element.attributes.condition, 'policy-violation', policy.text);
	goodbye.close();
	refused.close();
});

test('what had waited for the client is told again with it, be it large', TIMEOUT, async () => {
	const client = new BoshClient(stage.port, { connection: 'fresh' });
	await client.login('plain.test');
	const connection = await stage.connectionOf('plain');
	const text = 'x'.repeat(30000);
	await connection.send(`<message from='peer@plain.test/x'><body>${text}</body></message>${CONFLICT}`);
	await connection.end();
	await client.lose();
	await stage.doab.logged('session-closed', { session: client.sid.slice(0, 6) });
	const { element } = await again(client);
	assert.deepEqual(element.children.map(({ name }) => name), ['message', 'error']);
	assert.equal(element.children[0].children[0].text, text);
	assert.equal(element.attributes.type, 'terminate');
});

test('a session that ended for want of requests is not found', TIMEOUT, async () => {
	const short = await Stage.open({ plain: 'plain' }, { inactivity: 5 });
	try {
		const client = new BoshClient(short.port);
		await client.login('plain.test');
		await short.doab.logged('session-closed', {}, 20000);
		assertNotFound(await again(client));
	} finally {
		await short.stop();
	}
});

test('the answers have the media type of the session', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	await client.login('plain.test', { content: 'text/plain' });
	await client.lose('', { type: 'terminate' });
	assert.match((await again(client)).headers['content-type'], /^text\/plain/);
	assert.equal((await again(client)).headers['x-content-type-options'], 'nosniff');
	client.close();
});
