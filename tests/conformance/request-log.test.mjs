// Requests that are refused before there is a session: one line each, and not more than a few of one client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, stopAll } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const LINES_MAX = 10; // of one client within ten seconds
const FOREIGN = 'https://elsewhere.example';
let stage;
let n_clients = 0;

before(async () => {
	stage = await Stage.open({ plain: 'plain' }, { trusted_proxies: ['127.0.0.1'], allow_origins: ['https://here.example'] });
});
after(() => stopAll(stage));

const newClient = () => `198.51.100.${++n_clients}`;
const headersOf = (client, more = {}) => ({ 'X-Forwarded-For': client, ...more });
const post = (client, body, more) => new BoshClient(stage.port, { headers: headersOf(client, more) }).post(body);
const request = (client, method, target, headers) => httpRequest(stage.port, method, target, { headers: headersOf(client, headers) });

// name: [what the client does, what the line says]
const REFUSED = {
	'an Origin, over BOSH': [(client) => post(client, '<body/>', { Origin: FOREIGN }), { status: '403', method: 'POST', path: '/http-bind', origin: FOREIGN }],
	'an Origin, over WebSocket': [(client) => openWebSocket(stage.port, { headers: headersOf(client, { Origin: FOREIGN }) }),
		{ status: '403', method: 'GET', path: '/xmpp-websocket', origin: FOREIGN }],
	'a WebSocket without the subprotocol': [(client) => openWebSocket(stage.port, { protocol: 'chat', headers: headersOf(client) }),
		{ status: '400', method: 'GET', path: '/xmpp-websocket' }],
	'a path that is none': [(client) => request(client, 'GET', '/x%0ay'), { status: '404', method: 'GET', path: '/x\\x0ay' }],
	'a method that is none': [(client) => request(client, 'DELETE', '/'), { status: '405', method: 'DELETE', path: '/' }],
	'a coding that is not spoken': [(client) => post(client, 'x', { 'Content-Encoding': 'br' }), { status: '415', method: 'POST', path: '/http-bind' }],
	'a malformed body': [(client) => post(client, '<bo'), { transport: 'bosh', rule: 'not-understood' }],
	'a sid that is none': [(client) => post(client, '<body xmlns=\'http://jabber.org/protocol/httpbind\' rid=\'1\' sid=\'none\'/>'),
		{ transport: 'bosh', rule: 'sid-unknown' }],
};

for (const [name, [act, expected]] of Object.entries(REFUSED)) {
	test(`refused: ${name}`, TIMEOUT, async () => {
		const client = newClient();
		await act(client);
		await stage.doab.logged('request-refused', { client });
		const lines = stage.doab.events.filter((line) => line.client === client);
		assert.equal(lines.length, 1, JSON.stringify(lines));
		const { time, event, client: of, ...fields } = lines[0];
		assert.deepEqual(fields, { level: 'info', ...expected });
	});
}

test('what is answered well leaves no line', TIMEOUT, async () => {
	const client = newClient();
	for (const [method, target] of [['GET', '/'], ['HEAD', '/http-bind'], ['OPTIONS', '/http-bind'], ['GET', '/crossdomain.xml']]) {
		assert.ok((await request(client, method, target)).status < 400);
	}
	await stage.doab.readLog();
	assert.equal(stage.doab.events.filter((line) => line.client === client).length, 0);
});

test('one client: few lines, and a sum that is right', TIMEOUT, async () => {
	const REQUESTS = 60;
	const own = await Stage.open();
	for (let i = 0; i < REQUESTS / 2; i++) {
		await httpRequest(own.port, 'GET', '/nothing');
		await new BoshClient(own.port).post('<bo');
	}
	await own.stop();
	const told = own.doab.events.filter(({ event }) => event === 'request-refused').length;
	const sums = own.doab.events.filter(({ event, kind }) => event === 'log-suppressed' && kind === 'request-refused');
	assert.ok(told >= LINES_MAX && told < REQUESTS, `${told} lines`);
	assert.equal(told + sums.reduce((sum, { n }) => sum + Number(n), 0), REQUESTS);
});
