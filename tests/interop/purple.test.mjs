// libpurple's BOSH, as Pidgin uses it: a client in C, of another make than those in JavaScript.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Doab } from '../support/doab.mjs';
import { DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { patiently, removeFolder, stopAll, within } from '../support/util.mjs';
import { clientNamed, urlFor } from './clients/all.mjs';
import { buildPurple, PurpleClient } from './clients/purple.mjs';

const N_MESSAGES = 300;
const N_LARGE = 30000;
const TIMEOUT = { timeout: patiently(60000) };
let folder;
let prosody;
let doab;

before(async () => {
	folder = buildPurple();
	// Without PLAIN only SCRAM is left.
	prosody = await Prosody.start({ mechanismsOff: ['PLAIN', 'OAUTHBEARER'] });
	// libpurple says `to` in each of its requests: an empty one would ask for a further stream.
	doab = await Doab.start({ workers: 2, max_streams: 1, domains: prosody.domains });
});
after(async () => {
	await stopAll(doab, prosody);
	if (folder) {
		removeFolder(folder);
	}
});

const purple = (user, password = PASSWORDS[user]) =>
	within(PurpleClient.connect({ url: doab.boshUrl, domain: DOMAIN, user, password, folder }), 30000, 'login');

const other = (user) => {
	const client = clientNamed('@xmpp/client over WebSocket');
	return within(client.connect({ url: urlFor(client, doab), domain: DOMAIN, user, password: PASSWORDS[user] }), 15000, 'login');
};

// The bodies that @receiver gets, until there are @n.
function collect(receiver, n) {
	const bodies = [];
	return within(new Promise((resolve) => {
		receiver.on('message', ({ body }) => bodies.push(body) === n && setTimeout(resolve, 200, bodies));
	}), 40000, `${n} messages`);
}

test('libpurple over BOSH: SCRAM login, presence both ways, goodbye', TIMEOUT, async () => {
	const [one, two] = [await purple('alice'), await other('bob')];
	const type = (client, from, wanted) => within(new Promise((resolve) => {
		client.on('presence', (presence) => presence.from === from && presence.type === wanted && resolve());
	}), 15000, `presence of ${from}: ${wanted}`);
	let seen = type(two, one.jid, 'available');
	one.sendPresence({ to: two.jid });
	await seen;
	seen = type(one, two.jid, 'available');
	await two.sendPresence({ to: one.jid });
	await seen;
	seen = type(two, one.jid, 'unavailable');
	await one.disconnect();
	await seen;
	await two.disconnect();
});

test(`libpurple over BOSH: ${N_MESSAGES} messages each way, in order`, TIMEOUT, async () => {
	const [one, two] = [await purple('alice'), await other('bob')];
	await two.sendPresence();
	const there = Array.from({ length: N_MESSAGES }, (_, i) => `there ${i} <&"'> ä漢😀`);
	const back = Array.from({ length: N_MESSAGES }, (_, i) => `back ${i} <&"'> ä漢😀`);
	const received = Promise.all([collect(two, N_MESSAGES), collect(one, N_MESSAGES)]);
	for (let i = 0; i < N_MESSAGES; i++) {
		one.sendMessage(two.jid, there[i]);
		await two.sendMessage(one.jid, back[i]);
	}
	const [atTwo, atOne] = await received;
	assert.deepEqual(atTwo, there);
	assert.deepEqual(atOne, back);
	await Promise.all([one.disconnect(), two.disconnect()]);
});

// By another account: what libpurple had not acknowledged when it went (XEP-0198) is delivered once more at its next login.
test(`libpurple over BOSH: a stanza of ${N_LARGE} bytes both ways`, TIMEOUT, async () => {
	const [one, two] = [await purple('carol'), await other('bob')];
	const large = 'äß<'.repeat(N_LARGE / 4);
	for (const [sender, receiver] of [[one, two], [two, one]]) {
		const received = collect(receiver, 1);
		sender.sendMessage(receiver.jid, large);
		assert.ok((await received)[0] === large, 'the large message came unchanged');
	}
	await Promise.all([one.disconnect(), two.disconnect()]);
});

test('libpurple over BOSH: a wrong password is refused by the server, and said', TIMEOUT, async () => {
	await assert.rejects(purple('alice', 'not-the-one'), /purple: .*(uthori|uthent|assword)/);
});

test('libpurple over BOSH: a session ended by the server', TIMEOUT, async () => {
	const one = await purple('alice');
	const closed = within(once(one, 'closed'), 15000, 'the end of the session');
	await prosody.closeSessions(one.jid);
	await closed;
	await one.disconnect();
});
