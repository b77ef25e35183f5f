// Servers that are slow on purpose, or never come to an end: each has a bound, and holds no memory to speak of.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const OPEN_TIMEOUT_S = 4;
const LOGIN_TIMEOUT_S = 4;
// The gateway reads far more than that of each before its time is over.
const MEMORY_MAX_KB = 16 * 1024;
const HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' version='1.0'>";
const CHALLENGE = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
const DRIP = { chunk: 1, gap: 200 };
const header = { header: true, features: null };

// What these send behind a beginning, without end.
const ENDLESS = {
	'endless-space': ['', ' '],
	'endless-declaration': ['<?xml ', "version='1.0' "],
	'endless-header': ["<stream:stream xmlns='jabber:client' ", null],
	'endless-value': ["<stream:stream xmlns='jabber:client' id='", 'a'],
	'endless-features': [`${HEADER}<stream:features>`, "<x xmlns='urn:x'/>"],
	'endless-depth': [`${HEADER}<stream:features>`, '<x>'],
	'endless-text': [`${HEADER}<stream:features>`, 'text '],
	'endless-space-before-features': [HEADER, '\n'],
	'stanzas-before-features': [HEADER, "<message id='m'/>"],
};
// With a long declaration that each of its elements uses.
const INHERITED = [`${HEADER.replace(' id=', ` xmlns:p='urn:${'x'.repeat(7000)}' id=`)}${FEATURES}`, '<p:a/>'];
let stage;
let servers;

// Writes @beginning and @piece for as long as somebody reads. Without @piece: attributes, each with another name.
function pour(socket, beginning, piece) {
	let n = 0;
	const make = () => (piece === null ? `a${n++}='' ` : piece);
	const more = () => { while (!socket.destroyed && socket.write(Array.from({ length: 4000 }, make).join(''))); };
	socket.on('error', () => {}).on('drain', more).once('data', () => {
		socket.write(beginning);
		more();
	});
}

async function startPouring([beginning, piece]) {
	const server = net.createServer((socket) => pour(socket, beginning, piece));
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return server;
}

before(async () => {
	const pouring = { ...ENDLESS, inherited: INHERITED };
	servers = await Promise.all(Object.values(pouring).map(startPouring));
	const domains = Object.fromEntries(Object.keys(pouring).map((name, i) =>
		[`${name}.test`, { connect: [`127.0.0.1:${servers[i].address().port}`], tls: 'off' }]));
	stage = await Stage.open({
		plain: 'plain',
		drip: [{ await: 'header' }, DRIP, { header: true, features: FEATURES }],
		'drip-login': [{ await: 'header' }, { header: true, features: FEATURES }, { await: 'auth' }, DRIP, { send: CHALLENGE + 'QUFB'.repeat(1000) }],
		'drip-later': [{ await: 'header' }, { header: true, features: FEATURES }, { serve: 'iq' }, { chunk: 1, gap: 40 }, { serve: true }],
	}, { open_timeout: OPEN_TIMEOUT_S, login_timeout: LOGIN_TIMEOUT_S, domains });
});
after(async () => {
	servers?.forEach((server) => server.close());
	await stopAll(stage);
});

const memoryKb = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${stage.doab.serverPid}/status`, 'utf8'))[1]);

async function assertServed() {
	const answer = await new BoshClient(stage.port).create('plain.test');
	assert.ok(answer.element.at('features'), answer.text);
}

for (const name of Object.keys(ENDLESS)) {
	test(`${name}: ends in words, and without memory`, TIMEOUT, async () => {
		await assertServed();
		const kbBefore = memoryKb();
		const socket = await openWebSocket(stage.port);
		socket.open(`${name}.test`);
		const [answer, error] = await Promise.all([new BoshClient(stage.port).create(`${name}.test`),
			assertStreamError(socket, 'remote-connection-failed', { open: true })]);
		assertTerminated(answer, 'remote-connection-failed');
		for (const text of [answer.element.text, error.at('text').text]) {
			assert.match(text, /in time|not an XMPP stream|larger than this gateway carries/);
		}
		assert.ok(memoryKb() - kbBefore < MEMORY_MAX_KB, `${memoryKb() - kbBefore} KB`);
		await assertServed();
	});
}

test('what the elements of a server inherit is not multiplied', TIMEOUT, async () => {
	await assertServed();
	const kbBefore = memoryKb();
	const client = new BoshClient(stage.port);
	let answer = await client.create('inherited.test');
	while (answer.element.attributes.type !== 'terminate') {
		answer = await client.request();
	}
	assertTerminated(answer, 'remote-connection-failed');
	assert.match(answer.element.text, /larger than this gateway carries/);
	assert.ok(memoryKb() - kbBefore < MEMORY_MAX_KB, `${memoryKb() - kbBefore} KB`);
	await assertServed();
});

test('a server that drips before its features has its time and no more', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	socket.open('drip.test');
	const [answer, error] = await Promise.all([new BoshClient(stage.port).create('drip.test'),
		assertStreamError(socket, 'remote-connection-failed', { open: true })]);
	assertTerminated(answer, 'remote-connection-failed');
	for (const text of [answer.element.text, error.at('text').text]) {
		assert.match(text, /did not open its stream in time/);
	}
});

test('a server that drips within the login has the time of a login', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.start('drip-login.test');
	socket.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHUAcA==</auth>");
	const error = await assertStreamError(socket, 'policy-violation', { open: false });
	assert.match(error.at('text').text, /not logged in in time/);
});

test('a server that drips later is waited for, and holds nobody up', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('drip-later.test');
	socket.send("<message xmlns='jabber:client' id='slow'/>");
	await assertServed();
	assert.equal((await socket.next()).attributes.id, 'slow');
	socket.drop();
});
