// Firefox and WebKit (Debian's), by the WebDriver protocols that they come with; playwright-core drives only its own builds of them.
// Each talks to nobody by itself, has a fresh profile, and gives
//
//     name, version
//     open(url)               resolves when the page has loaded
//     run(f, ...values)       runs the function in the page; resolves with what it returns, or what its promise resolves with
//     problems()              what went wrong in its pages so far, as far as the browser tells
//     keepPicture(name)
//     stop()
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';
import { SCREENSHOTS } from './browser.mjs';
import { freePort, patiently, removeFolder, startChild, stopChild, temporaryFolder, until, within } from './util.mjs';

const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
const WEBKIT = process.env.WEBKIT ?? ['4.1', '4.0'].map((version) => `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/webkit2gtk-${version}/MiniBrowser`)
	.find(existsSync);
const START_TIME = 30000;
const COMMAND_TIME = 30000;

function keep(name, base64) {
	mkdirSync(SCREENSHOTS, { recursive: true });
	writeFileSync(path.join(SCREENSHOTS, `${name}.png`), Buffer.from(base64, 'base64'));
}

const callOf = (f, values) => `(${f})(...${JSON.stringify(values)})`;

// Numbers each command of WebDriver BiDi, and gives each answer to the one who asked.
class Bidi {
	#socket;
	#waiting = new Map();
	#n = 0;
	events = [];

	static async open(url) {
		const bidi = new Bidi();
		bidi.#socket = new WebSocket(url);
		bidi.#socket.on('message', (data) => bidi.#take(JSON.parse(data)));
		await within(new Promise((resolve, reject) => bidi.#socket.once('open', resolve).once('error', reject)), START_TIME, 'WebDriver BiDi');
		return bidi;
	}

	#take(message) {
		if (message.id === undefined) {
			this.events.push(message);
			return;
		}
		const { resolve, reject } = this.#waiting.get(message.id);
		this.#waiting.delete(message.id);
		if (message.type === 'success') {
			resolve(message.result);
		} else {
			reject(new Error(`${message.error}: ${message.message}`));
		}
	}

	ask(method, params) {
		const id = ++this.#n;
		const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
		this.#socket.send(JSON.stringify({ id, method, params }));
		return within(answer, COMMAND_TIME, method);
	}

	close() {
		this.#socket.terminate();
	}
}

function listeningAddress(child) {
	return within(new Promise((resolve, reject) => {
		let text = '';
		child.stderr.on('data', (data) => {
			text += data;
			const found = /WebDriver BiDi listening on (ws:\S+)/.exec(text);
			if (found) {
				resolve(found[1]);
			}
		});
		child.once('error', reject);
		child.once('exit', () => reject(new Error(`Firefox ended: ${text}`)));
	}), START_TIME, 'Firefox');
}

export async function startFirefox() {
	const profile = temporaryFolder('firefox');
	// Nothing is asked of Mozilla's servers.
	writeFileSync(path.join(profile, 'user.js'), ['app.normandy.enabled', 'app.update.enabled', 'browser.safebrowsing.malware.enabled',
		'network.captive-portal-service.enabled', 'network.connectivity-service.enabled', 'datareporting.healthreport.uploadEnabled',
		'extensions.getAddons.cache.enabled'].map((name) => `user_pref("${name}", false);\n`).join(''));
	const child = startChild(FIREFOX, ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'],
		{ stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile, MOZ_DISABLE_CONTENT_SANDBOX: '1' } });
	const bidi = await Bidi.open(`${await listeningAddress(child)}/session`);
	const { capabilities } = await bidi.ask('session.new', { capabilities: {} });
	await bidi.ask('session.subscribe', { events: ['log.entryAdded'] });
	const { context } = (await bidi.ask('browsingContext.getTree', {})).contexts[0];
	return {
		name: 'Firefox',
		version: capabilities.browserVersion,
		open: (url) => bidi.ask('browsingContext.navigate', { context, url, wait: 'complete' }),
		async run(f, ...values) {
			const expression = `Promise.resolve(${callOf(f, values)}).then(JSON.stringify)`;
			const { type, result, exceptionDetails } = await bidi.ask('script.evaluate', { expression, target: { context }, awaitPromise: true });
			if (type !== 'success') {
				throw new Error(exceptionDetails.text);
			}
			return result.value === undefined ? undefined : JSON.parse(result.value);
		},
		problems: () => bidi.events.filter(({ params }) => params.level === 'error').map(({ params }) => params.text),
		async keepPicture(name) {
			keep(name, (await bidi.ask('browsingContext.captureScreenshot', { context, origin: 'document' })).data);
		},
		async stop() {
			bidi.close();
			await stopChild(child);
			removeFolder(profile);
		},
	};
}

// A display for what has no headless mode. Xvfb finds a free number by itself and writes it.
async function startDisplay() {
	const child = startChild('Xvfb', ['-displayfd', '3', '-screen', '0', '1200x1000x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
	const number = await within(new Promise((resolve, reject) => {
		child.stdio[3].once('data', (data) => resolve(String(data).trim()));
		child.once('error', reject);
		child.once('exit', () => reject(new Error('Xvfb ended')));
	}), START_TIME, 'Xvfb');
	return { name: `:${number}`, stop: () => stopChild(child) };
}

// A command of WebDriver: HTTP.
async function askDriver(port, method, target, body) {
	const answer = await within(fetch(`http://127.0.0.1:${port}${target}`, { method, body: body && JSON.stringify(body) }), COMMAND_TIME, target);
	const { value } = await answer.json();
	if (!answer.ok) {
		throw new Error(`${value.error}: ${value.message}`);
	}
	return value;
}

// Runs in the page, which tells what @f made of it, or how it failed.
const ASYNC = (call) => `const tell = arguments[arguments.length - 1];
	Promise.resolve().then(() => ${call}).then((value) => tell({ value }), (error) => tell({ error: String(error) }));`;

export async function startWebKit() {
	const folder = temporaryFolder('webkit');
	const display = await startDisplay();
	const port = await freePort();
	const child = startChild('WebKitWebDriver', [`--port=${port}`], { stdio: 'ignore',
		env: { ...process.env, HOME: folder, DISPLAY: display.name, WEBKIT_DISABLE_COMPOSITING_MODE: '1', WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' } });
	await until(() => fetch(`http://127.0.0.1:${port}/status`).then(({ ok }) => ok, () => false), START_TIME, 'WebKitWebDriver');
	const { sessionId, capabilities } = await askDriver(port, 'POST', '/session', { capabilities: { alwaysMatch: {
		timeouts: { script: patiently(COMMAND_TIME) },
		'webkitgtk:browserOptions': { binary: WEBKIT, args: ['--automation'] } } } });
	const ask = (method, target, body) => askDriver(port, method, `/session/${sessionId}${target}`, body);
	return {
		name: 'WebKit',
		version: capabilities.browserVersion,
		open: (url) => ask('POST', '/url', { url }),
		async run(f, ...values) {
			const { value, error } = await ask('POST', '/execute/async', { script: ASYNC(callOf(f, values)), args: [] });
			if (error) {
				throw new Error(error);
			}
			return value ?? undefined;
		},
		problems: () => [],
		async keepPicture(name) {
			keep(name, await ask('GET', '/screenshot'));
		},
		async stop() {
			await ask('DELETE', '').catch(() => {});
			await stopChild(child);
			await display.stop();
			removeFolder(folder);
		},
	};
}
