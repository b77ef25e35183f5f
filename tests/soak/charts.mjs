// Charts over the time of a run, as HTML with SVG inside: the lines stretch with the page, the words do not.
//
//     chart({ title, unit, lines, seconds, events, from })
//
// line    { name, points: [[second, value], ...] }; undefined values leave a gap
// from    where the axis begins: 0, or 'log' for powers of ten
const WIDTH = 1000;
const HEIGHT = 200;
const COLUMNS = 500;
const TIME_STEPS_S = [5, 10, 30, 60, 300, 600, 900, 1800, 3600];
const TIME_LABELS_MAX = 7;
const ROUND = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

export const escapeHtml = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// The greatest of each column, so that no peak is lost.
function thin(points, seconds) {
	const columns = [];
	for (const [t, value] of points) {
		const column = Math.min(COLUMNS - 1, Math.floor(t / seconds * COLUMNS));
		if (Number.isFinite(value) && !(columns[column]?.[1] >= value)) {
			columns[column] = [t, value];
		}
	}
	return columns.filter(Boolean);
}

// A round number that is at least @value.
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(value || 1));
	return ROUND.map((factor) => factor * power).find((round) => round >= value);
}

const short = (value) => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

function linearAxis(most) {
	const top = roundUp(most);
	return { ticks: [0, top / 2, top], at: (value) => 1 - value / top };
}

function logAxis(least, most) {
	const from = Math.floor(Math.log10(least));
	const to = Math.max(from + 1, Math.ceil(Math.log10(most)));
	return { ticks: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)), at: (value) => 1 - (Math.log10(value) - from) / (to - from) };
}

function makeAxis(values, from) {
	const positive = values.filter((value) => value > 0);
	const most = Math.max(...values, 0);
	return from === 'log' && positive.length ? logAxis(Math.min(...positive), most) : linearAxis(most || 1);
}

export function timeText(s) {
	const pad = (n) => String(n).padStart(2, '0');
	return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${Math.floor(s / 60)}:${pad(s % 60)}`;
}

function timeLabels(seconds) {
	const step = TIME_STEPS_S.find((s) => seconds / s <= TIME_LABELS_MAX) ?? TIME_STEPS_S.at(-1);
	const times = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
	return times.map((t) => `<span style="left:${(t / seconds * 100).toFixed(2)}%">${timeText(t)}</span>`).join('');
}

function path(points, seconds, axis) {
	return points.map(([t, value], i) => `${i ? 'L' : 'M'}${(t / seconds * WIDTH).toFixed(1)} ${(axis.at(value) * HEIGHT).toFixed(1)}`).join('');
}

const marker = ({ kind, t }, seconds) => `<line class="event ${kind}" x1="${(t / seconds * WIDTH).toFixed(1)}" ` +
	`x2="${(t / seconds * WIDTH).toFixed(1)}" y1="0" y2="${HEIGHT}"/>`;

export function chart({ title, unit, lines, seconds, events, from = 0 }) {
	const thinned = lines.map((line) => ({ ...line, points: thin(line.points, seconds) }));
	const axis = makeAxis(thinned.flatMap(({ points }) => points.map(([, value]) => value)), from);
	const grid = axis.ticks.map((tick) => `<line class="grid" x1="0" x2="${WIDTH}" y1="${axis.at(tick) * HEIGHT}" y2="${axis.at(tick) * HEIGHT}"/>`);
	const curves = thinned.map(({ points }, i) => `<path class="line l${i}" d="${path(points, seconds, axis)}"/>`);
	const legend = thinned.map(({ name, points }, i) => `<li><i class="l${i}"></i>${escapeHtml(name)}` +
		`<b>${points.length ? `up to ${short(Math.max(...points.map(([, value]) => value)))} ${unit}` : ''}</b></li>`);
	const labels = axis.ticks.map((tick) => `<span style="top:${(axis.at(tick) * 100).toFixed(2)}%">${short(tick)}</span>`);
	return `<figure><figcaption>${escapeHtml(title)} <small>${unit}</small></figcaption><ul class="legend">${legend.join('')}</ul>` +
		`<div class="plot"><div class="values">${labels.join('')}</div>` +
		`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escapeHtml(title)}">` +
		`${grid.join('')}${events.map((event) => marker(event, seconds)).join('')}${curves.join('')}</svg>` +
		`<div class="times">${timeLabels(seconds)}</div></div></figure>`;
}

// A strip with a letter for each event, above the charts.
export function strip(events, seconds) {
	const marks = events.map(({ kind, t, what, ms }) => `<abbr class="${kind}" style="left:${(t / seconds * 100).toFixed(2)}%" ` +
		`title="${escapeHtml(`${timeText(Math.round(t))} ${kind} ${what} ${ms === undefined ? '' : `(${ms} ms)`}`)}"></abbr>`);
	return `<div class="plot strip"><div class="values"></div><div class="marks">${marks.join('')}</div></div>`;
}
