// Every client, each transport: login, presence, a wrong password, the end from either side.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ANONYMOUS_DOMAIN, DOMAIN, LOGIN_MS, PASSWORDS } from '../../support/accounts.mjs';
import { patiently, within } from '../../support/util.mjs';
import { CLIENTS, urlFor } from '../clients/all.mjs';

const alice = { domain: DOMAIN, user: 'alice', password: PASSWORDS.alice };
const bob = { domain: DOMAIN, user: 'bob', password: PASSWORDS.bob };

// The server of @place offers no PLAIN: then only SCRAM is left.
export function testLogin(place) {
	for (const client of CLIENTS) {
		const connect = (account) => within(client.connect({ url: urlFor(client, place.doab), ...account }), LOGIN_MS, 'login');

		test(`${client.name}: SCRAM login, presence from another account, goodbye`, { timeout: patiently(60000) }, async () => {
			const [one, two] = await Promise.all([connect(alice), connect(bob)]);
			assert.match(one.jid, /^alice@example\.test\/./);
			one.sendPresence();
			const seen = within(new Promise((resolve) => {
				two.on('presence', ({ from, type }) => from === one.jid && type === 'available' && resolve());
			}), 10000, 'presence');
			await one.sendPresence({ to: two.jid });
			await seen;
			const gone = within(new Promise((resolve) => {
				two.on('presence', ({ from, type }) => from === one.jid && type === 'unavailable' && resolve());
			}), 10000, 'presence of type unavailable');
			await within(one.disconnect(), 10000, 'goodbye');
			await gone;
			await within(two.disconnect(), 10000, 'goodbye');
		});

		test(`${client.name}: ANONYMOUS login`, { timeout: patiently(60000) }, async () => {
			const guest = await connect({ domain: ANONYMOUS_DOMAIN });
			assert.match(guest.jid, /^[^@]+@anon\.example\.test\/./);
			await within(guest.disconnect(), 10000, 'goodbye');
		});

		test(`${client.name}: a wrong password is refused by the server, and said`, { timeout: patiently(60000) }, async () => {
			await assert.rejects(connect({ ...alice, password: 'not-the-one' }), ({ message }) => !/nothing within/.test(message));
		});

		test(`${client.name}: a session ended by the server`, { timeout: patiently(60000) }, async () => {
			const one = await connect(bob);
			one.sendPresence();
			const closed = within(once(one, 'closed'), 10000, 'the end of the session');
			await place.server.closeSessions(one.jid);
			await closed;
		});
	}
}
