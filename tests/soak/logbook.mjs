// Reads the gateway's log as it comes: counts its events, and keeps what nobody expects.
import { appendFileSync } from 'node:fs';

// Of sessions whose server goes down.
const SERVER_FAILURES = new Set(['connect-refused', 'connection-lost', 'stream-closed', 'stream-error', 'stream-malformed', 'tls-handshake', 'tls-not-offered']);
const ENDS = new Set(['closed-by-client', 'client-lost', 'inactivity']);
// Of clients that go away early.
const HANDSHAKES = /^Connection reset by peer$|^the client closed the connection (before|within) the handshake$/;
const KEPT_MAX = 50;
const LAST_LINES = 20;
// What tells of the end of a process.
const PROCESS_ENDS = new Set(['server-ended', 'server-killed', 'server-unheard', 'supervisor-gone', 'failed']);

const always = () => true;

export class Logbook {
	// @wasDown(domain): whether the server of a domain has just been down.
	constructor(doab, wasDown) {
		Object.assign(this, { doab, counts: {}, unexpected: [], nUnexpected: 0, nLines: 0, last: [], processEnds: [] });
		const ofServer = (line) => SERVER_FAILURES.has(line.failure ?? line.reason) && wasDown(line.domain);
		this.expected = {
			ready: always, starting: always, listening: always, reloaded: always, upgrading: always, upgraded: always, stopping: always,
			stopped: always, failures: always, sandbox: always, retired: always, 'admin-listening': always, 'session-open': always, 'session-ready': always,
			'few-descriptors': always, // this machine's own
			'request-refused': (line) => line.rule === 'sid-unknown',
			'handshake-failed': (line) => HANDSHAKES.test(line.reason),
			'log-suppressed': (line) => ['handshake-failed', 'request-refused'].includes(line.kind),
			'server-ended': (line) => line.level === 'info',
			'session-ended': (line) => line.rule === 'inactivity',
			'session-failed': ofServer,
			'session-closed': (line) => ENDS.has(line.reason) || ofServer(line),
		};
	}

	// Takes the lines that have come since.
	read() {
		const { doab } = this;
		const lines = doab.lines.splice(0);
		const events = doab.events.splice(0);
		events.forEach((event, i) => this.take(event, lines[i]));
	}

	// How the processes ended, and what was said last, for a run that failed.
	tell() {
		return [`processes that ended: ${this.processEnds.length || 'none'}`, ...this.processEnds.map((text) => `    ${text}`),
			'the last lines of the log:', ...this.last.map((text) => `    ${text}`)];
	}

	take(line, text) {
		this.nLines++;
		this.last = [...this.last.slice(1 - LAST_LINES), text];
		if (PROCESS_ENDS.has(line.event)) {
			this.processEnds.push(text);
		}
		if (process.env.DOAB_SOAK_LOG) {
			appendFileSync(process.env.DOAB_SOAK_LOG, `${text}\n`);
		}
		this.counts[line.event] = (this.counts[line.event] ?? 0) + 1;
		const isExpected = line.level === 'debug' || this.expected[line.event]?.(line);
		if (!isExpected) {
			this.nUnexpected++;
			if (this.unexpected.length < KEPT_MAX) {
				this.unexpected.push(text);
			}
		}
	}

	count(event) {
		this.read();
		return this.counts[event] ?? 0;
	}
}
