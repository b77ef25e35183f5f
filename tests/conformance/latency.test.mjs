// What users notice of an attacker who does his worst within the limits of one address: how long their round trips take beside him, in
// parts of how long they take without him. The attacks are those of tests/bench/attacks.py, whose table has all of them and a sharper
// bound, for an idle machine. Here rounds with and without the attacker alternate, because a machine that is busy slows down both.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { freePort, patiently, removeFolder, sleep, startChild, stopAll, stopChild, temporaryFolder, within } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const ATTACKER = fileURLToPath(new URL('../bench/attacker.py', import.meta.url));
const TIMEOUT = { timeout: patiently(60000) };
// The worst of each kind: what is parsed at once, what a few bytes become, tiny pieces, new connections, a server.
const ATTACKS = ['bodies of small elements', 'large messages, deflated', 'chunks of a byte', 'TLS handshakes',
	'attributes of a server of its own'];
const N_WEBSOCKETS = 3;
const N_GOOD = 2;
const N_ROUNDS_MAX = 8;
const ROUND_MS = 500;
const SETTLE_MS = 200;
const PAUSE_MS = 4;
const RATIO = 4;
// What a request of any kind may hold up others by, with all that a busy machine adds to it.
const FLOOR_MS = 80;
const TRIP = "<message xmlns='jabber:client' id='trip'/>";

let folder;
let server;
let doab;
let ports;
let users;

before(async () => {
	folder = temporaryFolder('latency');
	const { certificate, key } = new Authority(folder).issue('server', ['bench.test']);
	server = await XmppServer.start('plain');
	ports = { tls: await freePort(), own: await freePort() };
	doab = await Doab.start({ log_level: 'info', websocket_compression: true, session_rate: '1000/60',
		domains: { 'bench.test': server.section(), 'attack.test': { connect: [`127.0.0.1:${ports.own}`], tls: 'off' } },
		listeners: { [`127.0.0.1:${ports.tls}`]: { tls: { certificate, key } } } });
	users = [];
	for (let i = 0; i < N_WEBSOCKETS; i++) {
		users.push(await openWebSocketUser());
	}
	users.push(await openBoshUser());
});
after(async () => {
	users?.forEach(({ close }) => close());
	await stopAll(doab, server);
	removeFolder(folder);
});

async function openWebSocketUser() {
	const socket = await openWebSocket(doab.port);
	await socket.login('bench.test');
	return {
		async makeTrip() {
			socket.send(TRIP);
			assert.match(await socket.nextMessage(), /id='trip'/);
		},
		close: () => socket.drop(),
	};
}

async function openBoshUser() {
	const client = new BoshClient(doab.port);
	await client.login('bench.test');
	return {
		makeTrip: () => client.exchange(TRIP, ({ attributes }) => attributes.id === 'trip'),
		close: () => client.close(),
	};
}

// The milliseconds that the slowest hundredth of the round trips takes at least.
async function measure() {
	const trips = [];
	const end = performance.now() + ROUND_MS;
	await Promise.all(users.map(async ({ makeTrip }) => {
		while (performance.now() < end) {
			const begin = performance.now();
			await makeTrip();
			trips.push(performance.now() - begin);
			await sleep(PAUSE_MS);
		}
	}));
	return trips.sort((a, b) => a - b)[Math.floor(trips.length * 0.99)];
}

async function measureBeside(attack) {
	const child = startChild('python3', [ATTACKER, attack, doab.port, ports.tls, ports.own].map(String),
		{ stdio: ['ignore', 'pipe', 'inherit'] });
	try {
		const isUnderWay = new Promise((resolve, reject) => {
			child.stdout.once('data', resolve);
			child.once('exit', () => reject(new Error(`the attack has ended: ${attack}`)));
		});
		await within(isUnderWay, 20000, 'the attack');
		return await measure();
	} finally {
		await stopChild(child, { signal: 'SIGKILL' });
		await sleep(SETTLE_MS);
	}
}

// Noise only ever adds: of the rounds without the attacker the quickest counts, and a few good ones with him are enough.
for (const attack of ATTACKS) {
	test(`others go on beside ${attack}`, TIMEOUT, async (t) => {
		const seen = [];
		let alone = Infinity;
		let nGood = 0;
		for (let i = 0; i < N_ROUNDS_MAX && nGood < N_GOOD; i++) {
			alone = Math.min(alone, await measure());
			const beside = await measureBeside(attack);
			nGood += beside <= Math.max(FLOOR_MS, RATIO * alone);
			seen.push(beside.toFixed(1));
		}
		const text = `p99 of round trips: ${alone.toFixed(1)} ms alone, ${seen.join(', ')} beside it`;
		t.diagnostic(text);
		assert.equal(nGood, N_GOOD, text);
	});
}
