// conf/converse/ as it is shipped: a site with Converse.js, the most used web client, behind nginx, used in a real browser.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keepPicture, startBrowser } from '../support/browser.mjs';
import { Doab } from '../support/doab.mjs';
import { DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { shippedFile, startConverseSite } from '../support/proxies.mjs';
import { patiently, removeFolder, stopAll, temporaryFolder, within } from '../support/util.mjs';
import { StropheClient } from './clients/strophe.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const DISTRIBUTION = fileURLToPath(new URL('../node_modules/converse.js/dist', import.meta.url));
let prosody;
let doab;
let browser;
let folder;
let site;
let friend;

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
	friend = await StropheClient.connect({ url: doab.boshUrl, domain: DOMAIN, user: 'bob', password: PASSWORDS.bob });
	friend.sendPresence();
});
after(async () => {
	await friend?.disconnect();
	await stopAll(browser, site, doab, prosody);
	removeFolder(folder);
});

async function openSite(transport) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1100, height: 800 } });
	context.setDefaultTimeout(patiently(20000));
	const page = await context.newPage();
	page.paths = new Set();
	page.on('request', (request) => page.paths.add(new URL(request.url()).pathname));
	page.on('websocket', (socket) => page.paths.add(new URL(socket.url()).pathname));
	page.problems = [];
	page.on('response', (response) => response.status() >= 400 && page.problems.push(`${response.status()} for ${response.url()}`));
	// A reload aborts what is under way.
	page.on('requestfailed', (request) => request.failure().errorText !== 'net::ERR_ABORTED' && page.problems.push(`failed: ${request.url()}`));
	page.on('pageerror', (error) => page.problems.push(String(error)));
	await page.goto(`https://localhost:${site.port}/?transport=${transport}`);
	return page;
}

async function logIn(page, user) {
	await page.waitForSelector('converse-login-form input[name=jid]').catch((error) => assert.fail(`${error.message}\n${page.problems.join('\n')}`));
	await page.fill('converse-login-form input[name=jid]', `${user}@${DOMAIN}`);
	await page.fill('converse-login-form input[name=password]', PASSWORDS[user]);
	await page.press('converse-login-form input[name=password]', 'Enter');
	await page.waitForSelector('converse-user-profile');
}

async function startChat(page, jid) {
	await page.click('.dropdown--contacts button.dropdown-toggle');
	await page.click('.dropdown--contacts a.new-chat');
	await page.fill('converse-new-chat-modal input[name=jid]', jid);
	await page.click('converse-new-chat-modal button[type=submit]');
}

async function receives(page, body) {
	const received = new Promise((resolve) => friend.once('message', resolve));
	await page.fill('textarea.chat-textarea', body);
	await page.press('textarea.chat-textarea', 'Enter');
	assert.equal((await within(received, 20000, 'the message of Converse.js')).body, body);
}

for (const transport of ['bosh', 'websocket']) {
	test(`Converse.js logs in over ${transport}, chats, and survives a reload of the page`, TIMEOUT, async () => {
		const page = await openSite(transport);
		await logIn(page, 'alice');
		await startChat(page, `bob@${DOMAIN}`);
		await receives(page, `hello over ${transport} ä漢😀`);
		friend.sendMessage(`alice@${DOMAIN}`, `an answer over ${transport}`);
		await page.waitForSelector(`.chat-msg__text:has-text("an answer over ${transport}")`);
		await keepPicture(page, `converse-${transport}`);
		assert.ok(page.paths.has(transport === 'bosh' ? '/http-bind' : '/xmpp-websocket'));
		assert.ok(!page.paths.has(transport === 'bosh' ? '/xmpp-websocket' : '/http-bind'));

		await page.reload();
		await page.waitForSelector(`.chat-msg__text:has-text("an answer over ${transport}")`);
		await receives(page, `after the reload over ${transport}`);
		assert.deepEqual(page.problems.filter((text) => !text.includes('/favicon.ico')), []);
		await page.context().close();
	});
}
