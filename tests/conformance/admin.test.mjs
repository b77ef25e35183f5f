// The admin listener: its numbers are what the test did, it ends sessions, and nobody reaches it from the public port.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { configText, runDoab } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, run, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const MESSAGE = '<message xmlns=\'jabber:client\' to=\'echo\'><body>0123456789</body></message>';
let stage;
let admin;
let folder;

before(async () => {
	folder = temporaryFolder('admin');
	admin = await freePort();
	stage = await Stage.open({ plain: 'plain', closing: 'close-stream-after-bind' }, {
		admin: `127.0.0.1:${admin}`, workers: 2, max_sessions: 50, trusted_proxies: ['127.0.0.1'], sessions_per_address: 3,
		domains: { 'refused.test': { deny: true }, '*.pattern.test': { deny: true } },
	});
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

const get = (target, headers = {}, port = admin) => httpRequest(port, 'GET', target, { headers });

async function getJson(target) {
	const { status, text, headers } = await get(target, { Accept: 'application/json' });
	assert.equal(status, 200, text);
	assert.match(headers['content-type'], /^application\/json/);
	return JSON.parse(text);
}

// The samples of /metrics by name and labels as they are written.
async function metrics() {
	const { status, text } = await get('/metrics');
	assert.equal(status, 200);
	return Object.fromEntries(text.split('\n').filter((line) => line && !line.startsWith('#')).map((line) => {
		const at = line.lastIndexOf(' ');
		return [line.slice(0, at), Number(line.slice(at + 1))];
	}));
}

// What @act adds to each sample of /metrics. The workers count on their own, so @isDone(difference) says when all is counted.
async function difference(act, isDone) {
	const before = await metrics();
	await act();
	let found;
	await until(async () => {
		const now = await metrics();
		found = Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - before[name]]));
		return isDone(found);
	}, 15000, 'the numbers').catch((error) => {
		const changed = Object.fromEntries(Object.entries(found).filter(([name, n]) => n && /^doab_/.test(name)));
		throw new Error(`${error.message} ${JSON.stringify(changed, null, 1)}`);
	});
	return found;
}

const configFile = () => path.join(stage.doab.folder, 'doab.conf');

test('the format is what Prometheus reads', TIMEOUT, async () => {
	const file = path.join(folder, 'metrics.txt');
	writeFileSync(file, (await get('/metrics')).text);
	const { code, stdout, stderr } = await run('sh', ['-c', `promtool check metrics < ${file}`]);
	assert.equal(code, 0, stdout + stderr);
	assert.equal(stdout + stderr, '');
});

const LOGINS = {
	bosh: async (client) => {
		const session = new BoshClient(stage.port, { headers: { 'X-Forwarded-For': client } });
		await session.login('plain.test');
		return { echo: () => session.exchange(MESSAGE, ({ name }) => name === 'message'), end: () => session.terminate() };
	},
	websocket: async (client) => {
		const socket = await openWebSocket(stage.port, { headers: { 'X-Forwarded-For': client } });
		await socket.login('plain.test');
		return {
			echo: async () => {
				socket.send(MESSAGE);
				assert.equal((await socket.next()).name, 'message');
			},
			end: () => socket.finish(),
		};
	},
};

for (const [transport, login] of Object.entries(LOGINS)) {
	test(`a session over ${transport}: opened, logged in, its stanzas and bytes, its round trips, and its end`, TIMEOUT, async () => {
		const labels = `transport="${transport}"`;
		const online = `doab_sessions{${labels},state="online"}`;
		let session;
		const opened = await difference(async () => { session = await login('198.51.100.1'); }, (found) => found[online] === 1);
		assert.equal(opened[`doab_sessions_opened_total{${labels}}`], 1);
		assert.equal(opened[`doab_sessions{${labels},state="connecting"}`], 0);
		assert.equal(opened[`doab_sessions{${labels},state="ready"}`], 0);
		assert.equal(opened[`doab_session_ready_seconds_count{${labels}}`], 1);
		assert.equal(opened.doab_dial_seconds_count, 1);
		assert.equal(opened.doab_tls_handshake_seconds_count, 0);
		assert.equal(opened['doab_domain_sessions{domain="plain.test"}'], 1);
		assert.equal(opened['doab_worker_sessions{worker="0"}'] + opened['doab_worker_sessions{worker="1"}'], 1);

		const STANZAS = 5;
		const carried = await difference(async () => {
			for (let i = 0; i < STANZAS; i++) {
				await session.echo();
			}
		}, (found) => found[`doab_stanzas_total{${labels},direction="out"}`] === STANZAS);
		assert.equal(carried[`doab_stanzas_total{${labels},direction="in"}`], STANZAS);
		const bytesIn = carried[`doab_bytes_total{${labels},direction="in"}`];
		assert.ok(bytesIn >= STANZAS * MESSAGE.length - 100 && bytesIn < STANZAS * (MESSAGE.length + 100), `${bytesIn}`);
		assert.ok(carried[`doab_bytes_total{${labels},direction="out"}`] > STANZAS * 50);
		assert.equal(carried[`doab_round_trip_seconds_count{${labels}}`], STANZAS);
		assert.equal(carried[`doab_round_trip_seconds_bucket{${labels},le="+Inf"}`], STANZAS);
		const other = transport === 'bosh' ? 'websocket' : 'bosh';
		assert.equal(carried[`doab_stanzas_total{transport="${other}",direction="in"}`], 0);

		const ended = await difference(() => session.end(), (found) => found[online] === -1);
		assert.equal(ended['doab_domain_sessions{domain="plain.test"}'], -1);
	});
}

