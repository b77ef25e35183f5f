// The log lines of a session: which server it reached, how long it lasted, why it ended, how much it carried.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { selfSigned, tlsOf } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const MESSAGE = '<message xmlns=\'jabber:client\' to=\'echo\'><body>0123456789</body></message>';
const INACTIVITY_S = 5;
let stage;
let folder;
let n_clients = 0;

before(async () => {
	folder = temporaryFolder('session-log');
	stage = await Stage.open({
		plain: 'plain',
		secured: { script: 'starttls', tls: tlsOf(selfSigned(folder, 'secured', ['secured.test'])), section: { tls: 'opportunistic' } },
		closing: 'close-stream-after-bind',
	}, { trusted_proxies: ['127.0.0.1'], inactivity: INACTIVITY_S, polling: 1 });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

const newClient = () => `198.51.100.${++n_clients}`;
const headersOf = (client) => ({ 'X-Forwarded-For': client });
const lineOf = (event, client) => stage.doab.logged(event, { client });

const TRANSPORTS = {
	bosh: async (client, domain) => {
		const session = new BoshClient(stage.port, { headers: headersOf(client) });
		await session.login(domain);
		return session;
	},
	websocket: async (client, domain) => {
		const socket = await openWebSocket(stage.port, { headers: headersOf(client) });
		await socket.login(domain);
		return socket;
	},
};

describe('sessions', { concurrency: 4 }, () => {
	for (const [transport, login] of Object.entries(TRANSPORTS)) {
		test(`session-ready over ${transport}: the server's address and the version of TLS`, TIMEOUT, async () => {
			for (const [name, tls] of [['plain', /^none$/], ['secured', /^TLSv1\.[23]$/]]) {
				const client = newClient();
				await login(client, `${name}.test`);
				const line = await lineOf('session-ready', client);
				assert.equal(line.server, stage.servers[name].address);
				assert.match(line.tls, tls);
				assert.equal(line.domain, `${name}.test`);
				assert.equal(line.session, (await lineOf('session-open', client)).session);
				assert.ok(Number(line.ms) >= 0);
				assert.equal(stage.doab.events.filter((one) => one.event === 'session-ready' && one.client === client).length, 1, 'not after a restart');
			}
		});

		test(`session-closed over ${transport}: closed by the client, after a while, with bytes each way`, TIMEOUT, async () => {
			const client = newClient();
			const session = await login(client, 'plain.test');
			await sleep(300);
			if (transport === 'bosh') {
				await session.exchange(MESSAGE, ({ name }) => name === 'message');
				await session.terminate();
			} else {
				session.send(MESSAGE);
				assert.equal((await session.next()).name, 'message');
				await session.finish();
			}
			const line = await lineOf('session-closed', client);
			assert.equal(line.reason, 'closed-by-client');
			assert.ok(Number(line.ms) >= 290, line.ms);
			const [up, down] = [line.bytes_from_client, line.bytes_to_client].map(Number);
			assert.ok(up > MESSAGE.length && up < MESSAGE.length + 500, line.bytes_from_client);
			assert.ok(down > MESSAGE.length && down < MESSAGE.length + 2000, line.bytes_to_client);
		});

		test(`session-closed over ${transport}: the server ended the stream`, TIMEOUT, async () => {
			const client = newClient();
			login(client, 'closing.test').catch(() => {});
			assert.equal((await lineOf('session-closed', client)).reason, 'stream-closed');
		});
	}

	test('session-closed: a WebSocket whose connection ended', TIMEOUT, async () => {
		const client = newClient();
		(await TRANSPORTS.websocket(client, 'plain.test')).drop();
		assert.equal((await lineOf('session-closed', client)).reason, 'client-lost');
	});

	test('session-closed: a BOSH client that came back no more, and one that broke a rule', TIMEOUT, async () => {
		const [gone, wrong] = [newClient(), newClient()];
		await TRANSPORTS.bosh(gone, 'plain.test');
		const session = await TRANSPORTS.bosh(wrong, 'plain.test');
		await session.request('', { rid: session.rid + 1000 });
		assert.equal((await lineOf('session-closed', wrong)).reason, 'rid-window');
		assert.equal((await lineOf('session-closed', gone)).reason, 'inactivity');
	});

	test('session-closed: the gateway ends', TIMEOUT, async () => {
		const own = await Stage.open();
		await new BoshClient(own.port).create('plain.test');
		await (await openWebSocket(own.port)).start('plain.test');
		await own.stop();
		const closed = own.doab.events.filter(({ event }) => event === 'session-closed');
		assert.deepEqual(closed.map(({ reason }) => reason), ['system-shutdown', 'system-shutdown']);
	});
});
