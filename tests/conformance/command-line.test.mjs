// The command line and the configuration file.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority } from '../support/certificates.mjs';
import { BINARY, configText, Doab, runDoab } from '../support/doab.mjs';
import { httpRequest } from '../support/http.mjs';
import { freePort, patiently, removeFolder, run, startChild, stopChild, temporaryFolder, until, WITHOUT_IPV6 } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const SHIPPED = fileURLToPath(new URL('../../conf/doab.conf', import.meta.url));
let folder;

before(() => {
	folder = temporaryFolder('configuration');
});
after(() => removeFolder(folder));

async function check(text) {
	const file = path.join(folder, 'test.conf');
	writeFileSync(file, text);
	return { file, ...await runDoab('--check', file) };
}

test('--version prints name and version', TIMEOUT, async () => {
	const { code, stdout, stderr } = await runDoab('--version');
	assert.equal(code, 0);
	assert.match(stdout, /^doab \d+\.\d+(\.\d+)?\n$/);
	assert.equal(stderr, '');
});

test('--help names every option', TIMEOUT, async () => {
	const { code, stdout } = await runDoab('--help');
	assert.equal(code, 0);
	for (const option of ['-c, --config FILE', '    --check FILE', '    --dump', '    --probe DOMAIN', '-V, --version', '-h, --help']) {
		assert.match(stdout, new RegExp(`^  ${option} +[a-z]`, 'm'), option);
	}
});

test('the short forms are those that --help tells', TIMEOUT, async () => {
	for (const [short, long] of [['-V', '--version'], ['-h', '--help']]) {
		assert.deepEqual(await runDoab(short), await runDoab(long));
	}
	for (const option of ['-c', '--config', '--conf']) {
		assert.match((await runDoab(option, path.join(folder, 'nowhere.conf'))).stderr, /nowhere\.conf/, option);
	}
});

test('one action at a time, and once', TIMEOUT, async () => {
	for (const [args, message] of [
		[['--check', SHIPPED, '--probe', 'a.example'], /--check and --probe exclude each other/],
		[['--probe', 'a.example', '--version'], /--probe and --version exclude each other/],
		[['--probe', 'a.example', '--probe', 'b.example'], /--probe is given twice/],
		[['--check', SHIPPED, '--check', SHIPPED], /--check is given twice/],
	]) {
		const { code, stdout, stderr } = await runDoab(...args);
		assert.equal(code, 2, args.join(' '));
		assert.equal(stdout, '');
		assert.match(stderr, message);
	}
	assert.equal((await runDoab('--config', 'nowhere.conf', '--check', SHIPPED)).code, 0, 'the file of --check counts');
});

test('an unknown option, an argument too many, an option without its value', TIMEOUT, async () => {
	for (const args of [['--nonsense'], ['argument'], ['--config'], ['--check']]) {
		const { code, stderr } = await runDoab(...args);
		assert.ok(code !== 0 && typeof code === 'number', `${args}: ${code}`);
		assert.match(stderr, /--help|usage/i);
	}
});

test('--check accepts the file that is shipped, and says so', TIMEOUT, async () => {
	const { code, stderr } = await runDoab('--check', SHIPPED);
	assert.equal(code, 0, stderr);
});

test('--check accepts an empty file: every key has a default', TIMEOUT, async () => {
	assert.equal((await check('')).code, 0);
	assert.equal((await check('# only a comment\n')).code, 0);
});

