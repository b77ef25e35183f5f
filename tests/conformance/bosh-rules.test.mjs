// XEP-0124 from the outside: acknowledgements, keys, pauses, the one request of a round trip, and what is too much. The rules are
// listed in tests/unit/gateway/bosh/test-bosh-session.c.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { configText } from '../support/doab.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until, untilRead } from '../support/util.mjs';
import { parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const WAIT_S = 8;
const INACTIVITY_S = 5;
const POLLING_S = 4; // within which a busy machine comes to the next request
const MAX_PAUSE_S = 20;
const MAX_REPEATS = 3;
const REPORT_MS = 1000; // younger answers are not reported missing
// What "at once" means here: less than a held request waits.
const SOON_MS = 6000;
const CONFIG = { wait: WAIT_S, hold: 2, inactivity: INACTIVITY_S, polling: POLLING_S, max_pause: MAX_PAUSE_S, max_repeats: MAX_REPEATS, linger: 0 };
let stage;
let patient; // where requests are held for longer than congest() looks on

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, CONFIG);
	patient = await Stage.open({ deaf: 'never-reading' }, { ...CONFIG, wait: 60 });
});
after(() => stopAll(stage, patient));

const message = (id) => `<message xmlns='jabber:client' id='${id}'/>`;
// A stanza that the scripted server answers with nothing.
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const idsOf = ({ element }) => element.children.map((child) => child.attributes.id);

async function session(attributes = {}, on = stage) {
	const client = new BoshClient(on.port);
	const created = await client.create('plain.test', attributes);
	if (!created.element.at('features')) {
		await client.features();
	}
	client.created = created.element.attributes;
	return { client, connection: await on.connectionOf('plain') };
}

async function withStage(config, use) {
	const own = await Stage.open({ plain: 'plain' }, { ...CONFIG, ...config });
	try {
		await use(own);
	} finally {
		await own.stop();
	}
}

async function assertOver(client, connection) {
	await connection.end();
	assert.equal((await client.request()).element.attributes.condition, 'item-not-found', 'the session is over');
}

// Acknowledgements.

test('acknowledgements: the creation answer names its own rid, to clients that acknowledge', TIMEOUT, async () => {
	const { client } = await session({ ack: 1 });
	assert.equal(client.created.ack, String(client.rid));
	for (const ack of [undefined, 0, 17]) {
		assert.equal((await session({ ack })).client.created.ack, undefined, `ack=${ack}`);
	}
});

test('acknowledgements: an answer names the highest rid behind which none is missing, if that is not its own', TIMEOUT, async () => {
	const { client, connection } = await session({ ack: 1, hold: 2 });
	const { rid } = client;
	const first = client.request(presence('a1'), { ack: rid });
	await connection.element('presence', ({ attributes }) => attributes.id === 'a1');
	const second = client.request(presence('a2'), { ack: rid });
	await connection.element('presence', ({ attributes }) => attributes.id === 'a2');
	connection.send('<message id="for-first"/>');
	const answer = await first;
	assert.deepEqual(idsOf(answer), ['for-first']);
	assert.equal(answer.element.attributes.ack, String(rid + 2));
	connection.send('<message id="for-second"/>');
	assert.equal((await second).element.attributes.ack, undefined, 'its own rid goes without saying');
});

test('acknowledgements: answers that were lost stay until they are acknowledged, more of them than requests', TIMEOUT, async () => {
	const { client, connection } = await session({ ack: 1, hold: 1 });
	const n = 6;
	const { rid } = client;
	assert.ok(n > 2 * Number(client.created.requests));
	for (let i = 0; i < n; i++) {
		await client.lose(message(`lost${i}`), { ack: rid });
	}
	const ids = [];
	for (let i = 0; i < n; i++) {
		const repeat = { rid: rid + 1 + i, ack: rid };
		const again = await client.request(message(`lost${i}`), repeat);
		assert.equal((await client.request(message(`lost${i}`), repeat)).text, again.text, 'the same, to the byte');
		ids.push(...idsOf(again));
	}
	// On a slow machine one of them was a report, and its payload came with the next.
	ids.push(...idsOf(await client.request(message('next'))));
	if (!ids.includes('next')) {
		ids.push(...idsOf(await client.request()));
	}
	assert.deepEqual(ids, [...Array.from({ length: n }, (_, i) => `lost${i}`), 'next']);
	assert.deepEqual(connection.elements.map((element) => element.attributes.id), ids, 'the server saw each once');
	// What has been acknowledged is gone.
	assertTerminated(await client.request(message('lost0'), { rid: rid + 1 }), 'item-not-found');
	await assertOver(client, connection);
});

