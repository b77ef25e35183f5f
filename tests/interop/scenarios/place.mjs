// Where the scenarios beside this file are played: an XMPP server and the gateway before it.
//
//     const place = openPlace(() => Prosody.start());
//     testLogin(place);
//
// To be called where tests are declared, at the top of a file or in a describe(). place.server and place.doab are there
// when the tests run; those who make tests of a place may not look at them earlier.
import { after, before } from 'node:test';
import { Doab } from '../../support/doab.mjs';
import { stopAll } from '../../support/util.mjs';

// @domainsOf: the `domain` sections that lead the gateway to that server. @configOf: what else that server wants of it.
export function openPlace(startServer, { domainsOf = (server) => server.domains, configOf = () => ({}), ...config } = {}) {
	const place = {};
	before(async () => {
		place.server = await startServer();
		place.doab = await Doab.start({ workers: 2, domains: domainsOf(place.server), ...configOf(place.server), ...config });
	});
	after(() => stopAll(place.doab, place.server));
	return place;
}
