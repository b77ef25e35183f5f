// Whether a lost block of memory is noticed at all: a single one, of the gateway, fails the round under AddressSanitizer, whose
// LeakSanitizer looks for them when a process ends.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BINARY, Doab } from '../support/doab.mjs';
import { SUPERVISOR, Faults, server } from '../support/faults.mjs';
import { HttpConnection } from '../support/http.mjs';
import { patiently } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000), skip: !readFileSync(BINARY).includes('__asan_init') && 'only AddressSanitizer looks for lost blocks' };
// A call that each of them makes in its life.
const CALLS = { server: [server(0), 'accept4'], supervisor: [SUPERVISOR, 'posix_spawn'] };

for (const [name, [role, call]] of Object.entries(CALLS)) {
	test(`one lost block of the ${name} is noticed, and none where none is lost`, TIMEOUT, async () => {
		const faults = Faults.open();
		try {
			for (const isLost of [false, true]) {
				faults.arm({ role, call, effect: 'LEAK', nth: isLost ? 1 : 1000000 });
				const doab = await Doab.start({ sandbox: false }, { env: faults.env });
				(await HttpConnection.open(doab.port)).close();
				await doab.logged('ready');
				const error = await doab.stop().catch((reason) => reason);
				assert.equal(faults.disarm().strikes, isLost ? 1 : 0, doab.log);
				if (isLost) {
					assert.match(String(error), /LeakSanitizer: detected memory leaks[^]*in 1 allocation\(s\)/);
				} else {
					assert.equal(error, undefined);
				}
			}
		} finally {
			faults.close();
		}
	});
}