test('without acknowledgements the answers to the last requests stay, and no others', TIMEOUT, async () => {
	const { client, connection } = await session({ hold: 1 });
	const { rid } = client;
	for (let i = 1; i <= 3; i++) {
		await client.lose(message(`k${i}`));
	}
	assert.deepEqual(idsOf(await client.request(message('k3'), { rid: rid + 3 })), ['k3']);
	assert.deepEqual(idsOf(await client.request(message('k2'), { rid: rid + 2 })), ['k2']);
	assertTerminated(await client.request(message('k1'), { rid: rid + 1 }), 'item-not-found');
	await assertOver(client, connection);
});

test('acknowledgements: an answer that has been missing for a while is reported at once, once, with its age', TIMEOUT, async () => {
	const { client } = await session({ ack: 1, hold: 1 });
	const { rid } = client;
	await client.lose(message('missing'), { ack: rid });
	await sleep(REPORT_MS + 300);
	const report = await client.request(presence('r'), { ack: rid });
	assert.ok(report.ms < SOON_MS, `reported after ${report.ms} ms`);
	assert.equal(report.element.attributes.report, String(rid + 1));
	assert.match(report.element.attributes.time, /^\d+$/);
	assert.ok(Number(report.element.attributes.time) >= REPORT_MS, `time=${report.element.attributes.time}`);
	const next = await client.request(message('unreported'), { ack: rid });
	assert.deepEqual(idsOf(next), ['unreported']);
	assert.equal(next.element.attributes.report, undefined, 'said once');
	assert.deepEqual(idsOf(await client.request(message('missing'), { rid: rid + 1 })), ['missing']);
});

// Keys.

const sha1 = (text) => createHash('sha1').update(text).digest('hex');

// K(1) ... K(n): pop() gives the next one to show.
function keySequence(n) {
	const keys = [sha1(randomBytes(20))];
	while (keys.length < n) {
		keys.push(sha1(keys.at(-1)));
	}
	return keys;
}

async function keyedSession(keys, attributes = {}) {
	return session({ newkey: keys.pop(), ...attributes });
}

test('keys: a sequence to its end, another one, and on', TIMEOUT, async () => {
	let keys = keySequence(10);
	const { client } = await keyedSession(keys);
	for (let i = 0; i < 40; i++) {
		const shown = { key: keys.pop() };
		if (keys.length === 0) {
			keys = keySequence(7);
			shown.newkey = keys.pop();
		}
		assert.deepEqual(idsOf(await client.request(message(`k${i}`), shown)), [`k${i}`]);
	}
});

test('keys: case does not matter where they are compared', TIMEOUT, async () => {
	const keys = keySequence(3);
	const { client } = await session({ newkey: keys.pop().toUpperCase() });
	assert.deepEqual(idsOf(await client.request(message('k'), { key: keys.pop() })), ['k']);
});

for (const [ver, status] of [['1.11', 200], [undefined, 404]]) {
	for (const [what, wrong] of [
		['a wrong key', () => ({ key: sha1('guessed') })],
		['no key', () => ({})],
		['the key of before', (keys, newkey) => ({ key: newkey })],
		['the key after the next', (keys) => ({ key: keys.at(-2) })],
		['what is no key', () => ({ key: 'x'.repeat(40) })],
		['a new sequence without the key of the old one', () => ({ newkey: sha1('own') })],
	]) {
		test(`keys: ${what} ends the session and does not reach the server (status ${status} with ver=${ver})`, TIMEOUT, async () => {
			const keys = keySequence(5);
			const newkey = keys.at(-1);
			const { client, connection } = await keyedSession(keys, { ver });
			assertTerminated(await client.request(presence('forged'), wrong(keys, newkey)), 'item-not-found', status);
			await assertOver(client, connection);
			assert.deepEqual(connection.elements, []);
		});
	}
}

