// What the scenarios of fault-scenarios.mjs are made of: stages, and clients that persist (persistent.mjs).
import assert from 'node:assert/strict';
import { PersistentBosh, PersistentWebSocket } from './persistent.mjs';
import { Stage } from './stage.mjs';
import { removeFolder, stopAll, until } from './util.mjs';

// Sessions that were given up are to end soon, and none is to be refused because there were many before.
export const INACTIVITY_S = 5;
export const CONFIG = { sandbox: false, log_level: 'info', inactivity: INACTIVITY_S, connection_rate: 0, request_rate: 0, domain_session_rate: 0,
	sessions_per_address: 1000, connections_per_address: 1000, failed_logins_per_address: 0, failed_logins_per_domain: 0 };

export const message = (id) => `<message xmlns="jabber:client" id="${id}"/>`;
export const withId = (id) => ({ attributes }) => attributes.id === id;

// The stanza of a server is delivered, or it gets an error for it, or the connection on which it sent it ends.
export async function assertReturned(connection, id) {
	await until(() => connection.hasEnded || connection.streamEnds || connection.elements.some((e) => e.attributes.id === id && e.attributes.type === 'error'),
		10000, `an error for a stanza of the server: ${connection.text.slice(-500)}`);
	const bounced = connection.elements.some((e) => e.attributes.id === id && e.attributes.type === 'error');
	assert.ok(bounced || !connection.streamEnds, 'the stream was closed in order, as if the stanza had been delivered');
}

export async function boshSession(port, domain, connectionOf, options) {
	const client = new PersistentBosh(port, options);
	try {
		await client.login(domain, { wait: 5 });
		await client.exchange(message('one'), withId('one'));
		const connection = connectionOf();
		const held = client.request();
		connection.send('<message from="a@b" id="pushed"/>');
		await (async () => {
			client.keep(await held);
			await client.exchange('', withId('pushed'));
		})().catch(async (error) => {
			if (!client.take(withId('pushed'))) {
				await assertReturned(connection, 'pushed');
			}
			throw error;
		});
		await client.exchange(message('two') + message('three'), withId('two'));
		await client.exchange('', withId('three'));
		await client.terminate();
	} finally {
		client.close();
	}
}

// @first: the stanza that is echoed first.
export async function talk(client, domain, connectionOf, first = message('one')) {
	try {
		await client.login(domain);
		client.send(first);
		await client.expect('message');
		const connection = connectionOf();
		connection.send('<message from="a@b" id="pushed"/>');
		await client.expect('message', { id: 'pushed' }).catch(async (error) => {
			await assertReturned(connection, 'pushed');
			throw error;
		});
		client.send(message('two'));
		client.send(message('three'));
		await client.expect('message', { id: 'two' });
		await client.expect('message', { id: 'three' });
		await client.finish();
	} finally {
		client.drop();
	}
}

export async function websocketSession(port, domain, connectionOf, connect) {
	await talk(await PersistentWebSocket.open(port, connect), domain, connectionOf);
}

// @folder is removed at the end. @remembers: sessions that have ended are remembered for INACTIVITY_S, as those of BOSH are.
export async function openStage(env, servers, config, run, { folder, remembers = false } = {}) {
	const stage = await Stage.open(servers, { ...CONFIG, ...config }, { env });
	const connectionOf = (name) => () => stage.servers[name].connections.at(-1);
	return { doab: stage.doab, run: () => run(stage, connectionOf), remembers,
		stop: () => stopAll(stage).finally(() => folder && removeFolder(folder)) };
}

export const plain = { plain: 'plain' };
