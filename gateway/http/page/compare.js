/* SPDX-License-Identifier: MIT */
/* ---- Both transports side by side ---- */

const COMPARED_ROWS = { ...STEPS, total: 'All of these', median: 'Median ping', min: 'Fastest ping' };

class Comparison {
	constructor(table) {
		this.cells = {};
		this.runs = [];
		const head = make('tr');
		head.append(make('td'), ...KINDS.map((kind) => Object.assign(make('th', TRANSPORTS[kind].name, kind), { scope: 'col' })));
		const body = make('tbody');
		for (const [name, label] of Object.entries(COMPARED_ROWS)) {
			const row = make('tr', '', name);
			row.append(Object.assign(make('th', label), { scope: 'row' }));
			for (const kind of KINDS) {
				const cell = make('td', '\u2013');
				cell.dataset.state = 'pending';
				this.cells[`${kind} ${name}`] = cell;
				row.append(cell);
			}
			body.append(row);
		}
		const top = make('thead');
		top.append(head);
		table.replaceChildren(make('caption', 'Both transports', 'unseen'), top, body);
	}

	show(kind, name, text, state = 'done') {
		const cell = this.cells[`${kind} ${name}`];
		cell.textContent = text;
		cell.dataset.state = state;
	}

	/* What a Run of this transport is shown by. */
	view(kind) {
		return {
			step: (name, { state, ms }) => {
				const time = typeof ms === 'number' ? showMs(ms) : '';
				const text = { pending: '\u2013', running: '\u2026', done: time, failed: `failed ${time}`.trim() }[state];
				this.show(kind, name, text, state);
			},
			mechanism: () => {},
			ping: (run) => {
				this.show(kind, 'total', showMs(run.total));
				this.show(kind, 'median', showMs(run.median));
				this.show(kind, 'min', showMs(run.min));
			},
		};
	}

	/* What came of both, in a sentence. */
	verdict() {
		const [bosh, websocket] = this.runs;
		const works = this.runs.filter((run) => !run.failure);
		if (works.length === 2) {
			return `Both transports work. A ping takes ${showMs(bosh.median)} over BOSH and ${showMs(websocket.median)} over WebSocket.`;
		} else if (!works.length) {
			return 'Neither transport works.';
		}
		return works[0] === bosh ? 'BOSH works, WebSocket does not: clients that can do both will use BOSH.' :
			'WebSocket works, BOSH does not: clients need WebSocket here.';
	}
}