test('keys: a repeat shows its own key again, and is answered', TIMEOUT, async () => {
	const keys = keySequence(5);
	const { client } = await keyedSession(keys);
	const key = keys.pop();
	await client.lose(message('lost'), { key });
	assert.deepEqual(idsOf(await client.request(message('lost'), { rid: client.rid, key })), ['lost']);
	assert.deepEqual(idsOf(await client.request(message('next'), { key: keys.pop() })), ['next']);
});

for (const [what, forged] of [['another key', { key: sha1('guessed') }], ['no key', {}]]) {
	test(`keys: a repeat with ${what} does not get the answer`, TIMEOUT, async () => {
		const keys = keySequence(5);
		const { client, connection } = await keyedSession(keys);
		await client.lose(message('secret'), { key: keys.pop() });
		const answer = await client.request(message('secret'), { rid: client.rid, ...forged });
		assertTerminated(answer, 'item-not-found');
		assert.doesNotMatch(answer.text, /secret/);
		await assertOver(client, connection);
	});

	test(`keys: a repeat with ${what} does not take the place of a held request`, TIMEOUT, async () => {
		const keys = keySequence(5);
		const { client, connection } = await keyedSession(keys);
		const held = client.request(presence('h'), { key: keys.pop() });
		await connection.element('presence');
		assertTerminated(await client.request('', { rid: client.rid, ...forged }), 'item-not-found');
		assert.equal((await held).element.attributes.type, 'terminate');
		await assertOver(client, connection);
	});
}

// Pauses.

test('pause: what is held is answered at once, nothing of the server\'s with it; then the client may be away', TIMEOUT, async () => {
	const { client, connection } = await session();
	assert.equal(client.created.maxpause, String(MAX_PAUSE_S));
	const held = client.request(presence('p1'));
	await connection.element('presence', ({ attributes }) => attributes.id === 'p1');
	const pause = client.request(presence('p2'), { pause: MAX_PAUSE_S });
	for (const answer of await Promise.all([held, pause])) {
		assert.ok(answer.ms < SOON_MS, `answered after ${answer.ms} ms`);
		assert.equal(answer.element.attributes.type, undefined, answer.text);
		assert.deepEqual(idsOf(answer), []);
	}
	await connection.element('presence', ({ attributes }) => attributes.id === 'p2');
	connection.send('<message id="while-away"/>');
	await sleep((INACTIVITY_S + 2) * 1000);
	assert.ok(!connection.hasEnded, 'longer than inactivity');
	// This request ends the pause.
	const started = Date.now();
	assert.deepEqual(idsOf(await client.request()), ['while-away']);
	await connection.end((INACTIVITY_S + 6) * 1000);
	assert.ok(Date.now() - started > (INACTIVITY_S - 1) * 1000, 'inactivity counts anew');
});

test('pause: what waits for the client does not come with the answer to a pause, but with the next', TIMEOUT, async () => {
	const { client, connection } = await session();
	await connection.send('<message id="waiting"/>');
	await untilRead(connection.socket);
	assert.deepEqual(idsOf(await client.request('', { pause: MAX_PAUSE_S })), []);
	assert.deepEqual(idsOf(await client.request()), ['waiting']);
});

test('pause: it ends after the time that was asked for', TIMEOUT, async () => {
	const seconds = INACTIVITY_S + 3;
	const { client, connection } = await session();
	const started = Date.now();
	await client.request('', { pause: seconds });
	await connection.end((seconds + 6) * 1000);
	assert.ok(Date.now() - started > (seconds - 1) * 1000, `ended after ${Date.now() - started} ms`);
	await assertOver(client, connection);
});

test('pause: longer than was offered is a policy-violation', TIMEOUT, async () => {
	const { client, connection } = await session();
	assertTerminated(await client.request(presence('p'), { pause: MAX_PAUSE_S + 1 }), 'policy-violation');
	await assertOver(client, connection);
	assert.deepEqual(connection.elements, []);
	const legacy = await session({ ver: undefined });
	assertTerminated(await legacy.client.request('', { pause: MAX_PAUSE_S + 1 }), 'policy-violation', 403);
});

test('pause: where none is offered, to ask for one is a policy-violation', TIMEOUT, async () => {
	await withStage({ max_pause: 0 }, async (own) => {
		const { client } = await session({}, own);
		assert.equal(client.created.maxpause, undefined);
		assertTerminated(await client.request('', { pause: 1 }), 'policy-violation');
	});
});

// One request a round trip.

