// The page that tells how a soak went: one file of HTML, without anything from elsewhere.
import { chart, escapeHtml, strip, timeText } from './charts.mjs';
import { countText, lags } from './verdict.mjs';

const MB = 1024 * 1024;
const WINDOWS = 120;
const FAILURES_SHOWN = 100;
const EVENTS = { reload: 'configuration read anew (SIGHUP)', upgrade: 'upgrade (SIGUSR2)', restart: 'a server goes down and comes back',
	end: 'the sessions are closed' };

const STYLE = `
:root { color-scheme: light dark; --bg: #fff; --ink: #1b1f24; --soft: #5b6672; --rule: #d9dee3; --good: #1a7f37; --bad: #b3261e;
	--l0: #1f6fb2; --l1: #c2570c; --l2: #5f7d14; --l3: #8a4fb0; --reload: #8a939c; --upgrade: #8a4fb0; --restart: #c2570c; --end: #1b1f24; }
@media (prefers-color-scheme: dark) { :root { --bg: #14181c; --ink: #e6eaee; --soft: #9aa5b0; --rule: #333b44; --good: #57c27a; --bad: #ff8a80;
	--l0: #6cb6f5; --l1: #f39a5b; --l2: #a9c95a; --l3: #c99be8; --reload: #77818b; --upgrade: #c99be8; --restart: #f39a5b; --end: #e6eaee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 3rem; background: var(--bg); color: var(--ink);
	font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0; } .soft, small { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 1.5rem 0 0; } figcaption { font-weight: 600; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: .1rem 0 .6rem; padding: 0; font-size: .875rem; }
.legend i { display: inline-block; width: .9rem; height: .2rem; margin-right: .4rem; vertical-align: middle; background: currentColor; }
.legend b { margin-left: .4rem; font-weight: 400; color: var(--soft); font-variant-numeric: tabular-nums; }
.plot { display: grid; grid-template-columns: 3rem 1fr; column-gap: .5rem; }
.plot svg { display: block; width: 100%; height: 11rem; overflow: visible; }
.values { position: relative; font-size: .75rem; color: var(--soft); }
.values span { position: absolute; right: 0; transform: translateY(-50%); font-variant-numeric: tabular-nums; }
.times { grid-column: 2; position: relative; height: 1.25rem; font-size: .75rem; color: var(--soft); }
.times span { position: absolute; top: .2rem; transform: translateX(-50%); font-variant-numeric: tabular-nums; }
.times span:first-child { transform: none; }
.grid { stroke: var(--rule); stroke-width: 1; } .grid, .line, .event { vector-effect: non-scaling-stroke; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.l0 { stroke: var(--l0); color: var(--l0); } .l1 { stroke: var(--l1); color: var(--l1); }
.l2 { stroke: var(--l2); color: var(--l2); } .l3 { stroke: var(--l3); color: var(--l3); }
.event { stroke-width: 1; stroke-dasharray: 2 4; opacity: .7; }
.event.reload { stroke: var(--reload); } .event.upgrade { stroke: var(--upgrade); } .event.restart { stroke: var(--restart); }
.event.end { stroke: var(--end); }
.strip { margin-top: .5rem; } .marks { position: relative; height: 1.1rem; }
abbr, .key i { width: .6rem; height: .6rem; background: var(--reload); } .reload { background: var(--reload); }
.marks abbr { position: absolute; top: .3rem; margin-left: -.3rem; } .marks abbr.reload { height: .25rem; top: .65rem; }
svg .reload, svg .upgrade, svg .restart, svg .end { background: none; }
abbr.upgrade, .key .upgrade { background: var(--upgrade); } abbr.restart, .key .restart { background: var(--restart); border-radius: 50%; }
abbr.end, .key .end { background: var(--end); width: .2rem; }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: .25rem 0 0; padding: 0; font-size: .875rem; color: var(--soft); }
.key i { display: inline-block; margin-right: .4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem 1rem .2rem 0; text-align: right; border-bottom: 1px solid var(--rule); font-weight: 400; white-space: nowrap; }
th { color: var(--soft); } td:first-child, th:first-child { text-align: left; }
ul.failures { padding-left: 1.1rem; overflow-wrap: anywhere; font-size: .9rem; }
`;

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)];
const sum = (values) => values.reduce((total, value) => total + value, 0);

// Round trips in windows of time: [[middle, quantile], ...].
function tripLine(trips, transport, share, seconds) {
	const windows = Array.from({ length: WINDOWS }, () => []);
	trips.filter((trip) => trip.transport === transport && trip.t < seconds)
		.forEach(({ t, ms }) => windows[Math.floor(t / seconds * WINDOWS)].push(ms));
	return windows.map((values, i) => [(i + 0.5) * seconds / WINDOWS, values.length ? quantile(values, share) : undefined]);
}

// Processor time between two looks, as cores.
function cores(samples, cpuOf) {
	return samples.slice(1).map((sample, i) => {
		const before = new Map(cpuOf(samples[i]));
		const used = cpuOf(sample).map(([pid, cpu]) => cpu - (before.get(pid) ?? 0));
		return [sample.t, Math.max(0, sum(used)) / (sample.t - samples[i].t)];
	});
}

