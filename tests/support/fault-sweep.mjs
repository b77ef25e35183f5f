// Lets each call of a kind fail in turn while a scenario (fault-scenarios.mjs) runs, one failure in each run. After each: the
// same process goes on, its client was told or got what it wanted, and the next run goes well. After all of a kind: no
// descriptor and no memory is left behind.
import { readFileSync } from 'node:fs';
import { BINARY } from './doab.mjs';
import { lifetime } from './fault-scenarios.mjs';
import { INACTIVITY_S } from './fault-stage.mjs';
import { Faults, countDescriptors, stackText } from './faults.mjs';
import { ToldError } from './persistent.mjs';
import { sleep, until } from './util.mjs';

// Runs before the first failure, until pools and tables are as full as they get, on each of two workers.
const WARM_RUNS = 40;
// Blocks that may be more than before: a log line under way, a table that has grown.
const BLOCKS_SLACK = 64;
// How often a session that was given up may still be there, or the log be written.
const SETTLE_TRIES = 3;
const PROBLEMS_MAX = 10;
const CALLS_MAX = 100000;

export class Sweep {
	// @open: a scenario. @role: of the process whose calls fail.
	static async start(open, role) {
		const sweep = Object.assign(new Sweep(), { open, role, problems: [], nPoints: 0, nTold: 0, nRounds: 0, points: {} });
		sweep.faults = Faults.open();
		await sweep.begin().catch(async (error) => {
			// What is left running would keep the file from ending.
			await sweep.stage?.stop().catch(() => {});
			sweep.faults.close();
			throw error;
		});
		return sweep;
	}

	async begin() {
		this.stage = await this.open(this.faults.env);
		for (let i = 0; i < WARM_RUNS; i++) {
			await this.stage.run();
		}
		this.pid = this.stage.doab.serverPid;
		await sleep(100);
		this.nDescriptors = this.countDescriptors();
		this.nBlocks = await this.settledBlocks();
	}

	countDescriptors() {
		return [this.stage.doab.child.pid, this.pid].map((pid) => countDescriptors(pid)).reduce((sum, n) => sum + n);
	}

	// BOSH sessions that have ended are remembered for a while.
	async settledBlocks() {
		await sleep(this.stage.remembers ? (INACTIVITY_S + 1) * 1000 : 100);
		await this.stage.run();
		await sleep(50);
		return this.faults.live(this.role).blocks;
	}

	// How often each call is made in a run.
	async count() {
		const before = this.faults.calls(this.role);
		await this.stage.run();
		return Object.fromEntries(Object.entries(this.faults.calls(this.role)).map(([name, n]) => [name, n - (before[name] ?? 0)]));
	}

	get hasDied() {
		const { doab } = this.stage;
		return doab.hasEnded || !doab.isRunning || doab.events.some(({ event }) => event === 'server-killed') || doab.serverPid !== this.pid;
	}

	async report(what, stack = []) {
		this.problems.push(`${what}\n${await stackText(stack)}`);
	}

	async point(call, effect, nth, { times, round }) {
		const name = `${effect} from ${call} ${nth}`;
		this.faults.arm({ role: this.role, call, effect, nth, times, round });
		const error = await this.stage.run().then(() => undefined, (reason) => reason);
		const { strikes, stack } = this.faults.disarm();

		if (strikes) {
			this.nPoints++;
			this.points[call] = (this.points[call] ?? 0) + 1;
		}
		if (error instanceof ToldError) {
			this.nTold++;
		} else if (error) {
			await this.report(`${name}: ${error.message}`, stack);
		}
		const next = await this.stage.run().then(() => undefined, (reason) => reason);
		if (this.hasDied) {
			await this.report(`${name}: the process has ended: ${this.stage.doab.log.slice(-500)}${this.stage.doab.partial}`, stack);
			await this.stage.stop().catch(() => {});
			await this.begin();
		} else if (next) {
			await this.report(`${name}: the next run: ${next.message}`, stack);
		}
		return strikes;
	}

	// @share: of all calls, how many are to fail; 1: all. @times: how many in a row. @byStack: one call for each call stack fails.
	async each(call, effect, { share = 1, times = 1, byStack = false } = {}) {
		const step = Math.max(1, Math.round(1 / share));
		const first = 1 + (step > 1 ? (call.length * 7 + effect.length) % step : 0);
		const round = byStack ? ++this.nRounds : 0;
		const nBefore = this.problems.length;

		for (let nth = first; nth < CALLS_MAX && this.problems.length < PROBLEMS_MAX; nth += step) {
			if (!await this.point(call, effect, nth, { times, round })) {
				break;
			}
		}
		if (this.problems.length === nBefore) {
			await this.assertNoDescriptorsLeft(`${effect} from ${call}`);
		}
	}

