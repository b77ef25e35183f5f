// Debian 13: builds without a warning with its compilers and libraries, and passes the unit tests and some of the others.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chroot, withoutChroot } from '../support/chroot.mjs';
import { patiently, run, stopAll } from '../support/util.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT = { timeout: patiently(10 * 60 * 1000), skip: await withoutChroot() };
const PACKAGES = ['meson', 'ninja-build', 'pkgconf', 'gcc', 'clang', 'libc6-dev', 'libmicrohttpd-dev', 'libssl-dev',
	'libc-ares-dev', 'libexpat1-dev', 'libuv1-dev', 'libidn2-dev', 'libseccomp-dev', 'uthash-dev', 'zlib1g-dev', 'ca-certificates', 'libcmocka-dev', 'nodejs',
	'openssl', 'iproute2'];
// Not dns-faults: it holds answers back for seconds, and c-ares 1.34 shortens its time-outs to what the server usually needs.
const FILES = ['bosh-guard', 'bosh-input', 'bosh-rules', 'bosh-session', 'bosh-streams', 'coding', 'command-line', 'dial', 'dns', 'http', 'http-heads',
	'http-requests', 'http-rules', 'keepalive', 'limits', 'listeners', 'probe', 'proxy-header', 'reload', 'resolver-faults', 'server-ends', 'servers',
	'stream', 'stream-hostile', 'tls', 'tls-floods', 'tls-hostile', 'unread', 'unsent', 'upgrade', 'websocket', 'websocket-deflate', 'websocket-ends',
	'websocket-frames', 'xml-isolation'];
let trixie;

before(async () => {
	if (!TIMEOUT.skip) {
		trixie = await Chroot.make('trixie', PACKAGES);
		mkdirSync(path.join(trixie.root, 'src'));
		const { code, stderr } = await run('sh', ['-c', 'tar -C "$1" --exclude="./build*" --exclude=./.git -ch . | tar -x -C "$2"',
			'sh', ROOT, path.join(trixie.root, 'src')], { patience: 60000 });
		assert.equal(code, 0, stderr);
	}
});
after(() => stopAll(trixie));

for (const compiler of ['gcc', 'clang']) {
	test(`${compiler} has nothing to warn of; the unit tests pass`, TIMEOUT, async () => {
		const folder = `/build-${compiler}`;
		await trixie.run(`cd /src && CC=${compiler} meson setup ${folder} -Dwerror=true && ninja -C ${folder} -j2`);
		await trixie.run(`meson test -C ${folder} --suite unit --num-processes 2 --print-errorlogs`);
	});
}

test('conformance', TIMEOUT, async () => {
	const files = FILES.map((name) => `/src/tests/conformance/${name}.test.mjs`).join(' ');
	await trixie.run(`cd /src && DOAB=/build-gcc/gateway/doab node tests/support/run.mjs --jobs 2 --limit 480 --counts /tmp/counts ${files}`);
});
