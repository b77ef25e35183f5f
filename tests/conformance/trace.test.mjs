// The steps of sessions in the log, at level debug: what was dialled, each BOSH request and its answer; and no secrets.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
let stage;

before(async () => {
	stage = await Stage.open({ plain: [{ await: 'header' }, { header: true, features: FEATURES }, { serve: true }] }, { log_level: 'debug' });
});
after(() => stopAll(stage));

async function eventsNamed(name) {
	await stage.doab.readLog();
	return stage.doab.events.filter(({ event }) => event === name);
}

test('the way to the server', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.start('plain.test');
	const steps = (await eventsNamed('dial')).map(({ step }) => step);
	assert.ok(steps.includes('started') && steps.includes('connected'), `${steps}`);
	assert.ok((await eventsNamed('stream-header')).some(({ domain, secure }) => domain === 'plain.test' && secure === 'no'));
	socket.drop();
});

test('a BOSH request and its answer, without what is in them', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	await client.create('plain.test', { wait: 1 });
	await client.request("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>c2VjcmV0</auth>");
	const requests = await eventsNamed('bosh-request');
	const last = requests.at(-1);
	assert.equal(last.payloads, '1');
	assert.ok(Number(last.rid) > 0);
	assert.ok((await eventsNamed('bosh-answer')).some(({ request, status }) => request === last.request && status === '200'));
	await stage.doab.readLog();
	assert.ok(!stage.doab.log.includes('c2VjcmV0'));
	assert.ok(!stage.doab.log.includes(client.sid));
	client.close();
});
