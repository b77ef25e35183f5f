// The gateway's processes from outside: memory, descriptors, CPU time, and what its admin port measures.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import http from 'node:http';

const KB = 1024;
const TICKS_PER_S = 100; // USER_HZ, the same on all of Linux

// What a process has: bytes, descriptors, seconds. Undefined when it has ended. Of its memory what it has written: of the pages of
// programs and libraries its share (Pss) grows by megabytes when others that use them end.
export function readProcess(pid) {
	try {
		const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
		const kb = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0);
		const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
		return { pid, memory: kb('Anonymous') * KB, descriptors: readdirSync(`/proc/${pid}/fd`).length,
			cpu: (Number(stat[11]) + Number(stat[12])) / TICKS_PER_S };
	} catch {
		return undefined;
	}
}

// What the descriptors of a process are: { kind: how many }.
export function descriptorKinds(pid) {
	const kinds = {};
	for (const name of readdirSync(`/proc/${pid}/fd`)) {
		try {
			const kind = readlinkSync(`/proc/${pid}/fd/${name}`).replace(/\[\d+\]|(?<=^\/proc\/)\d+/, '');
			kinds[kind] = (kinds[kind] ?? 0) + 1;
		} catch {
			// Closed since.
		}
	}
	return kinds;
}

function getOnce(port, path) {
	return new Promise((resolve, reject) => {
		const request = http.get({ host: '127.0.0.1', port, path, agent: false, timeout: 20000 }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (data) => (text += data)).once('end', () => resolve({ status: response.statusCode, text }));
			response.once('error', (error) => reject(Object.assign(error, { isCut: true })));
		});
		request.once('error', reject).once('timeout', () => request.destroy(new Error('no answer')));
	});
}

// The process that an upgrade replaces may refuse a request, but begins no answer that it does not finish.
const get = (port, path) => getOnce(port, path).catch((error) => (error.isCut ? Promise.reject(error) : getOnce(port, path)));

// The numbers of /metrics by name and labels, and whether /healthz says yes.
export async function readAdmin(port) {
	const [metrics, health] = [await get(port, '/metrics'), await get(port, '/healthz')];
	const values = new Map();
	for (const [, name, value] of metrics.text.matchAll(/^([a-z]\w*(?:\{[^}]*\})?) (\S+)$/gm)) {
		values.set(name, Number(value));
	}
	return { values, health };
}

const BUCKET = /^doab_loop_lag_seconds_bucket\{le="([^"]+)"\}$/;

// The buckets of the loops' lag: [[bound in seconds, how many were at most as late], ...].
export function lagBuckets(values) {
	return [...values].filter(([name]) => BUCKET.test(name))
		.map(([name, n]) => [Number(BUCKET.exec(name)[1].replace('+Inf', 'Infinity')), n]).sort(([a], [b]) => a - b);
}

// How late, at most, was the part @share of what was counted between two readings; undefined when nothing was.
export function lagQuantile(before, after, share) {
	const grown = after.map(([bound, n], i) => [bound, n - (before[i]?.[1] ?? 0)]);
	const all = grown.at(-1)?.[1] ?? 0;
	return all > 0 ? grown.find(([, n]) => n >= share * all)[0] : undefined;
}
