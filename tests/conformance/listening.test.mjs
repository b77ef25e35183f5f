// Who may listen where: what cannot be had is an error that names it, and nothing else is said to be listened on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BINARY, Doab, configText, parseLogLine, runDoab } from '../support/doab.mjs';
import { HttpConnection, httpRequest } from '../support/http.mjs';
import { UNSHARE, whyNoNamespaces } from '../support/namespaces.mjs';
import { freePort, patiently, removeFolder, run, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const NOBODY = 65534;
const isRoot = process.getuid() === 0;
let folder;

before(() => {
	folder = temporaryFolder('listening');
	chmodSync(folder, 0o755); // for the ordinary user below
});
after(() => removeFolder(folder));

const configOf = (doab) => path.join(doab.folder, 'doab.conf');

function writeConfig(name, config) {
	const file = path.join(folder, `${name}.conf`);
	writeFileSync(file, configText(config));
	return file;
}

// Asserts that a gateway did not start because of these addresses.
function assertRefused({ code, stderr }, error, ...addresses) {
	const lines = stderr.split('\n').map(parseLogLine);
	assert.ok(typeof code === 'number' && code !== 0 && code !== 99, `status ${code}: ${stderr}`);
	for (const address of addresses) {
		const line = lines.find((one) => one.event === 'listen-failed' && one.address === address);
		assert.ok(line, `${address} is not named: ${stderr}`);
		assert.equal(line.level, 'error');
		assert.match(line.error, error);
	}
	assert.ok(lines.every(({ event }) => event !== 'listening' && event !== 'ready'), stderr);
}

const serves = async (port) => assert.equal((await httpRequest(port, 'GET', '/')).status, 200);

for (const workers of [1, 3]) {
	test(`a second instance is refused, and the first goes on: ${workers} workers`, TIMEOUT, async () => {
		const first = await Doab.start({ workers });
		try {
			assertRefused(await runDoab('--config', configOf(first)), /in use/i, `127.0.0.1:${first.port}`);
			const all = writeConfig('all', { listen: [`0.0.0.0:${first.port}`], workers: 2 });
			assertRefused(await runDoab('--config', all), /in use/i, `0.0.0.0:${first.port}`);
			// More connections than would all have gone to the same one of the two.
			for (let i = 0; i < 20; i++) {
				await serves(first.port);
			}
		} finally {
			await first.stop();
		}
	});
}

test('of several instances that start at once one comes up', TIMEOUT, async () => {
	for (let round = 0; round < 3; round++) {
		const port = await freePort();
		const config = { listen: [`127.0.0.1:${port}`], workers: 2 };
		const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => Doab.start(config)));
		const started = outcomes.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
		try {
			assert.equal(started.length, 1);
			for (const { reason } of outcomes.filter(({ status }) => status === 'rejected')) {
				assert.match(reason.message, /event=listen-failed.*in use/);
			}
			await serves(port);
		} finally {
			await Promise.all(started.map((doab) => doab.stop()));
		}
	}
});

test('a restart does not wait for the connections of the process before', TIMEOUT, async () => {
	const port = await freePort();
	const config = { listen: [`127.0.0.1:${port}`], workers: 2 };
	const held = [];
	for (let i = 0; i < 3; i++) {
		const doab = await Doab.start(config);
		for (let j = 0; j < 5; j++) {
			await serves(port); // closed by the gateway: TIME_WAIT at its port
			const connection = await HttpConnection.open(port);
			await connection.request('GET', '/');
			held.push(connection); // half closed, for the client does not answer the end
		}
		await doab.stop();
	}
	held.forEach((connection) => connection.close());
});

test('a port that another program has', TIMEOUT, async () => {
	const other = net.createServer();
	const port = await freePort();
	await new Promise((resolve) => other.listen(port, '127.0.0.1', resolve));
	const free = await freePort();
	const file = writeConfig('taken', { listen: [`127.0.0.1:${free}`, `127.0.0.1:${port}`], workers: 2 });
	assertRefused(await runDoab('--config', file), /in use/i, `127.0.0.1:${port}`);
	other.close();
});

test('addresses that are not of this machine: each is named', TIMEOUT, async () => {
	const port = await freePort();
	const strange = [`192.0.2.1:${port}`, `[2001:db8::1]:${port}`];
	const file = writeConfig('strange', { listen: [`127.0.0.1:${port}`, ...strange], workers: 2 });
	assertRefused(await runDoab('--config', file), /cannot assign|not supported/i, ...strange);
});

// Why the program cannot be run by an ordinary user: of root's folders, for instance.
function whyNotNobody() {
	if (!isRoot) {
		return undefined;
	}
	try {
		execFileSync('setpriv', ['--reuid', String(NOBODY), '--clear-groups', BINARY, '--version'], { stdio: 'pipe' });
	} catch (error) {
		return `user ${NOBODY} cannot run the program here: ${String(error.stderr ?? error.message).trim()}`;
	}
	return undefined;
}

const inside = (script) => run('unshare', [...UNSHARE, 'sh', '-c', script]);

test('a privileged port, by an ordinary user', TIMEOUT, async (t) => {
	const reason = whyNotNobody() ?? whyNoNamespaces();
	if (reason) {
		t.skip(reason);
		return;
	}
	const file = writeConfig('privileged', { listen: ['127.0.0.1:81'], workers: 1 });
	// In the namespace an ordinary user is root, and has to give up what that means.
	const drop = `setpriv ${isRoot ? `--reuid ${NOBODY} --clear-groups` : '--bounding-set=-all'} --inh-caps=-all`;
	const prepare = 'ip link set lo up; echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start;';
	const result = await inside(`${prepare} exec ${drop} ${BINARY} --config ${file}`);
	assertRefused(result, /permission denied/i, '127.0.0.1:81');
	assert.match(result.stderr, /CAP_NET_BIND_SERVICE/);
});

// The lines of a gateway that is ended as soon as it is ready, in a network without IPv6.
async function withoutIpv6(args) {
	const log = path.join(folder, 'log');
	const { stderr } = await inside(`
		ip link set lo up
		echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		# Before the gateway starts: the log of the run before says that it is ready.
		: >${log}
		${BINARY} ${args} 2>>${log} &
		for i in $(seq 300); do
			grep -q 'event=ready' ${log} || ! kill -0 $! 2>/dev/null && break
			sleep 0.1
		done
		kill -TERM $! 2>/dev/null
		wait $!
		echo "code=$?" >>${log}
		cat ${log} >&2`);
	return stderr.split('\n').map(parseLogLine);
}

test('without IPv6 the built-in default starts with what there is, and a configured address does not', TIMEOUT, async (t) => {
	const reason = whyNoNamespaces();
	if (reason) {
		t.skip(reason);
		return;
	}
	const lines = await withoutIpv6('');
	assert.deepEqual(lines.filter(({ event }) => event === 'listening').map(({ address }) => address), ['127.0.0.1:5280']);
	assert.equal(lines.find(({ event }) => event === 'listen-skipped').address, '[::1]:5280');
	assert.ok(lines.some(({ event }) => event === 'ready'));
	assert.ok(lines.some(({ code }) => code === '0'));

	const file = writeConfig('both', { listen: ['127.0.0.1:5280', '[::1]:5280'], workers: 2 });
	const refused = await withoutIpv6(`--config ${file}`);
	assert.equal(refused.find(({ event }) => event === 'listen-failed').address, '[::1]:5280');
	assert.ok(refused.every(({ event }) => event !== 'listening' && event !== 'ready'));
	assert.ok(refused.some(({ code }) => code === '1'));
});
