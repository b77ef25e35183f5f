// The configurations that are shipped for proxies, each in front of both transports: real clients, a real browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { openPage, startBrowser } from '../support/browser.mjs';
import { Doab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { HOST, PROXIES } from '../support/proxies.mjs';
import { freePort, patiently, stopAll, until, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { StropheClient } from './clients/strophe.mjs';
import { trust } from './clients/trusting.mjs';
import { XmppJsClient } from './clients/xmppjs.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const CORS = 'access-control-allow-origin';
const ORIGIN = { Origin: 'https://a.example' };
const creation = (domain = ANONYMOUS_DOMAIN) => `<body xmlns='${NS.httpbind}' rid='7' to='${domain}' ver='1.11' wait='5' hold='1'/>`;
let prosody;
let doab;
let browser;

before(async () => {
	prosody = await Prosody.start();
	doab = await Doab.start({ workers: 2, trusted_proxies: ['127.0.0.1'], domains: prosody.domains });
	browser = await startBrowser();
});
after(() => stopAll(browser, doab, prosody));

async function sendsItself(client, body) {
	const received = new Promise((resolve) => client.once('message', resolve));
	client.sendMessage(client.jid, body);
	assert.equal((await within(received, 15000, 'the message')).body, body);
	await client.disconnect();
}

for (const [name, { start, answersPreflights }] of Object.entries(PROXIES)) {
	describe(name, () => {
		let proxy;

		before(async () => {
			proxy = await start(doab.port);
			trust({ ca: proxy.ca, servername: HOST });
		});
		after(() => stopAll(proxy));

		test('strophe.js logs in over BOSH and gets its own message back', TIMEOUT, async () => {
			const client = await within(StropheClient.connect({ url: `https://127.0.0.1:${proxy.port}/http-bind`, domain: DOMAIN, user: 'alice', password: PASSWORDS.alice }), 15000, 'login');
			await sendsItself(client, `through ${name} ä漢😀`);
		});

		test('@xmpp/client logs in over WebSocket and gets its own message back', TIMEOUT, async () => {
			const client = await within(XmppJsClient.connect({ url: `wss://127.0.0.1:${proxy.port}/xmpp-websocket`, domain: DOMAIN, user: 'bob', password: PASSWORDS.bob }), 15000, 'login');
			await sendsItself(client, 'x'.repeat(100000));
		});

		for (const transport of ['bosh', 'websocket']) {
			test(`the page in a browser is online over ${transport}`, TIMEOUT, async () => {
				const page = await openPage(browser, { ignoreHTTPSErrors: true });
				await page.goto(`https://localhost:${proxy.port}/?domain=${ANONYMOUS_DOMAIN}`);
				for (const [choice, value] of [['transport', transport], ['login', 'anonymous']]) {
					await page.locator(`input[name=${choice}][value=${value}]`).check({ force: true });
				}
				await page.click('#start');
				await page.waitForSelector('html[data-state=online], html[data-state=failed]');
				assert.equal(await page.getAttribute('html', 'data-state'), 'online', await page.textContent('#error'));
				await page.context().close();
			});
		}

		test('a BOSH session and a WebSocket have the client\'s address, not the proxy\'s, and no cookies', TIMEOUT, async () => {
			const since = doab.events.length;
			const cookie = { Cookie: Array.from({ length: 40 }, (_, i) => `name${i}=${'v'.repeat(150)}`).join('; ') };
			assert.match((await proxy.request('POST', '/http-bind', { headers: cookie, body: creation() })).text, / sid='/);
			const socket = new WebSocket(`wss://127.0.0.1:${proxy.port}/xmpp-websocket`, 'xmpp', { ca: proxy.ca, servername: HOST, headers: cookie });
			socket.once('open', () => socket.send(`<open xmlns='${NS.framing}' to='${ANONYMOUS_DOMAIN}' version='1.0'/>`));
			await within(new Promise((resolve, reject) => socket.once('error', reject).once('message', resolve)), 15000, '<open/>');
			const opened = () => doab.events.slice(since).filter(({ event }) => event === 'session-open');
			await until(() => opened().length === 2, 5000, 'two sessions');
			// Loopback is trusted here, so the client, which is on loopback too, is the left-most of what the proxy says.
			assert.deepEqual(opened().map(({ client }) => client), ['127.0.0.1', '127.0.0.1']);
			socket.close();
		});

		test('a client cannot choose its own address', TIMEOUT, async () => {
			const stricter = await Doab.start({ trusted_proxies: ['127.0.0.1'], domains: prosody.domains });
			const front = await start(stricter.port);
			try {
				const headers = { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'http', Forwarded: 'for=203.0.113.8;proto=http' };
				await front.request('POST', '/http-bind', { headers, body: creation() });
				const { client } = await stricter.logged('session-open');
				assert.notEqual(client, '203.0.113.8');
			} finally {
				await stopAll(front, stricter);
			}
		});

		test('preflight, errors and documents come through', TIMEOUT, async () => {
			const preflight = await proxy.request('OPTIONS', '/http-bind', { headers: { ...ORIGIN, 'Access-Control-Request-Method': 'POST' } });
			assert.ok([200, 204].includes(preflight.status));
			assert.equal(preflight.headers[CORS], '*');
			const bad = await proxy.request('POST', '/http-bind', { headers: ORIGIN, body: 'junk' });
			assert.equal(bad.headers[CORS], '*');
			assert.match((await proxy.request('GET', '/crossdomain.xml')).text, /cross-domain-policy/);
			assert.equal((await proxy.request('GET', '/')).text, (await httpRequest(doab.port, 'GET', '/')).text);
		});

		test('without the gateway its own answers have CORS headers', TIMEOUT, async () => {
			const alone = await start(await freePort());
			try {
				const bosh = await alone.request('POST', '/http-bind', { headers: ORIGIN, body: creation() });
				assert.ok([502, 503].includes(bosh.status), `status ${bosh.status}`);
				assert.equal(bosh.headers[CORS], '*');
				if (!answersPreflights) {
					return;
				}
				const preflight = await alone.request('OPTIONS', '/http-bind', { headers: { ...ORIGIN, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' } });
				assert.equal(preflight.status, 204);
				assert.equal(preflight.headers[CORS], '*');
				assert.match(preflight.headers['access-control-allow-methods'], /POST/);
				assert.match(preflight.headers['access-control-allow-headers'], /Content-Type/);
			} finally {
				await alone.stop();
			}
		});
	});
}
