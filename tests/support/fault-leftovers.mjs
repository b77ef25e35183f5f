// What a fault may leave behind in a gateway: sessions, connections, descriptors, and bytes that count for a client who is gone.
//
//     await leavingNothing({ pid: doab.child.pid, admin, port: doab.port }, async (opened) => {
//         opened.push(client);        // is stopped at the end, also of a test that fails
//         ...                         // the fault
//     });
//
// @pid is that of the supervisor, whose descriptors count, too; @admin the port of the admin listener. There must be no
// clients before.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { httpRequest } from './http.mjs';
import { sleep, until } from './util.mjs';

const READINGS = 3;
const SETTLE_MS = 50;
// A BOSH session whose client is gone lasts for its inactivity, of 5 seconds. Then its link returns what the server still writes, for
// 2 to 10 seconds.
const LEFT_MS = 30000;
const BODY_BYTES = 32768;

const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');

// Without /dev/null, which libuv opens once for each loop, when the first TCP socket is made.
function countDescriptors(pid) {
	const folder = `/proc/${pid}/fd`;
	return readdirSync(folder).filter((fd) => {
		try {
			return readlinkSync(`${folder}/${fd}`) !== '/dev/null';
		} catch {
			return false; // closed since
		}
	}).length;
}

// Resolves with what returns the sum of all series of a metric.
export async function readMetrics(admin) {
	const { text } = await httpRequest(admin, 'GET', '/metrics');
	return (metric) => {
		const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
		assert.ok(lines.length > 0, `no metric ${metric}`);
		return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
	};
}

async function read({ pid, admin }) {
	const sumOf = await readMetrics(admin);
	return {
		sessions: sumOf('doab_sessions'),
		connections: sumOf('doab_connections'),
		bytes: sumOf('doab_held_bytes'),
		descriptors: countDescriptors(childrenOf(pid).at(-1)),
		supervisor: countDescriptors(pid),
	};
}

// What is there now. The connection that asked before may not have been closed yet, so the least of several readings counts.
export async function takeStock(gateway) {
	const readings = [];
	for (let i = 0; i < READINGS; i++) {
		readings.push(await read(gateway));
		await sleep(SETTLE_MS);
	}
	return Object.fromEntries(Object.keys(readings[0]).map((key) => [key, Math.min(...readings.map((reading) => reading[key]))]));
}

// Polls until there is no more than @stock. There may be less, where a cache has given up something meanwhile.
export async function assertStock(gateway, stock) {
	let now;
	await until(async () => {
		now = await read(gateway);
		return Object.keys(stock).every((key) => now[key] <= stock[key]);
	}, LEFT_MS, 'as much as before the fault').catch(() => assert.deepEqual(now, stock, 'the fault left something'));
}

// A request that never comes to its end: the gateway holds the beginning of it. Returns the connection.
async function leaveBody(gateway) {
	const socket = net.connect(gateway.port, '127.0.0.1');
	socket.on('error', () => {});
	socket.resume();
	socket.write(`POST /http-bind HTTP/1.1\r\nHost: a.test\r\nContent-Type: text/xml\r\nContent-Length: ${2 * BODY_BYTES}\r\n\r\n` +
		`<body><!--${' '.repeat(BODY_BYTES)}`);
	await until(async () => (await read(gateway)).bytes >= BODY_BYTES, LEFT_MS, 'the bytes of a request');
	return socket;
}

// Calls @body, and asserts that nothing is left of it when its clients are gone. Without something that the gateway holds during
// the fault, it could not be noticed whether that is given back. Of a body that fails, what is left is waited for, too: it would be
// in the way of the next test.
export async function leavingNothing(gateway, body) {
	const opened = [];
	const stock = await takeStock(gateway);
	const unfinished = await leaveBody(gateway);
	let failure;
	try {
		await body(opened);
	} catch (error) {
		failure = error;
	}
	unfinished.destroy();
	opened.forEach((client) => client.stop());
	await assertStock(gateway, stock).catch((error) => {
		failure ??= error;
	});
	if (failure) {
		throw failure;
	}
}
