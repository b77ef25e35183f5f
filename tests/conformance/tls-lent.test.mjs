// Handshakes of a listener whose key takes long to sign end while the helper's thread has them.
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const LONG_KEY_BITS = 6144; // 13 ms for each
const N_CLIENTS = 20;
const N_LATE = 250; // more than the helper can take in time
const HEADER_TIMEOUT_S = 2;
const STEP_MS = 10;

let folder;
let files;

// To find such a key may take a busy machine longer than the test has.
before(() => {
	folder = temporaryFolder('tls-lent');
	files = new Authority(folder).issue('long', ['long.test'], { rsaBits: LONG_KEY_BITS });
});
after(() => removeFolder(folder));

// The first flight of a client.
async function clientHello() {
	const listener = net.createServer().listen(0, '127.0.0.1');
	await once(listener, 'listening');
	const client = connectTls({ port: listener.address().port, host: '127.0.0.1' });
	client.on('error', () => {});
	const [socket] = await once(listener, 'connection');
	const [hello] = await once(socket, 'data');
	client.destroy();
	socket.destroy();
	listener.close();
	return hello;
}

async function say(port, hello) {
	const socket = net.connect(port, '127.0.0.1');
	socket.on('error', () => {});
	await once(socket, 'connect');
	socket.write(hello);
	return socket;
}

function shake(port) {
	return within(new Promise((resolve, reject) => {
		const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(client));
		client.once('error', reject);
	}), 20000, 'a handshake');
}

test('clients that leave or are late, a reload and the end come while signatures are made', TIMEOUT, async () => {
	const { certificate, key } = files;
	let doab;
	let waiting = [];
	try {
		const port = await freePort();
		const hello = await clientHello();
		doab = await Doab.start({ header_timeout: HEADER_TIMEOUT_S, listeners: { [`127.0.0.1:${port}`]: { tls: { certificate, key } } } });
		for (let i = 0; i < N_CLIENTS; i++) {
			const socket = await say(port, hello);
			await sleep(i % 4 * STEP_MS);
			socket.resetAndDestroy();
			if (i === N_CLIENTS / 2) {
				doab.child.kill('SIGHUP');
			}
		}
		await doab.logged('reloaded');
		const late = await Promise.all(Array.from({ length: N_LATE }, () => say(port, hello)));
		await Promise.all(late.map((socket) => within(once(socket.resume(), 'close'), 20000, 'the end of a connection')));
		(await shake(port)).destroy();
		waiting = await Promise.all(Array.from({ length: N_CLIENTS }, () => say(port, hello)));
		await once(waiting[0], 'data');
	} finally {
		await stopAll(doab); // which looks at how it has ended
		waiting.forEach((socket) => socket.destroy());
	}
});
