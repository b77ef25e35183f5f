// Admission: whatever is refused, both transports tell the client the same, and leave the same log line and
// the same counter.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const DOMAINS = { 'denied.test': { deny: true }, 'gone.test': { gone: true } };
const stages = [];
let stage;
let n_clients = 0;

async function open(config = {}, section = undefined) {
	const own = await Stage.open({ plain: section ? { script: 'plain', section } : 'plain' },
		{ trusted_proxies: ['127.0.0.1'], domains: DOMAINS, ...config });
	stages.push(own);
	return own;
}

before(async () => {
	stage = await open();
});
after(() => stopAll(...stages));

// Each has its own number of sessions and of log lines.
const newClient = () => `198.51.100.${++n_clients}`;
const headersOf = (client) => ({ 'X-Forwarded-For': client });
const boshOf = (on, client) => new BoshClient(on.port, { headers: headersOf(client) });

const TRANSPORTS = {
	bosh: {
		async enter(on, client, to) {
			assert.ok((await boshOf(on, client).create(to)).element.at('features'));
		},
		// Resolves with what the client is told.
		async ask(on, client, to, condition) {
			const answer = await boshOf(on, client).create(to);
			assertTerminated(answer, condition);
			assert.equal(answer.element.attributes.sid, undefined);
			return answer.element.text;
		},
	},
	websocket: {
		async enter(on, client, to) {
			const socket = await openWebSocket(on.port, { headers: headersOf(client) });
			assert.equal((await socket.start(to)).features.name, 'features');
		},
		async ask(on, client, to, condition) {
			const socket = await openWebSocket(on.port, { headers: headersOf(client) });
			socket.send(`<open xmlns='${NS.framing}' version='1.0'${to === undefined ? '' : ` to='${to}'`}/>`);
			const error = await assertStreamError(socket, condition, { open: true });
			socket.drop();
			return error.at('text').text;
		},
	},
};

async function counters(doab) {
	await doab.readLog();
	const { time, ...counts } = doab.events.filter(({ event }) => event === 'failures').at(-1);
	return counts;
}

// Has @client refused by @ask. Returns what there is to compare: the client's text and the log line. There is no other line
// about the client, and no other counter has moved.
async function refuse(on, client, failure, ask) {
	const before = await counters(on.doab);
	const n_before = on.doab.events.length;
	const text = await ask();
	const after = await counters(on.doab);
	assert.deepEqual(after, { ...before, [failure]: String(Number(before[failure] ?? 0) + 1) });
	const lines = on.doab.events.slice(n_before).filter((line) => line.client === client);
	assert.equal(lines.length, 1, JSON.stringify(lines));
	const { time, transport, client: of, ...line } = lines[0];
	assert.equal(line.event, 'session-refused');
	assert.equal(line.failure, failure);
	return { text, line, transport };
}

// failure: [to, condition, text for the client, domain and detail in the log]
const REFUSALS = {
	'domain-missing': [undefined, 'improper-addressing', /needs a 'to'$/],
	'domain-malformed': ['no domain', 'host-unknown', /not the name of a domain: no domain$/, undefined, 'no domain'],
	'domain-refused': ['denied.test', 'host-unknown', /does not serve that domain$/, 'denied.test'],
	'domain-gone': ['GONE.test', 'host-gone', /no longer served: gone\.test$/, 'gone.test'],
};

for (const [failure, [to, condition, words, domain, detail]] of Object.entries(REFUSALS)) {
	test(`${failure}: over BOSH and WebSocket alike`, TIMEOUT, async () => {
		const found = [];
		for (const [name, { ask }] of Object.entries(TRANSPORTS)) {
			const client = newClient();
			const { transport, ...result } = await refuse(stage, client, failure, () => ask(stage, client, to, condition));
			assert.equal(transport, name);
			found.push(result);
		}
		assert.match(found[0].text, words);
		assert.equal(found[0].line.domain, domain);
		assert.equal(found[0].line.detail, detail);
		assert.deepEqual(found[0], found[1]);
	});
}

// what: [configuration, the domain's section, how many sessions there may be, whether all are of one client, detail in the log, text]
const FULL = {
	'of one client': [{ sessions_per_address: 2 }, undefined, 2, true, 'of this client', /too many sessions$/],
	'in all': [{ max_sessions: 2 }, undefined, 2, false, 'in all', /too many sessions$/],
	'to a domain': [{}, { tls: 'off', max_sessions: 2 }, 2, false, 'to this domain', /too many sessions: plain\.test$/],
};

