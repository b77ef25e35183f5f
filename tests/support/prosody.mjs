// A Prosody of its own (Debian's package) for one test file: loopback, own data, own certificate.
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS } from './accounts.mjs';
import { RealServer } from './real-server.mjs';
import { freePort, within } from './util.mjs';

export { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS };

const MODULES = ['roster', 'saslauth', 'tls', 'disco', 'ping', 'smacks', 'bosh', 'websocket', 'admin_telnet', 'presence', 'message', 'iq',
	'offline'];

const luaList = (names) => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;

function configText({ folder, c2sPort, directTlsPort, operatorPort, httpPort, certificate, mechanismsOff, modules }) {
	return `
run_as_root = true
daemonize = false
pidfile = "${folder}/prosody.pid"
data_path = "${folder}/data"
log = { info = "${folder}/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${c2sPort} }
c2s_direct_tls_ports = { ${directTlsPort} }
http_ports = { ${httpPort} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
console_ports = { ${operatorPort} }
console_banner = "short"
plugin_paths = { }
modules_enabled = ${luaList([...MODULES, ...modules])}
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
	default_iteration_count = 4096 -- as few as RFC 5802 allows

VirtualHost "${ANONYMOUS_DOMAIN}"
	authentication = "anonymous"
`;
}

export class Prosody extends RealServer {
	// @mechanismsOff: SASL mechanisms not to offer. @modules: what it offers beside MODULES.
	static start({ mechanismsOff = [], modules = [] } = {}) {
		return this.begin(async (prosody) => {
			await prosody.prepare('prosody', { log: 'prosody.log', refused: /Failed to open server port/ });
			Object.assign(prosody, { mechanismsOff, modules });
			prosody.httpPort = await freePort();
			mkdirSync(prosody.at('data'));
			writeFileSync(prosody.at('prosody.cfg.lua'), configText(prosody));
			await prosody.launch();
			for (const [user, password] of Object.entries(PASSWORDS)) {
				await prosody.console(`user:create("${user}@${DOMAIN}", "${password}")`, /User created/);
			}
		});
	}

	launch() {
		return this.run('prosody', ['--config', this.at('prosody.cfg.lua')]);
	}

	// Gives one command to Prosody's console; resolves with what it printed up to @expected.
	async console(command, expected = /OK:/) {
		const socket = net.connect(this.operatorPort, '127.0.0.1');
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
}
