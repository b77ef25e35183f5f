// The documents for plug-ins and clients: valid by their published grammars, and right as HTTP.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { configText, Doab, runDoab } from '../support/doab.mjs';
import { assertValid, complaintsOf } from '../support/grammar.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { freePort, patiently, removeFolder, stopAll, temporaryFolder, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const URLS = { public_bosh_url: 'https://chat.example.org/http-bind?a=1&b=2', public_websocket_url: 'wss://chat.example.org:8443/xmpp-websocket' };
const LISTS = {
	'all pages': ['*'],
	'all pages and one that is listed': ['*', 'https://chat.example.org'],
	'pages of all kinds': ['https://chat.example.org', 'http://chat.example.org:8080', 'https://*.example.net', 'http://localhost:*',
		'http://[2001:db8::1]:81', 'https://bücher.example', 'moz-extension://1b2c-3d', 'http://my_host'],
	'pages of extensions only': ['moz-extension://1b2c-3d'],
	'no page': [],
};
const DOCUMENTS = {
	'/crossdomain.xml': ['text/x-cross-domain-policy', ['cross-domain-policy.dtd', 'policy-file-http.xsd']],
	'/clientaccesspolicy.xml': ['text/xml; charset=utf-8', ['client-access-policy.xsd']],
	'/.well-known/host-meta': ['application/xrd+xml; charset=utf-8', ['xrd.xsd']],
	'/.well-known/host-meta.json': ['application/json', []],
};
const MINE = { crossdomain_file: '<cross-domain-policy/>\n', clientaccesspolicy_file: '<access-policy/>\n', host_meta_file: '<XRD/>\n', host_meta_json_file: '{"mine": 1}\n' };
const gateways = {};
let plain;
let replaced;
let folder;

const get = (gateway, target, headers = {}, method = 'GET') => httpRequest(gateway.port, method, target, { headers });

before(async () => {
	for (const [name, allow_origins] of Object.entries(LISTS)) {
		gateways[name] = await Doab.start({ allow_origins, ...URLS, compression: true, bosh_path: '/a/bosh/' });
	}
	plain = await Doab.start();
	folder = temporaryFolder('documents');
	const files = {};
	for (const [key, text] of Object.entries(MINE)) {
		files[key] = path.join(folder, key);
		writeFileSync(files[key], text);
	}
	replaced = await Doab.start({ ...URLS, ...files });
});
after(async () => {
	await stopAll(plain, replaced, ...Object.values(gateways));
	removeFolder(folder);
});

// Whatever the configuration accepts makes documents that are valid by their grammars, and say the same once they are read.
const MANY = Array.from({ length: 300 }, (_, i) => `${i % 2 ? 'http' : 'https'}://${i % 3 ? '*.' : ''}h${i}.example${i % 5 ? '' : `:${8000 + i}`}`);
const ACCEPTED = {
	'many origins': { allow_origins: MANY },
	'names of all lengths': { allow_origins: [`https://${'a'.repeat(63)}.example`, `https://${'a.'.repeat(120)}b`, 'http://a', 'https://a--b', 'https://xn--a', 'https://_a._b'] },
	'capitals, default ports, the same twice': { allow_origins: ['HTTPS://UPPER.Example:443', 'https://upper.example', 'http://upper.example:80', 'https://upper.example:*'] },
	'addresses': { allow_origins: ['http://192.0.2.1:8080', 'https://[2001:DB8::1]', 'http://[::1]:*'] },
	'only http': { allow_origins: ['http://a.example', 'http://*.b.example:81'] },
	'only https': { allow_origins: ['https://a.example'] },
	'other schemes': { allow_origins: ['x+y.z-1://h', 'capacitor://localhost', 'https://a.example'] },
	'URLs with all that a URL may have': { public_bosh_url: 'https://[2001:db8::1]:8443/a;b=c/d,e@f:g!$&(h)*+~_-.?i=j&k=%26%3C%22&l=/?', public_websocket_url: 'wss://a.example/%C3%A4?&amp;<'.replace('<', '%3C') },
	'a long path and all ports': { bosh_path: `/${'a-._~/'.repeat(21)}b`, flash_ports: ['1-65535'], silverlight_ports: ['4502', '4503-4534'] },
	'ports in any order': { flash_ports: ['65535', '1', '5280-5290'] },
};
const REFUSED = {
	allow_origins: ['https://a"b', "https://a'b", 'https://a&b', 'https://<x>', 'https://a b', 'https://a/', 'https://a\\b', 'https://a%41', 'javascript:alert(1)', 'https://a]]>',
		'https://-->', 'a"b://c', 'https://a:80"', 'https://*', 'https://*.', 'https://a*b', 'https://*.*.a', 'https://a;b', 'https://a\u0001', '//a', 'https:a', 'https://u@a', '*.a', 'null',
		'https://\u{ff11}\u{ff12}.0.0.1', 'https://[::1%25eth0]', 'https://a..b', 'https://.a', 'https://a:0', 'https://a:65536'].map((origin) => [origin]),
	bosh_path: ['/a&b', '/a<b>', '/a"b', "/a'b", '/a]]>', '/a b', '/a%22b', '/a?b', '/@SCRIPT@', 'a', '/a\u0001'],
	public_bosh_url: ["https://a.example/'", 'https://a.example/<b>', 'https://a.example/"', 'https://a.example/%zz', 'https://a.example/a|b', 'https://a.example/{a}', 'https://a.example/]]>\\',
		'https://a.example/\u00e4', 'https://a.example/a b', 'https://a.example/#a', 'javascript:alert(1)', 'https://u@a.example/', 'https:///', 'http://a.example/', 'https://a&b/'],
	public_websocket_url: ['wss://a.example/"', 'wss://a.example/`', 'ws://a.example/', 'https://a.example/'],
	flash_ports: ['0', '65536', '2-1', '1-', '*', '1"'].map((port) => [port]),
};

