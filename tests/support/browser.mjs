// A headless Chromium (Debian's) under playwright-core, with a fresh profile, that talks to nobody by itself.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { onceMore, patiently, within } from './util.mjs';

const EXECUTABLE = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
export const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL('../../build-test/screenshots', import.meta.url));

const START_MS = 30000;
const STOP_MS = 5000;

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
