// A Prosody of its own (Debian's package) for one test file: loopback, own data, own certificate.
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS } from './accounts.mjs';
import { Authority } from './certificates.mjs';
import { freePort, removeFolder, startChild, stopChild, temporaryFolder, until, within } from './util.mjs';

export { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS };

const luaList = (names) => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;

function configText({ folder, c2sPort, httpPort, consolePort, certificate, mechanismsOff }) {
	return `
run_as_root = true
daemonize = false
pidfile = "${folder}/prosody.pid"
data_path = "${folder}/data"
log = { info = "${folder}/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${c2sPort} }
c2s_direct_tls_ports = { }
http_ports = { ${httpPort} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
console_ports = { ${consolePort} }
console_banner = "short"
plugin_paths = { }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "smacks", "bosh", "websocket", "admin_telnet", "presence", "message", "iq" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
consider_bosh_secure = true
consider_websocket_secure = true
cross_domain_bosh = true
smacks_hibernation_time = 60
disable_sasl_mechanisms = ${luaList(mechanismsOff)}
ssl = { certificate = "${certificate.certificate}", key = "${certificate.key}" }

VirtualHost "${DOMAIN}"
	authentication = "internal_hashed"

VirtualHost "${ANONYMOUS_DOMAIN}"
	authentication = "anonymous"
`;
}

export class Prosody {
	// @mechanismsOff: SASL mechanisms not to offer.
	static async start({ mechanismsOff = [] } = {}) {
		const prosody = new Prosody();
		prosody.mechanismsOff = mechanismsOff;
		prosody.folder = temporaryFolder('prosody');
		mkdirSync(path.join(prosody.folder, 'data'));
		prosody.authority = new Authority(prosody.folder);
		prosody.ca = prosody.authority.certificate;
		const certificate = prosody.authority.issue('prosody', [DOMAIN, ANONYMOUS_DOMAIN]);
		prosody.c2sPort = await freePort();
		prosody.httpPort = await freePort();
		prosody.consolePort = await freePort();
		prosody.configFile = path.join(prosody.folder, 'prosody.cfg.lua');
		writeFileSync(prosody.configFile, configText({ ...prosody, certificate }));
		await prosody.launch();
		for (const [user, password] of Object.entries(PASSWORDS)) {
			await prosody.console(`user:create("${user}@${DOMAIN}", "${password}")`, /User created/);
		}
		return prosody;
	}

	async launch() {
		this.output = '';
		this.child = startChild('prosody', ['--config', this.configFile], { stdio: ['ignore', 'pipe', 'pipe'] });
		for (const stream of [this.child.stdout, this.child.stderr]) {
			stream.setEncoding('utf8').on('data', (text) => (this.output += text));
		}
		const answers = async (port) => {
			if (this.child.exitCode !== null) {
				throw new Error(`prosody ended:\n${this.output}`);
			}
			return new Promise((resolve) => {
				const socket = net.connect(port, '127.0.0.1');
				socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
				socket.once('connect', () => socket.destroy());
			});
		};
		await until(() => answers(this.c2sPort), 20000, 'prosody listens for clients');
		await until(() => answers(this.consolePort), 20000, 'prosody listens for its operator');
	}

	// Gives one command to Prosody's console; resolves with what it printed up to @expected.
	async console(command, expected = /OK:/) {
		const socket = net.connect(this.consolePort, '127.0.0.1');
		let text = '';
		const done = new Promise((resolve, reject) => {
			socket.setEncoding('utf8').on('data', (more) => {
				text += more;
				if (expected.test(text)) {
					resolve(text);
				}
			});
			socket.once('error', reject);
			socket.once('close', () => reject(new Error(`prosody's console closed after ${command}: ${text}`)));
		});
		socket.write(`${command}\n`);
		try {
			return await within(done, 10000, `${expected} from prosody after ${command}`);
		} finally {
			socket.destroy();
		}
	}

	// The server ends all sessions of that account.
	closeSessions(jid) {
		return this.console(`c2s:close("${jid}", "ended by the operator")`, /sessions closed/);
	}

	// The `domain` sections that lead the gateway here.
	get domains() {
		const section = { connect: [`127.0.0.1:${this.c2sPort}`], ca_file: this.ca };
		return { [DOMAIN]: section, [ANONYMOUS_DOMAIN]: section };
	}

	async stop() {
		await stopChild(this.child);
		removeFolder(this.folder);
	}
}
