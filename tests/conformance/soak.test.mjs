// A soak: many sessions of both transports at once, whose clients break connections, repeat, reorder, pause, fall asleep and go away,
// while the gateway is reloaded and upgraded and its servers restart. Every stanza has to come, once, in order, unchanged, or to be
// returned as an error, or to have been under way when a connection broke for good. Memory, descriptors, the loops' lag and the log
// are judged, too.
//
// DOAB_SOAK_SECONDS is how long it goes on; DOAB_SOAK_SESSIONS is how many there are; DOAB_SOAK_SEED brings the dice of an earlier
// run back (not its timing); DOAB_SOAK_FOLDER gets the page. tests/soak/run.sh runs it by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from '../soak/soak.mjs';
import { report } from '../soak/report.mjs';
import { patiently, temporaryFolder } from '../support/util.mjs';

const SECONDS = Number(process.env.DOAB_SOAK_SECONDS ?? 20);
const N_SESSIONS = Number(process.env.DOAB_SOAK_SESSIONS ?? 100);
const SEED = process.env.DOAB_SOAK_SEED ?? String(Math.floor(Math.random() * 1e9));
const AFTERWARDS_MS = 300000;

const TEST = `${N_SESSIONS} sessions for ${SECONDS} s: no stanza lost, nothing grows`;
test(TEST, { timeout: patiently(SECONDS * 1000 + AFTERWARDS_MS) }, async (t) => {
	t.diagnostic(`DOAB_SOAK_SEED=${SEED}`);
	const result = await soak({ seconds: SECONDS, nSessions: N_SESSIONS, seed: SEED });
	const text = report(result, process.env.DOAB_SOAK_FOLDER ?? temporaryFolder('soak'));
	t.diagnostic(`${result.nStanzas} stanzas, ${result.stats.sessions} sessions; ${result.ownCores.toFixed(2)} cores for clients and servers`);
	assert.equal(result.failures.length, 0, text);
});
