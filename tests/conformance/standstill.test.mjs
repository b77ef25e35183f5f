// A gateway that stands still for longer than a time-out, as on a machine that is paused: what has arrived meanwhile counts, and
// what needs one step more gets the time for it. (clock-faults.test.mjs has the sessions that are open then.)
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, suspend, temporaryFolder } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const TIME_S = patiently(3000) / 1000; // of every time-out here
const SHORT_MS = 500; // beyond it: what is late by so much may only be busy
const LONG_MS = 2000;
const HEAD = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';
const LIMITS = { workers: 1, open_timeout: TIME_S, connect_timeout: TIME_S, login_timeout: TIME_S, header_timeout: TIME_S };

let folder;
let authority;
let server;

before(() => {
	folder = temporaryFolder('standstill');
	authority = new Authority(folder);
	server = authority.issue('server', ['first.test']);
});
after(() => removeFolder(folder));

async function standStill(doab, beyondMs) {
	suspend(doab.serverPid);
	await sleep(TIME_S * 1000 + beyondMs);
	process.kill(doab.serverPid, 'SIGCONT');
}

// Moments of an opening: the server has got something, and is about to answer. `isLast`: with the answer, all is there that the
// gateway waits for; otherwise there are more steps to go.
const header = (n) => (connection) => connection.headers.length > n;
const element = (name) => (connection) => connection.elements.some((received) => received.name === name);
const MOMENTS = {
	'the stream header': { script: 'plain', tls: 'off', is: header(0), isLast: true },
	'the stream header in TLS': { script: 'starttls', tls: 'required', is: header(1), isLast: true },
	'<proceed/>': { script: 'starttls', tls: 'required', is: element('starttls'), isLast: false },
	'the connection': { script: 'direct-tls', tls: 'direct', is: () => true, isLast: false },
	'the restart': { script: 'plain', tls: 'off', is: header(1), isLast: true },
	'the outcome of the login': { script: 'plain', tls: 'off', is: element('auth'), isLast: true },
};

// Stops the gateway at that moment of the first connection.
function stopAt(moment, server, doab, beyondMs) {
	let over;
	server.changes.once('connection', () => {
		const connection = server.connections[0];
		const look = () => {
			if (!over && moment.is(connection)) {
				over = standStill(doab, beyondMs);
			}
		};
		connection.on('change', look);
		look();
	});
	return () => over;
}

async function assertOpened(moment, beyondMs) {
	const servers = await Promise.all([moment.script, 'plain'].map((script) => XmppServer.start(script, { tls: tlsOf(server) })));
	const doab = await Doab.start({ ...LIMITS, domains: { 'first.test': { connect: servers.map(({ address }) => address),
		ca_file: authority.certificate, tls: moment.tls } } });
	const clients = [0, 1].map(() => new BoshClient(doab.port, { connection: 'fresh' }));
	try {
		const over = stopAt(moment, servers[0], doab, beyondMs);
		await clients[0].login('first.test', { wait: 30 });
		assert.ok(over(), 'the gateway was stopped');
		// Nor is the server avoided from now on.
		await clients[1].login('first.test', { wait: 30 });
		assert.deepEqual(servers.map(({ connections }) => connections.length), [2, 0]);
	} finally {
		clients.forEach((client) => client.close());
		await stopAll(doab, ...servers);
	}
}

// What is left to do when the gateway goes on has a second, for which a busy machine may take longer: not each time.
const N_TRIES = 4;

async function assertOpenedOnce(t, moment, beyondMs) {
	for (let nLeft = N_TRIES; ; nLeft--) {
		try {
			return await assertOpened(moment, beyondMs);
		} catch (error) {
			if (nLeft === 1) {
				throw error;
			}
			t.diagnostic(`tried again: ${error.message}`);
		}
	}
}

