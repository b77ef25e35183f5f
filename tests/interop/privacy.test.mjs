// What the log must never hold, at its most talkative: passwords, SASL payloads, whole sids.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { Doab } from '../support/doab.mjs';
import { openWebSocket } from '../support/http.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { patiently, stopAll } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { CLIENTS, urlFor } from './clients/all.mjs';

let prosody;
let doab;

before(async () => {
	prosody = await Prosody.start();
	doab = await Doab.start({ workers: 2, log_level: 'debug', domains: prosody.domains });
});
after(() => stopAll(doab, prosody));

test('the log of logins of every kind holds no password, no SASL payload and no whole sid', { timeout: patiently(60000) }, async () => {
	const secrets = [...Object.values(PASSWORDS), 'wrong-Password-1'];
	for (const [user, password] of [['alice', PASSWORDS.alice], ['bob', 'wrong-Password-1']]) {
		const bosh = new BoshClient(doab.port);
		await bosh.login(DOMAIN, { user, password }).catch(() => {});
		secrets.push(bosh.sid, plainResponse(user, password));
		await bosh.terminate();
		const socket = await openWebSocket(doab.port);
		await socket.login(DOMAIN, user, password).catch(() => {});
		socket.drop();
	}
	for (const client of CLIENTS) {
		const one = await client.connect({ url: urlFor(client, doab), domain: DOMAIN, user: 'carol', password: PASSWORDS.carol });
		await one.disconnect();
	}
	const { log } = doab;
	assert.match(log, /event=session-open/);
	for (const secret of secrets) {
		assert.ok(!log.includes(secret), `in the log: ${secret}`);
		assert.ok(!log.includes(Buffer.from(secret).toString('base64')), `in the log, encoded: ${secret}`);
	}
	// The mechanism of a failed login is told, what it carried is not.
	assert.doesNotMatch(log.replace(/^.*event=auth-failed .*$/gm, ''), /mechanism=/);
	assert.doesNotMatch(log, /<auth|<response|<challenge|biws|n,,n=/);
});

test('each session leaves a line with client, session and domain when it opens and when it ends', { timeout: patiently(30000) }, async () => {
	const bosh = new BoshClient(doab.port);
	await bosh.login(ANONYMOUS_DOMAIN);
	const opened = await doab.logged('session-open', { domain: ANONYMOUS_DOMAIN });
	assert.match(opened.client, /^127\.0\.0\.1/);
	assert.ok(opened.session.length >= 4 && bosh.sid.includes(opened.session) && opened.session.length < bosh.sid.length / 2);
	assert.match(opened.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	await bosh.terminate();
	const closed = await doab.logged('session-closed', { session: opened.session });
	assert.equal(closed.domain, ANONYMOUS_DOMAIN);
});

test('every line of the log is time, level, event and key=value', () => {
	for (const line of doab.lines) {
		assert.match(line, /^time=\S+ level=(error|warning|info|debug) event=[a-z0-9-]+( [\w.-]+=("([^"\\]|\\.)*"|[^\s"]+))*$/);
	}
});
