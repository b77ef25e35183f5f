// The groups in which a client of a listener with TLS may exchange keys. It chooses, and what it chooses costs the gateway: 150 ms for
// each handshake with ffdhe8192, which OpenSSL takes by itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const LONG_KEY_BITS = 3072;
const ALLOWED = { 'X25519': /X25519/, 'P-256': /prime256v1/, 'P-384': /secp384r1/ };
const REFUSED = ['P-521', 'X448', 'ffdhe2048', 'ffdhe8192'];
// In TLS 1.2 a client's groups are those of keys in certificates, too, and an RSA key could do without any.
const VERSIONS = { quick: [['-tls1_3']], long: [['-tls1_3'], ['-tls1_2', '-cipher', 'ECDHE']] };
let folder;
let ports;
let doab;

before(async () => {
	folder = temporaryFolder('tls-groups');
	const authority = new Authority(folder);
	const listenerOf = ({ certificate, key }) => ({ tls: { certificate, key } });
	ports = { quick: await freePort(), long: await freePort() };
	// With the second key, a helper thread makes the handshakes.
	doab = await Doab.start({
		listeners: {
			[`127.0.0.1:${ports.quick}`]: listenerOf(authority.issue('quick', ['localhost'])),
			[`127.0.0.1:${ports.long}`]: listenerOf(authority.issue('long', ['localhost'], { rsaBits: LONG_KEY_BITS })),
		},
	});
});
after(async () => {
	await stopAll(doab);
	removeFolder(folder);
});

// Resolves with what openssl says about a connection on which it asks for a page.
async function connect(port, ...more) {
	const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...more], { stdio: ['pipe', 'pipe', 'pipe'] });
	let output = '';
	child.stdout.on('data', (text) => (output += text));
	child.stderr.on('data', (text) => (output += text));
	child.stdin.on('error', () => {}).write('GET / HTTP/1.0\r\n\r\n');
	await within(once(child, 'close'), 15000, 'openssl s_client');
	return output;
}

for (const [key, versions] of Object.entries(VERSIONS)) {
	for (const version of versions) {
		test(`${key} key, ${version[0]}: three groups are served`, TIMEOUT, async () => {
			for (const [group, name] of Object.entries(ALLOWED)) {
				const output = await connect(ports[key], ...version, '-groups', group);
				assert.match(output, /^HTTP\/1\.. 200/m, group);
				assert.match(output.match(/^(?:Server|Peer) Temp Key: .*$/m)?.[0] ?? output, name);
			}
		});

		test(`${key} key, ${version[0]}: no other group is`, TIMEOUT, async () => {
			for (const group of REFUSED) {
				const output = await connect(ports[key], ...version, '-groups', group);
				assert.match(output, /alert handshake failure/, group);
				assert.doesNotMatch(output, /^HTTP/m);
			}
		});
	}

	test(`${key} key: a client that begins with another group is asked for one of these, also when it resumes`, TIMEOUT, async () => {
		const session = `${folder}/session-${key}`;
		const groups = ['-tls1_3', '-groups', 'P-521:P-384'];
		const outputs = [await connect(ports[key], ...groups, '-sess_out', session), await connect(ports[key], ...groups, '-sess_in', session)];
		for (const output of outputs) {
			assert.match(output, /^HTTP\/1\.. 200/m);
			assert.match(output, /^(?:Server|Peer) Temp Key: .*secp384r1/m);
		}
		assert.match(outputs[1], /^Reused/m);
	});
}
