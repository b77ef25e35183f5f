// The proxies whose configurations are shipped in conf/, as they are shipped but for the addresses, names and files of a run.
//
//     const proxy = await PROXIES.caddy.start(doab.port);
//     proxy.port; proxy.ca; await proxy.request('POST', '/http-bind', { headers, body }); await proxy.stop();
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Authority } from './certificates.mjs';
import { freePort, onceMore, removeFolder, startChild, stopChild, tellWhenFailed, temporaryFolder, until } from './util.mjs';

export const HOST = 'chat.example.test';

export const shippedFile = (name) => fileURLToPath(new URL(`../../conf/${name}`, import.meta.url));

// Throws when one of the texts to be replaced is not in the file.
function adapt(name, replacements) {
	return replacements.reduce((all, [from, to]) => {
		assert.ok(all.includes(from), `${from} in conf/${name}`);
		return all.replaceAll(from, to);
	}, readFileSync(shippedFile(name), 'utf8'));
}

const START_MS = 30000;
const OUTPUT_MAX = 4000;

function listens(port) {
	return new Promise((resolve) => {
		const probe = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
		probe.once('connect', () => probe.destroy());
	});
}

class Proxy {
	// @file: the configuration's name in conf/. @replace(self): pairs of texts. @command(self, file): the program and its arguments.
	constructor({ file, replace, command, signal = 'SIGTERM' }, more) {
		Object.assign(this, { file, replace, command, signal, output: '' }, more);
	}

	async start(doabPort) {
		try {
			await this.launch(doabPort);
			return this;
		} catch (error) {
			await this.stop();
			throw error;
		}
	}

	async launch(doabPort) {
		this.folder = temporaryFolder('proxy');
		this.doabPort = doabPort;
		this.authority = new Authority(this.folder);
		Object.assign(this, this.authority.issue('front', [HOST, 'localhost'], { more: ['IP:127.0.0.1'] }));
		this.port = await freePort();
		this.ca = readFileSync(this.authority.certificate);
		this.agent = new https.Agent({ keepAlive: true, ca: this.ca });
		const file = path.join(this.folder, path.basename(this.file));
		writeFileSync(file, adapt(this.file, this.replace(this)));
		const [program, ...args] = this.command(this, file);
		this.child = startChild(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: this.folder } });
		for (const pipe of [this.child.stdout, this.child.stderr]) {
			pipe.setEncoding('utf8').on('data', (more) => (this.output += more));
		}
		tellWhenFailed(() => `What the proxy with ${this.file} said:\n${this.output.slice(-OUTPUT_MAX)}`);
		await until(() => {
			assert.equal(this.child.exitCode, null, `${this.file}: ${this.output}`);
			return listens(this.port);
		}, START_MS, `${this.file}: the proxy listens`);
	}

	request(method, target, { headers = {}, body = '' } = {}) {
		return new Promise((resolve, reject) => {
			const options = { host: '127.0.0.1', port: this.port, path: target, method, ca: this.ca, servername: HOST, agent: this.agent,
				headers: { Host: HOST, 'Content-Length': Buffer.byteLength(body), ...headers } };
			const request = https.request(options, (response) => {
				const chunks = [];
				response.on('data', (chunk) => chunks.push(chunk)).once('end', () => {
					const bytes = Buffer.concat(chunks);
					resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() });
				});
			});
			request.once('error', reject).end(body);
		});
	}

	async stop() {
		this.agent?.destroy();
		if (this.child) {
			await stopChild(this.child, { signal: this.signal, patience: 5000 });
		}
		removeFolder(this.folder);
	}
}

const startProxy = (description, more, doabPort) => onceMore(() => new Proxy(description, more).start(doabPort));

const DEFAULT_FILES = 1024;
const NGINX_FOLDERS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
const APACHE_MODULES = ['mpm_event', 'authz_core', 'headers', 'http2', 'proxy', 'proxy_http', 'proxy_wstunnel', 'socache_shmcb', 'ssl'];

const nginx = {
	file: 'nginx.conf',
	replace: (self) => [
		['worker_processes auto;', 'worker_processes 1;'],
		['pid /run/nginx.pid;', `pid ${self.folder}/nginx.pid; daemon off;`],
		['/var/log/nginx/error.log', 'stderr'],
		['access_log off;', `access_log off; ${NGINX_FOLDERS.map((name) => `${name}_temp_path ${self.folder}/${name};`).join(' ')}`],
		['server 127.0.0.1:5280;', `server 127.0.0.1:${self.doabPort};`],
		['listen 443 ssl http2;', `listen 127.0.0.1:${self.port} ssl http2;`],
		['listen [::]:443 ssl http2;', ''],
		['server_name chat.example.org;', `server_name ${HOST};`],
		['/etc/ssl/chat.example.org/fullchain.pem', self.certificate],
		['/etc/ssl/chat.example.org/privkey.pem', self.key],
	],
	// With the limit that systemd gives a service; the file is to raise it.
	command: (self, file) => ['sh', '-c', `ulimit -S -n ${DEFAULT_FILES}; exec /usr/sbin/nginx "$@"`, 'nginx', '-e', 'stderr', '-p', self.folder, '-c', file],
	signal: 'SIGQUIT',
};

