// Whitespace keepalives (RFC 6120, 4.6.1): those of the gateway to a server, those of a server, which end at the gateway.
// Most of these tests only wait, so they wait together: each has a server of its own.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder, until, untilRead } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const INTERVAL_S = 4;
// In which a keepalive would have come for certain.
const LONG_ENOUGH_MS = 3 * INTERVAL_S * 1000;
const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;

// To log in: resolve with { connection, send(text), end() }.
const TRANSPORTS = {
	bosh: async (at, name) => {
		const client = new BoshClient(at.port);
		await client.login(`${name}.test`, { wait: 20 });
		const connection = await at.connectionOf(name);
		return { client, connection, send: (text) => client.request(text), end: () => client.terminate() };
	},
	websocket: async (at, name) => {
		const socket = await openWebSocket(at.port);
		await socket.login(`${name}.test`);
		const connection = await at.connectionOf(name);
		return { socket, connection, send: (text) => socket.send(text), end: () => socket.finish() };
	},
};
const names = Object.keys(TRANSPORTS);

describe('keepalives', { concurrency: true }, () => {
	let folder;
	let stage; // with keepalives
	let silent;

	before(async () => {
		folder = temporaryFolder('keepalive');
		const authority = new Authority(folder);
		const secure = (name) => {
			const { cert, keyText: key } = authority.issue(name, [`${name}.test`]);
			return { script: 'starttls', tls: { cert, key }, section: { ca_file: authority.certificate } };
		};
		const each = (suffix, scenario) => Object.fromEntries(names.map((name) => [`${name}-${suffix}`, scenario(`${name}-${suffix}`)]));
		const plain = () => 'plain';
		stage = await Stage.open({ ...each('clear', plain), ...each('secure', secure), ...each('busy', plain), login: 'plain' },
			{ keepalive: INTERVAL_S, wait: 20 });
		silent = await Stage.open({ ...each('none', plain), ...each('server', plain) }, { keepalive: 0, wait: 20 });
	});
	after(async () => {
		await stopAll(stage, silent);
		removeFolder(folder);
	});

	for (const [name, login] of Object.entries(TRANSPORTS)) {
		for (const security of ['clear', 'secure']) {
			test(`${name}: a server of which nothing is wanted (${security}) gets a space now and then`, TIMEOUT, async () => {
				const { connection, send, end } = await login(stage, `${name}-${security}`);
				assert.equal(connection.whitespace.toString(), '');
				await until(() => connection.whitespace.length >= 2, 30000, 'two keepalives');
				assert.equal(connection.whitespace.toString(), '  ');
				send(message('after'));
				assert.equal((await connection.element('message')).text, message('after'));
				await end();
			});
		}

		test(`${name}: a server that is spoken to gets none`, TIMEOUT, async () => {
			const { connection, send, end } = await login(stage, `${name}-busy`);
			for (const start = Date.now(); Date.now() - start < LONG_ENOUGH_MS;) {
				send(message('busy'));
				await sleep(200);
			}
			assert.equal(connection.whitespace.toString(), '');
			await end();
		});

		test(`${name}: keepalive = 0 is none`, TIMEOUT, async () => {
			const { connection, end } = await login(silent, `${name}-none`);
			await sleep(LONG_ENOUGH_MS);
			assert.equal(connection.whitespace.toString(), '');
			await end();
		});
	}

	test('there is no whitespace before the login is done', TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		await socket.start('login.test');
		const connection = await stage.connectionOf('login');
		await sleep(LONG_ENOUGH_MS / 2);
		socket.send(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`);
		assert.equal((await socket.next()).name, 'success');
		await sleep(LONG_ENOUGH_MS / 2);
		assert.equal(connection.whitespace.toString(), '');
		await socket.start('login.test');
		await until(() => connection.whitespace.length, 15000, 'a keepalive after the login');
		socket.drop();
	});

	test('bosh: a server\'s whitespace answers no request', TIMEOUT, async () => {
		const { client, connection, end } = await TRANSPORTS.bosh(silent, 'bosh-server');
		let isAnswered = false;
		const held = client.request().finally(() => (isAnswered = true));
		for (const text of [' ', '\n', ' \t\r\n ']) {
			await connection.send(text);
			await untilRead(connection.socket);
		}
		assert.equal(isAnswered, false);
		await connection.send('<message id=\'w\'/> ');
		const { element, text } = await held;
		assert.equal(element.children.length, 1, text);
		assert.equal(element.children[0].attributes.id, 'w');
		assert.doesNotMatch(text, />\s+</);
		await end();
	});

	test('websocket: a server\'s whitespace is no message', TIMEOUT, async () => {
		const { socket, connection, end } = await TRANSPORTS.websocket(silent, 'websocket-server');
		for (const text of [' ', '\n', ' \t\r\n ']) {
			await connection.send(text);
			await untilRead(connection.socket);
		}
		await connection.send('<message id=\'w\'/> ');
		assert.match(await socket.nextMessage(), /^<message[^>]* id='w'[^>]*\/>$/);
		// What had been made of the whitespace would have come before it.
		await connection.send('<message id=\'x\'/>');
		assert.match(await socket.nextMessage(), /^<message[^>]* id='x'[^>]*\/>$/);
		await end();
	});
});
