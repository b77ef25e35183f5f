// BOSH libraries that ask for more, or less, than others do, with the real servers: logging in, presence, messages each way.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DOMAIN, PASSWORDS } from '../support/accounts.mjs';
import { Doab } from '../support/doab.mjs';
import { Ejabberd } from '../support/ejabberd.mjs';
import { Prosody } from '../support/prosody.mjs';
import { patiently, removeFolder, stopAll, within } from '../support/util.mjs';
import { clientNamed, urlFor } from './clients/all.mjs';
import { GlooxClient, buildGloox } from './clients/gloox.mjs';
import { NodeXmppClient } from './clients/node-xmpp.mjs';
import { StanzaIoClient } from './clients/stanza-io.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const LOGIN_MS = 30000;
const N_MESSAGES = 50;
// gloox ends without a goodbye where it has no connection, or no request, left for it: then it is found to be gone.
const GONE = { inactivity: 5 };
// A request behind another one on the same connection is read when that one is answered, as by Prosody's own BOSH: so each message may
// take as long as a request is held.
const PIPELINING = { ...GONE, wait: 1 };
const N_PIPELINED = 3;
let folder;

before(() => {
	folder = buildGloox();
});
after(() => folder && removeFolder(folder));

const LIBRARIES = [
	{ name: 'gloox, HTTP/1.0', connect: (account) => GlooxClient.connect('legacy', account), config: GONE },
	{ name: 'gloox, HTTP/1.1', connect: (account) => GlooxClient.connect('persistent', account) },
	{ name: 'gloox, pipelining', connect: (account) => GlooxClient.connect('pipelining', account), config: PIPELINING, n: N_PIPELINED },
	// They take answers as they arrive on their two connections, not in the order of the requests as XEP-0124 wants it.
	{ name: 'stanza.io 8', connect: (account) => StanzaIoClient.connect(8, account), isUnordered: true },
	{ name: 'stanza.io 10', connect: (account) => StanzaIoClient.connect(10, account), isUnordered: true },
	{ name: 'node-xmpp-client 3', connect: NodeXmppClient.connect, isUnordered: true },
];

const accountOf = (user) => ({ domain: DOMAIN, user, password: PASSWORDS[user] });

// The bodies that @receiver gets from @sender, until there are @n of them.
function collect(receiver, sender, n) {
	const bodies = [];
	return within(new Promise((resolve) => {
		receiver.on('message', ({ from, body }) => from === sender.jid && bodies.push(body) === n && setTimeout(resolve, 200, bodies));
	}), 60000, `${n} messages`);
}

// Sends @receiver two stanzas at once that nobody answers, upon a message of its own. stanza.io sends both in one request, and an empty
// one at once behind it.
async function answerTwice(sender, receiver) {
	let n = 0;
	const seen = within(new Promise((resolve) => {
		receiver.on('presence', ({ from }) => from === sender.jid && ++n === 2 && resolve());
	}), 20000, 'two stanzas in answer to a message');
	sender.once('message', () => {
		sender.sendPresence({ to: receiver.jid });
		sender.sendPresence({ to: receiver.jid });
	});
	await receiver.sendMessage(sender.jid, 'go');
	await seen;
}

const presenceOf = (receiver, sender, wanted) => within(new Promise((resolve) => {
	receiver.on('presence', ({ from, type }) => from === sender.jid && type === wanted && resolve());
}), 20000, `presence of ${sender.jid}: ${wanted}`);

function testLibrary({ connect, n = N_MESSAGES, isUnordered }, place) {
	test(`login, presence, ${n} messages each way, goodbye`, TIMEOUT, async () => {
		const other = clientNamed('strophe.js over WebSocket');
		const two = await within(other.connect({ url: urlFor(other, place.doab), ...accountOf('bob') }), LOGIN_MS, 'login');
		await two.sendPresence();
		const one = await within(connect({ url: place.doab.boshUrl, folder, ...accountOf('alice') }), LOGIN_MS, 'login');
		let seen = presenceOf(two, one, 'available');
		one.sendPresence({ to: two.jid });
		await seen;
		await answerTwice(one, two);
		const there = Array.from({ length: n }, (_, i) => `there ${i} <&"'> ä漢😀`);
		const back = Array.from({ length: n }, (_, i) => `back ${i} <&"'> ä漢😀`);
		const received = Promise.all([collect(two, one, n), collect(one, two, n)]);
		for (let i = 0; i < n; i++) {
			one.sendMessage(two.jid, there[i]);
			await two.sendMessage(one.jid, back[i]);
		}
		const [atTwo, atOne] = await received;
		if (isUnordered) {
			atOne.sort();
			back.sort();
		}
		assert.deepEqual(atTwo, there);
		assert.deepEqual(atOne, back);
		const broken = place.doab.events.filter(({ event }) => ['session-ended', 'session-failed'].includes(event));
		assert.deepEqual(broken, [], 'no session ended by a rule or a failure');
		seen = presenceOf(two, one, 'unavailable');
		await one.disconnect();
		await seen;
		await two.disconnect();
	});
}

for (const [name, start] of Object.entries({ Prosody: () => Prosody.start(), ejabberd: () => Ejabberd.start() })) {
	describe(name, () => {
		let server;
		before(async () => {
			server = await start();
		});
		after(() => stopAll(server));
		for (const library of LIBRARIES) {
			describe(library.name, () => {
				const place = {};
				before(async () => {
					place.doab = await Doab.start({ workers: 2, domains: server.domains, ...library.config });
				});
				after(() => stopAll(place.doab));
				testLibrary(library, place);
			});
		}
	});
}
