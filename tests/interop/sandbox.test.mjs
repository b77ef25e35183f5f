// A form of a hostile page, posted to BOSH in a real browser: what the server of the domain that it names puts into the answer is
// then a document of the gateway's own origin, and must not run there.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from '../support/browser.mjs';
import { httpRequest } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll, until } from '../support/util.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// A form writes its field as name=value.
const fieldOf = (content) => [`<body xmlns='${NS.httpbind}' rid='7' to='hostile.test' ver='1.11' wait='5' hold='1' content='${content}' x='`, '\'/>'];
let site;
let stage;
let browser;

// The hostile page; and, at /bare, an answer of the gateway with its own headers but for the policy. Tells which scripts ran.
async function startSite() {
	const ran = [];
	const server = http.createServer((request, response) => {
		if (request.url.startsWith('/ran?')) {
			ran.push(request.url.slice(5));
		}
		if (request.url === '/bare') {
			response.writeHead(200, site.headers);
			response.end(site.body);
		} else {
			response.writeHead(200, { 'Content-Type': 'text/html' });
			response.end('<!doctype html><meta charset="utf-8"><title>Another origin</title><body>');
		}
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		ran,
		origin: `http://127.0.0.1:${server.address().port}`,
		stop: () => new Promise((resolve) => {
			server.close(resolve);
			server.closeAllConnections();
		}),
	};
}

before(async () => {
	site = await startSite();
	const script = `<script xmlns='http://www.w3.org/1999/xhtml'>new Image().src = '${site.origin}/ran?' + location.origin;</script>`;
	stage = await Stage.open({ hostile: [{ await: 'header' }, { header: true, features: FEATURES.replace('</stream:features>', `${script}</stream:features>`) }, { serve: true }] });
	browser = await startBrowser();
});
after(() => stopAll(browser, stage, site));

for (const content of ['text/xml', 'text/html', 'application/xhtml+xml']) {
	test(`a script in an answer of type ${content} to a form does not run, and would without the policy`, TIMEOUT, () => check(content));
}

async function check(content) {
	const field = fieldOf(content);
	site.ran.length = 0;
	const page = await openPage(browser);
	const { headers, body, text } = await httpRequest(stage.port, 'POST', '/http-bind', { body: `${field.join('=')}\r\n` });
	assert.match(text, /<script /, 'the server\'s features come with what it put there');
	const { 'content-security-policy': policy, connection, ...others } = headers;
	assert.equal(policy, "default-src 'none'; sandbox");
	assert.equal(headers['content-type'], `${content}; charset=utf-8`);
	Object.assign(site, { headers: others, body });
	await page.goto(`${site.origin}/bare`).catch(() => {});
	await until(() => site.ran.includes(site.origin), 10000, 'the script runs where nothing forbids it');

	await page.goto(`${site.origin}/`);
	const posted = page.waitForResponse(stage.doab.boshUrl);
	await page.evaluate(([action, [name, value]]) => {
		const form = Object.assign(document.createElement('form'), { method: 'post', enctype: 'text/plain', action });
		form.append(Object.assign(document.createElement('input'), { name, value }));
		document.body.append(form);
		form.submit();
	}, [stage.doab.boshUrl, field]);
	assert.match((await (await posted).body()).toString(), /<script /, 'the form made a session');
	await page.waitForURL(stage.doab.boshUrl);
	await sleep(1500);
	assert.deepEqual(site.ran, [site.origin]);
	await page.context().close();
}
