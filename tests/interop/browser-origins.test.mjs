// Pages of allowed and refused origins in a real browser: credentials, preflights, answers of all kinds, WebSockets; and a name that was
// pointed at the gateway.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from '../support/browser.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const COOKIES = [0, 40, 200];
const FIRST = `<body xmlns='${NS.httpbind}' rid='7' to='plain.test' ver='1.11' wait='1' hold='1'/>`;
const sites = {};
let stage;
let browser;

// A web site of its own, that counts the cookies it gets.
async function startSite(port) {
	const site = { origin: `http://127.0.0.1:${port}`, nCookies: 0 };
	const server = http.createServer((request, response) => {
		site.nCookies = (request.headers.cookie ?? '').split(';').filter(Boolean).length;
		response.writeHead(200, { 'Content-Type': 'text/html' });
		response.end('<!doctype html><meta charset="utf-8"><title>Another origin</title><body>');
	});
	await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
	site.stop = () => new Promise((resolve) => {
		server.close(resolve);
		server.closeAllConnections();
	});
	return site;
}

before(async () => {
	sites.allowed = await startSite(await freePort());
	sites.refused = await startSite(await freePort());
	sites.public = await startSite(await freePort());
	sites.publicRefused = await startSite(await freePort());
	stage = await Stage.open({ plain: 'plain' }, { allow_origins: [sites.allowed.origin, sites.public.origin], allow_credentials: true, own_hosts: ['own.test'],
		public_websocket_url: 'wss://chat.example.org/xmpp-websocket' });
	browser = await startBrowser(['--host-resolver-rules=MAP own.test 127.0.0.1, MAP rebound.test 127.0.0.1',
		`--ip-address-space-overrides=${[sites.public, sites.publicRefused].map(({ origin }) => `${new URL(origin).host}=public`).join(',')}`]);
});
after(() => stopAll(browser, stage, ...Object.values(sites)));

async function visit(url, nCookies = 0) {
	const page = await openPage(browser);
	// Cookies belong to a host with all its ports. Browsers keep fewer than 200 of one.
	await page.context().addCookies(Array.from({ length: nCookies }, (_, i) => ({ name: `cookie-number-${i}`, value: 'x'.repeat(30), domain: '127.0.0.1', path: '/' })));
	await page.goto(url);
	return page;
}

// Runs in the page: what a request came to.
async function ask({ url, method, headers, body, credentials }) {
	try {
		const response = await fetch(url, { method, headers, body, credentials });
		return { status: response.status, text: await response.text() };
	} catch (error) {
		return { error: String(error) };
	}
}

// Runs in the page: what came first over a WebSocket.
function connect({ url, open }) {
	return new Promise((resolve) => {
		const socket = new WebSocket(url, 'xmpp');
		socket.onopen = () => socket.send(open);
		socket.onmessage = ({ data }) => {
			socket.onclose = null;
			socket.close();
			resolve({ data });
		};
		socket.onclose = ({ code }) => resolve({ code });
	});
}

const OPEN = `<open xmlns='${NS.framing}' to='plain.test' version='1.0'/>`;
const HEADERS = { 'Content-Type': 'text/xml; charset=utf-8', Authorization: 'Bearer x', traceparent: '00-a-b-01', 'sentry-trace': 'c' };
const post = (page, more) => page.evaluate(ask, { url: stage.doab.boshUrl, method: 'POST', headers: HEADERS, body: FIRST, ...more });

