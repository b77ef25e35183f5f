// An address on which nobody answers: the queue of a listening socket is full, so the kernel drops what else arrives. For
// machines where network namespaces cannot be had.
//
//     const hole = await BlackHole.start();   // hole.address
import net from 'node:net';
import { freePort, startChild, stopChild, within } from './util.mjs';

const LISTENER = 'require("net").createServer().listen({ port: Number(process.argv[1]), host: "127.0.0.1", backlog: 1 }, () => console.log("ready"))';
const PATIENCE_MS = 300;

export class BlackHole {
	static async start(port) {
		const hole = new BlackHole();
		hole.port = port ?? await freePort();
		hole.sockets = [];
		hole.child = startChild(process.execPath, ['-e', LISTENER, String(hole.port)], { stdio: ['ignore', 'pipe', 'inherit'] });
		await within(new Promise((resolve, reject) => {
			hole.child.stdout.once('data', resolve);
			hole.child.once('exit', () => reject(new Error(`no listener on port ${hole.port}`)));
		}), 10000, 'a listener');
		hole.child.kill('SIGSTOP');
		while (await hole.fill());
		return hole;
	}

	// Whether there was room in the queue for one more.
	fill() {
		const socket = net.connect(this.port, '127.0.0.1').on('error', () => {});
		this.sockets.push(socket);
		return new Promise((resolve, reject) => {
			socket.once('error', reject);
			// If this process did not run meanwhile, what has happened comes first.
			const timer = setTimeout(() => setImmediate(() => resolve(!socket.connecting)), PATIENCE_MS);
			socket.once('connect', () => {
				clearTimeout(timer);
				resolve(true);
			});
		});
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	async stop() {
		this.sockets.forEach((socket) => socket.destroy());
		await stopChild(this.child, { signal: 'SIGKILL' });
	}
}
