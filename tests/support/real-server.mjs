// What the real XMPP servers of the tests have in common: a folder of their own with their certificate, ports on loopback,
// a process, and the ways to them.
import net from 'node:net';
import path from 'node:path';
import { ANONYMOUS_DOMAIN, DOMAIN } from './accounts.mjs';
import { Authority } from './certificates.mjs';
import { freePort, removeFolder, startChild, stopChild, temporaryFolder, until } from './util.mjs';

const START_MS = 60000;

export class RealServer {
	// c2sPort: STARTTLS; directTlsPort: TLS from the first byte; operatorPort: for the operator's commands.
	async prepare(name) {
		this.name = name;
		this.folder = temporaryFolder(name);
		this.authority = new Authority(this.folder);
		this.ca = this.authority.certificate;
		this.certificate = this.authority.issue(name, [DOMAIN, ANONYMOUS_DOMAIN]);
		for (const port of ['c2sPort', 'directTlsPort', 'operatorPort']) {
			this[port] = await freePort();
		}
	}

	at(file) {
		return path.join(this.folder, file);
	}

	// Starts the process and waits until it listens.
	async run(command, args, options = {}) {
		this.output = '';
		this.child = startChild(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder, ...options });
		this.child.once('error', (error) => (this.output += error));
		for (const stream of [this.child.stdout, this.child.stderr]) {
			stream.setEncoding('utf8').on('data', (text) => (this.output += text));
		}
		for (const port of [this.c2sPort, this.directTlsPort, this.operatorPort]) {
			await until(() => this.listens(port), START_MS, `${this.name} listens`);
		}
	}

	listens(port) {
		if (this.child.pid === undefined || this.child.exitCode !== null) {
			throw new Error(`${this.name} ended:\n${this.output}`);
		}
		return new Promise((resolve) => {
			const socket = net.connect(port, '127.0.0.1');
			socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
			socket.once('connect', () => socket.destroy());
		});
	}

	// `domain` sections with @keys for each of its domains.
	sections(keys) {
		const section = { ca_file: this.ca, ...keys };
		return { [DOMAIN]: section, [ANONYMOUS_DOMAIN]: section };
	}

	// Those that lead the gateway here, with that `tls`.
	domainsOver(tls) {
		return this.sections({ tls, connect: [`127.0.0.1:${tls === 'direct' ? this.directTlsPort : this.c2sPort}`] });
	}

	get domains() {
		return this.domainsOver('required');
	}

	async stop() {
		await stopChild(this.child);
		removeFolder(this.folder);
	}
}
