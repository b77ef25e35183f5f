// A real browser: a page of another origin with strophe.js in it, and the gateway's own page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { keepPicture, startBrowser } from '../support/browser.mjs';
import { Doab } from '../support/doab.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { patiently, stopAll } from '../support/util.mjs';

const STROPHE = path.join(path.dirname(createRequire(import.meta.url).resolve('strophe.js/package.json')), 'dist/strophe.umd.min.js');
const PAGE = '<!doctype html><meta charset="utf-8"><title>Another origin</title><script src="/strophe.js"></script><body>';
const TIMEOUT = { timeout: patiently(60000) };
let prosody;
let doab;
let browser;
let site;

// A web site of its own: an origin that is not the gateway's.
async function startSite() {
	const server = http.createServer((request, response) => {
		const isScript = request.url === '/strophe.js';
		response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
		response.end(isScript ? readFileSync(STROPHE) : PAGE);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		origin: `http://127.0.0.1:${server.address().port}`,
		stop: () => new Promise((resolve) => {
			server.close(resolve);
			server.closeAllConnections();
		}),
	};
}

before(async () => {
	prosody = await Prosody.start();
	site = await startSite();
	doab = await Doab.start({ workers: 2, domains: prosody.domains });
	browser = await startBrowser();
});
after(() => stopAll(browser, doab, site, prosody));

async function newPage(options) {
	const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, ...options });
	context.setDefaultTimeout(patiently(20000));
	const page = await context.newPage();
	page.problems = [];
	page.on('pageerror', (error) => page.problems.push(String(error)));
	page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
	return page;
}

// Runs in the page: logs in with strophe.js, sends itself a message, and resolves with what came back.
function talkToItself({ url, jid, password }) {
	return new Promise((resolve, reject) => {
		const { Strophe, $msg } = window;
		const connection = new Strophe.Connection(url);
		connection.connect(jid, password, (status, reason) => {
			if (status === Strophe.Status.CONNECTED) {
				connection.addHandler((stanza) => {
					resolve({ jid: connection.jid, body: stanza.querySelector('body').textContent });
					connection.disconnect();
				}, null, 'message');
				connection.send($msg({ to: connection.jid, type: 'chat' }).c('body').t('from afar ä漢😀'));
			} else if (status === Strophe.Status.CONNFAIL || status === Strophe.Status.AUTHFAIL) {
				reject(new Error(`status ${status}: ${reason}`));
			}
		});
	});
}

for (const transport of ['bosh', 'websocket']) {
	test(`a page of another origin logs in over ${transport}, with a preflight where the browser wants one`, TIMEOUT, async () => {
		const page = await newPage();
		await page.goto(`${site.origin}/`);
		const url = transport === 'bosh' ? doab.boshUrl : doab.websocketUrl;
		const { jid, body } = await page.evaluate(talkToItself, { url, jid: `alice@${DOMAIN}`, password: PASSWORDS.alice });
		assert.match(jid, /^alice@example\.test\//);
		assert.equal(body, 'from afar ä漢😀');
		assert.deepEqual(page.problems, []);
		await page.context().close();
	});

	test(`its own page connects anonymously over ${transport}`, TIMEOUT, async () => {
		const page = await newPage();
		await page.goto(doab.http('/'));
		await choose(page, { transport, login: 'anonymous' });
		await page.fill('#domain', ANONYMOUS_DOMAIN);
		await page.click('#start');
		await expectOnline(page);
		await keepPicture(page, `page-${transport}-anonymous`);
		await page.click('#stop');
		await page.waitForSelector('html[data-state=idle]');
		assert.deepEqual(page.problems, []);
		await page.context().close();
	});

	test(`its own page connects with a password over ${transport}`, TIMEOUT, async () => {
		const page = await newPage({ colorScheme: 'dark', viewport: { width: 390, height: 844 } });
		await page.goto(doab.http(transport === 'bosh' ? '/http-bind' : '/xmpp-websocket'));
		await login(page, transport, `alice@${DOMAIN}`, PASSWORDS.alice);
		await expectOnline(page);
		await keepPicture(page, `page-${transport}-password-dark-phone`);
		assert.deepEqual(page.problems, []);
		await page.context().close();
	});

	test(`its own page shows the error for a wrong password over ${transport}`, TIMEOUT, async () => {
		const page = await newPage();
		await page.goto(doab.http('/'));
		await login(page, transport, `alice@${DOMAIN}`, 'not-the-one');
		await page.waitForSelector('html[data-state=failed]');
		await page.waitForSelector('li[data-step=login][data-state=failed]');
		assert.match(await page.textContent('#error'), /not-authorized|password|refused/i);
		await page.context().close();
	});

	test(`its own page shows the error for a domain that leads nowhere over ${transport}`, TIMEOUT, async () => {
		const page = await newPage();
		await page.goto(doab.http('/'));
		await choose(page, { transport, login: 'anonymous' });
		await page.fill('#domain', 'no-such-domain.invalid');
		await page.click('#start');
		await page.waitForSelector('html[data-state=failed]');
		await page.waitForSelector('li[data-step=session][data-state=failed], li[data-step=features][data-state=failed]');
		assert.match(await page.textContent('#error'), /DNS|host-unknown|remote-connection-failed/);
		await keepPicture(page, `page-${transport}-error`);
		await page.context().close();
	});
}

// The radio inputs may be drawn by their labels: they are set as a script sets them, and told.
async function choose(page, choices) {
	for (const [name, value] of Object.entries(choices)) {
		await page.locator(`input[name=${name}][value=${value}]`).check({ force: true });
	}
}

async function login(page, transport, jid, password) {
	await choose(page, { transport, login: 'password' });
	await page.fill('#jid', jid);
	await page.fill('#password', password);
	await page.click('#start');
}

async function expectOnline(page) {
	await page.waitForSelector('html[data-state=online], html[data-state=failed]');
	assert.equal(await page.getAttribute('html', 'data-state'), 'online', await page.textContent('#error'));
	for (const step of ['session', 'features', 'login', 'bind', 'ping']) {
		await page.waitForSelector(`li[data-step=${step}][data-state=done]`);
	}
	assert.equal(await page.isVisible('#error'), false);
	// A few more pings, so that the chart has something to show.
	await page.waitForTimeout(2500);
	assert.equal(await page.getAttribute('html', 'data-state'), 'online');
}