test('failures by kind and transport, refusals by limit, and requests', TIMEOUT, async () => {
	const client = { 'X-Forwarded-For': '198.51.100.2' };
	const found = await difference(async () => {
		for (const to of ['refused.test', 'a.pattern.test', 'no domain']) {
			await new BoshClient(stage.port, { headers: client, connection: 'fresh' }).create(to);
		}
		const socket = await openWebSocket(stage.port, { headers: client });
		socket.open('refused.test');
		await socket.nextMessage();
		socket.drop();
		for (let i = 0; i < 5; i++) { // three are allowed
			await new BoshClient(stage.port, { headers: client, connection: 'fresh' }).create('plain.test');
		}
		assert.equal((await httpRequest(stage.port, 'GET', '/nothing')).status, 404);
	}, (changes) => changes['doab_refusals_total{limit="sessions_per_address"}'] === 2);
	assert.equal(found['doab_failures_total{transport="bosh",kind="domain-refused"}'], 2);
	assert.equal(found['doab_failures_total{transport="websocket",kind="domain-refused"}'], 1);
	assert.equal(found['doab_failures_total{transport="bosh",kind="domain-malformed"}'], 1);
	assert.equal(found['doab_failures_total{transport="bosh",kind="too-many-sessions"}'], 2);
	assert.equal(found['doab_refusals_total{limit="max_sessions"}'], 0);
	assert.equal(found['doab_requests_total{kind="bosh"}'], 8);
	assert.equal(found['doab_requests_total{kind="websocket"}'], 1);
	assert.equal(found['doab_requests_refused_total'], 1);
	const names = Object.keys(found).filter((name) => /domain=/.test(name));
	assert.ok(!names.some((name) => /a\.pattern|no domain/.test(name)), 'no label from a client');
	assert.ok(names.includes('doab_domain_sessions{domain="*.pattern.test"}'), names.join());

	const { failures, refusals, domains } = await getJson('/status');
	const refused = failures.find(({ kind }) => kind === 'domain-refused');
	assert.equal(refused.words, 'this gateway does not serve that domain');
	assert.ok(refused.last_hour >= 3 && refused.total === refused.last_hour);
	assert.ok(refusals.sessions_per_address >= 2);
	assert.deepEqual(domains.map(({ domain }) => domain), ['plain.test']);
});

