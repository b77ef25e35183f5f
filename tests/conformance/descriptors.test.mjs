// A process with few descriptors: it says so at the start, and goes on when they run out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { HttpConnection } from '../support/http.mjs';
import { Doab } from '../support/doab.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const FEW = 96;

test('out of descriptors: sessions go on, and new connections are accepted when there is room again', TIMEOUT, async () => {
	const server = await XmppServer.start('plain');
	const doab = await Doab.start({ domains: { 'plain.test': server.section() } },
		{ through: ['sh', '-c', `ulimit -n ${FEW}; exec "$0" "$@"`] });
	const connections = [];
	try {
		const warning = await doab.logged('few-descriptors');
		assert.equal(warning.limit, String(FEW));
		assert.ok(Number(warning.needed) > 80000);
		assert.match(warning.hint, /ulimit -n/);
		const client = new BoshClient(doab.port);
		await client.login('plain.test');
		for (let i = 0; i < 2 * FEW; i++) {
			// The kernel takes those that the gateway cannot.
			connections.push(await HttpConnection.open(doab.port));
		}
		await doab.logged('accept-failed');
		const echoed = await client.exchange('<message xmlns="jabber:client" id="m1"/>', ({ attributes }) => attributes.id === 'm1');
		assert.equal(echoed.name, 'message');
		connections.splice(0).forEach((connection) => connection.close());
		const answers = async () => {
			const connection = await HttpConnection.open(doab.port);
			const { status } = await connection.request('GET', '/crossdomain.xml', { ms: 3000 }).catch(() => ({}));
			connection.close();
			return status === 200;
		};
		await until(answers, 10000, 'an answer to a new connection');
		await client.terminate();
	} finally {
		connections.forEach((connection) => connection.close());
		await stopAll(doab, server);
	}
});
