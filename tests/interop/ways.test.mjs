// The ways to a server: what is tested over STARTTLS to a configured address, over direct TLS, and where the DNS leads.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DnsServer } from '../support/dns-server.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, Prosody } from '../support/prosody.mjs';
import { stopAll } from '../support/util.mjs';
import { testLogin } from './scenarios/login.mjs';
import { testMessages } from './scenarios/messages.mjs';
import { openPlace } from './scenarios/place.mjs';
import { testResume } from './scenarios/resume.mjs';

const N_MESSAGES = 50;
const HOST = 'host.example.test';
const onlyScram = { mechanismsOff: ['PLAIN', 'OAUTHBEARER'] };

// A Prosody that the DNS knows: of each domain the records that @servicesOf(server) gives, { SERVICE: SRV records }.
class PublishedProsody extends Prosody {
	static async start(servicesOf) {
		const server = await super.start(onlyScram);
		const records = Object.entries(servicesOf(server)).flatMap(([service, SRV]) =>
			[DOMAIN, ANONYMOUS_DOMAIN].map((domain) => [`${service}.${domain}`, { SRV }]));
		server.dns = await DnsServer.start({ ...Object.fromEntries(records), [HOST]: { A: ['127.0.0.1'] } });
		return server;
	}

	async stop() {
		await stopAll(this.dns, { stop: () => super.stop() });
	}
}

// Each way, a row: what is published, and what the `domain` sections say.
const PUBLISHED = {
	'STARTTLS, by _xmpp-client records': {
		servicesOf: ({ c2sPort }) => ({ '_xmpp-client._tcp': [[10, 0, c2sPort, HOST]] }),
		section: {},
	},
	'direct TLS, by _xmpps-client records': {
		servicesOf: ({ directTlsPort }) => ({ '_xmpps-client._tcp': [[10, 0, directTlsPort, HOST]] }),
		section: {},
	},
	'direct TLS, by records of both services and tls = "direct"': {
		servicesOf: ({ c2sPort, directTlsPort }) => ({
			'_xmpp-client._tcp': [[0, 0, c2sPort, HOST]], '_xmpps-client._tcp': [[10, 0, directTlsPort, HOST]],
		}),
		section: { tls: 'direct' },
	},
};

describe('direct TLS to a configured address', () => {
	const domainsOf = (server) => server.domainsOver('direct');

	describe('without PLAIN', () => {
		testLogin(openPlace(() => Prosody.start(onlyScram), { domainsOf }));
	});

	describe('messages', () => {
		const place = openPlace(() => Prosody.start(), { domainsOf, keepalive: 1 });
		testMessages(place, { n: N_MESSAGES });
		testResume(place);
	});
});

for (const [name, { servicesOf, section }] of Object.entries(PUBLISHED)) {
	describe(name, () => {
		const place = openPlace(() => PublishedProsody.start(servicesOf), {
			domainsOf: (server) => server.sections({ allow_private: true, ...section }),
			configOf: (server) => ({ resolvers: [server.dns.address] }),
		});

		testLogin(place);

		test('the DNS was asked', () => {
			assert.ok(place.server.dns.count(HOST, 'A') > 0);
		});
	});
}