// Serves the folder `site`, too.
const converse = {
	...nginx,
	file: 'converse/nginx.conf',
	replace: (self) => [
		...nginx.replace(self),
		['/var/www/chat', self.site],
	],
};

const haproxy = {
	file: 'haproxy.cfg',
	replace: (self) => {
		const bundle = path.join(self.folder, 'bundle.pem');
		writeFileSync(bundle, Buffer.concat([self.cert, self.keyText]));
		return [
			// A test may not raise the limit of open files.
			['maxconn 20000', 'maxconn 1000'],
			['bind :443 ssl', `bind 127.0.0.1:${self.port} ssl`],
			['/etc/haproxy/chat.example.org.pem', bundle],
			['127.0.0.1:5280', `127.0.0.1:${self.doabPort}`],
		];
	},
	command: (self, file) => ['/usr/sbin/haproxy', '-db', '-f', file],
	signal: 'SIGUSR1',
};

// In front of two gateways, as the lines that begin with "#two" say. @nodes: their ports, and those of their admin listeners.
const haproxyOfTwo = {
	...haproxy,
	replace: (self) => [
		['\tmaxconn 20000', `\tstats socket ${self.folder}/stats\n\tmaxconn 20000`],
		['\tserver doab 127.0.0.1:5280 check inter 2s\n', ''],
		['#two\t', ''],
		...self.nodes.map(({ port, adminPort }, i) => [`192.0.2.${i + 1}:5280 check port 5281`, `127.0.0.1:${port} check port ${adminPort}`]),
		// All clients of a test have one address.
		['\tstick on src\n', ''],
		...haproxy.replace(self).filter(([from]) => from !== '127.0.0.1:5280'),
	],
};

const apache = {
	file: 'apache.conf',
	replace: (self) => [
		['Listen 443\n', [
			...APACHE_MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
			`Listen 127.0.0.1:${self.port} https`, `PidFile ${self.folder}/apache.pid`, `DefaultRuntimeDir ${self.folder}`,
			`ErrorLog ${self.folder}/error.log`, ...(process.getuid() === 0 ? ['User www-data', 'Group www-data'] : []), ''].join('\n')],
		['*:443', `127.0.0.1:${self.port}`],
		['chat.example.org\n', `${HOST}\n`],
		['/etc/ssl/chat.example.org/fullchain.pem', self.certificate],
		['/etc/ssl/chat.example.org/privkey.pem', self.key],
		['127.0.0.1:5280', `127.0.0.1:${self.doabPort}`],
	],
	command: (self, file) => ['/usr/sbin/apache2', '-DFOREGROUND', '-f', file],
};

const caddy = {
	file: 'Caddyfile',
	replace: (self) => {
		mkdirSync(path.join(self.folder, 'storage'));
		return [
			['chat.example.org {\n', [
				`{\n\tadmin off\n\tauto_https off\n\tskip_install_trust\n\tstorage file_system ${self.folder}/storage\n}`,
				`https://${HOST}:${self.port}, https://localhost:${self.port}, https://127.0.0.1:${self.port} {`,
				'\tbind 127.0.0.1', `\ttls ${self.certificate} ${self.key}`, ''].join('\n')],
			['reverse_proxy 127.0.0.1:5280', `reverse_proxy 127.0.0.1:${self.doabPort}`],
		];
	},
	command: (self, file) => ['/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', file],
};

// @answersPreflights: also while the gateway is away.
const proxy = (description, { answersPreflights = true } = {}) =>
	({ answersPreflights, start: (doabPort) => startProxy(description, {}, doabPort) });

// What HAProxy says of each gateway: UP, DOWN and more. The socket is there a moment after the ports.
async function statesOf(self) {
	const chunks = await net.connect(path.join(self.folder, 'stats')).end('show stat\n').toArray().catch(() => []);
	const [head, ...rows] = chunks.join('').trim().split('\n').map((line) => line.split(','));
	const servers = rows.filter(([, name]) => !['FRONTEND', 'BACKEND'].includes(name));
	return servers.map((row) => row[head.indexOf('status')]);
}

// proxy.states(): those of the gateways.
export async function startHaproxyOfTwo(nodes) {
	const front = await startProxy(haproxyOfTwo, { nodes });
	return Object.assign(front, { states: () => statesOf(front) });
}

export const PROXIES = {
	nginx: proxy(nginx),
	HAProxy: proxy(haproxy),
	Apache: proxy(apache, { answersPreflights: false }),
	Caddy: proxy(caddy),
};

// Converse.js in the folder @site, and the gateway, behind one nginx.
export const startConverseSite = (doabPort, site) => startProxy(converse, { site }, doabPort);