test('linger: with a held request a round trip takes one request, and the newer one stays held', TIMEOUT, async () => {
	await withStage({ linger: 1000 }, async (own) => {
		const { client, connection } = await session({}, own);
		const { rid } = client;
		const n = 10;
		let held = client.request();
		for (let i = 0; i < n; i++) {
			const newer = client.request(message(`trip${i}`));
			assert.deepEqual(idsOf(await held), [`trip${i}`]);
			held = newer;
		}
		assert.equal(client.rid - rid, n + 1, 'one request for each, and the one that is held');
		assert.equal(await Promise.race([held, sleep(1500)]), undefined, 'still held');
		connection.send('<message id="later"/>');
		assert.deepEqual(idsOf(await held), ['later']);
	});
});

test('linger: what the server does not answer releases the held request after that moment', TIMEOUT, async () => {
	await withStage({ linger: 1000 }, async (own) => {
		const { client, connection } = await session({}, own);
		const held = client.request();
		const newer = client.request(presence('l'));
		const released = await held;
		assert.ok(released.ms < SOON_MS, `released after ${released.ms} ms`);
		assert.deepEqual(idsOf(released), []);
		connection.send('<message id="later"/>');
		assert.deepEqual(idsOf(await newer), ['later']);
	});
});

test('linger: a client that goes on is not kept waiting, and breaks no rule', TIMEOUT, async () => {
	await withStage({ linger: 1000 }, async (own) => {
		const { client, connection } = await session({}, own);
		const requests = [client.request()];
		for (let i = 0; i < 5; i++) {
			requests.push(client.request(presence(`g${i}`)));
			await connection.element('presence', ({ attributes }) => attributes.id === `g${i}`);
		}
		connection.send('<message id="later"/>');
		const answers = await Promise.all(requests.slice(0, -1));
		assert.deepEqual(answers.map((answer) => answer.element.attributes.type), answers.map(() => undefined));
		const ids = answers.flatMap(idsOf);
		// What came early might come again.
		const last = await (ids.includes('later') ? Promise.race([requests.at(-1), sleep(1500)]) : requests.at(-1));
		assert.deepEqual([...ids, ...(last ? idsOf(last) : [])], ['later']);
	});
});

test('linger: the moment is one, however little else happens: a client that only sends is not kept for seconds', TIMEOUT, async () => {
	const n = 20;
	await withStage({ linger: 10 }, async (own) => {
		const { client } = await session({}, own);
		const started = Date.now();
		let held = client.request();
		for (let i = 0; i < n; i++) {
			const newer = client.request(presence(`s${i}`));
			assert.deepEqual(idsOf(await held), []);
			held = newer;
		}
		const ms = Date.now() - started;
		assert.ok(ms < n * 500, `${n} requests that no reply came to took ${ms} ms`);
	});
});

test('linger: each session has its own moment, also beside those that end and those with another one', TIMEOUT, async () => {
	await withStage({ linger: 1000, workers: 1 }, async (own) => {
		const slow = await Promise.all(Array.from({ length: 4 }, () => session({}, own)));
		writeFileSync(path.join(own.doab.folder, 'doab.conf'), configText({ ...own.doab.config, linger: 20 }));
		own.doab.child.kill('SIGHUP');
		await own.doab.logged('reloaded');
		const quick = await Promise.all(Array.from({ length: 4 }, () => session({}, own)));
		const order = [];
		const begin = async (name, { client }) => {
			const held = client.request();
			client.request(presence(name));
			assert.deepEqual(idsOf(await held), []);
			order.push(name);
		};
		// They begin in turn; the last of either kind ends while its request lingers.
		const all = slow.slice(0, 3).flatMap((one, i) => [begin('slow', one), begin('quick', quick[i])]);
		await Promise.all([slow[3], quick[3]].map(({ client }) => {
			client.request();
			client.request(presence('end'));
			return client.request('', { type: 'terminate' });
		}));
		await Promise.all(all);
		assert.deepEqual(order, ['quick', 'quick', 'quick', 'slow', 'slow', 'slow']);
	});
});

test('linger = 0: the held request is released empty, and the reply comes with the newer one', TIMEOUT, async () => {
	const { client } = await session();
	let held = client.request();
	for (let i = 0; i < 5; i++) {
		const newer = client.request(message(`trip${i}`));
		assert.deepEqual(idsOf(await held), []);
		assert.deepEqual(idsOf(await newer), [`trip${i}`]);
		held = client.request();
	}
});

