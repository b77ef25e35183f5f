// Plug-ins that ask whether they may open sockets: Flash at the port of HTTP and at one of its own, Silverlight at one of its own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { configText, Doab, runDoab } from '../support/doab.mjs';
import { assertValid } from '../support/grammar.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { freePort, patiently, removeFolder, sleep, stopAll, temporaryFolder, until, within } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const BARE = '<policy-file-request/>';
const REQUEST = `${BARE}\0`;
const ORIGINS = ['https://chat.example.org', 'http://*.example.net'];
let open;
let listed;
let replaced;
let folder;
const ports = {};

before(async () => {
	folder = temporaryFolder('socket-policy');
	for (const name of ['flash', 'silverlight']) {
		ports[name] = await freePort();
		writeFileSync(path.join(folder, name), `<my-${name}/>`);
	}
	open = await Doab.start({ flash_policy_listen: [`127.0.0.1:${ports.flash}`], silverlight_policy_listen: [`127.0.0.1:${ports.silverlight}`], workers: 2 });
	listed = await Doab.start({ allow_origins: ORIGINS, flash_ports: ['443', '5280-5282'] });
	ports.replacedSilverlight = await freePort();
	replaced = await Doab.start({ flash_sockets_file: path.join(folder, 'flash'), silverlight_sockets_file: path.join(folder, 'silverlight'),
		silverlight_policy_listen: [`127.0.0.1:${ports.replacedSilverlight}`] });
});
after(async () => {
	await stopAll(open, listed, replaced);
	removeFolder(folder);
});

// What comes before the gateway closes a connection on which @pieces were sent.
async function talk(port, pieces, { end = false } = {}) {
	const connection = await HttpConnection.open(port);
	for (const [i, piece] of pieces.entries()) {
		if (i > 0) {
			await sleep(20);
		}
		connection.write(piece);
	}
	if (end) {
		connection.socket.end();
	}
	await within(new Promise((resolve) => connection.socket.once('end', resolve).once('close', resolve)), 15000, 'the end of the connection');
	const text = connection.buffer.toString('latin1');
	connection.close();
	return text;
}

function assertFlash(text) {
	assert.equal(text.at(-1), '\0');
	assert.equal(text.indexOf('\0'), text.length - 1);
	assertValid(text.slice(0, -1), 'cross-domain-policy.dtd');
	assertValid(text.slice(0, -1), 'policy-file-socket.xsd');
}

test('Flash is answered at the port of HTTP, and the connection is closed', TIMEOUT, async () => {
	const text = await talk(open.port, [REQUEST]);
	assertFlash(text);
	assert.match(text, new RegExp(`domain="\\*" to-ports="${open.port}"`));
	const some = await talk(listed.port, [REQUEST]);
	assertFlash(some);
	assert.match(some, /domain="chat\.example\.org" to-ports="443,5280-5282" secure="true"/);
	assert.match(some, /domain="\*\.example\.net" to-ports="443,5280-5282" secure="false"/);
	assert.doesNotMatch(some, /domain="\*"/);
});

test('the request may come in pieces, and with more behind it', TIMEOUT, async () => {
	for (const port of [open.port, ports.flash]) {
		assertFlash(await talk(port, ['<', 'policy-file', '-request/>', '\0']));
		assertFlash(await talk(port, [`${REQUEST}${'x'.repeat(100)}`]));
	}
});

test('Flash and Silverlight are answered at ports of their own', TIMEOUT, async () => {
	for (let i = 0; i < 8; i++) {
		assertFlash(await talk(ports.flash, [REQUEST]));
		for (const request of [BARE, REQUEST]) {
			const text = await talk(ports.silverlight, [request]);
			assertValid(text, 'client-access-policy.xsd');
			assert.match(text, /<socket-resource port="4502-4534" protocol="tcp"\/>/);
		}
	}
	assertFlash(await talk(ports.flash, [BARE], { end: true }));
});

test('the documents can be replaced by files', TIMEOUT, async () => {
	assert.equal(await talk(replaced.port, [REQUEST]), '<my-flash/>\0');
	assert.equal(await talk(ports.replacedSilverlight, [BARE]), '<my-silverlight/>');
});

test('anything else at the ports of plug-ins is closed with a line, and so is silence', TIMEOUT, async () => {
	for (const port of [ports.flash, ports.silverlight]) {
		for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '<policy-file-request />', '\0', '<policy-file-request/>'.toUpperCase()]) {
			assert.equal(await talk(port, [bytes]), '');
		}
		assert.equal(await talk(port, ['<policy'], { end: true }), '');
	}
	await open.logged('connection-refused', { reason: 'not a policy file request' });
	assert.equal(await talk(ports.flash, ['<policy']), '');
	await open.logged('connection-refused', { reason: 'no policy file request in time' });
	assert.equal((await httpRequest(open.port, 'GET', '/crossdomain.xml')).status, 200, 'HTTP goes on');
});

test('a reload changes the pages that are allowed, the documents and the ports of plug-ins', TIMEOUT, async () => {
	const doab = await Doab.start({ allow_origins: ['https://before.example'], workers: 1 });
	try {
		const port = await freePort();
		assert.match(await talk(doab.port, [REQUEST]), /before\.example/);
		writeFileSync(path.join(doab.folder, 'doab.conf'), configText({ ...doab.config, allow_origins: ['https://after.example'], flash_policy_listen: [`127.0.0.1:${port}`] }));
		doab.child.kill('SIGHUP');
		await doab.logged('reloaded');
		await until(async () => /after\.example/.test(await talk(doab.port, [REQUEST])), 15000, 'the new list at the port of HTTP');
		assert.match(await talk(port, [REQUEST]), /after\.example/);
		assert.match((await httpRequest(doab.port, 'GET', '/crossdomain.xml')).text, /after\.example/);
		const { headers } = await httpRequest(doab.port, 'GET', '/', { headers: { Origin: 'https://after.example' } });
		assert.equal(headers['access-control-allow-origin'], 'https://after.example');
	} finally {
		await doab.stop();
	}
});

test('an address that cannot be had, or a port that Silverlight does not use, is a mistake', TIMEOUT, async () => {
	const file = path.join(folder, 'doab.conf');
	const check = async (config) => {
		writeFileSync(file, configText(config));
		return runDoab('--check', file);
	};
	assert.equal((await check({ silverlight_ports: ['4502', '4534'] })).code, 0);
	for (const range of ['4501', '4535', '4502-4535', '80']) {
		const { code, stdout, stderr } = await check({ silverlight_ports: [range] });
		assert.notEqual(code, 0, range);
		assert.match(stdout + stderr, /silverlight_ports: expected ports from 4502 to 4534/);
	}
	assert.notEqual((await check({ flash_policy_listen: ['127.0.0.1:843', '127.0.0.1:843'] })).code, 0);
	assert.notEqual((await check({ flash_policy_listen: ['localhost:843'] })).code, 0);
	for (const config of [{ listen: ['127.0.0.1:843'] }, { silverlight_policy_listen: ['127.0.0.2:843'] }]) {
		const { code, stdout, stderr } = await check({ flash_policy_listen: ['127.0.0.1:843'], ...config });
		assert.notEqual(code, 0);
		assert.match(stdout + stderr, /policy_listen: expected a port that nothing else is served on, got 843/);
	}
	writeFileSync(file, configText({ listen: [`127.0.0.1:${await freePort()}`], flash_policy_listen: [`127.0.0.1:${ports.flash}`] }));
	const { code, stderr } = await runDoab('--config', file);
	assert.notEqual(code, 0);
	assert.match(stderr, /event=listen-failed/);
});
