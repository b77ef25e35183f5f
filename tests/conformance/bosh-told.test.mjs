// What ends a BOSH session says which rule was broken: to the client in <text/>, to the operator in the log. The rules are listed in
// gateway/bosh/rule.h.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const BODY_BYTES = 262144;
const MAX_REPEATS = 2;
const MAX_PAUSE_S = 20;
const INACTIVITY_S = 5; // the least that may be configured
const N_LOGGED = 6; // characters of a sid that the log shows
const CONFIG = { wait: 8, polling: 2, linger: 0, max_repeats: MAX_REPEATS, max_pause: MAX_PAUSE_S, body_bytes: BODY_BYTES,
	sessions_per_address: 1000, log_level: 'debug' };
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, CONFIG);
});
after(() => stopAll(stage));

const wordsOf = ({ element }) => element.children.filter(({ ns, name }) => ns === NS.errors && name === 'text').map(({ text }) => text);

async function session(attributes = {}, on = stage) {
	const client = new BoshClient(on.port);
	await client.create('plain.test', attributes);
	return client;
}

// @answer ends its session because of @rule.
async function assertTold(client, answer, [rule, condition, words], { on = stage, status = 200 } = {}) {
	assertTerminated(answer, condition, status);
	assert.equal(wordsOf(answer).length, 1, answer.text);
	assert.match(wordsOf(answer)[0], words);
	const fields = { rule, client: '127.0.0.1', transport: 'bosh', domain: 'plain.test', session: client.sid.slice(0, N_LOGGED) };
	await on.doab.logged('session-ended', fields);
	assert.equal(on.doab.events.filter(({ event, session: sid }) => event === 'session-ended' && sid === fields.session).length, 1);
	await on.doab.logged('session-closed', { session: fields.session });
	assert.ok(!on.doab.log.includes(client.sid), 'no whole sid in the log');
}

const message = (id, text = '') => `<message xmlns='jabber:client' id='${id}'>${text}</message>`;
const vcard = (n) => `<iq xmlns='jabber:client' type='set' id='v'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>${'A'.repeat(n)}</BINVAL></PHOTO></vCard></iq>`;

const POLICY = 'policy-violation';
const NOT_FOUND = 'item-not-found';
const BROKEN = {
	'what is no XML': [['not-understood', 'bad-request', /not a BOSH body/],
		(client) => client.post(`${client.bodyText({ rid: ++client.rid, sid: client.sid }).slice(0, -2)}><a></b></body>`)],
	'no rid': [['no-rid', 'bad-request', /has no rid/], (client) => client.post(client.bodyText({ sid: client.sid }))],
	'a vCard of 257 KB': [['body-too-large', POLICY, /larger than this gateway accepts/], (client) => client.request(vcard(257 * 1024))],
	'one byte too many': [['body-too-large', POLICY, /larger than this gateway accepts/], (client) => {
		const n = client.bodyText({ rid: client.rid + 1, sid: client.sid }, message('n')).length;
		return client.request(message('n', 'x'.repeat(BODY_BYTES + 1 - n)));
	}],
	'elements nested too deeply': [['body-too-complex', POLICY, /nested too deeply/],
		(client) => client.request(`<message xmlns='jabber:client'>${'<a>'.repeat(1000)}${'</a>'.repeat(1000)}</message>`)],
	'an attribute that is too long': [['body-too-complex', POLICY, /too long/], (client) => client.request('', { stream: 'x'.repeat(2049) })],
	'a rid above the window': [['rid-window', NOT_FOUND, /above the window/], (client) => client.request('', { rid: client.rid + 10 })],
	'a rid whose response is gone': [['response-dropped', NOT_FOUND, /no longer kept/], (client) => client.request('', { rid: client.rid - 1 })],
	'a wrong key': [['key-mismatch', NOT_FOUND, /key sequence/], (client) => client.request('', { key: 'a'.repeat(40) }),
		{ newkey: 'b'.repeat(40) }],
	'two empty requests at once': [['polling-too-often', POLICY, /polling interval/], (client) => {
		client.others = [client.request()];
		return client.request();
	}],
	'two empty requests at once, polling': [['polling-too-often', POLICY, /polling interval/], async (client) => {
		for (;;) {
			const answer = await client.request();
			if (answer.element.attributes.type) {
				return answer;
			}
		}
	}, { hold: 0 }],
	'a request repeated too often': [['too-many-repeats', POLICY, /repeated too often/], async (client) => {
		const { rid } = client;
		for (let i = 0; i < MAX_REPEATS; i++) {
			assert.equal((await client.request('', { rid })).element.attributes.type, undefined);
		}
		return client.request('', { rid });
	}],
	'a pause that is too long': [['pause-too-long', POLICY, /pause is longer/], (client) => client.request('', { pause: MAX_PAUSE_S + 1 })],
	'a stream of no name': [['stream-unknown', NOT_FOUND, /no open stream/], async (client) => {
		await client.request('', { to: 'plain.test' });
		return client.request(message('m'), { stream: 'nobody' });
	}],
};

