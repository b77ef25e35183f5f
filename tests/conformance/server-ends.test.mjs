// A server that ends its stream, or its connection, before the client's stream is open, while it is restarted, and behind that. The client
// always hears a reason: over WebSocket behind an <open/> (RFC 7395, 3.4), over BOSH in the terminal condition. Only the orderly end
// of a stream that is open needs none.
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
const header = (features) => [{ await: 'header' }, { header: true, features }];
const restart = [...header(FEATURES), { await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` }];
const error = `<stream:error><host-unknown xmlns='${NS.errors}'/><text xmlns='${NS.errors}'>in its own words</text></stream:error>`;

// What the server does before it ends.
const WHEN = {
	'before its header': { script: [{ await: 'header' }], isOpen: false },
	'before its features': { script: header(null), isOpen: false },
	'at the restart, before its header': { script: [...restart, { await: 'header' }], isOpen: false, isRestart: true },
	'at the restart, before its features': { script: [...restart, ...header(null)], isOpen: false, isRestart: true },
	'before the login': { script: header(FEATURES), isOpen: true },
};

// How it ends; `needsHeader`: it is no XMPP before one. [BOSH condition, stream error, words]
const LOST = ['remote-connection-failed', 'remote-connection-failed', /broke/];
const CLOSED = ['remote-connection-failed', 'remote-connection-failed', /closed the stream/];
const OWN = ['remote-stream-error', 'host-unknown', /in its own words/];
const HOW = {
	'with </stream:stream>': { script: [{ send: '</stream:stream>' }, { end: true }], told: CLOSED, isOrderly: true, needsHeader: true },
	'with </stream:stream> and an open connection': { script: [{ send: '</stream:stream>' }, { pause: 600000 }], told: CLOSED, isOrderly: true, needsHeader: true },
	'with an error': { script: [{ send: `${error}</stream:stream>` }, { end: true }], told: OWN, needsHeader: true },
	'with an error alone': { script: [{ send: error }, { end: true }], told: OWN, needsHeader: true },
	'with the connection': { script: [{ end: true }], told: LOST },
	'with a reset of the connection': { script: [{ pause: 50 }, { reset: true }], told: LOST },
};

const cases = Object.entries(WHEN).flatMap(([when, at]) => Object.entries(HOW)
	.filter(([, { needsHeader }]) => !needsHeader || !/before its header/.test(when))
	.map(([how, end], i) => ({ ...at, ...end, title: `${when}, ${how}`, domain: `case${Object.keys(WHEN).indexOf(when)}${i}`,
		script: [...at.script, ...end.script] })));
let stage;

before(async () => {
	stage = await Stage.open(Object.fromEntries(cases.map(({ domain, script }) => [domain, script])), { sessions_per_address: 1000, wait: 20 });
});
after(() => stopAll(stage));

for (const { title, domain, isOpen, isRestart, isOrderly, told: [condition, streamCondition, words] } of cases) {
	test(`WebSocket: the server ends ${title}`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		if (isOpen || isRestart) {
			await socket.start(`${domain}.test`);
		} else {
			socket.open(`${domain}.test`);
		}
		if (isRestart) {
			socket.send(AUTH);
			assert.equal((await socket.next()).name, 'success');
			socket.open(`${domain}.test`);
		}
		if (isOpen && isOrderly) {
			const close = await socket.next();
			assert.equal(`${close.ns} ${close.name}`, `${NS.framing} close`);
			assert.ok(await socket.nextClose());
		} else {
			const element = await assertStreamError(socket, streamCondition, { open: !isOpen });
			assert.match(element.at('text').text, words);
		}
		socket.drop();
	});

	test(`BOSH: the server ends ${title}`, TIMEOUT, async () => {
		const client = new BoshClient(stage.port);
		let answer = await client.create(`${domain}.test`, { wait: 20 });
		if (isRestart) {
			await client.exchange(AUTH, ({ name }) => name === 'success');
			answer = await client.request('', { to: `${domain}.test`, 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
		} else if (isOpen && answer.element.attributes.type === undefined) {
			answer = await client.request();
		}
		assertTerminated(answer, condition);
		assert.match(answer.element.text, words);
		client.close();
	});
}
