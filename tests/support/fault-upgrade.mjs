// Lets calls fail, one in each upgrade (SIGUSR2): of the supervisor, of the server that is there, of the one that takes its place.
// After each: the new server serves, or the one before goes on; the sessions go on, or their clients are told; the servers that have
// no session any more have ended, and nothing is left of them. An upgrade that failed leaves nothing in the way of the next.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CONFIG, message, plain, withId } from './fault-stage.mjs';
import { hasAborted } from './fault-sweep.mjs';
import { Faults, NEXT_SERVER, SUPERVISOR, countDescriptors, server, stackText } from './faults.mjs';
import { PersistentBosh, PersistentWebSocket, ToldError, ask } from './persistent.mjs';
import { Stage } from './stage.mjs';
import { until } from './util.mjs';

const OUTCOMES = ['upgraded', 'upgrade-failed'];
// One that has no memory to begin is killed, and what waits for its turn to be told waits for seconds.
const PATIENCE_MS = 30000;
// Other sweeps of the same process can keep a client from its next request for seconds.
const INACTIVITY_S = 12;
const PROBLEMS_MAX = 10;
// Far less than the supervisor allows.
const SERVERS_LEFT = 8;
// What a failure tells of the log.
const LINES_TOLD = 40;
const CLEAN = { isUpgraded: true, told: [] };
export const ROLES = { supervisor: SUPERVISOR, 'server before': 'before', 'new server': NEXT_SERVER };

const generationOf = (pid) => Number(/DOAB_SERVER=\d+:(\d+):/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))[1]);

// A session that has to live through the upgrade.
class Survivor {
	static async bosh(port) {
		const client = new PersistentBosh(port);
		await client.login('plain.test', { wait: 5 });
		return Object.assign(new Survivor(), { client, echo: (id) => client.exchange(message(id), withId(id)),
			end: () => client.terminate(), drop: () => client.close() });
	}

	static async websocket(port) {
		const client = await PersistentWebSocket.open(port);
		await client.login('plain.test');
		return Object.assign(new Survivor(), { client, end: () => client.finish(), drop: () => client.drop(),
			echo: (id) => {
				client.send(message(id));
				return client.expect('message', { id });
			} });
	}
}

const openBoth = (port) => Promise.all([Survivor.bosh(port), Survivor.websocket(port)]);

export class UpgradeSweep {
	static async start() {
		const sweep = Object.assign(new UpgradeSweep(), { problems: [], points: {}, nPoints: 0, nTold: 0 });
		sweep.faults = Faults.open();
		await sweep.begin().catch(async (error) => {
			await sweep.stop();
			throw error;
		});
		return sweep;
	}

	async begin() {
		this.stage = await Stage.open(plain, { ...CONFIG, sandbox: true, inactivity: INACTIVITY_S }, { env: this.faults.env });
		await this.upgrade();
		this.nDescriptors = countDescriptors(this.doab.child.pid);
	}

	get doab() {
		return this.stage.doab;
	}

	count(...events) {
		return this.doab.events.filter(({ event }) => events.includes(event)).length;
	}

	async outcome() {
		const [good, all] = [this.count(OUTCOMES[0]), this.count(...OUTCOMES)];
		this.doab.child.kill('SIGUSR2');
		await until(() => this.doab.hasEnded || this.count(...OUTCOMES) > all, PATIENCE_MS, `${OUTCOMES}:\n${this.doab.lines.slice(-10).join('\n')}`);
		assert.ok(!this.doab.hasEnded, `the gateway has ended:\n${this.doab.lines.slice(-5).join('\n')}`);
		return this.count(OUTCOMES[0]) > good;
	}

	// All that is done with clients. Resolves with what those heard that were told that their sessions came to nothing.
	async clients(list) {
		const outcomes = await Promise.all(list.map(async (client, i) => {
			const survivor = await client;
			try {
				await survivor.echo(`echo-${i}`);
				await survivor.end();
			} finally {
				survivor.drop();
			}
		}).map((done) => done.then(() => undefined, (error) => error)));
		const errors = outcomes.filter((error) => error && !(error instanceof ToldError));
		assert.equal(errors.length, 0, errors.map((error) => error.message).join('\n'));
		return outcomes.filter((error) => error).map(({ message: text }) => text);
	}

