// The other engines of the web beside Chromium: a page of another origin with strophe.js in it, and the gateway's own page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Doab } from '../support/doab.mjs';
import { startFirefox, startWebKit } from '../support/other-browsers.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { startStropheSite, talkToItself } from '../support/strophe-site.mjs';
import { patiently, stopAll, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const JID = `alice@${DOMAIN}`;
const STEPS = ['bind', 'features', 'login', 'ping', 'session'];
let prosody;
let doab;
let site;

before(async () => {
	prosody = await Prosody.start();
	site = await startStropheSite();
	doab = await Doab.start({ workers: 2, domains: prosody.domains });
});
after(() => stopAll(doab, site, prosody));

// Runs in the page: fills the form in as a user does, and presses the button.
function fillIn(choices, texts) {
	for (const [name, value] of Object.entries(choices)) {
		document.querySelector(`input[name=${name}][value=${value}]`).click();
	}
	for (const [id, value] of Object.entries(texts)) {
		document.getElementById(id).value = value;
	}
	document.getElementById('start').click();
}

// Runs in the page.
const look = () => ({
	state: document.documentElement.dataset.state,
	steps: Object.fromEntries([...document.querySelectorAll('li[data-step]')].map(({ dataset }) => [dataset.step, dataset.state])),
	error: document.getElementById('error').textContent,
	verdict: document.getElementById('verdict').textContent,
	overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
});

const settled = (browser) => until(async () => {
	const seen = await browser.run(look);
	return ['online', 'done', 'failed'].includes(seen.state) && seen;
}, 20000, 'the page has a result');

for (const start of [startFirefox, startWebKit]) {
	const engine = start.name.replace('start', '');
	let browser;
	const withBrowser = (f) => async () => {
		browser ??= await start();
		await f();
	};
	after(() => browser?.stop());

	for (const transport of ['bosh', 'websocket']) {
		test(`${engine}: a page of another origin logs in over ${transport}`, TIMEOUT, withBrowser(async () => {
			await browser.open(`${site.origin}/`);
			const url = transport === 'bosh' ? doab.boshUrl : doab.websocketUrl;
			const { jid, body } = await browser.run(talkToItself, { url, jid: JID, password: PASSWORDS.alice });
			assert.match(jid, /^alice@example\.test\//);
			assert.equal(body, 'from afar ä漢😀');
		}));

		test(`${engine}: the gateway's own page connects over ${transport}, anonymously and with a password`, TIMEOUT, withBrowser(async () => {
			for (const [choices, texts] of [[{ login: 'anonymous' }, { domain: ANONYMOUS_DOMAIN }], [{ login: 'password' }, { jid: JID, password: PASSWORDS.alice }]]) {
				await browser.open(doab.http('/'));
				await browser.run(fillIn, { transport, ...choices }, texts);
				const seen = await settled(browser);
				assert.equal(seen.state, 'online', seen.error);
				await until(async () => Object.values((await browser.run(look)).steps).every((state) => state === 'done'), 10000, 'all steps are done');
				assert.deepEqual(Object.keys(seen.steps).sort(), STEPS);
				assert.equal(seen.overflow, 0);
			}
			await browser.keepPicture(`page-${transport}-${engine.toLowerCase()}`);
		}));

		test(`${engine}: the gateway's own page shows the error for a wrong password over ${transport}`, TIMEOUT, withBrowser(async () => {
			await browser.open(doab.http('/'));
			await browser.run(fillIn, { transport, login: 'password' }, { jid: JID, password: 'not-the-one' });
			const seen = await settled(browser);
			assert.equal(seen.state, 'failed');
			assert.equal(seen.steps.login, 'failed');
			assert.match(seen.error, /not-authorized|password|refused/i);
		}));
	}

	test(`${engine}: the gateway's own page tries both transports, and nothing went wrong on any page`, TIMEOUT, withBrowser(async () => {
		await browser.open(doab.http('/'));
		await browser.run(fillIn, { transport: 'both', login: 'password' }, { jid: JID, password: PASSWORDS.alice });
		const seen = await settled(browser);
		assert.match(seen.verdict, /^Both transports work\./, seen.error);
		await browser.keepPicture(`page-both-${engine.toLowerCase()}`);
		assert.deepEqual(browser.problems(), []);
	}));
}
