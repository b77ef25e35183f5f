// DNS servers that are dead, lie, are slow, or come and go: who can be served is served, who cannot is told, nobody is led to
// another's server; and when they are back, all works again without a restart.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { DnsServer, encodeMessage, encodeRecord } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { leavingNothing } from '../support/fault-leftovers.mjs';
import { freePort, patiently, sleep, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const DNS_TIMEOUT_MS = 400;
const DNS_TRIES = 3;
const TTL_LEAST_S = 5; // DNS_CACHE_TTL_MIN_S
const ALIASES_MOST = 8; // DNS_REPLY_ALIASES_MAX
const ANSWER = 0x8180;
const TTL_LARGEST = 0xffffffff;
const service = (domain) => `_xmpp-client._tcp.${domain}`;
const direct = (domain) => `_xmpps-client._tcp.${domain}`;
const settings = { allowed_ports: ['1-65535'], dns_timeout: DNS_TIMEOUT_MS, dns_tries: DNS_TRIES, open_timeout: 10,
	connect_timeout: 5, log_level: 'info', sessions_per_address: 10000, domains: { '*.test': { allow_private: true, tls: 'off' } } };
// Where no time-out is waited for, a busy machine must not cause one, nor a second question.
const PATIENT = { keys: { dns_timeout: 20000, open_timeout: 120, connect_timeout: 60 } };
// Where some are waited for, it must not cause more.
const LATE = { keys: { dns_timeout: 1500, open_timeout: 60, connect_timeout: 30 } };

describe('faults of resolvers', { concurrency: true }, () => {
	let server; // to be reached
	let trap; // to which nobody must be led
	let dns;

	before(async () => {
		server = await XmppServer.start('plain');
		trap = await XmppServer.start('plain');
		dns = await DnsServer.start({ 'host.test': { A: ['127.0.0.1'] }, 'trap.test': { A: ['127.0.0.1'] } });
	});

	after(async () => {
		try {
			assert.equal(trap.connections.length, 0, 'somebody was led to another server');
		} finally {
			await stopAll(dns, server, trap);
		}
	});

	// Starts a gateway for the test, and checks that the fault leaves nothing behind in it. The gateway asks `dns`, or @nResolvers
	// resolvers, which @body starts at the ports that it gets.
	const testFault = (name, { keys = {}, nResolvers = 0 }, body) => test(name, TIMEOUT, async () => {
		const admin = await freePort();
		const ports = await Promise.all(Array.from({ length: nResolvers }, () => freePort()));
		const resolvers = nResolvers ? ports.map((port) => `127.0.0.1:${port}`) : [dns.address];
		const doab = await Doab.start({ ...settings, ...keys, admin: `127.0.0.1:${admin}`, resolvers });
		try {
			await leavingNothing({ pid: doab.child.pid, admin, port: doab.port }, () => body(doab, ports));
			assert.ok(doab.events.every(({ level }) => level !== 'error'), doab.log.slice(-2000));
		} finally {
			await doab.stop();
		}
	});

	const records = () => [[0, 0, server.port, 'host.test']];

	// What makes @domain reachable; with @more keys of its SRV records.
	function addDomain(domain, more = {}, at = dns) {
		at.set(service(domain), { SRV: records(), ...more });
		at.set(direct(domain), { SRV: [], ...more });
		return domain;
	}

	async function create(domain, at) {
		const client = new BoshClient(at.port, { connection: 'fresh' });
		const answer = await client.create(domain, { wait: 30 });
		if (answer.element.at('features')) {
			await client.terminate();
		}
		return answer;
	}

	async function assertServed(domain, at) {
		const answer = await create(domain, at);
		assert.ok(answer.element.at('features'), answer.text);
		return answer;
	}

	async function assertTold(domain, at) {
		assertTerminated(await create(domain, at), ['remote-connection-failed', 'host-unknown']);
	}

	testFault('a true answer behind one with a wrong id is taken, and the wrong one is not', PATIENT, async (doab) => {
		const forged = (question) => encodeMessage({ ...question, id: question.id ^ 0x5555 }, ANSWER,
			[encodeRecord(question.name, 'SRV', [0, 0, trap.port, 'trap.test'])]);
		const right = (question) => encodeMessage(question, ANSWER, [encodeRecord(question.name, 'SRV', records()[0])]);
		dns.set(service('ids.test'), (question) => [forged(question), right(question)]);
		dns.set(direct('ids.test'), { SRV: [] });
		await assertServed('ids.test', doab);
	});

	testFault('records of other names count for nothing, neither now nor later', PATIENT, async (doab) => {
		const other = (question) => encodeMessage(question, ANSWER, [
			encodeRecord(service('victim.test'), 'SRV', [0, 0, trap.port, 'trap.test']),
			encodeRecord('victim.test', 'A', '127.0.0.1')]);
		dns.set(service('liar.test'), other);
		dns.set(direct('liar.test'), { SRV: [] });
		await assertTold('liar.test', doab);
		addDomain('victim.test');
		await assertServed('victim.test', doab);
		assert.equal(dns.count(service('victim.test'), 'SRV'), 1, 'it was asked for');
	});

	testFault('aliases in a ring lead nowhere; a chain of them is followed so far', PATIENT, async (doab) => {
		const chain = (name, n, last) => {
			const list = [name, ...Array.from({ length: n - 1 }, (_, i) => `a${i}.${name}`), last];
			return list.slice(0, -1).map((alias, i) => encodeRecord(alias, 'CNAME', list[i + 1]));
		};
		const chained = (n) => (question) => encodeMessage(question, ANSWER,
			[...chain(question.name, n, 'end.test'), encodeRecord('end.test', 'SRV', records()[0])]);
		for (const [name, n] of [['chain', ALIASES_MOST], ['long', ALIASES_MOST + 1]]) {
			dns.set(service(`${name}.test`), chained(n));
			dns.set(direct(`${name}.test`), { SRV: [] });
		}
		dns.set(service('ring.test'), (question) => encodeMessage(question, ANSWER, chain(question.name, 3, question.name)));
		dns.set(direct('ring.test'), { SRV: [] });
		// A ring of host names, too.
		const hosts = (question) => encodeMessage(question, ANSWER, chain(question.name, 2, question.name));
		dns.set(service('hosts.test'), { SRV: [[0, 0, server.port, 'ring.hosts.test']] });
		dns.set(direct('hosts.test'), { SRV: [] });
		dns.set('ring.hosts.test', hosts);
		await Promise.all([assertServed('chain.test', doab), assertTold('long.test', doab), assertTold('ring.test', doab), assertTold('hosts.test', doab)]);
	});

	testFault('a TTL of 0 makes a question for all sessions of a few seconds; the largest is none', PATIENT, async (doab) => {
		addDomain('zero.test', { TTL: 0 });
		addDomain('largest.test', { TTL: TTL_LARGEST });
		const began = Date.now();
		for (let i = 0; i < 10; i++) {
			await Promise.all([assertServed('zero.test', doab), assertServed('largest.test', doab)]);
		}
		const nMost = 1 + Math.floor((Date.now() - began) / 1000 / TTL_LEAST_S);
		for (const name of ['zero.test', 'largest.test']) {
			const n = dns.count(service(name), 'SRV');
			assert.ok(n >= 1 && n <= nMost, `${name}: ${n} questions`);
		}
	});

	testFault('slow answers: the first comes after a second try was sent, and serves', LATE, async (doab) => {
		addDomain('slow.test', { AFTER: () => sleep(LATE.keys.dns_timeout * 1.5) });
		await Promise.all(Array.from({ length: 5 }, () => assertServed('slow.test', doab)));
	});

	testFault('answers that come and go: each try may be the one that is answered', LATE, async (doab) => {
		const names = Array.from({ length: 10 }, (_, i) => `flap${i}.test`);
		const seen = new Set();
		for (const [i, name] of names.entries()) {
			const flap = (list) => (question) => {
				const n = [...seen].filter((key) => key.startsWith(`${question.name} `)).length;
				seen.add(`${question.name} ${n}`);
				return n < i % DNS_TRIES ? undefined : encodeMessage(question, ANSWER, list.map((value) => encodeRecord(question.name, 'SRV', value)));
			};
			dns.set(service(name), flap(records()));
			dns.set(direct(name), flap([]));
		}
		await Promise.all(names.map((name) => assertServed(name, doab)));
	});

	testFault('a resolver that dies and comes back: all are told, and then served without a restart', { nResolvers: 1 }, async (doab, [port]) => {
		const zone = { 'host.test': { A: ['127.0.0.1'] } };
		let own = await DnsServer.start(zone, { port });
		const round = async (label, check) => {
			const names = Array.from({ length: 5 }, (_, i) => `${label}${i}.test`);
			names.forEach((name) => own && addDomain(name, {}, own));
			await Promise.all(names.map((name) => check(name, doab)));
		};
		await round('before', assertServed);
		await own.stop();
		await round('during', assertTold);
		for (const name of ['during0.test', 'during1.test']) {
			await assertTold(name, doab);
		}
		own = await DnsServer.start(zone, { port });
		await round('after', assertServed);
		// What could not be found is forgotten after a moment.
		addDomain('during0.test', {}, own);
		await until(async () => (await create('during0.test', doab)).element.at('features'), 10000, 'a name that was asked for in vain');
		await own.stop();
	});

	testFault('two resolvers, of which one is dead, and then the other', { nResolvers: 2 }, async (doab, ports) => {
		const zone = { 'host.test': { A: ['127.0.0.1'] } };
		for (const [round, port] of [ports[1], ports[0], ports[1]].entries()) {
			const own = await DnsServer.start(zone, { port });
			const names = Array.from({ length: 3 }, (_, i) => `n${i}.round${round}.test`);
			names.forEach((name) => addDomain(name, {}, own));
			await Promise.all(names.map((name) => assertServed(name, doab)));
			await own.stop();
		}
	});
});
