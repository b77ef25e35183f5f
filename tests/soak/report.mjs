// What a soak leaves behind: the page, the log's unexpected lines, and a few lines of text.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makePage } from './page.mjs';
import { countText } from './verdict.mjs';

const FAILURES_TOLD = 30;

// Writes soak.html and soak.json (what the charts are drawn from) into @folder; returns what to print.
export function report(result, folder) {
	const { failures, notes, counts, stats, growth, ownCores, seed, samples, events } = result;
	mkdirSync(folder, { recursive: true });
	const page = path.join(folder, 'soak.html');
	writeFileSync(page, makePage(result));
	writeFileSync(path.join(folder, 'soak.json'), JSON.stringify({ seed, failures, notes, counts, stats, growth, events,
		log: result.logbook.counts, unexpected: result.logbook.unexpected, samples }));
	const lines = [
		...failures.slice(0, FAILURES_TOLD).map((text) => `FAILED: ${text}`),
		...failures.length > FAILURES_TOLD ? [`... and ${failures.length - FAILURES_TOLD} more`] : [],
		...notes,
		...failures.length ? result.logbook.tell() : [],
		`stanzas: ${JSON.stringify(counts)}`,
		`clients: ${JSON.stringify(stats)}`,
		`growth: ${JSON.stringify(growth)}`,
		`the soak's own processor time: ${ownCores.toFixed(2)} cores`,
		`DOAB_SOAK_SEED=${seed}: ${failures.length ? countText(failures) : 'all promises held'}: ${page}`,
	];
	return lines.join('\n');
}
