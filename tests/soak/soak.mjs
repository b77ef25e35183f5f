// The soak: many sessions of both transports, plain and over TLS, to servers with and without TLS, while clients break connections,
// fall asleep and go away, and the gateway is reloaded, upgraded, and its servers restarted.
//
//     const result = await soak({ seconds: 3600, nSessions: 1000, seed: '17' });
//     result.failures      texts, one for each promise that was broken; empty: all held
//
// What a client may do and when is chosen by the seed. What comes of it depends on time, too, so a seed brings back the kind of
// a run rather than each byte of it.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import tls from 'node:tls';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { Doab, runDoab } from '../support/doab.mjs';
import { freePort, removeFolder, sleep, temporaryFolder, until, within } from '../support/util.mjs';
import { PENDING_BYTES } from './judge.mjs';
import { Place } from './life.mjs';
import { Logbook } from './logbook.mjs';
import { descriptorKinds, lagBuckets, readAdmin, readProcess } from './processes.mjs';
import { makeSchedule } from './schedule.mjs';
import { SoakServer } from './server.mjs';
import { verdict } from './verdict.mjs';

const MODES = ['required', 'direct', 'off'];
const HOST = 'localhost';
const STEADY_PLACES = 8;
const STEADY_MS = 1000;
const TICK_MS = 100;
const SAMPLES = 1800;
const SAMPLE_LEAST_MS = 500;
const OPENING_S = [2, 60]; // for all of them, at least and at most
const FORGET_MS = 20000;
const SETTLE_MS = 1500;
// A session may hear of the end of its stream only when its client comes back from a pause.
const OUTAGE_SHADOW_MS = 150000;
// No session of an earlier process is cut short: the longest life, and the time to find out that the client is gone.
const DRAIN_LEAST_S = 300;
const NOTES_MAX = 8;
const LAST_GONE = 0.6; // of the time, or
const LAST_GONE_S = 120; // before its end

// Rates that one core, beside the gateway, bears under the sanitizers; lives that an upgrade's earlier process outlasts.
const ratesOf = (seconds, n) => ({
	meanMs: Math.max(1000, 8 * n),
	lifeMs: Math.min(180000, Math.max(6000, seconds * 1000 / 16)),
	mishapMs: seconds < 60 ? 6000 : 20000,
	inactivity: Math.round(Math.min(60, Math.max(10, seconds / 20))),
});

const newStats = () => ({ sessions: 0, refused: 0, excused: 0, endings: { close: 0, abrupt: 0, cut: 0, silent: 0 }, sleeps: 0, requests: 0,
	transmissions: 0, cuts: { request: 0, wait: 0, answer: 0, silence: 0 }, repeats: 0, heldRepeats: 0, answeredRepeats: 0, identical: 0,
	displaced: 0, pauses: 0, pausedSeconds: 0, coded: 0, reports: 0 });

const newCounts = () => ({ sent: 0, arrived: 0, returned: 0, doubt: 0 });

class Soak {
	constructor({ seconds, nSessions, seed }) {
		Object.assign(this, { seconds, n: nSessions, seed, nOpen: 0, ...ratesOf(seconds, nSessions), steadyMs: STEADY_MS });
		Object.assign(this, { stats: newStats(), failures: [], notes: [], samples: [], events: [], roundTrips: [], stalls: [], adminErrors: [] });
		this.counts = { up: { bosh: newCounts(), websocket: newCounts() }, down: { bosh: newCounts(), websocket: newCounts() } };
		this.book = { peers: new Map(), steady: new Set(), errors: [] };
		this.ending = new Promise((resolve) => (this.setEnding = resolve));
		this.isEnding = false;
	}

	// When this process does not run, its clients and servers keep no rule that is about time. Many short stalls are as bad as a
	// long one: what was missed is forgotten only slowly.
	noteStall() {
		const now = Date.now();
		const gap = now - (this.ranAt ?? now);
		this.missedMs = (this.missedMs ?? 0) * Math.exp(-gap / FORGET_MS) + Math.max(0, gap - 2 * TICK_MS);
		if (this.missedMs > this.stallMs) {
			this.stalls.push({ from: now - this.missedMs, to: now, ms: Math.round(this.missedMs) });
		}
		this.ranAt = now;
	}

