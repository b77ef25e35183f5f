// What `meson install` leaves behind, and what other programs say of it: mandoc, systemd, bash, zsh, hardening-check.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Installed, without } from '../support/installed.mjs';
import { patiently, removeFolder, run, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const EXPOSURE_MAX = 1.5;
const FILES = ['bin/doab', 'etc/doab/doab.conf', 'lib/systemd/system/doab.service', 'lib/systemd/system/doab.socket',
	'share/bash-completion/completions/doab', 'share/doc/doab/CHANGELOG.md', 'share/doc/doab/LICENSE',
	'share/doc/doab/OPERATING.md', 'share/doc/doab/README.md', 'share/doc/doab/examples/doab.conf',
	'share/doc/doab/examples/nginx.conf', 'share/man/man5/doab.conf.5', 'share/man/man8/doab.8', 'share/zsh/site-functions/_doab'];
const PAGES = ['share/man/man8/doab.8', 'share/man/man5/doab.conf.5'];
let installed;
let folder;

before(async () => {
	installed = await Installed.make();
	folder = temporaryFolder('install');
});
after(async () => {
	await stopAll(installed);
	removeFolder(folder);
});

const doab = (...args) => run(installed.path('bin/doab'), args);
// The options that `doab --help` tells: of each its names, and whether it has a value.
async function helpOptions() {
	const { stdout } = await doab('--help');
	const lines = [...stdout.matchAll(/^ {2}(?:(-\w), | {4})(--[\w-]+)(?: ([A-Z]+))? {2,}/gm)];
	return lines.map(([, short, long, value]) => ({ names: [short, long].filter(Boolean), value }));
}

test('each file is in its place, and the program runs', TIMEOUT, async () => {
	const files = installed.files();
	for (const name of FILES) {
		assert.ok(files.includes(name), `${name} is missing:\n${files.join('\n')}`);
	}
	for (const name of files) {
		const mode = statSync(installed.path(name)).mode & 0o777;
		assert.equal(mode, name === 'bin/doab' ? 0o755 : 0o644, name);
	}
	assert.match((await doab('--version')).stdout, /^doab \d/);
	assert.equal((await doab('--check', installed.path('etc/doab/doab.conf'))).code, 0);
});

test('a second installation keeps the configuration', TIMEOUT, async () => {
	appendFileSync(installed.path('etc/doab/doab.conf'), '# mine\n');
	await installed.install();
	assert.match(installed.text('etc/doab/doab.conf'), /# mine\n$/);
	assert.doesNotMatch(installed.text('share/doc/doab/examples/doab.conf'), /# mine\n$/);
});

for (const page of PAGES) {
	test(`${path.basename(page)} is a page without faults`, { ...TIMEOUT, skip: await without('mandoc') }, async () => {
		const { code, stdout } = await run('mandoc', ['-T', 'lint', '-W', 'style', installed.path(page)]);
		assert.equal(code, 0, stdout);
		assert.equal(stdout, '');
	});
}

test('doab(8) has the options of --help, and no others', TIMEOUT, async () => {
	const options = await helpOptions();
	assert.ok(options.length >= 5);
	const section = /^\.SH OPTIONS\n([^]*?)^\.SH /m.exec(installed.text('share/man/man8/doab.8'))[1];
	const tags = [...section.matchAll(/^\.TP\n(.*)$/gm)].map(([, tag]) => tag.replace(/\\f[BIR]/g, '').replaceAll('\\-', '-'));
	assert.deepEqual(tags, options.map(({ names, value }) => names.join(', ') + (value ? ` ${value}` : '')));
});

test('doab.conf(5) has every key of the file that is shipped', TIMEOUT, async () => {
	const page = installed.text('share/man/man5/doab.conf.5');
	const keys = [...installed.text('share/doc/doab/examples/doab.conf').matchAll(/^#\t?([a-z_]+) = /gm)].map(([, key]) => key);
	assert.ok(keys.length > 40);
	for (const key of keys) {
		assert.ok(page.includes(`\n\\fB${key}\\fR = `), key);
	}
});

// What bash offers for the words @words, the last of which is being typed.
async function bashOffers(...words) {
	const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _doab; printf '%s\\n' "\${COMPREPLY[@]}"`;
	const { code, stdout, stderr } = await run('bash', ['-c', script, 'bash', installed.path('share/bash-completion/completions/doab'), ...words]);
	assert.equal(code, 0, stderr);
	return stdout.split('\n').filter(Boolean).sort();
}

test('bash completes the options of --help, and files', { ...TIMEOUT, skip: await without('bash') }, async () => {
	const options = await helpOptions();
	assert.deepEqual(await bashOffers('doab', ''), options.flatMap(({ names }) => names).sort());
	assert.deepEqual(await bashOffers('doab', '--chec'), ['--check']);
	const prefix = path.join(folder, 'bash');
	writeFileSync(`${prefix} one.conf`, '');
	writeFileSync(`${prefix}-two.conf`, '');
	for (const { names, value } of options.filter((option) => option.value)) {
		const expected = value === 'FILE' ? [`${prefix} one.conf`, `${prefix}-two.conf`] : [];
		for (const name of names) {
			assert.deepEqual(await bashOffers('doab', name, prefix), expected, name);
		}
		assert.deepEqual(await bashOffers('doab', names.at(-1), '=', prefix), expected, `${names.at(-1)}=`);
	}
});

// What zsh shows for @line, a TAB and a RETURN, in a shell of its own on a pseudo-terminal. Instead of the program there is a
// function that prints its arguments.
async function zshShows(line) {
	const script = `
		zmodload zsh/zpty
		zpty z zsh -f -i
		zpty -w z "PS1= fpath=(\${(q)1} \\$fpath); autoload -U compinit; compinit -u -d \${(q)2}; stty cols 400; doab() { print -r -- 'AR''GS' \\$*; }; print RE''ADY"
		while zpty -r z text; do [[ $text == *READY* ]] && break; done
		zpty -w z "$3"$'\\t'
		while zpty -r z text; do print -r -- $text; [[ $text == *ARGS* ]] && break; done
		zpty -d z`;
	const { code, stdout, stderr } = await run('zsh', ['-f', '-c', script, 'zsh',
		path.dirname(installed.path('share/zsh/site-functions/_doab')), path.join(folder, 'zcompdump'), line], { cwd: folder });
	assert.equal(code, 0, stderr);
	return stdout;
}

test('zsh completes the options of --help, and files', { ...TIMEOUT, skip: await without('zsh') }, async () => {
	const shown = await zshShows('doab -');
	for (const { names } of await helpOptions()) {
		for (const name of names) {
			assert.ok(shown.includes(name), `${name}: ${shown}`);
		}
	}
	mkdirSync(path.join(folder, 'etc'), { recursive: true });
	writeFileSync(path.join(folder, 'etc', 'only.conf'), '');
	assert.match(await zshShows('doab --check etc/on'), /ARGS --check etc\/only\.conf/);
	assert.match(await zshShows('doab --config=etc/on'), /ARGS --config=etc\/only\.conf/);
	assert.match(await zshShows('doab --vers'), /ARGS --version/);
});

test('systemd reads the units, and finds the service well confined', { ...TIMEOUT, skip: await without('systemd-analyze') }, async () => {
	const units = ['doab.service', 'doab.socket'].map((name) => {
		const text = installed.text(`lib/systemd/system/${name}`);
		assert.doesNotMatch(text, /@[A-Z]+@/);
		writeFileSync(path.join(folder, name), text.replace(/^ExecStart=\S+/m, `ExecStart=${installed.path('bin/doab')}`));
		return path.join(folder, name);
	});
	const verified = await run('systemd-analyze', ['verify', '--man=no', ...units]);
	assert.equal(verified.code, 0, verified.stderr);
	assert.equal(verified.stderr, '');
	const { code, stdout, stderr } = await run('systemd-analyze', ['security', '--no-pager', '--offline=true', `--threshold=${EXPOSURE_MAX * 10}`, units[0]]);
	assert.equal(code, 0, stdout + stderr);
	assert.ok(Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)[1]) <= EXPOSURE_MAX, stdout);
});

test('the program has what compilers and linkers do against attacks', { ...TIMEOUT, skip: await without('hardening-check') }, async (t) => {
	if (installed.options.b_sanitize !== 'none' || installed.options.buildtype === 'debug') {
		t.skip('this is not the program as it is built for use');
		return;
	}
	const { code, stdout } = await run('hardening-check', [installed.path('bin/doab')]);
	assert.equal(code, 0, stdout);
	const needed = ['Position Independent Executable', 'Stack protected', 'Fortify Source functions', 'Read-only relocations', 'Immediate binding'];
	for (const what of process.arch === 'x64' ? [...needed, 'Control flow integrity'] : needed) {
		assert.match(stdout, new RegExp(`^ ${what}: yes`, 'm'));
	}
});
