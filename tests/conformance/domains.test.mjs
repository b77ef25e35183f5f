// What the operator says about domains: patterns, refusals, those that are gone, and how many sessions each may have.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const LIMIT = 3;
let plain;
let limited;
let doab;

before(async () => {
	plain = await XmppServer.start('plain');
	limited = await XmppServer.start('plain');
	const few = { tls: 'off', max_sessions: LIMIT };
	doab = await Doab.start({ workers: 2, sessions_per_address: 1000, domains: {
		'*': { deny: true },
		'gone.test': { gone: true },
		'*.gone.test': { gone: true },
		'*.plain.test': plain.section(),
		'refused.plain.test': { deny: true },
		'plain.test': plain.section(),
		'limited.test': limited.section(few),
		'*.limited.test': limited.section(few),
	} });
});
after(() => stopAll(doab, plain, limited));

const create = (domain) => new BoshClient(doab.port).create(domain);

async function assertServed(domain) {
	const answer = await create(domain);
	assert.ok(answer.element.at('features'), `${domain}: ${answer.text}`);
	assert.equal(plain.connections.at(-1).headers[0].attributes.to, domain);
}

async function assertRefused(domain, condition, text) {
	const answer = await create(domain);
	assertTerminated(answer, condition);
	assert.match(answer.element.text, text);
	const socket = await openWebSocket(doab.port);
	socket.open(domain);
	const error = await assertStreamError(socket, condition, { open: true });
	assert.match(error.at('text').text, text);
}

// First, because the log has only so many refusals of one client.
test('a domain that is gone says so', TIMEOUT, async () => {
	for (const domain of ['gone.test', 'chat.gone.test']) {
		await assertRefused(domain, 'host-gone', /no longer served/);
		await doab.readLog();
		assert.ok(doab.events.some(({ event, failure, domain: of }) =>
			event === 'session-refused' && failure === 'domain-gone' && of === domain), 'in the log');
	}
});

test('a pattern stands for every name below, at any depth, and for no other', TIMEOUT, async () => {
	for (const domain of ['plain.test', 'a.plain.test', 'a.b.plain.test']) {
		await assertServed(domain);
	}
	for (const domain of ['evilplain.test', 'plain.test.evil.test', 'other.test', 'localhost']) {
		await assertRefused(domain, 'host-unknown', /does not serve/);
	}
});

test('the rule that says most counts', TIMEOUT, async () => {
	await assertRefused('refused.plain.test', 'host-unknown', /does not serve/);
	await assertServed('a.refused.plain.test');
});

// As many sessions to @domain as there may be.
async function fill(domain) {
	const sessions = [];
	for (let i = 0; i < LIMIT; i++) {
		const client = new BoshClient(doab.port);
		const answer = await client.create(domain);
		assert.ok(answer.element.at('features'), `${i}: ${answer.text}`);
		sessions.push(client);
	}
	return sessions;
}

test('max_sessions of a domain, over all workers and both transports; a place is given back', TIMEOUT, async () => {
	const [first, ...others] = await fill('limited.test');
	await assertRefused('limited.test', 'policy-violation', /too many sessions/);
	// Each name that a pattern stands for has places of its own.
	const below = await fill('a.limited.test');
	await assertRefused('a.limited.test', 'policy-violation', /too many sessions.*a\.limited\.test/s);
	const next = await create('b.limited.test');
	assert.ok(next.element.at('features'), next.text);

	await first.terminate();
	const socket = await until(async () => {
		const candidate = await openWebSocket(doab.port);
		candidate.open('limited.test');
		await candidate.next();
		const { name } = await candidate.next();
		return name === 'features' ? candidate : undefined;
	}, 5000, 'the place of the session that ended');
	await assertRefused('limited.test', 'policy-violation', /too many sessions/);
	socket.drop();
	await until(async () => (await create('limited.test')).element.at('features'), 5000, 'the place of the client that went');
	for (const client of [...others, ...below]) {
		await client.terminate();
	}
});
