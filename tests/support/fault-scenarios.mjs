// What the gateway does while one of its calls fails (fault-sweep.mjs). A scenario opens its stage with the environment of the
// faults: { doab, run, stop }; isCaching where memory grows with each run, isShort where every allocation is to fail, isVast where
// that would take hours; `spares` with calls that are not to fail, `wholly` with those that all are to fail in every run of the tests.
// `run` resolves when all went well, or rejects with ToldError when the client was told that it did not; any other error is a failure
// of the gateway.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { Authority, tlsOf } from './certificates.mjs';
import { DnsServer } from './dns-server.mjs';
import { Doab } from './doab.mjs';
import { listeners, signalled } from './fault-listeners.mjs';
import { CONFIG, boshSession, openStage, plain, talk, websocketSession } from './fault-stage.mjs';
import { coded, denied, keysAndStreams, logins, proxiedIn, signed, tunnelled, undelivered } from './fault-ways.mjs';
import { HttpConnection } from './http.mjs';
import { PersistentWebSocket, ToldError, ask, persist } from './persistent.mjs';
import { Stage } from './stage.mjs';
import { freePort, patiently, stopAll, temporaryFolder } from './util.mjs';
import { XmppServer } from './xmpp-server.mjs';

const bosh = (env) => openStage(env, plain, {}, ({ port }, of) => boshSession(port, 'plain.test', of('plain')), { remembers: true });

// The kernel gives each connection to any worker.
const boshWorkers = (env) => openStage(env, plain, { workers: 2 },
	({ port }, of) => boshSession(port, 'plain.test', of('plain'), { connection: 'fresh' }), { remembers: true });

const websocket = (env) => openStage(env, plain, {}, ({ port }, of) => websocketSession(port, 'plain.test', of('plain')));

// STARTTLS and direct TLS to the servers; their certificates are verified.
async function tlsToServers(env) {
	const folder = temporaryFolder('faults-tls');
	const authority = new Authority(folder);
	const section = { ca_file: authority.certificate };
	const of = (name, script, more) => ({ script, tls: tlsOf(authority.issue(name, [`${name}.test`])), section: { ...section, ...more } });
	const servers = { start: of('start', 'starttls'), direct: of('direct', 'direct-tls', { tls: 'direct' }) };
	return openStage(env, servers, {}, async ({ port }, connectionOf) => {
		await websocketSession(port, 'start.test', connectionOf('start'));
		await boshSession(port, 'direct.test', connectionOf('direct'));
	}, { folder, remembers: true });
}

const secured = (port) => async () => {
	const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
	await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)
		.once('close', () => reject(new Error('the connection ended within the handshake'))));
	return new HttpConnection(socket);
};

async function tlsOfListener(env) {
	const folder = temporaryFolder('faults-tls');
	const { certificate, key } = new Authority(folder).issue('gateway', ['gateway.test']);
	const port = await freePort();
	const config = { listeners: { [`127.0.0.1:${port}`]: { tls: { certificate, key } } } };
	return openStage(env, plain, config, async (stage, of) => {
		await websocketSession(port, 'plain.test', of('plain'), secured(port));
		assert.equal((await ask(port, 'GET', '/crossdomain.xml', { connect: secured(port) })).status, 200);
	}, { folder });
}

// Each session is with a domain that was never asked for; every other answer has to be fetched over TCP.
async function dns(env) {
	const server = await XmppServer.start('plain');
	const zone = await DnsServer.start({});
	const doab = await Doab.start({ ...CONFIG, resolvers: [zone.address], connect_timeout: 2, dns_timeout: patiently(300),
		domains: { '*.zone.test': { allow_private: true, tls: 'off' } } }, { env }).catch((error) => stopAll(server, zone).then(() => { throw error; }));
	let n = 0;
	const run = async () => {
		const domain = `n${n++}.zone.test`;
		zone.set(`_xmpp-client._tcp.${domain}`, { SRV: [[0, 0, server.port, `host.${domain}`]], TRUNCATE: n % 2 === 0 });
		zone.set(`host.${domain}`, { A: ['127.0.0.1'] });
		await websocketSession(doab.port, domain, () => server.connections.at(-1));
	};
	return { doab, run, isCaching: true, stop: () => stopAll(doab, server, zone) };
}

const GETS = ['/', '/crossdomain.xml', '/clientaccesspolicy.xml', '/nothing', '/http-bind'];

// The page, other documents, plain and coded, and a WebSocket on a connection that has carried requests before.
const documents = (env) => openStage(env, plain, {}, async ({ port }, of) => {
	for (const target of GETS) {
		const { status } = await ask(port, 'GET', target, { headers: { 'Accept-Encoding': 'gzip' } });
		assert.ok(status === (target === '/nothing' ? 404 : 200), `${target} ${status}`);
	}
	assert.ok((await ask(port, 'OPTIONS', '/http-bind', { headers: { Origin: 'http://a.test', 'Access-Control-Request-Method': 'POST' } })).status < 300);
	const client = await persist(async () => {
		const connection = await HttpConnection.open(port);
		await connection.request('GET', '/crossdomain.xml');
		return connection.upgrade();
	}).then((socket) => PersistentWebSocket.of(socket));
	await talk(client, 'plain.test', of('plain'));
});

async function admin(env) {
	const port = await freePort();
	return openStage(env, plain, { admin: `127.0.0.1:${port}` }, async () => {
		for (const target of ['/metrics', '/healthz', '/readyz', '/status', '/sessions']) {
			const { status } = await ask(port, 'GET', target);
			assert.equal(status, 200, target);
		}
	});
}

// A session lives on over a reload, whatever becomes of that.
const reload = (env) => openStage(env, plain, {}, async (stage, of) => {
	const told = await signalled(stage.doab, 'SIGHUP').catch((error) => error);
	await websocketSession(stage.port, 'plain.test', of('plain'));
	if (told) {
		throw told;
	}
});

export const RUNNING = { bosh, 'bosh between workers': boshWorkers, websocket, 'TLS to servers': tlsToServers, 'TLS of a listener': tlsOfListener,
	dns, documents, admin, reload, compression: coded, 'keys, pauses and streams': keysAndStreams, logins, 'the PROXY protocol': proxiedIn,
	'proxies to servers': tunnelled, DANE: signed, 'a denied client': denied, 'stanzas undelivered': undelivered,
	'reload of listeners': listeners };

// A gateway from its start to its end, with a session between. Resolves with what it said, if it did not start.
export async function lifetime(env) {
	const stage = await Stage.open(plain, { ...CONFIG, sandbox: true }, { env }).catch((error) => error);
	if (stage instanceof Error) {
		return stage.message;
	}
	try {
		await websocketSession(stage.port, 'plain.test', () => stage.servers.plain.connections.at(-1)).catch((error) => {
			if (!(error instanceof ToldError)) {
				throw error;
			}
		});
	} finally {
		await stage.stop();
	}
	return undefined;
}
