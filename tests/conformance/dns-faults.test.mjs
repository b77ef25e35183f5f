// A DNS server that misbehaves for one name: the look-ups of others that are under way at the same
// time come to their answers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer, encodeMessage } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { freePort, patiently, sleep, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const N_OTHERS = 20;
// Some of them have answers that are asked for again over TCP.
const N_TRUNCATED = 5;
const DNS_TRIES = 2;
const DNS_TIMEOUT_MS = 8000;
const N_QUESTIONS_OF_A_CLIENT = 500; // LOOKUPS_CROWD_MAX
const RESPONSE = 0x8180;
const FORMERR = 1;
const NOTIMP = 4;
const services = (domain) => [`_xmpp-client._tcp.${domain}`, `_xmpps-client._tcp.${domain}`];
const answerOther = (question) => encodeMessage({ ...question, id: question.id ^ 1 }, RESPONSE);
const answerGarbage = (question) => encodeMessage(question, RESPONSE).fill(0xff, 4);
const truncated = (tcp) => ({ TRUNCATE: true, SRV: [[0, 0, 5222, 'nowhere.test']], TCP: tcp });

// What is done to bad names, how many there are, and whether their sessions are over before the
// others get their answers: where they would wait for time-outs, it is only their questions that
// have come.
const FAULTS = [
	{ name: 'refuses TCP for a truncated answer', entry: truncated(), tcp: false },
	{ name: 'never accepts a TCP connection', entry: truncated(), tcp: 'hole', n: DNS_TRIES },
	{ name: 'closes the TCP connection', entry: truncated('CLOSE'), n: DNS_TRIES },
	{ name: 'resets the TCP connection', entry: truncated('RESET'), n: DNS_TRIES },
	{ name: 'does not answer over TCP', entry: truncated('SILENT'), n: DNS_TRIES },
	{ name: 'sends an empty message over TCP', entry: truncated(Buffer.from([0, 0])) },
	{ name: 'sends no answer over TCP', entry: truncated(Buffer.from([0, 5, 1, 2, 3, 4, 5])) },
	{ name: 'sends half an answer over TCP', entry: truncated(Buffer.from([0, 50, 1, 2])), n: DNS_TRIES },
	{ name: 'sends an empty datagram', entry: () => Buffer.alloc(0), isOver: false },
	{ name: 'sends half a header', entry: () => Buffer.alloc(6), isOver: false },
	{ name: 'answers something else', entry: answerOther, isOver: false },
	{ name: 'does not answer', entry: () => undefined, isOver: false },
	{ name: 'answers SERVFAIL', entry: 'SERVFAIL' },
	{ name: 'answers REFUSED', entry: 'REFUSED' },
	{ name: 'answers FORMERR', entry: (question) => encodeMessage(question, RESPONSE | FORMERR) },
	{ name: 'answers NOTIMP', entry: (question) => encodeMessage(question, RESPONSE | NOTIMP) },
	{ name: 'sends garbage', entry: answerGarbage, isOver: false },
];

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
const settings = { allowed_ports: ['1-65535'], dns_timeout: DNS_TIMEOUT_MS, dns_tries: DNS_TRIES,
	open_timeout: 30, sessions_per_address: 10000,
	domains: { '*.test': { allow_private: true, tls: 'off' } } };
const stands = {}; // a DNS server and a gateway for each kind of TCP
let server;

before(async () => {
	server = await started(XmppServer.start('plain'));
	for (const tcp of [true, false, 'hole']) {
		const dns = await started(DnsServer.start({ 'host.test': { A: ['127.0.0.1'] } }, { tcp }));
		const doab = await started(Doab.start({ ...settings, resolvers: [dns.address] }));
		stands[tcp] = { dns, doab };
	}
});
after(() => stopAll(...things));

const create = (doab, domain) => new BoshClient(doab.port).create(domain, { wait: 60 });

// Domains whose answers are held back until the gate is open; with the names that have been asked
// for.
function addOthers(dns, label, nTruncated) {
	let open;
	const gate = new Promise((resolve) => (open = resolve));
	const asked = new Set();
	const others = Array.from({ length: N_OTHERS }, (_, i) => `other${i}.${label}.test`);
	const answerLater = (name) => () => {
		asked.add(name);
		return gate;
	};
	for (const [i, domain] of others.entries()) {
		const [starttls, direct] = services(domain);
		const add = (name, list) => {
			dns.set(name, { SRV: list, TRUNCATE: i < nTruncated, AFTER: answerLater(name) });
		};
		add(starttls, [[0, 0, server.port, 'host.test']]);
		add(direct, []);
	}
	return { others, asked, open };
}

// Bad names; with those that have been asked for, where the entry is a function.
function addBad(dns, label, entry, n) {
	const bad = Array.from({ length: n }, (_, i) => `bad${i}.${label}.test`);
	const asked = new Set();
	const note = (question) => {
		asked.add(question.name);
		return entry(question);
	};
	const noted = typeof entry === 'function' ? note : entry;
	bad.flatMap(services).forEach((name) => dns.set(name, noted));
	return { bad, asked };
}

