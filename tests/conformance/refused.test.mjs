// What becomes of the server's stream when the gateway refuses to serve a client any longer. A stream that the server manages (XEP-0198)
// is left, so that a client can resume it; any other is closed. Either way the connection ends in order: a reset would take from the
// server what it has not read yet.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';
import { OPCODE, encodeFrame } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(40000) };
const BODY_BYTES = 262144;
const CONFIG = { ping_interval: 1, wait: 20, inactivity: 5, max_pause: 5, sessions_per_address: 1000, connections_per_address: 1000 };
const ENABLED = `<enabled xmlns='${NS.sm}' id='x' resume='true'/>`;
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const text = (payload) => encodeFrame(OPCODE.text, payload);
let stage;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, CONFIG);
});
after(() => stopAll(stage));

async function connectionOf(on, { isManaged }) {
	const connection = await on.connectionOf('plain');
	connection.isManaged = isManaged;
	connection.socket.on('error', (error) => (connection.error = error));
	return connection;
}

async function openWs(options, on = stage) {
	const socket = await openWebSocket(on.port);
	await socket.login('plain.test');
	const connection = await connectionOf(on, options);
	if (options.isManaged) {
		connection.send(ENABLED);
		assert.equal((await socket.next()).name, 'enabled');
	}
	return { socket, connection };
}

async function openBosh(options, on = stage) {
	const client = new BoshClient(on.port);
	await client.login('plain.test', options.attributes);
	const connection = await connectionOf(on, options);
	if (options.isManaged) {
		connection.send(ENABLED);
		await client.exchange('', ({ name }) => name === 'enabled');
	}
	return { client, connection };
}

// The server has got what was sent before, @last, and then the end that is right for its stream.
async function assertLeft(connection, last) {
	await connection.end(20000);
	if (last) {
		assert.ok(connection.elements.some(({ attributes }) => attributes.id === last), `${last} has not arrived: ${connection.text}`);
	}
	assert.equal(connection.streamEnds, connection.isManaged ? 0 : 1, connection.text.slice(-500));
	await sleep(100);
	assert.equal(connection.error, undefined, 'the connection was reset');
}

// What a WebSocket client does, and what it is told; without words where libwebsockets ends the connection by itself.
const FAULTS = {
	'a message that is too large': [text(`<message xmlns='jabber:client'>${'x'.repeat(BODY_BYTES + 40000)}</message>`), 'policy-violation', /larger/],
	'one in fragments': [Buffer.concat([encodeFrame(OPCODE.text, '<message xmlns="jabber:client">', { fin: false }),
		...Array.from({ length: 40 }, () => encodeFrame(OPCODE.continuation, 'x'.repeat(8192), { fin: false }))]), 'policy-violation', /larger/],
	'elements nested too deeply': [text(`${'<a xmlns="b">'.repeat(1000)}`), 'policy-violation', /nested/],
	'malformed XML': [text('<a xmlns="b"><c></a>'), 'not-well-formed', /not well-formed/],
	'half an element': [text('<a xmlns="b">'), 'not-well-formed', /ends inside an element/],
	'two elements': [text('<a xmlns="b"/><a xmlns="b"/>'), 'bad-format', /only one element/],
	'a DTD': [text('<!DOCTYPE a [<!ENTITY b "c">]><a xmlns="b"/>'), ['restricted-xml', 'not-well-formed'], /DTDs|well-formed/],
	'a comment': [text('<a xmlns="b"><!-- --></a>'), 'restricted-xml', /comments/],
	'an element without a namespace': [text('<a/>'), 'invalid-namespace', /no namespace/],
	'<starttls/>': [text(`<starttls xmlns='${NS.tls}'/>`), 'unsupported-stanza-type', /negotiated by the gateway/],
	'an unknown framing element': [text(`<x xmlns='${NS.framing}'/>`), 'unsupported-stanza-type', /<open\/> and <close\/>/],
	'a binary message': [encodeFrame(OPCODE.binary, presence('binary')), 'bad-format', /binary/],
	'an unknown opcode': [encodeFrame(3, 'bad')],
};