function charts(result) {
	const { samples, events, roundTrips } = result;
	const seconds = samples.at(-1).t;
	const line = (name, value) => ({ name, points: samples.map((sample) => [sample.t, value(sample)]) });
	const newest = ({ servers, newest: pid }) => servers.find((server) => server.pid === pid) ?? servers.at(-1);
	const all = ({ servers, supervisor }, what) => sum([...servers, ...supervisor ? [supervisor] : []].map((process) => process[what]));
	const lag = lags(samples);
	const trip = (transport, share) => ({ name: `${transport === 'bosh' ? 'BOSH' : 'WebSocket'}, ${share * 100} %`,
		points: tripLine(roundTrips, transport, share, seconds) });
	const common = { seconds, events };
	return [
		{ title: 'Sessions', unit: '', lines: [line('open', ({ nOpen }) => nOpen)] },
		{ title: 'Memory', unit: 'MB', lines: [line('all processes', (sample) => all(sample, 'memory') / MB),
			line('the newest server', (sample) => newest(sample)?.memory / MB), line('supervisor', ({ supervisor }) => supervisor?.memory / MB)] },
		{ title: 'Descriptors', unit: '', lines: [line('all processes', (sample) => all(sample, 'descriptors')),
			line('the newest server', (sample) => newest(sample)?.descriptors), line('supervisor', ({ supervisor }) => supervisor?.descriptors)] },
		{ title: 'Lag of the event loops, at most', unit: 'ms', from: 'log', lines: [
			{ name: 'the latest timer', points: lag.map(({ t, most }) => [t, finite(most)]) },
			{ name: 'half of them', points: lag.map(({ t, p50 }) => [t, finite(p50)]) },
			line('the loop of the soak itself, 99 %', ({ own }) => own.delayMs)] },
		{ title: 'Round trips of undisturbed sessions', unit: 'ms', from: 'log', lines: [trip('bosh', 0.5), trip('bosh', 0.99),
			trip('websocket', 0.5), trip('websocket', 0.99)] },
		{ title: 'Processor time', unit: 'cores', lines: [
			{ name: 'the gateway', points: cores(samples, ({ servers }) => servers.map(({ pid, cpu }) => [pid, cpu])) },
			{ name: 'clients and servers of the soak', points: cores(samples, ({ own }) => [[0, own.cpu]]) }] },
	].map((one) => chart({ ...common, ...one })).join('\n');
}

const finite = (s) => (s === undefined || s === Infinity ? undefined : s * 1000);

function table(head, rows) {
	const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
	return `<div class="wide"><table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table></div>`;
}

function stanzaTable({ counts }) {
	const rows = Object.entries(counts).flatMap(([direction, transports]) => Object.entries(transports).map(([transport, n]) =>
		[`${transport === 'bosh' ? 'BOSH' : 'WebSocket'}, ${direction === 'up' ? 'to the server' : 'to the client'}`, n.sent, n.arrived, n.returned, n.doubt]));
	return table(['stanzas', 'sent', 'arrived', 'returned as errors', 'in doubt'], rows);
}

function growthTable({ growth }) {
	const show = (what, value) => (what === 'memory' ? `${(value / MB).toFixed(1)} MB` : value.toFixed(0));
	return table(['one server, alone', 'time', 'first fifth', 'last fifth', 'bound'], Object.entries(growth).map(([what, { first, last, bound, from, to }]) =>
		[what, `${timeText(Math.round(from))} to ${timeText(Math.round(to))}`, show(what, first), show(what, last), show(what, bound)]));
}

function numbers(object, prefix = '') {
	return Object.entries(object).flatMap(([name, value]) => (typeof value === 'object' ? numbers(value, `${name}: `) : [[prefix + name, value]]));
}

function stallText({ stalls, stats }) {
	const longest = Math.max(...stalls.map(({ ms }) => ms));
	return stalls.length ? `The machine did not let them run for up to ${(longest / 1000).toFixed(1)} s; ` +
		`${stats.excused} sessions that saw it are not judged.` : '';
}

// @result: what soak() returns.
export function makePage(result) {
	const { failures, seed, n, seconds, events, samples } = result;
	const verdict = failures.length ? `<span class="bad">${countText(failures)}</span>` : '<span class="good">All promises held</span>';
	const list = failures.slice(0, FAILURES_SHOWN).map((text) => `<li>${escapeHtml(text)}</li>`).join('');
	const key = Object.entries(EVENTS).map(([kind, text]) => `<li><i class="${kind}"></i>${text}: ${events.filter((event) => event.kind === kind).length}</li>`);
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Soak of Doab</title>
<style>${STYLE}</style></head><body>
<h1>${n} sessions for ${timeText(Math.round(seconds))}: ${verdict}</h1>
<p class="soft">Seed ${escapeHtml(seed)}; ${escapeHtml(result.version)}; ${escapeHtml(result.date)}. ${result.nStanzas} stanzas,
${result.stats.sessions} sessions. The clients and servers of the soak used ${result.ownCores.toFixed(2)} cores.
${stallText(result)}</p>
${list ? `<ul class="failures">${list}</ul>` : ''}
${stanzaTable(result)}
<h2>Over the time</h2>
<ul class="key">${key.join('')}</ul>
${strip(events, samples.at(-1).t)}
${charts(result)}
<h2>What must not grow</h2>
${Object.keys(result.growth).length ? growthTable(result) : '<p class="soft">The run was too short to judge memory.</p>'}
<h2>What happened</h2>
${table(['to the clients', 'times'], numbers(result.stats))}
<h2>The log</h2>
${table(['event', 'lines'], Object.entries(result.logbook.counts).sort(([, a], [, b]) => b - a))}
</body></html>
`;
}
