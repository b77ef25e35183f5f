// What operators load beside the gateway, in the real programs: Prometheus with the example, the alert rules and all that the Grafana
// board asks; fail2ban with the filter and the jail, on real logs of all forms.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BoshClient } from '../support/bosh.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { linesOf, runLogging, startSyslog } from '../support/logging.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, run, startChild, stopAll, stopChild, tellWhenFailed, temporaryFolder, until } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';
import { XmppServer } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(90000) };
const CONF = fileURLToPath(new URL('../../conf/', import.meta.url));
const MESSAGE = '<message xmlns=\'jabber:client\' to=\'echo\'><body>0123456789</body></message>';
let folder;

before(() => {
	folder = temporaryFolder('monitoring');
});
after(() => removeFolder(folder));

async function promtool(...args) {
	const { code, stdout, stderr } = await run('promtool', args, { cwd: path.join(CONF, 'prometheus') });
	assert.equal(code, 0, stdout + stderr);
}

test('promtool: the rules, the example, and the tests of the rules', TIMEOUT, async () => {
	await promtool('check', 'rules', 'doab.rules.yml');
	await promtool('check', 'config', 'prometheus.yml');
	await promtool('test', 'rules', 'doab.rules.test.yml');
});

// Starts Prometheus with the shipped files, which only read from another port and more often.
async function startPrometheus(target) {
	const place = path.join(folder, 'prometheus');
	mkdirSync(place);
	copyFileSync(path.join(CONF, 'prometheus/doab.rules.yml'), path.join(place, 'doab.rules.yml'));
	const text = readFileSync(path.join(CONF, 'prometheus/prometheus.yml'), 'utf8');
	const config = text.replaceAll('127.0.0.1:5281', target).replaceAll('15s', '1s');
	assert.ok(config.includes(target) && config.includes('interval: 1s'));
	writeFileSync(path.join(place, 'prometheus.yml'), config);
	const port = await freePort();
	const child = startChild('prometheus', [`--config.file=${place}/prometheus.yml`, `--storage.tsdb.path=${place}/data`,
		`--web.listen-address=127.0.0.1:${port}`], { stdio: ['ignore', 'ignore', 'pipe'] });
	let output = '';
	child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
	tellWhenFailed(() => `What Prometheus said:\n${output}`);
	const get = async (target_) => (await fetch(`http://127.0.0.1:${port}${target_}`)).json();
	return {
		query: (expr) => get(`/api/v1/query?query=${encodeURIComponent(expr)}`),
		rules: () => get('/api/v1/rules'),
		stop: () => stopChild(child, { patience: 30000 }),
	};
}

test('Prometheus reads a gateway; its rules load, and each panel of the Grafana board has an answer', TIMEOUT, async () => {
	const admin = await freePort();
	const stage = await Stage.open({ plain: 'plain' }, { admin: `127.0.0.1:${admin}` });
	let prometheus;
	try {
		prometheus = await startPrometheus(`127.0.0.1:${admin}`);
		const socket = await openWebSocket(stage.port);
		await socket.login('plain.test');
		const is = async (expr, n) => {
			const { data } = await prometheus.query(expr).catch(() => ({}));
			return Number(data?.result[0]?.value[1]) === n;
		};
		await until(() => is('up{job="doab"}', 1), 30000, 'the gateway at Prometheus');
		await until(() => is('sum(doab_sessions{job="doab",transport="websocket",state="online"})', 1), 30000, 'the session');
		socket.send(MESSAGE);
		assert.equal((await socket.next()).name, 'message');
		await new BoshClient(stage.port, { connection: 'fresh' }).create('no domain');
		await until(() => is('sum(increase(doab_failures_total{kind="domain-malformed"}[1m])) > bool 0', 1), 30000, 'the failure');

		const { data } = await prometheus.rules();
		const rules = data.groups.flatMap((group) => group.rules);
		assert.ok(rules.length > 5);
		await until(async () => (await prometheus.rules()).data.groups.every((group) => group.rules.every(({ health }) => health === 'ok')),
			30000, 'the evaluation of the rules');
		const firing = rules.filter(({ state }) => state === 'firing');
		assert.deepEqual(firing.map(({ name }) => name), [], 'nothing is wrong');

		const board = JSON.parse(readFileSync(path.join(CONF, 'grafana/doab.json'), 'utf8'));
		const known = (await httpRequest(admin, 'GET', '/metrics')).text;
		const targets = board.panels.flatMap(({ title, targets: all }) => all.map(({ expr }) => ({ title, expr })));
		assert.ok(targets.length > 15);
		// What this short scene does not bring about: no name is looked up, no TLS is spoken, no limit is reached.
		const MAY_BE_EMPTY = /doab_refusals_total|doab_dns_|doab_tls_|doab_round_trip|doab_dial|doab_session_ready/;
		for (const { title, expr } of [...targets, { title: 'annotation', expr: board.annotations.list[0].expr }]) {
			const asked = expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'doab').replaceAll('$instance', '.*');
			const { status, error, data: found } = await prometheus.query(asked);
			assert.equal(status, 'success', `${title}: ${error}`);
			assert.ok(found.result.length || MAY_BE_EMPTY.test(expr) || title === 'annotation', `${title}: ${asked} has no answer`);
			for (const [name] of expr.matchAll(/\b(doab|process)_\w+/g)) {
				assert.ok(known.includes(`\n${name}{`) || known.includes(`\n${name} `), `${title}: ${name} is no metric`);
			}
		}
		const boxes = board.panels.map(({ gridPos: { x, w } }) => x + w);
		assert.ok(boxes.every((right) => right <= 24), 'the panels are within the board');
		socket.drop();
	} finally {
		await stopAll(stage, ...(prometheus ? [prometheus] : []));
	}
});

