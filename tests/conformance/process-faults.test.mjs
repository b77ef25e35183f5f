// What the processes of a gateway say to each other is not lost while the kernel has no memory for it: the shim
// (tests/faults/shim.c) lets such calls fail for longer than a process waits.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY, Doab } from '../support/doab.mjs';
import { Faults, SUPERVISOR, server } from '../support/faults.mjs';
import { HttpConnection } from '../support/http.mjs';
import { runLogging } from '../support/logging.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const SKIP = readFileSync(BINARY).includes('__tsan_init') && 'ThreadSanitizer has to be the first library';

const count = (doab, event) => doab.events.filter((line) => line.event === event).length;
const wait = (doab, event, n = 1) => until(() => count(doab, event) >= n, 30000, `event=${event}:\n${doab.log.slice(-3000)}`);

async function withFaults(config, use) {
	const faults = Faults.open();
	const stage = await Stage.open({ plain: 'plain' }, { sandbox: false, log_level: 'info', ...config }, { env: faults.env });
	try {
		await use(faults, stage, stage.doab);
	} finally {
		faults.disarm();
		await stopAll(...stage.doab.isRunning ? [stage] : Object.values(stage.servers));
		faults.close();
	}
}

describe('processes without memory', { skip: SKIP }, () => {
	test('a connection that cannot be passed on is tried again after pauses', TIMEOUT, async () => {
		await withFaults({ workers: 1 }, async (faults, stage, doab) => {
			// A session that keeps the first server alive, and a connection to it.
			const client = new BoshClient(stage.port);
			await client.login('plain.test');
			const connection = await HttpConnection.open(stage.port);
			assert.equal((await connection.request('GET', '/')).status, 200);
			faults.arm({ role: server(0), call: 'sendmsg', effect: 'ENOBUFS', nth: 1, times: 100000 });
			doab.child.kill('SIGUSR2');
			await wait(doab, 'retired');
			const answer = connection.request('GET', '/');
			await until(() => faults.strikes > 0, 30000, 'a try');
			const [before, began] = [faults.strikes, performance.now()];
			await sleep(1000);
			const { strikes } = faults.disarm();
			const most = 50 * (performance.now() - began) / 1000;
			assert.ok(strikes - before < most, `it was tried ${strikes - before} times again, and not ${most}`);
			assert.equal((await answer).status, 200);
			connection.close();
			client.close();
		});
	});

	// Longer than the second for which a process waits.
	const NO_MEMORY = { nth: 1, times: 130 };
	for (const [name, fault] of Object.entries({
		'a server that cannot read an order goes on': { role: server(0), call: 'recvmsg', effect: 'ENOMEM', ...NO_MEMORY },
		'a server whose report cannot be read goes on': { role: SUPERVISOR, call: 'recvmsg', effect: 'ENOMEM', ...NO_MEMORY },
		'an order that cannot be sent is sent later': { role: SUPERVISOR, call: 'sendmsg', effect: 'ENOBUFS', ...NO_MEMORY },
		// The beginning and the end of the list of sockets, and the report.
		'a report that cannot be sent is sent later': { role: server(0), call: 'sendmsg', effect: 'ENOBUFS', nth: 1, times: 320 },
	})) {
		test(name, TIMEOUT, async () => {
			await withFaults({ workers: 1 }, async (faults, stage, doab) => {
				const client = new BoshClient(stage.port);
				await client.login('plain.test');
				faults.arm(fault);
				doab.child.kill('SIGHUP');
				await until(() => count(doab, 'reloaded') + count(doab, 'reload-failed') > 0, 30000, 'an outcome');
				const before = count(doab, 'reloaded');
				doab.child.kill('SIGHUP');
				await wait(doab, 'reloaded', before + 1);
				assert.equal(faults.disarm().strikes, fault.times);
				await client.exchange('<message xmlns="jabber:client" id="a"/>', ({ attributes }) => attributes.id === 'a');
				client.close();
			});
		});
	}

	test('no client is answered before the supervisor knows that the server serves', TIMEOUT, async () => {
		const faults = Faults.open();
		try {
			const doab = await Doab.start({ sandbox: false, workers: 1 }, { env: faults.env });
			const nth = faults.calls(server(0)).sendmsg; // the last of a start
			await doab.stop();
			faults.arm({ role: server(0), call: 'sendmsg', effect: 'ENOBUFS', nth, times: 50 });
			// The signal comes right after the first answer. A server that is not known to serve would be killed, and the
			// supervisor would not know the form of the log.
			const lines = await runLogging(faults.folder, { sandbox: false, log_format: 'json' }, () => {}, { env: faults.env });
			assert.equal(faults.disarm().strikes, 50);
			const events = lines.map((line) => JSON.parse(line).event);
			assert.ok(['ready', 'stopping', 'stopped', 'server-ended'].every((event) => events.includes(event)), lines.join('\n'));
		} finally {
			faults.close();
		}
	});

	test('a gateway that is told to stop while there is no memory stops', TIMEOUT, async () => {
		await withFaults({ workers: 1 }, async (faults, stage, doab) => {
			faults.arm({ role: SUPERVISOR, call: 'sendmsg', effect: 'ENOBUFS', ...NO_MEMORY });
			doab.child.kill('SIGTERM');
			await until(() => !doab.isRunning, 20000, `the end:\n${doab.log}`);
			assert.equal(count(doab, 'stopped'), 1);
		});
	});
});
