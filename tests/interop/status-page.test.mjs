// The status page of the admin listener in Chromium: it shows what the gateway did, at every width and in both schemes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { keepPicture, openPage, startBrowser } from '../support/browser.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, stopAll } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const MESSAGE = '<message xmlns=\'jabber:client\' to=\'echo\'><body>0123456789</body></message>';
let admin;
let stage;
let browser;

before(async () => {
	admin = await freePort();
	stage = await Stage.open({ plain: 'plain' }, { admin: `127.0.0.1:${admin}`, workers: 2, domains: { 'refused.test': { deny: true } } });
	browser = await startBrowser();
});
after(() => stopAll(browser, stage));

for (const [name, options] of [
	['light', { viewport: { width: 1100, height: 900 }, colorScheme: 'light' }],
	['dark', { viewport: { width: 1100, height: 900 }, colorScheme: 'dark' }],
	['phone', { viewport: { width: 360, height: 740 }, colorScheme: 'light' }],
]) {
	test(`${name}: sessions, failures with their words, workers; nothing is wider than the window`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		socket.send(MESSAGE);
		assert.equal((await socket.next()).name, 'message');
		await new BoshClient(stage.port, { connection: 'fresh' }).create('refused.test');
		try {
			const page = await openPage(browser, options);
			await page.goto(`http://127.0.0.1:${admin}/`);
			await page.locator('html[data-state="good"]').waitFor();
			assert.equal(await page.locator('#health-words').textContent(), 'Healthy');
			// It tells what was a moment ago, when the session of the test before may still have been there.
			await page.locator('#sessions', { hasText: /^1$/ }).waitFor();
			await page.locator('#trip', { hasText: /^[\d.]+ m?s$/ }).waitFor();
			const failure = page.locator('#failures tbody tr', { hasText: 'domain-refused' });
			assert.match(await failure.textContent(), /^This gateway does not serve that domain/);
			assert.match(await page.locator('#domains').textContent(), /plain\.test1/);
			assert.equal(await page.locator('#workers tbody tr').count(), 2);
			const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			assert.ok(wide <= 0, `the page is ${wide} pixels wider than the window`);
			await keepPicture(page, `status-${name}`);
			assert.deepEqual(page.problems, []);
			await page.context().close();
		} finally {
			await socket.finish();
		}
	});
}
