// Two gateways behind HAProxy, which asks each of them whether it is ready. They are restarted in turn, and no request fails.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Doab } from '../support/doab.mjs';
import { startHaproxyOfTwo } from '../support/proxies.mjs';
import { freePort, patiently, sleep, stopAll, until, within } from '../support/util.mjs';
import { NS, parse } from '../support/xml.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(120000) };
// A short form by default; the long one with DOAB_LONG=1.
const DURATION_MS = process.env.DOAB_LONG === '1' ? 60000 : 15000;
const N_CLIENTS = 8;
// How long a gateway is at least left alone: HAProxy checks it every second.
const REST_MS = 2500;
let server;
let nodes;
let proxy;

async function startNode({ port, adminPort }) {
	return Doab.start({ listen: [`127.0.0.1:${port}`], admin: `127.0.0.1:${adminPort}`, workers: 2, log_level: 'info', drain_timeout: 1,
		trusted_proxies: ['127.0.0.1'], exempt: ['127.0.0.1'], domain_session_rate: 0, inactivity: 5, domains: { 'plain.test': server.section() } });
}

before(async () => {
	server = await XmppServer.start('plain');
	nodes = [];
	for (let i = 0; i < 2; i++) {
		const node = { port: await freePort(), adminPort: await freePort() };
		node.doab = await startNode(node);
		nodes.push(node);
	}
	proxy = await startHaproxyOfTwo(nodes);
});
after(() => stopAll(proxy, ...nodes.map(({ doab }) => doab), server));

const creation = (rid) => `<body xmlns='${NS.httpbind}' rid='${rid}' to='plain.test' ver='1.11' wait='5' hold='1'/>`;

// A page, and a session that is opened. Its later requests are those of one gateway.
async function visit() {
	const page = await proxy.request('GET', '/');
	assert.equal(page.status, 200, page.text);
	const created = await proxy.request('POST', '/http-bind', { headers: { 'Content-Type': 'text/xml' }, body: creation(7) });
	assert.equal(created.status, 200, created.text);
	const { attributes } = parse(created.text);
	assert.equal(attributes.type, undefined, `creation: ${created.text}`);
	assert.ok(attributes.sid, created.text);
}

// HAProxy has noticed that a gateway is there again.
const allAreUp = () => until(async () => {
	const states = await proxy.states();
	return states.length === nodes.length && states.every((state) => state === 'UP');
}, 15000, 'both gateways are up for HAProxy');

test(`two gateways that are restarted in turn for ${DURATION_MS / 1000} s: no request fails`, TIMEOUT, async () => {
	const failures = [];
	let nVisits = 0;
	let nRestarts = 0;
	let isOver = false;
	await allAreUp();
	const visitors = Promise.all(Array.from({ length: N_CLIENTS }, async () => {
		while (!isOver) {
			await within(visit(), 15000, 'a visit').then(() => nVisits++, (error) => failures.push(error));
			await sleep(10);
		}
	}));
	const end = Date.now() + DURATION_MS;
	while (Date.now() < end) {
		const node = nodes[nRestarts++ % nodes.length];
		await node.doab.stop();
		node.doab = await startNode(node);
		await sleep(REST_MS);
		await allAreUp();
	}
	isOver = true;
	await visitors;
	assert.deepEqual(failures.map(({ message }) => message), [], `${failures.length} of ${nVisits + failures.length} failed, ${nRestarts} restarts`);
	assert.ok(nRestarts >= 2 && nVisits > N_CLIENTS * nRestarts, `${nVisits} visits, ${nRestarts} restarts`);
});
