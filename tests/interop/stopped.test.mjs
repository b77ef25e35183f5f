// What strophe.js makes of a gateway that stops: it hears why its session has ended, and comes back when the gateway is there again.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, test } from 'node:test';
import { Strophe } from 'strophe.js';
import { Doab } from '../support/doab.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until, within } from '../support/util.mjs';
import { StropheClient } from './clients/strophe.mjs';
import { XMLHttpRequest } from './clients/xhr.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const DOMAIN = 'plain.test';
const running = [];

after(() => stopAll(...running));

async function openStage(config = {}) {
	const stage = await Stage.open({ plain: 'plain' }, config);
	running.push(...Object.values(stage.servers));
	return stage;
}

// Another gateway in the place of the one that has stopped.
async function startAgain({ doab }) {
	const again = await Doab.start({ ...doab.config });
	running.push(again);
}

const connect = ({ doab }) => within(StropheClient.connect({ url: doab.boshUrl, domain: DOMAIN }), 20000, 'login');

// The statuses that strophe.js reports for a connection to @url, as they come.
function statusesOf(url) {
	const said = [];
	const connection = new Strophe.Connection(url);
	connection.connect(DOMAIN, undefined, (status, reason) => said.push([Object.keys(Strophe.Status).find((name) => Strophe.Status[name] === status), reason]));
	const has = (name) => said.some(([status]) => status === name);
	return { said, connection, reaches: (name, ms = 20000) => until(() => has(name), ms, `${name} after ${JSON.stringify(said)}`) };
}

// The client's next request has come, and is held.
const untilHeld = ({ doab }) => until(async () => {
	await doab.readLog();
	return doab.holdsRequest;
}, 20000, 'a request that is held');

test('strophe.js is told system-shutdown, and is welcome at the next gateway', TIMEOUT, async () => {
	const stage = await openStage();
	const { said, reaches } = statusesOf(stage.doab.boshUrl);
	await reaches('CONNECTED');
	await untilHeld(stage);
	await stage.doab.stop();
	await reaches('DISCONNECTED');
	assert.deepEqual(said.slice(-2), [['CONNFAIL', 'system-shutdown'], ['DISCONNECTED', 'system-shutdown']]);
	await startAgain(stage);
	const again = await connect(stage);
	await again.disconnect();
});

// It repeats a creation that was answered with 503, until somebody takes it.
test('strophe.js that wants a session of a gateway that drains gets it from the next one, by itself', TIMEOUT, async () => {
	const stage = await openStage({ drain_timeout: 3600 });
	const { agent } = XMLHttpRequest;
	// The listeners are closed: only a connection that is there already leads to the gateway that drains.
	XMLHttpRequest.agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
	try {
		const before = await connect(stage);
		// Where a request is held, a stanza needs another connection.
		await untilHeld(stage);
		before.sendMessage(before.jid, 'for a second connection');
		const { sockets, freeSockets } = XMLHttpRequest.agent;
		const count = (lists) => Object.values(lists).flat().length;
		await until(() => count(sockets) && count(freeSockets), 5000, 'a connection that nobody uses');
		// What the stanza was answered with is in the client's hands, which may send something in turn.
		await sleep(patiently(1000));
		assert.ok(count(sockets) && count(freeSockets), 'a connection that nobody uses');
		stage.doab.child.kill('SIGTERM');
		await stage.doab.logged('stopping');
		const { said, connection, reaches } = statusesOf(stage.doab.boshUrl);
		await stage.doab.logged('session-refused', { transport: 'bosh' });
		assert.deepEqual(said, [['CONNECTING', null]]);
		await stage.doab.stop();
		await startAgain(stage);
		await reaches('CONNECTED', 40000);
		connection.disconnect();
		await reaches('DISCONNECTED');
	} finally {
		XMLHttpRequest.agent.destroy();
		XMLHttpRequest.agent = agent;
	}
});
