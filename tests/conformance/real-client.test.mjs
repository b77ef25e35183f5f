// Who the client is, behind the operator's own proxies: its address and its scheme, of the same hop.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, test } from 'node:test';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const ELSEWHERE = 'https://chat.example.org/http-bind';
const stages = [];

async function open(config) {
	const stage = await Stage.open({ plain: 'plain' }, config);
	stages.push(stage);
	return stage;
}

after(() => stopAll(...stages));

const chain = (forwardedFor, proto) => ({ 'X-Forwarded-For': forwardedFor, 'X-Forwarded-Proto': proto });

// [headers, the client's address in the log, whether it uses TLS]
const CHAINS = {
	'one proxy': [chain('192.0.2.1', 'https'), '192.0.2.1', true],
	'two proxies that add to both lists, the client with TLS': [chain('192.0.2.1, 10.1.1.1', 'https, http'), '192.0.2.1', true],
	'two proxies that add to both lists, the client without': [chain('192.0.2.1, 10.1.1.1', 'http, https'), '192.0.2.1', false],
	'two proxies, of which the second overwrites the scheme': [chain('192.0.2.1, 10.1.1.1', 'https'), '192.0.2.1', true],
	'a client that makes up hops': [chain('10.1.1.1, 192.0.2.1', 'https, http'), '192.0.2.1', false],
	'a client that sends half a pair of quotes': [chain('", 192.0.2.1', '", https'), '192.0.2.1', true],
	'Forwarded, which these proxies do not write': [{ ...chain('192.0.2.1', 'http'), Forwarded: 'for=203.0.113.66;proto=https' }, '192.0.2.1', false],
};

const FORWARDED = {
	'one proxy': ['for=192.0.2.1;proto=https', '192.0.2.1', true],
	'IPv6 with a port': ['for="[2001:db8::7]:4711";proto=https', '2001:db8::7', true],
	'two proxies, the client with TLS': ['for=192.0.2.1;proto=https, for=10.1.1.1;proto=http', '192.0.2.1', true],
	'two proxies, the client without': ['for=192.0.2.1;proto=http;host="a, b", for=10.1.1.1;proto=https', '192.0.2.1', false],
	'a client that makes up a hop': ['for=203.0.113.66;proto=https, for=192.0.2.1;proto=http', '192.0.2.1', false],
	'a client that sends half a pair of quotes': ['x=", for=192.0.2.1;proto=https', '192.0.2.1', true],
};

async function check(stage, headers, client, isSecure) {
	const n_before = stage.doab.events.length;
	const bosh = new BoshClient(stage.port, { headers });
	const answer = await bosh.create('plain.test');
	if (isSecure) {
		assert.equal(answer.element.attributes.type, undefined, answer.text);
	} else {
		assertTerminated(answer, 'see-other-uri');
	}
	const socket = await openWebSocket(stage.port, { headers });
	await socket.start('plain.test');
	await stage.doab.readLog();
	const lines = stage.doab.events.slice(n_before);
	assert.equal(lines.find(({ event, transport }) => event === 'session-open' && transport === 'websocket').client, client);
	const ofBosh = lines.find(({ event, transport }) => ['session-open', 'session-refused'].includes(event) && transport === 'bosh');
	assert.equal(ofBosh.client, client);
	socket.drop();
	if (isSecure) {
		await bosh.terminate();
	}
}

test('X-Forwarded-For and X-Forwarded-Proto are read over the same hops', TIMEOUT, async (t) => {
	const stage = await open({ trusted_proxies: ['127.0.0.1', '10.0.0.0/8'], see_other_uri: ELSEWHERE });
	for (const [name, [headers, client, isSecure]] of Object.entries(CHAINS)) {
		await t.test(name, TIMEOUT, () => check(stage, headers, client, isSecure));
	}
});

test('Forwarded (RFC 7239), where the proxies write it', TIMEOUT, async (t) => {
	const stage = await open({ trusted_proxies: ['127.0.0.1', '10.0.0.0/8'], forwarded_headers: 'forwarded', see_other_uri: ELSEWHERE });
	for (const [name, [Forwarded, client, isSecure]] of Object.entries(FORWARDED)) {
		await t.test(name, TIMEOUT, () => check(stage, { Forwarded, ...chain('203.0.113.66', isSecure ? 'http' : 'https') }, client, isSecure));
	}
});

test('headers of a peer that is no trusted proxy are ignored, with one warning', TIMEOUT, async () => {
	const stage = await open({});
	for (let i = 0; i < 3; i++) {
		await new BoshClient(stage.port, { headers: chain('203.0.113.8', 'https') }).create('plain.test');
	}
	await stage.doab.readLog();
	const warnings = stage.doab.events.filter(({ event }) => event === 'forwarded-ignored');
	assert.equal(warnings.length, 1);
	assert.equal(warnings[0].client, '127.0.0.1');
	assert.match(warnings[0].hint, /trusted_proxies/);
	assert.doesNotMatch(stage.doab.log, /203\.0\.113\.8/);
});

test('denied clients: no connection of their own, and no session behind a proxy', TIMEOUT, async () => {
	const stage = await open({ trusted_proxies: ['127.0.0.1'], deny_clients: ['192.0.2.0/24', '127.0.0.2'], allow_clients: ['192.0.2.7', '127.0.0.1', '0.0.0.0/0'] });
	const answer = await new BoshClient(stage.port, { headers: { 'X-Forwarded-For': '192.0.2.1' } }).create('plain.test');
	assertTerminated(answer, 'policy-violation');
	assert.match(answer.element.text, /does not serve the client's address/);
	await stage.doab.logged('session-refused', { client: '192.0.2.1', failure: 'client-refused' });
	const allowed = await new BoshClient(stage.port, { headers: { 'X-Forwarded-For': '192.0.2.7' } }).create('plain.test');
	assert.equal(allowed.element.attributes.type, undefined);
	const socket = net.connect({ port: stage.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
	await new Promise((resolve) => socket.once('close', resolve).on('error', () => {}));
	await stage.doab.logged('connection-refused', { client: '127.0.0.2', limit: 'deny_clients' });
});
