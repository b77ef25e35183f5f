'use strict';

const INTERVAL_MS = 5000;
const NS = 'http://www.w3.org/2000/svg';
const byId = (id) => document.getElementById(id);

function setText(id, text)
{
	byId(id).textContent = text;
}

function element(name, text, className)
{
	const made = document.createElement(name);
	if (text !== undefined) {
		made.textContent = text;
	}
	if (className) {
		made.className = className;
	}
	return made;
}

function shape(name, attributes, text)
{
	const made = document.createElementNS(NS, name);
	for (const [key, value] of Object.entries(attributes)) {
		made.setAttribute(key, value);
	}
	if (text !== undefined) {
		made.textContent = text;
	}
	return made;
}

const capitalise = (words) => words.charAt(0).toUpperCase() + words.slice(1);
const number = (n) => n.toLocaleString('en');
const milliseconds = (ms) => (ms >= 1000 ? `${(ms / 1000).toPrecision(3)} s`
					 : `${ms >= 10 ? Math.round(ms) : ms.toFixed(1)} ms`);

function amount(bytes)
{
	const units = [ 'B', 'KB', 'MB', 'GB', 'TB' ];
	let i = 0;
	while (bytes >= 1000 && i < units.length - 1) {
		bytes /= 1000;
		i++;
	}
	return `${i && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[i]}`;
}

function duration(seconds)
{
	const units = [ [ 'day', 86400 ], [ 'hour', 3600 ], [ 'minute', 60 ], [ 'second', 1 ] ];
	const [name, size] = units.find(([, one ]) => seconds >= one) ?? units.at(-1);
	const n = Math.floor(seconds / size);
	return `${n} ${name}${n === 1 ? '' : 's'}`;
}

// A step that is easy to read and puts at most four lines below @max.
function stepFor(max)
{
	const power = 10 ** Math.floor(Math.log10(max / 4 || 1));
	return [ 1, 2, 5, 10 ].map((factor) => factor * power).find((step) => max / step <= 4);
}

// Draws @series, [{ className, values }] with null where nothing was measured, over one hour.
function draw(svg, series, {most, label, format})
{
	const {width, height} = svg.getBoundingClientRect();
	const box = {left : 44, right : 4, top : 8, bottom : 20};
	const seen = series.flatMap(({values}) => values.filter((value) => value !== null));
	const step = stepFor(Math.max(...seen, most));
	const top = Math.ceil(Math.max(...seen, most) / step) * step;
	const n = Math.max(...series.map(({values}) => values.length));
	const slots = 360;
	const x = (i) => box.left + (width - box.left - box.right) * (slots - (n - 1 - i)) / slots;
	const y = (value) => height - box.bottom - (height - box.top - box.bottom) * value / top;

	svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
	svg.setAttribute('aria-label', label);
	svg.replaceChildren();
	for (let value = 0; value <= top + step / 2; value += step) {
		svg.append(shape('line', {
			class : 'grid',
			x1 : box.left,
			x2 : width - box.right,
			y1 : y(value),
			y2 : y(value)
		}));
		svg.append(shape('text',
				 {x : box.left - 8, y : y(value) + 4, 'text-anchor' : 'end'},
				 format(value)));
	}
	for (const [minutes, anchor] of [[ 60, 'start' ], [ 30, 'middle' ], [ 0, 'end' ]]) {
		const at = box.left + (width - box.left - box.right) * (60 - minutes) / 60;
		svg.append(shape('text', {x : at, y : height - 4, 'text-anchor' : anchor},
				 minutes ? `${minutes} min ago` : 'now'));
	}
	for (const {className, values} of series) {
		const runs = [ [] ];
		values.forEach((value, i) =>
				       (value === null ? runs.push([])
						       : runs.at(-1).push([ x(i), y(value) ])));
		for (const run of runs.filter(({length}) => length)) {
			const points =
				run.length === 1 ? [ run[0], [ run[0][0] + 1, run[0][1] ] ] : run;
			const line =
				points.map((point) => point.map((one) => one.toFixed(1)).join(' '))
					.join('L');
			svg.append(shape('path', {
				class : `area ${className}`,
				d : `M${line}L${points.at(-1)[0].toFixed(1)} ${y(0)}L${
					points[0][0].toFixed(1)} ${y(0)}Z`
			}));
			svg.append(shape('path', {class : `trace ${className}`, d : `M${line}`}));
		}
	}
}

