// What is tested with Prosody, with ejabberd: over STARTTLS and over direct TLS.
import { describe } from 'node:test';
import { Ejabberd } from '../support/ejabberd.mjs';
import { testLogin } from './scenarios/login.mjs';
import { testMessages } from './scenarios/messages.mjs';
import { openPlace } from './scenarios/place.mjs';
import { testResume } from './scenarios/resume.mjs';

// Whether many come in order and without loss does not depend on the server, and stanza takes 15 ms for each over BOSH.
const N_MESSAGES = 50;
const WAYS = { STARTTLS: 'required', 'direct TLS': 'direct' };

for (const [way, tls] of Object.entries(WAYS)) {
	const domainsOf = (server) => server.domainsOver(tls);

	describe(`ejabberd over ${way}, without PLAIN`, () => {
		testLogin(openPlace(() => Ejabberd.start({ mechanismsOff: ['PLAIN', 'X-OAUTH2'] }), { domainsOf }));
	});

	describe(`ejabberd over ${way}`, () => {
		const place = openPlace(() => Ejabberd.start(), { domainsOf, keepalive: 1 });
		testMessages(place, { n: N_MESSAGES });
		testResume(place);
	});
}
