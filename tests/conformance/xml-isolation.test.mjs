// What one client or one server sends has no effect on the sessions of others, which share a
// worker, its XML parsers and its coders. An attacker at one address repeats each attack; a victim
// at another opens sessions and exchanges stanzas over both transports.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import zlib from 'node:zlib';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { OPCODE } from '../support/ws.mjs';
import { NS, parse } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const ATTACKER = '127.0.0.2';
const VICTIM = '127.0.0.3';
const PROXY = '127.0.0.4';
const DOMAINS = ['whole.test', 'split.test']; // the second server sends byte by byte
// Sections where an element belongs, which expat reports late or not at all; and halves of tokens.
const SECTIONS = ['<![CDATA[', '<![CDATA[ ', '<![CDATA[]]>', '<![CDATA[ ]]>', '<![CDATA[<a/>'];
const HALVES = ['<', '<!', '<![CDATA', ']', '&#32', '<a'];
const BAD = [...SECTIONS, ...HALVES];
const BODY = `<body xmlns='${NS.httpbind}' rid='5' sid='nosuch'/>`;

let stage;
let standing;

const evil = (text) => [{ await: 'header' }, { header: true, features: '<stream:features/>' },
	{ send: text }, { serve: true }];

before(async () => {
	const evils = Object.fromEntries(SECTIONS.map((text, i) => [`evil${i}`, evil(text)]));
	stage = await Stage.open({ whole: 'plain', split: 'split-bytes', ...evils },
		{ workers: 1, sessions_per_address: 1000, trusted_proxies: [PROXY], compression: true });
	standing = await Promise.all(DOMAINS.map(async (domain) => ({
		bosh: await openBosh(domain), socket: await openSocket(domain) })));
});
after(async () => {
	await stopAll(stage);
	assertUnblamed();
});
afterEach(assertUnblamed);

function assertUnblamed() {
	const isNews = (line) => !['session-open', 'session-ready', 'session-closed'].includes(line.event);
	const blamed = stage.doab.events.filter((line) => line.client === VICTIM && isNews(line));
	assert.deepEqual(blamed, [], 'the log blames the victim');
}

const boshFrom = (address) => new BoshClient(stage.port,
	{ connection: new http.Agent({ keepAlive: true, noDelay: true, localAddress: address }) });

async function openBosh(domain) {
	const client = boshFrom(VICTIM);
	await client.login(domain);
	return client;
}

async function openSocket(domain) {
	const socket = await openWebSocket(stage.port, { from: VICTIM });
	await socket.login(domain);
	return socket;
}

const randomId = () => `echo-${Math.random()}`;

async function echoBosh(client) {
	const id = randomId();
	const sent = `<message xmlns='jabber:client' id='${id}'><body>ä</body></message>`;
	await client.exchange(sent, (element) => element.attributes.id === id);
}

// The message goes in two fragments; @between runs while the gateway has one of them.
async function echoSocket(socket, between = async () => {}) {
	const id = randomId();
	socket.frame(OPCODE.text, `<message xmlns='jabber:client' id='${id}'><bo`, { fin: false });
	await between();
	socket.frame(OPCODE.continuation, 'dy><![CDATA[</message>]]></body></message>');
	assert.equal((await socket.next()).attributes.id, id);
}

async function wholeBosh(domain) {
	const client = await openBosh(domain);
	await echoBosh(client);
	const answer = await client.terminate();
	assert.equal(answer.element.attributes.condition, undefined, answer.text);
	client.close();
}

async function wholeSocket(domain) {
	const socket = await openSocket(domain);
	await echoSocket(socket);
	assert.equal((await socket.finish()).code, 1000);
}

// All that the victim does, with the attack before each step, beside it, and between two fragments.
async function work(attack) {
	const steps = DOMAINS.flatMap((domain, i) => [
		() => echoBosh(standing[i].bosh),
		() => echoSocket(standing[i].socket, attack),
		() => wholeBosh(domain),
		() => wholeSocket(domain),
	]);
	for (const step of steps) {
		await attack();
		await Promise.all([attack(), step()]);
	}
}

// Each call of the attack takes the next text of the list.
function inTurn(texts, attack) {
	let n = 0;
	return () => attack(texts[n++ % texts.length]);
}

test('a WebSocket message before <open/>', TIMEOUT, () => work(inTurn(BAD, async (text) => {
	const socket = await openWebSocket(stage.port, { from: ATTACKER });
	socket.send(text);
	await assertStreamError(socket, 'not-well-formed');
	socket.drop();
})));

