// Many messages each way between two accounts, in order and without loss; stanzas of 100 KB.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMAIN, LOGIN_MS, PASSWORDS } from '../../support/accounts.mjs';
import { patiently, within } from '../../support/util.mjs';
import { CLIENTS, clientNamed, urlFor } from '../clients/all.mjs';

const N_LARGE = 100 * 1024;

const PAIRS = [
	['strophe.js over BOSH', 'strophe.js over BOSH'],
	['strophe.js over BOSH', 'strophe.js over WebSocket'],
	['strophe.js over WebSocket', '@xmpp/client over WebSocket'],
	['stanza over BOSH', '@xmpp/client over WebSocket'],
	['stanza over BOSH', 'strophe.js over BOSH'],
	['stanza over WebSocket', 'strophe.js over WebSocket'],
];

// What @receiver gets from @sender, in the order it comes, until there are @n of them. Rejects if it is disconnected before.
function collect(receiver, sender, n) {
	const bodies = [];
	return new Promise((resolve, reject) => {
		receiver.on('message', ({ from, body }) => {
			if (from === sender.jid && bodies.push(body) === n) {
				// What came twice would come now.
				setTimeout(resolve, 200, bodies);
			}
		});
		receiver.on('closed', (reason) => {
			reject(new Error(`${receiver.jid} was disconnected after ${bodies.length} messages: ${reason ?? receiver.failure}`));
		});
	});
}

async function sendAll(sender, receiver, texts) {
	for (const text of texts) {
		await sender.sendMessage(receiver.jid, text);
	}
}

// @n: messages each way. stanza over BOSH sends about 20 in a second: so many that several requests are under way all the time are enough.
const N_SLOW = 200;

export function testMessages(place, { n = 1000 } = {}) {
	const connect = (client, user) => within(
		client.connect({ url: urlFor(client, place.doab), domain: DOMAIN, user, password: PASSWORDS[user] }), LOGIN_MS, 'login');

	for (const [first, second] of PAIRS) {
		const nEach = first === 'stanza over BOSH' ? Math.min(n, N_SLOW) : n;
		test(`${nEach} messages each way: ${first} and ${second}`, { timeout: patiently(90000) }, async () => {
			const one = await connect(clientNamed(first), 'alice');
			const two = await connect(clientNamed(second), 'bob');
			const there = Array.from({ length: nEach }, (_, i) => `there ${i} <&"'> ä漢😀`);
			const back = Array.from({ length: nEach }, (_, i) => `back ${i}`);
			const received = Promise.all([collect(two, one, nEach), collect(one, two, nEach)]);
			await Promise.all([sendAll(one, two, there), sendAll(two, one, back)]);
			const [atTwo, atOne] = await within(received, 60000, 'all messages');
			assert.deepEqual(atTwo, there);
			assert.deepEqual(atOne, back);
			await Promise.all([one.disconnect(), two.disconnect()]);
		});
	}

	for (const client of CLIENTS) {
		test(`a stanza of ${N_LARGE} bytes both ways: ${client.name}`, { timeout: patiently(60000) }, async () => {
			const one = await connect(client, 'alice');
			const two = await connect(client, 'bob');
			const large = 'äß<'.repeat(N_LARGE / 4);
			for (const [sender, receiver] of [[one, two], [two, one]]) {
				const received = collect(receiver, sender, 1);
				sender.sendMessage(receiver.jid, large);
				const [body] = await within(received, 30000, 'the large message');
				assert.ok(body === large, 'the large message came unchanged');
			}
			await Promise.all([one.disconnect(), two.disconnect()]);
		});
	}
}
