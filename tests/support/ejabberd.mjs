// An ejabberd of its own (Debian's package) for one test file: loopback, own data, own certificate.
//
// It is started by `erl` and not by ejabberdctl, which would change the user and want an epmd: as a node without a name it
// neither speaks nor needs Erlang's distribution. The operator's commands go to it by mod_http_api.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS } from './accounts.mjs';
import { RealServer } from './real-server.mjs';
import { within } from './util.mjs';

// No waiting for work in circles: other tests have work for the processor.
const ERLANG_OPTIONS = ['+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none', '-noinput'];

// The configuration is YAML, of which JSON is a part.
function configText({ c2sPort, directTlsPort, operatorPort, certificate, ca, mechanismsOff }) {
	const listener = (port, module, more) => ({ port, ip: '127.0.0.1', module, backlog: 128, ...more });
	return JSON.stringify({
		loglevel: 'warning',
		log_rotate_count: 0,
		negotiation_timeout: 240, // seconds for a login
		hosts: [DOMAIN, ANONYMOUS_DOMAIN],
		certfiles: [certificate.certificate, certificate.key],
		ca_file: ca,
		acme: { auto: false },
		listen: [
			listener(c2sPort, 'ejabberd_c2s', { starttls: true, starttls_required: true }),
			listener(directTlsPort, 'ejabberd_c2s', { tls: true }),
			listener(operatorPort, 'ejabberd_http', { request_handlers: { '/api': 'mod_http_api' } }),
		],
		auth_password_format: 'scram',
		disable_sasl_mechanisms: mechanismsOff,
		host_config: { [ANONYMOUS_DOMAIN]: { auth_method: ['anonymous'], anonymous_protocol: 'sasl_anon' } },
		acl: { own: { ip: '127.0.0.0/8' } },
		api_permissions: { own: { who: { access: { allow: [{ acl: 'own' }] } }, what: '*' } },
		modules: { mod_admin_extra: {}, mod_disco: {}, mod_http_api: {}, mod_ping: {}, mod_roster: {}, mod_stream_mgmt: {} },
	}, null, '\t');
}

// Debian keeps it apart from Erlang's own libraries, in a folder named after the architecture.
function librariesFolder() {
	const folders = readdirSync('/usr/lib', { withFileTypes: true }).filter((entry) => entry.isDirectory())
		.map(({ name }) => path.join('/usr/lib', name));
	const found = folders.find((folder) => readdirSync(folder).some((name) => /^ejabberd-\d/.test(name)));
	if (!found) {
		throw new Error('ejabberd is not installed');
	}
	return found;
}

export class Ejabberd extends RealServer {
	// @mechanismsOff: SASL mechanisms not to offer.
	static start({ mechanismsOff = [] } = {}) {
		return this.begin(async (ejabberd) => {
			await ejabberd.prepare('ejabberd', { log: 'ejabberd.log', refused: /Failed to open socket/ });
			ejabberd.mechanismsOff = mechanismsOff;
			mkdirSync(ejabberd.at('spool'));
			writeFileSync(ejabberd.at('ejabberd.yml'), configText(ejabberd));
			writeFileSync(ejabberd.at('inetrc'), '{lookup, [file]}.\n'); // no DNS
			await ejabberd.launch();
			for (const [user, password] of Object.entries(PASSWORDS)) {
				await ejabberd.command('register', { user, host: DOMAIN, password });
			}
		});
	}

	launch() {
		return this.run('erl', [...ERLANG_OPTIONS, '-mnesia', 'dir', `"${this.at('spool')}"`, '-s', 'ejabberd'], {
			env: {
				PATH: process.env.PATH,
				HOME: this.folder,
				LANG: 'C.UTF-8',
				ERL_LIBS: librariesFolder(),
				ERL_INETRC: this.at('inetrc'),
				ERL_CRASH_DUMP_BYTES: '0',
				EJABBERD_CONFIG_PATH: this.at('ejabberd.yml'),
				EJABBERD_LOG_PATH: this.at('ejabberd.log'),
			},
		});
	}

	// One of the operator's commands; resolves with its answer.
	command(name, values) {
		const answered = new Promise((resolve, reject) => {
			const request = http.request({ host: '127.0.0.1', port: this.operatorPort, path: `/api/${name}`, method: 'POST',
				agent: false, headers: { 'Content-Type': 'application/json' } });
			request.once('error', reject).once('response', (response) => {
				let text = '';
				response.setEncoding('utf8').on('data', (more) => (text += more)).once('error', reject).once('end', () => {
					if (response.statusCode === 200) {
						resolve(text);
					} else {
						reject(new Error(`ejabberd answered ${name} with ${response.statusCode}: ${text}`));
					}
				});
			});
			request.end(JSON.stringify(values));
		});
		return within(answered, 10000, `ejabberd's answer to ${name}`);
	}

	// The server ends the session of that full address.
	closeSessions(jid) {
		const [, user, host, resource] = /^(.*)@(.*?)\/(.*)$/.exec(jid);
		return this.command('kick_session', { user, host, resource, reason: 'ended by the operator' });
	}
}
