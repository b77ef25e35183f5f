// What happens to the gateway and its servers during a soak, and when, by the seed:
//
//     reload    SIGHUP, all the time
//     upgrade   SIGUSR2, in the first and in the last part, so that in between one process serves long enough to show what grows
//     restart   one of the servers goes down for a moment, all the time
import { Chance } from './chance.mjs';
import { RESTARTS } from './server.mjs';

const EVERY_S = { reload: 150, upgrade: 240, restart: 300 };
// Parts of the whole: when upgrades happen, and the time of one process that they leave.
const UPGRADES = [[0.12, 0.35], [0.85, 0.92]];
export const PLATEAU = [0.4, 0.85];
const DOWN_MS = [500, 3000];

// At least @least, spread over the part [@from, @to] of @seconds.
function spread(chance, kind, seconds, from, to, least) {
	const n = Math.max(least, Math.floor((to - from) * seconds / EVERY_S[kind]));
	const each = (to - from) * seconds / n;
	return Array.from({ length: n }, (_, i) => ({ kind, at: from * seconds + each * (i + chance.real() * 0.8) }));
}

// In order: { kind, at: seconds from the beginning, server, how, downMs }, the last three of a restart.
export function makeSchedule(seed, seconds, nServers) {
	const chance = new Chance(seed, 'schedule');
	const restarts = spread(chance, 'restart', seconds, 0.25, 0.92, 1).map((event, i) => ({ ...event, server: i % nServers,
		how: RESTARTS[Math.floor(i / nServers) % RESTARTS.length], downMs: chance.integer(...DOWN_MS) }));
	const upgrades = UPGRADES.flatMap(([from, to], i) => spread(chance, 'upgrade', seconds, from, to, i === 0 || seconds >= 60 ? 1 : 0));
	return [...spread(chance, 'reload', seconds, 0.1, 0.95, 2), ...upgrades, ...restarts].sort((a, b) => a.at - b.at);
}
