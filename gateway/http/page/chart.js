/* SPDX-License-Identifier: MIT */
/* ---- The chart ---- */

function showMs(ms) {
	return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/* The next of 1, 2, 5, 10 ... above: a scale that people can read and that seldom changes. */
function roundUp(value) {
	const unit = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 5, 10].find((step) => step * unit >= value) * unit;
}

function drawChart(svg, values) {
	const { width, height } = svg.getBoundingClientRect();
	if (!width || !values.length) {
		return;
	}
	const left = 48;
	const drawn = values.slice(-PINGS_DRAWN);
	const span = Math.max(PINGS_SPAN_MIN, drawn.length);
	const top = roundUp(Math.max(1, ...drawn));
	const bottom = height - 6;
	const x = (i) => left + (width - left - 8) * i / (span - 1);
	const y = (value) => bottom - (bottom - 10) * value / top;
	const points = drawn.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`);
	const last = drawn.length - 1;
	const add = (name, attributes, text = '') => {
		const node = document.createElementNS('http://www.w3.org/2000/svg', name);
		Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
		node.textContent = text;
		svg.append(node);
	};
	svg.replaceChildren();
	svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
	for (const value of [0, top / 2, top]) {
		add('line', { class: 'grid', x1: left, x2: width, y1: y(value), y2: y(value) });
		add('text', { x: left - 8, y: y(value) + 4, 'text-anchor': 'end' }, `${value} ms`);
	}
	const middle = y(Math.min(median(values), top));
	add('path', { class: 'area', d: `M${x(0)} ${bottom}L${points.join('L')}L${x(last)} ${bottom}Z` });
	add('line', { class: 'median', x1: left, x2: width, y1: middle, y2: middle });
	add('path', { class: 'trace', d: `M${points.join('L')}` });
	add('circle', { class: 'last', cx: x(last), cy: y(drawn[last]), r: 4.5 });
}