for (const [name, config] of Object.entries(ACCEPTED)) {
	test(`the documents are valid: ${name}`, TIMEOUT, async () => {
		const port = await freePort();
		const gateway = await Doab.start({ ...URLS, silverlight_policy_listen: [`127.0.0.1:${port}`], ...config });
		try {
			for (const [target, [, grammars]] of Object.entries(DOCUMENTS)) {
				const { text } = await get(gateway, target);
				for (const grammar of grammars) {
					assertValid(text, grammar);
				}
			}
			const { public_bosh_url, public_websocket_url } = { ...URLS, ...config };
			const unescaped = (await get(gateway, '/.well-known/host-meta')).text.replace(/&lt;/g, '<').replace(/&amp;/g, '&');
			const { links } = JSON.parse((await get(gateway, '/.well-known/host-meta.json')).text);
			assert.deepEqual(links.map(({ href }) => href), [public_bosh_url, public_websocket_url]);
			for (const { rel, href } of links) {
				assert.ok(unescaped.includes(`<Link rel="${rel}" href="${href}"/>`), unescaped);
			}
			const flash = await policyOf(gateway.port, '<policy-file-request/>\0');
			assertValid(flash.slice(0, -1), 'cross-domain-policy.dtd');
			assertValid(flash.slice(0, -1), 'policy-file-socket.xsd');
			assertValid(await policyOf(port, '<policy-file-request/>'), 'client-access-policy.xsd');
		} finally {
			await gateway.stop();
		}
	});
}

// What a connection on which @request is sent brings until its end.
async function policyOf(port, request) {
	const connection = await HttpConnection.open(port);
	connection.write(request);
	await within(connection.closed, 10000, 'the end of a policy');
	return connection.buffer.toString('latin1');
}

for (const [key, values] of Object.entries(REFUSED)) {
	test(`what would be markup in a document is refused: ${key}`, TIMEOUT, async () => {
		for (const value of values) {
			const file = path.join(folder, 'hostile.conf');
			writeFileSync(file, configText({ [key]: value }));
			const { code, stdout, stderr } = await runDoab('--check', file);
			assert.notEqual(code, 0, String(value));
			assert.match(stdout + stderr, /expected/, String(value));
		}
	});
}

for (const name of Object.keys(LISTS)) {
	for (const [target, [type, grammars]] of Object.entries(DOCUMENTS)) {
		test(`${target} for ${name} is valid`, TIMEOUT, async () => {
			const { status, headers, text } = await get(gateways[name], target);
			assert.equal(status, 200);
			assert.equal(headers['content-type'], type);
			for (const grammar of grammars) {
				assertValid(text, grammar);
			}
			if (grammars.length === 0) {
				assert.deepEqual(JSON.parse(text), { links: [
					{ rel: 'urn:xmpp:alt-connections:xbosh', href: URLS.public_bosh_url },
					{ rel: 'urn:xmpp:alt-connections:websocket', href: URLS.public_websocket_url }] });
			}
		});
	}
}

