// A headless Chromium (Debian's) under playwright-core, with a fresh profile, that talks to nobody by itself.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { describePage, watchPage } from './page-witness.mjs';
import { onceMore, patiently, tellWhenFailed, within } from './util.mjs';

const EXECUTABLE = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
export const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL('../../build-test/screenshots', import.meta.url));

const START_MS = 30000;
const STOP_MS = 5000;
const ACTION_MS = 20000;
const DESCRIBE_MS = 5000;

function launch(args) {
	return chromium.launch({
		executablePath: EXECUTABLE,
		headless: true,
		timeout: patiently(START_MS),
		args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
			'--disable-component-update', '--disable-sync', ...args],
	});
}

// Those of this file. playwright gives each a group of its own.
function killBrowsers() {
	const pids = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);
	for (const pid of pids) {
		try {
			if (/chrom/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) {
				process.kill(-pid, 'SIGKILL');
			}
		} catch {
			// Gone already.
		}
	}
}

// @args: more of its switches.
export async function startBrowser(args = []) {
	const browser = await onceMore(() => launch(args));
	browser.stop = () => within(browser.close(), STOP_MS, 'the end of the browser').catch(killBrowsers);
	return browser;
}

// Keeps a picture of the page in the build folder.
export async function keepPicture(page, name) {
	mkdirSync(SCREENSHOTS, { recursive: true });
	await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

const pages = new Set();

// Opens a page in a context of its own, which the test closes at its end. @options: of the context. @tellMore: what else there is to
// tell when the test fails.
export async function openPage(browser, options = {}, tellMore = () => '') {
	const context = await browser.newContext(options);
	context.setDefaultTimeout(patiently(ACTION_MS));
	context.setDefaultNavigationTimeout(patiently(ACTION_MS));
	const page = await context.newPage();
	watchPage(page);
	page.tellMore = tellMore;
	pages.add(page);
	page.once('close', () => pages.delete(page));
	return page;
}

let nFailures = 0;

async function tellOf(page) {
	const name = `failed-${path.basename(process.argv[1], '.test.mjs')}-${++nFailures}`;
	const picture = await within(keepPicture(page, name), DESCRIBE_MS, 'a picture').then(() => `${name}.png`, ({ message }) => message);
	const story = await within(describePage(page), DESCRIBE_MS, 'an answer of the page').catch(({ message }) => message);
	const more = page.tellMore();
	tellWhenFailed(() => `The page when the test failed (picture: ${picture}):\n${story}\n${more}`);
	await within(page.context().close(), STOP_MS, 'the end of the page').catch(() => {});
}

// A page that is still open at the end of a test is one of a test that failed.
afterEach(() => Promise.all([...pages].map(tellOf)));