for (const [what, [rule, provoke, attributes]] of Object.entries(BROKEN)) {
	test(`told and logged: ${what}`, TIMEOUT, async () => {
		const client = await session(attributes);
		await assertTold(client, await provoke(client), rule);
		for (const other of client.others ?? []) {
			const answer = await other;
			assertTerminated(answer, 'other-request');
			assert.match(wordsOf(answer)[0], new RegExp(`another request.*${rule[2].source}`));
		}
		client.close();
	});
}

test('told and logged: as many bytes as are allowed are no offence', TIMEOUT, async () => {
	const client = await session();
	const n = client.bodyText({ rid: client.rid + 1, sid: client.sid }, message('n')).length;
	const answer = await client.request(message('n', 'x'.repeat(BODY_BYTES - n)));
	assert.equal(answer.element.children[0].attributes.id, 'n');
	client.close();
});

test('told and logged: to a client without ver, with the status of its condition', TIMEOUT, async () => {
	const client = await session({ ver: undefined });
	await assertTold(client, await client.request('', { rid: client.rid + 10 }), ['rid-window', NOT_FOUND, /window/], { status: 404 });
	client.close();
});

test('told and logged: a pause where none is offered, a request whose predecessor does not come', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { ...CONFIG, max_pause: 0, inactivity: INACTIVITY_S });
	try {
		const pausing = await session({}, own);
		await assertTold(pausing, await pausing.request('', { pause: 1 }), ['pause-not-offered', POLICY, /does not offer pauses/], { on: own });
		const early = await session({}, own);
		await assertTold(early, await early.request('', { rid: early.rid + 2 }), ['inactivity', NOT_FOUND, /did not arrive in time/], { on: own });
		pausing.close();
		early.close();
	} finally {
		await own.stop();
	}
});

test('told without a session: the same of one that never was, of one that is over, and of somebody else\'s', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { ...CONFIG, trusted_proxies: ['127.0.0.1'], session_bound_to_address: true });
	try {
		const from = (address) => ({ headers: { 'X-Forwarded-For': address } });
		const guarded = new BoshClient(own.port, from('192.0.2.1'));
		await guarded.create('plain.test');
		const over = new BoshClient(own.port, from('192.0.2.1'));
		await over.create('plain.test');
		await over.terminate();
		const stranger = new BoshClient(own.port, from('192.0.2.2'));
		const answers = [];
		for (const sid of [guarded.sid, over.sid, `${guarded.sid.slice(0, -1)}_`, 'x', '']) {
			answers.push((await stranger.request('', { sid })).text);
		}
		assert.equal(new Set(answers).size, 1, answers.join('\n'));
		assert.match(answers[0], /item-not-found.*there is no session of that sid/);
		await own.doab.logged('request-refused', { rule: 'sid-unknown', client: '192.0.2.2' });
		assert.equal((await guarded.request(message('on'))).element.children.at(-1).attributes.id, 'on');
		[guarded, over, stranger].forEach((client) => client.close());
	} finally {
		await own.stop();
	}
});

test('told without a session: a creation that has no rid, a rid without room, no XML', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	for (const [bytes, rule, words] of [
		[client.bodyText({ to: 'plain.test', ver: '1.6' }), 'no-rid', /has no rid/],
		[client.bodyText({ rid: Number.MAX_SAFE_INTEGER, to: 'plain.test', ver: '1.6' }), 'rid-too-large', /no room/],
		['<body', 'not-understood', /not a BOSH body/],
	]) {
		const answer = await client.post(bytes);
		assertTerminated(answer, 'bad-request');
		assert.match(wordsOf(answer)[0], words);
		await stage.doab.logged('request-refused', { rule, client: '127.0.0.1' });
	}
	client.close();
});