test('the grammars find mistakes', TIMEOUT, () => {
	const policy = (content) => `<cross-domain-policy>${content}</cross-domain-policy>`;
	for (const [text, grammar] of [
		[policy('<allow-access-from/>'), 'cross-domain-policy.dtd'],
		[policy('<allow-access-from domain="a"/><site-control permitted-cross-domain-policies="all"/>'), 'cross-domain-policy.dtd'],
		[policy('<allow-access-from domain="a" to-ports="1"/>'), 'policy-file-http.xsd'],
		[policy('<allow-access-from domain="https://a"/>'), 'policy-file-http.xsd'],
		[policy('<allow-access-from domain="a"/>'), 'policy-file-socket.xsd'],
		['<access-policy><cross-domain-access><policy><allow-from/></policy></cross-domain-access></access-policy>', 'client-access-policy.xsd'],
		['<XRD><Link/></XRD>', 'xrd.xsd'],
	]) {
		assert.notEqual(complaintsOf(text, grammar), '', `${grammar}: ${text}`);
	}
});

test('the documents say what the list of origins says', TIMEOUT, async () => {
	const some = gateways['pages of all kinds'];
	const flash = (await get(some, '/crossdomain.xml')).text;
	assert.match(flash, /<allow-access-from domain="chat\.example\.org" secure="false"\/>/);
	assert.match(flash, /<allow-access-from domain="\*\.example\.net" secure="true"\/>/);
	assert.match(flash, /<allow-access-from domain="xn--bcher-kva\.example" secure="true"\/>/);
	assert.match(flash, /headers="[^"]*Content-Type/);
	assert.match(flash, /"master-only"/);
	assert.doesNotMatch(flash, /domain="\*"|1b2c/);
	const silverlight = (await get(some, '/clientaccesspolicy.xml')).text;
	const [https, http] = silverlight.split('</policy>');
	assert.match(https, /uri="https:\/\/chat\.example\.org"/);
	assert.match(https, /uri="https:\/\/\*\.example\.net"/);
	assert.match(http, /uri="http:\/\/chat\.example\.org:8080"/);
	assert.doesNotMatch(https, /http:/);
	assert.match(silverlight, /<resource path="\/a\/bosh" include-subpaths="true"\/>/);
	assert.doesNotMatch((await get(gateways['no page'], '/clientaccesspolicy.xml')).text, /<policy>/);
	assert.doesNotMatch((await get(gateways['no page'], '/crossdomain.xml')).text, /<allow-/);
});

test('without a public URL there is no host-meta; with one it has one link', TIMEOUT, async () => {
	for (const target of ['/.well-known/host-meta', '/.well-known/host-meta.json']) {
		const answer = await get(plain, target);
		assert.equal(answer.status, 404);
		assert.equal(answer.headers['access-control-allow-origin'], '*');
	}
	const one = await Doab.start({ public_websocket_url: 'wss://a.example/w' });
	try {
		const { text } = await get(one, '/.well-known/host-meta');
		assertValid(text, 'xrd.xsd');
		assert.equal(text.match(/<Link /g).length, 1);
		assert.match(text, /wss:\/\/a\.example\/w/);
	} finally {
		await one.stop();
	}
});

test('host-meta can be read by the pages that may use the gateway', TIMEOUT, async () => {
	const some = gateways['pages of all kinds'];
	for (const target of ['/.well-known/host-meta', '/.well-known/host-meta.json']) {
		const Origin = 'https://a.b.example.net';
		assert.equal((await get(gateways['all pages'], target, { Origin })).headers['access-control-allow-origin'], '*');
		assert.equal((await get(some, target, { Origin })).headers['access-control-allow-origin'], Origin);
		assert.equal((await get(some, target, { Origin: 'https://example.net' })).headers['access-control-allow-origin'], undefined);
		assert.match((await get(some, target)).headers.vary, /\bOrigin\b/);
	}
});

const TARGETS = ['/', ...Object.keys(DOCUMENTS)];

