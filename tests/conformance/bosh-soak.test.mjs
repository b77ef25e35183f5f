// A soak: many BOSH sessions at once, whose clients break connections, repeat, reorder and pause, all within the rules of
// XEP-0124. At the end every stanza has come, once, in order, unchanged, in both directions.
//
// DOAB_SOAK_SECONDS is how long it goes on; DOAB_SOAK_SEED brings the dice of an earlier run back (not its timing);
// DOAB_SOAK_SESSIONS is how many there are.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Doab } from '../support/doab.mjs';
import { SoakClient } from '../soak/client.mjs';
import { SoakServer } from '../soak/server.mjs';
import { patiently, sleep, stopAll, until, within } from '../support/util.mjs';

const SECONDS = Number(process.env.DOAB_SOAK_SECONDS ?? 60);
const SEED = process.env.DOAB_SOAK_SEED ?? String(Math.floor(Math.random() * 1e9));
const N_SESSIONS = Number(process.env.DOAB_SOAK_SESSIONS ?? 200);
// For one session and direction. Two cores have to bear it under the sanitizers, with other tests beside.
const MEAN_MS = 1000;
const STALL_MS = 12000;
const TICK_MS = 50;
const DOMAIN = 'soak.test';
const ERRORS_SHOWN = 10;

const CONFIG = { workers: 2, log_level: 'info', hold: 2, inactivity: 10, polling: 1, compression: true, pending_bytes: 65536,
	sessions_per_address: 10000, connections_per_address: 10000 };

// Every combination of these occurs among 200.
const traitsOf = (session) => ({
	hold: session % 7 === 0 ? 0 : session % 3 === 0 ? 2 : 1,
	wait: session % 21 === 0 ? 0 : 2 + session % 5 * 3,
	acks: session % 2 === 1,
	keys: session % 4 >= 2,
	pauses: session % 8 >= 4,
	codings: session % 5 < 2,
});

// Transmissions cut in the request, the wait, the answer; repeats after a cut, of a held request, of one that was answered;
// answers that were the same as before; requests that gave way to their repeat; answers with a content coding; `report` attributes.
const stats = { requests: 0, transmissions: 0, cuts: { request: 0, wait: 0, answer: 0 }, repeats: 0, heldRepeats: 0,
	answeredRepeats: 0, identical: 0, displaced: 0, pauses: 0, pausedSeconds: 0, coded: 0, reports: 0 };
let server;
let doab;
let clients = [];

before(async () => {
	server = await SoakServer.start({ seed: SEED, meanMs: MEAN_MS });
	doab = await Doab.start({ ...CONFIG, domains: { [DOMAIN]: server.section() } });
});
after(async () => {
	clients.forEach((client) => client.stop());
	await stopAll(doab, server);
});

function isComplete(client) {
	const peer = server.peer(client.session);
	return client.isOver || (client.isSettled && client.ledger.nTaken >= peer.nSent && peer.ledger.nTaken >= client.nSent);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

// Waits until all stanzas are there, or no more come.
async function recovered() {
	for (let before = -1, end = 0; ; ) {
		const n = sum(clients.map((client) => client.ledger.nTaken + server.peer(client.session).ledger.nTaken));
		end = n > before ? Date.now() + STALL_MS : end;
		before = n;
		if (Date.now() > end || clients.every(isComplete)) {
			return;
		}
		await sleep(TICK_MS);
	}
}

// All that went wrong, and what the first client concerned had noted.
function findErrors() {
	const errors = [...server.errors];
	let notes = [];
	for (const client of clients) {
		const peer = server.peer(client.session);
		peer.ledger.close(client.nSent);
		client.ledger.close(peer.nSent);
		const own = [...client.errors, ...client.ledger.errors, ...peer.errors, ...peer.ledger.errors];
		if (!peer.hasSaidGoodbye) {
			own.push(`session ${client.session}: its stream was not closed`);
		}
		errors.push(...own);
		if (own.length && !notes.length) {
			notes = [`session ${client.session}:`, ...client.notes];
		}
	}
	return { errors, notes };
}

const TEST = `${N_SESSIONS} sessions for ${SECONDS} s: no stanza lost, twice, or out of order`;
test(TEST, { timeout: patiently(SECONDS * 1000 + 150000) }, async (t) => {
	t.diagnostic(`DOAB_SOAK_SEED=${SEED}`);
	clients = Array.from({ length: N_SESSIONS }, (_, session) => new SoakClient({
		port: doab.port, session, seed: SEED, domain: DOMAIN, meanMs: MEAN_MS, traits: traitsOf(session), stats }));
	await within(Promise.all(clients.map((client) => client.open())), 30000, 'all sessions');
	const ticks = setInterval(() => clients.forEach((client) => client.tick(Date.now())), TICK_MS);
	try {
		await sleep(SECONDS * 1000);
		server.hush();
		clients.forEach((client) => client.calm());
		await recovered();
		await within(Promise.all(clients.map((client) => client.close())), 20000, 'the end of all sessions').catch(() => {});
		const haveEnded = () => [...server.peers.values()].every((peer) => peer.hasEnded);
		await until(haveEnded, 5000, 'the end of all streams').catch(() => {});
	} finally {
		clearInterval(ticks);
	}
	const nUp = sum(clients.map((client) => client.nSent));
	const nDown = sum([...server.peers.values()].map((peer) => peer.nSent));
	t.diagnostic(`${nUp} stanzas up, ${nDown} down; ${JSON.stringify(stats)}`);
	const { errors, notes } = findErrors();
	assert.equal(errors.length, 0,
		`DOAB_SOAK_SEED=${SEED}: ${errors.length} errors:\n${[...errors.slice(0, ERRORS_SHOWN), ...notes].join('\n')}`);
	// It did happen.
	const { cuts, repeats, heldRepeats, identical, displaced, pauses, coded } = stats;
	for (const [what, n] of Object.entries({ ...cuts, repeats, heldRepeats, identical, displaced, pauses, coded, nUp, nDown })) {
		assert.ok(n > 0, `no ${what} in ${JSON.stringify(stats)}`);
	}
	await doab.readLog();
	assert.equal(doab.events.filter(({ event }) => event === 'session-failed').length, 0, doab.log.slice(-2000));
});