// fail2ban.

const FILTER = path.join(CONF, 'fail2ban/filter.d/doab.conf');

// The addresses that the filter finds in @file, with their times.
async function found(file) {
	const { code, stdout, stderr } = await run('fail2ban-regex', ['-o', '<ip> <time>', file, FILTER], { env: { ...process.env, TZ: 'America/New_York' } });
	assert.ok(code === 0 || stdout === '', stdout + stderr);
	return stdout.split('\n').filter(Boolean).map((line) => {
		const [ip, time] = line.split(' ');
		return { ip, time: Number(time) };
	});
}

const CLIENTS = ['198.51.100.7', '2001:db8:7::7'];
const EVIL = 'x level=info event=auth-failed client=203.0.113.1 y","level":"info","event":"auth-failed","client":"203.0.113.1","z":"';

// Fails to log in, and sends what could name somebody else in the log.
async function failToLogIn(port, client) {
	const headers = { 'X-Forwarded-For': client };
	const socket = await openWebSocket(port, { headers });
	await socket.start('login.test');
	socket.send(`<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('juliet', 'wrong')}</auth>`);
	assert.equal((await socket.next()).name, 'failure');
	socket.drop();
	const other = await openWebSocket(port, { headers });
	other.open(EVIL);
	await other.nextMessage();
	other.drop();
}

// What a syslog daemon, or `journalctl`, writes for a message: without the priority, and with the name of the machine.
const asSyslogWrites = (line) => line.replace(/^<\d+>/, '').replace(/ doab\[/, ' machine doab[');

test('fail2ban finds the clients that failed to log in, and nobody else, in each form of the log', TIMEOUT, async () => {
	const server = await XmppServer.start('plain');
	const common = { trusted_proxies: ['127.0.0.1'], domains: { 'login.test': server.section() } };
	const syslog = { socket: path.join(folder, 'syslog.socket'), raw: path.join(folder, 'syslog.raw'), file: path.join(folder, 'syslog') };
	const daemon = await startSyslog(syslog.socket, syslog.raw);
	try {
		for (const format of ['logfmt', 'json']) {
			for (const place of ['file', 'syslog']) {
				const file = place === 'file' ? path.join(folder, `${format}.log`) : syslog.file;
				writeFileSync(syslog.raw, '');
				const started = Math.floor(Date.now() / 1000);
				await runLogging(folder, { ...common, log_format: format, log_to: place === 'file' ? file : `syslog:${syslog.socket}` },
					async ({ port }) => {
						for (const client of CLIENTS) {
							await failToLogIn(port, client);
						}
					});
				if (place === 'syslog') {
					await until(() => linesOf(syslog.raw).some((line) => /stopped/.test(line)), 15000, 'the last message');
					writeFileSync(file, linesOf(syslog.raw).map((line) => `${asSyslogWrites(line)}\n`).join(''));
				}
				const evil = linesOf(file).filter((line) => /203\.0\.113\.1/.test(line));
				assert.equal(evil.length, CLIENTS.length, 'the log has what could mislead');
				const bans = await found(file);
				assert.deepEqual(bans.map(({ ip }) => ip), CLIENTS, `${format} ${place}:\n${linesOf(file).join('\n')}`);
				for (const { time } of bans) {
					// Of a syslog daemon the time has no zone, and is read in that of fail2ban.
					assert.ok(place === 'syslog' || Math.abs(time - started) < 600, `${time} is not about ${started}`);
				}
			}
		}
	} finally {
		await daemon.stop();
		await server.stop();
	}
});

test('fail2ban takes the jail, with its filter', TIMEOUT, async () => {
	const place = path.join(folder, 'fail2ban');
	cpSync('/etc/fail2ban', place, { recursive: true });
	rmSync(path.join(place, 'jail.d'), { recursive: true });
	for (const part of ['filter.d', 'jail.d']) {
		mkdirSync(path.join(place, part), { recursive: true });
		copyFileSync(path.join(CONF, `fail2ban/${part}/doab.conf`), path.join(place, `${part}/doab.conf`));
	}
	const log = path.join(folder, 'logfmt.log');
	const jail = path.join(place, 'jail.d/doab.conf');
	writeFileSync(jail, readFileSync(jail, 'utf8').replace(/^logpath .*$/m, `logpath = ${log}`));
	const { code, stdout, stderr } = await run('fail2ban-client', ['-c', place, '--dp']);
	assert.equal(code, 0, stdout + stderr);
	assert.match(stdout, /\['add', 'doab', 'auto'\]/);
	assert.match(stdout, new RegExp(`'addlogpath', '${log}'`));
	assert.match(stdout, /'maxretry', 10\]/);
	assert.match(stdout, /auth-failed client=/);
});