// Text, the line of the mistake, what has to be named in the message.
const MISTAKES = {
	'an unknown key': ['wait = 60\nno_such_key = 1\n', 2, /no_such_key/],
	'an unknown key in a section': ['domain "a.example" {\n\tnonsense = 1\n}\n', 2, /nonsense/],
	'text where a number belongs': ['\nwait = "soon"\n', 2, /wait|integer|number/],
	'a number below its range': ['wait = -1\n', 1, /wait/],
	'a number above its range': ['hold = 99999\n', 1, /hold/],
	'body_bytes of nothing': ['body_bytes = 0\n', 1, /body_bytes/],
	'a URI that is none': ['see_other_uri = "http://chat.example.org/"\n', 1, /see_other_uri/],
	'a URI with a blank': ['see_other_uri = "https://chat.example.org/ x"\n', 1, /see_other_uri/],
	'max_streams of nothing': ['max_streams = 0\n', 1, /max_streams/],
	'an unknown level': ['\n\nlog_level = "loud"\n', 3, /log_level.*(error|warning|info|debug)/s],
	'a listening address twice': ['listen = {"127.0.0.1:5280", "127.0.0.1:5280"}\n', 1, /listen/],
	'a listening address that is a name': ['listen = {"localhost:5280"}\n', 1, /listen/],
	'a port out of range': ['listen = {"127.0.0.1:70000"}\n', 1, /listen/],
	'no listening address': ['listen = {}\n', undefined, /listen/],
	'a path without a slash': ['bosh_path = "http-bind"\n', 1, /bosh_path/],
	'the same path twice': ['bosh_path = "/x"\nwebsocket_path = "/x"\n', undefined, /path/],
	'an origin that is none': ['allow_origins = {"chat.example.org"}\n', 1, /allow_origins/],
	'an origin with a path': ['allow_origins = {"https://chat.example.org/chat"}\n', 1, /allow_origins/],
	'a network that is none': ['trusted_proxies = {"10.0.0.0/99"}\n', 1, /trusted_proxies/],
	'a resolver that is a name': ['resolvers = {"dns.example"}\n', 1, /resolvers/],
	'an unknown TLS mode': ['domain "a.example" {\n\ttls = "maybe"\n}\n', 2, /tls.*(required|direct|opportunistic|off)/s],
	'a connect host that is none': ['domain "a.example" {\n\tconnect = {"xmpp a example:5222"}\n}\n', 2, /connect/],
	'a domain that is none': ['domain "a b" {\n}\n', undefined, /domain|a b/],
	'a domain twice': ['domain "a.example" {\n}\ndomain "A.example" {\n}\n', undefined, /a\.example/i],
	'a CA file that is not there': ['domain "a.example" {\n\tca_file = "/nonexistent/ca.pem"\n}\n', 2, /ca_file|nonexistent/],
	'a boolean that is none': ['domain "a.example" {\n\tdeny = "perhaps"\n}\n', 2, /deny|boolean/],
	'a section that does not end': ['domain "a.example" {\n\tdeny = true\n', undefined, /./],
	'a string that does not end': ['bosh_path = "/x\n', undefined, /./],
};

for (const [what, [text, line, names]] of Object.entries(MISTAKES)) {
	test(`--check refuses ${what}, with file and line`, TIMEOUT, async () => {
		const { code, file, stdout, stderr } = await check(text);
		assert.ok(code !== 0 && typeof code === 'number' && code !== 99, `status ${code}: ${stdout}${stderr}`);
		assert.equal(stdout, '');
		assert.ok(stderr.includes(line === undefined ? `${file}:` : `${file}:${line}:`), stderr);
		assert.match(stderr, names);
	});
}

test('--check prints every mistake of one run', TIMEOUT, async () => {
	const { code, stderr } = await check('bosh_path = "x"\nlog_level = "loud"\nlisten = {"x"}\n');
	assert.notEqual(code, 0);
	for (const key of ['bosh_path', 'log_level', 'listen']) {
		assert.ok(stderr.includes(key), `${key}: ${stderr}`);
	}
});

test('a file that is not there is said', TIMEOUT, async () => {
	for (const option of ['--check', '--config']) {
		const { code, stderr } = await runDoab(option, path.join(folder, 'nowhere.conf'));
		assert.ok(code !== 0 && code !== 99);
		assert.match(stderr, /nowhere\.conf/);
	}
});

test('--config with a mistake does not start', TIMEOUT, async () => {
	const file = path.join(folder, 'wrong.conf');
	writeFileSync(file, 'wait = "x"\n');
	const { code, stderr } = await runDoab('--config', file);
	assert.ok(code !== 0 && code !== 99);
	assert.match(stderr, /wrong\.conf:1:/);
	assert.doesNotMatch(stderr, /event=ready/);
});

test('a port that is taken is said, and the program ends', TIMEOUT, async () => {
	const port = await freePort();
	const other = net.createServer();
	await new Promise((resolve) => other.listen(port, '127.0.0.1', resolve));
	const file = path.join(folder, 'taken.conf');
	writeFileSync(file, `listen = {"127.0.0.1:${port}"}\nworkers = 2\n`);
	const { code, stderr } = await runDoab('--config', file);
	other.close();
	assert.ok(code !== 0 && code !== 99 && typeof code === 'number', `status ${code}`);
	assert.match(stderr, new RegExp(`${port}`));
	assert.match(stderr, /in use/i);
});

