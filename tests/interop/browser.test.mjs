// A real browser: a page of another origin with strophe.js in it, and the gateway's own page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { client } from '@xmpp/client';
import { createClient } from 'stanza';
import './clients/globals.mjs';
import { keepPicture, openPage, startBrowser } from '../support/browser.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { startStropheSite, talkToItself } from '../support/strophe-site.mjs';
import { freePort, patiently, stopAll, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
let prosody;
let doab;
let browser;
let site;

before(async () => {
	prosody = await Prosody.start();
	site = await startStropheSite();
	doab = await Doab.start({ workers: 2, domains: { ...prosody.domains,
		'denied.test': { deny: true }, 'gone.test': { gone: true } } });
	browser = await startBrowser(['--host-resolver-rules=MAP plain.test 127.0.0.1']);
});
after(() => stopAll(browser, doab, site, prosody));

const newPage = (options) => openPage(browser, { viewport: { width: 1000, height: 900 }, ...options });

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

const inside = (name) => new URL(`../../gateway/${name}`, import.meta.url);
const readSource = (name) => readFileSync(inside(name), 'utf8');

// The tables of the page's script that tells what failures mean.
function readHeadlines() {
	const tables = 'FAILURES, BOSH_CONDITIONS, LOGIN_CONDITIONS, STREAM_CONDITIONS';
	return new Function('document', `${readSource('http/page/failures.js')}; return { ${tables} };`)({ getElementById: () => ({ textContent: '{}' }) });
}

// { name, bosh, stream, sentence } of each failure in the gateway's list.
function readFailures() {
	const remote = /#define FAILURE_REMOTE "(.*)"/.exec(readSource('failure.h'))[1];
	const source = readSource('failure.h').replaceAll('FAILURE_REMOTE', `"${remote}"`).replaceAll(/\s*\\\n\s*/g, ' ');
	const entries = [...source.matchAll(/X\([A-Z_]+, "([^"]*)", "([^"]*)", "([^"]*)", "([^"]*)"\)/g)];
	return entries.map(([, name, bosh, stream, sentence]) => ({ name, bosh, stream, sentence })).filter(({ name }) => name !== 'none');
}

test('its own page has a headline for each failure and each condition', TIMEOUT, async () => {
	const headlines = readHeadlines();
	const failures = readFailures();
	assert.ok(failures.length > 40, `${failures.length} failures`);
	assert.deepEqual(Object.keys(headlines.FAILURES).sort(), failures.map(({ name }) => name).sort());
	const titles = Object.values(headlines.FAILURES).map(([title]) => title);
	assert.equal(new Set(titles).size, titles.length, 'each says something else');
	const rules = [...readSource('bosh/rule.h').matchAll(/X\([A-Z_]+, "([a-z-]+)", \d+\)/g)].map(([, condition]) => condition);
	assert.ok(rules.length > 5);
	[...rules, ...failures.map(({ bosh }) => bosh)].forEach((condition) => assert.ok(headlines.BOSH_CONDITIONS[condition], condition));
	// What it says about the probe stands in the probe.
	const probe = ['advice', 'dial', 'lines', 'stream', 'tls'].map((part) => readSource(`ops/probe-${part}.c`)).join('') + readSource('ops/probe.c');
	const labels = new Set(Object.values(headlines.FAILURES).flatMap(([, , look]) => [...look.matchAll(/\u201c(.*?)\u201d/g)].map(([, label]) => label)));
	assert.ok(labels.size > 15);
	[...labels].filter((label) => !label.startsWith('_xmpp')).forEach((label) => assert.ok(probe.includes(`"${label}"`), label));
	// The page gets the gateway's sentences from the program.
	const { text } = await httpRequest(doab.port, 'GET', '/');
	const known = JSON.parse(/id="failures">(.*?)<\/script>/.exec(text)[1]);
	assert.deepEqual(known, Object.fromEntries(failures.map(({ name, sentence }) => [sentence, name])));
});

// Domain, headline, what to look for; a name that could be anything is no part of a command.
const REFUSED = [
	['denied.test', 'This gateway does not serve that domain.', /^ +doab --probe denied\.test$/m, /failure=domain-refused\./],
	['gone.test', 'That domain is no longer served.', /^ +doab --probe gone\.test$/m, /failure=domain-gone\./],
	['$(a b)', 'That is not the name of a domain.', /failure=domain-malformed\./, /^(?![^]*--probe)/],
];

for (const transport of ['bosh', 'websocket']) {
	test(`its own page tells refusals apart over ${transport}, and what to tell the operator`, TIMEOUT, async () => {
		const page = await newPage({ viewport: { width: 320, height: 640 } });
		for (const [domain, headline, ...letter] of REFUSED) {
			await page.goto(doab.http(`/?transport=${transport}&domain=${encodeURIComponent(domain)}&start=1`));
			await page.waitForSelector('html[data-state=failed]');
			assert.equal(await page.textContent('#error strong'), headline);
			const text = await page.textContent('#error .tell pre');
			letter.forEach((pattern) => assert.match(text, pattern));
			assert.match(text, /^On \d{4}-\d\d-\d\d at \d\d:\d\d:\d\d UTC I tried to reach the XMPP domain /);
			assert.ok(text.includes(`${headline}\n`));
			await page.click('#error .tell summary');
			await page.click('#settings summary');
			assert.equal(await overflow(page), 0);
		}
		await keepPicture(page, `page-${transport}-refused-narrow`);
		assert.deepEqual(page.problems, []);
		await page.context().close();
	});
}

// By how much the page is wider than the window.
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

const cells = (page, row) => page.$$eval(`#both tr.${row} td`, (found) => found.map((cell) => cell.textContent));

test('its own page tries both transports', TIMEOUT, async () => {
	const page = await newPage({ viewport: { width: 320, height: 640 } });
	await page.goto(doab.http('/?domain=example.org'));
	await login(page, 'both', `alice@${DOMAIN}`, PASSWORDS.alice);
	await page.waitForSelector('html[data-state=done], html[data-state=failed]');
	assert.match(await page.textContent('#verdict'), /^Both transports work\. A ping takes [\d.]+ ms over BOSH and [\d.]+ ms over WebSocket\.$/, await page.textContent('#error'));
	for (const row of ['session', 'features', 'login', 'bind', 'ping', 'total', 'median', 'min']) {
		(await cells(page, row)).forEach((text) => assert.match(text, /^[\d.]+ ms$/, row));
	}
	assert.equal(await page.isVisible('#error'), false);
	assert.equal(await page.evaluate(() => document.activeElement.id), 'start', 'where the keyboard goes on');
	assert.equal(await overflow(page), 0);
	await keepPicture(page, 'page-both');
	await page.click('#settings summary');
	assert.equal(await page.$eval('#tabs', (tabs) => tabs.scrollWidth - tabs.clientWidth), 0, 'all tabs are within the page');
	await page.click('#copy');
	assert.match(await page.inputValue('#report'), /^Verdict: +Both transports work[^]*^Transport: +BOSH$[^]*^Transport: +WebSocket$/m);
	assert.doesNotMatch(await page.inputValue('#report'), new RegExp(PASSWORDS.alice));
	assert.deepEqual(page.problems, []);
	await page.context().close();
});

// A proxy that has the gateway below a prefix, and passes no upgrade on.
async function startPrefix(prefix) {
	const server = http.createServer((request, response) => {
		const { upgrade, connection, ...headers } = request.headers;
		const behind = http.request({ port: doab.port, host: '127.0.0.1', method: request.method, headers, path: request.url.slice(prefix.length) }, (answer) => {
			response.writeHead(answer.statusCode, answer.headers);
			answer.pipe(response);
		});
		behind.on('error', () => response.destroy());
		request.pipe(behind);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { address: `127.0.0.1:${server.address().port}${prefix}`, stop: () => new Promise((resolve) => {
		server.close(resolve);
		server.closeAllConnections();
	}) };
}

test('its own page below a prefix: its addresses, and one transport that does not come through', TIMEOUT, async () => {
	const proxy = await startPrefix('/chat/it\'s');
	const page = await newPage();
	for (const place of ['/', '/http-bind', '/xmpp-websocket/']) {
		await page.goto(`http://${proxy.address}${place}`);
		assert.equal(await page.textContent('#bosh-url'), `http://${proxy.address}/http-bind`);
		assert.equal(await page.textContent('#websocket-url'), `ws://${proxy.address}/xmpp-websocket`);
	}
	assert.ok((await page.textContent('#snippet')).includes(`'ws://${proxy.address.replace('\'', '\\\'')}/xmpp-websocket'`));
	await page.goto(`http://${proxy.address}/?transport=both&domain=${ANONYMOUS_DOMAIN}&start=1`);
	await page.waitForSelector('html[data-state=done], html[data-state=failed]');
	assert.match(await page.textContent('#verdict'), /^BOSH works, WebSocket does not/);
	assert.equal(await page.textContent('#error .over'), 'Over WebSocket');
	assert.match(await page.textContent('#error .hint'), /the upgrade to WebSocket does not come through/);
	assert.match((await cells(page, 'session'))[1], /^failed/);
	await keepPicture(page, 'page-both-failed');
	await page.context().close();
	await proxy.stop();
});

// What the page shows for a client, by its tab.
async function settingsOf(page, client) {
	await page.click(`#tab-${client}`);
	assert.equal(await page.getAttribute(`#tab-${client}`, 'aria-selected'), 'true');
	return page.textContent('#snippet');
}

test('the settings that its own page shows for web clients work as they are', TIMEOUT, async () => {
	const page = await newPage();
	await page.goto(doab.http(`/?domain=${DOMAIN}`));
	await page.click('#settings summary');
	const strophe = await settingsOf(page, 'strophe');
	const converse = await settingsOf(page, 'converse');
	const stanza = await settingsOf(page, 'stanza');
	const xmpp = await settingsOf(page, 'xmpp');
	await keepPicture(page, 'page-settings');

	await page.goto(`${site.origin}/`);
	const overBosh = strophe.replace(/^const url.*$/m, '').replace('// const url', 'const url');
	for (const code of [strophe, overBosh]) {
		assert.equal(await page.evaluate(({ source, jid, password }) => new Promise((resolve) => {
			new Function('jid', 'password', 'onStatus', source)(jid, password, (status) => status === window.Strophe.Status.CONNECTED && resolve('connected'));
		}), { source: code, jid: `alice@${DOMAIN}`, password: PASSWORDS.alice }), 'connected');
	}
	await page.context().close();

	let settings;
	new Function('converse', converse)({ initialize: (given) => { settings = given; } });
	assert.equal(settings.bosh_service_url, doab.boshUrl);
	assert.equal(settings.websocket_url, doab.websocketUrl);

	const started = new Function('createClient', 'jid', 'password', `${stanza}\nreturn client;`)(createClient, `alice@${DOMAIN}`, PASSWORDS.alice);
	await within(new Promise((resolve) => started.once('session:started', resolve)), 20000, 'a session of stanza');
	assert.equal(started.transport.config.url, doab.websocketUrl);
	const stopped = new Promise((resolve) => started.once('--transport-disconnected', resolve));
	started.disconnect();
	await within(stopped, 20000, 'the end of stanza');

	const AsyncFunction = (async () => {}).constructor;
	const running = await new AsyncFunction('client', 'username', 'password', `${xmpp}\nreturn xmpp;`)(client, 'alice', PASSWORDS.alice);
	assert.equal(running.status, 'online');
	await running.stop();
});

test('the tabs of its own page follow the keyboard, and what is shown is what is copied', TIMEOUT, async () => {
	const page = await newPage({ permissions: ['clipboard-read', 'clipboard-write'] });
	await page.goto(doab.http('/'));
	await page.focus('#settings summary');
	await page.keyboard.press('Enter');
	await page.keyboard.press('Tab');
	const chosen = () => page.evaluate(() => [document.activeElement.id, document.activeElement.ariaSelected]);
	for (const [key, id] of [['ArrowRight', 'tab-converse'], ['ArrowRight', 'tab-stanza'], ['End', 'tab-xmpp'], ['ArrowRight', 'tab-strophe'], ['ArrowLeft', 'tab-xmpp'], ['Home', 'tab-strophe']]) {
		await page.keyboard.press(key);
		assert.deepEqual(await chosen(), [id, 'true'], key);
	}
	await page.click('#settings .actions button');
	await page.waitForFunction(() => document.querySelector('#settings .told').textContent === 'Copied.');
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.textContent('#snippet'));
	assert.deepEqual(page.problems, []);
	await page.context().close();
});

test('its own page names the public addresses where the operator has set them, and warns before a password over plain HTTP', TIMEOUT, async () => {
	const urls = { public_bosh_url: 'https://chat.example.org/bind', public_websocket_url: 'wss://chat.example.org/socket' };
	const gateway = await Doab.start({ own_hosts: ['plain.test'], ...urls });
	const page = await newPage();
	await page.goto(`http://plain.test:${gateway.port}/`);
	await page.click('#settings summary');
	assert.equal(await page.isVisible('#settings-source'), true);
	for (const name of ['strophe', 'converse', 'stanza', 'xmpp']) {
		const text = await settingsOf(page, name);
		assert.ok(text.includes(`'${urls.public_websocket_url}'`), text);
		assert.equal(text.includes(`'${urls.public_bosh_url}'`), name !== 'xmpp', text);
	}
	assert.equal(await page.textContent('#bosh-url'), `http://plain.test:${gateway.port}/http-bind`, 'what is tested');
	assert.equal(await page.isVisible('#plain-http'), false, 'no password is asked for');
	await choose(page, { login: 'password' });
	assert.equal(await page.isVisible('#plain-http'), true);
	assert.equal(await page.getAttribute('#plain-http a', 'href'), urls.public_bosh_url);
	await keepPicture(page, 'page-plain-http');
	for (const host of ['127.0.0.1', 'localhost']) {
		await page.goto(`http://${host}:${gateway.port}/?jid=alice@example.org`);
		assert.equal(await page.isVisible('#password'), true);
		assert.equal(await page.isVisible('#plain-http'), false, host);
	}
	assert.deepEqual(page.problems, []);
	await page.context().close();
	await gateway.stop();
});

test('all that can be used on its own page has a name, and its labels are labels', TIMEOUT, async () => {
	const page = await newPage();
	await page.goto(doab.http('/?domain=denied.test&jid=a@denied.test&anonymous=0'));
	await page.fill('#password', 'x');
	await page.click('#start');
	await page.waitForSelector('html[data-state=failed]');
	await page.click('#settings summary');
	const nameless = await page.$$eval('button, summary, a, input', (found) => found.filter((each) =>
		!(each.labels?.length || each.textContent.trim() || each.ariaLabel)).map((each) => each.outerHTML));
	assert.deepEqual(nameless, []);
	const references = await page.$$eval('[aria-controls], [aria-describedby], [aria-labelledby]', (found) => found.flatMap((each) =>
		['aria-controls', 'aria-describedby', 'aria-labelledby'].map((name) => each.getAttribute(name)).filter((id) => id && !document.getElementById(id))));
	assert.deepEqual(references, []);
	await page.context().close();
});

test('the page of the admin listener runs under its own policy', TIMEOUT, async () => {
	const admin = `127.0.0.1:${await freePort()}`;
	const gateway = await Doab.start({ admin });
	const page = await newPage();
	await page.goto(`http://${admin}/status`);
	await page.waitForSelector('[data-state=good]');
	await keepPicture(page, 'status');
	assert.deepEqual(page.problems, []);
	await page.context().close();
	await gateway.stop();
});

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
