// Wrong passwords to a real server: they are seen, counted and stopped, and other clients log in meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWebSocket } from '../support/http.mjs';
import { DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { patiently, sleep } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';
import { openPlace } from './scenarios/place.mjs';

// For all that the client of a test says before it has logged in, on a busy machine.
const LOGIN_TIMEOUT_S = 15;
const TIMEOUT = { timeout: patiently(60000) };
const place = openPlace(() => Prosody.start({ modules: ['legacyauth'] }),
	{ trusted_proxies: ['127.0.0.1'], failed_logins_per_address: '5/3600', login_timeout: LOGIN_TIMEOUT_S });

const headersOf = (client) => ({ 'X-Forwarded-For': client });
const auth = (password) => `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('alice', password)}</auth>`;
const legacy = (id, password) => `<iq xmlns='jabber:client' type='set' id='${id}'><query xmlns='jabber:iq:auth'><username>alice</username>` +
	`<password>${password}</password><resource>old</resource></query></iq>`;

async function open(client) {
	const socket = await openWebSocket(place.doab.port, { headers: headersOf(client) });
	await socket.start(DOMAIN);
	return socket;
}

test('Prosody: the guesser is stopped, its neighbours are not', TIMEOUT, async () => {
	const guesser = await open('198.51.100.1');
	for (let i = 0; i < 5; i++) {
		guesser.send(auth(`wrong-${i}`));
		assert.equal((await guesser.next()).name, 'failure');
	}
	const error = await guesser.next();
	assert.ok(error.at('policy-violation'));
	assert.match(error.at('text').text, /too many logins have failed/);
	const refused = await new BoshClient(place.doab.port, { headers: headersOf('198.51.100.1') }).create(DOMAIN);
	assert.equal(refused.element.attributes.condition, 'policy-violation');
	await place.doab.readLog();
	const lines = place.doab.events.filter(({ event }) => event === 'auth-failed');
	assert.equal(lines.length, 5);
	assert.ok(lines.every(({ client, domain, mechanism, condition }) =>
		client === '198.51.100.1' && domain === DOMAIN && mechanism === 'PLAIN' && condition === 'not-authorized'));
	const neighbour = new BoshClient(place.doab.port, { headers: headersOf('198.51.100.2') });
	await neighbour.login(DOMAIN, { user: 'alice', password: PASSWORDS.alice });
	await neighbour.terminate();
});

test('Prosody: a login by XEP-0078 is seen to fail and to succeed', TIMEOUT, async () => {
	const socket = await open('198.51.100.3');
	socket.send(legacy('a', 'wrong'));
	assert.equal((await socket.next()).attributes.type, 'error');
	await place.doab.logged('auth-failed', { client: '198.51.100.3', mechanism: 'jabber:iq:auth', condition: 'not-authorized' });
	socket.send(legacy('b', PASSWORDS.alice));
	assert.equal((await socket.next()).attributes.type, 'result');
	await sleep((LOGIN_TIMEOUT_S + 1) * 1000);
	socket.send("<iq xmlns='jabber:client' type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>");
	let answer;
	do {
		answer = await socket.next();
	} while (answer.attributes.id !== 'ping');
	assert.equal(answer.attributes.type, 'result');
	await socket.finish();
});
