// SIGHUP: what a new configuration changes, what it leaves alone, and what becomes of one with mistakes.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { configText } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const WORKERS = 2;
const N_SESSIONS = 100;
const N_RELOADS = 50;
const N_REQUESTS = 10000;

const count = (doab, event) => doab.events.filter((line) => line.event === event).length;

// Writes the text of a configuration file and has the gateway read it. Returns the line about the outcome.
async function reload(doab, text, outcome = 'reloaded') {
	const before = count(doab, outcome);
	writeFileSync(path.join(doab.folder, 'doab.conf'), text);
	doab.child.kill('SIGHUP');
	await until(() => count(doab, outcome) > before, 15000, `event=${outcome}:\n${doab.log.slice(-3000)}`);
	return doab.events.filter((line) => line.event === outcome).at(-1);
}

const change = (doab, keys, outcome) => reload(doab, configText({ ...doab.config, ...keys }), outcome);

async function withStage(config, use) {
	const stage = await Stage.open({ plain: 'plain' }, { workers: WORKERS, ...config });
	try {
		await use(stage, stage.doab);
	} finally {
		await stopAll(stage);
	}
}

async function echoes(client, id) {
	const stanza = `<message xmlns="jabber:client" id="${id}"/>`;
	if (client instanceof BoshClient) {
		await client.exchange(stanza, ({ attributes }) => attributes.id === id);
		return;
	}
	client.send(stanza);
	assert.equal((await client.next(15000)).attributes.id, id);
}

async function login(stage, transport) {
	if (transport === 'bosh') {
		const client = new BoshClient(stage.port);
		await client.login('plain.test');
		return client;
	}
	const client = await openWebSocket(stage.port);
	await client.login('plain.test');
	return client;
}

test('new sessions follow the new file, and open ones live on', TIMEOUT, async () => {
	await withStage({ allow_origins: ['https://a.example'], wait: 7 }, async (stage, doab) => {
		const open = [await login(stage, 'bosh'), await login(stage, 'websocket')];
		const other = await XmppServer.start('plain');
		const origin = async (name) => (await httpRequest(stage.port, 'POST', '/http-bind', {
			headers: { Origin: name, 'Content-Type': 'text/xml' }, body: '<body/>' })).status;

		assert.notEqual(await origin('https://a.example'), 403);
		assert.equal(await origin('https://b.example'), 403);
		const line = await change(doab, { allow_origins: ['https://b.example'], wait: 3, domains: { 'other.test': other.section() } });
		assert.equal(line.generation, '2');
		assert.equal(await origin('https://a.example'), 403);
		assert.notEqual(await origin('https://b.example'), 403);
		// A domain that is gone for new sessions still serves the open ones.
		await Promise.all(open.map((client, i) => echoes(client, `after${i}`)));
		const fresh = new BoshClient(stage.port);
		const created = await fresh.create('other.test');
		assert.equal(created.element.attributes.wait, '3');
		const refused = await new BoshClient(stage.port).create('plain.test').catch((error) => error);
		assert.ok(refused instanceof Error || refused.element.attributes.type === 'terminate');
		open.forEach((client) => (client.close ?? client.drop).call(client));
		fresh.close();
		await other.stop();
	});
});

test('paths, limits and the log level change', TIMEOUT, async () => {
	await withStage({ log_level: 'info' }, async (stage, doab) => {
		await change(doab, { bosh_path: '/other', websocket_path: '/socket', sessions_per_address: 1, log_level: 'debug' });
		assert.equal((await httpRequest(stage.port, 'POST', '/http-bind', { body: '<body/>' })).status, 404);
		const client = new BoshClient(stage.port, { target: '/other' });
		await client.login('plain.test');
		await doab.logged('bosh-request');
		const second = new BoshClient(stage.port, { target: '/other' });
		const answer = await second.create('plain.test').catch((error) => error);
		assert.ok(answer instanceof Error || answer.element.attributes.type === 'terminate');
		await doab.logged('session-refused');
		const socket = await openWebSocket(stage.port, { target: '/socket' });
		socket.drop();
		client.close();
	});
});