for (const target of TARGETS) {
	test(`${target}: HEAD has the headers of GET, and who has the text need not get it again`, TIMEOUT, async () => {
		const gateway = gateways['pages of all kinds'];
		const connection = await HttpConnection.open(gateway.port);
		const whole = await connection.request('GET', target, { headers: { Origin: 'https://a.example.net' } });
		const head = await connection.request('HEAD', target, { headers: { Origin: 'https://a.example.net' } });
		assert.equal(head.status, 200);
		for (const name of ['content-length', 'content-type', 'etag', 'cache-control', 'vary', 'access-control-allow-origin']) {
			assert.equal(head.headers[name], whole.headers[name], name);
			assert.ok(whole.headers[name], name);
		}
		assert.match(whole.headers['cache-control'], target === '/' ? /^no-cache$/ : /^max-age=\d+$/);
		const { etag } = whole.headers;
		for (const tags of [etag, etag.slice(2), `"x", ${etag}`, '*']) {
			for (const method of ['GET', 'HEAD']) {
				const known = await connection.request(method, target, { headers: { 'If-None-Match': tags, Origin: 'https://a.example.net' } });
				assert.equal(known.status, 304, tags);
				for (const name of ['etag', 'cache-control', 'vary', 'access-control-allow-origin']) {
					assert.equal(known.headers[name], whole.headers[name], name);
				}
			}
		}
		for (const tags of ['"x"', '', `${etag.slice(0, -1)}x"`]) {
			assert.equal((await connection.request('GET', target, { headers: { 'If-None-Match': tags } })).status, 200, tags);
		}
		connection.close();
	});
}

test('a document in a content coding is the same document', TIMEOUT, async () => {
	const gateway = gateways['pages of all kinds'];
	const whole = await get(gateway, '/crossdomain.xml');
	const coded = await get(gateway, '/crossdomain.xml', { 'Accept-Encoding': 'gzip' });
	assert.equal(coded.headers['content-encoding'], 'gzip');
	assert.equal(coded.headers.etag, whole.headers.etag);
	assert.equal(zlib.gunzipSync(coded.body).toString(), whole.text);
});

test('each document can be replaced by a file', TIMEOUT, async () => {
	const texts = Object.values(MINE);
	const targets = ['/crossdomain.xml', '/clientaccesspolicy.xml', '/.well-known/host-meta', '/.well-known/host-meta.json'];
	for (const [i, target] of targets.entries()) {
		const { status, headers, text } = await get(replaced, target);
		assert.equal(status, 200);
		assert.equal(text, texts[i]);
		assert.equal(headers['content-type'], DOCUMENTS[target][0]);
		assert.notEqual(headers.etag, (await get(gateways['all pages'], target)).headers.etag);
	}
});

test('a file that cannot be a document is a mistake in the configuration', TIMEOUT, async () => {
	const check = async (config) => {
		const file = path.join(folder, 'doab.conf');
		writeFileSync(file, configText(config));
		return runDoab('--check', file);
	};
	const content = path.join(folder, 'content');
	for (const [text, complaint] of [['x'.repeat(65536), null], ['x'.repeat(65537), /it is larger/], ['', /it is empty/], ['a\0b', /it has a NUL/]]) {
		writeFileSync(content, text);
		const { code, stdout, stderr } = await check({ crossdomain_file: content });
		assert.equal(code === 0, complaint === null, stdout + stderr);
		if (complaint) {
			assert.match(stdout + stderr, complaint);
		}
	}
	for (const crossdomain_file of [path.join(folder, 'none'), folder]) {
		assert.notEqual((await check({ crossdomain_file })).code, 0);
	}
	for (const public_bosh_url of ['http://a.example/b', 'wss://a.example/b', 'https://', 'https:///b', 'https://a b/', 'https://a.example/"', 'https://a.example/#b', 'https://a.example:0/']) {
		assert.notEqual((await check({ public_bosh_url })).code, 0, public_bosh_url);
	}
	assert.notEqual((await check({ public_websocket_url: 'ws://a.example/b' })).code, 0);
	assert.notEqual((await check({ bosh_path: '/.well-known/host-meta' })).code, 0);
	assert.equal((await check({ public_bosh_url: 'https://[2001:db8::1]:8443' })).code, 0);
});