function fill(table, rows)
{
	const body = byId(table).tBodies[0];
	body.replaceChildren(...rows);
	byId(table).hidden = rows.length === 0;
	const empty = byId(table).parentElement.querySelector('.empty');
	if (empty) {
		empty.hidden = rows.length > 0;
	}
}

function row(...cells)
{
	const made = element('tr');
	made.append(...cells);
	return made;
}

function failureRow({kind, words, last_hour : lastHour, total})
{
	const what = element('td', capitalise(words));
	what.append(element('code', kind));
	const made = row(what, element('td', number(lastHour), 'number'),
			 element('td', number(total), 'number'));
	made.className = lastHour ? '' : 'old';
	return made;
}

function workerRow({sessions, load, lag_ms : lag}, index)
{
	const cell = element('td');
	const percent = Math.min(100, Math.round(Math.max(0, load) * 100));
	if (load < 0) {
		cell.textContent = '–';
	} else {
		const wrap = element('div', undefined, 'load');
		const bar = element('div', undefined, 'bar');
		const filled = element('span', undefined, percent > 85 ? 'high' : '');
		filled.style.width = `${percent}%`;
		bar.append(filled);
		wrap.append(bar, element('span', `${percent} %`));
		cell.append(wrap);
	}
	return row(element('td', String(index)), element('td', number(sessions), 'number'), cell,
		   element('td', milliseconds(lag), 'number'));
}

const open = ({connecting, ready, online}) => connecting + ready + online;

function showTiles(status)
{
	const {bosh, websocket} = status.sessions;
	const trips = status.round_trips;
	const failed = status.failures.reduce((sum, {last_hour : n}) => sum + n, 0);
	setText('sessions', number(open(bosh) + open(websocket)));
	setText('sessions-note', `${number(bosh.online + websocket.online)} logged in; limit ${
					 number(status.sessions.max)}`);
	setText('trip', trips.n ? milliseconds(trips.p50_ms) : '–');
	setText('trip-note', trips.n ? `median; 95 % within ${milliseconds(trips.p95_ms)}`
				     : 'none in five minutes');
	setText('failed', number(failed));
	setText('memory', amount(status.process.memory_bytes));
	setText('memory-note', `${number(status.process.descriptors)} of ${
				       number(status.process.descriptors_max)} descriptors`);
}

function showHead(status)
{
	const troubles = [];
	if (!status.config.current) {
		troubles.push('the last reload found a mistake');
	}
	if (status.log_lost) {
		troubles.push(`${number(status.log_lost)} log lines lost`);
	}
	document.documentElement.dataset.state = status.healthy ? 'good' : 'bad';
	setText('health-words', status.healthy ? 'Healthy' : capitalise(status.health));
	setText('since', [
		`version ${status.version}, up ${duration(status.uptime_s)}, configuration ${
			status.config.generation}`,
		...troubles
	].join('; '));
}

function showCharts({history})
{
	draw(byId('sessions-chart'),
	     [
		     {className : 'bosh', values : history.bosh},
		     {className : 'websocket', values : history.websocket},
	     ],
	     {
		     most : 4,
		     label : 'Sessions of the last hour, by transport',
		     format : (n) => number(Math.round(n))
	     });
	draw(byId('trips-chart'), [ {className : 'trip', values : history.round_trip_ms} ], {
		most : 1,
		label : 'Median round trip of the last hour',
		format : (n) => (n ? milliseconds(n) : '0')
	});
}

function show(status)
{
	showHead(status);
	showTiles(status);
	showCharts(status);
	fill('failures', status.failures.map(failureRow));
	fill('domains', status.domains.map(({domain, sessions}) =>
						   row(element('td', domain),
						       element('td', number(sessions), 'number'))));
	fill('workers', status.workers.map(workerRow));
	const refusals = Object.entries(status.refusals).filter(([, n ]) => n);
	byId('refused').hidden = refusals.length === 0;
	fill('refusals', refusals.map(([ key, n ]) => row(element('td', key),
							  element('td', number(n), 'number'))));
}

let last;

async function refresh()
{
	try {
		const response = await fetch('status', {headers : {Accept : 'application/json'}});
		if (!response.ok) {
			throw new Error(await response.text());
		}
		last = await response.json();
		show(last);
	} catch {
		document.documentElement.dataset.state = 'bad';
		setText('health-words', 'The gateway does not answer');
	}
}

addEventListener('resize', () => last && showCharts(last));
setInterval(refresh, INTERVAL_MS);
refresh();
