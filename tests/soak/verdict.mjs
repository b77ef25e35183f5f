// Whether a soak's promises held: what was counted and measured, against its bounds.
//
// plateau   the part of the run that one server process serves alone: what grows in it is a leak
import { readFileSync } from 'node:fs';
import { BINARY } from '../support/doab.mjs';
import { patiently } from '../support/util.mjs';
import { lagQuantile } from './processes.mjs';
import { PLATEAU } from './schedule.mjs';

const MB = 1024 * 1024;
const JUDGED_LEAST_S = 300;
const VARIED_LEAST_S = 60;
const PLATEAU_LEAST = 20; // samples
// Of the medians of the plateau's first and last fifth: parts, and no less than so many bytes, or descriptors. Those are counted once
// more at the end, when there must be none too many.
const GROWTH = { memory: { part: 0.08, least: 1.5 * MB }, descriptors: { part: 0.15, least: 50 } };
// The heap of a process that is some minutes old still fills its gaps.
const YOUNG_S = 1200;
const YOUNG_FACTOR = 2;
// AddressSanitizer keeps what was freed, so an upgrade is a step; but it finds each lost block itself.
const SUPERVISOR_GROWTH = readFileSync(BINARY).includes('__asan_init') ? MB : MB / 4;
// A machine that does much else is late as well; what a loop must never be is deaf for seconds. Of the seconds 99 % have at most this lag.
const QUIET = { lagP99S: patiently(0.25), excusedPart: 0.1, healthyPart: 0.995 };
// Among other tests: they take the cores, and in a short run one late second decides.
const BUSY = { lagP99S: patiently(2.5), excusedPart: 0.5, healthyPart: 0.9 };
// DOAB_QUIET=1 says that nothing else runs: tests/soak/run.sh sets it.
const { lagP99S, excusedPart, healthyPart } = process.env.DOAB_QUIET === '1' ? QUIET : BUSY;
const STALL_SHADOW_MS = 10000;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const sum = (values) => values.reduce((total, value) => total + value, 0);
const mb = (bytes) => `${(bytes / MB).toFixed(2)} MB`;

// How many failures there are, in words.
export const countText = ({ length }) => (length === 1 ? 'a promise was broken' : `${length} promises were broken`);

// The medians of the first and of the last fifth of @samples.
function ends(samples, value) {
	const n = Math.max(1, Math.floor(samples.length / 5));
	return [median(samples.slice(0, n).map(value)), median(samples.slice(-n).map(value))];
}

function judgePlateau({ samples, seconds }) {
	const alone = samples.filter(({ t, servers }) => t > PLATEAU[0] * seconds && t < PLATEAU[1] * seconds && servers.length === 1);
	// Its heap takes some minutes to reach its size.
	const plateau = alone.slice(Math.floor(alone.length / 3));
	const growth = {};
	if (plateau.length < PLATEAU_LEAST) {
		return { growth, failures: seconds < JUDGED_LEAST_S ? [] : ['no server was alone for long enough to judge its memory'] };
	}
	const failures = [];
	for (const [what, { part, least }] of Object.entries(GROWTH)) {
		const [first, last] = ends(plateau, ({ servers }) => servers[0][what]);
		const bound = first + Math.max(least, part * first) * (seconds < YOUNG_S ? YOUNG_FACTOR : 1);
		growth[what] = { first, last, bound, from: plateau[0].t, to: plateau.at(-1).t };
		if (last > bound) {
			failures.push(`${what} of the server grew from ${first} to ${last} within ${Math.round(plateau.at(-1).t - plateau[0].t)} s; ` +
				`the bound is ${Math.round(bound)}`);
		}
	}
	return { growth, failures };
}

function judgeSupervisor({ samples, seconds }) {
	const alone = samples.filter(({ servers, supervisor }) => servers.length === 1 && supervisor);
	if (alone.length < PLATEAU_LEAST) {
		return [];
	}
	const descriptors = ends(alone, ({ supervisor }) => supervisor.descriptors);
	const memory = ends(alone, ({ supervisor }) => supervisor.memory);
	const failures = [];
	if (descriptors[0] !== descriptors[1]) {
		failures.push(`the supervisor has ${descriptors[1]} descriptors at the end, ${descriptors[0]} at the beginning`);
	}
	if (seconds >= JUDGED_LEAST_S && memory[1] > memory[0] + SUPERVISOR_GROWTH) {
		failures.push(`the supervisor grew from ${mb(memory[0])} to ${mb(memory[1])}`);
	}
	return failures;
}

