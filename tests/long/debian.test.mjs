// The Debian package: built, judged by lintian, and installed in a Debian of its own that runs systemd.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chroot, withoutChroot } from '../support/chroot.mjs';
import { without } from '../support/installed.mjs';
import { patiently, removeFolder, run, stopAll, temporaryFolder, until } from '../support/util.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MINUTES = 60 * 1000;
const TIMEOUT = { timeout: patiently(10 * MINUTES), skip: await without('dpkg-buildpackage') ?? await without('dh') };
// What the package depends on, and what the tests in it need.
const PACKAGES = ['systemd', 'systemd-sysv', 'procps', 'curl', 'ca-certificates', 'libc-ares2', 'libexpat1', 'libidn2-0',
	'libmicrohttpd12', 'libseccomp2', 'libssl3', 'libuv1', 'zlib1g'];
const PAGE = 'curl --silent --fail http://127.0.0.1:5280/ | grep -q "<title>"';
let folder;
let packages;
let chroot;

before(async () => {
	folder = temporaryFolder('package');
	if (TIMEOUT.skip) {
		return;
	}
	packages = path.join(folder, 'built');
	const { code, stdout, stderr } = await run('sh', [path.join(ROOT, 'conf/package.sh'), '--folder', packages],
		{ patience: 10 * MINUTES, env: { ...process.env, DEB_BUILD_OPTIONS: 'nocheck' } });
	assert.equal(code, 0, `${stdout.slice(-4000)}${stderr.slice(-4000)}`);
});
after(async () => {
	await stopAll(chroot);
	removeFolder(folder);
});

const built = (suffix) => readdirSync(packages).filter((name) => name.endsWith(suffix)).map((name) => path.join(packages, name));
const inFolder = (name) => `/srv/${name}`;

test('lintian finds no fault', { ...TIMEOUT, skip: TIMEOUT.skip ?? await without('lintian') }, async () => {
	assert.equal(built('.deb').length, 2, 'the package, and its debug symbols');
	const { code, stdout, stderr } = await run('lintian', ['--allow-root', '--fail-on', 'error,warning', ...built('.changes')], { patience: 5 * MINUTES });
	assert.equal(code, 0, stdout + stderr);
	assert.doesNotMatch(stdout, /^[EW]:/m);
});

test('it installs, serves, reloads, is upgraded, and goes', { ...TIMEOUT, skip: TIMEOUT.skip ?? await withoutChroot() }, async () => {
	chroot = await Chroot.make('bookworm', PACKAGES);
	mkdirSync(path.join(chroot.root, 'srv/tests'));
	await chroot.copy(built('_amd64.deb').filter((name) => !name.includes('dbgsym')), '/srv/doab.deb');
	await chroot.copy([path.join(ROOT, 'conf/debian/tests/serves')], '/srv/tests');
	await chroot.boot();
	await chroot.runInside(`dpkg -i ${inFolder('doab.deb')}`);
	await chroot.runInside('systemctl is-active doab.service && systemctl is-enabled doab.service || { journalctl -u doab.service; exit 1; }');
	assert.equal((await chroot.tryInside('systemctl is-enabled doab.socket')).stdout.trim(), 'disabled');
	await chroot.runInside(PAGE);
	assert.doesNotMatch(await chroot.runInside('ps -o user= -C doab'), /root/);

	await chroot.runInside(`echo 'log_level = "debug"' >>/etc/doab/doab.conf && systemctl reload doab.service && ${PAGE}`);
	// The journal has a line a moment after it was written.
	const said = (pattern) => until(async () => pattern.test(await chroot.runInside('journalctl -u doab.service')), 10000, `${pattern} in the journal`);
	await said(/reload/);
	const main = await chroot.runInside('systemctl show --property=MainPID doab.service');
	await chroot.runInside(`dpkg -i --force-confold ${inFolder('doab.deb')}`);
	await said(/event=upgraded/);
	assert.equal(await chroot.runInside('systemctl show --property=MainPID doab.service'), main);
	await chroot.runInside(PAGE);
	await chroot.runInside('sh /srv/tests/serves');

	await chroot.runInside('systemctl stop doab.service && systemctl start doab.socket && curl --silent --fail --output /dev/null http://127.0.0.1:5280/');
	await chroot.runInside('systemctl is-active doab.service && systemctl stop doab.socket doab.service');

	await chroot.runInside('systemctl start doab.service && dpkg -r doab');
	assert.notEqual((await chroot.tryInside('systemctl is-active doab.service')).code, 0);
	await chroot.runInside('test ! -e /usr/bin/doab && test -e /etc/doab/doab.conf && dpkg -P doab && test ! -e /etc/doab');
	assert.equal(await chroot.runInside('systemctl --failed --no-legend'), '');
});
