// conf/install-packages.sh: says how much it installs, and leaves no server behind that starts by itself. In a mount
// namespace with folders of its own over those of the machine's services, and with commands in place of Debian's.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patiently, removeFolder, run, temporaryFolder } from '../support/util.mjs';

const SCRIPT = fileURLToPath(new URL('../../conf/install-packages.sh', import.meta.url));
const UNSHARE = ['--mount', ...(process.getuid() === 0 ? [] : ['--user', '--map-root-user'])];
const FOLDERS = ['/etc/systemd/system', '/etc/rc2.d', '/etc/init.d', '/usr/sbin'];
const MOUNTS = FOLDERS.map((name) => `mount -t tmpfs tmpfs ${name}`).join(' && ');
const WANTS = '/etc/systemd/system/multi-user.target.wants';
const POLICY = '/usr/sbin/policy-rc.d';

const COMMANDS = {
	// "absent" is the one package that is not installed; each file is of the package that it is named after.
	'dpkg-query': `case "$*" in
		-W*absent) exit 1 ;;
		-W*) echo 'install ok installed' ;;
		-S*) f=\${2##*/}; echo "\${f%.service}: $2" ;;
		esac`,
	'apt-get': `echo "apt-get $*" >>"$CALLS"
		case "$*" in
		*--assume-no*)
			printf '%s\\n' '0 upgraded, 635 newly installed, 0 to remove' 'Need to get 281 MB of archives.' 'After this operation, 1047 MB'
			exit 1
			;;
		*' install '*)
			sh ${POLICY} || echo "policy $?" >>"$CALLS"
			ln -s /lib/systemd/system/server.service ${WANTS}/server.service
			ln -s /lib/systemd/system/dbus.service ${WANTS}/dbus.service
			ln -s ../init.d/server /etc/rc2.d/S01server
			[ -z "$FAILS" ] || exit 100
			;;
		esac`,
	'update-rc.d': 'echo "update-rc.d $*" >>"$CALLS"; rm /etc/rc2.d/S01$1',
};
// Before the script; and what is there behind it.
const PREPARE = `mkdir ${WANTS} && ln -s /lib/systemd/system/old.service ${WANTS}/old.service && ln -s ../init.d/old /etc/rc2.d/S01old`;
const LOOK = `ls ${WANTS} /etc/rc2.d; cat ${POLICY} 2>/dev/null`;
let folder;
let calls;
let reason;

before(async () => {
	folder = temporaryFolder('packages');
	calls = path.join(folder, 'calls');
	mkdirSync(path.join(folder, 'bin'));
	for (const [name, text] of Object.entries(COMMANDS)) {
		writeFileSync(path.join(folder, 'bin', name), `#!/bin/sh\n${text}\n`);
		chmodSync(path.join(folder, 'bin', name), 0o755);
	}
	const trial = await run('unshare', [...UNSHARE, 'sh', '-c', MOUNTS]).catch((error) => ({ code: -1, stderr: error.message }));
	reason = trial.code === 0 ? undefined : `no mount namespace here: ${trial.stderr.trim().replaceAll('\n', ' ')}`;
});
after(() => removeFolder(folder));

// Runs the script for @names: { code, stdout, stderr, left, calls }.
async function install(names, { prepare = PREPARE, fails = '' } = {}) {
	writeFileSync(calls, '');
	const command = `${MOUNTS} && ${prepare} || exit 99; sh '${SCRIPT}' ${names}; code=$?; echo '== left'; ${LOOK}; exit $code`;
	const { code, stdout, stderr } = await run('unshare', [...UNSHARE, 'sh', '-c', command],
		{ env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}`, CALLS: calls, FAILS: fails } });
	const [said, left] = stdout.split('== left\n');
	return { code, said, stderr, left: left.split('\n').filter((line) => line && !line.startsWith('/')), calls: readFileSync(calls, 'utf8') };
}

function testInNamespace(name, body) {
	test(name, { timeout: patiently(60000) }, (t) => (reason ? t.skip(reason) : body()));
}

testInNamespace('packages: what is there already is not installed', async () => {
	const result = await install('present other');
	assert.equal(result.code, 0, result.stderr);
	assert.equal(result.calls, '');
});

testInNamespace('packages: numbers first; new servers are not started, now or at boot; what was there stays', async () => {
	const result = await install('present absent');
	assert.equal(result.code, 0, result.stderr);
	assert.match(result.said, /Installing absent\n.* 635 newly installed.*\n.* 281 MB .*\n.* 1047 MB/);
	assert.match(result.calls, /install .*-y.* absent\npolicy 101\nupdate-rc\.d server disable\n$/);
	assert.deepEqual(result.left, ['S01old', 'dbus.service', 'old.service']);
	assert.match(result.said, /server is not started at boot/);
});

testInNamespace('packages: an installation that fails half-way leaves nothing enabled either', async () => {
	const result = await install('absent', { fails: 'yes' });
	assert.equal(result.code, 100);
	assert.deepEqual(result.left, ['S01old', 'dbus.service', 'old.service']);
});

testInNamespace('packages: the policy of the machine stays, one of a killed run does not', async () => {
	const policy = (text) => `${PREPARE} && printf '#!/bin/sh\\n# ${text}\\nexit 104\\n' >${POLICY}`;
	const own = await install('absent', { prepare: policy('of the machine') });
	assert.match(own.calls, /policy 104/);
	assert.deepEqual(own.left, ['S01old', 'dbus.service', 'old.service', '#!/bin/sh', '# of the machine', 'exit 104']);
	const stale = await install('absent', { prepare: policy('made by install-packages.sh of doab') });
	assert.match(stale.calls, /policy 101/);
	assert.deepEqual(stale.left, ['S01old', 'dbus.service', 'old.service']);
});
