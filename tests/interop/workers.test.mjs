// Several workers: requests of a BOSH session that arrive on new connections, and so on any worker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { patiently, stopAll } from '../support/util.mjs';

const N_MESSAGES = 1000;
const N_A_REQUEST = 10;
let prosody;

before(async () => {
	prosody = await Prosody.start();
});
after(() => stopAll(prosody));

const message = (to, text) => `<message xmlns='jabber:client' to='${to}' type='chat'><body>${text}</body></message>`;
const isMessage = ({ name }) => name === 'message';

// Sends to itself, some messages a request, each request on a connection of its own, and polls until all are back.
async function talkToItself(client, jid, n) {
	const bodies = [];
	for (let i = 0; i < n; i += N_A_REQUEST) {
		const payload = Array.from({ length: N_A_REQUEST }, (_, k) => message(jid, `m${i + k}`)).join('');
		client.keep(await client.request(payload));
	}
	for (;;) {
		bodies.push(...client.received.filter(isMessage).map((element) => element.at('body').text));
		client.received = client.received.filter((element) => !isMessage(element));
		if (bodies.length >= n) {
			return bodies;
		}
		client.keep(await client.request());
	}
}

for (const workers of [1, 2, 3]) {
	test(`workers = ${workers}: ${N_MESSAGES} messages over BOSH, a new connection for each request`, { timeout: patiently(90000) }, async () => {
		const doab = await Doab.start({ workers, domains: prosody.domains });
		try {
			const client = new BoshClient(doab.port, { connection: 'fresh' });
			const jid = await client.login(DOMAIN, { user: 'alice', password: PASSWORDS.alice });
			const bodies = await talkToItself(client, jid, N_MESSAGES);
			assert.deepEqual(bodies, Array.from({ length: N_MESSAGES }, (_, i) => `m${i}`));
			const ended = await client.terminate();
			assert.equal(ended.element.attributes.type, 'terminate');
		} finally {
			await doab.stop();
		}
	});
}

test('workers = 3: forty sessions of both kinds at once, each sees its own messages only', { timeout: patiently(90000) }, async () => {
	const doab = await Doab.start({ workers: 3, domains: prosody.domains });
	const overBosh = async () => {
		const client = new BoshClient(doab.port, { connection: 'fresh' });
		const jid = await client.login(ANONYMOUS_DOMAIN);
		assert.equal(new Set(await talkToItself(client, jid, 50)).size, 50);
		await client.terminate();
	};
	const overWebSocket = async (i) => {
		const socket = await openWebSocket(doab.port);
		const jid = await socket.login(ANONYMOUS_DOMAIN);
		for (let k = 0; k < 50; k++) {
			socket.send(message(jid, `w${i} ${k}`));
		}
		for (let k = 0; k < 50; k++) {
			assert.equal((await socket.next()).at('body').text, `w${i} ${k}`);
		}
		await socket.finish();
	};
	try {
		await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? overBosh() : overWebSocket(i))));
	} finally {
		await doab.stop();
	}
});

test('workers = 2: held requests are answered when the gateway stops', { timeout: patiently(30000) }, async (t) => {
	const doab = await Doab.start({ workers: 2, domains: prosody.domains });
	t.after(() => doab.isRunning && doab.stop());
	const clients = await Promise.all(Array.from({ length: 6 }, async () => {
		const client = new BoshClient(doab.port, { connection: 'fresh' });
		await client.login(ANONYMOUS_DOMAIN);
		return client;
	}));
	const held = clients.map((client) => client.request());
	const socket = await openWebSocket(doab.port);
	await socket.login(ANONYMOUS_DOMAIN);
	// One that comes later finds no session.
	await Promise.all(clients.map(({ rid }) => doab.logged('bosh-request', { rid })));
	await doab.stop();
	for (const answer of await Promise.all(held)) {
		assert.equal(answer.status, 200);
		assert.equal(answer.element.attributes.type, 'terminate');
		assert.equal(answer.element.attributes.condition, 'system-shutdown');
	}
	const error = await socket.next();
	assert.equal(error.name, 'error');
	assert.ok(error.at('system-shutdown'));
});
