// conf/build.sh builds, whatever state the folder is in. It builds a small project here, laid out like this one; `cc` and
// `pkg-config` are wrappers, so that the compiler and the packages can change.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patiently, removeFolder, run, temporaryFolder } from '../support/util.mjs';

const SCRIPT = fileURLToPath(new URL('../../conf/build.sh', import.meta.url));
const RELEASE = '--buildtype=release';
const TIMEOUT = { timeout: patiently(60000) };
const PROJECT = {
	'meson.build': "project('small', 'c')\nsubdir('gateway')\nsubdir('tests')\n",
	'gateway/meson.build': "executable('doab', 'main.c')\n",
	'gateway/main.c': 'int main(void) { return 0; }\n',
	'tests/meson.build': "cmocka = dependency('cmocka', required: false)\nif cmocka.found()\n  executable('small-test', '../gateway/main.c')\nendif\n",
};
const PROGRAM = 'build/gateway/doab';
let folder;
let checkout;

function script(name, text) {
	writeFileSync(path.join(folder, 'bin', name), `#!/bin/sh\n${text}\n`);
	chmodSync(path.join(folder, 'bin', name), 0o755);
}

const inCheckout = (name) => path.join(checkout, name);

function setCompiler(version) {
	writeFileSync(path.join(folder, 'cc-version'), `cc (Debian) ${version}\nCopyright (C) Free Software Foundation, Inc.\n`);
}

before(() => {
	folder = temporaryFolder('build');
	checkout = path.join(folder, 'checkout');
	for (const [name, text] of Object.entries(PROJECT)) {
		mkdirSync(path.dirname(inCheckout(name)), { recursive: true });
		writeFileSync(inCheckout(name), text);
	}
	mkdirSync(inCheckout('conf'));
	copyFileSync(SCRIPT, inCheckout('conf/build.sh'));
	mkdirSync(path.join(folder, 'bin'));
	script('cc', `case $1 in --version) cat '${folder}/cc-version';; *) exec /usr/bin/cc "$@";; esac`);
	script('pkg-config', `for word; do case $word in cmocka) [ -f '${folder}/cmocka' ] || exit 1;; esac; done; exec /usr/bin/pkg-config "$@"`);
	script('cmake', 'exit 1'); // by which meson looks for what pkg-config does not know
	setCompiler('12.0.0');
});
after(() => removeFolder(folder));

function build(...options) {
	return run('sh', [inCheckout('conf/build.sh'), ...options],
		{ env: { ...process.env, CC: 'cc', PATH: `${folder}/bin:${process.env.PATH}` } });
}

async function option(name) {
	const { stdout } = await run('meson', ['introspect', '--buildoptions', inCheckout('build')]);
	return JSON.parse(stdout).find((one) => one.name === name).value;
}

// Builds, and says whether it was configured for that.
async function assertBuilds(options, isConfigured, what) {
	const { code, stdout, stderr } = await build(...options);
	assert.equal(code, 0, `${what}:\n${stdout}\n${stderr}`);
	assert.ok(existsSync(inCheckout(PROGRAM)), what);
	assert.equal(/The Meson build system/.test(stdout), isConfigured, `${what}:\n${stdout}`);
	return stdout;
}

test('from nothing; again, when nothing is left to do; with other options', TIMEOUT, async () => {
	await assertBuilds([], true, 'from nothing');
	const before_ = statSync(inCheckout(PROGRAM)).mtimeMs;
	assert.match(await assertBuilds([], false, 'again'), /no work to do/);
	assert.equal(statSync(inCheckout(PROGRAM)).mtimeMs, before_);
	await assertBuilds([RELEASE], true, 'with an option');
	assert.equal(await option('buildtype'), 'release');
	await assertBuilds([RELEASE], false, 'with the same option');
});

test('a package that is installed, or removed, and another version of the compiler', TIMEOUT, async () => {
	const hasTests = () => readFileSync(inCheckout('build/build.ninja'), 'utf8').includes('small-test');
	writeFileSync(path.join(folder, 'cmocka'), '');
	await assertBuilds([RELEASE], true, 'cmocka has been installed');
	assert.ok(hasTests());
	rmSync(path.join(folder, 'cmocka'));
	await assertBuilds([RELEASE], true, 'cmocka has been removed');
	assert.ok(!hasTests());
	setCompiler('13.0.0');
	await assertBuilds([RELEASE], true, 'another compiler');
});

test('a configuration that is not complete', TIMEOUT, async () => {
	for (const [what, spoil] of [
		['without meson\'s data', () => rmSync(inCheckout('build/meson-private/coredata.dat'))],
		// Nothing is known of it.
		['made without the script', () => rmSync(inCheckout('build/configured-for'))],
		['a part of build.ninja that ninja takes for the whole', () => {
			const text = readFileSync(inCheckout('build/build.ninja'), 'utf8');
			writeFileSync(inCheckout('build/build.ninja'), text.slice(0, text.indexOf('\nbuild ') + 1));
		}],
		['a folder with other things in it', () => {
			rmSync(inCheckout('build'), { recursive: true });
			mkdirSync(inCheckout('build/demo'), { recursive: true });
			writeFileSync(inCheckout('build/demo/kept'), '');
		}],
	]) {
		spoil();
		await assertBuilds([RELEASE], true, what);
	}
	assert.ok(existsSync(inCheckout('build/demo/kept')), 'what is not of the build is left alone');
});

// Root may write everything, so there the script runs as another user.
function buildAsUser() {
	const user = process.getuid() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : ['env'];
	return run(user[0], [...user.slice(1), 'sh', inCheckout('conf/build.sh'), RELEASE],
		{ env: { ...process.env, HOME: folder, CC: 'cc', PATH: `${folder}/bin:${process.env.PATH}` } });
}

test('what root has left in the folder: the log of an installation is no obstacle, anything else is named', TIMEOUT, async () => {
	await assertBuilds([RELEASE], false, 'before');
	if (process.getuid() === 0) {
		await run('chown', ['-R', '65534:65534', folder]);
	}
	const leave = (name) => {
		writeFileSync(inCheckout(name), '');
		chmodSync(inCheckout(name), 0o444);
	};
	leave('build/meson-logs/install-log.txt');
	const { code, stdout, stderr } = await buildAsUser();
	assert.equal(code, 0, `${stdout}\n${stderr}`);
	leave('build/of-root');
	const refused = await buildAsUser();
	assert.equal(refused.code, 1, refused.stdout);
	assert.match(refused.stderr, /may not write; another user has built there/);
	rmSync(inCheckout('build/of-root'));
	if (process.getuid() === 0) {
		await run('chown', ['-R', '0:0', folder]);
	}
});

test('a copy of a checkout, with its build folder, whose original is gone', TIMEOUT, async () => {
	const copy = path.join(folder, 'copy');
	renameSync(checkout, copy);
	checkout = copy;
	await assertBuilds([RELEASE], true, 'moved');
	await assertBuilds([RELEASE], false, 'moved, again');
});
