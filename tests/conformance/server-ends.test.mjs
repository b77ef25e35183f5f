// A server that ends its stream, or its connection, before the client's stream is open, while it is
// restarted, and behind that. The client always hears a reason: over WebSocket behind an <open/>
// (RFC 7395, 3.4), over BOSH in the terminal condition. Only the orderly end of a stream that is
// open needs none.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const AUTH = `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`;
const END = '</stream:stream>';
const ERROR = `<stream:error><host-unknown xmlns='${NS.errors}'/>` +
	`<text xmlns='${NS.errors}'>in its own words</text></stream:error>`;

// What the server does before it ends.
const awaitHeader = { await: 'header' };
const header = (features) => [awaitHeader, { header: true, features }];
const success = [{ await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` }];
const restart = [...header(FEATURES), ...success];
const WHEN = {
	'before its header': { script: [awaitHeader] },
	'before its features': { script: header(null) },
	'restarting, before its header': { script: [...restart, awaitHeader], isRestart: true },
	'restarting, before its features': {
		script: [...restart, ...header(null)], isRestart: true,
	},
	'before the login': { script: header(FEATURES), isOpen: true },
};

// How it ends, and what the client hears: [BOSH condition, stream error, words].
const LOST = ['remote-connection-failed', 'remote-connection-failed', /broke/];
const CLOSED = ['remote-connection-failed', 'remote-connection-failed', /closed the stream/];
const OWN = ['remote-stream-error', 'host-unknown', /in its own words/];
const end = { end: true };
const stay = { pause: 600000 };
const HOW = {
	'with the connection': { script: [end], told: LOST },
	'with a reset of the connection': { script: [{ pause: 50 }, { reset: true }], told: LOST },
	// These are no XMPP before a header.
	'with its stream': { script: [{ send: END }, end], told: CLOSED, isOrderly: true },
	'with its stream alone': { script: [{ send: END }, stay], told: CLOSED, isOrderly: true },
	'with an error': { script: [{ send: ERROR + END }, end], told: OWN, isOrderly: false },
	'with an error alone': { script: [{ send: ERROR }, end], told: OWN, isOrderly: false },
};

const cases = Object.entries(WHEN).flatMap(([when, at], n) => Object.entries(HOW)
	.filter(([, how]) => how.isOrderly === undefined || !/before its header/.test(when))
	.map(([how, ending], i) => ({
		...at, ...ending, title: `${when}, ${how}`, name: `case${n}${i}`,
		script: [...at.script, ...ending.script],
	})));
let stage;

before(async () => {
	const scenarios = Object.fromEntries(cases.map(({ name, script }) => [name, script]));
	stage = await Stage.open(scenarios, { sessions_per_address: 1000, wait: 20 });
});
after(() => stopAll(stage));

for (const { title, name, isOpen, isRestart, isOrderly, told } of cases) {
	const domain = `${name}.test`;
	const [condition, streamCondition, words] = told;

	test(`WebSocket: the server ends ${title}`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		if (isOpen || isRestart) {
			await socket.start(domain);
		} else {
			socket.open(domain);
		}
		if (isRestart) {
			socket.send(AUTH);
			assert.equal((await socket.next()).name, 'success');
			socket.open(domain);
		}
		if (isOpen && isOrderly) {
			const close = await socket.next();
			assert.equal(`${close.ns} ${close.name}`, `${NS.framing} close`);
			assert.ok(await socket.nextClose());
		} else {
			const expected = [socket, streamCondition, { open: !isOpen }];
			const error = await assertStreamError(...expected);
			assert.match(error.at('text').text, words);
		}
		socket.drop();
	});

	test(`BOSH: the server ends ${title}`, TIMEOUT, async () => {
		const client = new BoshClient(stage.port);
		let answer = await client.create(domain, { wait: 20 });
		if (isRestart) {
			await client.exchange(AUTH, (element) => element.name === 'success');
			answer = await client.request('',
				{ to: domain, 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
		} else if (isOpen && answer.element.attributes.type === undefined) {
			answer = await client.request();
		}
		assertTerminated(answer, condition);
		assert.match(answer.element.text, words);
		client.close();
	});
}