test('/sessions and `doab --sessions`: id, transport, client, domain, age and bytes; `doab --kick` ends one', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port, { headers: { 'X-Forwarded-For': '198.51.100.3' } });
	await socket.login('plain.test');
	const bosh = new BoshClient(stage.port, { headers: { 'X-Forwarded-For': '198.51.100.4' } });
	await bosh.login('plain.test');
	const { sessions, silent_workers: silent } = await getJson('/sessions');
	assert.equal(silent, 0);
	for (const [transport, client] of [['websocket', '198.51.100.3'], ['bosh', '198.51.100.4']]) {
		const logged = await stage.doab.logged('session-ready', { client });
		const row = sessions.find((one) => one.client === client);
		assert.equal(row.session, logged.session);
		assert.equal(row.transport, transport);
		assert.equal(row.domain, 'plain.test');
		assert.equal(row.state, 'online');
		assert.ok(row.age_ms >= 0 && row.age_ms < 60000);
		assert.ok(row.bytes_from_client > 0 && row.bytes_to_client > 0);
	}
	const list = await runDoab('--config', configFile(), '--sessions');
	assert.equal(list.code, 0, list.stderr);
	const line = list.stdout.split('\n').find((one) => one.includes('198.51.100.3'));
	assert.match(line, /^\S{6} +websocket +online +\d+ s +\d+ B +.* B +198\.51\.100\.3 +plain\.test$/);

	const ended = sessions.find(({ client }) => client === '198.51.100.3').session;
	const kick = await runDoab('--config', configFile(), '--kick', ended);
	assert.equal(kick.stdout, 'The session has been ended.\n', kick.stderr);
	assert.equal(kick.code, 0);
	const error = await socket.next();
	assert.equal(error.name, 'error');
	assert.equal(error.children[0].name, 'policy-violation');
	assert.match(error.text, /the operator of this gateway has ended the session/);
	assert.equal((await socket.next()).name, 'close');
	assert.equal((await stage.doab.logged('session-closed', { client: '198.51.100.3' })).reason, 'kicked');
	await stage.doab.logged('session-kicked', { session: ended });

	const waiting = bosh.request();
	const named = `${sessions.find(({ client }) => client === '198.51.100.4').session}@198.51.100.4`;
	assert.equal((await runDoab('--config', configFile(), '--kick', named)).code, 0);
	const { element, text } = await waiting;
	assert.equal(element.attributes.type, 'terminate');
	assert.equal(element.attributes.condition, 'policy-violation');
	assert.match(text, /the operator of this gateway has ended the session/);

	const again = await runDoab('--config', configFile(), '--kick', named);
	assert.equal(again.code, 1);
	assert.equal(again.stderr, 'doab: There is no such session.\n');
});

test('`doab --status` in a terminal, and what it says when nobody answers', TIMEOUT, async () => {
	const status = await runDoab('--config', configFile(), '--status');
	assert.equal(status.code, 0, status.stderr);
	assert.match(status.stdout, /^Doab .*\n\nProcess\n  health +ok\n/);
	assert.match(status.stdout, /\n  domain-refused .* this gateway does not serve that domain\n/);
	assert.match(status.stdout, /\nWorkers\n  0 .*\n  1 .*\n$/);
	const file = path.join(folder, 'other.conf');
	writeFileSync(file, configText({ admin: `127.0.0.1:${await freePort()}` }));
	const nobody = await runDoab('--config', file, '--status');
	assert.equal(nobody.code, 2);
	assert.match(nobody.stderr, /^doab: 127\.0\.0\.1:\d+: Connection refused\n$/);
	const without = await runDoab('--status');
	assert.equal(without.code, 2);
	assert.match(without.stderr, /the configuration has no `admin`/);
	writeFileSync(file, configText({ admin: `127.0.0.1:${stage.port}`, listen: ['127.0.0.1:1'] }));
	assert.equal((await runDoab('--config', file, '--status')).code, 1, 'the public port knows no status');
});

test('the public port serves none of it, and the admin port nothing else', TIMEOUT, async () => {
	for (const target of ['/metrics', '/healthz', '/readyz', '/status', '/sessions', '/status.js', '/kick?session=x']) {
		assert.equal((await get(target, {}, stage.port)).status, 404, target);
		assert.equal((await httpRequest(stage.port, 'POST', target, { body: '' })).status, 404, target);
	}
	for (const target of ['/http-bind', '/xmpp-websocket', '/crossdomain.xml', '/nothing']) {
		assert.equal((await get(target)).status, 404, target);
	}
});

test('methods, and web pages that ask through the operator\'s browser', TIMEOUT, async () => {
	const post = (target, headers = {}) => httpRequest(admin, 'POST', target, { headers, body: 'x' });
	assert.equal((await post('/status')).status, 405);
	assert.equal((await get('/kick?session=x')).status, 405);
	assert.equal((await post('/kick')).status, 400);
	assert.equal((await post('/kick?session=x&client=nobody')).status, 400);
	assert.equal((await post('/kick?session=x')).status, 404);
	assert.equal((await post('/kick?session=x', { Origin: 'https://evil.example' })).status, 403);
	for (const host of ['evil.example', 'evil.example:5281', 'localhost.evil.example', '[evil', '1.2.3.4.evil.example']) {
		for (const target of ['/status', '/sessions']) {
			assert.equal((await get(target, { Host: host })).status, 403, host);
		}
		assert.equal((await post('/kick?session=x', { Host: host })).status, 403, host);
		assert.equal((await get('/metrics', { Host: host })).status, 200, 'names no client');
	}
	for (const host of ['localhost', 'LOCALHOST:5281', '127.0.0.1', '192.0.2.1:1', '[::1]', '[::1]:5281']) {
		assert.equal((await get('/sessions', { Host: host })).status, 200, host);
	}
	const page = await get('/', { Accept: 'text/html,*/*' });
	assert.match(page.headers['content-type'], /^text\/html/);
	assert.match(page.headers['content-security-policy'], /default-src 'none'/);
	assert.equal((await httpRequest(admin, 'HEAD', '/healthz')).status, 200);
});

