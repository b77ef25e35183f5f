// A scenario of what the gateway does while one of its calls fails (fault-scenarios.mjs): reloads that add a listener, renew its
// certificate, move it to another port, and remove it. Each run begins and ends without it, so that all runs make the same calls.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { Authority } from './certificates.mjs';
import { configText } from './doab.mjs';
import { openStage, plain, websocketSession } from './fault-stage.mjs';
import { ToldError } from './persistent.mjs';
import { freePort, removeFolder, temporaryFolder, until } from './util.mjs';

const OUTCOMES = ['reloaded', 'reload-failed', 'order-failed'];
const PATIENCE_MS = 10000;
// A client that no process accepts is not answered.
const SHAKE_MS = 1000;
// The kernel spreads the connections over the workers.
const N_WORKERS = 2;
const N_LOOKS = 2;

const count = (doab, events) => doab.events.filter(({ event }) => events.includes(event)).length;

// Sends @signal and waits for the outcome. Only the first of @events is the good one.
export async function signalled(doab, signal, events = OUTCOMES) {
	const [good] = events;
	const before = count(doab, events);
	const goodBefore = count(doab, [good]);
	doab.child.kill(signal);
	await until(() => doab.hasEnded || count(doab, events) > before, PATIENCE_MS, `${events}:\n${doab.lines.slice(-10).join('\n')}`);
	assert.ok(!doab.hasEnded, `the gateway has ended:\n${doab.lines.slice(-5).join('\n')}`);
	if (count(doab, [good]) === goodBefore) {
		throw new ToldError(doab.lines.at(-1));
	}
}

// Whose certificate a listener shows: the name in it. Otherwise the error: ECONNREFUSED where nothing listens.
function look(port) {
	return new Promise((resolve) => {
		const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
		const timer = setTimeout(() => socket.destroy(new Error('no answer')), SHAKE_MS);
		const end = (result) => {
			clearTimeout(timer);
			socket.destroy();
			resolve(result);
		};
		socket.once('secureConnect', () => end(socket.getPeerCertificate().subject.CN)).once('error', ({ code, message }) => end(code ?? message))
			.once('close', () => end('closed'));
	});
}

// @state: port to the name in the certificate, or to ECONNREFUSED. A worker that has no memory for its part tries again.
async function assertListens(state, what) {
	const wanted = Object.values(state).flatMap((name) => Array(N_LOOKS).fill(name)).join();
	let seen;
	await until(async () => {
		seen = (await Promise.all(Object.keys(state).flatMap((port) => Array.from({ length: N_LOOKS }, () => look(port))))).join();
		return seen === wanted;
	}, PATIENCE_MS, what).catch((error) => assert.fail(`${error.message}: ${seen} instead of ${wanted}`));
}

export async function listeners(env) {
	const folder = temporaryFolder('faults-listeners');
	const authority = new Authority(folder);
	const [first, second] = ['first', 'second'].map((name) => authority.issue(name, ['gateway.test']));
	const [certificate, key] = ['pem', 'key'].map((extension) => path.join(folder, `current.${extension}`));
	const install = (material) => {
		writeFileSync(certificate, material.cert);
		writeFileSync(key, material.keyText);
	};
	const [a, b] = [await freePort(), await freePort()];
	const at = (port) => ({ [`127.0.0.1:${port}`]: { tls: { certificate, key } } });
	const NOTHING = 'ECONNREFUSED';
	const steps = [
		{ what: 'a listener is added', material: first, listeners: at(a), state: { [a]: 'first', [b]: NOTHING } },
		{ what: 'its certificate is renewed', material: second, listeners: at(a), state: { [a]: 'second', [b]: NOTHING } },
		{ what: 'it is moved', material: second, listeners: at(b), state: { [a]: NOTHING, [b]: 'second' } },
		{ what: 'it is removed', material: second, listeners: {}, state: { [a]: NOTHING, [b]: NOTHING } },
	];
	let { state } = steps.at(-1);
	const run = async ({ doab, port }, of) => {
		let told;
		for (const step of steps) {
			install(step.material);
			writeFileSync(path.join(doab.folder, 'doab.conf'), configText({ ...doab.config, listeners: step.listeners }));
			const error = await signalled(doab, 'SIGHUP').catch((reason) => reason);
			if (error && !(error instanceof ToldError)) {
				throw error;
			}
			told ??= error;
			state = error ? state : step.state;
			await assertListens(state, error ? `${step.what}, in vain` : step.what);
		}
		await websocketSession(port, 'plain.test', of('plain'));
		if (told) {
			throw told;
		}
	};
	const stage = await openStage(env, plain, { workers: N_WORKERS }, run, { folder }).catch((error) => {
		removeFolder(folder);
		throw error;
	});
	// One call duplicates the descriptors of all workers: it fails for each of them.
	return { ...stage, wholly: ['fcntl'], isVast: true };
}
