// `doab --probe DOMAIN --json`: the document, beside the text of the same probe and the sample in the manual.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority, pinOf, tlsOf } from '../support/certificates.mjs';
import { DnsServer } from '../support/dns-server.mjs';
import { configText, runDoab } from '../support/doab.mjs';
import { probe } from '../support/probe.mjs';
import { freePort, patiently, removeFolder, run, stopAll, temporaryFolder } from '../support/util.mjs';
import { SCENARIOS, XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const CONF = fileURLToPath(new URL('../../conf/', import.meta.url));
const MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'];
const FEATURES = `<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${MECHANISMS.map((name) => `<mechanism>${name}</mechanism>`).join('')}` +
	'</mechanisms><bind xmlns=\'urn:ietf:params:xml:ns:xmpp-bind\'/></stream:features>';
// Ends by itself, so that the probe need not wait for it.
const offering = (features) => [{ await: 'header' }, { header: true, features }, { pause: 100 }, { end: true }];
const underTls = (script) => [...SCENARIOS.starttls.slice(0, 3), ...script];
const HOSTILE = '\u202e&#10;"\\\u009b';

const servers = {};
let folder;
let dns;
let config;
let pin;

before(async () => {
	folder = temporaryFolder('probe-json');
	const authority = new Authority(folder);
	const zone = {};
	config = { allowed_ports: ['443', '1024-65535'], domains: {} };
	const add = async (name, script, tls, section) => {
		servers[name] = await XmppServer.start(script, { tls });
		zone[`_xmpp-client._tcp.${name}.test`] = { SRV: [[10, 5, servers[name].port, `xmpp.${name}.test`]], TTL: 300 };
		zone[`xmpp.${name}.test`] = { A: ['127.0.0.1'] };
		config.domains[`${name}.test`] = { allow_private: true, ca_file: authority.certificate, ...section };
	};
	const good = authority.issue('good', ['good.test', '*.good.test'], { days: 100 });
	pin = pinOf(good);
	await add('good', underTls(offering(FEATURES)), tlsOf(good));
	await add('expired', 'starttls', tlsOf(authority.issue('expired', ['expired.test'], { days: -1 })));
	await add('plain', offering(FEATURES), undefined, { tls: 'off' });
	await add('hostile', offering(FEATURES.replace('PLAIN', `PLAIN${HOSTILE}`)), undefined, { tls: 'off' });
	const dead = await freePort();
	zone['_xmpp-client._tcp.second.test'] = { SRV: [[1, 0, dead, 'xmpp.plain.test'], [2, 0, servers.plain.port, 'xmpp.plain.test']], TTL: 300 };
	config.domains['second.test'] = { tls: 'off', allow_private: true };
	zone['_xmpp-client._tcp.mute.test'] = 'SILENT';
	zone['_xmpps-client._tcp.mute.test'] = 'SILENT';
	config.domains['denied.test'] = { deny: true };
	dns = await DnsServer.start(zone);
	Object.assign(config, { resolvers: [dns.address], dns_timeout: 1000, dns_tries: 2, connect_timeout: 2, open_timeout: 6 });
});
after(async () => {
	await stopAll(...Object.values(servers), dns);
	removeFolder(folder);
});

// What is printed for @domain: one document in a line of ASCII, and the exit status.
async function look(domain) {
	const file = path.join(folder, 'doab.conf');
	writeFileSync(file, configText(config));
	const { code, stdout, stderr } = await runDoab('--config', file, '--probe', domain, '--json');
	assert.equal(stderr, '');
	assert.match(stdout, /^[ -~]+\n$/);
	const found = JSON.parse(stdout);
	assert.equal(code, found.verdict.works ? 0 : 1);
	assert.equal(found.domain, domain);
	return found;
}

// What a value is made of. Of a list the first element stands for all. What may be null, or missing in a list, agrees with all.
function assertShape(value, sample, where = 'document') {
	if (value === null || sample === null) {
		return;
	}
	assert.equal(Array.isArray(value), Array.isArray(sample), where);
	assert.equal(typeof value, typeof sample, where);
	if (Array.isArray(value)) {
		value.forEach((each, i) => sample.length && assertShape(each, sample[0], `${where}[${i}]`));
	} else if (typeof value === 'object') {
		assert.deepEqual(Object.keys(value), Object.keys(sample), where);
		Object.keys(value).forEach((key) => assertShape(value[key], sample[key], `${where}.${key}`));
	}
}

const readSample = () => JSON.parse(readFileSync(path.join(CONF, 'man/probe.json'), 'utf8'));

test('the document has the shape of the sample, whatever was found', TIMEOUT, async () => {
	const sample = readSample();
	for (const domain of ['good.test', 'expired.test', 'plain.test', 'second.test', 'denied.test', 'nothing.test', 'mute.test', 'hostile.test']) {
		assertShape(await look(domain), sample, domain);
	}
	// What it has no values for would not have been compared.
	const good = await look('good.test');
	for (const key of ['services', 'order', 'addresses', 'handshakes', 'steps', 'advice']) {
		assert.ok(good[key].length > 0 && sample[key].length > 0, key);
	}
	assert.ok(good.features && sample.features);
});

test('the manual has the sample', TIMEOUT, async () => {
	const { code, stdout } = await run('python3', [path.join(CONF, 'reference.py'), 'doab.8', '1.0', '/etc/doab.conf']);
	assert.equal(code, 0);
	const shown = /doab \\-\\-probe example\.org \\-\\-json[^]*?\.EX\n([^]*?)\.EE/.exec(stdout)[1];
	assert.deepEqual(JSON.parse(shown.replaceAll('\\&', '').replaceAll('\\-', '-').replaceAll('\\(aq', '\'').replaceAll('\\e', '\\')), readSample());
});

test('a domain that works: every fact of it', TIMEOUT, async () => {
	const found = await look('good.test');
	const { port } = servers.good;
	assert.match(found.verdict.text, /^A session would work: TLS 1\.3, certificate valid until \d{4}-\d\d-\d\d, SCRAM-SHA-256 and 2 more\.$/);
	assert.equal(found.verdict.failure, null);
	assert.deepEqual(found.advice, ['There is no direct TLS (SRV _xmpps-client._tcp, XEP-0368), which would save two round trips.']);
	assert.ok(Math.abs(Date.parse(found.time) - Date.now()) < patiently(60000), found.time);
	assert.deepEqual(found.configuration, { file: path.join(folder, 'doab.conf'), section: 'good.test', is_pattern: false, tls: 'required' });
	const service = found.services.find(({ name }) => name === '_xmpp-client._tcp.good.test');
	assert.equal(service.ttl_s, 300);
	assert.deepEqual(service.targets, [{ priority: 10, weight: 5, host: 'xmpp.good.test', port }]);
	assert.equal(found.services.find(({ name }) => name === '_xmpps-client._tcp.good.test').answer, 'none');
	assert.deepEqual(found.order, [{ host: 'xmpp.good.test', port, direct_tls: false }]);
	const [{ step_ms: step, start_ms: start, ...address }] = found.addresses;
	assert.deepEqual(address, { host: 'xmpp.good.test', address: '127.0.0.1', port, outcome: 'connected', failure: null, detail: null });
	assert.ok(step >= 0 && start >= step, `${step} ${start}`);
	const [{ certificate, checks, ...handshake }] = found.handshakes;
	assert.equal(handshake.version, 'TLS 1.3');
	assert.equal(handshake.server, `xmpp.good.test 127.0.0.1:${port}`);
	assert.equal(handshake.accepted, true);
	assert.equal(certificate.subject, 'good');
	assert.deepEqual(certificate.names, [{ kind: 'dns', name: 'good.test' }, { kind: 'dns', name: '*.good.test' }]);
	assert.equal(certificate.pin, pin);
	const days = (Date.parse(certificate.not_after) - Date.now()) / 86400000;
	assert.ok(days > 98 && days < 101, certificate.not_after);
	assert.deepEqual(checks, { chain: 'good', chain_problem: null, authority: 'doab tests authority', name: 'good', named: 'good.test', pin: null, dane: null });
	assert.deepEqual(found.features, { sasl: MECHANISMS, sasl2: [], others: ['bind'], best: 'SCRAM-SHA-256' });
});

test('its steps are the lines of the text', TIMEOUT, async () => {
	for (const domain of ['good.test', 'expired.test', 'second.test']) {
		const { steps, verdict, advice } = await look(domain);
		const text = await probe(domain, config);
		assert.equal(verdict.text.replaceAll(/\d+/g, '0'), text.verdict.replaceAll(/\d+/g, '0'));
		assert.equal(advice.map((each) => `! ${each}`).join('\n'), text.advice);
		for (const label of ['order', 'STARTTLS', 'names', 'valid', 'chain', 'accepted', 'SASL']) {
			assert.deepEqual(steps.filter((step) => step.label === label).map((step) => step.text).join(' '), text.lines(label).join(' '), label);
		}
		for (const { section, status } of steps) {
			assert.match(status, /^(info|ok|warning|failed)$/);
			assert.ok(text.stdout.includes(section), section);
		}
	}
});

test('a domain that does not work: what failed, by its name', TIMEOUT, async () => {
	const expired = await look('expired.test');
	assert.equal(expired.verdict.failure, 'certificate-expired');
	assert.equal(expired.handshakes[0].failure, 'certificate-expired');
	assert.equal(expired.handshakes[0].accepted, false);
	assert.equal(expired.handshakes[0].checks.chain, 'bad');
	assert.match(expired.handshakes[0].checks.chain_problem, /expired/);
	assert.equal(expired.handshakes[0].certificate.not_after.slice(0, 10), '2020-02-01');
	assert.equal(expired.features, null);
	assert.equal((await look('denied.test')).verdict.failure, 'domain-refused');
	assert.equal((await look('nothing.test')).verdict.failure, 'dns-no-name');
	const mute = await look('mute.test');
	assert.equal(mute.verdict.failure, 'dns-timeout');
	assert.deepEqual(mute.services.map(({ answer }) => answer), ['timeout', 'timeout']);
	const second = await look('second.test');
	assert.deepEqual(second.addresses.map(({ outcome, failure }) => [outcome, failure]), [['failed', 'connect-refused'], ['connected', null]]);
	assert.match(second.advice.join('\n'), /the server refused the connection/);
	assert.deepEqual(second.handshakes, []);
});

test('strangers\' words stay inside their strings', TIMEOUT, async () => {
	const { features, verdict } = await look('hostile.test');
	assert.equal(verdict.works, true);
	assert.ok(features.sasl.some((name) => name.startsWith('PLAIN\u202e')), JSON.stringify(features.sasl));
});

test('what cannot be tried leaves no document; and --json is for probes', TIMEOUT, async () => {
	const { code, stdout, stderr } = await runDoab('--probe', 'a b', '--json');
	assert.deepEqual([code, stdout], [2, '']);
	assert.match(stderr, /: not a domain/);
	for (const args of [['--json'], ['--status', '--json'], ['--check', '/dev/null', '--json'], ['--json', '--dump']]) {
		const refused = await runDoab(...args);
		assert.deepEqual([refused.code, refused.stdout], [2, ''], args.join(' '));
		assert.match(refused.stderr, /^doab: --json goes with --probe only\nUsage/);
	}
});
