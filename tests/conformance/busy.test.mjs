// A gateway whose only worker has more to read than it can: who else is served, and in what order things are decided.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { sleep, startChild, stopAll, stopChild } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: 120000 };
const N_SENDERS = 8;
const N_ROUND_TRIPS = 5;

// Sends large requests for no session over connections of its own, each as soon as the last is answered.
const SENDER = `
	const [port, n] = process.argv.slice(1).map(Number);
	const body = "<body xmlns='${NS.httpbind}' rid='1' sid='nobody'>" + '<a xmlns="b"/>'.repeat(15000) + '</body>';
	const request = Buffer.from('POST /http-bind HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n' + body);
	for (let i = 0; i < n; i++) {
		const socket = require('net').connect(port, '127.0.0.1');
		socket.on('data', () => socket.write(request));
		socket.on('error', () => {});
		socket.write(request);
	}`;

async function withBusyStage(scenarios, config, use) {
	const stage = await Stage.open(scenarios, { wait: 30, connections_per_address: 100, ...config });
	let sender;
	try {
		await use(stage, async () => {
			sender = startChild(process.execPath, ['-e', SENDER, String(stage.port), String(N_SENDERS)], { stdio: 'ignore' });
			await sleep(1000);
		});
	} finally {
		await (sender && stopChild(sender, { signal: 'SIGKILL' }));
		await stopAll(stage);
	}
}

test('clients that send as fast as they are read do not keep the worker to themselves', TIMEOUT, async () => {
	await withBusyStage({ plain: 'plain' }, {}, async (stage, beginBusy) => {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		await beginBusy();
		for (let i = 0; i < N_ROUND_TRIPS; i++) {
			socket.send(`<message xmlns='jabber:client' id='trip${i}'/>`);
			assert.equal((await socket.next(10000)).attributes.id, `trip${i}`);
		}
		socket.drop();
	});
});
