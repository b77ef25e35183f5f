// What the soak's judge lets pass, and what it does not: a judge that excuses too much finds nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SoakClient } from '../soak/client.mjs';
import { judge } from '../soak/judge.mjs';

const HOUR_MS = 3600000;

// The failures of a session whose client is gone, of @nSent stanzas that came long before the end of its stream. @lost: those that
// the client has not got; @returned: of these, the ones that went back.
function failuresOf({ transport, lost, returned, nSent = 100, sentAgo = HOUR_MS }) {
	const now = Date.now();
	const failures = [];
	const client = {
		traits: { transport }, errors: [], condition: undefined, server: { wasDown: () => false }, vanishedAt: now - 2 * HOUR_MS,
		nSent: 0, ridOf: [], settledAt: [], ledger: { errors: [], close: () => lost, next: 1 },
	};
	const peer = {
		errors: [], ledger: { errors: [], close: () => [] }, nSent, sentAt: Array(nSent + 1).fill(now - sentAgo), returned: new Set(returned),
		brokeAt: undefined, endedAt: now, hasSaidGoodbye: true, hasEnded: true,
	};
	judge({ client, peer, ending: 'silent' }, { fail: (text) => failures.push(text), wrong: (text) => failures.push(text), add: () => {} });
	return failures;
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (const transport of ['bosh', 'websocket']) {
	test(`${transport}: behind the first stanza that is returned, none is missing`, () => {
		assert.deepEqual(failuresOf({ transport, lost: range(80, 100), returned: range(80, 100) }), []);
		assert.deepEqual(failuresOf({ transport, lost: range(80, 100), returned: range(90, 100) }), [], 'what a connection had');
		assert.match(failuresOf({ transport, lost: range(80, 100), returned: range(80, 99) })[0], /1 of 100 stanzas lost.*stanza 100;/);
		assert.match(failuresOf({ transport, lost: range(80, 100), returned: [80, ...range(82, 100)] })[0], /1 of 100.*stanza 81;/);
		assert.deepEqual(failuresOf({ transport, lost: range(80, 100), returned: range(80, 99), sentAgo: 0 }), [], 'sent at the end');
	});
}

test('BOSH: only so many stanzas may have been in answers that nobody read', () => {
	assert.deepEqual(failuresOf({ transport: 'bosh', lost: range(80, 97), returned: [] }), []);
	assert.match(failuresOf({ transport: 'bosh', lost: range(80, 98), returned: [] })[0], /1 of 100.*stanza 98;/);
});

test('WebSocket: what was sent long before the client went must have come', () => {
	assert.match(failuresOf({ transport: 'websocket', lost: [7], returned: [], sentAgo: 3 * HOUR_MS })[0], /stanza 7;/);
});

test('BOSH: the answer to a pause has no payloads, but may say why the session is over', () => {
	const failuresOfAnswer = (answer) => {
		const client = Object.assign(Object.create(SoakClient.prototype), { failures: [], fail: (text) => client.failures.push(text) });
		Object.assign(client, { plan: () => {}, element: () => {}, ended: () => {} });
		client.process({ kind: 'pause', answer });
		return client.failures.length;
	};
	const text = '<text xmlns=\'urn:ietf:params:xml:ns:xmpp-streams\'>gone</text>';
	assert.equal(failuresOfAnswer('<body/>'), 0);
	assert.equal(failuresOfAnswer(`<body type='terminate' condition='system-shutdown'>${text}</body>`), 0);
	assert.equal(failuresOfAnswer('<body type=\'terminate\'><message/></body>'), 1);
	assert.equal(failuresOfAnswer(`<body>${text}</body>`), 1);
});
