// What a server sends of a TLS message after the handshake, and does not end, counts for the client before its login: OpenSSL keeps all
// of it (gateway/upstream/transport.h).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertStreamError } from '../support/assertions.mjs';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { TlsPeer } from '../support/tls-peer.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(120000) };
const WAIT_MS = 40000;
const MESSAGE = 176 * 1024; // what such a message counts
const FIT = 4;
const BODY = 20000; // the budget has room for several of the largest
const DOMAIN = 'half.test';
const HALF = [{ await: 'header' }, { send: '<?xml version="1.0"?><stream:stream xmlns="jabber:client" ' +
	'xmlns:stream="http://etherx.jabber.org/streams" id="half" version="1.0"><?tls half-ticket 9000?>' }, { pause: 600000 }];

async function withGateway(use) {
	const folder = temporaryFolder('budget-tls');
	const parts = [];
	try {
		const authority = new Authority(folder);
		const { certificate: cert, key } = authority.issue('server', [DOMAIN]);
		const server = await XmppServer.start(HALF);
		parts.unshift(server);
		const peer = await TlsPeer.serve(server.port, { cert, key });
		parts.unshift(peer);
		const admin = await freePort();
		const doab = await Doab.start({
			workers: 1, log_level: 'info', admin: `127.0.0.1:${admin}`, open_timeout: 120, body_bytes: BODY, login_message_bytes: BODY,
			login_bytes_per_address: (FIT + 0.5) * MESSAGE, login_bytes: 2 * FIT * MESSAGE,
			domains: { [DOMAIN]: peer.section({ ca_file: authority.certificate }) },
		});
		parts.unshift(doab);
		await use(doab, admin);
	} finally {
		await stopAll(...parts);
		removeFolder(folder);
	}
}

async function heldBytes(admin) {
	const { text } = await httpRequest(admin, 'GET', '/metrics');
	return Number(/^doab_held_bytes\{limit="login_bytes"\} (\d+)$/m.exec(text)[1]);
}

const nHeld = async (admin) => Math.floor(await heldBytes(admin) / MESSAGE);

test('messages that servers begin and do not end: n are held, one more ends the oldest session', TIMEOUT, async () => {
	await withGateway(async (doab, admin) => {
		const sockets = [];
		const open = async () => {
			const socket = await openWebSocket(doab.port);
			socket.open(DOMAIN);
			sockets.push(socket);
		};
		const failures = () => doab.events.filter(({ event }) => event === 'session-failed');
		for (let n = 1; n <= FIT; n++) {
			await open();
			await until(async () => await nHeld(admin) === n, WAIT_MS, `the messages of ${n}`);
		}
		assert.deepEqual(failures(), []);
		await open();
		await assertStreamError(sockets[0], 'policy-violation', { open: true });
		assert.equal((await doab.logged('session-failed')).failure, 'too-many-bytes');
		await until(async () => await nHeld(admin) === FIT, WAIT_MS, 'the messages of the others');
		assert.equal(failures().length, 1);
		sockets.forEach((socket) => socket.drop());
		await until(async () => await heldBytes(admin) === 0, WAIT_MS, 'that all is given back');
	});
});