for (const isManaged of [true, false]) {
	const title = isManaged ? 'a managed stream is left' : 'a stream that nobody manages is closed';

	for (const [what, [bytes, condition, words]] of Object.entries(FAULTS)) {
		test(`WebSocket, ${what}: ${title}`, TIMEOUT, async () => {
			const { socket, connection } = await openWs({ isManaged });
			socket.write(Buffer.concat([text(presence('before')), bytes]));
			if (condition) {
				const error = await assertStreamError(socket, condition, { open: false });
				assert.equal(error.at('text').ns, NS.errors);
				assert.match(error.at('text').text, words);
			}
			await assertLeft(connection, 'before');
			socket.drop();
		});
	}

	test(`WebSocket, a server that is not being read just then: ${title}`, TIMEOUT, async () => {
		const { socket, connection } = await openWs({ isManaged });
		socket.socket.pause();
		const flood = connection.send(`<message id='flood'><body>${'x'.repeat(500000)}</body></message>`.repeat(20));
		await sleep(1000);
		socket.write(Buffer.concat([text(presence('before')), text('<a>')]));
		await assertLeft(connection, 'before');
		socket.drop();
		await flood;
	});

	test(`WebSocket, a client that answers no pings: ${title}`, TIMEOUT, async () => {
		const { socket, connection } = await openWs({ isManaged });
		socket.answersPings = false;
		await assertLeft(connection);
		socket.drop();
	});

	test(`WebSocket, a client whose connection breaks: ${title}`, TIMEOUT, async () => {
		for (const cut of [(socket) => socket.destroy(), (socket) => socket.resetAndDestroy()]) {
			const { socket, connection } = await openWs({ isManaged });
			socket.send(presence('before'));
			await connection.element('presence', ({ attributes }) => attributes.id === 'before');
			cut(socket.socket);
			await assertLeft(connection);
		}
	});

	test(`WebSocket, system-shutdown: ${title}`, TIMEOUT, async () => {
		const own = await Stage.open({ plain: 'plain' }, CONFIG);
		const { socket, connection } = await openWs({ isManaged }, own);
		const stopped = own.stop();
		const error = await assertStreamError(socket, 'system-shutdown', { open: false });
		assert.match(error.at('text').text, /shut down/);
		await assertLeft(connection);
		await stopped;
	});

	// XEP-0124, "Terminal Binding Conditions".
	const BOSH_FAULTS = {
		'a request that is too large': [(client) => client.request(`<a xmlns='b'>${'x'.repeat(BODY_BYTES + 40000)}</a>`), 'policy-violation'],
		'a body that is malformed': [(client) => client.request('<a xmlns="b"><c></a>'), 'bad-request'],
		'a payload that is restricted': [(client) => client.request('<!-- -->'), 'bad-request'],
		'a rid beyond the window': [(client) => client.request('', { rid: client.rid + 100 }), 'item-not-found'],
		'too long a pause': [(client) => client.request('', { pause: CONFIG.max_pause + 1 }), 'policy-violation'],
	};

	for (const [what, [send, condition]] of Object.entries(BOSH_FAULTS)) {
		test(`BOSH, ${what}: ${title}`, TIMEOUT, async () => {
			const { client, connection } = await openBosh({ isManaged });
			await client.request(presence('before'), { pause: 1 });
			assertTerminated(await send(client), condition);
			await assertLeft(connection, 'before');
			client.close();
		});
	}

	test(`BOSH, a server that is not being read just then: ${title}`, TIMEOUT, async () => {
		const { client, connection } = await openBosh({ isManaged });
		await client.request(presence('before'), { pause: 2 });
		const flood = connection.send(`<message id='flood' type='error'><body>${'x'.repeat(500000)}</body></message>`.repeat(20));
		await sleep(1000);
		assertTerminated(await client.request('', { rid: client.rid + 100 }), 'item-not-found');
		await assertLeft(connection, 'before');
		client.close();
		await flood;
	});

	test(`BOSH, a client that is not heard of: ${title}`, TIMEOUT, async () => {
		const { client, connection } = await openBosh({ isManaged });
		await client.request(presence('before'), { pause: 1 });
		await assertLeft(connection, 'before');
		client.close();
	});
}

test('a refused client leaves no session behind in the gateway', TIMEOUT, async () => {
	const own = await Stage.open({ plain: 'plain' }, { ...CONFIG, sessions_per_address: 1 });
	try {
		for (const isManaged of [true, false]) {
			const { socket, connection } = await openWs({ isManaged }, own);
			socket.write(text('<a>'));
			await assertStreamError(socket, 'not-well-formed');
			await assertLeft(connection);
			socket.drop();
			await until(() => own.doab.lines.filter((line) => line.includes('session-closed')).length === (isManaged ? 1 : 2), 10000, 'the end');
		}
	} finally {
		await own.stop();
	}
});