test('several addresses, IPv6 among them', { ...TIMEOUT, skip: WITHOUT_IPV6 }, async () => {
	const second = await freePort('::1');
	const port = await freePort();
	const doab = await Doab.start({ listen: [`127.0.0.1:${port}`, `[::1]:${second}`], workers: 2 });
	try {
		assert.equal((await httpRequest(port, 'GET', '/')).status, 200);
		const socket = net.connect(second, '::1');
		socket.write('GET / HTTP/1.0\r\n\r\n');
		const [first] = await new Promise((resolve) => socket.once('data', (data) => resolve(data.toString().split('\r\n'))));
		assert.match(first, / 200 /);
		socket.destroy();
	} finally {
		await doab.stop();
	}
});

test('event=ready tells the number of workers; SIGINT and SIGTERM end with 0', TIMEOUT, async () => {
	for (const [signal, workers] of [['SIGTERM', 3], ['SIGINT', 1]]) {
		const doab = await Doab.start({ workers });
		assert.equal((await doab.logged('ready')).workers, String(workers));
		await doab.stop(signal);
	}
});

test('without any certificate authority a warning at the start says what to do, where the system\'s are needed', TIMEOUT, async () => {
	const empty = path.join(folder, 'no-authorities');
	mkdirSync(empty);
	const none = { SSL_CERT_FILE: path.join(empty, 'cert.pem'), SSL_CERT_DIR: empty };
	const { certificate } = new Authority(folder);
	const own = { ca_file: certificate };
	for (const [config, env, isWarned] of [
		[{}, none, true],
		[{}, { ...none, SSL_CERT_FILE: certificate }, false],
		[{ domains: { 'a.example': own } }, none, true],
		[{ domains: { 'a.example': own, '*': own } }, none, false],
		[{ domains: { 'a.example': own, '*': { deny: true } } }, none, false],
		[{ domains: { 'a.example': { tls: 'direct' }, '*': { deny: true } } }, none, true],
	]) {
		const doab = await Doab.start(config, { env });
		await doab.stop();
		const warnings = doab.events.filter(({ event }) => event === 'no-authorities');
		assert.equal(warnings.length, Number(isWarned), `${JSON.stringify({ config, env })}:\n${doab.log}`);
		for (const warning of warnings) {
			assert.equal(warning.level, 'warning');
			assert.equal(warning.file, none.SSL_CERT_FILE);
			assert.match(warning.hint, /ca-certificates/);
		}
	}
});

test('log_level hides what is below it', TIMEOUT, async () => {
	const doab = await Doab.start({ log_level: 'info' });
	await httpRequest(doab.port, 'GET', '/');
	await doab.stop();
	assert.ok(doab.events.every(({ level }) => level !== 'debug'));
});

// Each set of standard descriptors that a shell or a supervisor may have closed.
const CLOSED = Array.from({ length: 8 }, (_, set) => ['<&-', '1>&-', '2>&-'].filter((_, fd) => set & 1 << fd).join(' '));

for (const closed of CLOSED) {
	test(`serves and ends in order with these descriptors closed at the start: ${closed || 'none'}`, TIMEOUT, async () => {
		const port = await freePort();
		const file = path.join(folder, 'closed.conf');
		writeFileSync(file, configText({ listen: [`127.0.0.1:${port}`], workers: 2, log_level: 'debug' }));
		const child = startChild('sh', ['-c', `exec "$0" --config "$1" ${closed}`, BINARY, file], { stdio: 'ignore' });
		await until(() => httpRequest(port, 'GET', '/').then(({ status }) => status === 200, () => false), 15000, 'the start');
		// Lines of the log, which must not get into a descriptor of somebody else.
		process.kill(child.pid, 'SIGUSR1');
		assert.equal((await httpRequest(port, 'GET', '/')).status, 200);
		assert.equal(await stopChild(child), 0);
	});
}

test('what cannot be printed is an error', TIMEOUT, async () => {
	const file = path.join(folder, 'nowhere.conf');
	const connect = [`127.0.0.1:${await freePort()}`];
	writeFileSync(file, configText({ domains: { 'nowhere.test': { connect, tls: 'off' } } }));
	for (const [args, expected] of [['--version', 1], ['--help', 1], [`--check ${SHIPPED}`, 1], [`--config ${file} --probe nowhere.test`, 2]]) {
		for (const output of ['1>&-', '1>/dev/full']) {
			const { code, stderr } = await run('sh', ['-c', `exec "$0" ${args} ${output}`, BINARY]);
			assert.equal(code, expected, `${args} ${output}: ${code}`);
			assert.match(stderr, /output: /);
		}
		const { code } = await run('sh', ['-c', `exec "$0" ${args} <&- 1>&- 2>&-`, BINARY]);
		assert.equal(code, expected);
	}
});