for (const n of COOKIES) {
	test(`a page of an allowed origin with ${n} cookies: BOSH with and without credentials, and WebSocket`, TIMEOUT, async () => {
		const page = await visit(sites.allowed.origin, n);
		await page.reload();
		assert.ok(sites.allowed.nCookies >= Math.min(n, 100), `${sites.allowed.nCookies} cookies`);
		for (const credentials of ['include', 'omit', 'same-origin']) {
			const { status, text, error } = await post(page, { credentials });
			assert.equal(status, 200, error);
			assert.match(text, /\bsid=/, credentials);
		}
		const { data } = await page.evaluate(connect, { url: stage.doab.websocketUrl, open: OPEN });
		assert.match(data ?? 'closed', /^<open /);
		await page.context().close();
	});

	test(`a page of another origin with ${n} cookies gets neither`, TIMEOUT, async () => {
		const page = await visit(sites.refused.origin, n);
		for (const credentials of ['include', 'omit']) {
			const { error } = await post(page, { credentials });
			assert.match(error ?? 'answered', /Failed to fetch/);
			// Without a preflight, too.
			const simple = await post(page, { credentials, headers: { 'Content-Type': 'text/plain' } });
			assert.match(simple.error ?? 'answered', /Failed to fetch/);
		}
		assert.equal((await page.evaluate(connect, { url: stage.doab.websocketUrl, open: OPEN })).code, 1006);
		await page.context().close();
		await stage.doab.logged('request-refused', { status: 403, origin: sites.refused.origin });
	});
}

// Chromium asks its user, and no longer the server (Private Network Access); conformance/origins has that preflight. Returns whether
// this version knows the permission.
async function allowLoopback(page) {
	const { targetInfo: { browserContextId } } = await (await page.context().newCDPSession(page)).send('Target.getTargetInfo');
	return (await browser.newBrowserCDPSession()).send('Browser.grantPermissions', { permissions: ['loopbackNetwork'], browserContextId })
		.then(() => true, () => false);
}

test('a page from a public address: the user decides whether it may reach this machine, the list of origins decides whether it may use the gateway', TIMEOUT, async (t) => {
	for (const [site, isGranted, isServed] of [[sites.public, true, true], [sites.public, false, false], [sites.publicRefused, true, false]]) {
		const page = await visit(site.origin);
		if (isGranted && !await allowLoopback(page)) {
			t.skip(`Chromium ${browser.version()} does not ask its user`);
			return;
		}
		for (const credentials of ['include', 'omit']) {
			const { status, text, error } = await post(page, { credentials });
			assert.equal(status, isServed ? 200 : undefined, error);
			assert.match(text ?? error, isServed ? /\bsid=/ : /Failed to fetch/);
		}
		if (isGranted) {
			const { data, code } = await page.evaluate(connect, { url: stage.doab.websocketUrl, open: OPEN });
			assert.equal(/^<open /.test(data ?? ''), isServed, `${site.origin}: ${code}`);
		}
		await page.context().close();
	}
});

test('a page of an allowed origin can read refusals and host-meta', TIMEOUT, async () => {
	const page = await visit(sites.allowed.origin);
	const answers = [['GET', '/elsewhere', 404], ['POST', '/crossdomain.xml', 405], ['GET', '/xmpp-websocket', 200], ['GET', '/.well-known/host-meta', 200],
		['GET', '/.well-known/host-meta.json', 200]];
	for (const [method, target, status] of answers) {
		const answer = await page.evaluate(ask, { url: stage.doab.http(target), method, headers: { Authorization: 'Bearer x' }, credentials: 'include' });
		assert.equal(answer.status, status, answer.error);
	}
	const large = await post(page, { body: `<body>${'x'.repeat(300000)}</body>` });
	assert.match(large.text ?? large.error, /policy-violation/);
	await page.context().close();
});

test('a name that was pointed at the gateway is no way in, one of its own is', TIMEOUT, async () => {
	for (const [host, status] of [['rebound.test', 403], ['own.test', 200], ['127.0.0.1', 200]]) {
		const place = `${host}:${stage.port}`;
		const page = await visit(`http://${place}/`);
		const answer = await page.evaluate(ask, { url: '/http-bind', method: 'POST', body: FIRST });
		assert.equal(answer.status, status, `${host}: ${answer.error}`);
		assert.match(answer.text, status === 200 ? /\bsid=/ : /own_hosts/);
		const { data, code } = await page.evaluate(connect, { url: `ws://${place}/xmpp-websocket`, open: OPEN });
		assert.equal(code, status === 200 ? undefined : 1006, host);
		assert.equal(/^<open /.test(data), status === 200, host);
		await page.context().close();
	}
});
