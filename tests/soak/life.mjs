// One place of the soak, in which one session lives after the other: each is opened, speaks for a while, ends in one of several
// ways, and is judged.
import { sleep } from '../support/util.mjs';
import { Chance } from './chance.mjs';
import { SoakClient } from './client.mjs';
import { judge } from './judge.mjs';
import { SoakWebSocket } from './websocket.mjs';

const OPEN_MS = 60000;
const REST_MS = 2000;
const LOOK_MS = 100;
// For the last stanzas of a session to come: whatever befell their requests has an end by then.
const LAST_MS = 90000;
// For the gateway to find that a client is gone: the longest hold, pause, inactivity, and patience.
const GONE_MS = 240000;
const NOTES_TOLD = 25;

// How a session ends, each in as many of 20. `close`: the server falls silent, all is waited for, the client says goodbye.
// `abrupt`: it says so while the server speaks. `cut`, `silent`: it goes without a word, its connections broken, or left open.
const ENDINGS = [['close', 10], ['abrupt', 3], ['cut', 4], ['silent', 3]].flatMap(([ending, n]) => Array(n).fill(ending));

// Every combination of these occurs among 200.
const boshTraits = (n) => ({
	transport: 'bosh',
	hold: n % 7 === 0 ? 0 : n % 3 === 0 ? 2 : 1,
	wait: n % 21 === 0 ? 0 : 2 + n % 5 * 3,
	acks: n % 2 === 1,
	keys: n % 4 >= 2,
	pauses: n % 8 >= 4,
	codings: n % 5 < 2,
});

const steadyTraits = { hold: 1, wait: 60, acks: false, keys: false, pauses: false, codings: false, steady: true };

export class Place {
	// @soak: what all places share: { seed, n, book, servers, ports, meanMs, lifeMs, stats, trips(transport, ms), failed(text), count(),
	// isEnding, ending: a promise }. The last places of each transport are steady.
	constructor(soak, index, { isSteady = false } = {}) {
		Object.assign(this, { soak, index, isSteady, generation: 0, client: undefined });
	}

	// Until the soak ends. @delayMs: until its first session.
	async run(delayMs) {
		await this.pause(delayMs);
		while (!this.soak.isEnding) {
			await this.live();
			this.generation++;
			await this.pause(this.isSteady ? 0 : this.chance.integer(0, REST_MS));
		}
	}

	// Cut short by the end of the soak, and by @others.
	pause(ms, ...others) {
		let timer;
		const time = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
		return Promise.race([time, this.soak.ending, ...others]).finally(() => clearTimeout(timer));
	}

	async look(ms, condition) {
		for (const end = Date.now() + ms; Date.now() < end; await sleep(LOOK_MS)) {
			if (condition()) {
				return true;
			}
		}
		return condition();
	}

	make() {
		const { soak, index, generation } = this;
		const session = generation * soak.n + index;
		this.chance = new Chance(soak.seed, 'life', session);
		const transport = index % 2 ? 'websocket' : 'bosh';
		const port = soak.ports[Math.floor(index / 2) % 2];
		const traits = this.isSteady ? { ...steadyTraits, transport }
			: transport === 'bosh' ? boshTraits(this.chance.integer(0, 839)) : { transport };
		const Client = transport === 'bosh' ? SoakClient : SoakWebSocket;
		if (this.isSteady) {
			soak.book.steady.add(session);
		}
		return new Client({ ...port, session, seed: soak.seed, server: this.chance.of(soak.servers), stats: soak.stats, traits,
			meanMs: this.isSteady ? soak.steadyMs : soak.meanMs, mishapMs: soak.mishapMs,
			sleepMs: Math.min(5000, soak.inactivity * 250), trips: (ms) => soak.trips(transport, ms) });
	}

	async live() {
		const client = this.make();
		const life = { client, ending: this.isSteady ? 'close' : this.chance.of(ENDINGS) };
		const lifeMs = Math.min(this.chance.interval(this.soak.lifeMs), 2 * this.soak.lifeMs);
		this.soak.stats.sessions++;
		this.client = client;
		if (await this.open(client)) {
			this.soak.nOpen++;
			await this.pause(lifeMs, client.over);
			if (this.soak.isEnding || !this.soak.hasTimeFor(life.ending)) {
				life.ending = 'close';
			}
			await this.end(life);
			this.soak.nOpen--;
		}
		this.close(life);
	}

	async open(client) {
		let timer;
		const late = new Promise((resolve, reject) => (timer = setTimeout(() => reject(new Error('no answer')), OPEN_MS)));
		try {
			await Promise.race([client.open(), late]);
			return true;
		} catch (error) {
			if (!client.server.wasDown(client.born)) {
				client.fail(`was not opened: ${error.message}`);
			}
			this.soak.stats.refused++;
			await this.pause(this.soak.meanMs / 4);
			return false;
		} finally {
			clearTimeout(timer);
		}
	}

	peerOf(client) {
		return this.soak.book.peers.get(client.session);
	}

	async end(life) {
		const { client } = life;
		const isGone = life.ending === 'cut' || life.ending === 'silent';
		if (!client.isOver && isGone) {
			client.vanish({ isSilent: life.ending === 'silent', isReset: this.chance.is(0.5) });
		} else if (!client.isOver) {
			await this.part(life);
		}
		await this.look(isGone ? GONE_MS : LAST_MS, () => !this.peerOf(client) || this.peerOf(client).hasEnded);
	}

	// Says goodbye when all of its own has gone; `close` waits for the server's, too.
	async part({ client, ending }) {
		await this.look(OPEN_MS, () => client.hasStarted || client.isOver);
		if (ending === 'close') {
			this.peerOf(client)?.hush();
		}
		client.calm();
		const isSettled = () => {
			const peer = this.peerOf(client);
			const hasAll = ending !== 'close' || !peer || (client.ledger.nTaken >= peer.nSent && peer.ledger.nTaken >= client.nSent);
			return client.isOver || (client.isSettled && hasAll);
		};
		if (!await this.look(LAST_MS, isSettled)) {
			client.fail(`${ending}: not settled after ${LAST_MS / 1000} s`);
		}
		if (!client.isOver) {
			client.close();
			await this.look(LAST_MS, () => client.isOver);
		}
	}

	close({ client, ending }) {
		const peer = this.peerOf(client);
		const { transport, ...traits } = client.traits;
		const name = `session ${client.session} (${transport}, ${client.secure ? 'TLS' : 'plain'}, ${client.domain}): `;
		const wrong = [];
		const failures = [];
		judge({ client, peer, ending }, {
			fail: (text) => failures.push(name + text),
			wrong: (text) => wrong.push(name + text),
			add: (direction, counts) => this.soak.count(direction, transport, counts),
		});
		const isExcused = failures.length > 0 && this.soak.hasStalled(client.born);
		this.soak.stats.excused += isExcused;
		const all = isExcused ? wrong : [...wrong, ...failures];
		all.forEach((text) => this.soak.failed(text));
		if (all.length) {
			this.soak.noted(`${name}${JSON.stringify(traits)}`, client.notes.slice(-NOTES_TOLD));
		}
		this.soak.stats.endings[ending]++;
		client.stop();
		this.soak.book.peers.delete(client.session);
		this.soak.book.steady.delete(client.session);
		this.client = undefined;
	}

	tick(now) {
		this.client?.tick(now);
	}
}