// Too much.

for (const [ver, status] of [['1.11', 200], [undefined, 403]]) {
	const over = (answer) => assertTerminated(answer, 'policy-violation', status);
	const title = `(status ${status} with ver=${ver})`;

	test(`overactivity: an empty request too soon behind another empty one, with as many as requests under way ${title}`, TIMEOUT, async () => {
		const { client, connection } = await session({ ver, hold: 1 });
		const held = client.request();
		const second = client.request();
		over(await second);
		assert.equal((await held).element.attributes.type, 'terminate');
		await assertOver(client, connection);
	});

	test(`overactivity: more requests under way than requests; one more may pause or terminate ${title}`, { timeout: patiently(120000) }, async () => {
		await Promise.all([undefined, { pause: 5 }, { type: 'terminate' }].map(async (more) => {
			const client = new BoshClient(patient.port);
			await client.login('deaf.test', { ver, hold: 1, ack: undefined });
			const held = await congest(client);
			const answer = await client.request(presence('more'), more);
			if (more) {
				const answers = await Promise.all([...held, answer]);
				assert.deepEqual(answers.map((each) => each.status), [200, 200, 200], answers.map((each) => each.text).join('\n'));
				assert.deepEqual(answers.map((each) => each.element.attributes.type), [more.type, undefined, undefined]);
			} else {
				over(answer);
			}
		}));
	});

	test(`polling: empty requests too often, of which the first was told nothing ${title}`, TIMEOUT, async () => {
		const client = new BoshClient(stage.port);
		const nBefore = stage.servers.plain.connections.length;
		await client.create('plain.test', { ver, hold: 0 });
		const connection = await stage.servers.plain.connection(nBefore);
		await until(() => connection.socket.bytesWritten > 0, 15000, 'the features');
		await connection.writes;
		await untilRead(connection.socket);
		assert.ok((await client.request()).element.at('features'), 'the creation answer could not wait for them');
		// One that was told something may be followed by another at once, and so may one that carried something.
		await connection.send('<message id="polled"/>');
		await untilRead(connection.socket);
		assert.deepEqual(idsOf(await client.request()), ['polled']);
		assert.equal((await client.request()).element.attributes.type, undefined);
		assert.equal((await client.request(presence('p'))).element.attributes.type, undefined);
		assert.equal((await client.request()).element.attributes.type, undefined);
		over(await client.request());
		await assertOver(client, connection);
	});

	test(`repeats of a held request above max_repeats ${title}`, TIMEOUT, async () => {
		const { client, connection } = await session({ ver });
		let held = client.request(presence('h'));
		await connection.element('presence');
		for (let i = 0; i < MAX_REPEATS; i++) {
			const repeat = client.request(presence('h'), { rid: client.rid });
			assert.equal((await held).element.attributes.type, 'error');
			held = repeat;
		}
		over(await client.request(presence('h'), { rid: client.rid }));
		assert.equal((await held).element.attributes.type, 'terminate');
		await assertOver(client, connection);
		assert.equal(connection.elements.length, 1);
	});

	test(`repeats of an answered request above max_repeats ${title}`, TIMEOUT, async () => {
		const { client, connection } = await session({ ver });
		await client.request(message('r'));
		for (let i = 0; i < MAX_REPEATS; i++) {
			assert.deepEqual(idsOf(await client.request(message('r'), { rid: client.rid })), ['r']);
		}
		over(await client.request(message('r'), { rid: client.rid }));
		await assertOver(client, connection);
	});

	test(`repeats of a request before its turn above max_repeats ${title}`, TIMEOUT, async () => {
		const { client, connection } = await session({ ver });
		const early = { rid: client.rid + 2 };
		let waiting = client.request(presence('e'), early);
		await stage.doab.hasRequest(client, early.rid);
		for (let i = 0; i < MAX_REPEATS; i++) {
			const repeat = client.request(presence('e'), early);
			assert.equal((await waiting).element.attributes.type, 'error');
			waiting = repeat;
		}
		over(await client.request(presence('e'), early));
		assert.equal((await waiting).element.attributes.type, 'terminate');
		await assertOver(client, connection);
		assert.deepEqual(connection.elements, []);
	});
}