	// Whether it did not run enough at some time since @then.
	hasStalled(then) {
		return this.stalls.some(({ to }) => to > then);
	}

	get stallMs() {
		return this.inactivity * 1000 / 6;
	}

	// Told by the places.
	failed(text) {
		this.failures.push(`at ${this.now.toFixed(1)} s: ${text}`);
	}

	noted(name, notes) {
		if (this.notes.length < NOTES_MAX) {
			this.notes.push([name, ...notes].join('\n    '));
		}
	}

	count(direction, transport, counts) {
		const sum = this.counts[direction][transport];
		Object.keys(sum).forEach((key) => (sum[key] += counts[key]));
	}

	trips(transport, ms) {
		this.roundTrips.push({ t: this.now, transport, ms });
	}

	// It takes long to find out that a client is gone.
	hasTimeFor(ending) {
		return ending === 'close' || ending === 'abrupt' || this.now < Math.max(LAST_GONE * this.seconds, this.seconds - LAST_GONE_S);
	}

	// Not by the end of the soak: there is nothing left to judge, and its sessions are lost for this reason.
	gatewayEnded(status, signal) {
		if (!this.isStopping) {
			this.failed(`the gateway ended by itself: ${signal ?? `exit status ${status}`}`);
			this.isEnding = true;
			this.setEnding();
		}
	}

	get now() {
		return (performance.now() - this.t0) / 1000;
	}

	gatewayConfig() {
		return {
			workers: 2, log_level: process.env.DOAB_SOAK_LOG ? 'debug' : 'info', admin: `127.0.0.1:${this.adminPort}`,
			hold: 2, inactivity: this.inactivity, polling: 1, compression: true, pending_bytes: PENDING_BYTES, ping_interval: this.inactivity,
			open_timeout: 60, connect_timeout: 30, header_timeout: 60, drain_timeout: Math.ceil(2 * this.lifeMs / 1000 + DRAIN_LEAST_S),
			sessions_per_address: 10000, connections_per_address: 20000, connection_rate: 0, session_rate: 0, domain_session_rate: 0,
			domains: Object.fromEntries(this.servers.map((server) => [server.domain, server.section()])),
		};
	}

	async start() {
		this.folder = temporaryFolder('soak');
		const authority = new Authority(this.folder);
		const front = authority.issue('front', [HOST]);
		const material = (mode) => (mode === 'off' ? undefined
			: { ...tlsOf(authority.issue(mode, [`${mode}.soak.test`])), ca: authority.certificate });
		const { seed, meanMs, book } = this;
		this.servers = await Promise.all(MODES.map((mode) => SoakServer.start({ seed, meanMs, book, mode, material: material(mode) })));
		const securePort = await freePort();
		this.adminPort = await freePort();
		this.doab = await Doab.start({
			...this.gatewayConfig(),
			listeners: { [`127.0.0.1:${securePort}`]: { tls: { certificate: front.certificate, key: front.key } } },
		}, { copy: true });
		const context = tls.createSecureContext({ ca: readFileSync(authority.certificate) });
		this.ports = [{ port: this.doab.port }, { port: securePort, secure: { context, servername: HOST } }];
		this.gone = new Promise((resolve) => this.doab.child.once('exit', (status, signal) => {
			this.gatewayEnded(status, signal);
			resolve();
		}));
		this.logbook = new Logbook(this.doab, (domain) => this.servers.some((server) => server.domain === domain &&
			server.wasDown(Date.now() - OUTAGE_SHADOW_MS)));
		this.version = (await runDoab('--version')).stdout.split('\n')[0];
		this.t0 = performance.now();
		await sleep(SETTLE_MS);
		this.idle = { ...readProcess(this.doab.serverPid), kinds: descriptorKinds(this.doab.serverPid) };
	}