// Asks for the others, then for the bad ones, and lets the answers to the others go when the fault
// has had its effect.
async function run({ dns, doab }, label, { entry, tcp = true, n = 1, isOver = true }) {
	const { others, asked, open } = addOthers(dns, label, tcp === true ? N_TRUNCATED : 0);
	const { bad, asked: askedBad } = addBad(dns, label, entry, n);
	const answers = others.map((domain) => create(doab, domain));
	await until(() => asked.size === 2 * N_OTHERS, 20000, 'the questions for the others');
	const sessions = bad.map((domain) => create(doab, domain));
	let failures = [];
	if (isOver) {
		failures = await Promise.all(sessions);
	} else {
		// They may still be waiting when the gateway ends.
		sessions.forEach((session) => session.catch(() => {}));
		await until(() => askedBad.size === 2 * n, 20000, 'the questions for the bad ones');
		await sleep(300);
	}
	open();
	return { answers: await Promise.all(answers), failures };
}

// A few at a time: the questions of all at once are more than the kernel keeps for a socket.
describe('a DNS server that, for one name,', { concurrency: 4 }, () => {
	for (const [i, fault] of FAULTS.entries()) {
		test(fault.name, TIMEOUT, async () => {
			const { answers, failures } = await run(stands[fault.tcp ?? true], `fault${i}`, fault);
			const failed = answers.filter((answer) => !answer.element.at('features'));
			assert.equal(failed.length, 0, failed[0]?.text);
			for (const answer of failures) {
				assertTerminated(answer, 'remote-connection-failed');
				assert.match(answer.element.text, /DNS/);
			}
		});
	}
});

test('a server that is not there costs nothing when there is another one', TIMEOUT, async () => {
	const { dns } = stands.true;
	const timeoutMs = 15000;
	const resolvers = [`127.0.0.1:${await freePort()}`, dns.address];
	const doab = await started(Doab.start({ ...settings, dns_timeout: timeoutMs, resolvers }));
	const { others, open } = addOthers(dns, 'absent', N_TRUNCATED);
	open();
	const answers = await Promise.all(others.map((domain) => create(doab, domain)));
	assert.equal(answers.filter((answer) => answer.element.at('features')).length, N_OTHERS);
	assert.ok(answers.every((answer) => answer.ms < timeoutMs), 'none has waited for a time-out');
});

test('a truncated answer is fetched from the next server that speaks TCP', TIMEOUT, async () => {
	const [first, second] = [stands.false.dns, stands.true.dns];
	const resolvers = [first.address, second.address];
	const doab = await started(Doab.start({ ...settings, resolvers }));
	const [name] = services('next.test');
	first.set(name, { SRV: [], TRUNCATE: true });
	second.set(name, { SRV: [[0, 0, server.port, 'host.test']] });
	const answer = await create(doab, 'next.test');
	assert.ok(answer.element.at('features'), answer.text);
	assert.equal(second.count(name, 'SRV', 'tcp'), 1);
});

test('truncated addresses are asked for again over TCP, each kind by itself', TIMEOUT, async () => {
	const { dns, doab } = stands.true;
	dns.set(services('addresses.test')[0], { SRV: [[0, 0, server.port, 'many.addresses.test']] });
	dns.set('many.addresses.test', { TRUNCATE: true, A: ['127.0.0.1'], AAAA: [] });
	const answer = await create(doab, 'addresses.test');
	assert.ok(answer.element.at('features'), answer.text);
	const count = (type) => dns.count('many.addresses.test', type, 'tcp');
	assert.deepEqual(['A', 'AAAA'].map(count), [1, 1]);
});

test('a client that asks for domains that nobody answers for leaves others their questions', TIMEOUT, async () => {
	const { dns } = stands.true;
	const doab = await started(Doab.start({ ...settings, resolvers: [dns.address], workers: 1, trusted_proxies: ['127.0.0.1'],
		domain_session_rate: '0', dns_timeout: 20000 }));
	const clientAt = (address) => new BoshClient(doab.port, { headers: { 'X-Forwarded-For': address } });
	const silent = Array.from({ length: N_QUESTIONS_OF_A_CLIENT / 2 + 1 }, (_, i) => `silent${i}.test`);
	silent.flatMap(services).forEach((name) => dns.set(name, 'SILENT'));
	for (const [i, domain] of silent.slice(0, -1).entries()) {
		clientAt('192.0.2.1').create(domain, { wait: 60 }).catch(() => {});
		// The kernel does not keep all of them for the server's socket.
		await until(() => i % 20 || dns.count(services(domain)[1], 'SRV'), 20000, 'the questions');
	}
	const refused = await clientAt('192.0.2.1').create(silent.at(-1), { wait: 60 });
	assertTerminated(refused, 'policy-violation');
	assert.match(refused.element.text, /too many/);
	dns.set(services('loud.test')[0], { SRV: [[0, 0, server.port, 'host.test']] });
	const answer = await clientAt('192.0.2.2').create('loud.test', { wait: 60 });
	assert.ok(answer.element.at('features'), answer.text);
});
