// What the real XMPP servers of the tests have in common: a folder of their own with their certificate, ports on loopback,
// a process, and the ways to them.
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { ANONYMOUS_DOMAIN, DOMAIN } from './accounts.mjs';
import { Authority } from './certificates.mjs';
import { freePort, onceMore, removeFolder, startChild, stopChild, tellWhenFailed, temporaryFolder, until } from './util.mjs';

const START_MS = 30000;
const LOG_LINES = 60;

export class RealServer {
	// Gives a new server to @setUp, which starts it.
	static begin(setUp) {
		return onceMore(async () => {
			const server = new this();
			try {
				await setUp(server);
				return server;
			} catch (error) {
				await server.stop();
				throw new Error(`${error.message}\n${server.story()}`, { cause: error });
			}
		});
	}

	// c2sPort: STARTTLS; directTlsPort: TLS from the first byte; operatorPort: for the operator's commands. @log: the file's name;
	// @refused: what it logs when it does not get a port.
	async prepare(name, { log, refused }) {
		Object.assign(this, { name, log, refused, output: '' });
		this.folder = temporaryFolder(name);
		tellWhenFailed(() => this.story());
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

	// What it logged and printed, also after its end.
	story() {
		const text = this.lastStory ?? `${existsSync(this.at(this.log)) ? readFileSync(this.at(this.log), 'utf8') : ''}${this.output}`;
		return `The last that ${this.name} said:\n${text.trimEnd().split('\n').slice(-LOG_LINES).join('\n')}`;
	}

	// Starts the process and waits until it listens.
	async run(command, args, options = {}) {
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
		if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) {
			throw new Error(`${this.name} ended`);
		}
		// It goes on without that port, where somebody else may listen.
		if (this.refused.test(this.story())) {
			throw new Error(`${this.name} did not get its ports`);
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

	// Its data go with it, so it need not end in order: Prosody sometimes waits for ever then, with its ports closed.
	async stop() {
		if (this.child) {
			await stopChild(this.child, { signal: 'SIGKILL' });
		}
		this.lastStory = this.story();
		removeFolder(this.folder);
	}
}
