// A gateway whose only worker has more to read than it can: who else is served, and in what order
// things are decided.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY } from '../support/doab.mjs';
import { Faults, server } from '../support/faults.mjs';
import { Flood } from '../support/flood.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, startChild, stopAll, stopChild, suspend, until } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(120000) };
const LINGER_MS = 1000;
// The moment shall be shorter than what a light client is remembered for (TURN_ALONE_S).
const SHORT_LINGER_MS = 300;
const STOP_MS = 1500;
const BUSY_ADDRESS = '127.0.0.9';
const QUIET_ADDRESS = '127.0.0.5';
const N_SENDERS = 8;
const N_TRIALS = 3;
const N_ROUND_TRIPS = 5;
const N_FLOODED = 200;
const N_PARTS = 3000;
const HELD_MAX = 512 * 1024 * 1024;
const RATIO = 2;
// Much more than TURN_CROWD_US, so that it counts for some seconds.
const FLOOD_CPU_MS = 400;
// What nobody takes but the senders, when they have begun.
const BUSY_CPU_MS = 300;
// The server says nothing by itself.
const REPLIES = { replies: [{ await: 'header' }, { header: true, features: FEATURES }, { serve: 'iq' }, { pause: 600000 }] };

// Sends large requests for no session over connections of its own, each as soon as the last one is
// answered.
const SENDER = `
	const [from, ...numbers] = process.argv.slice(1);
	const [port, n] = numbers.map(Number);
	const body = "<body xmlns='${NS.httpbind}' rid='1' sid='nobody'>" +
		'<a xmlns="b"/>'.repeat(15000) + '</body>';
	const head = 'POST /http-bind HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: ' + body.length;
	const request = Buffer.from(head + '\\r\\n\\r\\n' + body);
	for (let i = 0; i < n; i++) {
		const socket = require('net').connect({ port, host: '127.0.0.1', localAddress: from });
		socket.on('data', () => socket.write(request));
		socket.on('error', () => {});
		socket.write(request);
	}`;

// @from: the address of the senders. @env: of the gateway.
async function withBusyStage(scenarios, { from, env, ...config }, use) {
	const all = { wait: 30, connections_per_address: 100, ...config };
	const stage = await Stage.open(scenarios, all, { env });
	const args = ['-e', SENDER, from, String(stage.port), String(N_SENDERS)];
	let sender;
	try {
		await use(stage, async () => {
			sender = startChild(process.execPath, args, { stdio: 'ignore' });
			await untilUsed(stage.doab.serverPid, BUSY_CPU_MS);
		});
	} finally {
		process.kill(stage.doab.serverPid, 'SIGCONT');
		await (sender && stopChild(sender, { signal: 'SIGKILL' }));
		await stopAll(stage);
	}
}

async function login(stage, from) {
	const socket = await openWebSocket(stage.port, { from });
	await socket.login('plain.test');
	return socket;
}

async function makeRoundTrip(socket, id) {
	socket.send(`<message xmlns='jabber:client' id='${id}'/>`);
	assert.equal((await socket.next(10000)).attributes.id, id);
}

test('clients that send as fast as they are read leave others their turn', TIMEOUT, async () => {
	await withBusyStage({ plain: 'plain' }, { from: '127.0.0.1' }, async (stage, beginBusy) => {
		const socket = await login(stage);
		await beginBusy();
		for (let i = 0; i < N_ROUND_TRIPS; i++) {
			await makeRoundTrip(socket, `trip${i}`);
		}
		socket.drop();
	});
});

// The fields of /proc/PID/stat from the third on, the state.
const statOf = (pid) => readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');

// Waits until the process has used @ms of CPU time from now on.
async function untilUsed(pid, ms) {
	// Hundredths of a second, in user space and in the kernel.
	const used = () => statOf(pid).slice(11, 13).reduce((sum, ticks) => sum + 10 * Number(ticks), 0);
	const before = used();
	await until(() => used() - before >= ms, 20000, `${ms} ms of CPU time`);
}

// The flood has taken more than its share. When the gateway goes on, as much waits for it from the server of each session as fits into the queues. None of these streams has been
// busy for long; they wait for each other all the same, and so does another client of the same address.
test('a client whose own server floods its sessions leaves others their turn', TIMEOUT, async () => {
	const flood = await Flood.start();
	// The flood's clients have not logged in. On a busy machine they hold more memory than the default limits allow one address.
	const limits = { connections_per_address: N_FLOODED + 1, sessions_per_address: N_FLOODED + 1, login_bytes_per_address: HELD_MAX, login_bytes: HELD_MAX,
		foreign_bytes_per_address: HELD_MAX, foreign_bytes: HELD_MAX };
	const stage = await Stage.open({ plain: 'plain' }, { ...limits, domains: { 'flood.test': flood.section } });
	const pid = stage.doab.serverPid;
	const took = { quiet: [], neighbour: [] };
	try {
		const quiet = await login(stage);
		const neighbour = await login(stage, BUSY_ADDRESS);
		await flood.begin({ port: stage.port, domain: 'flood.test', from: BUSY_ADDRESS, n: N_FLOODED });
		for (let i = 0; i < N_TRIALS; i++) {
			await untilUsed(pid, FLOOD_CPU_MS);
			suspend(pid);
			await flood.full();
			const trips = [quiet, neighbour].map(async (socket) => {
				await makeRoundTrip(socket, `trip${i}`);
				return performance.now();
			});
			await sleep(100);
			const begin = performance.now();
			process.kill(pid, 'SIGCONT');
			const [quietEnd, neighbourEnd] = await Promise.all(trips);
			took.quiet.push(quietEnd - begin);
			took.neighbour.push(neighbourEnd - begin);
		}
		// The shortest: others may have the processor in any of them.
		assert.ok(RATIO * Math.min(...took.quiet) < Math.min(...took.neighbour), `ms: ${JSON.stringify(took)}`);
		quiet.drop();
		neighbour.drop();
	} finally {
		process.kill(pid, 'SIGCONT');
		await flood.stop();
		await stopAll(stage);
	}
});

