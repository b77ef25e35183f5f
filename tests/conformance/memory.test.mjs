// Connections that come while there is no memory: some are refused, the gateway goes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Doab } from '../support/doab.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { patiently, until } from '../support/util.mjs';
import { WebSocketClient } from '../support/ws.mjs';

const TIMEOUT = { timeout: patiently(120000) };
const MB = 1024 * 1024;
const CONNECTIONS = 400;

const sizeOf = (pid) => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

const limit = (pid, bytes) => execFileSync('prlimit', ['--pid', String(pid), `--as=${bytes}:unlimited`]);

const BEGINNINGS = {
	WebSockets: () => WebSocketClient.handshake('/xmpp-websocket', 'xmpp').request,
	'requests without an end': () => `POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(5000)}`,
	'requests without a head': () => 'POST /http-b',
};

for (const [what, beginning] of Object.entries(BEGINNINGS)) {
	test(`memory that ends while there come ${what} ends no process`, TIMEOUT, async (t) => {
		for (const left of [1 * MB, 2.5 * MB, 4 * MB]) {
			const doab = await Doab.start({ connections_per_address: 1000, log_level: 'info' });
			const pid = doab.serverPid;
			const size = sizeOf(pid);
			if (size > 2 ** 40) {
				await doab.stop();
				t.skip('the address sanitizer needs address space without a limit');
				return;
			}
			limit(pid, Math.round(size + left));
			const connections = [];
			for (let i = 0; i < CONNECTIONS; i++) {
				const connection = await HttpConnection.open(doab.port);
				connection.write(beginning());
				connections.push(connection);
			}
			await until(() => !doab.isRunning || httpRequest(doab.port, 'GET', '/').then(() => true, () => true), 10000, 'a turn');
			assert.ok(doab.isRunning, `${left} bytes, ${doab.child.signalCode}`);
			limit(pid, 'unlimited');
			connections.forEach((connection) => connection.close());
			await until(() => httpRequest(doab.port, 'GET', '/').then(({ status }) => status === 200, () => false), 10000, 'service again');
			await doab.stop();
		}
	});
}