test('a WebSocket message of an open stream', TIMEOUT, () => work(inTurn(BAD, async (text) => {
	const socket = await openWebSocket(stage.port, { from: ATTACKER });
	await socket.start('whole.test');
	socket.send(text);
	await assertStreamError(socket, 'not-well-formed', { open: false });
	socket.drop();
})));

test('a WebSocket message that never ends', TIMEOUT, () => work(inTurn(HALVES, async (text) => {
	const socket = await openWebSocket(stage.port, { from: ATTACKER });
	socket.frame(OPCODE.text, text, { fin: false });
	socket.drop();
})));

async function postBad(bytes) {
	const client = boshFrom(ATTACKER);
	const answer = await client.post(bytes);
	assert.equal(answer.element.attributes.condition, 'bad-request', answer.text);
	client.close();
}

test('behind a <body/> of no session', TIMEOUT, () => work(inTurn(BAD, (text) => postBad(BODY + text))));

test('behind a <body/> that asks for a session', TIMEOUT, async () => {
	const nBefore = stage.servers.whole.connections.length;
	const body = boshFrom(ATTACKER).bodyText({ rid: 5, to: 'whole.test', ver: '1.6' });
	for (const text of BAD) {
		await postBad(body + text);
		await postBad(`<?xml version='1.0'?>${body}${text}`);
	}
	assert.equal(stage.servers.whole.connections.length, nBefore, 'no session was opened');
	await work(inTurn(BAD, (text) => postBad(body + text)));
});

test('inside a <body/>', TIMEOUT, () => work(inTurn(SECTIONS,
	(text) => postBad(`<body xmlns='${NS.httpbind}' rid='5' sid='nosuch'>${text}`))));

test('a <body/> of a session ends that one', TIMEOUT, () => work(inTurn(BAD, async (text) => {
	const client = boshFrom(ATTACKER);
	await client.create('whole.test');
	const body = client.bodyText({ rid: ++client.rid, sid: client.sid });
	assertTerminated(await client.post(body + text), 'bad-request');
	client.close();
})));

// A proxy sends the requests of all its clients over a few connections.
test('on the connection of a proxy, coded and not', TIMEOUT, async () => {
	const connection = await HttpConnection.open(stage.port, undefined, PROXY);
	const post = (from, body, coding) => {
		const coded = coding ? { 'Content-Encoding': coding } : {};
		const headers = { 'X-Forwarded-For': from, ...coded };
		return connection.request('POST', '/http-bind', { body, headers });
	};
	const victim = new BoshClient(stage.port);
	const ask = async (attributes, payload, coding = undefined) => {
		const body = victim.bodyText({ rid: ++victim.rid, ...attributes }, payload);
		const answer = await post(VICTIM, coding ? zlib.gzipSync(body) : body, coding);
		return victim.keep({ element: parse(answer.text), text: answer.text });
	};
	const created = await ask({ to: 'whole.test', ver: '1.6', wait: 1, hold: 1 });
	const { sid } = created.attributes;
	for (const text of BAD) {
		const plain = Buffer.from(BODY + text);
		const gzip = zlib.gzipSync(plain);
		const half = gzip.subarray(0, -6);
		const attacks = [[plain], [gzip, 'gzip'], [half, 'gzip'], [plain, 'deflate']];
		for (const attack of attacks) {
			const answer = await post(ATTACKER, ...attack);
			assert.match(answer.text, /condition='bad-request'/);
			const id = randomId();
			await ask({ sid }, `<message xmlns='jabber:client' id='${id}'/>`, 'gzip');
			while (!victim.received.some((element) => element.attributes.id === id)) {
				await ask({ sid });
			}
		}
	}
	const last = await ask({ sid, type: 'terminate' });
	assert.equal(last.attributes.condition, undefined);
	connection.close();
});

// The log blames the attacker's session with that server.
const isBlamed = (domain) => stage.doab.logged('session-failed', { client: ATTACKER, domain });

test('a server, to a client over BOSH', TIMEOUT, () => work(inTurn([...SECTIONS.keys()], async (i) => {
	const client = boshFrom(ATTACKER);
	let answer = await client.create(`evil${i}.test`);
	if (answer.element.attributes.type !== 'terminate') {
		answer = await client.request();
	}
	assertTerminated(answer, 'remote-connection-failed');
	await isBlamed(`evil${i}.test`);
	client.close();
})));

test('a server, to a client over WebSocket', TIMEOUT, () => work(inTurn([...SECTIONS.keys()], async (i) => {
	const socket = await openWebSocket(stage.port, { from: ATTACKER });
	await socket.start(`evil${i}.test`);
	await assertStreamError(socket, 'remote-connection-failed', { open: false });
	await isBlamed(`evil${i}.test`);
	socket.drop();
})));
