// conf/Containerfile, without a container engine: its steps are carried out in a Debian made by debootstrap, and the image is
// started as its last lines say, as its user, with nothing else in its file system.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chroot, withoutChroot } from '../support/chroot.mjs';
import { patiently, run, startChild, stopAll, stopChild, until } from '../support/util.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MEGABYTES_MAX = 80;
const TIMEOUT = { timeout: patiently(10 * 60 * 1000), skip: await withoutChroot() };
let debian;
let child;

after(async () => {
	if (child) {
		await stopChild(child, { signal: 'SIGKILL' });
	}
	await stopAll(debian);
});

// The stages: of each what it is made from, its steps in order, and its last USER, ENTRYPOINT, CMD and HEALTHCHECK.
function stages() {
	const text = readFileSync(path.join(ROOT, 'conf/Containerfile'), 'utf8').replace(/\\\n\s*/g, '');
	const found = [];
	for (const line of text.split('\n').filter((one) => one && !one.startsWith('#'))) {
		const [, word, rest] = /^(\w+) (.*)$/.exec(line);
		if (word === 'FROM') {
			found.push({ from: rest.split(' ')[0], steps: [], last: {} });
		} else if (['RUN', 'COPY', 'WORKDIR'].includes(word)) {
			found.at(-1).steps.push([word, rest]);
		} else {
			found.at(-1).last[word] = rest;
		}
	}
	return found;
}

// Carries out the steps of the first stage.
async function build(steps) {
	let folder = '/';
	for (const [word, rest] of steps) {
		if (word === 'WORKDIR') {
			folder = rest;
			mkdirSync(path.join(debian.root, folder), { recursive: true });
		} else if (word === 'COPY') {
			const names = rest.split(' ');
			const to = path.join(debian.root, folder, names.pop());
			const from = names.map((name) => path.join(ROOT, name));
			// COPY gives a folder's contents to the folder that it names.
			const { code, stderr } = await run('sh', ['-c', 'to=$1; shift; for f; do if [ -d "$f" ]; then mkdir -p "$to" && tar -C "$f" --exclude=node_modules -c . | tar -x -C "$to"; else cp "$f" "$to"; fi || exit; done',
				'sh', to, ...from]);
			assert.equal(code, 0, stderr);
		} else if (!rest.startsWith('apt-get update')) {
			await debian.run(`cd ${folder} && ${rest}`);
		}
	}
}

test('the image is small, runs as a plain user, and is healthy', TIMEOUT, async () => {
	const [first, last] = stages();
	assert.match(first.from, /debian:bookworm-slim$/);
	assert.equal(last.from, 'scratch');
	assert.deepEqual(last.steps, [['COPY', '--from=build /image /']]);
	const packages = /apt-get install -y --no-install-recommends (.*)$/.exec(first.steps[0][1])[1].split(' ');
	debian = await Chroot.make('bookworm', packages);
	await build(first.steps);

	const image = path.join(debian.root, 'image');
	const size = await run('du', ['-sm', image]);
	assert.ok(parseInt(size.stdout, 10) < MEGABYTES_MAX, size.stdout);
	const [uid, gid] = last.last.USER.split(':');
	assert.ok(Number(uid) > 0 && Number(gid) > 0);
	renameSync(image, path.join(debian.root, 'srv/image'));
	const root = path.join(debian.root, 'srv/image');
	const command = [...JSON.parse(last.last.ENTRYPOINT), ...JSON.parse(last.last.CMD)];
	child = startChild('unshare', ['--net', '--pid', '--fork', '--kill-child', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh',
		'setpriv', '--no-new-privs', 'chroot', `--userspec=${uid}:${gid}`, root, ...command], { stdio: 'inherit' });
	const check = JSON.parse(/CMD (\[.*\])$/.exec(last.last.HEALTHCHECK)[1]);
	const inside = (args) => run('nsenter', ['--target', String(child.pid), '--net', 'chroot', `--userspec=${uid}:${gid}`, root, ...args]);
	await until(async () => (await inside(check)).code === 0, 20000, 'a healthy gateway');
	const page = await inside(['/usr/bin/wget', '-q', '-O', '-', `http://127.0.0.1:${last.last.EXPOSE}/`]);
	assert.match(page.stdout, /<title>/);
	assert.notEqual((await inside(['/bin/sh', '-c', 'true'])).code, 0, 'there is no shell');
});
