// What becomes of the server's stream when the gateway serves a client no longer. A stream that the
// server manages (XEP-0198) is left, so that a client can resume it; any other is closed. In both
// cases the connection ends in order: a reset would take from the server what it has not read yet.
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
const TOO_LARGE = 'x'.repeat(BODY_BYTES + 40000);
// Longer than a client of a test says nothing, on a busy machine.
const PING_S = 4;
const PAUSE_S = 30;
const CONFIG = {
	ping_interval: PING_S, wait: 20, inactivity: 5, max_pause: PAUSE_S, sessions_per_address: 1000,
	connections_per_address: 1000,
};
const ENABLED = `<enabled xmlns='${NS.sm}' id='x' resume='true'/>`;
const presence = (id) => `<presence xmlns='jabber:client' id='${id}'/>`;
const LARGE = `<message id='large' type='error'><body>${'x'.repeat(500000)}</body></message>`;
const FLOOD = LARGE.repeat(20);
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

const hasPresence = (connection, id) => connection.elements.some((e) => e.attributes.id === id);

// The server has got what was sent before, @last, and then the end that is right for its stream.
async function assertLeft(connection, last) {
	await connection.end(20000);
	assert.ok(!last || hasPresence(connection, last), `${last} is missing: ${connection.text}`);
	const nEnds = connection.isManaged ? 0 : 1;
	assert.equal(connection.streamEnds, nEnds, connection.text.slice(-500));
	await sleep(100);
	assert.equal(connection.error, undefined, 'the connection was reset');
}

const fragments = [
	encodeFrame(OPCODE.text, '<message xmlns="jabber:client">', { fin: false }),
	...Array.from({ length: 40 },
		() => encodeFrame(OPCODE.continuation, 'x'.repeat(8192), { fin: false })),
];

// What a WebSocket client does, and what it is told: [bytes, condition, words]; without the latter
// two where the frame is at fault: then a close frame is all that may come.
const FAULTS = {
	'a message that is too large': [text(`<a xmlns='b'>${TOO_LARGE}</a>`), 'policy-violation',
		/larger/],
	'one in fragments': [Buffer.concat(fragments), 'policy-violation', /larger/],
	'deep nesting': [text('<a xmlns="b">'.repeat(1000)), 'policy-violation', /nested/],
	'malformed XML': [text('<a xmlns="b"><c></a>'), 'not-well-formed', /not well-formed/],
	'half an element': [text('<a xmlns="b">'), 'not-well-formed', /ends inside an element/],
	'two elements': [text('<a xmlns="b"/><a xmlns="b"/>'), 'bad-format', /only one element/],
	'a DTD': [text('<!DOCTYPE a [<!ENTITY b "c">]><a xmlns="b"/>'),
		['restricted-xml', 'not-well-formed'], /DTDs|well-formed/],
	'a comment': [text('<a xmlns="b"><!-- --></a>'), 'restricted-xml', /comments/],
	'no namespace': [text('<a/>'), 'invalid-namespace', /no namespace/],
	'<starttls/>': [text(`<starttls xmlns='${NS.tls}'/>`), 'unsupported-stanza-type',
		/by the gateway/],
	'an unknown framing element': [text(`<x xmlns='${NS.framing}'/>`),
		'unsupported-stanza-type', /<open\/> and <close\/>/],
	'a binary message': [encodeFrame(OPCODE.binary, presence('x')), 'bad-format', /binary/],
	'an unknown opcode': [encodeFrame(3, 'bad')],
};

// XEP-0124, "Terminal Binding Conditions".
const BOSH_FAULTS = {
	'a request that is too large': [(client) => client.request(`<a xmlns='b'>${TOO_LARGE}</a>`),
		'policy-violation', /larger/],
	'a malformed body': [(client) => client.request('<a xmlns="b"><c></a>'),
		'bad-request', /not a BOSH body/],
	'a payload that is restricted': [(client) => client.request('<!-- -->'),
		'bad-request', /not a BOSH body/],
	'a rid beyond the window': [(client) => client.request('', { rid: client.rid + 100 }),
		'item-not-found', /window/],
	'too long a pause': [(client) => client.request('', { pause: CONFIG.max_pause + 1 }),
		'policy-violation', /pause/],
};

for (const isManaged of [true, false]) {
	const title = isManaged ? 'a managed stream is left' : 'a stream not managed is closed';

	for (const [what, [bytes, condition, words]] of Object.entries(FAULTS)) {
		test(`WebSocket, ${what}: ${title}`, TIMEOUT, async () => {
			const { socket, connection } = await openWs({ isManaged });
			socket.write(Buffer.concat([text(presence('before')), bytes]));
			if (condition) {
				const expected = [socket, condition, { open: false }];
				const error = await assertStreamError(...expected);
				assert.equal(error.at('text').ns, NS.errors);
				assert.match(error.at('text').text, words);
			}
			await assertLeft(connection, 'before');
			socket.drop();
		});
	}

	test(`WebSocket, while the server is not being read: ${title}`, TIMEOUT, async () => {
		const { socket, connection } = await openWs({ isManaged });
		socket.socket.pause();
		const sent = connection.send(FLOOD);
		await stage.doab.readsNoMoreOf(connection.socket);
		socket.write(Buffer.concat([text(presence('before')), text('<a>')]));
		await assertLeft(connection, 'before');
		socket.drop();
		await sent;
	});

	test(`WebSocket, a client that answers no pings: ${title}`, TIMEOUT, async () => {
		const { socket, connection } = await openWs({ isManaged });
		socket.answersPings = false;
		await assertLeft(connection);
		socket.drop();
	});

	test(`WebSocket, a client whose connection breaks: ${title}`, TIMEOUT, async () => {
		for (const cut of ['destroy', 'resetAndDestroy']) {
			const { socket, connection } = await openWs({ isManaged });
			socket.send(presence('before'));
			await until(() => hasPresence(connection, 'before'), 10000, 'the stanza');
			socket.socket[cut]();
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

	for (const [what, [send, condition, words]] of Object.entries(BOSH_FAULTS)) {
		test(`BOSH, ${what}: ${title}`, TIMEOUT, async () => {
			const { client, connection } = await openBosh({ isManaged });
			await client.request(presence('before'), { pause: PAUSE_S });
			const answer = await send(client);
			assertTerminated(answer, condition);
			assert.match(answer.element.at('text').text, words);
			await assertLeft(connection, 'before');
			client.close();
		});
	}

	test(`BOSH, while the server is not being read: ${title}`, TIMEOUT, async () => {
		const { client, connection } = await openBosh({ isManaged });
		await client.request(presence('before'), { pause: PAUSE_S });
		const sent = connection.send(FLOOD);
		await stage.doab.readsNoMoreOf(connection.socket);
		const answer = await client.request('', { rid: client.rid + 100 });
		assertTerminated(answer, 'item-not-found');
		await assertLeft(connection, 'before');
		client.close();
		await sent;
	});

	test(`BOSH, a client that is not heard of: ${title}`, TIMEOUT, async () => {
		const { client, connection } = await openBosh({ isManaged });
		await client.request(presence('before'), { pause: 1 });
		await assertLeft(connection, 'before');
		client.close();
	});
}