test('of a file with mistakes each is logged, and the old one stays', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const good = configText(doab.config);
		const failed = await reload(doab, `${good}\nwait = never\nnonsense = 1\n`, 'reload-failed');
		assert.equal(failed.level, 'error');
		assert.equal(failed.generation, '1');
		const mistakes = doab.events.filter(({ event }) => event === 'config-mistake').map(({ text }) => text);
		assert.ok(mistakes.some((text) => /doab\.conf:\d+: .*wait/.test(text)), mistakes.join('\n'));
		assert.ok(mistakes.some((text) => /nonsense/.test(text)), mistakes.join('\n'));
		const client = await login(stage, 'bosh');
		await echoes(client, 'still');
		client.close();
		assert.equal((await reload(doab, good)).generation, '2');
	});
});

test('listeners change: the new is bound before the old is closed, and all or nothing', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		const port = await freePort();
		const open = await login(stage, 'websocket');
		const serves = (at) => httpRequest(at, 'GET', '/').then(({ status }) => status === 200, () => false);

		// One of the two cannot be bound: nothing has changed.
		const taken = stage.servers.plain.address;
		await change(doab, { listen: [`127.0.0.1:${port}`, taken] }, 'reload-failed');
		assert.equal((await doab.logged('listen-failed')).address, taken);
		assert.ok(await serves(stage.port));
		assert.ok(!await serves(port));
		await change(doab, { listen: [`127.0.0.1:${port}`] });
		await until(async () => await serves(port) && !await serves(stage.port), 15000, 'the other port');
		await echoes(open, 'after');
		// Wider than the address before, on the same port. Each worker closes a socket; one connection may come between its last
		// accept and that.
		await change(doab, { listen: [`0.0.0.0:${port}`] });
		const answers = [];
		for (let i = 0; i < 20; i++) {
			answers.push(await serves(port));
		}
		assert.ok(answers.filter((isServed) => !isServed).length <= WORKERS, answers.join());
		open.drop();
	});
});

test('what needs a restart is named', TIMEOUT, async () => {
	await withStage({}, async (stage, doab) => {
		await change(doab, { workers: 3, max_sessions: 30000 });
		const named = doab.events.filter(({ event }) => event === 'restart-needed').map(({ key }) => key);
		assert.deepEqual(named, ['workers', 'max_sessions']);
		assert.ok(stage.doab.isRunning);
	});
});

test(`${2 * N_SESSIONS} sessions live through ${N_RELOADS} reloads under ${N_REQUESTS} requests, half of them with a broken file`, TIMEOUT, async () => {
	const limits = { exempt: ['127.0.0.1'], log_level: 'info' };
	await withStage(limits, async (stage, doab) => {
		const good = configText(doab.config);
		const transports = Array.from({ length: 2 * N_SESSIONS }, (_, i) => i % 2 ? 'bosh' : 'websocket');
		const clients = await Promise.all(transports.map((transport) => login(stage, transport)));
		let nSent = 0;
		let nAnswered = 0;
		const load = Promise.all(Array.from({ length: 20 }, async (_, n) => {
			// Half of them on connections that stay, half each on one of its own.
			const kept = n % 2 ? await HttpConnection.open(stage.port) : undefined;
			while (nSent < N_REQUESTS) {
				nSent++;
				const { status } = kept ? await kept.request('GET', '/crossdomain.xml') : await httpRequest(stage.port, 'GET', '/crossdomain.xml');
				assert.equal(status, 200);
				nAnswered++;
			}
			kept?.close();
		}));
		load.catch(() => { nSent = Infinity; });
		for (let i = 0; i < N_RELOADS; i++) {
			const isBroken = i % 2 === 1;
			const talk = Promise.all(clients.filter((_, n) => n % 10 === i % 10).map((client) => echoes(client, `during${i}`)));
			await reload(doab, isBroken ? `${good}\nwait = x\n` : good, isBroken ? 'reload-failed' : 'reloaded');
			await talk;
			// The reloads are spread over all requests.
			await until(() => nSent >= (i + 1) * N_REQUESTS / N_RELOADS, 30000, 'requests');
		}
		await load;
		assert.equal(nAnswered, N_REQUESTS);
		await Promise.all(clients.map((client) => echoes(client, 'last')));
		for (const event of ['session-closed', 'session-ended', 'session-failed', 'session-refused', 'connection-refused', 'request-refused', 'accept-failed']) {
			assert.equal(count(doab, event), 0, event);
		}
		clients.forEach((client) => (client.close ?? client.drop).call(client));
	});
});
