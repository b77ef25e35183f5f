// What the processes of a gateway say to each other is not lost while the kernel has no memory for it: the shim
// (tests/faults/shim.c) lets such calls fail for longer than a process waits.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY } from '../support/doab.mjs';
import { Faults, server } from '../support/faults.mjs';
import { HttpConnection } from '../support/http.mjs';
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
		await stopAll(stage);
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
			await sleep(1000);
			const { strikes } = faults.disarm();
			assert.ok(strikes > 0 && strikes < 50, `it was tried ${strikes} times`);
			assert.equal((await answer).status, 200);
			connection.close();
			client.close();
		});
	});
});
