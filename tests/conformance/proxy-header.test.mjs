// The PROXY protocol towards the operator's own server: it learns who the client is before anything else.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
let folder;
let stage;

before(async () => {
	folder = temporaryFolder('proxy-header');
	const authority = new Authority(folder);
	const ca = { ca_file: authority.certificate };
	const own = (name) => tlsOf(authority.issue(name, [`${name}.test`]));
	stage = await Stage.open({
		v1: { script: 'proxy-plain', section: { tls: 'off', proxy_protocol: 'v1' } },
		v2: { script: 'proxy-plain', section: { tls: 'off', proxy_protocol: 'v2' } },
		starttls: { script: 'proxy-starttls', tls: own('starttls'), section: { ...ca, proxy_protocol: 'v2' } },
		direct: { script: 'proxy-direct-tls', tls: own('direct'), section: { ...ca, tls: 'direct', proxy_protocol: 'v1' } },
		none: { script: 'plain', section: { tls: 'off' } },
	}, { trusted_proxies: ['127.0.0.1'] });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

// The header that the server of @name got for its latest connection; what did not come in it is checked.
async function headerOf(name) {
	const connection = await stage.connectionOf(name);
	const { gateway, gatewayPort, ...rest } = connection.proxy;
	assert.equal(gatewayPort, connection.socket.remotePort, 'our end of the connection');
	assert.ok(['127.0.0.1', '0000:0000:0000:0000:0000:ffff:7f00:0001', '::ffff:127.0.0.1'].includes(gateway), gateway);
	return rest;
}

async function features(domain, headers = {}) {
	const answer = await new BoshClient(stage.port, { headers }).create(domain);
	assert.ok(answer.element.at('features'), answer.text);
}

for (const [name, version] of [['v1', 1], ['v2', 2], ['starttls', 2], ['direct', 1]]) {
	test(`${name}: a client's address goes first`, TIMEOUT, async () => {
		await features(`${name}.test`, { 'X-Forwarded-For': '192.0.2.7' });
		assert.deepEqual(await headerOf(name), { version, family: 'TCP4', client: '192.0.2.7', clientPort: 0 });
		await features(`${name}.test`, { 'X-Forwarded-For': '2001:db8::7' });
		const { family, client } = await headerOf(name);
		assert.equal(family, 'TCP6');
		assert.match(client, /^2001:(0?)db8:/);
	});
}

test('a client of our own port is named with its port', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.start('v2.test');
	const { client, clientPort } = await headerOf('v2');
	assert.equal(client, '127.0.0.1');
	assert.ok(clientPort > 0);
	socket.drop();
});

test('other servers get no header', TIMEOUT, async () => {
	await features('none.test', { 'X-Forwarded-For': '192.0.2.7' });
	const connection = await stage.connectionOf('none');
	assert.doesNotMatch(connection.text, /PROXY|192\.0\.2\.7/);
	assert.equal(net.isIP(connection.socket.remoteAddress), 4);
});
