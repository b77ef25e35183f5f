// TLS of the gateway's own, and what stands in front of its listeners: real clients, a real browser, nginx over a unix socket,
// HAProxy that passes TLS through behind a PROXY header.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from '../support/browser.mjs';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { ANONYMOUS_DOMAIN, DOMAIN, PASSWORDS, Prosody } from '../support/prosody.mjs';
import { freePort, patiently, removeFolder, startChild, stopAll, stopChild, tellWhenFailed, temporaryFolder, until, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { StropheClient } from './clients/strophe.mjs';
import { trust } from './clients/trusting.mjs';
import { XmppJsClient } from './clients/xmppjs.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const HOST = 'localhost';
let folder;
let front;
let ca;
let port;
let proxied;
let socket;
let prosody;
let doab;

before(async () => {
	folder = temporaryFolder('tls-listener');
	chmodSync(folder, 0o755); // for nginx's workers
	const authority = new Authority(folder);
	front = authority.issue('front', [HOST], { more: ['IP:127.0.0.1'] });
	ca = readFileSync(authority.certificate);
	trust({ ca, servername: HOST });
	socket = path.join(folder, 'http.sock');
	[port, proxied] = [await freePort(), await freePort()];
	const tls = { certificate: front.certificate, key: front.key };
	prosody = await Prosody.start();
	doab = await Doab.start({ workers: 2, domains: prosody.domains, trusted_proxies: ['127.0.0.2'], listeners: {
		[`127.0.0.1:${port}`]: { tls },
		[`127.0.0.1:${proxied}`]: { tls, proxy_protocol: 'v2', proxy_peers: ['127.0.0.1'] },
		[`unix:${socket}`]: { mode: '0666' },
	} });
});
after(() => {
	removeFolder(folder);
	return stopAll(doab, prosody);
});

const account = (user) => ({ domain: DOMAIN, user, password: PASSWORDS[user] });
const login = (client, url, user) => within(client.connect({ url, ...account(user) }), 15000, 'login');

async function sendsItself(client, body) {
	const received = new Promise((resolve) => client.once('message', resolve));
	client.sendMessage(client.jid, body);
	assert.equal((await within(received, 15000, 'the message')).body, body);
	await client.disconnect();
}

test('strophe.js over HTTPS and over WSS', TIMEOUT, async () => {
	await sendsItself(await login(StropheClient, `https://127.0.0.1:${port}/http-bind`, 'alice'), 'over HTTPS ä漢😀');
	await sendsItself(await login(StropheClient, `wss://127.0.0.1:${port}/xmpp-websocket`, 'alice'), 'over WSS ä漢😀');
});

test('@xmpp/client over WSS, with more than a record', TIMEOUT, async () => {
	await sendsItself(await login(XmppJsClient, `wss://127.0.0.1:${port}/xmpp-websocket`, 'bob'), 'x'.repeat(100000));
});

test('the page in a browser is online over both transports', TIMEOUT, async () => {
	const browser = await startBrowser();
	try {
		for (const transport of ['bosh', 'websocket']) {
			const page = await openPage(browser, { ignoreHTTPSErrors: true });
			await page.goto(`https://localhost:${port}/?domain=${ANONYMOUS_DOMAIN}`);
			for (const [choice, value] of [['transport', transport], ['login', 'anonymous']]) {
				await page.locator(`input[name=${choice}][value=${value}]`).check({ force: true });
			}
			await page.click('#start');
			await page.waitForSelector('html[data-state=online], html[data-state=failed]');
			assert.equal(await page.getAttribute('html', 'data-state'), 'online', await page.textContent('#error'));
			await page.context().close();
		}
	} finally {
		await browser.stop();
	}
});

// Starts a proxy with that configuration, and waits until it listens.
async function startProxy(command, args, at) {
	const child = startChild(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
	let output = '';
	child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
	tellWhenFailed(() => `What ${command} said:\n${output}`);
	const answers = () => new Promise((resolve) => {
		const probe = https.get({ host: '127.0.0.1', port: at, ca, servername: HOST, agent: false }, (response) => resolve(response.resume()));
		probe.once('error', () => resolve(false));
	});
	await until(() => {
		assert.equal(child.exitCode, null, output);
		return answers();
	}, 30000, 'the proxy answers');
	return { stop: () => stopChild(child) };
}

test('nginx in front of a unix socket', TIMEOUT, async () => {
	const at = await freePort();
	const file = path.join(folder, 'nginx.conf');
	writeFileSync(file, `daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}
http {
	access_log off;
	${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	upstream doab { server unix:${socket}; keepalive 8; }
	server {
		listen 127.0.0.1:${at} ssl;
		ssl_certificate ${front.certificate};
		ssl_certificate_key ${front.key};
		location / {
			proxy_pass http://doab;
			proxy_http_version 1.1;
			proxy_buffering off;
			proxy_read_timeout 90s;
			proxy_set_header Host $host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
		}
	}
}
`);
	const nginx = await startProxy('/usr/sbin/nginx', ['-e', 'stderr', '-p', folder, '-c', file], at);
	try {
		await sendsItself(await login(StropheClient, `https://127.0.0.1:${at}/http-bind`, 'alice'), 'through a unix socket');
		await sendsItself(await login(XmppJsClient, `wss://127.0.0.1:${at}/xmpp-websocket`, 'bob'), 'through a unix socket');
	} finally {
		await nginx.stop();
	}
});

test('HAProxy passes TLS through behind a PROXY header', TIMEOUT, async () => {
	const at = await freePort();
	const file = path.join(folder, 'haproxy.cfg');
	writeFileSync(file, ['defaults', '\tmode tcp', '\ttimeout connect 5s', '\ttimeout client 60s', '\ttimeout server 60s',
		'listen front', `\tbind 127.0.0.1:${at}`, `\tserver doab 127.0.0.1:${proxied} send-proxy-v2`, ''].join('\n'));
	const haproxy = await startProxy('/usr/sbin/haproxy', ['-db', '-f', file], at);
	try {
		await sendsItself(await login(StropheClient, `https://127.0.0.1:${at}/http-bind`, 'alice'), 'through HAProxy');
		await sendsItself(await login(XmppJsClient, `wss://127.0.0.1:${at}/xmpp-websocket`, 'bob'), 'through HAProxy');
		// The client's address is what the header says, also for the log.
		const from = new https.Agent({ keepAlive: false, localAddress: '127.0.0.9', ca, servername: HOST });
		const body = `<body xmlns='${NS.httpbind}' rid='7' to='${ANONYMOUS_DOMAIN}' ver='1.11' wait='5' hold='1'/>`;
		await within(new Promise((resolve, reject) => {
			https.request({ host: '127.0.0.1', port: at, path: '/http-bind', method: 'POST', agent: from,
				headers: { 'Content-Length': body.length } }, (response) => resolve(response.resume())).once('error', reject).end(body);
		}), 15000, 'an answer');
		await doab.logged('session-open', { client: '127.0.0.9' });
	} finally {
		await haproxy.stop();
	}
});