	// One call for each call stack fails, as each() has it, but with one of @effects: they take turns. A stack that none of them can befall
	// is left out, as there.
	async eachStack(call, effects) {
		const round = ++this.nRounds;
		const nBefore = this.problems.length;

		for (let nth = 1, nInVain = 0; nInVain < effects.length && nth < CALLS_MAX && this.problems.length < PROBLEMS_MAX; nth++) {
			nInVain = await this.point(call, effects[nth % effects.length], nth, { times: 1, round }) ? 0 : nInVain + 1;
		}
		if (this.problems.length === nBefore) {
			await this.assertNoDescriptorsLeft(`${effects} from ${call}`);
		}
	}

	async assertNoDescriptorsLeft(what) {
		await until(() => this.countDescriptors() <= this.nDescriptors, 2 * INACTIVITY_S * 1000, '').catch(async () => {
			const n = this.countDescriptors();
			await this.report(`${what}: ${n - this.nDescriptors} descriptors are left`);
			this.nDescriptors = n;
		});
	}

	// Lets @fail, all failures of a scenario, leave memory behind once: the parsers of the pool get as full as elements under way
	// make them. What is lost in each failure is lost in the second round, too.
	async assertNoMemoryLost(fail) {
		if (this.stage.isCaching || await this.blocksLeft() <= BLOCKS_SLACK) {
			return;
		}
		const nBefore = this.nPoints;
		this.nBlocks = await this.settledBlocks();
		await fail();
		const left = await this.blocksLeft();
		if (left > BLOCKS_SLACK) {
			await this.report(`${left} blocks are left after ${this.nPoints - nBefore} failures, the second time`);
		}
	}

	async blocksLeft() {
		let left = await this.settledBlocks() - this.nBlocks;
		for (let i = 0; left > BLOCKS_SLACK && i < SETTLE_TRIES; i++) {
			left = await this.settledBlocks() - this.nBlocks;
		}
		return left;
	}

	async stop() {
		await this.stage.stop().catch((error) => this.report(error.message));
		this.faults.close();
	}
}


// Functions of libraries that abort the process when a call in them fails. At the start of the program only: nothing is lost,
// and the supervisor logs it.
//
// uv_loop_init   libuv has no pipe for its signal handling, or no room in the table of what the loop watches
// seccomp_load   libseccomp 2.5 does not look whether it got memory (it crashes, or would go on for ever: it is bounded by CPU time);
//                before the first thread, let alone a client
// poll_once      libuv's own descriptors cannot be watched
// uv_poll_start  no room for the descriptors that descriptors_reserve() asks for, so that there always is room later
const ABORTS = ['uv_loop_init', 'seccomp_load', 'poll_once', 'uv_poll_start'];

// Whether one of them is in the stack of a call that failed, as stackText() tells it.
export const hasAborted = (where) => ABORTS.some((frame) => where.includes(frame));

// AddressSanitizer itself needs memory to start a thread, and OpenSSL leaves 25 bytes when its initialization fails.
export const canStartWithoutMemory = !readFileSync(BINARY).includes('__asan_init');

// A program that does not start says why; nothing else may end it.
async function judge(outcome, name, said, { strikes, stack }) {
	outcome.nPoints += strikes > 0;
	outcome.nRefused += typeof said === 'string';
	if (said === undefined) {
		return;
	}
	const [, text = ''] = /doab ended before event=ready:\n([^]*)/.exec(said) ?? [];
	const where = await stackText(stack);
	if (said instanceof Error || text.trim() === '' || (/server-killed/.test(text) && !hasAborted(where))) {
		outcome.problems.push(`${name}: ${said.message ?? said}\n${where}`);
	}
}

// The calls of @pairs fail in turn from the start of the program to its end, each at @nStarts of its places, evenly spread.
export async function lifetimes(role, pairs, nStarts) {
	const faults = Faults.open();
	const outcome = { problems: [], nPoints: 0, nRefused: 0 };
	await lifetime(faults.env);
	const calls = faults.calls(role);
	const memory = canStartWithoutMemory ? [['memory', 'ENOMEM']] : [];
	for (const [call, effect] of [...memory, ...pairs].filter(([name]) => calls[name])) {
		const step = Math.ceil(calls[call] / nStarts);
		for (let nth = Math.ceil(step / 2), strikes = 1; strikes && nth < CALLS_MAX && outcome.problems.length < PROBLEMS_MAX; nth += step) {
			faults.arm({ role, call, effect, nth });
			const said = await lifetime(faults.env).catch((error) => error);
			const struck = faults.disarm();
			({ strikes } = struck);
			await judge(outcome, `${effect} from ${call} ${nth}`, said, struck);
		}
	}
	faults.close();
	return outcome;
}