// It is read in portions, because its client takes more than its share.
test('a large stanza of a busy client arrives whole', TIMEOUT, async () => {
	await withBusyStage({ plain: 'plain' }, { from: BUSY_ADDRESS }, async (stage, beginBusy) => {
		const quiet = await login(stage);
		const connection = new http.Agent({ keepAlive: true, noDelay: true, localAddress: BUSY_ADDRESS });
		const client = new BoshClient(stage.port, { connection });
		await client.login(stage.domain.plain);
		await beginBusy();
		let isOver = false;
		const trips = (async () => {
			while (!isOver) {
				await makeRoundTrip(quiet, 'trip');
				await sleep(5);
			}
		})();
		try {
			for (let i = 0; i < N_TRIALS; i++) {
				const text = Array.from({ length: N_PARTS }, (_, part) => `<x:part xmlns:x='urn:x' n='${i}.${part}'>&lt;${part}</x:part>`).join('');
				const { children } = await client.exchange(`<message id='large${i}'>${text}</message>`, ({ attributes }) => attributes.id === `large${i}`);
				assert.deepEqual(children.map(({ attributes }) => attributes.n), Array.from({ length: N_PARTS }, (_, part) => `${i}.${part}`));
			}
		} finally {
			isOver = true;
		}
		await trips;
		client.close();
		quiet.drop();
	});
});

// The gateway is stopped as soon as it has sent the stanza on, and goes on when the moment is over
// and the reply is there. A turn of its loop begins with the timers: the reply must be read all the
// same before the held request is answered without it. (At the address of the senders it may have to
// wait for its turn, and rides on the next request.)
test('linger: a reply that comes in a busy moment rides on the held request', TIMEOUT, async () => {
	await withBusyStage(REPLIES, { linger: LINGER_MS, from: BUSY_ADDRESS }, async (stage, beginBusy) => {
		const pid = stage.doab.serverPid;
		const client = new BoshClient(stage.port);
		await client.login('replies.test');
		const connection = await stage.connectionOf('replies');
		await beginBusy();
		for (let i = 0; i < N_TRIALS; i++) {
			const held = client.request();
			await stage.doab.hasRequest(client);
			connection.once('change', () => suspend(pid));
			const stanza = `<presence xmlns='jabber:client' id='sent${i}'/>`;
			const newer = client.request(stanza);
			const isSent = ({ attributes }) => attributes.id === `sent${i}`;
			await connection.element('presence', isSent);
			await connection.send(`<message id='reply${i}'/>`);
			await sleep(LINGER_MS + 200);
			process.kill(pid, 'SIGCONT');
			const { children } = (await held).element;
			const ids = children.map(({ attributes }) => attributes.id);
			assert.deepEqual(ids, [`reply${i}`]);
			connection.send('<message id="next"/>');
			await newer;
		}
		client.close();
	});
});

const IS_TSAN = readFileSync(BINARY).includes('__tsan_init') && 'ThreadSanitizer has to be the first library';
const isStopped = (pid) => statOf(pid)[0] === 'T';

// The process stands still while it reads from the client's server, then beside busy clients: the reply to a lingering request rides on
// it all the same. If the first moment were charged to the client, its replies would wait for their turn like those of the busy ones.
test('linger: a client is not charged for a moment in which the process was stopped', { ...TIMEOUT, skip: IS_TSAN }, async () => {
	const faults = Faults.open();
	const stop = async (stage, call, cause) => {
		const { serverPid } = stage.doab;
		faults.arm({ role: server(0), call, effect: 'STOP', nth: 1 });
		const result = cause();
		await until(() => isStopped(serverPid), 10000, 'the stop');
		return { result, goOn: () => process.kill(serverPid, 'SIGCONT') };
	};
	try {
		const scenarios = { ...REPLIES, plain: 'plain' };
		await withBusyStage(scenarios, { linger: SHORT_LINGER_MS, from: BUSY_ADDRESS, sandbox: false, env: faults.env }, async (stage, beginBusy) => {
			const client = new BoshClient(stage.port);
			await client.login('replies.test');
			const connection = await stage.connectionOf('replies');
			const idsOf = async (request) => (await request).element.children.map(({ attributes }) => attributes.id);
			const first = client.request();
			await stage.doab.hasRequest(client);
			const { goOn } = await stop(stage, 'recv', () => connection.send('<message id="first"/>'));
			await sleep(STOP_MS);
			goOn();
			assert.deepEqual(await idsOf(first), ['first']);
			await beginBusy();
			const quiet = await login(stage, QUIET_ADDRESS);
			const held = client.request();
			await stage.doab.hasRequest(client);
			// For its sake, the busy clients get little time in each iteration.
			await makeRoundTrip(quiet, 'trip');
			// Nothing but what is sent to a server goes through send(2).
			const { result: newer, goOn: goOnAgain } = await stop(stage, 'send', () => client.request(`<presence xmlns='jabber:client' id='sent'/>`));
			await connection.send('<message id="reply"/>');
			await sleep(SHORT_LINGER_MS + 200);
			goOnAgain();
			assert.deepEqual(await idsOf(held), ['reply']);
			quiet.drop();
			connection.send('<message id="next"/>');
			await newer;
			client.close();
		});
	} finally {
		faults.close();
	}
});
