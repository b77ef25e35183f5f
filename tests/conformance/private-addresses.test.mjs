// What clients are told of a server that cannot be reached: names, but no addresses. Those are in
// the log, and the probe shows them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const NS_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';
const CONNECTION_FAILED = 'remote-connection-failed';
const service = (domain) => `_xmpp-client._tcp.${domain}`;

const things = [];
const started = async (thing) => {
	things.unshift(await thing);
	return things[0];
};
let folder;
let config;
let doab;
let dead;

// A name of this machine's hosts file and its address: one that is not "localhost", which is known
// without the file, if there is one.
function nameOfHosts() {
	for (const line of readFileSync('/etc/hosts', 'utf8').split('\n')) {
		const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
		const name = names.find((text) => text !== 'localhost');
		if (net.isIPv4(address) && name) {
			return { name, address };
		}
	}
	return { name: 'localhost', address: '127.0.0.1' };
}
const hosts = nameOfHosts();

before(async () => {
	folder = temporaryFolder('private');
	const authority = new Authority(folder);
	dead = await freePort();
	const other = `<see-other-host xmlns='${NS_ERRORS}'>127.0.0.1:${dead}</see-other-host>`;
	const redirecting = [{ await: 'header' }, { header: true, features: null },
		{ send: `<stream:error>${other}</stream:error></stream:stream>` }, { end: true }];
	const moved = await started(XmppServer.start(redirecting));
	// An address where a name belongs: people write such certificates.
	const material = authority.issue('misnamed', ['192.168.77.1', 'inside.test']);
	const misnamed = await started(XmppServer.start('starttls', { tls: tlsOf(material) }));
	const dns = await started(DnsServer.start({
		[service('inside.test')]: { SRV: [[0, 0, dead, 'h.inside.test']] },
		'h.inside.test': { A: ['127.0.0.1'] },
		[service('six.test')]: { SRV: [[0, 0, dead, 'h.six.test']] },
		'h.six.test': { AAAA: ['::1'] },
		[service('literal.test')]: { SRV: [[0, 0, dead, '127.0.0.1']] },
		[service('refused.test')]: { SRV: [[0, 0, dead, 'h.refused.test']] },
		'h.refused.test': { A: ['10.77.0.1'] },
		[service('hosts.test')]: { SRV: [[0, 0, dead, hosts.name]] },
	}));
	const open = { tls: 'off', allow_private: true };
	const settings = { allowed_ports: ['1-65535'], connect_timeout: 3, open_timeout: 9 };
	config = { ...settings, resolvers: [dns.address], domains: {
		'inside.test': open, 'six.test': open, 'literal.test': open, 'hosts.test': open,
		'fixed.test': { tls: 'off', connect: [`127.0.0.1:${dead}`] },
		'fixed-six.test': { tls: 'off', connect: [`[::1]:${dead}`] },
		// What the system does not even try.
		'broadcast.test': { tls: 'off', connect: ['255.255.255.255:5222'] },
		'moved.test': moved.section(open),
		'misnamed.test': misnamed.section({ ca_file: authority.certificate }),
	} };
	doab = await started(Doab.start(config));
});
after(async () => {
	await stopAll(...things);
	removeFolder(folder);
});

function assertNoAddress(text) {
	assert.doesNotMatch(text, /\d+\.\d+\.\d+\.\d+/, text);
	assert.doesNotMatch(text, /[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*/i, text);
}

// Both transports, and the log; @shown is what stands there. Returns what BOSH clients are told.
async function assertTold(domain, shown, conditions) {
	const answer = await new BoshClient(doab.port).create(domain, { wait: 30 });
	assertTerminated(answer, conditions);
	const socket = await openWebSocket(doab.port);
	socket.open(domain);
	const error = await assertStreamError(socket, conditions);
	const { text } = answer.element;
	assert.equal(error.at('text').text, text);
	assertNoAddress(text);
	assertNoAddress(error.raw ?? error.text);
	for (const transport of ['bosh', 'websocket']) {
		const line = await doab.logged('session-failed', { domain, transport });
		assert.ok(line.detail.includes(shown), line.detail);
	}
	return text;
}

const REFUSED = 'the server refused the connection';
const UNREACHABLE = 'the server cannot be reached';
const NO_RESOURCE = 'the gateway ran out of a resource';
const CASES = [
	['fixed.test', () => `127.0.0.1:${dead}`, new RegExp(`^${REFUSED}$`)],
	['fixed-six.test', () => `[::1]:${dead}`, new RegExp(`^(${REFUSED}|${UNREACHABLE})$`)],
	['broadcast.test', () => '255.255.255.255:5222', new RegExp(`^(${UNREACHABLE}|${NO_RESOURCE})$`)],
	['inside.test', () => `h.inside.test 127.0.0.1:${dead}`,
		new RegExp(`^${REFUSED}: h\\.inside\\.test:\\d+$`)],
	['six.test', () => `h.six.test [::1]:${dead}`, /: h\.six\.test:\d+$/],
	['literal.test', () => `127.0.0.1:${dead}`, new RegExp(`^${REFUSED}: \\(address\\)$`)],
	['refused.test', () => `h.refused.test 10.77.0.1:${dead}`,
		/not a public one.*: h\.refused\.test:\d+$/],
	['hosts.test', () => `${hosts.name} ${hosts.address}:${dead}`,
		new RegExp(`^${REFUSED}: ${hosts.name}:\\d+$`)],
	['moved.test', () => `127.0.0.1:${dead}`, new RegExp(`^${REFUSED}$`)],
	['misnamed.test', () => '192.168.77.1,inside.test',
		/names in the certificate: \(address\),inside\.test; wanted: misnamed\.test$/],
];
for (const [domain, shown, text] of CASES) {
	test(`${domain}: the client is told no address, the log holds it`, TIMEOUT, async () => {
		const conditions = [CONNECTION_FAILED];
		if (domain === 'broadcast.test') {
			conditions.push('internal-server-error');
		}
		assert.match(await assertTold(domain, shown(), conditions), text);
	});
}

test('the probe shows it to the operator', TIMEOUT, async () => {
	const { verdict } = await probe('inside.test', config);
	assert.match(verdict, new RegExp(`h\\.inside\\.test 127\\.0\\.0\\.1:${dead}`));
});