function judgeEnd({ idle, left = idle, doab, logbook }) {
	const failures = [];
	const kinds = [...new Set([...Object.keys(idle.kinds), ...Object.keys(left.kinds)])];
	const more = (kind) => (left.kinds[kind] ?? 0) - (idle.kinds[kind] ?? 0);
	const differ = kinds.filter((kind) => more(kind) !== 0);
	if (differ.length) {
		failures.push(`without sessions, the server's descriptors at the end differ from those at the beginning: ` +
			differ.map((kind) => `${kind}: ${left.kinds[kind] ?? 0}, not ${idle.kinds[kind] ?? 0}`).join('; '));
	}
	if (doab.child.exitCode !== 0) {
		failures.push(`the gateway ended with ${doab.child.exitCode ?? doab.child.signalCode}`);
	}
	if (logbook.nUnexpected) {
		failures.push(`${logbook.nUnexpected} lines in the log that nobody expects: ${logbook.unexpected.slice(0, 5).join(' | ')}`);
	}
	return failures;
}

// The lag between each two samples of one process.
export function lags(samples) {
	return samples.slice(1).map((sample, i) => {
		const before = samples[i];
		const base = before.newest === sample.newest ? before.lag : [];
		return { t: sample.t, p50: lagQuantile(base, sample.lag, 0.5), most: lagQuantile(base, sample.lag, 1) };
	});
}

// The admin port drops a request that it cannot answer in time.
function judgeAdmin({ adminErrors, stalls }) {
	const isNearStall = (at) => stalls.some(({ from, to }) => at > from - STALL_SHADOW_MS && at < to + STALL_SHADOW_MS);
	return adminErrors.filter(({ at }) => !isNearStall(at)).map(({ text }) => text);
}

// Sessions that saw this process stand still are not judged; if they are many, nothing was.
function judgeStalls({ stalls, stats }) {
	return stats.excused > excusedPart * stats.sessions
		? [`the machine was too busy: ${stats.excused} of ${stats.sessions} sessions saw the clients stand still, ` +
			`up to ${Math.max(...stalls.map(({ ms }) => ms))} ms`] : [];
}

function judgeLag({ samples }) {
	const all = lags(samples).map(({ most }) => most).filter((most) => most !== undefined).sort((a, b) => a - b);
	const p99 = all[Math.ceil(0.99 * all.length) - 1];
	const nHealthy = samples.filter(({ health }) => health === 200).length;
	const failures = [];
	if (!(p99 <= lagP99S)) {
		failures.push(`of the seconds, 99 % had a lag of the loops of up to ${p99} s; the bound is ${lagP99S} s`);
	}
	if (nHealthy < healthyPart * samples.length) {
		failures.push(`/healthz said no ${samples.length - nHealthy} times`);
	}
	return { failures, p99 };
}

// What did not occur was not tried. In a short run, what is seldom may be missing.
function judgeVariety({ stats, counts, seconds }) {
	const { cuts, repeats, heldRepeats, identical, displaced, pauses, coded, sleeps, endings } = stats;
	const often = { request: cuts.request, wait: cuts.wait, answer: cuts.answer, repeats, pauses, sleeps, close: endings.close };
	const all = seconds < VARIED_LEAST_S ? often : { ...often, ...endings, silence: cuts.silence, heldRepeats, identical, displaced, coded };
	const absent = Object.keys(all).filter((name) => !all[name]);
	for (const [direction, transports] of Object.entries(counts)) {
		absent.push(...Object.keys(transports).filter((transport) => !transports[transport].arrived).map((name) => `${name} ${direction}`));
	}
	return absent.length ? [`these never happened, so nothing is known of them: ${absent.join(', ')}`] : [];
}

// Adds to what @run has gathered: failures, and what the page tells beside the charts.
export function verdict(run) {
	const plateau = judgePlateau(run);
	const lag = judgeLag(run);
	const failures = [...run.failures, ...run.book.errors, ...plateau.failures, ...judgeSupervisor(run), ...judgeEnd(run), ...lag.failures,
		...judgeStalls(run), ...judgeAdmin(run),
		...judgeVariety(run)];
	const last = run.samples.at(-1) ?? { t: 1, own: { cpu: 0 } };
	return { ...run, failures, date: new Date().toISOString().slice(0, 16).replace('T', ' '), growth: plateau.growth, lagP99: lag.p99, ownCores: last.own.cpu / last.t,
		nStanzas: sum(Object.values(run.counts).flatMap(Object.values).map(({ sent }) => sent)) };
}