for (const [what, [config, section, n, isOneClient, detail, words]] of Object.entries(FULL)) {
	for (const [name, { enter }] of Object.entries(TRANSPORTS)) {
		test(`too many sessions ${what}: ${n} over ${name} are served, and one more over neither`, TIMEOUT, async () => {
			const own = await open(config, section);
			const client = newClient();
			for (let i = 0; i < n; i++) {
				await enter(own, isOneClient ? client : newClient(), 'plain.test');
			}
			const found = [];
			for (const { ask } of Object.values(TRANSPORTS)) {
				const next = isOneClient ? client : newClient();
				const { transport, ...result } = await refuse(own, next, 'too-many-sessions',
					() => ask(own, next, 'plain.test', 'policy-violation'));
				found.push(result);
			}
			assert.match(found[0].text, words);
			assert.equal(found[0].line.domain, 'plain.test');
			assert.equal(found[0].line.detail, detail);
			assert.deepEqual(found[0], found[1]);
		});
	}
}

// What only BOSH has. A legacy client (without `ver`) is told by the HTTP status as well.
const BOSH_REFUSALS = {
	'route-refused': [{ route: 'xmpp:127.0.0.1:5269' }, 'host-unknown', 200, /does not take that 'route'/, 'xmpp:127.0.0.1:5269'],
	'route-malformed': [{ route: 'http://plain.test' }, 'bad-request', 400, /not of the form/, 'http://plain.test'],
};

for (const [failure, [attributes, condition, status, words, detail]] of Object.entries(BOSH_REFUSALS)) {
	test(`${failure}: a line and a counter, also for a legacy client`, TIMEOUT, async () => {
		for (const ver of ['1.11', undefined]) {
			const client = newClient();
			const { text, line } = await refuse(stage, client, failure, async () => {
				const bosh = boshOf(stage, client);
				const answer = await bosh.post(bosh.bodyText({ rid: 1, to: 'plain.test', ver, ...attributes }));
				assertTerminated(answer, condition, ver ? 200 : status);
				return answer.element.text;
			});
			assert.match(text, words);
			assert.equal(line.domain, 'plain.test');
			assert.equal(line.detail, detail);
		}
	});
}

test('see-other-uri: a line and a counter; a WebSocket is not sent away, because the URI is for BOSH', TIMEOUT, async () => {
	const uri = 'https://chat.plain.test/http-bind';
	const own = await open({ see_other_uri: uri });
	const client = newClient();
	const { line } = await refuse(own, client, 'see-other-uri', async () => {
		const answer = await boshOf(own, client).create('plain.test');
		assertTerminated(answer, 'see-other-uri');
		assert.equal(answer.element.at('uri').text, uri);
	});
	assert.equal(line.detail, uri);
	await TRANSPORTS.websocket.enter(own, newClient(), 'plain.test');
});

// Without a `to` a request asks for no stream.
for (const [failure, [to, condition, words, domain, detail]] of Object.entries(REFUSALS).filter(([, [to]]) => to)) {
	test(`${failure}: a further stream of a session alike, and the session goes on`, TIMEOUT, async () => {
		const client = newClient();
		const session = boshOf(stage, client);
		await session.create('plain.test');
		const { text, line } = await refuse(stage, client, failure, async () => {
			const { element } = await session.request('', { to, 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0' });
			const answer = element.attributes.condition ? element : (await session.request()).element;
			assert.equal(answer.attributes.condition, condition);
			return answer.text;
		});
		assert.match(text, words);
		assert.equal(line.domain, domain);
		assert.equal(line.detail, detail);
		assert.ok(session.sid.startsWith(line.session) && line.session.length === 6, line.session);
		await session.terminate();
		await stage.doab.logged('session-closed', { client });
	});
}

// A WebSocket that was there already when the gateway began to end, and asks for a session then.
test('system-shutdown: a line and a counter', TIMEOUT, async () => {
	const client = newClient();
	const own = await Stage.open({ plain: 'plain' }, { drain_timeout: 3600, trusted_proxies: ['127.0.0.1'] });
	const { doab } = own;
	await TRANSPORTS.websocket.enter(own, newClient(), 'plain.test'); // a session that delays the end
	const late = await openWebSocket(own.port, { headers: headersOf(client) });
	doab.child.kill('SIGTERM');
	await doab.logged('stopping');
	await until(() => httpRequest(own.port, 'GET', '/').then(() => false, () => true), 15000, 'a closed listener');
	late.send(`<open xmlns='${NS.framing}' version='1.0' to='plain.test'/>`);
	await assertStreamError(late, 'system-shutdown', { open: true });
	late.drop();
	const { failure, transport } = await doab.logged('session-refused', { client });
	assert.deepEqual([failure, transport], ['system-shutdown', 'websocket']);
	await own.stop(); // the second signal ends the session
	assert.equal(doab.events.find(({ event }) => event === 'failures')['system-shutdown'], '1');
});
