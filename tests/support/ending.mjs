// Loaded before each test file by run.mjs. What a failed test leaves open, such as a listener, would keep its file from ending until
// the time limit; so a file with a failure is ended a while after its last test. Until then its own hooks have time to clean up.
import { after } from 'node:test';
import { patiently } from './util.mjs';

// Less in a test of run.mjs.
const HOOKS_MS = Number(process.env.DOAB_HOOKS_MS ?? 30000);

after(() => {
	setTimeout(() => {
		if (process.exitCode) {
			process.stderr.write(`The file is ended. Still open: ${process.getActiveResourcesInfo().join(', ')}\n`);
			process.exit();
		}
	}, patiently(HOOKS_MS)).unref();
});
