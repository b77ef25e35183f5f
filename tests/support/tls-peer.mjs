// TLS in front of a scripted server, with what Node's cannot do: key updates, tickets and requests to renegotiate in any number, half
// a message, another protocol than was offered. tls-peer.c has its options, and the commands that a script may send:
//
//     const server = await XmppServer.start([...LOGIN, { send: '<?tls key-update 100?>' }]);
//     const peer = await TlsPeer.serve(server.port, { cert: material.certificate, key: material.key });
//     peer.section();                                // a `domain` section that leads the gateway there
//
//     const client = TlsPeer.connect(doab.tlsPort);  // a ChildProcess: what is written to its stdin goes out
import path from 'node:path';
import { BINARY } from './doab.mjs';
import { startChild, stopChild, within } from './util.mjs';

const PROGRAM = path.join(path.dirname(BINARY), '../tests/tls-peer');
const words = (options) => Object.entries(options).map(([name, value]) => `${name}=${value}`);

export class TlsPeer {
	static async serve(port, options) {
		const peer = new TlsPeer();
		peer.child = startChild(PROGRAM, ['serve', String(port), ...words(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
		const first = new Promise((resolve) => peer.child.stdout.once('data', resolve));
		peer.port = Number(String(await within(first, 10000, 'the port of tls-peer')));
		return peer;
	}

	static connect(port, options = {}) {
		return startChild(PROGRAM, ['connect', String(port), ...words(options)], { stdio: ['pipe', 'pipe', 'pipe'] });
	}

	section(more = {}) {
		return { connect: [`127.0.0.1:${this.port}`], tls: 'direct', ...more };
	}

	stop() {
		return stopChild(this.child);
	}
}
