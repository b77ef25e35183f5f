// Valgrind's memcheck over a mix of sessions: nothing reads what was not written, and nothing is left behind. AddressSanitizer sees
// neither uninitialized values nor what the libraries of Debian do with our memory.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BoshClient } from '../support/bosh.mjs';
import { Authority, tlsOf } from '../support/certificates.mjs';
import { configText } from '../support/doab.mjs';
import { HttpConnection, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, run, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(10 * 60 * 1000) };
const N_EACH = 2;
const N_STANZAS = 6;
const SUPPRESSIONS = fileURLToPath(new URL('../check/memcheck.supp', import.meta.url));
let folder;
let stage;

before(async () => {
	const { code } = await run('valgrind', ['--version']);
	assert.equal(code, 0, 'valgrind is installed');
	folder = temporaryFolder('memcheck');
	const authority = new Authority(folder);
	const section = { ca_file: authority.certificate };
	stage = await Stage.open({
		plain: 'plain',
		starttls: { script: 'starttls', tls: tlsOf(authority.issue('starttls', ['starttls.test'])), section },
		direct: { script: 'direct-tls', tls: tlsOf(authority.issue('direct', ['direct.test'])), section: { ...section, tls: 'direct' } },
		untrusted: { script: 'starttls', tls: tlsOf(authority.issue('untrusted', ['another.test'])), section },
	}, {
		// Valgrind makes system calls of its own.
		sandbox: false, workers: 2, inactivity: 120, wait: 2, open_timeout: 120,
	}, {
		through: ['valgrind', '--trace-children=yes', '--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite',
			'--track-fds=no', `--suppressions=${SUPPRESSIONS}`, '--error-exitcode=99', `--log-file=${folder}/%p.log`],
	});
});
after(async () => {
	await stopAll(...(stage.doab.isRunning ? [stage] : Object.values(stage.servers)));
	removeFolder(folder);
});

async function overBosh(domain, i) {
	const client = new BoshClient(stage.port, i % 2 ? { connection: 'fresh' } : {});
	await client.login(domain);
	for (let k = 0; k < N_STANZAS; k++) {
		const id = `b${i}-${k}`;
		await client.exchange(`<message xmlns='jabber:client' id='${id}'><body>${'x'.repeat(k * k * 100)}</body></message>`,
			({ attributes }) => attributes.id === id);
	}
	return client;
}

async function overWebSocket(domain, i) {
	const client = await openWebSocket(stage.port);
	await client.login(domain);
	for (let k = 0; k < N_STANZAS; k++) {
		client.send(`<message xmlns='jabber:client' id='w${i}-${k}'><body>${'x'.repeat(k * k * 100)}</body></message>`);
		assert.equal((await client.next()).attributes.id, `w${i}-${k}`);
	}
	return client;
}

test('sessions of both kinds, with TLS and without: some end, some are left open', TIMEOUT, async () => {
	for (const domain of ['plain.test', 'starttls.test', 'direct.test']) {
		const clients = await Promise.all(Array.from({ length: N_EACH }, (_, i) => [overBosh(domain, i), overWebSocket(domain, i)]).flat());
		for (const client of clients.slice(0, N_EACH)) {
			await (client instanceof BoshClient ? client.terminate() : client.finish());
		}
	}
});

test('what is refused: certificates, unknown domains, sids and paths, broken XML', TIMEOUT, async () => {
	const { element } = await new BoshClient(stage.port).create('untrusted.test');
	assert.equal(element.attributes.type, 'terminate');
	const request = async (...args) => {
		const connection = await HttpConnection.open(stage.port);
		const { status } = await connection.request(...args);
		connection.close();
		return status;
	};
	for (const body of ['<body xmlns="http://jabber.org/protocol/httpbind" rid="1" sid="nosuch"/>', '<body', '<!DOCTYPE x><x/>', '\0']) {
		const status = await request('POST', '/http-bind', { body, headers: { 'Content-Type': 'text/xml' } });
		assert.ok([200, 400].includes(status), String(status));
	}
	assert.equal(await request('GET', '/no-such-path'), 404);
});

test('a reload, sessions after it, and the end', TIMEOUT, async () => {
	const { doab } = stage;
	writeFileSync(path.join(doab.folder, 'doab.conf'), configText({ ...doab.config, wait: 3 }));
	doab.child.kill('SIGHUP');
	await doab.logged('reloaded');
	await overBosh('starttls.test', 100);
	await overWebSocket('plain.test', 100);
	// When it ends with another status, the reports say why.
	const failure = await doab.stop().then(() => undefined, (error) => error);
	const reports = readdirSync(folder).filter((name) => name.endsWith('.log')).map((name) => readFileSync(path.join(folder, name), 'utf8'));
	assert.ok(reports.length >= 2, 'a supervisor and a server');
	for (const report of reports) {
		assert.match(report, /ERROR SUMMARY: 0 errors/, report.slice(0, 8000));
	}
	assert.equal(failure, undefined);
});