	// One upgrade with sessions of before and of afterwards. @mayStay: a client was told earlier. Resolves with { isUpgraded, told }.
	async upgrade(arm = () => {}, { mayStay = false } = {}) {
		const { port } = this.stage;
		const before = await openBoth(port);
		const former = this.doab.serverPid;
		arm();
		const isUpgraded = await this.outcome();
		assert.equal((await ask(port, 'GET', '/crossdomain.xml')).status, 200);
		const told = await this.clients([...before, Survivor.bosh(port), Survivor.websocket(port)]);
		await until(() => this.isSettled(former, { isUpgraded, mayStay: mayStay || told.length > 0 }), PATIENCE_MS, 'the end of a server')
			.catch((error) => assert.fail(this.withServers(error)));
		return { isUpgraded, told };
	}

	describeServer(pid) {
		try {
			return `${pid} (generation ${generationOf(pid)})`;
		} catch {
			return `${pid} (gone)`;
		}
	}

	// The message of @error, with the servers that there are and what was logged last.
	withServers({ message: text }) {
		const servers = this.doab.serverPids.map((pid) => this.describeServer(pid));
		return `${text}. There are ${servers.join(', ')}:\n${this.doab.lines.slice(-LINES_TOLD).join('\n')}`;
	}

	// Whether the server that has to end has ended. A session of BOSH whose client does not come back keeps its server for a while.
	isSettled(former, { isUpgraded, mayStay }) {
		const pids = this.doab.serverPids;
		return pids.length <= SERVERS_LEFT && (isUpgraded ? mayStay || !pids.includes(former) : pids.at(-1) === former);
	}

	// How often each call is made by whom. Resolves with an object for each of ROLES.
	async calls() {
		const roleBefore = server(generationOf(this.doab.serverPid));
		const numbers = () => [SUPERVISOR, roleBefore].map((role) => this.faults.calls(role));
		let before;
		assert.deepEqual(await this.upgrade(() => { before = numbers(); }), CLEAN);
		const [supervisor, old] = numbers().map((after, i) =>
			Object.fromEntries(Object.entries(after).map(([call, n]) => [call, n - (before[i][call] ?? 0)])));
		return { supervisor, 'server before': old, 'new server': this.faults.calls(server(generationOf(this.doab.serverPid))) };
	}

	async point(role, call, effect, nth) {
		const generation = generationOf(this.doab.serverPid);
		const nKilled = this.count('server-killed');
		const number = role === 'before' ? server(generation) : role;
		const outcome = await this.upgrade(() => this.faults.arm({ role: number, call, effect, nth })).catch((error) => ({ error }));
		const { strikes, stack } = this.faults.disarm();
		const report = async (what) => this.problems.push(`${effect} from ${call} ${nth}: ${what}\n${await stackText(stack)}`);

		if (strikes) {
			this.nPoints++;
			this.points[call] = (this.points[call] ?? 0) + 1;
		}
		this.nTold += outcome.told?.length > 0 || outcome.isUpgraded === false;
		if (outcome.error) {
			await report(outcome.error.message);
		}
		const isDocumented = async () => role === NEXT_SERVER && hasAborted(await stackText(stack));
		if (this.count('server-killed') > nKilled && !await isDocumented()) {
			await report(`a server was killed:\n${this.doab.log.slice(-1000)}${this.doab.partial}`);
		}
		if (!this.doab.isRunning || outcome.error) {
			await this.stage.stop().catch(() => {});
			await this.begin();
		} else if (!outcome.isUpgraded || outcome.told.length) {
			await this.upgrade(undefined, { mayStay: true }).then((next) => assert.deepEqual(next, CLEAN))
				.catch((error) => report(`the next upgrade: ${error.message}`));
		}
	}

	// @nPlaces: at how many of its places, evenly spread, @call of @n in an upgrade fails.
	async each(role, call, effect, n, nPlaces) {
		const step = Math.max(1, n / nPlaces);
		for (let nth = Math.ceil(step / 2); nth <= n && this.problems.length < PROBLEMS_MAX; nth = Math.ceil(nth + step)) {
			await this.point(role, call, effect, nth);
		}
	}

	async assertNothingLeft() {
		await until(() => this.doab.serverPids.length === 1, PATIENCE_MS, 'the end of the servers that have no session')
			.catch((error) => this.problems.push(this.withServers(error)));
		const nLeft = () => countDescriptors(this.doab.child.pid) - this.nDescriptors;
		// The supervisor closes them when it has learned of the end.
		await until(() => nLeft() <= 0, PATIENCE_MS, 'the descriptors of these servers')
			.catch(() => this.problems.push(`${nLeft()} descriptors of the supervisor are left`));
	}

	async stop() {
		await this.stage?.stop().catch((error) => this.problems.push(error.message));
		this.faults.close();
	}
}
