// The configuration as a whole: --dump, files that include others, and what documents each key.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority } from '../support/certificates.mjs';
import { runDoab } from '../support/doab.mjs';
import { patiently, removeFolder, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const inConf = (name) => fileURLToPath(new URL(`../../conf/${name}`, import.meta.url));
let folder;
let tls;

before(() => {
	folder = temporaryFolder('configuration-files');
	tls = new Authority(folder).issue('chat.example', ['chat.example']);
	tls.both = write('both.pem', `${tls.cert}${tls.keyText}`);
});
after(() => removeFolder(folder));

function write(name, text) {
	const file = path.join(folder, name);
	mkdirSync(path.dirname(file), { recursive: true });
	writeFileSync(file, text);
	return file;
}

async function dump(file) {
	const { code, stdout, stderr } = await runDoab(...(file ? ['--config', file] : []), '--dump');
	assert.equal(code, 0, stderr);
	return stdout;
}

// The keys of a text with their values, by section: { '': { wait: '60' }, domain: { tls: '"required"' } }. It must consist of
// settings, sections, comments and blank lines.
function keysOf(text) {
	const found = { '': {} };
	const open = [''];
	for (const line of text.split('\n').map((raw) => raw.trim())) {
		const [, name] = /^([a-z_]+) (?:["'].*["'] )?\{$/.exec(line) ?? [];
		const [, key, value] = /^#?([a-z_]+) = (.*)$/.exec(line) ?? [];
		if (name) {
			open.push(name);
			found[name] = {};
		} else if (line === '}') {
			open.pop();
		} else if (key) {
			assert.ok(!(key in found[open.at(-1)]), `${key} twice`);
			found[open.at(-1)][key] = value;
		} else {
			assert.match(line, /^(#.*)?$/);
		}
	}
	return found;
}

// All keys that there are, with their defaults, as the program tells them.
async function allKeys() {
	const file = write('sections.conf', 'listen = {"127.0.0.1:5280", "[::1]:5280"}\ndomain "a.example" { }\n' +
		`listener "unix:/a" { tls { certificate = "${tls.certificate}" key = "${tls.key}" } }\n`);
	const keys = keysOf(await dump(file));
	Object.assign(keys[''], { include: '{}' });
	Object.assign(keys.tls, { certificate: '""', key: '""' });
	return keys;
}

test('conf/doab.conf has each key with its default, and no other', TIMEOUT, async () => {
	const shipped = readFileSync(inConf('doab.conf'), 'utf8');
	const settings = shipped.split('\n').filter((line) => /^#\t*([a-z_]+ = |[a-z_]+ (?:"[^"]*" )?\{$|\}$)/.test(line))
		.map((line) => line.slice(1)).join('\n');
	assert.deepEqual(keysOf(settings), await allKeys());
	// Nothing but comments and blank lines.
	assert.equal(shipped.replace(/^#.*$/gm, '').trim(), '');
});

test('conf/doab.conf keeps to the form from which the manual is made', TIMEOUT, () => {
	const shipped = readFileSync(inConf('doab.conf'), 'utf8').split('\n');
	const isKey = (line) => /^#\t*[a-z_]+ = /.test(line);
	for (const [index, line] of shipped.entries()) {
		assert.ok([...line].length <= 128, `line ${index + 1} is long`);
		if (isKey(line)) {
			assert.match(shipped[index - 1], /^#((\t+#)? |\t*[a-z_]+ = )/, `what describes line ${index + 1}`);
		}
	}
	assert.equal(shipped.filter((line) => /^# --- [A-Z].* -+$/.test(line)).length, shipped.filter((line) => line.startsWith('# ---')).length);
});

test('the examples in conf/doab.conf are right', TIMEOUT, async () => {
	const examples = readFileSync(inConf('doab.conf'), 'utf8').split('\n')
		.filter((line) => /^#(\t#)? {5}/.test(line) && !line.includes('openssl'));
	assert.ok(examples.length >= 8, `${examples.length}`);
	for (const line of examples) {
		const text = line.replace(/^#(\t#)? +/, '').replaceAll('/etc/doab/tls.pem', tls.both)
			.replaceAll('/etc/doab/example.org.pem', tls.certificate);
		const file = write('example.conf', line.startsWith('#\t') ? `domain "a.example" { ${text} }\n` : `${text}\n`);
		const { code, stderr } = await runDoab('--check', file);
		assert.equal(code, 0, `${text}: ${stderr}`);
	}
});

test('conf/OPERATING.md has each key with its default, and no other', TIMEOUT, async () => {
	const [, chapter] = readFileSync(inConf('OPERATING.md'), 'utf8').split(/^## Configuration$/m);
	const found = { '': {} };
	let section = '';
	for (const line of chapter.split('\n## ')[0].split('\n')) {
		[, section = section] = /^(?:An?|The section) `([a-z_]+) (?:"[^"]*" )?\{ … \}`/.exec(line) ?? [];
		found[section] ??= {};
		// Keys that are described together share a row.
		const [keys, values] = line.split(' | ').map((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, text]) => text));
		if (line.startsWith('| `')) {
			assert.equal(keys.length, values.length, line);
			keys.forEach((key, index) => {
				found[section][key] = values[index];
			});
		}
	}
	assert.deepEqual(found, await allKeys());
});

test('--dump prints a file that reads back to the same', TIMEOUT, async () => {
	const file = write('all.conf', 'wait = 30 # seconds\nbind_address = true\ntrusted_proxies += {"10.0.0.0/8"}\n' +
		'domain "*.example" { tls = direct }\ninclude = "all.d/*.conf"\n');
	write('all.d/1.conf', 'domain "a.example" { deny = true }\nhold = 2\n');
	write('all.d/2.conf', 'hold = 3\ntrusted_proxies += {"::1"}\n');
	const first = await dump(file);
	const keys = keysOf(first);
	assert.equal(keys[''].wait, '30');
	assert.equal(keys[''].hold, '3');
	assert.equal(keys[''].session_bound_to_address, 'true');
	assert.equal(keys[''].trusted_proxies, '{"10.0.0.0/8", "::1"}');
	assert.equal(first.match(/^domain "/gm).length, 2);
	assert.equal(await dump(write('again.conf', first)), first);
});

test('--dump of a file with a mistake prints the mistake alone', TIMEOUT, async () => {
	const { code, stdout, stderr } = await runDoab('--config', write('wrong.conf', '\nwait = 601\n'), '--dump');
	assert.equal(code, 1);
	assert.equal(stdout, '');
	assert.match(stderr, /wrong\.conf:2: wait: /);
});

test('--dump without a file prints the defaults', TIMEOUT, async () => {
	assert.equal(await dump(), await dump(write('empty.conf', '')));
	assert.match(await dump(), /^#listen = /m);
});

test('--check names file and line of each mistake in included files', TIMEOUT, async () => {
	write('parts.d/a.conf', 'domain "a.example" { }\n\nwait = 999\n');
	write('parts.d/b.conf', '\ndomain "a.example" { }\n');
	const file = write('parts.conf', 'include = "parts.d/*.conf"\nlog_levl = "info"\nhold = 1\nhold = 1\n');
	const { code, stderr } = await runDoab('--check', file);
	const at = (name, line) => `${path.join(folder, name)}:${line}`;
	assert.equal(code, 1);
	assert.deepEqual(stderr.trim().split('\n').sort(), [
		`${at('parts.conf', 2)}: unknown key 'log_levl': did you mean 'log_level'?`,
		`${at('parts.conf', 4)}: hold: expected each key once, got it again, after ${at('parts.conf', 3)}`,
		`${at('parts.d/a.conf', 3)}: wait: expected a number from 0 to 600, got 999`,
		`${at('parts.d/b.conf', 2)}: domain: expected each domain once, got 'a.example' again, after ${at('parts.d/a.conf', 1)}`,
	]);
});

test('--check tries the files of a listener together', TIMEOUT, async () => {
	const other = new Authority(folder, 'other').issue('other.example', ['other.example']);
	const section = (certificate, key) => write('listener.conf',
		`listener "127.0.0.1:443" {\n\ttls {\n\t\tcertificate = "${certificate}"\n\t\tkey = "${key}"\n\t}\n}\n`);
	assert.equal((await runDoab('--check', section(tls.certificate, tls.key))).code, 0);
	const { code, stderr } = await runDoab('--check', section(tls.certificate, other.key));
	assert.equal(code, 1);
	assert.match(stderr, /listener\.conf:2: key: expected the PEM private key of the certificate/);
});
