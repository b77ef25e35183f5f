// conf/converse/ as it is shipped: a site with Converse.js, the most used web client, behind nginx, used in a real browser.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keepPicture, openPage, startBrowser } from '../support/browser.mjs';
import { Doab } from '../support/doab.mjs';
import { DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { shippedFile, startConverseSite } from '../support/proxies.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder, until } from '../support/util.mjs';
import { StropheClient } from './clients/strophe.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const TEXT_AREA = 'textarea.chat-textarea';
const LOOK_MS = 2000;
const LOG_LINES = 40;
const DISTRIBUTION = fileURLToPath(new URL('../node_modules/converse.js/dist', import.meta.url));
let prosody;
let doab;
let browser;
let folder;
let site;
let url; // where the gateway is for the friend
let friend;
const got = []; // the texts that the friend was sent

// What install.sh makes of the npm package.
function makeSite() {
	const target = path.join(folder, 'site');
	// nginx' workers are another user where root runs the tests.
	chmodSync(folder, 0o755);
	mkdirSync(target);
	for (const file of ['index.html', 'site.js']) {
		cpSync(shippedFile(`converse/${file}`), path.join(target, file));
	}
	cpSync(DISTRIBUTION, path.join(target, 'converse'), { recursive: true, filter: (name) => !name.endsWith('.map') });
	return target;
}

before(async () => {
	folder = temporaryFolder('converse');
	// What Converse.js takes for granted with a server.
	prosody = await Prosody.start({ modules: ['vcard4', 'vcard_legacy', 'pep', 'carbons', 'private', 'blocklist', 'bookmarks'] });
	doab = await Doab.start({ workers: 2, trusted_proxies: ['127.0.0.1'], domains: prosody.domains });
	site = await startConverseSite(doab.port, makeSite());
	browser = await startBrowser();
	url = doab.boshUrl;
	await befriend();
});
after(async () => {
	await friend?.disconnect();
	await stopAll(browser, site, doab, prosody);
	removeFolder(folder);
});

async function befriend() {
	friend = await StropheClient.connect({ url, domain: DOMAIN, user: 'bob', password: PASSWORDS.bob });
	// What the friend wrote to a page that has been closed comes back.
	friend.on('message', ({ type, body }) => type !== 'error' && got.push(body));
	friend.sendPresence();
}

async function openSite(transport) {
	const page = await openPage(browser, { ignoreHTTPSErrors: true, viewport: { width: 1100, height: 800 } }, tellMore);
	page.paths = new Set();
	page.failures = [];
	page.on('request', (request) => page.paths.add(new URL(request.url()).pathname));
	page.on('websocket', (socket) => page.paths.add(new URL(socket.url()).pathname));
	page.on('response', (response) => response.status() >= 400 && page.failures.push(`${response.status()} for ${response.url()}`));
	// A reload aborts what is under way.
	page.on('requestfailed', (request) => request.failure().errorText !== 'net::ERR_ABORTED' && page.failures.push(`failed: ${request.url()}`));
	await page.goto(`https://localhost:${site.port}/?transport=${transport}`);
	return page;
}

// The other end of the chat, and the gateway between.
function tellMore() {
	const { connected, disconnecting } = friend.connection;
	return [`The friend (connected: ${connected}, disconnecting: ${disconnecting}) has got ${JSON.stringify(got)}.`,
		'The last that the gateway said:', ...doab.lines.slice(-LOG_LINES)].join('\n');
}

async function logIn(page, user) {
	await page.fill('converse-login-form input[name=jid]', `${user}@${DOMAIN}`);
	await page.fill('converse-login-form input[name=password]', PASSWORDS[user]);
	await page.press('converse-login-form input[name=password]', 'Enter');
	await page.waitForSelector('converse-user-profile');
}

async function startChat(page, jid) {
	await page.click('.dropdown--contacts button.dropdown-toggle');
	await page.click('.dropdown--contacts a.new-chat');
	// While it is still opening, the dialog does not close. While it is open, it takes the focus, and so what is typed.
	await page.waitForSelector('converse-new-chat-modal[aria-hidden=false]');
	await page.fill('converse-new-chat-modal input[name=jid]', jid);
	await page.click('converse-new-chat-modal button[type=submit]');
	await page.waitForSelector('converse-new-chat-modal', { state: 'detached' });
}

// What stands in the chat as written here.
const OWN = '.chat-msg__content--me .chat-msg__text';

// Writes as a person does, who looks whether it stands in the chat then, and writes it once more where it does not: a page that is
// busy may have drawn its text area anew, or have given the focus to something else. Resolves with how often it took.
function write(page, body) {
	let n = 0;
	const isThere = () => page.locator(OWN, { hasText: body }).first().waitFor({ timeout: patiently(LOOK_MS) }).then(() => n, () => 0);
	return until(async () => {
		n++;
		await page.fill(TEXT_AREA, body);
		await page.press(TEXT_AREA, 'Enter');
		if (await isThere()) {
			return n;
		}
		// It may still be sending: until then nobody can write.
		await page.waitForSelector(`${TEXT_AREA}:enabled`);
		return isThere();
	}, 20000, `"${body}" in the chat`);
}

// All that the page shows as sent arrives, in order and once.
async function receives(t, page, body) {
	const n = await write(page, body);
	if (n > 1) {
		t.diagnostic(`"${body}" had to be written ${n} times`);
	}
	const shown = (await page.locator(OWN).allTextContents()).map((text) => text.trim());
	await until(() => got.length >= shown.length, 20000, `what Converse.js shows as sent, at the friend: ${JSON.stringify(shown)}`);
	assert.deepEqual(got, shown);
}

for (const transport of ['bosh', 'websocket']) {
	test(`Converse.js logs in over ${transport}, chats, and survives a reload of the page`, TIMEOUT, async (t) => {
		got.length = 0;
		const page = await openSite(transport);
		await logIn(page, 'alice');
		await startChat(page, `bob@${DOMAIN}`);
		await receives(t, page, `hello over ${transport} ä漢😀`);
		friend.sendMessage(`alice@${DOMAIN}`, `an answer over ${transport}`);
		await page.waitForSelector(`.chat-msg__text:has-text("an answer over ${transport}")`);
		await keepPicture(page, `converse-${transport}`);
		assert.ok(page.paths.has(transport === 'bosh' ? '/http-bind' : '/xmpp-websocket'));
		assert.ok(!page.paths.has(transport === 'bosh' ? '/xmpp-websocket' : '/http-bind'));

		await page.reload();
		await page.waitForSelector(`.chat-msg__text:has-text("an answer over ${transport}")`);
		await receives(t, page, `after the reload over ${transport}`);
		assert.deepEqual([...page.failures, ...page.exceptions].filter((text) => !text.includes('/favicon.ico')), []);
		await page.context().close();
	});
}

// Whoever has no request at the gateway when it stops is told nothing: waits until no more come.
async function requestsAreHeld() {
	const count = () => doab.events.filter(({ event }) => event === 'bosh-request').length;
	await until(async () => {
		const before = count();
		await sleep(2000);
		await doab.readLog();
		return count() === before && doab.holdsRequest;
	}, 20000, 'no more requests');
}

// It is told system-shutdown, and keeps trying until the gateway is there again.
test('Converse.js over BOSH comes back by itself when the gateway was stopped and started', TIMEOUT, async (t) => {
	got.length = 0;
	const page = await openSite('bosh');
	const ends = [];
	page.on('response', async (response) => {
		const text = response.url().endsWith('/http-bind') ? await response.text().catch(() => '') : '';
		ends.push(...[/type=.terminate. condition=.([\w-]+)/.exec(text)?.[1]].filter(Boolean));
	});
	await logIn(page, 'alice');
	await startChat(page, `bob@${DOMAIN}`);
	await receives(t, page, 'before the stop');
	await requestsAreHeld();
	await doab.stop();
	await until(() => ends.length, 10000, 'the end of the session');
	// More than once, if it is quick enough to ask for a new session meanwhile.
	assert.deepEqual([...new Set(ends)], ['system-shutdown']);
	doab = await Doab.start(doab.config);
	// strophe.js waits for 8 seconds, and then for 27.
	await doab.logged('session-ready', {}, 40000);
	await befriend();
	await sleep(patiently(2000)); // until it has logged in
	await receives(t, page, 'after the start');
	await page.context().close();
});
