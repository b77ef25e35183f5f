// The PROXY protocol as its inventor reads it: Debian's HAProxy in front of a server takes the header, strictly, and tells whom it
// has seen.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { freePort, patiently, removeFolder, startChild, stopAll, stopChild, tellWhenFailed, temporaryFolder, until } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
let folder;
let plain;
let direct;
let haproxy;
let doab;

class HaProxy {
	// For each of @servers ({ name: port }) a frontend of its own, with `accept-proxy`.
	static async start(servers) {
		const self = new HaProxy();
		self.output = '';
		self.ports = {};
		const sections = [];
		for (const [name, port] of Object.entries(servers)) {
			self.ports[name] = await freePort();
			sections.push(`listen ${name}`, `\tbind 127.0.0.1:${self.ports[name]} accept-proxy`,
				`\tlog-format "seen=${name} client=%ci port=%cp"`, '\toption logasap', `\tserver only 127.0.0.1:${port}`);
		}
		const file = path.join(folder, 'haproxy.cfg');
		writeFileSync(file, ['global', '\tlog stdout format raw daemon', 'defaults', '\tmode tcp', '\tlog global', '\ttimeout connect 5s',
			'\ttimeout client 30s', '\ttimeout server 30s', ...sections, ''].join('\n'));
		self.child = startChild('/usr/sbin/haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
		for (const pipe of [self.child.stdout, self.child.stderr]) {
			pipe.setEncoding('utf8').on('data', (text) => (self.output += text));
		}
		tellWhenFailed(() => `What HAProxy said:\n${self.output}`);
		for (const port of Object.values(self.ports)) {
			await until(() => self.listens(port), 30000, 'HAProxy listening');
		}
		return self;
	}

	listens(port) {
		assert.equal(this.child.exitCode, null, this.output);
		return new Promise((resolve) => {
			const probe = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
			probe.once('connect', () => probe.destroy());
		});
	}

	seen(name, client) {
		return until(() => this.output.includes(`seen=${name} client=${client} `), 10000, `${client} in HAProxy's log: ${this.output}`);
	}

	async stop() {
		await stopChild(this.child);
	}
}

before(async () => {
	folder = temporaryFolder('haproxy');
	const authority = new Authority(folder);
	const ca = { ca_file: authority.certificate };
	const own = (name) => ({ tls: tlsOf(authority.issue(name, [`${name}.test`])) });
	plain = await XmppServer.start('starttls', own('starttls'));
	direct = await XmppServer.start('direct-tls', own('direct'));
	haproxy = await HaProxy.start({ starttls: plain.port, direct: direct.port });
	const at = (name, more) => ({ connect: [`127.0.0.1:${haproxy.ports[name]}`], ...ca, ...more });
	doab = await Doab.start({ trusted_proxies: ['127.0.0.1'], domains: {
		'starttls.test': at('starttls', { proxy_protocol: 'v1' }),
		'direct.test': at('direct', { tls: 'direct', proxy_protocol: 'v2' }),
	} });
});
after(async () => {
	await stopAll(doab, haproxy, plain, direct);
	removeFolder(folder);
});

for (const [name, version] of [['starttls', 'v1'], ['direct', 'v2']]) {
	test(`HAProxy takes the header of ${version} and sees the client`, TIMEOUT, async () => {
		for (const client of ['192.0.2.7', '2001:db8::7']) {
			const answer = await new BoshClient(doab.port, { headers: { 'X-Forwarded-For': client } }).create(`${name}.test`);
			assert.ok(answer.element.at('features'), answer.text);
			await haproxy.seen(name, client);
		}
	});
}