	// One look at the gateway, and at what watching it costs.
	async sample() {
		const t = this.now;
		const { doab } = this;
		if (!doab.isRunning) {
			return;
		}
		const { values, health } = await readAdmin(this.adminPort);
		const own = process.cpuUsage();
		this.samples.push({
			t, nOpen: this.nOpen, supervisor: readProcess(doab.child.pid),
			servers: doab.serverPids.map(readProcess).filter(Boolean), newest: doab.serverPid,
			lag: lagBuckets(values), health: health.status,
			own: { cpu: (own.user + own.system) / 1e6, memory: process.memoryUsage.rss(), delayMs: this.delay.percentile(99) / 1e6 },
		});
		this.delay.reset();
		this.logbook.read();
	}

	async watch() {
		const everyMs = Math.max(SAMPLE_LEAST_MS, this.seconds * 1000 / SAMPLES);
		this.delay = monitorEventLoopDelay();
		this.delay.enable();
		while (!this.isWatched) {
			const [, error] = await Promise.all([sleep(everyMs), this.sample().then(() => {}, (reason) => reason)]);
			if (error) {
				this.adminErrors.push({ at: Date.now(), text: `at ${this.now.toFixed(1)} s: the admin port: ${error.message}` });
			}
		}
	}

	async happen({ kind, server, how, downMs }) {
		const { doab, logbook } = this;
		const event = { kind, t: this.now, what: kind === 'restart' ? `${this.servers[server].domain}: ${how}, ${downMs} ms` : '' };
		this.events.push(event);
		if (kind === 'restart') {
			await this.servers[server].restart(how, downMs);
		} else {
			const done = kind === 'reload' ? 'reloaded' : 'upgraded';
			const before = logbook.count(done);
			doab.child.kill(kind === 'reload' ? 'SIGHUP' : 'SIGUSR2');
			await until(() => logbook.count(done) > before, 60000, `event=${done}`).catch((error) => this.failed(error.message));
		}
		event.ms = Math.round((this.now - event.t) * 1000);
	}

	async follow() {
		for (const event of makeSchedule(this.seed, this.seconds, this.servers.length)) {
			await sleep(Math.max(0, (event.at - this.now) * 1000));
			if (this.isEnding) {
				return;
			}
			await this.happen(event);
		}
	}

	async run() {
		const watching = this.watch();
		const nSteady = Math.min(STEADY_PLACES, this.n);
		const places = Array.from({ length: this.n }, (_, i) => new Place(this, i, { isSteady: i >= this.n - nSteady }));
		const openingMs = 1000 * Math.min(Math.max(this.seconds / 10, OPENING_S[0]), OPENING_S[1]);
		const lives = Promise.all(places.map((place, i) => place.run(i * openingMs / this.n)));
		const ticks = setInterval(() => {
			this.noteStall();
			places.forEach((place) => place.tick(Date.now()));
		}, TICK_MS);
		try {
			await Promise.race([Promise.all([this.follow(), sleep(this.seconds * 1000)]), this.gone]);
			this.events.push({ kind: 'end', t: this.now, what: '' });
			this.isEnding = true;
			this.setEnding();
			await within(lives, this.doab.isRunning ? 300000 : 5000, 'the end of all sessions').catch((error) => this.failed(error.message));
			await until(() => !this.doab.isRunning || this.doab.serverPids.length === 1, 30000, 'the end of the earlier servers')
				.catch((error) => this.failed(error.message));
			await sleep(SETTLE_MS);
		} finally {
			clearInterval(ticks);
			this.isWatched = true;
			await watching;
		}
		this.left = this.doab.isRunning ? { ...readProcess(this.doab.serverPid), kinds: descriptorKinds(this.doab.serverPid) } : undefined;
	}

	async stop() {
		if (this.doab.isRunning) {
			await this.doab.readLog();
		}
		this.isStopping = true;
		this.logbook.read();
		await this.doab.stop().catch((error) => this.failed(error.message));
		this.logbook.read();
		await Promise.all(this.servers.map((server) => server.stop()));
		removeFolder(this.folder);
	}
}

export async function soak(options) {
	const run = new Soak(options);
	await run.start();
	try {
		await run.run();
	} finally {
		await run.stop();
	}
	return verdict(run);
}