test('a socket in the file system, which goes with the gateway', TIMEOUT, async () => {
	const socket = path.join(folder, 'admin.socket');
	const other = await Stage.open({}, { admin: socket });
	try {
		assert.equal(statSync(socket).mode & 0o777, 0o660);
		const file = path.join(other.doab.folder, 'doab.conf');
		const status = await runDoab('--config', file, '--status');
		assert.equal(status.code, 0, status.stderr);
		assert.match(status.stdout, /health +ok/);
	} finally {
		await other.stop();
	}
	assert.ok(!existsSync(socket));
});

test('an address that others may reach is worth a warning, loopback is not', TIMEOUT, async () => {
	const other = await Stage.open({}, { admin: `0.0.0.0:${await freePort()}` });
	await other.doab.logged('admin-exposed', { level: 'warning' });
	await other.stop();
	assert.ok(!stage.doab.events.some(({ event }) => event === 'admin-exposed'));
});

test('a file that is no socket is not replaced: the gateway does not start', TIMEOUT, async () => {
	const place = path.join(folder, 'precious');
	writeFileSync(place, 'text');
	await assert.rejects(Stage.open({}, { admin: place }), /event=admin-failed address=\S+precious error="File exists"/);
	assert.equal(statSync(place).size, 4);
});

test('the configuration: its number, and whether the last reload succeeded', TIMEOUT, async () => {
	const port = await freePort();
	const other = await Stage.open({}, { admin: `127.0.0.1:${port}` });
	try {
		const file = path.join(other.doab.folder, 'doab.conf');
		const right = readFileSync(file, 'utf8');
		const values = async () => {
			const { text } = await get('/metrics', {}, port);
			return ['generation', 'success', 'reloads_failed_total'].map((name) => Number(new RegExp(`^doab_config_${name} (.*)$`, 'm').exec(text)[1]));
		};
		const reload = async (text, expected) => {
			writeFileSync(file, text);
			other.doab.child.kill('SIGHUP');
			await until(async () => JSON.stringify(await values()) === JSON.stringify(expected), 15000, `${expected}`);
		};
		assert.deepEqual(await values(), [1, 1, 0]);
		await reload(`${right}\nwait = x\n`, [1, 0, 1]);
		await reload(`${right}\nmax_sessions = 77\n`, [2, 1, 1]);
		assert.match((await get('/metrics', {}, port)).text, /^doab_sessions_max 77$/m);
	} finally {
		await other.stop();
	}
});

test('health: 503 while the gateway drains', TIMEOUT, async () => {
	const port = await freePort();
	const other = await Stage.open({ plain: 'plain' }, { admin: `127.0.0.1:${port}` });
	// A client that does not read its last answer keeps the gateway for its grace time.
	const socket = await openWebSocket(other.port);
	await socket.login('plain.test');
	socket.answersPings = false;
	await until(async () => (await get('/readyz', {}, port)).status === 200, 15000, 'a healthy gateway');
	const connection = await HttpConnection.open(port);
	const ended = other.stop();
	let answer;
	await until(async () => {
		answer = await connection.request('GET', '/healthz');
		return answer.status !== 200;
	}, 15000, '503');
	assert.equal(answer.status, 503);
	assert.match(answer.text, /draining/);
	connection.close();
	socket.drop();
	await ended;
});

test('connections that say nothing do not keep others out for ever, and many at once are refused, not served slowly', TIMEOUT, async () => {
	const idle = [];
	for (let i = 0; i < 40; i++) {
		idle.push(net.connect({ port: admin, host: '127.0.0.1' }).on('error', () => {}));
	}
	try {
		await until(() => get('/healthz').then(({ status }) => status === 200, () => false), 30000, 'an answer in spite of them');
	} finally {
		idle.forEach((socket) => socket.destroy());
	}
});
