// A headless Chromium (Debian's) under playwright-core, with a fresh profile, that talks to nobody by itself.
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
export const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL('../../build-test/screenshots', import.meta.url));

// @args: more of its switches.
export async function startBrowser(args = []) {
	const browser = await chromium.launch({
		executablePath: EXECUTABLE,
		headless: true,
		args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
			'--disable-component-update', '--disable-sync', ...args],
	});
	browser.stop = () => browser.close();
	return browser;
}

// Keeps a picture of the page in the build folder.
export async function keepPicture(page, name) {
	mkdirSync(SCREENSHOTS, { recursive: true });
	await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
