// Stream management (XEP-0198) through the gateway: it must neither add nor drop a stanza, and leave the stream
// on the server to be resumed when the WebSocket breaks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMAIN, PASSWORDS } from '../../support/accounts.mjs';
import { assertStreamError, assertTerminated } from '../../support/assertions.mjs';
import { BoshClient } from '../../support/bosh.mjs';
import { openWebSocket } from '../../support/http.mjs';
import { patiently, sleep, within } from '../../support/util.mjs';
import { plainResponse } from '../../support/ws.mjs';
import { NS } from '../../support/xml.mjs';
import { XmppJsClient } from '../clients/xmppjs.mjs';

// Longer than a client needs for its next request, on a busy machine.
const PAUSE_S = 30;
const BODY_BYTES = 262144; // of the largest message that the gateway takes by default
// Not bob, to whom a server may still have to deliver what the tests before have sent.
const CAROL = `carol@${DOMAIN}`;

async function authenticate(socket, user) {
	await socket.start(DOMAIN);
	socket.send(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse(user, PASSWORDS[user])}</auth>`);
	assert.equal((await socket.next()).name, 'success');
	return socket.start(DOMAIN);
}

// The next element of that name; acknowledgement requests on the way are answered with @handled.
async function nextNamed(socket, name, handled = () => 0) {
	for (;;) {
		const element = await socket.next();
		if (element.name === name) {
			return element;
		}
		if (element.name === 'r') {
			socket.send(`<a xmlns='${NS.sm}' h='${handled()}'/>`);
		}
	}
}

const message = (to, text) => `<message xmlns='jabber:client' to='${to}' type='chat'><body>${text}</body></message>`;

// The gateway of @place sends a keepalive each second.
export function testResume(place) {
	test('a raw client resumes after its TCP connection was cut: nothing lost, nothing twice', { timeout: patiently(40000) }, async () => {
		const bob = await openWebSocket(place.doab.port);
		await bob.login(DOMAIN, 'bob', PASSWORDS.bob);
		const alice = await openWebSocket(place.doab.port);
		const jid = await alice.login(DOMAIN, 'alice', PASSWORDS.alice);
		alice.send(`<enable xmlns='${NS.sm}' resume='true'/>`);
		const enabled = await nextNamed(alice, 'enabled');
		assert.ok(enabled.attributes.id, 'the server offers resumption');
		bob.send(message(jid, 'seen'));
		assert.equal((await nextNamed(alice, 'message')).at('body').text, 'seen');
		alice.send(message(bob.jid, 'one'));
		assert.equal((await nextNamed(bob, 'message')).at('body').text, 'one');

		alice.drop();
		bob.send(message(jid, 'while away 1'));
		bob.send(message(jid, 'while away 2'));
		await sleep(300);

		const again = await openWebSocket(place.doab.port);
		await authenticate(again, 'alice');
		again.send(`<resume xmlns='${NS.sm}' previd='${enabled.attributes.id}' h='1'/>`);
		const resumed = await nextNamed(again, 'resumed');
		assert.equal(resumed.attributes.h, '1', 'the server counted one stanza from the client: the gateway added none');
		for (const expected of ['while away 1', 'while away 2']) {
			assert.equal((await nextNamed(again, 'message', () => 1)).at('body').text, expected);
		}
		again.send(message(bob.jid, 'two'));
		assert.equal((await nextNamed(bob, 'message')).at('body').text, 'two');
		await again.finish();
		await bob.finish();
	});

	// What the gateway refuses to carry, with what it says to a client of either transport.
	const tooLarge = message(CAROL, 'x'.repeat(BODY_BYTES + 40000));
	const enable = `<enable xmlns='${NS.sm}' resume='true'/>`;
	const REFUSED = {
		'a WebSocket message': async () => {
			const socket = await openWebSocket(place.doab.port);
			const jid = await socket.login(DOMAIN, 'alice', PASSWORDS.alice);
			socket.send(enable);
			const { id } = (await nextNamed(socket, 'enabled')).attributes;
			const refuse = async () => {
				socket.send(message(CAROL, 'before'));
				socket.send(tooLarge);
				const error = await assertStreamError(socket, 'policy-violation');
				assert.match(error.at('text').text, /larger/);
				socket.drop();
			};
			return { jid, id, refuse };
		},
		'a BOSH request': async () => {
			const client = new BoshClient(place.doab.port);
			const account = { user: 'alice', password: PASSWORDS.alice };
			const jid = await client.login(DOMAIN, account);
			const isEnabled = ({ name }) => name === 'enabled';
			const { id } = (await client.exchange(enable, isEnabled)).attributes;
			const refuse = async () => {
				await client.request(message(CAROL, 'before'), { pause: PAUSE_S });
				assertTerminated(await client.request(tooLarge), 'policy-violation');
				client.close();
			};
			return { jid, id, refuse };
		},
	};

	for (const [what, login] of Object.entries(REFUSED)) {
		const title = `${what} that is too large: the client resumes, and nothing is lost`;

		test(title, { timeout: patiently(40000) }, async () => {
			const carol = await openWebSocket(place.doab.port);
			await carol.login(DOMAIN, 'carol', PASSWORDS.carol);
			carol.send('<presence xmlns=\'jabber:client\'/>');
			const { jid, id, refuse } = await login();
			await refuse();
			assert.equal((await nextNamed(carol, 'message')).at('body').text, 'before');
			carol.send(message(jid, 'while away'));
			const again = await openWebSocket(place.doab.port);
			await authenticate(again, 'alice');
			again.send(`<resume xmlns='${NS.sm}' previd='${id}' h='0'/>`);
			assert.equal((await nextNamed(again, 'resumed')).attributes.h, '1');
			const kept = await nextNamed(again, 'message');
			assert.equal(kept.at('body').text, 'while away');
			again.send(`<a xmlns='${NS.sm}' h='1'/>`);
			again.send(message(carol.jid, 'after'));
			assert.equal((await nextNamed(carol, 'message')).at('body').text, 'after');
			await again.finish();
			await carol.finish();
		});
	}

	const title = 'a client that is refused and cannot resume: its contacts see it leave';

	test(title, { timeout: patiently(40000) }, async () => {
		const bob = await openWebSocket(place.doab.port);
		await bob.login(DOMAIN, 'bob', PASSWORDS.bob);
		const alice = await openWebSocket(place.doab.port);
		await alice.login(DOMAIN, 'alice', PASSWORDS.alice);
		alice.send(`<presence xmlns='jabber:client' to='${bob.jid}'/>`);
		assert.equal((await nextNamed(bob, 'presence')).attributes.from, alice.jid);
		alice.send(tooLarge);
		await assertStreamError(alice, 'policy-violation');
		const { type, from } = (await nextNamed(bob, 'presence')).attributes;
		assert.deepEqual([type, from], ['unavailable', alice.jid]);
		alice.drop();
		await bob.finish();
	});

	test('@xmpp/client resumes by itself after its WebSocket was cut', { timeout: patiently(40000) }, async () => {
		const bob = await openWebSocket(place.doab.port);
		await bob.login(DOMAIN, 'bob', PASSWORDS.bob);
		const alice = await XmppJsClient.connect({ url: place.doab.websocketUrl, domain: DOMAIN, user: 'alice', password: PASSWORDS.alice, resume: true });
		const { streamManagement } = alice.entity;
		await within(streamManagement.enabled ? Promise.resolve() : new Promise((resolve) => {
			alice.entity.on('nonza', (element) => element.is('enabled') && resolve());
		}), 5000, '<enabled/>');
		const resumed = new Promise((resolve) => streamManagement.once('resumed', resolve));
		const bodies = [];
		const received = new Promise((resolve) => alice.on('message', ({ body }) => bodies.push(body) === 2 && resolve()));
		alice.entity.socket.socket.terminate();
		bob.send(message(alice.jid, 'first'));
		await within(resumed, 15000, 'resumption');
		bob.send(message(alice.jid, 'second'));
		await within(received, 10000, 'both messages');
		await sleep(200);
		assert.deepEqual(bodies, ['first', 'second']);
		await alice.disconnect();
		await bob.finish();
	});

	test('the server counts no keepalives of the gateway', { timeout: patiently(20000) }, async () => {
		const alice = await openWebSocket(place.doab.port);
		await alice.login(DOMAIN, 'alice', PASSWORDS.alice);
		alice.send(`<enable xmlns='${NS.sm}'/>`);
		await nextNamed(alice, 'enabled');
		await sleep(4000);
		alice.send(`<r xmlns='${NS.sm}'/>`);
		assert.equal((await nextNamed(alice, 'a')).attributes.h, '0');
		await alice.finish();
	});
}