test('overactivity: a stanza that the server does not answer, and an empty request at once behind it, again and again', TIMEOUT, async () => {
	const { client, connection } = await session({ hold: 1 });
	for (let i = 0; i < 5; i++) {
		const sent = client.request(presence(`o${i}`));
		const empty = client.request();
		assert.equal((await sent).element.attributes.type, undefined);
		await connection.element('presence', ({ attributes }) => attributes.id === `o${i}`);
		connection.send(`<message id="for${i}"/>`);
		assert.deepEqual(idsOf(await empty), [`for${i}`]);
	}
});

// On one connection, so that the requests arrive in their order; with a long `polling`, so that the excuses do not run out while
// the machine is busy.
test('overactivity: a stanza excuses one empty request more than allowed', TIMEOUT, () => withStage({ polling: 60, inactivity: 120 }, async (own) => {
	const { client } = await session({ hold: 1 }, own);
	for (let i = 0; i < 3; i++) {
		assert.deepEqual(idsOf(await client.request(message(`x${i}`))), [`x${i}`]);
	}
	const http = await HttpConnection.open(own.port);
	const next = () => {
		const body = client.bodyText({ rid: ++client.rid, sid: client.sid });
		return HttpConnection.requestHead('POST', '/http-bind', { 'Content-Length': body.length }) + body;
	};
	const answer = async () => {
		const response = await http.response();
		return { ...response, element: parse(response.text) };
	};
	http.write(Array.from({ length: 4 }, next).join(''));
	for (let i = 0; i < 3; i++) {
		assert.equal((await answer()).element.attributes.type, undefined);
	}
	http.write(next());
	assertTerminated(await answer(), 'other-request');
	assertTerminated(await answer(), 'policy-violation');
	http.close();
}));

test('overactivity: a client whose held request broke sends another one at once', TIMEOUT, async () => {
	const { client, connection } = await session({ hold: 1 });
	for (let i = 0; i < 3; i++) {
		const held = client.request();
		await stage.doab.hasRequest(client);
		await held.breakOff();
	}
	const held = client.request();
	connection.send('<message id="found"/>');
	assert.deepEqual(idsOf(await held), ['found']);
});

test('overactivity: so it is where the connection of the next is another worker\'s, and the news of the broken one comes later', TIMEOUT, async () => {
	await withStage({ workers: 3 }, async (own) => {
		const breakOnce = async () => {
			const client = new BoshClient(own.port, { connection: 'fresh' });
			await client.create('plain.test');
			const held = client.request();
			await own.doab.hasRequest(client);
			held.abort();
			const next = await Promise.race([client.request(), sleep(1500)]);
			assert.equal(next?.element.attributes.type, undefined, next?.text);
		};
		// A few at a time: the news waits behind all that the workers have to do.
		await Promise.all(Array.from({ length: 6 }, async () => {
			for (let i = 0; i < 3; i++) {
				await breakOnce();
			}
		}));
	});
});

test('overactivity: a client that comes from another address, its held request on a network that is gone', TIMEOUT, async () => {
	await withStage({ trusted_proxies: ['127.0.0.1'] }, async (own) => {
		const { client, connection } = await session({ hold: 1 }, own);
		// Nothing says that the connections of the held ones are dead: they stay open.
		let held = client.request();
		for (let i = 1; i <= 3; i++) {
			client.headers['X-Forwarded-For'] = `192.0.2.${i}`;
			const next = client.request();
			assert.equal((await held).element.attributes.type, undefined);
			held = next;
		}
		connection.send('<message id="found"/>');
		assert.deepEqual(idsOf(await held), ['found']);
		// From one address it is as it was.
		held = client.request();
		assertTerminated(await client.request(), 'policy-violation');
	});
});

// Longer than a busy machine takes for a request that a server reads.
const CONGESTED_MS = 5000;

// Sends until the server, which does not read, makes the gateway keep two requests. Resolves with their promises.
async function congest(client) {
	const large = `<message xmlns='jabber:client'><body>${'x'.repeat(250000)}</body></message>`;
	let previous = client.request(large);
	for (let i = 0; i < 500; i++) {
		const next = client.request(large);
		if (!await Promise.race([previous, sleep(CONGESTED_MS)])) {
			return [previous, next];
		}
		previous = next;
	}
	throw new Error('a hundred megabytes went somewhere');
}