// Eight at a time: with all at once, the work of that second would take longer.
describe('a gateway that stands still', { concurrency: 8 }, () => {
	for (const [name, moment] of Object.entries(MOMENTS)) {
		test(`while the server answers ${name}: the session is opened, with this server`, TIMEOUT, (t) => assertOpenedOnce(t, moment, LONG_MS));
		if (moment.isLast) {
			test(`likewise, shortly, ${name}`, TIMEOUT, (t) => assertOpenedOnce(t, moment, SHORT_MS));
		}
	}

	// The time of all servers is over as well, but the other one was never asked.
	test('while a server says nothing: the session is opened, with another one', TIMEOUT, async () => {
		const servers = await Promise.all(['silent', 'plain'].map((script) => XmppServer.start(script)));
		const doab = await Doab.start({ ...LIMITS, domains: { 'first.test': { connect: servers.map(({ address }) => address), tls: 'off' } } });
		const client = new BoshClient(doab.port);
		try {
			const over = stopAt(MOMENTS['the stream header'], servers[0], doab, LONG_MS);
			await client.login('first.test', { wait: 30 });
			assert.ok(over(), 'the gateway was stopped');
			assert.deepEqual(servers.map(({ connections }) => connections.length), [1, 1]);
		} finally {
			client.close();
			await stopAll(doab, ...servers);
		}
	});

	test('while the resolver answers: the answer counts', TIMEOUT, async () => {
		const plain = await XmppServer.start('plain');
		let over;
		const stop = async () => {
			over ??= standStill(doab, LONG_MS);
		};
		const dns = await DnsServer.start({
			'_xmpp-client._tcp.first.test': { SRV: [[0, 0, plain.port, 'host.test']], AFTER: stop },
			'host.test': { A: ['127.0.0.1'] },
		});
		const doab = await Doab.start({ ...LIMITS, resolvers: [dns.address], dns_timeout: TIME_S * 1000, dns_tries: 1, allowed_ports: ['1-65535'],
			domains: { 'first.test': { allow_private: true, tls: 'off' } } });
		const client = new BoshClient(doab.port);
		try {
			await client.login('first.test', { wait: 30 });
			assert.ok(over, 'the gateway was stopped');
		} finally {
			client.close();
			await stopAll(doab, dns, plain);
		}
	});

	test('while clients send the rest of a head, a TLS handshake, a PROXY header: they are served', TIMEOUT, async () => {
		const { certificate, key } = authority.issue('front', ['front.test']);
		const [securePort, proxiedPort] = [await freePort(), await freePort()];
		const doab = await Doab.start({ ...LIMITS, listeners: {
			[`127.0.0.1:${securePort}`]: { tls: { certificate, key } },
			[`127.0.0.1:${proxiedPort}`]: { proxy_protocol: 'v1', proxy_peers: ['127.0.0.1'] },
		} });
		const connect = async (port) => {
			const socket = net.connect(port, '127.0.0.1');
			await once(socket, 'connect');
			return socket;
		};
		const answerOf = async (socket) => {
			const chunks = [];
			for await (const chunk of socket) {
				chunks.push(chunk);
			}
			return Buffer.concat(chunks).toString();
		};
		const sockets = [];
		try {
			sockets.push(...await Promise.all([doab.port, securePort, proxiedPort].map(connect)));
			const [plain, secure, proxied] = sockets;
			plain.write(HEAD.slice(0, 20));
			proxied.write('PROXY TCP4 192.0.2.1 ');
			// So that the gateway waits for the rest.
			await sleep(500);
			const over = standStill(doab, LONG_MS);
			await sleep(500);
			plain.write(HEAD.slice(20));
			proxied.write(`192.0.2.2 1000 80\r\n${HEAD}`);
			const inside = tls.connect({ socket: secure, rejectUnauthorized: false });
			inside.write(HEAD);
			const answers = await Promise.all([plain, inside, proxied].map(answerOf));
			answers.forEach((answer) => assert.match(answer, /^HTTP\/1.1 200 /));
			await over;
		} finally {
			sockets.forEach((socket) => socket.destroy());
			await stopAll(doab);
		}
	});

	test('what a session that is over has told its client last can still be asked for', TIMEOUT, async () => {
		const plain = await XmppServer.start('plain');
		const doab = await Doab.start({ workers: 1, inactivity: TIME_S, domains: { 'first.test': plain.section() } });
		const client = new BoshClient(doab.port, { connection: 'fresh' });
		try {
			await client.login('first.test', { wait: 30 });
			const held = client.request();
			await doab.hasRequest(client);
			plain.connections[0].socket.end();
			assertTerminated(await held, 'remote-connection-failed');
			const over = standStill(doab, LONG_MS);
			await sleep(500);
			assertTerminated(await client.request('', { rid: client.rid }), 'remote-connection-failed');
			await over;
		} finally {
			client.close();
			await stopAll(doab, plain);
		}
	});

	test('a client that begins its stream again and again has one grace to log in', TIMEOUT, async () => {
		const plain = await XmppServer.start('plain');
		const doab = await Doab.start({ ...LIMITS, domains: { 'first.test': plain.section() } });
		const socket = await openWebSocket(doab.port);
		try {
			await socket.start('first.test');
			await standStill(doab, LONG_MS);
			const restarts = setInterval(() => socket.send(`<open xmlns='${NS.framing}' to='first.test' version='1.0'/>`), 300);
			try {
				await doab.logged('session-failed', { failure: 'login-timeout' });
			} finally {
				clearInterval(restarts);
			}
		} finally {
			await stopAll(doab, plain);
		}
	});

	test('while it stops, and clients send the rest of their requests: they are served', TIMEOUT, async () => {
		const plain = await XmppServer.start('plain');
		const doab = await Doab.start({ workers: 1, domains: { 'first.test': plain.section() } });
		const client = new BoshClient(doab.port);
		try {
			await client.login('first.test', { wait: 30 });
			const held = client.request();
			const late = await HttpConnection.open(doab.port);
			late.write(HEAD.slice(0, 20));
			await doab.hasRequest(client);
			// Is accepted behind the other one.
			assert.equal((await httpRequest(doab.port, 'GET', '/')).status, 200);
			doab.child.kill('SIGTERM');
			// The sessions have ended, and it waits for the last of the requests.
			await held;
			const over = standStill(doab, LONG_MS);
			await sleep(500);
			late.write(HEAD.slice(20));
			assert.equal((await late.head()).status, 200);
			late.close();
			await over;
		} finally {
			client.close();
			await stopAll(doab, plain);
		}
	});
});
